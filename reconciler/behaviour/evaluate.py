"""A list of rules, filed by a text that each asks for: one conversation is tried against few of them.

One conversation, one list of rules: which rule takes it, and why each earlier one does not (semantics "Evaluation").

The plain reading of the rules, one by one. The analysis works on sets of conversations; each example that it gives is
put through this before anybody sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.routing_entry import Destination, RoutingEntry, destination_of
from reconciler.model.rule import Condition, Opaque, Rule, Scalar, canonical_scalar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    Attributes = Mapping[str, Scalar | None]


POSITIVE_OF_NEGATIVE: Final = {
    "notEquals": "equals",
    "notIn": "in",
    "notContains": "contains",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
}  # each negative operator, and the positive one that it denies (S6)


class OpaqueConditionError(Exception):
    """A condition that is not understood decides, and nobody said whether it holds."""

    def __init__(self, condition: Opaque) -> None:
        super().__init__(condition.text)
        self.condition = condition


@dataclass(frozen=True, slots=True)
class PassedRule:
    """A rule that was tried before the winner, and its first condition that does not hold."""

    entry: RoutingEntry
    failed_condition: Condition | Opaque


@dataclass(frozen=True, slots=True)
class Route:
    """Which rule takes a conversation (None: the default routing), and those that were tried before it."""

    winner: RoutingEntry | None
    passed_rules: tuple[PassedRule, ...]

    @property
    def destination(self) -> Destination:
        """Return where the conversation goes."""
        return None if self.winner is None else destination_of(self.winner.rule.targets)


def route_conversation(
    ordered: Sequence[RoutingEntry], attributes: Attributes, assumed: Mapping[str, bool] | None = None
) -> Route:
    """Say which of the entries, in order (`order_entries`), takes the conversation.

    `assumed` says of conditions that are not understood, by their JSON, whether they hold (S11). Raises
    OpaqueConditionError where it does not say and that decides.
    """
    conversation = canonical_attributes(attributes)
    passed: list[PassedRule] = []
    for entry in ordered:
        failed = first_failing_condition(entry.rule, conversation, assumed or {})
        if failed is None:
            return Route(entry, tuple(passed))
        passed.append(PassedRule(entry, failed))
    return Route(None, tuple(passed))


def find_winner(
    ordered: Iterable[RoutingEntry], attributes: Attributes, assumed: Mapping[str, bool] | None = None
) -> RoutingEntry | None:
    """Return the first entry that takes the conversation, or None.

    Raises OpaqueConditionError as `route_conversation` does.
    """
    conversation = canonical_attributes(attributes)
    return next(
        (entry for entry in ordered if first_failing_condition(entry.rule, conversation, assumed or {}) is None), None
    )


def canonical_attributes(attributes: Attributes) -> dict[str, str | int | float]:
    """Return the attributes as rules see them: booleans are texts (S4), null is missing (S3)."""
    return {name: canonical_scalar(value) for name, value in attributes.items() if value is not None}


def holds(condition: Condition, attributes: Mapping[str, str | int | float]) -> bool:
    """Say whether a condition holds for canonical attributes."""
    value = attributes.get(condition.attribute)
    if condition.operator == "notExists":
        return value is None
    if value is None:
        return False
    if condition.operator == "exists":
        return True
    positive = POSITIVE_OF_NEGATIVE.get(condition.operator)
    if positive is not None:
        return not _OPERATOR_TESTS[positive](value, condition.value)
    return _OPERATOR_TESTS[condition.operator](value, condition.value)


def first_failing_condition(
    rule: Rule, attributes: Mapping[str, str | int | float], assumed: Mapping[str, bool]
) -> Condition | Opaque | None:
    """Return the first condition that does not hold. One that nobody knows decides only when all others hold."""
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


def _both_numbers(test: Callable[[float, float], bool]) -> Callable[[Scalar, object], bool]:
    """Make a numeric operator: on a text it is false (S5)."""
    return lambda value, wanted: not isinstance(value, str) and isinstance(wanted, (int, float)) and test(value, wanted)


def _both_texts(test: Callable[[str, str], bool]) -> Callable[[Scalar, object], bool]:
    """Make a pattern operator: on a number it is false (S5)."""
    return lambda value, wanted: isinstance(value, str) and isinstance(wanted, str) and test(value, wanted)


_OPERATOR_TESTS: Final[Mapping[str, Callable[[Scalar, object], bool]]] = {
    "equals": lambda value, wanted: value == wanted,
    "in": lambda value, wanted: isinstance(wanted, tuple) and value in wanted,
    "contains": _both_texts(lambda value, wanted: wanted in value),
    "startsWith": _both_texts(str.startswith),
    "endsWith": _both_texts(str.endswith),
    "greaterThan": _both_numbers(lambda value, wanted: value > wanted),
    "greaterThanOrEqual": _both_numbers(lambda value, wanted: value >= wanted),
    "lessThan": _both_numbers(lambda value, wanted: value < wanted),
    "lessThanOrEqual": _both_numbers(lambda value, wanted: value <= wanted),
    "between": lambda value, pair: (
        not isinstance(value, str) and isinstance(pair, tuple) and pair[0] <= value <= pair[1]
    ),
}


class RuleIndex:
    """Entries in order (`order_entries`).

    Answers are those of `evaluate.find_winner` and `evaluate.route_conversation`, errors included. A rule that asks for
    a text, or one of a few, can fail for no other reason before it is looked at: it is tried for conversations with
    that text alone. Of several such conditions the one on the most telling attribute counts.
    """

    def __init__(self, ordered: Sequence[RoutingEntry]) -> None:
        self.ordered = ordered
        self._positions_by_text: dict[str, dict[str, list[int]]] = {}
        self._unindexed: list[int] = []
        telling = self._count_texts()
        for place, entry in enumerate(ordered):
            asked = max(_required_texts(entry.rule), key=lambda one: telling[one[0]], default=None)
            if asked is None:
                self._unindexed.append(place)
            else:
                by = self._positions_by_text.setdefault(asked[0], {})
                for text in asked[1]:
                    by.setdefault(text, []).append(place)

    def _count_texts(self) -> Mapping[str, int]:
        """Return for each attribute how many texts of it rules ask for."""
        texts: dict[str, set[str]] = {}
        for entry in self.ordered:
            for attribute, asked in _required_texts(entry.rule):
                texts.setdefault(attribute, set()).update(asked)
        return {attribute: len(several) for attribute, several in texts.items()}

    def find_winner(self, attributes: Attributes, assumed: Mapping[str, bool] | None = None) -> RoutingEntry | None:
        """Return the first entry that takes the conversation, or None; raises what `route_conversation` does."""
        place = self._winning_position(canonical_attributes(attributes), assumed or {})
        return None if place is None else self.ordered[place]

    def route_conversation(self, attributes: Attributes, assumed: Mapping[str, bool] | None = None) -> Route:
        """Say what `evaluate.route_conversation` does, which rules were tried before the winner included."""
        place = self._winning_position(canonical_attributes(attributes), assumed or {})
        return route_conversation(self.ordered if place is None else self.ordered[: place + 1], attributes, assumed)

    def possible_winners(self, attributes: Attributes) -> Iterator[RoutingEntry | None]:
        """Yield, in order, each entry that may take a conversation of which only this is told; None: none takes it.

        An attribute that is told and None is missing. What is not told may be anything.
        """
        conversation = canonical_attributes(attributes)
        places = set(self._unindexed)
        for attribute, by in self._positions_by_text.items():
            value = conversation.get(attribute)
            asked = (
                by.values() if attribute not in attributes else [by.get(value, ())] if isinstance(value, str) else ()
            )
            places.update(place for several in asked for place in several)
        for place in sorted(places):
            truths = [_condition_truth(part, attributes, conversation) for part in self.ordered[place].rule.conditions]
            if False not in truths:
                yield self.ordered[place]
            if all(truths):
                return
        yield None

    def _winning_position(
        self, conversation: Mapping[str, str | int | float], assumed: Mapping[str, bool]
    ) -> int | None:
        places = list(self._unindexed)
        for attribute, by in self._positions_by_text.items():
            value = conversation.get(attribute)
            if isinstance(value, str):
                places += by.get(value, ())
        places.sort()
        ordered = self.ordered
        return next(
            (place for place in places if first_failing_condition(ordered[place].rule, conversation, assumed) is None),
            None,
        )


def _condition_truth(
    part: Condition | Opaque, attributes: Attributes, conversation: Mapping[str, str | int | float]
) -> bool | None:
    """Say whether a condition holds; None where that is not told."""
    return holds(part, conversation) if isinstance(part, Condition) and part.attribute in attributes else None


def _required_texts(rule: Rule) -> Iterator[tuple[str, Sequence[str]]]:
    """Yield attributes with the texts of which a rule asks for one."""
    for part in rule.conditions:
        if isinstance(part, Condition):
            value = part.value
            if part.operator == "equals" and isinstance(value, str):
                yield part.attribute, (value,)
            elif part.operator == "in" and isinstance(value, tuple):
                texts = [one for one in value if isinstance(one, str)]
                if len(texts) == len(value):
                    yield part.attribute, texts
