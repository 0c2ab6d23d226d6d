"""Rules, desired and live, and their canonical form (semantics "Comparison of rules").

Conditions and the values of `in` are sets, targets are a multiset, numbers compare as numbers;
fields that a server adds are not part of a rule.
"""

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii as quoted
from typing import Any, Final, NamedTuple

from reconciler.core.model.operators import (
    EXISTENCE,
    OPERATORS,
    OperatorKind,
    Scalar,
    Value,
)

Json = Any

JSON_NUMBER: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII
)
"""JSON's grammar of a number: only these texts are numbers (semantics S9)."""

# of one target: the weights of a rule add up, and a hundred times the sum is still a number
MAX_WEIGHT: Final = 1e300
MAX_NUMBER_LENGTH: Final = 400  # digits of a number in a manifest


class Address(NamedTuple):
    """The stable name of a rule, `ruleset/key`. The server assigns the id."""

    ruleset: str
    key: str

    def __str__(self) -> str:
        return f"{self.ruleset}/{self.key}"


class Source(NamedTuple):
    """A position in a manifest: the path, the line and the column (from 1, in characters)."""

    file: str
    line: int
    column: int


class Queue(NamedTuple):
    """A queue of the tenant: id and display name. An inactive queue may not be used."""

    id: str
    name: str
    active: bool = True


def parse_number(text: str) -> int | float:
    """Return the finite number of a text in JSON's grammar.

    Raises ValueError for other texts and larger numbers.
    """
    if len(text) > MAX_NUMBER_LENGTH or not JSON_NUMBER.fullmatch(text):
        raise ValueError(text[:40])
    value = int(text) if text.removeprefix("-").isdigit() else float(text)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(text[:40])
    return value


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of one attribute of a conversation; `make_condition` normalizes it, so that equal ones
    compare equal.
    """

    attribute: str
    operator: str
    value: Value
    raw_value: Value = field(compare=False, repr=False)
    """The value in the manifest or on the server: it is sent, shown and digested."""

    @property
    def values(self) -> tuple[Scalar, ...]:
        """Return the values that the condition compares with; none of `exists`, `notExists` and an
        empty list.
        """
        value = self.value
        return value if isinstance(value, tuple) else () if value is None else (value,)


@dataclass(frozen=True, slots=True)
class Opaque:
    """A condition or target that cxroute does not understand.

    It is kept, displayed, and compared by canonical JSON.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Target:
    """A queue and its weight: conversations are split over a rule's targets by weight."""

    queue_id: str
    weight: int | float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A routing rule.

    `description` has no marker; conditions and targets are in canonical order.
    """

    name: str
    description: str
    priority: int | float
    enabled: bool
    conditions: tuple[Condition | Opaque, ...]
    targets: tuple[Target | Opaque, ...]

    @property
    def routing_fields(self) -> tuple[object, ...]:
        """Return what decides about conversations: conditions, targets, priority, and whether the
        rule is enabled.
        """
        return self.conditions, self.targets, self.priority, self.enabled


def make_condition(attribute: str, operator: str, value: Json) -> Condition:
    """Return the condition with a canonical value.

    Raises ValueError, with the reason, for a meaningless value.
    """
    if operator == "equals" and type(value) is str:
        return Condition(attribute, operator, value, value)
    record = OPERATORS.get(operator)
    if record is None:
        raise ValueError(f"unknown operator {operator!r}")
    canonical_value = _CANONICAL_VALUES[record.kind](value)
    raw_value = tuple(value) if isinstance(value, list) else value
    return Condition(
        attribute,
        operator,
        canonical_value,
        None if operator in EXISTENCE else raw_value,
    )


def canonical_scalar(value: Scalar) -> str | int | float:
    """Return a value as rules compare it: booleans are texts (semantics S4); to Python True ==
    1.
    """
    return ("true" if value else "false") if isinstance(value, bool) else value


def _equality_value(value: Json) -> Scalar:
    if isinstance(value, (str, bool, int, float)):
        return canonical_scalar(value)
    raise ValueError("must be text, a number, true or false")


def _value_set(values: Json) -> tuple[Scalar, ...]:
    items = {_equality_value(value) for value in _require_list(values)}
    return tuple(sorted(items, key=lambda item: (isinstance(item, str), item)))


def _number_pair(value: Json) -> tuple[Scalar, ...]:
    pair = tuple(_require_number(item) for item in _require_list(value))
    if len(pair) != 2:  # noqa: PLR2004 - lowest and highest
        raise ValueError("must be two numbers, [lowest, highest]")
    return pair


def _require_text(value: Json) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("must be text (quote a number to compare it as text)")


def _require_list(value: Json) -> list[Json] | tuple[Json, ...]:
    if isinstance(value, (list, tuple)):
        return value
    raise ValueError("must be a list")


def _require_number(value: Json) -> int | float:
    """Return the number; a text must be a decimal number (semantics S9)."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    try:
        return parse_number(value) if isinstance(value, str) else parse_number("")
    except ValueError:
        raise ValueError("must be a number") from None


