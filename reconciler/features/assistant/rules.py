"""Rules by what they say, and queues with the rules that serve them."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from reconciler.core.behaviour.evaluate import holds
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.desired.queues import (
    OfflineQueueResolver,
    QueueError,
    resolve_aliases,
)
from reconciler.core.errors import UsageError
from reconciler.core.manifest.documents import QueueRef
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.model.finding import Document
from reconciler.core.model.operators import EXISTENCE
from reconciler.core.model.rule import (
    Condition,
    Queue,
    Target,
    canonical_scalar,
    to_api_json,
)
from reconciler.core.plan.finding_json import source_to_json
from reconciler.core.plan.routing_table import entry_name
from reconciler.core.text.escape import quote_name
from reconciler.core.text.phrases import conditions_phrase
from reconciler.core.text.suggest import suggest
from reconciler.features.assistant.answer import MAX_ITEMS, MAX_PARTS, LeftOut
from reconciler.features.assistant.arguments import (
    QueueArguments,
    SearchArguments,
)
from reconciler.features.assistant.project import (
    AskedRules,
    AssistantProject,
    intent_name,
)
from reconciler.render.text.explain import rule_destination

_MAX_QUEUES: Final = 40
_IN_FULL: Final = 8  # rules with their conditions; others have their place alone
_IN_BRIEF: Final = 40


class NamedQueue(NamedTuple):
    """A queue, and the aliases and owners that the manifests give it."""

    queue: Queue
    aliases: tuple[str, ...]
    owners: tuple[str, ...]

    @property
    def all_names(self) -> tuple[str, ...]:
        """Return everything that may name it."""
        return (self.queue.name, self.queue.id, *self.aliases)


def find_rules(project: AssistantProject, arguments: SearchArguments) -> Document:
    """Return the rules that fit each argument, in the order in which they are tried."""
    _require_filter(arguments)
    view = project.view(arguments.environment, arguments.rules)
    search = RuleSearch(view, arguments)
    matches = [entry for entry in _in_order(view) if search.fits(entry)]
    left_out = LeftOut()
    brief = left_out.first("inBrief", matches[_IN_FULL:], _IN_BRIEF)
    answer: Document = {
        "environment": view.environment.name,
        "rules": view.origin,
        "found": len(matches),
        "matches": [_rule_document(entry, view) for entry in matches[:_IN_FULL]],
        "inBrief": list(map(_place, brief)),
        "notes": [*search.notes(), *view.date_notes()],
    }
    if arguments.intent is not None:
        others = [entry for entry in _in_order(view) if search.takes_any_intent(entry)]
        answer["forAnyIntent"] = list(
            map(_place, left_out.first("forAnyIntent", others))
        )
    return {**answer, **left_out.document()}


def _require_filter(arguments: SearchArguments) -> None:
    """Raise UsageError for a search without a filter."""
    given = (arguments.queue, arguments.intent, arguments.attribute)
    if all(each is None for each in given):
        raise UsageError("name a queue, an intent or an attribute")
    if arguments.value is not None and arguments.attribute is None:
        raise UsageError("value: name its attribute, too")


def _in_order(view: AskedRules) -> Iterator[RoutingEntry]:
    """Yield the rules in the order in which they are tried, then those that are switched off."""
    yield from order_entries(view.entries, view.environment.api.evaluation)
    yield from (entry for entry in view.entries if not entry.rule.enabled)


class RuleSearch:
    """What a rule must fit."""

    def __init__(self, view: AskedRules, arguments: SearchArguments) -> None:
        self._view = view
        self._attribute = arguments.attribute
        self._value = arguments.value
        self._intent_attribute = view.environment.attributes.intent
        self._intent = (
            None
            if arguments.intent is None
            else intent_name(view.manifests, arguments.intent)
        )
        self._queue = (
            None
            if arguments.queue is None
            else _queue_named(_named_queues(view), arguments.queue, view).queue.id
        )

    def fits(self, entry: RoutingEntry) -> bool:
        """Return whether a rule fits all that is asked for."""
        if self._queue is not None and self._queue not in _queue_ids(entry):
            return False
        if self._intent is not None and not self._names_intent(entry):
            return False
        return self._attribute is None or self._has_condition(entry)

    def takes_any_intent(self, entry: RoutingEntry) -> bool:
        """Return whether a rule has no condition on the intent, and fits the rest."""
        conditions = _conditions_on(entry, self._intent_attribute)
        if conditions or not entry.rule.enabled:
            return False
        is_of_queue = self._queue is None or self._queue in _queue_ids(entry)
        return is_of_queue and (self._attribute is None or self._has_condition(entry))

    def notes(self) -> Iterator[str]:
        """Yield likely misspellings."""
        names = dict.fromkeys(
            part.attribute
            for entry in self._view.entries
            for part in entry.rule.conditions
            if isinstance(part, Condition)
        )
        if self._attribute is not None and self._attribute not in names:
            note = f"no rule has a condition on {quote_name(self._attribute)}"
            yield "; ".join(filter(None, (note, suggest(self._attribute, names))))
        intents = dict.fromkeys(
            intent
            for loaded in self._view.manifests.intents
            for intent in loaded.document.names
        )
        if self._intent is not None and intents and self._intent not in intents:
            note = f"intent {quote_name(self._intent)} is in no Intents document"
            yield "; ".join(filter(None, (note, suggest(self._intent, intents))))

    def _names_intent(self, entry: RoutingEntry) -> bool:
        conditions = _conditions_on(entry, self._intent_attribute)
        event = {self._intent_attribute: self._intent or ""}
        restricting = [each for each in conditions if each.operator not in EXISTENCE]
        return bool(restricting) and all(holds(each, event) for each in conditions)

    def _has_condition(self, entry: RoutingEntry) -> bool:
        attribute = self._attribute or ""
        conditions = _conditions_on(entry, attribute)
        if self._value is None or not conditions:
            return bool(conditions)
        event = {attribute: canonical_scalar(self._value)}
        return all(holds(each, event) for each in conditions)


def list_queues(project: AssistantProject, arguments: QueueArguments) -> Document:
    """Return the queues of an Environment, each with the rules that send conversations to it."""
    view = project.view(arguments.environment, "manifests")
    queues = _named_queues(view)
    if arguments.queue is not None:
        part = arguments.queue.casefold()
        queues = [
            each
            for each in queues
            if any(part in name.casefold() for name in each.all_names)
        ]
        if not queues:
            _queue_named(_named_queues(view), arguments.queue, view)
    left_out = LeftOut()
    shown = left_out.first("queues", queues, _MAX_QUEUES)
    return {
        "environment": view.environment.name,
        "environments": left_out.first(
            "environments", sorted({*view.manifests.environments, SANDBOX})
        ),
        "found": len(queues),
        "queues": [_queue_document(each, view) for each in shown],
        **left_out.document(),
    }


def _named_queues(view: AskedRules) -> list[NamedQueue]:
    """Return the queues of the manifests and of the rules, by name."""
    live = view.live.queues if view.live else ()
    aliases = resolve_aliases(view.manifests, view.environment.name)
    resolver = OfflineQueueResolver(view.environment.name, aliases, live)
    aliases_of = _aliases_by_queue(resolver)
    queues = {queue: Queue(queue, name) for queue, name in view.names.queues.items()}
    queues |= resolver.queues_by_id
    ordered = sorted(queues.values(), key=lambda queue: (queue.name, queue.id))
    named = []
    for queue in ordered:
        names = aliases_of.get(queue.id, ())
        owners = {owner for name in names for owner in _owners_of(aliases[name])}
        named.append(NamedQueue(queue, tuple(names), tuple(sorted(owners))))
    return named


def _aliases_by_queue(resolver: OfflineQueueResolver) -> dict[str, list[str]]:
    """Return the aliases that have a queue in this Environment, by the id of the queue."""
    aliases: dict[str, list[str]] = {}
    for alias in resolver.aliases:
        with suppress(QueueError):  # it has no queue in this Environment
            queue = resolver.resolve(alias)
            aliases.setdefault(queue.id, []).append(alias)
    return aliases


def _owners_of(reference: object) -> Iterable[str]:
    return reference.owners if isinstance(reference, QueueRef) else ()


def _queue_named(
    queues: Sequence[NamedQueue], text: str, view: AskedRules
) -> NamedQueue:
    """Return the queue of an alias, a name or an id. Raises UsageError."""
    folded = text.casefold()
    for is_same in (
        lambda name: name == text,
        lambda name: name.casefold() == folded,
    ):
        found = [each for each in queues if any(map(is_same, each.all_names))]
        if found:
            return found[0]
    hint = suggest(text, [name for each in queues for name in each.all_names])
    message = f"no queue of {view.environment.name} is named {quote_name(text)}"
    raise UsageError("; ".join(filter(None, (message, hint))))


def _queue_document(named: NamedQueue, view: AskedRules) -> Document:
    """Return a queue with its first rules, in the order in which they are tried."""
    entries = order_entries(view.entries, view.environment.api.evaluation)
    serving = [entry for entry in entries if named.queue.id in _queue_ids(entry)]
    document: Document = {
        "name": named.queue.name,
        "aliases": list(named.aliases),
        "ruleCount": len(serving),
        "rules": [_place(entry) for entry in serving[:MAX_PARTS]],
    }
    if named.owners:
        document["owners"] = list(named.owners)
    return document


def _rule_document(entry: RoutingEntry, view: AskedRules) -> Document:
    """Return a rule with its place, what it asks for, and where it sends conversations."""
    parts = entry.rule.conditions
    return {
        **_place(entry),
        "priority": entry.rule.priority,
        "enabled": entry.rule.enabled,
        "when": conditions_phrase(entry.rule, view.names.labels),
        "conditions": [to_api_json(part) for part in parts[:MAX_ITEMS]],
        "destination": rule_destination(entry, view.names.queues),
    }


def _place(entry: RoutingEntry) -> Document:
    return {"rule": entry_name(entry), "source": source_to_json(entry.source)}


def _queue_ids(entry: RoutingEntry) -> set[str]:
    """Return the queues that get a share of a rule's conversations."""
    return {
        target.queue_id
        for target in entry.rule.targets
        if isinstance(target, Target) and target.weight > 0
    }


def _conditions_on(entry: RoutingEntry, attribute: str) -> list[Condition]:
    return [
        part
        for part in entry.rule.conditions
        if isinstance(part, Condition) and part.attribute == attribute
    ]
