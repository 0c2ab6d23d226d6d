"""The effect of rule lists on conversations, by trying all: an oracle that shares no code with the
analysis.

Rules are the API's JSON. A `Universe` is the product of representative values of every attribute
(and both truths of each condition that is not understood); a set of its inputs is the bits of one
int.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import combinations, pairwise, product
from math import ceil, floor, prod
from typing import Any, Final, TypeAlias

Json = Any  # an object in the form of the API, or of a plan
Input = tuple[dict[str, Any], dict[str, bool]]
"""Attributes, and for each condition that is not understood, by its JSON, whether it holds."""
Destination = frozenset[tuple[str, Fraction]] | None
Move = tuple[Json | None, Json | None]

DEFAULT: Final = None
NEGATIVES: Final = {
    "notEquals": "equals",
    "notIn": "in",
    "notContains": "contains",
    "notStartsWith": "startsWith",
    "notEndsWith": "endsWith",
}
PATTERNS: Final = ("contains", "startsWith", "endsWith")
NUMERIC: Final = ("greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual")


def positive(operator: str) -> str:
    return NEGATIVES.get(operator, operator)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def numeral(value: Any) -> bool:
    """S9: a number, or text that is a decimal number."""
    return is_number(value) or (
        isinstance(value, str)
        and re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?", value)
        is not None
    )


def as_number(value: Any) -> Fraction:
    if isinstance(value, str):
        return (
            Fraction(float(value)) if set(value) & set(".eE") else Fraction(int(value))
        )
    return Fraction(value)


def plain(value: Any) -> str | Fraction:
    """S4: booleans are texts, and text never equals a number."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else Fraction(value)


def is_supported(condition: Json) -> bool:
    """S11, S9: a known type and operator, and a value that the operator can have."""
    operator = positive(condition.get("operator", ""))
    value = condition.get("value")
    if condition.get("type", "attribute") != "attribute" or not isinstance(
        condition.get("attributeName"), str
    ):
        return False
    if operator == "in":
        return isinstance(value, list) and all(
            isinstance(item, str | int | float) for item in value
        )
    if operator == "between":
        return isinstance(value, list) and len(value) == 2 and all(map(numeral, value))
    if operator in PATTERNS:
        return isinstance(value, str)
    if operator in NUMERIC:
        return numeral(value)
    return operator in ("exists", "notExists") or (
        operator == "equals" and isinstance(value, str | int | float)
    )


def text_of(part: Json) -> str:
    return json.dumps(
        {key: part[key] for key in part if key != "negate"},
        sort_keys=True,
        separators=(",", ":"),
    )


def holds(
    condition: Json, attributes: Mapping[str, Any], assumed: Mapping[str, bool]
) -> bool:
    """`negate`, which only regions have, is the plain complement."""
    if is_supported(condition):
        truth = _understood(
            condition["operator"],
            attributes.get(condition["attributeName"]),
            condition.get("value"),
        )
    else:
        truth = assumed[text_of(condition)]
    return truth is not condition.get("negate", False)


def _understood(operator: str, value: Any, wanted: Any) -> bool:
    if value is None:
        return operator == "notExists"  # S3
    if operator in ("exists", "notExists"):
        return operator == "exists"
    # S6
    return _compared(positive(operator), plain(value), wanted) is not (
        operator in NEGATIVES
    )


def _compared(operator: str, value: str | Fraction, wanted: Any) -> bool:
    if operator in ("equals", "in"):
        return value in [
            plain(item) for item in (wanted if operator == "in" else [wanted])
        ]
    if operator in PATTERNS:
        return (
            isinstance(value, str)
            and {
                "contains": wanted in value,
                "startsWith": value[: len(wanted)] == wanted,
                "endsWith": value[max(0, len(value) - len(wanted)) :] == wanted,
            }[operator]
        )
    if isinstance(value, str):
        return False  # S5
    low, high = map(as_number, wanted if operator == "between" else (wanted, wanted))
    return {
        "between": low <= value <= high,
        "greaterThan": value > low,
        "greaterThanOrEqual": value >= low,
        "lessThan": value < low,
        "lessThanOrEqual": value <= low,
    }[operator]


def matches(rule: Json, one: Input) -> bool:
    return bool(rule["enabled"]) and all(
        holds(condition, *one) for condition in rule["conditions"]
    )


