"""The canonical form of rules: one order of their parts, one JSON text of each (semantics "Comparison of rules")."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as quoted
from typing import TYPE_CHECKING, Final, cast

from reconciler.model import EXISTENCE, Condition, Opaque, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.model import Json, Rule, Value

_EXACT_FLOAT: Final = 1e16
COMPACT: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""Writes a value as one text, whatever order its parts came in: for digests, and for lines of a journal."""


def canonical_set(conditions: Iterable[Condition | Opaque]) -> tuple[Condition | Opaque, ...]:
    """Return conditions as a set in canonical order: a condition that stands twice says no more than once."""
    found = tuple(conditions)
    if len(found) < 2:  # noqa: PLR2004 - most rules have one condition, and one is in order
        return found
    if len(found) == 2:  # noqa: PLR2004 - nearly all others have two, of two attributes
        first, second = found
        if isinstance(first, Condition) and isinstance(second, Condition) and first.attribute != second.attribute:
            return found if first.attribute < second.attribute else (second, first)
    return tuple(sorted(dict.fromkeys(found), key=_rank))


def canonical_bag(targets: Iterable[Target | Opaque]) -> tuple[Target | Opaque, ...]:
    """Return targets in canonical order; equal ones stay, since their weights add up."""
    found = tuple(targets)
    return found if len(found) < 2 else tuple(sorted(found, key=text_of))  # noqa: PLR2004 - as above


def text_of(part: Condition | Target | Opaque) -> str:
    """Return the canonical JSON of a condition or target, in the API's form: keys sorted, no spaces, 1.0 as 1."""
    if isinstance(part, Condition):
        head = f'{{"attributeName":{quoted(part.attribute)},"operator":{quoted(part.operator)},"type":"attribute"'
        return head + ("}" if part.operator in EXISTENCE else f',"value":{_value_text(part.written)}}}')
    if isinstance(part, Target):
        return f'{{"queueId":{quoted(part.queue_id)},"type":"queue","weight":{_value_text(part.weight)}}}'
    return part.text


def canonical_json(rule: Rule) -> str:
    """Return the canonical JSON of what cxroute writes of a rule (ownership "The digest"), without the marker."""
    return (
        f'{{"conditions":[{_sorted_texts(rule.conditions)}],"description":{quoted(rule.description)},'
        f'"enabled":{"true" if rule.enabled else "false"},"name":{quoted(rule.name)},'
        f'"priority":{_value_text(rule.priority)},"targets":[{_sorted_texts(rule.targets)}]}}'
    )


def _sorted_texts(parts: Sequence[Condition | Target | Opaque]) -> str:
    return text_of(parts[0]) if len(parts) == 1 else ",".join(sorted([text_of(part) for part in parts]))


def opaque(part: Json) -> Opaque:
    """Return a part of a rule that is not understood, as its canonical JSON."""
    return Opaque(COMPACT.encode(_plain(part)))


def api_form(part: Condition | Target | Opaque) -> dict[str, Json]:
    """Return a condition or target as the API writes it."""
    if isinstance(part, Opaque):
        return dict(json.loads(part.text))
    if isinstance(part, Target):
        return {"type": "queue", "queueId": part.queue_id, "weight": part.weight}
    shown: dict[str, Json] = {"type": "attribute", "attributeName": part.attribute, "operator": part.operator}
    if part.operator not in EXISTENCE:
        shown["value"] = list(part.written) if isinstance(part.written, tuple) else part.written
    return shown


def _rank(part: Condition | Opaque) -> tuple[str, str, str]:
    """Order conditions by what they mean, so that equal sets stand in one order however their values were written."""
    if isinstance(part, Opaque):
        return ("\U0010ffff", part.text, "")
    return (part.attribute, part.operator, _value_text(part.value))


def _value_text(value: Value) -> str:
    """Encode one value; the plain kinds without the encoder's set-up, which costs three times what it does."""
    kind = type(value)
    if kind is str:
        return quoted(cast("str", value))
    if kind is float:
        value = _plain(value)
        return repr(value)
    return repr(value) if kind is int else COMPACT.encode(_plain(value))


def _plain(value: Json) -> Json:
    """Write whole floats as integers, all the way down."""
    if type(value) is float:
        return int(value) if value.is_integer() and abs(value) < _EXACT_FLOAT else value
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
