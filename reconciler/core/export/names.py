"""Names of queues and rules in exported manifests, and the escaping of texts."""

from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final, Literal, NamedTuple
from unicodedata import combining, normalize

from reconciler.core.behaviour.evaluate import required_values
from reconciler.core.behaviour.routing_entry import Destination, destination_of
from reconciler.core.desired.expand import MAX_KEY_LENGTH, NOT_IN_SLUGS
from reconciler.core.desired.queues import QueueError, QueueResolver
from reconciler.core.desired.substitution import MAX_TEXT_BYTES, text_size
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address, Queue
from reconciler.core.text.files import KIB

NewAliases = Literal["needed", "all"]
"""Which queues get a new alias: those whose name is not unique, or all."""


class NotRepresentableError(Exception):
    """A live rule that no manifest can represent; the message is the reason, written after
    "skipped:".
    """


class SkippedRule(NamedTuple):
    """A live rule that is not exported, and the reason."""

    live: LiveRule
    reason: str


def escape_text(text: str) -> str:
    """Return text for a manifest, `$` doubled because of `${name}`.

    Raises NotRepresentableError.
    """
    problem = unrepresentable_reason(text)
    if problem:
        raise NotRepresentableError(f"it contains {problem}")
    return text.replace("$", "$$")


def unrepresentable_reason(text: str) -> str:
    """Return why a manifest cannot hold a text, or an empty text."""
    if text_size(text) > MAX_TEXT_BYTES:
        return f"a text of more than {MAX_TEXT_BYTES // KIB} KiB"
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        return "an incomplete character"
    return ""


def slugify(text: str) -> str:
    """Return a readable key for a text, without accents; may be empty."""
    letters = "".join(
        letter for letter in normalize("NFKD", text.casefold()) if not combining(letter)
    )
    slug = NOT_IN_SLUGS.sub("-", letters).strip("-")
    return slug[:MAX_KEY_LENGTH].strip("-")


def find_free_name(text: str, reserved: Container[str]) -> str:
    """Return an unused key or alias: the text itself, or the text with the lowest free number."""
    name = text
    number = 1
    while name in reserved:
        number += 1
        suffix = f"-{number}"
        name = f"{text[: MAX_KEY_LENGTH - len(suffix)]}{suffix}"
    return name


_MAX_BASE_LENGTH: Final = 120  # characters of a name before an added suffix


class RuleNameAllocator:
    """Gives unused names to rules without changing the evaluation order of rules with equal
    priority.
    """

    def __init__(self, rules: Sequence[LiveRule], desired: Iterable[str]) -> None:
        """`desired` are the names that the manifests use already."""
        self.counts = Counter(live.rule.name for live in rules)  # live rules by name
        self._reserved = {*self.counts, *desired}
        self._current_names = {live.id: live.rule.name for live in rules}
        self._by_priority = group_pairs(
            (live.rule.priority, _tied_rule(live))
            for live in rules
            if live.rule.enabled
        )

    def allocate_name(
        self, live: LiveRule, preferred: Sequence[str], address: Address
    ) -> str:
        """Return a unique name for a rule that shares its name.

        Raises NotRepresentableError if none fits.
        """
        begin = live.rule.name[:_MAX_BASE_LENGTH]
        for name in (*preferred, f"{begin} ({address.key})", f"{begin} ({address})"):
            if name not in self._reserved and self._keeps_order(live, name):
                self._reserved.add(name)
                self._current_names[live.id] = name
                return name
        raise NotRepresentableError(
            "another live rule has its name, and a new name might change the evaluation order: "
            "rename one of them"
        )

    def _keeps_order(self, live: LiveRule, name: str) -> bool:
        # Rules of equal priority are tried by name, then id (semantics S1). Only rules that may
        # take the same conversation and have different destinations must keep their order.
        if not live.rule.enabled:
            return True
        current_name = self._current_names[live.id]
        first, last = sorted(((current_name, live.id), (name, live.id)))
        rule = _tied_rule(live)
        for tied in self._by_priority.get(live.rule.priority, ()):
            tied_key = (self._current_names[tied.id], tied.id)
            is_passed = tied.id != live.id and first < tied_key < last
            if is_passed and tied.destination != rule.destination:
                values = rule.required_values
                tied_values = tied.required_values
                if not any(
                    values[attribute].isdisjoint(tied_values[attribute])
                    for attribute in values.keys() & tied_values.keys()
                ):
                    return False
        return True


