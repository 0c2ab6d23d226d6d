"""Their JSON <-> our model. The only place that knows how the API writes a rule, a queue or a page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from reconciler.errors import UnexpectedAnswerError
from reconciler.model.live import LiveRule, Marker, signed, split
from reconciler.model.rule import (
    LARGEST_WEIGHT,
    OPERATORS,
    Condition,
    Opaque,
    Queue,
    Rule,
    Target,
    api_form,
    canonical_bag,
    canonical_set,
    condition,
    opaque,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


Json = Any
Part = TypeVar("Part", Condition | Opaque, Target | Opaque)
LEVELS = 64
"""Levels of lists and objects that a rule may have; those that the API is known to write have three."""


def live_rule(form: Json) -> LiveRule:
    """Return the rule that the server describes. Raises UnexpectedAnswerError, naming the field, where it is none."""
    if not isinstance(form, dict):
        raise UnexpectedAnswerError("a rule in the answer is no JSON object")
    if _is_deep(form):
        raise UnexpectedAnswerError(f"rule {str(form.get('id'))[:64]!r} in the answer is nested too deeply")
    rule_id, name, priority = form.get("id"), form.get("name"), form.get("priority")
    if not isinstance(rule_id, str) or not rule_id:
        raise _wrong(form, "id", "text")
    if not isinstance(name, str):
        raise _wrong(form, "name", "text")
    if not isinstance(priority, int | float) or isinstance(priority, bool):
        raise _wrong(form, "priority", "a number")
    description, marker = split(_text(form, "description"))
    rule = Rule(
        name=name,
        description=description,
        priority=priority,
        enabled=_flag(form, "enabled"),
        conditions=canonical_set([_condition(one) for one in _list(form, "conditions")]),
        targets=canonical_bag([_target(one) for one in _list(form, "targets")]),
    )
    return LiveRule(rule_id, rule, marker, form)


def is_text(text: str) -> bool:
    """Say whether a text can be written as UTF-8: JSON's escapes can hold half a character."""
    return text.isascii() or not any("\ud800" <= one <= "\udfff" for one in text)


def _is_deep(form: Json, levels: int = LEVELS) -> bool:
    """Say whether there are more levels: counted, for where Python itself gives up differs from version to version."""
    if not levels:
        return True
    for one in form.values() if type(form) is dict else form:
        if (type(one) is dict or type(one) is list) and _is_deep(one, levels - 1):
            return True
    return False


def queue(form: Json) -> Queue:
    """Return the queue that an entry of a list describes, once its fields have our names."""
    return Queue(form["id"], form["name"], form["active"])


def body(rule: Rule, marker: Marker | None, raw: Mapping[str, Json] | None = None) -> dict[str, Json]:
    """Return what is sent: for an update, every field that we do not know goes back as it was read."""
    kept = dict(raw or {})
    return {
        **kept,
        "name": rule.name,
        "description": signed(rule, marker),
        "priority": rule.priority,
        "enabled": rule.enabled,
        "conditions": _kept(rule.conditions, kept.get("conditions"), _condition),
        "targets": _kept(rule.targets, kept.get("targets"), _target),
    }


def _kept(parts: Sequence[Part], raw: Json, parse: Callable[[Json], Part]) -> list[Json]:
    """Write parts; one that stays as it was goes back just as it was read, unknown fields and all."""
    read: dict[Part, list[Json]] = {}
    for form in raw if isinstance(raw, list) else ():
        read.setdefault(parse(form), []).append(form)
    return [read[part].pop(0) if read.get(part) else api_form(part) for part in parts]


def _condition(form: Json) -> Condition | Opaque:
    if type(form) is dict and form.get("type") == "attribute":
        attribute, operator = form.get("attributeName"), form.get("operator")
        if isinstance(attribute, str) and isinstance(operator, str) and operator in OPERATORS:
            try:
                return condition(attribute, operator, form.get("value"))
            except ValueError:
                return opaque(form)
    return opaque(form)


def _target(form: Json) -> Target | Opaque:
    if type(form) is dict and form.get("type") == "queue":
        queue_id, weight = form.get("queueId"), form.get("weight", 1)
        is_number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if isinstance(queue_id, str) and is_number and abs(weight) <= LARGEST_WEIGHT:
            return Target(queue_id, weight)
    return opaque(form)


def _text(form: dict[str, Json], name: str) -> str:
    found = form.get(name)
    if found is None:
        return ""
    if not isinstance(found, str):
        raise _wrong(form, name, "text")
    return found


def _flag(form: dict[str, Json], name: str) -> bool:
    found = form.get(name, True)
    if not isinstance(found, bool):
        raise _wrong(form, name, "true or false")
    return found


def _list(form: dict[str, Json], name: str) -> list[Json]:
    found = form.get(name)
    if found is None:
        return []
    if not isinstance(found, list) or not all(type(one) is dict for one in found):
        raise _wrong(form, name, "a list of objects")
    return found


def _wrong(form: dict[str, Json], name: str, what: str) -> UnexpectedAnswerError:
    return UnexpectedAnswerError(f"rule {str(form.get('id'))[:64]!r} in the answer: `{name}` is not {what}")
