"""The values of an attribute's column: which ones its cells may have, and the labels and groups
that people read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from reconciler.core.behaviour.space.domain import Domain
from reconciler.core.manifest.documents import TYPE_PHRASES, fits_type
from reconciler.core.model.operators import EQUALITIES, RANGES, SETS, Scalar
from reconciler.core.model.rule import Condition, make_condition
from reconciler.core.text.escape import quote_name
from reconciler.core.text.value_groups import ValueGroups

ValueKind = Literal["confidence", "number", "text", "boolean", "any"]

_NOT_A_CONFIDENCE: Final = "has a value that is not a confidence, a number from 0 to 1"

_NO_CONFIDENCE: Final = "is met by no confidence, which is a number from 0 to 1"


@dataclass(frozen=True, kw_only=True)
class ColumnValues:
    """What the cells of one attribute may say."""

    attribute: str
    heading: str = ""
    kind: ValueKind = "any"
    # the declared values; without one, a cell may have any value
    offered: Sequence[Scalar] = ()
    # the values of the rules, also undeclared ones
    used: frozenset[Scalar] = frozenset()
    # the conditions of each rule, as one cell states them
    stated: frozenset[frozenset[Condition]] = frozenset()
    # what people read, by value
    labels: Mapping[str, str] = field(default_factory=dict)
    # the values of each group, by its name
    groups: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def spellings(self) -> dict[str, tuple[Scalar, ...]]:
        """Return the known texts of cells, each with its values: groups, labels, and the values
        themselves.
        """
        by_group: dict[str, tuple[Scalar, ...]] = {
            group: tuple(sorted(each)) for group, each in self.groups.items()
        }
        by_label: dict[str, tuple[Scalar, ...]] = {
            label: (value,) for value, label in self.labels.items()
        }
        by_name = {
            str(value): (value,)
            for value in (*self.offered, *sorted(self.used, key=str))
        }
        return by_group | by_label | by_name

    def shown(self, value: Scalar) -> Scalar:
        """Return the label of a value, or the value."""
        return self.labels.get(value, value) if isinstance(value, str) else value

    def shown_values(self, values: Sequence[Scalar]) -> list[Scalar]:
        """Return what a list of values shows: the names of the groups that it has whole, then the
        other values.
        """
        groups, others = self._value_groups.split(values)
        return [*groups, *map(self.shown, others)]

    def values_of(self, text: str) -> tuple[Scalar, ...]:
        """Return the values of a group, the value with a label, or the text itself."""
        values = self.spellings.get(text, (text,))
        return values if all(isinstance(value, str) for value in values) else (text,)

    @cached_property
    def _value_groups(self) -> ValueGroups:
        return ValueGroups(self.groups)

    def refuse(self, conditions: Sequence[Condition]) -> str:
        """Return why a cell must not have the conditions; empty if it may: each cell of a rule may
        be copied.
        """
        if frozenset(conditions) in self.stated:
            return ""
        reasons = filter(None, map(self._refuse_condition, conditions))
        if reason := next(reasons, ""):
            return reason
        if self.kind == "confidence" and not self._some_confidence_meets(conditions):
            return _NO_CONFIDENCE
        return ""

    def _some_confidence_meets(self, conditions: Sequence[Condition]) -> bool:
        bounds = [part for part in conditions if part.operator in RANGES]
        bounds.append(make_condition(self.attribute, "between", (0, 1)))
        (numbers, *_) = Domain(self.attribute, bounds).values_for_all(bounds)
        return numbers != 0

    def _refuse_condition(self, condition: Condition) -> str:
        if condition.operator in EQUALITIES | SETS:
            find_problem: Callable[[Scalar], str] = self._refuse_value
        elif condition.operator in RANGES and self.kind == "confidence":
            find_problem = _refuse_bound
        else:
            return ""
        return next(filter(None, map(find_problem, condition.values)), "")

    @cached_property
    def _offered(self) -> frozenset[Scalar]:
        return frozenset(self.offered)

    def _refuse_value(self, value: Scalar) -> str:
        if value in self.used:
            return ""
        if self.kind == "confidence":
            return _refuse_bound(value)
        if self.offered and value not in self._offered:
            return f"{quote_name(str(value))} is not a known value"
        if self.kind != "any" and not fits_type(value, self.kind):
            return f"has a value that is not {TYPE_PHRASES[self.kind]}"
        return ""


def _refuse_bound(value: Scalar) -> str:
    is_share = not isinstance(value, str) and 0 <= value <= 1
    return "" if is_share else _NOT_A_CONFIDENCE