class _TiedRule(NamedTuple):
    """A rule of equal priority: its destination, and the only values of attributes that can meet
    its conditions.
    """

    id: str
    destination: Destination
    required_values: Mapping[str, frozenset[object]]


def _tied_rule(live: LiveRule) -> _TiedRule:
    required: dict[str, frozenset[object]] = {}
    for attribute, values in required_values(live.rule):
        possible_values = frozenset(values)
        if attribute in required:
            possible_values &= required[attribute]
        required[attribute] = possible_values
    return _TiedRule(live.id, destination_of(live.rule.targets), required)


class QueueNames:
    """Names for the queues of one tenant."""

    def __init__(
        self,
        resolver: QueueResolver,
        queues: Iterable[Queue],
        queue_ids: Iterable[str],
        aliases: NewAliases = "needed",
    ) -> None:
        """`queue_ids` are the ids of the named queues, in the order in which they get aliases."""
        # Where rules name aliases (a Queues document exists, or one queue needs an alias), all
        # queues get one: `validate` warns of a name that is not an alias.
        self._new = aliases
        self._environment = resolver.environment
        self._aliases = resolver.aliases
        self._queues = {queue.id: queue for queue in queues}
        self._count = Counter(queue.name for queue in self._queues.values())
        # Aliases that are not in the manifests yet, with their queues.
        self.new_aliases: dict[str, Any] = {}
        self.used_queues: dict[str, Queue] = {}  # by name in the manifests
        self._names: dict[str, str] = {}
        self._reserved = {*self._aliases, *self._count}
        for alias in self._aliases:  # the first alias of a queue is used
            with suppress(QueueError):
                self._names.setdefault(resolver.resolve(alias).id, alias)
        self._name_queues(queue_ids)

    def _name_queues(self, queue_ids: Iterable[str]) -> None:
        """Name the queues that have no alias."""
        unnamed = [
            self._queues[queue_id]
            for queue_id in dict.fromkeys(queue_ids)
            if queue_id not in self._names and queue_id in self._queues
        ]
        have_unique_names = all(map(self._has_unique_name, unnamed))
        needs_aliases = (
            self._new == "all" or bool(self._aliases) or not have_unique_names
        )
        for queue in unnamed:
            name = self._create_alias(queue) if needs_aliases else queue.name
            self._names[queue.id] = name

    def name(self, queue_id: str) -> str:
        """Return the queue's name for a manifest.

        Raises NotRepresentableError if the queue was deleted.
        """
        if queue_id not in self._names:
            raise NotRepresentableError(f"its queue {queue_id} does not exist")
        name = self._names[queue_id]
        self.used_queues[name] = self._queues[queue_id]
        return escape_text(name)

    def new_used_aliases(self) -> dict[str, Any]:
        """Return the new aliases that manifests have named, with their queues."""
        return {
            alias: queue
            for alias, queue in self.new_aliases.items()
            if alias in self.used_queues
        }

    def existing_name(self, queue_id: str) -> str:
        """Return the queue's name in the existing manifests, escaped.

        Raises NotRepresentableError.
        """
        phrase = queue_id
        queue = self._queues.get(queue_id)
        if queue:
            if queue_id in self._names:
                return escape_text(self._names[queue_id])
            if self._has_unique_name(queue):
                return escape_text(queue.name)
            phrase = f'"{queue.name}" ({queue_id})'
        raise NotRepresentableError(
            f"its queue {phrase} has no unique name: give it an alias in a Queues document"
        )

    def live_name(self, queue_id: str) -> str:
        """Return the queue's name in CXone."""
        return self._queues[queue_id].name if queue_id in self._queues else ""

    def _has_unique_name(self, queue: Queue) -> bool:
        return (
            bool(queue.name)
            and self._count[queue.name] == 1
            and queue.name not in self._aliases
        )

    def _create_alias(self, queue: Queue) -> str:
        is_unique = (
            bool(queue.name)
            and self._count[queue.name] == 1
            and not unrepresentable_reason(queue.name)
        )
        text = slugify(queue.name) or "queue"
        value: Any = queue.name
        if not is_unique:
            text = f"{text[:48]}-{slugify(queue.id)[:8]}".strip("-")
            value = {self._environment: {"id": queue.id}}
        alias = find_free_name(text, self._reserved)
        self._reserved.add(alias)
        self.new_aliases[alias] = value
        return alias
