"""Names of exported rules in CXone: their own, but where two live rules share one, which no two of ours may do."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final

from reconciler.export.words import NotWritableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
        self._beside: dict[float, list[LiveRule]] = defaultdict(list)
        for one in self._rules:
            if one.rule.enabled:
                self._beside[one.rule.priority].append(one)

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
        """Say whether ties stay as they are: equal priorities are tried by name, then id (behaviour.md S1)."""
        if not live.rule.enabled:
            return True
        before, after = (self._now[live.id], live.id), (name, live.id)
        others = [(self._now[one.id], one.id) for one in self._beside[live.rule.priority] if one is not live]
        return all((before < other) == (after < other) for other in others)
