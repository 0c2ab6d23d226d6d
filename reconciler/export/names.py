"""What a manifest calls a live queue: an alias that means it, else its name, else an alias that is made here.

What of a live rule cannot be written in a manifest, and how texts are written there.

Names of exported rules in CXone: their own, but where two live rules share one, which no two of ours may do.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from unicodedata import combining, normalize

from reconciler.behaviour.routing_entry import Destination, destination_of
from reconciler.desired.queues import QueueError, QueueResolver
from reconciler.desired.substitution import MAX_TEXT_BYTES, text_size
from reconciler.model.rule import Address, Condition, Queue
from reconciler.text.files import KIB

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping, Sequence

    from reconciler.model.live import LiveRule


MAX_KEY_LENGTH: Final = 64
_NOT_IN_SLUGS: Final = re.compile(r"[^a-z0-9]+", re.ASCII)


class NotRepresentableError(Exception):
    """A live rule that no manifest can say; the message says why, as what follows "left out:"."""


@dataclass(frozen=True, slots=True)
class SkippedRule:
    """A live rule that is not exported, and why."""

    live: LiveRule
    reason: str


def escape_text(text: str) -> str:
    """Return text as it stands in a manifest: a dollar is written twice, since `${name}` is a variable.

    Raises NotRepresentableError for a text that no manifest can hold.
    """
    if problem := unrepresentable_reason(text):
        raise NotRepresentableError(f"it holds {problem}")
    return text.replace("$", "$$")


def unrepresentable_reason(text: str) -> str:
    """Return why no manifest can hold a text; nothing where one can."""
    if text_size(text) > MAX_TEXT_BYTES:
        return f"a text of more than {MAX_TEXT_BYTES // KIB} KiB"
    return "half a character" if any("\ud800" <= one <= "\udfff" for one in text) else ""


def slugify(text: str) -> str:
    """Return a readable key made of a text, accents left out; may be empty."""
    letters = "".join(one for one in normalize("NFKD", text.casefold()) if not combining(one))
    return _NOT_IN_SLUGS.sub("-", letters).strip("-")[:MAX_KEY_LENGTH].strip("-")


def find_free_name(text: str, reserved: Container[str]) -> str:
    """Return a key or alias that is not taken: the text itself, else with the lowest number that is free."""
    found, number = text, 1
    while found in reserved:
        number += 1
        found = f"{text[: MAX_KEY_LENGTH - len(str(number)) - 1]}-{number}"
    return found


_MAX_BASE_LENGTH: Final = 120  # characters of a name that another part is put behind


class RuleNameAllocator:
    """Gives names that are free, and that leave rules of one priority in the order in which they are tried."""

    def __init__(self, live: Iterable[LiveRule], desired: Iterable[str]) -> None:
        """`desired` are the names that the manifests use already."""
        self._rules = tuple(live)
        self._count = Counter(one.rule.name for one in self._rules)
        self._reserved = {*self._count, *desired}
        self._current_names = {one.id: one.rule.name for one in self._rules}
        self._by_priority: dict[float, list[_TiedRule]] = defaultdict(list)
        for one in self._rules:
            if one.rule.enabled:
                self._by_priority[one.rule.priority].append(_tied_rule(one))

    def count_namesakes(self, live: LiveRule) -> int:
        """Return how many live rules have the name of this one, itself counted."""
        return self._count[live.rule.name]

    def allocate_name(self, live: LiveRule, preferred: Sequence[str], address: Address) -> str:
        """Return a name of its own for a rule that shares one.

        Raises NotRepresentableError where none leaves its place.
        """
        begin = live.rule.name[:_MAX_BASE_LENGTH]
        for name in (*preferred, f"{begin} ({address.key})", f"{begin} ({address})"):
            if name not in self._reserved and self._keeps_order(live, name):
                self._reserved.add(name)
                self._current_names[live.id] = name
                return name
        raise NotRepresentableError(
            "another live rule has its name, and under a new one it might be tried in another order: rename one"
        )

    def _keeps_order(self, live: LiveRule, name: str) -> bool:
        """Say whether ties that matter stay as they are: equal priorities are tried by name, then id (semantics S1)."""
        # Where two rules change places of which no conversation can tell, everybody goes where they went.
        if not live.rule.enabled:
            return True
        first, last = sorted(((self._current_names[live.id], live.id), (name, live.id)))
        itself = _tied_rule(live)
        return not any(
            first < (self._current_names[other.id], other.id) < last and _conflict(itself, other)
            for other in self._by_priority[live.rule.priority]
            if other.id != live.id
        )


class _TiedRule(NamedTuple):
    """A rule as another one of its priority sees it: where it sends, and the only values of attributes that meet it."""

    id: str
    destination: Destination
    required_values: Mapping[str, frozenset[object]]


def _tied_rule(live: LiveRule) -> _TiedRule:
    named: dict[str, frozenset[object]] = {}
    for part in live.rule.conditions:
        if isinstance(part, Condition) and part.operator in ("equals", "in"):
            values = frozenset(part.value) if isinstance(part.value, tuple) else frozenset((part.value,))
            named[part.attribute] = named.get(part.attribute, values) & values
    return _TiedRule(live.id, destination_of(live.rule.targets), named)


def _conflict(first: _TiedRule, second: _TiedRule) -> bool:
    apart = (
        values.isdisjoint(second.required_values[name])
        for name, values in first.required_values.items()
        if name in second.required_values
    )
    return first.destination != second.destination and not any(apart)


class QueueNames:
    """Names for the queues of one tenant."""

    def __init__(self, resolver: QueueResolver, queues: Iterable[Queue], queue_ids: Iterable[str]) -> None:
        """`queue_ids` are the ids of the queues that are named, in the order in which aliases are given."""
        # Where rules name aliases (there is a Queues document, or one queue cannot do without), all queues get one:
        # `validate` warns of a name that is no alias.
        self._environment = resolver.environment
        self._aliases = resolver.aliases
        self._queues = {queue.id: queue for queue in queues}
        self._count = Counter(queue.name for queue in self._queues.values())
        self._new_aliases: dict[str, Any] = {}
        self.used_queues: dict[str, Queue] = {}  # what each name that was given means
        self._names: dict[str, str] = {}
        self._reserved = {*self._aliases, *self._count}
        for alias in self._aliases:
            self._record_alias(resolver, alias)
        found = [
            self._queues[one] for one in dict.fromkeys(queue_ids) if one in self._queues and one not in self._names
        ]
        aliased = bool(self._aliases) or not all(map(self._has_unique_name, found))
        for queue in found:
            self._names[queue.id] = self._create_alias(queue) if aliased else queue.name

    @property
    def added_aliases(self) -> dict[str, Any]:
        """Return the aliases that were used and that the manifests have not got, with what they mean."""
        return {alias: meant for alias, meant in self._new_aliases.items() if alias in self.used_queues}

    def name(self, queue_id: str) -> str:
        """Return what a manifest calls the queue, as it is written there.

        Raises NotRepresentableError where it is gone.
        """
        if queue_id not in self._names:
            raise NotRepresentableError(f"its queue {queue_id} is gone")
        name = self._names[queue_id]
        self.used_queues[name] = self._queues[queue_id]
        return escape_text(name)

    def existing_name(self, queue_id: str) -> str:
        """Return what manifests as they are can call the queue, as it is written. Raises NotRepresentableError."""
        queue = self._queues.get(queue_id)
        if queue is None or (queue_id not in self._names and not self._has_unique_name(queue)):
            shown = f'"{queue.name}" ({queue_id})' if queue else queue_id
            raise NotRepresentableError(
                f"its queue {shown} has no name that means it alone: give it one in a Queues document"
            )
        return escape_text(self._names.get(queue_id, queue.name))

    def live_name(self, queue_id: str) -> str:
        """Return the name that people see in CXone."""
        return self._queues[queue_id].name if queue_id in self._queues else ""

    def _record_alias(self, resolver: QueueResolver, alias: str) -> None:
        try:
            self._names.setdefault(resolver.resolve(alias).id, alias)
        except QueueError:
            return

    def _has_unique_name(self, queue: Queue) -> bool:
        return bool(queue.name) and self._count[queue.name] == 1 and queue.name not in self._aliases

    def _create_alias(self, queue: Queue) -> str:
        alone = bool(queue.name) and self._count[queue.name] == 1 and not unrepresentable_reason(queue.name)
        readable = slugify(queue.name) or "queue"
        alias = find_free_name(
            readable if alone else f"{readable[:48]}-{slugify(queue.id)[:8]}".strip("-"), self._reserved
        )
        self._reserved.add(alias)
        self._new_aliases[alias] = queue.name if alone else {self._environment: {"id": queue.id}}
        return alias
