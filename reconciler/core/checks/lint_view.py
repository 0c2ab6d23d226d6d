"""The input of the lint: one environment's rules in order, their intents, and names for
messages.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from typing import Any, Final, TypeVar

from reconciler.core.behaviour.endpoint_stage import ENDPOINT
from reconciler.core.behaviour.evaluate import RuleIndex
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.behaviour.space.domain import FIRST_TEXT, REST
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Space
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.expand import RuleExpander
from reconciler.core.desired.expand_promises import promise_expander
from reconciler.core.manifest.documents import AttributeEntry
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import LoadedDocument, PathStep
from reconciler.core.model.finding import Finding, Severity
from reconciler.core.model.operators import POSITIVE_OF_NEGATIVE, Scalar, operators_of
from reconciler.core.model.rule import Condition, Opaque, Queue, Source
from reconciler.core.plan.routing_table import desired_entries, types_phrase
from reconciler.core.text.escape import join_all, join_first, quote, sanitize
from reconciler.core.text.phrases import Labels, conversation_phrase, queues_phrase

T = TypeVar("T")
# a condition, with its document and the path of its value
StatedCondition = tuple[LoadedDocument[Any], tuple[PathStep, ...], Condition]

_NAMING_OPERATORS: Final = (
    operators_of("equality", "set", "pattern") - POSITIVE_OF_NEGATIVE.keys()
)
MAX_LISTED_VALUES: Final = 8  # the number of values that one sentence lists
# the number of rules that one sentence lists, whose names are longer
_MAX_LISTED_RULES: Final = 3


class LintView:
    """One environment's rules: `ordered` by evaluation, and indexed in `slices` for all
    questions.
    """

    # `unmanaged` are the unmanaged live rules, with their names and without an address; `queues`
    # are the names by id.

    def __init__(
        self,
        desired: DesiredState,
        unmanaged: Iterable[RoutingEntry],
        manifests: Manifests,
        environment: Environment,
        queues: Mapping[str, str],
    ) -> None:
        self.desired = desired
        self.manifests = manifests
        self.environment = environment
        self.attributes: Final = environment.attributes
        self.types = desired.endpoint.sent_context_types
        self.queues = queues
        # a finding is about the text of manifests
        self.labels: Final = Labels(desired.labels.short)
        self.intents: Final = _intent_positions(manifests)
        self.fallback: Final = desired.endpoint.fallback

        entries = (*desired_entries(desired), *unmanaged)
        rules = order_entries(entries, environment.api.evaluation)
        # The endpoint never writes some contexts: a rule that comes first takes them, so that no
        # finding is about them.
        self.ordered: Final = (*desired.endpoint.unreachable(), *rules)
        pivots = {self.attributes.intent: self.intents}
        self.space: Final = Space((self.ordered,), pivots, self.types)
        self.slices: Final = PivotSlices(self.space, self.ordered)
        self._index = RuleIndex(self.ordered)

    @property
    def declared_attributes(self) -> Mapping[str, AttributeEntry] | None:
        """Return the attributes of the Attributes documents; None without such a document."""
        return self.manifests.declared_attributes if self.manifests.attributes else None

    @cached_property
    def promises(self) -> Sequence[RoutingEntry]:
        """The conditions of each promise, with its position."""
        return [
            replace(stated.promise.probe, source=stated.finding.source)
            for stated in self.desired.promises
        ]

    @cached_property
    def _assumed(self) -> dict[str, bool]:
        """Conditions of an unknown kind, which are assumed not to hold."""
        parts = (part for entry in self.ordered for part in entry.rule.conditions)
        return {part.text: False for part in parts if isinstance(part, Opaque)}

    @cached_property
    def rules_by_intent(self) -> dict[str, list[RoutingEntry]]:
        """Return the rules with a condition on an intent, by intent, in order.

        Raises UndecidedError if too many.
        """
        naming: dict[str, list[RoutingEntry]] = {}
        never = {id(entry) for entry in self.slices.never_matching}
        for entry, parts in zip(self.ordered, self._naming_conditions, strict=True):
            if parts and id(entry) not in never:
                for text in self._named_intents(parts):
                    self.space.budget.spend()
                    naming.setdefault(text, []).append(entry)
        return naming

    @cached_property
    def general_rules(self) -> list[RoutingEntry]:
        """Return the rules that name no intent, in order, such as a catch-all."""
        pairs = zip(self.ordered, self._naming_conditions, strict=True)
        return [entry for entry, parts in pairs if not parts]

    @cached_property
    def _naming_conditions(self) -> Sequence[Sequence[Condition]]:
        """The conditions of each rule on the intent; none of a rule that names no intent."""
        return list(map(self._conditions_naming_intents, self.ordered))

    def _conditions_naming_intents(self, entry: RoutingEntry) -> Sequence[Condition]:
        intent = self.attributes.intent
        parts = [
            part
            for part in entry.rule.conditions
            if isinstance(part, Condition) and part.attribute == intent
        ]
        for part in parts:
            if part.operator in _NAMING_OPERATORS and part.value != "":
                return parts
        return []

    def _named_intents(self, conditions: Sequence[Condition]) -> Iterator[str]:
        first, *further = conditions
        if first.operator == "equals" and not further:
            if isinstance(first.value, str):
                yield first.value
            return

        number = self.space.domain_index[self.attributes.intent]
        domain = self.space.domains[number]
        atoms, *_ = domain.values_for_all(conditions)
        for atom in bits(atoms & domain.text_mask & ~REST):
            yield domain.texts[atom - FIRST_TEXT]

    def find_winner(self, conversation: Mapping[str, Scalar]) -> RoutingEntry | None:
        """Return the rule that takes a conversation; None: the default routing."""
        self.space.budget.spend(len(self.general_rules))
        return self._index.find_winner(conversation, self._assumed)

    def names_one_intent(self, entry: RoutingEntry) -> bool:
        """Return whether a rule has conditions only on one intent, and on the confidence."""
        parts = [
            part
            for part in entry.rule.conditions
            if not self._is_about_confidence(part)
        ]
        if len(parts) != 1:
            return False
        (part,) = parts
        if not isinstance(part, Condition) or part.attribute != self.attributes.intent:
            return False
        return part.operator in ("equals", "in") and len(part.values) == 1

    def catches_all(self, entry: RoutingEntry) -> bool:
        """Return whether a rule has conditions only on the confidence."""
        return all(map(self._is_about_confidence, entry.rule.conditions))

    def _is_about_confidence(self, condition: Condition | Opaque) -> bool:
        return (
            isinstance(condition, Condition)
            and condition.attribute == self.attributes.confidence
        )

    def example_phrase(self, conversation: Mapping[str, Scalar]) -> str:
        """Return a conversation and its destination in words."""
        winner = self.find_winner(conversation)
        phrase = conversation_phrase(conversation, self.labels)
        if winner is None:
            return f"{phrase} goes to the tenant's default routing"
        return (
            f"{phrase} goes to {self.destination_phrase(winner)} by {rule_name(winner)}"
        )

    def destination_phrase(self, entry: RoutingEntry) -> str:
        """Return the destination of a rule in words."""
        return queues_phrase(entry.rule.targets, self.queues)

    def known_types_phrase(
        self, conditions: Iterable[Condition | Opaque] | None = None
    ) -> str:
        """Return the known types that a statement about the conditions depends on; None: about all
        conditions.
        """
        names: Iterable[str] = self.space.narrowed_attributes
        if conditions is not None:
            attributes = {
                part.attribute for part in conditions if isinstance(part, Condition)
            }
            names = (name for name in names if name in attributes)
        types = {name: self.types[name] for name in names}
        return f" ({types_phrase(types, self.labels)})" if types else ""

    @staticmethod
    def finding(
        code: str,
        severity: Severity,
        message: str,
        entry: RoutingEntry,
        hint: str = "",
    ) -> Finding:
        """Return a finding about one managed rule."""
        return Finding(
            code=code,
            severity=severity,
            message=message,
            source=entry.source,
            address=entry.address,
            hint=hint,
        )

    def finding_at(
        self,
        name: str,
        code: str,
        severity: Severity,
        message: str,
        entry: RoutingEntry,
        hint: str,
    ) -> Finding:
        """Return a finding at an attribute or an intent, if the manifest of the rule states it."""
        for loaded, path, condition in self.stated.get(entry.source, ()):
            value = condition.raw_value
            items = value if isinstance(value, tuple) else (value,)
            if name in items:
                name_path = (*path, items.index(name))
            elif name == condition.attribute:
                name_path = (*path[:-1], "attribute")
            else:
                continue
            return loaded.finding(
                code,
                message,
                *name_path,
                severity=severity,
                hint=hint,
                address=entry.address,
            )
        return self.finding(code, severity, message, entry, hint)

    @cached_property
    def stated(self) -> dict[Source | None, list[StatedCondition]]:
        """Return the conditions of each rule and promise of the manifests, by the position of the
        rule or promise.
        """
        stated: dict[Source | None, list[StatedCondition]] = {}
        environment = self.environment
        resolve = partial(Queue, "")  # the queues make no difference
        rules = items_of(self.manifests.rulesets, "rules", environment)
        for loaded, index, entry in rules:
            expander = RuleExpander(environment, resolve, loaded.document, entry)
            stated[loaded.source_of("rules", index)] = [
                (loaded, ("rules", index, *path), condition)
                for condition, path in expander.conditions()
            ]

        promises = items_of(self.manifests.promises, "promises", environment)
        for loaded, index, promise in promises:
            expander = promise_expander(environment, resolve, promise)
            stated[loaded.source_of("promises", index)] = [
                (loaded, ("promises", index, "for", *path), condition)
                for condition, path in expander.conditions()
            ]
        return stated


def _intent_positions(manifests: Manifests) -> dict[str, Source]:
    """Return the bot's intents, with their positions."""
    positions = {}
    for loaded in manifests.intents:
        for index, intent in enumerate(loaded.document.names):
            positions[intent] = loaded.source_of("intents", index)
    return positions