_CANONICAL_VALUES: Final[Mapping[OperatorKind, Callable[[Json], Value]]] = {
    # a server may have a value there, without a meaning
    "existence": lambda _value: None,
    "equality": _equality_value,
    "set": _value_set,
    "pattern": _require_text,
    "bound": _require_number,
    "interval": _number_pair,
}

_MAX_EXACT_FLOAT: Final = 1e16
CANONICAL_JSON: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""Encodes equal values as equal texts, in any order of their members: for digests, and for lines of
a journal."""


def normalized_conditions(
    conditions: Iterable[Condition | Opaque],
) -> tuple[Condition | Opaque, ...]:
    """Return conditions as a set in canonical order, without duplicates."""
    items = tuple(conditions)
    if len(items) < 2:  # noqa: PLR2004 - most rules have one condition, and one is in order
        return items
    if len(items) == 2:  # noqa: PLR2004 - nearly all others have two, of two attributes
        first, second = items
        if (
            isinstance(first, Condition)
            and isinstance(second, Condition)
            and first.attribute != second.attribute
        ):
            return items if first.attribute < second.attribute else (second, first)
    return tuple(sorted(dict.fromkeys(items), key=_sort_key))


def sorted_targets(targets: Iterable[Target | Opaque]) -> tuple[Target | Opaque, ...]:
    """Return targets in canonical order; equal ones stay, since their weights add up."""
    items = tuple(targets)
    return items if len(items) < 2 else tuple(sorted(items, key=canonical_text))  # noqa: PLR2004 - as above


def canonical_text(part: Condition | Target | Opaque) -> str:
    """Return the canonical JSON of a condition or target, in the API's form: keys sorted, no
    spaces, 1.0 as 1.
    """
    if isinstance(part, Condition):
        head = f'{{"attributeName":{quoted(part.attribute)},"operator":{quoted(part.operator)},"type":"attribute"'
        return head + (
            "}"
            if part.operator in EXISTENCE
            else f',"value":{_value_text(part.raw_value)}}}'
        )
    if isinstance(part, Target):
        return f'{{"queueId":{quoted(part.queue_id)},"type":"queue","weight":{_value_text(part.weight)}}}'
    return part.text


def canonical_json(rule: Rule) -> str:
    """Return the canonical JSON of the fields that cxroute writes (ownership "The digest"), without
    the marker.
    """
    return (
        f'{{"conditions":[{_sorted_texts(rule.conditions)}],"description":{quoted(rule.description)},'
        f'"enabled":{"true" if rule.enabled else "false"},"name":{quoted(rule.name)},'
        f'"priority":{_value_text(rule.priority)},"targets":[{_sorted_texts(rule.targets)}]}}'
    )


def _sorted_texts(parts: Sequence[Condition | Target | Opaque]) -> str:
    return (
        canonical_text(parts[0])
        if len(parts) == 1
        else ",".join(sorted([canonical_text(part) for part in parts]))
    )


def make_opaque(part: Json) -> Opaque:
    """Return a part of a rule that cxroute does not understand, as its canonical JSON."""
    return Opaque(CANONICAL_JSON.encode(integral_floats_as_ints(part)))


def to_api_json(part: Condition | Target | Opaque) -> dict[str, Json]:
    """Return a condition or target as the API writes it."""
    if isinstance(part, Opaque):
        return dict(json.loads(part.text))
    if isinstance(part, Target):
        return {"type": "queue", "queueId": part.queue_id, "weight": part.weight}
    form: dict[str, Json] = {
        "type": "attribute",
        "attributeName": part.attribute,
        "operator": part.operator,
    }
    if part.operator not in EXISTENCE:
        form["value"] = (
            list(part.raw_value)
            if isinstance(part.raw_value, tuple)
            else part.raw_value
        )
    return form


def _sort_key(part: Condition | Opaque) -> tuple[str, str, str]:
    """Return a key by the meaning of a condition, so that equal sets have one order."""
    if isinstance(part, Opaque):
        return ("\U0010ffff", part.text, "")
    return (part.attribute, part.operator, _value_text(part.value))


def _value_text(value: Value) -> str:
    """Return one value as JSON; plain types without the encoder, whose set-up takes three times as
    long.
    """
    if isinstance(value, str):
        return quoted(value)
    number = integral_floats_as_ints(value)
    return (
        repr(number) if type(number) in (int, float) else CANONICAL_JSON.encode(number)
    )


def integral_floats_as_ints(value: Json) -> Json:
    """Return a JSON value in which 1 replaces 1.0, also inside lists and mappings."""
    if type(value) is float:
        return (
            int(value)
            if value.is_integer() and abs(value) < _MAX_EXACT_FLOAT
            else value
        )
    if isinstance(value, (list, tuple)):
        return [integral_floats_as_ints(item) for item in value]
    if isinstance(value, dict):
        return {key: integral_floats_as_ints(item) for key, item in value.items()}
    return value
