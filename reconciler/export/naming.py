"""Names of exported rules in CXone: their own, but where two live rules share one, which no two of ours may do."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.entry import destination
from reconciler.export.words import NotWritableError
from reconciler.model import Condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.entry import Destination
    from reconciler.change import LiveRule
    from reconciler.model import Address

_LONGEST: Final = 120
"""Characters of a name that another part is put behind."""


class Naming:
    """Gives names that are free, and that leave rules of one priority in the order in which they are tried."""

    def __init__(self, live: Iterable[LiveRule], desired: Iterable[str]) -> None:
        """`desired` are the names that the manifests use already."""
        self._rules = tuple(live)
        self._count = Counter(one.rule.name for one in self._rules)
        self._taken = {*self._count, *desired}
        self._now = {one.id: one.rule.name for one in self._rules}
        self._beside: dict[float, list[_Rival]] = defaultdict(list)
        for one in self._rules:
            if one.rule.enabled:
                self._beside[one.rule.priority].append(_rival(one))

    def namesakes(self, live: LiveRule) -> int:
        """Return how many live rules have the name of this one, itself counted."""
        return self._count[live.rule.name]

    def named_anew(self, live: LiveRule, preferred: Sequence[str], address: Address) -> str:
        """Return a name of its own for a rule that shares one. Raises NotWritableError where none leaves its place."""
        begin = live.rule.name[:_LONGEST]
        for name in (*preferred, f"{begin} ({address.key})", f"{begin} ({address})"):
            if name not in self._taken and self._in_place(live, name):
                self._taken.add(name)
                self._now[live.id] = name
                return name
        raise NotWritableError(
            "another live rule has its name, and under a new one it might be tried in another order: rename one"
        )

    def _in_place(self, live: LiveRule, name: str) -> bool:
        """Say whether ties that matter stay as they are: equal priorities are tried by name, then id (semantics S1).

        Where two rules change places of which no conversation can tell, everybody goes where they went.
        """
        if not live.rule.enabled:
            return True
        first, last = sorted(((self._now[live.id], live.id), (name, live.id)))
        itself = _rival(live)
        return not any(
            first < (self._now[other.id], other.id) < last and _compete(itself, other)
            for other in self._beside[live.rule.priority]
            if other.id != live.id
        )


class _Rival(NamedTuple):
    """A rule as another one of its priority sees it: where it sends, and the only values of attributes that meet it."""

    id: str
    goes: Destination
    named: Mapping[str, frozenset[object]]


def _rival(live: LiveRule) -> _Rival:
    named: dict[str, frozenset[object]] = {}
    for part in live.rule.conditions:
        if isinstance(part, Condition) and part.operator in ("equals", "in"):
            values = frozenset(part.value) if isinstance(part.value, tuple) else frozenset((part.value,))
            named[part.attribute] = named.get(part.attribute, values) & values
    return _Rival(live.id, destination(live.rule.targets), named)


def _compete(one: _Rival, other: _Rival) -> bool:
    """Say whether two rules may take one conversation and send it to different queues."""
    apart = (values.isdisjoint(other.named[name]) for name, values in one.named.items() if name in other.named)
    return one.goes != other.goes and not any(apart)