def destination(rule: Json | None) -> Destination:
    """S10, exactly."""
    if rule is None:
        return DEFAULT
    parts = [
        (
            item["queueId"] if item["type"] == "queue" else text_of(item),
            Fraction(str(item.get("weight", 1))),
        )
        for item in rule["targets"]
    ]
    total = sum(weight for _, weight in parts)
    sums = {
        queue: sum(weight for candidate, weight in parts if candidate == queue)
        for queue, _ in parts
    }
    return frozenset(
        (queue, weight / total) for queue, weight in sums.items() if weight
    )


def in_routing_order(
    rules: Iterable[Json], evaluation: str = "lowest-first"
) -> list[Json]:
    """S1; rules that even bear one name, by id."""
    sign = -1 if evaluation == "highest-first" else 1
    return sorted(
        (rule for rule in rules if rule["enabled"]),
        key=lambda rule: (sign * rule["priority"], rule["name"], rule["id"]),
    )


def winner(
    rules: Iterable[Json], one: Input, evaluation: str = "lowest-first"
) -> Json | None:
    return next(
        (rule for rule in in_routing_order(rules, evaluation) if matches(rule, one)),
        None,
    )


@dataclass(frozen=True)
class Universe:
    """Every combination of the axes' values; input number i is bit `size - 1 - i` of a set."""

    axes: dict[str, list[Any]]
    """Attribute, or JSON of a condition that is not understood, and its values (None: missing)."""
    _columns: dict[str, int] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Return the number of inputs."""
        return prod(map(len, self.axes.values()))

    @property
    def all_inputs(self) -> int:
        """Return the set of all inputs."""
        return (1 << self.size) - 1

    def column(self, condition: Json) -> int:
        """Return the inputs for which a condition holds."""
        key = json.dumps(condition, sort_keys=True)
        if key not in self._columns:
            name = (
                condition["attributeName"]
                if is_supported(condition)
                else text_of(condition)
            )
            before = prod(
                len(self.axes[axis])
                for axis in list(self.axes)[: list(self.axes).index(name)]
            )
            after = self.size // before // len(self.axes[name])
            truths = (
                holds(condition, {name: value}, {name: value})
                for value in self.axes[name]
            )
            self._columns[key] = int(
                "".join(("1" if truth else "0") * after for truth in truths) * before, 2
            )
        return self._columns[key]

    def all_of(self, conditions: Iterable[Json]) -> int:
        """Return the inputs for which all of the conditions hold."""
        actual = self.all_inputs
        for condition in conditions:
            actual &= self.column(condition)
        return actual

    def matched(self, rule: Json) -> int:
        """Return the inputs that a rule matches, also those that another rule wins."""
        return self.all_of(rule["conditions"]) if rule["enabled"] else 0

    def region(self, region: Json) -> int:
        """Return the inputs of a region: all of `where`, except those that match a full list of
        `except`.
        """
        actual = self.all_of(region["where"])
        for several in region["except"]:
            actual &= ~self.all_of(several)
        return actual

    def wins(
        self, rules: Iterable[Json], evaluation: str = "lowest-first"
    ) -> list[tuple[Json | None, int]]:
        """Return each rule in order of evaluation, with the inputs that it wins; None is the
        default.
        """
        remaining = self.all_inputs
        actual = list[tuple[Json | None, int]]()
        for rule in in_routing_order(rules, evaluation):
            actual.append((rule, remaining & self.matched(rule)))
            remaining &= ~self.matched(rule)
        return [*actual, (None, remaining)]

    def may_win(
        self, rules: Iterable[Json], evaluation: str = "lowest-first"
    ) -> list[tuple[Json | None, int]]:
        """Return the inputs that each rule wins under some order of ties."""
        remaining = self.all_inputs
        actual = list[tuple[Json | None, int]]()
        ordered = in_routing_order(rules, evaluation)
        for priority in dict.fromkeys(rule["priority"] for rule in ordered):
            level = [
                (rule, self.matched(rule))
                for rule in ordered
                if rule["priority"] == priority
            ]
            actual += [(rule, remaining & bits) for rule, bits in level]
            for _, bits in level:
                remaining &= ~bits
        return [*actual, (None, remaining)]

    def example(self, bits: int) -> Input:
        """Return one input of a set that is not empty."""
        at = self.size - bits.bit_length()
        attributes = dict[str, Any]()
        assumed = dict[str, bool]()
        for name, values in reversed(self.axes.items()):
            at, chosen = divmod(at, len(values))
            if isinstance(values[chosen], bool):
                assumed[name] = values[chosen]
            elif values[chosen] is not None:
                attributes[name] = values[chosen]
        return attributes, assumed


Known: TypeAlias = "Mapping[str, tuple[float, float] | None]"
"""Attributes whose type is known: the lowest and the highest number, None for texts."""


def inputs_for(*lists: Iterable[Json], known: Known | None = None) -> Universe:
    """Return the representative inputs of all enabled rules of the lists."""
    conditions = [
        part
        for rules in lists
        for rule in rules
        if rule["enabled"]
        for part in rule["conditions"]
    ]
    names = dict.fromkeys(
        part["attributeName"] if is_supported(part) else text_of(part)
        for part in conditions
    )
    axes: dict[str, list[Any]] = {name: [False, True] for name in names}
    for name in {part["attributeName"]: 0 for part in conditions if is_supported(part)}:
        here = [
            part
            for part in conditions
            if is_supported(part) and part["attributeName"] == name
        ]
        values = representatives(here)
        if known and name in known:
            values = _of_type(values, known[name])
        axes[name] = [None, *values]
    return Universe(axes)


def representatives(conditions: Sequence[Json]) -> list[Any]:
    """Return texts and numbers of one attribute that distinguish all its conditions (semantics
    "Evaluation").
    """
    texts = set[str]()
    numbers = set[float]()
    patterns = list[tuple[str, str]]()
    for part in conditions:
        operator = positive(part["operator"])
        value = part.get("value")
        if operator in PATTERNS:
            patterns.append((operator, part["value"]))
        listed: Any = value if operator in ("in", "between") else [value]
        for item in listed if operator not in ("exists", "notExists") else []:
            if operator in ("equals", "in") and not is_number(item):
                texts.add(str(plain(item)))
            elif operator not in PATTERNS:
                numbers.add(_typed(item))
    return [*_texts(texts, patterns), *(_numbers(sorted(numbers)) or [0])]


def _of_type(values: list[Any], ends: tuple[float, float] | None) -> list[Any]:
    """Return representative values of a known type."""
    if ends is None:
        return [value for value in values if isinstance(value, str)]
    low, high = ends
    numbers = {value for value in values if is_number(value)}
    return [
        number
        for number in _numbers(sorted({*numbers, low, high}))
        if low <= number <= high
    ]


def _typed(value: Any) -> float:
    return (
        value
        if is_number(value)
        else float(value)
        if set(value) & set(".eE")
        else int(value)
    )


def _texts(named: set[str], patterns: list[tuple[str, str]]) -> list[str]:
    """Return the named texts, and one other for each way in which the patterns can match
    together.
    """
    expected = list(dict.fromkeys(patterns))
    pieces = sorted({piece for _, piece in patterns})
    free = next(
        item
        for item in "~|^_§¤¦"
        if not any(item in text for text in [*named, *pieces])
    )
    starts = ["", *(piece for operator, piece in expected if operator == "startsWith")]
    ends = ["", *(piece for operator, piece in expected if operator == "endsWith")]
    inner = [piece for operator, piece in expected if operator == "contains"]
    subsets = [
        selected
        for count in range(len(inner) + 1)
        for selected in combinations(inner, count)
    ]
    trials = [
        free.join((start, *selected, end))
        for start, selected, end in product(starts, subsets, ends)
    ]
    trials += [
        item + joint + candidate
        for item, joint, candidate in product(pieces, ("", free), pieces)
    ]
    remaining_items = {
        tuple(_compared(operator, text, piece) for operator, piece in expected): text
        for text in reversed(trials)
        if text not in named
    }
    return list(dict.fromkeys([*sorted(named), *pieces, *remaining_items.values()]))


def _numbers(points: list[float]) -> list[float]:
    """Return the points, one beyond each end, and a number between two neighbours if Python has
    one.
    """
    actual = [ceil(points[0]) - 1, *points, floor(points[-1]) + 1] if points else []
    for low, high in pairwise(points):
        middle = (Fraction(low) + Fraction(high)) / 2
        trials = (int(middle), *([float(middle)] if abs(middle) < 10**308 else []))
        actual += [
            trial
            for trial in trials
            if Fraction(low) < Fraction(trial) < Fraction(high)
        ][-1:]
    return actual