def items_of(
    documents: Iterable[LoadedDocument[Any]],
    field: str,
    environment: Environment,
) -> Iterator[tuple[LoadedDocument[Any], int, Any]]:
    """Yield the rules or promises of one environment, each with its document and its position in
    it.
    """
    for loaded in documents:
        for index, item in enumerate(getattr(loaded.document, field)):
            scopes = (loaded.document.environments, item.environments)
            if all(scope is None or environment.name in scope for scope in scopes):
                yield loaded, index, item


def is_endpoint(entry: RoutingEntry) -> bool:
    """Return whether an entry is not a rule, and takes contexts that the endpoint never writes."""
    return entry.name == ENDPOINT and not entry.id and not entry.address


def rule_name(entry: RoutingEntry) -> str:
    """Return the name of a rule in messages: its address, or the live name of an unmanaged rule."""
    if is_endpoint(entry):
        return ENDPOINT
    if entry.address:
        return sanitize(entry.name)
    return f"the live rule {quote(entry.name)} (not managed)"


def list_names(names: Iterable[str], conjunction: str = "and") -> str:
    """Return names from outside as a list in quotes: `"a", "b" and "c"`."""
    return list_items(list(names), quote, conjunction)


def list_rules(entries: Sequence[RoutingEntry]) -> str:
    """Return rules as a list: `cards/a, cards/b, cards/c and 4 more`."""
    return list_items(entries, rule_name, limit=_MAX_LISTED_RULES)


def list_items(
    items: Sequence[T],
    format_item: Callable[[T], str],
    conjunction: str = "and",
    limit: int = MAX_LISTED_VALUES,
) -> str:
    """Return items as a list: `a`, `a and b`, `a, b, c and 4 more`."""
    if len(items) > limit:
        return join_first(items, limit, format_item)
    return join_all(items, conjunction, format_item)
