"""One conversation, one list of rules: which rule takes it, and why each earlier one does not (semantics "Evaluation").

The plain reading of the rules, one by one. The analysis works on sets of conversations; each example that it gives is
put through this before anybody sees it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.entry import destination
from reconciler.model import Condition, Opaque

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.model import Rule, Scalar

    Attributes = Mapping[str, Scalar | None]

NEGATIVE: Final = {
    "notEquals": "equals",
    "notIn": "in",
    "notContains": "contains",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
}
"""Each negative operator, and the positive one that it denies (S6)."""


class UnknownConditionError(Exception):
    """A condition that is not understood decides, and nobody said whether it holds."""

    def __init__(self, part: Opaque) -> None:
        super().__init__(part.text)
        self.part = part


@dataclass(frozen=True, slots=True)
class Passed:
    """A rule that was tried before the winner, and its first condition that does not hold."""

    entry: Entry
    failed: Condition | Opaque


@dataclass(frozen=True, slots=True)
class Route:
    """Which rule takes a conversation (None: the default routing), and those that were tried before it."""

    winner: Entry | None
    passed: tuple[Passed, ...]

    @property
    def destination(self) -> Destination:
        """Return where the conversation goes."""
        return None if self.winner is None else destination(self.winner.rule.targets)


def route(ordered: Sequence[Entry], attributes: Attributes, assumed: Mapping[str, bool] | None = None) -> Route:
    """Say which of the entries, in order (`in_order`), takes the conversation.

    `assumed` says of conditions that are not understood, by their JSON, whether they hold (S11). Raises
    UnknownConditionError where it does not say and that decides.
    """
    conversation = canonical(attributes)
    passed: list[Passed] = []
    for entry in ordered:
        failed = fails(entry.rule, conversation, assumed or {})
        if failed is None:
            return Route(entry, tuple(passed))
        passed.append(Passed(entry, failed))
    return Route(None, tuple(passed))


def winner(ordered: Iterable[Entry], attributes: Attributes, assumed: Mapping[str, bool] | None = None) -> Entry | None:
    """Return the first entry that takes the conversation, or None. Raises UnknownConditionError as `route` does."""
    conversation = canonical(attributes)
    return next((entry for entry in ordered if fails(entry.rule, conversation, assumed or {}) is None), None)


def canonical(attributes: Attributes) -> dict[str, str | int | float]:
    """Return the attributes as rules see them: booleans are texts (S4), null is missing (S3)."""
    return {
        name: ("true" if value else "false") if isinstance(value, bool) else value
        for name, value in attributes.items()
        if value is not None
    }


def holds(condition: Condition, attributes: Mapping[str, str | int | float]) -> bool:
    """Say whether a condition holds for canonical attributes."""
    value = attributes.get(condition.attribute)
    if condition.operator == "notExists":
        return value is None
    if value is None:
        return False
    if condition.operator == "exists":
        return True
    positive = NEGATIVE.get(condition.operator)
    if positive is not None:
        return not _POSITIVE[positive](value, condition.value)
    return _POSITIVE[condition.operator](value, condition.value)


def fails(
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
        raise UnknownConditionError(unknown)
    return None


def _both_numbers(test: Callable[[float, float], bool]) -> Callable[[Scalar, object], bool]:
    """Make a numeric operator: on a text it is false (S5)."""
    return lambda value, wanted: not isinstance(value, str) and isinstance(wanted, (int, float)) and test(value, wanted)


def _both_texts(test: Callable[[str, str], bool]) -> Callable[[Scalar, object], bool]:
    """Make a pattern operator: on a number it is false (S5)."""
    return lambda value, wanted: isinstance(value, str) and isinstance(wanted, str) and test(value, wanted)


_POSITIVE: Final[Mapping[str, Callable[[Scalar, object], bool]]] = {
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
