"""The routing of one conversation by a list of rules, evaluated rule by rule (semantics
"Evaluation").
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.operators import OPERATORS, Scalar
from reconciler.core.model.rule import Condition, Opaque, Rule, canonical_scalar

Attributes = Mapping[str, Scalar | None]
Conversation = Mapping[str, str | int | float]
# assumed truth values of conditions of an unknown kind, by their JSON (S11)
Truths = Mapping[str, bool]


class OpaqueConditionError(Exception):
    """The routing depends on a condition of an unknown kind for which no truth value is assumed."""

    def __init__(self, condition: Opaque) -> None:
        super().__init__(condition.text)
        self.condition = condition


@dataclass(frozen=True, slots=True)
class Route:
    """The rule that takes a conversation (None: the default routing), and the rules that were tried
    before it.
    """

    winner: RoutingEntry | None
    # each with the first condition that fails
    passed_rules: tuple[tuple[RoutingEntry, Condition | Opaque], ...]


def route_conversation(
    ordered: Iterable[RoutingEntry],
    attributes: Attributes,
    assumed: Truths | None = None,
) -> Route:
    """Return the route of a conversation through entries in order (`order_entries`).

    Raises OpaqueConditionError.
    """
    conversation = canonical_attributes(attributes)
    passed: list[tuple[RoutingEntry, Condition | Opaque]] = []
    for entry in ordered:
        failed = first_failing_condition(entry.rule, conversation, assumed or {})
        if failed is None:
            return Route(entry, tuple(passed))
        passed.append((entry, failed))
    return Route(None, tuple(passed))


def canonical_attributes(attributes: Attributes) -> dict[str, str | int | float]:
    """Return the attributes as rules see them: booleans are texts (S4), null is missing (S3)."""
    return {
        name: canonical_scalar(value)
        for name, value in attributes.items()
        if value is not None
    }


def holds(condition: Condition, attributes: Conversation) -> bool:
    """Return whether a condition holds for canonical attributes."""
    value = attributes.get(condition.attribute)
    if value is None:
        return condition.operator == "notExists"
    return OPERATORS[condition.operator].test(value, condition.value)


def first_failing_condition(
    rule: Rule,
    attributes: Conversation,
    assumed: Truths,
) -> Condition | Opaque | None:
    """Return the first condition that does not hold; an unknown one raises only where all others
    hold.
    """
    unknown: Opaque | None = None
    for part in rule.conditions:
        if isinstance(part, Condition):
            if not holds(part, attributes):
                return part
        elif part.text not in assumed:
            unknown = unknown or part
        elif not assumed[part.text]:
            return part
    if unknown is not None:
        raise OpaqueConditionError(unknown)
    return None


class RuleIndex:
    """Entries in order, indexed by value; its answers and errors are those of the functions of this
    module.
    """

    # A rule that requires one of a few values is tried for conversations with one of them only. Of
    # several such conditions, the one on the attribute with most values counts.

    def __init__(self, ordered: Sequence[RoutingEntry]) -> None:
        self.ordered = ordered
        self._positions_by_value: dict[str, dict[object, list[int]]] = {}
        self._unindexed: list[int] = []
        required = [list(required_values(entry.rule)) for entry in ordered]
        values_of = defaultdict[str, set[object]](set)
        for attribute, values in chain.from_iterable(required):
            values_of[attribute].update(values)
        for position, tests in enumerate(required):
            if not tests:
                self._unindexed.append(position)
                continue
            attribute, values = tests[0]
            if len(tests) > 1:
                attribute, values = max(tests, key=lambda test: len(values_of[test[0]]))
            by_value = self._positions_by_value.setdefault(attribute, {})
            for value in values:
                by_value.setdefault(value, []).append(position)

    def find_winner(
        self,
        attributes: Attributes,
        assumed: Truths | None = None,
    ) -> RoutingEntry | None:
        """Return the first entry that takes the conversation, or None.

        Raises OpaqueConditionError.
        """
        return next(self.matching_entries(attributes, assumed), None)

    def matching_entries(
        self,
        attributes: Attributes,
        assumed: Truths | None = None,
    ) -> Iterator[RoutingEntry]:
        """Yield every entry whose conditions all hold, in order. Raises OpaqueConditionError."""
        conversation = canonical_attributes(attributes)
        positions = list(self._unindexed)
        for attribute, by_value in self._positions_by_value.items():
            positions += by_value.get(conversation.get(attribute), ())
        for entry in map(self.ordered.__getitem__, sorted(positions)):
            if first_failing_condition(entry.rule, conversation, assumed or {}) is None:
                yield entry

    def possible_winners(self, attributes: Attributes) -> Iterator[RoutingEntry | None]:
        """Yield, in order, each entry that may take a conversation with these attributes; None: no
        entry takes it.
        """
        # An attribute with the value None is missing. Absent attributes may have any value.
        conversation = canonical_attributes(attributes)
        for position in self.possible_positions(attributes, conversation):
            truths = [
                holds(part, conversation)
                if isinstance(part, Condition) and part.attribute in attributes
                else None
                for part in self.ordered[position].rule.conditions
            ]
            if False not in truths:
                yield self.ordered[position]
            if all(truths):
                return
        yield None

    def possible_positions(
        self,
        attributes: Attributes,
        conversation: Conversation,
    ) -> list[int]:
        """Return the positions of the entries whose listed values do not exclude attributes, given
        in both forms.
        """
        positions = set(self._unindexed)
        for name, by_value in self._positions_by_value.items():
            lists = (
                [by_value.get(conversation.get(name), ())]
                if name in attributes
                else by_value.values()
            )
            positions.update(*lists)
        return sorted(positions)


def required_values(rule: Rule) -> Iterator[tuple[str, Sequence[object]]]:
    """Yield attributes, each with the values of which a rule requires one."""
    for part in rule.conditions:
        if isinstance(part, Condition) and part.operator in ("equals", "in"):
            yield part.attribute, part.values
