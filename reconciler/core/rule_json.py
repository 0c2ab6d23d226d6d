"""Mapping between JSON and the model. The only module that knows the API's form of a rule or queue.

A file holds a list of rules, or one page with all rules and, optionally, queues with id and name.
"""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, TypeGuard, TypeVar

from reconciler.core.behaviour.endpoint_stage import TableSettings
from reconciler.core.errors import UnexpectedResponseError, UsageError
from reconciler.core.model import rule as model
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import (
    LiveRule,
    Marker,
    format_description,
    parse_marker,
)
from reconciler.core.model.operators import OPERATORS
from reconciler.core.text.escape import sanitize
from reconciler.core.text.files import read_start
from reconciler.core.text.json_values import (
    STRICT_DECODER,
    as_object,
    is_deep,
    list_objects,
)

Json = Any
RulePart = TypeVar(
    "RulePart", model.Condition | model.Opaque, model.Target | model.Opaque
)
MAX_LEVELS = 64  # levels of lists and objects in a rule; known ones have three
MAX_FILE_BYTES: Final = 64 * 1024 * 1024  # bytes of a file: about 100,000 rules
_LIST_NAMES: Final = ("entities", "rules", "items")


def parse_live_rule(data: Json) -> LiveRule:
    """Return the rule in the data. Raises UnexpectedResponseError that names the invalid field."""
    if not isinstance(data, dict):
        raise UnexpectedResponseError("a rule in the response is not a JSON object")
    if is_deep(data, MAX_LEVELS):
        raise UnexpectedResponseError(f"{_subject(data)} is nested too deeply")
    rule_id = _require_text(data, "id")
    if not rule_id:
        raise _field_error(data, "id", "text")
    name = _require_text(data, "name")
    priority = data.get("priority")
    if not _is_number(priority):
        raise _field_error(data, "priority", "a number")
    description, marker = parse_marker(_description(data))
    enabled = data.get("enabled", True)
    if not isinstance(enabled, bool):
        raise _field_error(data, "enabled", "true or false")

    conditions = list(map(parse_condition, _list(data, "conditions")))
    targets = list(map(_target, _list(data, "targets")))
    rule = model.Rule(
        name=name,
        description=description,
        priority=priority,
        enabled=enabled,
        conditions=model.normalized_conditions(conditions),
        targets=model.sorted_targets(targets),
    )
    return LiveRule(rule_id, rule, marker, data)


def _require_text(data: dict[str, Json], name: str) -> str:
    text = data.get(name)
    if not isinstance(text, str):
        raise _field_error(data, name, "text")
    return text


def _description(data: dict[str, Json]) -> str:
    if data.get("description") is None:
        return ""
    return _require_text(data, "description")


def _is_number(value: Json) -> TypeGuard[int | float]:
    if isinstance(value, bool):
        return False
    return isinstance(value, int | float)


def is_text(text: str) -> bool:
    """Return whether a text can be written as UTF-8: JSON's escapes can hold half a character."""
    return text.isascii() or not any(
        "\ud800" <= character <= "\udfff" for character in text
    )


def parse_queue(data: Json) -> model.Queue:
    """Return the queue in an entry with canonical field names."""
    return model.Queue(data["id"], data["name"], data["active"])


def rule_body(
    rule: model.Rule, marker: Marker | None, raw: Mapping[str, Json] | None = None
) -> dict[str, Json]:
    """Return the body of a write; an update keeps every unknown field as it was read."""
    raw_fields = dict(raw or {})
    return {
        **raw_fields,
        "name": rule.name,
        "description": format_description(rule, marker),
        "priority": rule.priority,
        "enabled": rule.enabled,
        "conditions": _encode_parts(
            rule.conditions, raw_fields.get("conditions"), parse_condition
        ),
        "targets": _encode_parts(rule.targets, raw_fields.get("targets"), _target),
    }


def _encode_parts(
    parts: Sequence[RulePart], raw: Json, parse: Callable[[Json], RulePart]
) -> list[Json]:
    """Return parts as JSON; an unchanged part keeps its form as it was read, with unknown
    fields.
    """
    raw_parts = group_pairs(
        (parse(form), form) for form in (raw if isinstance(raw, list) else ())
    )
    return [
        raw_parts[part].pop(0) if raw_parts.get(part) else model.to_api_json(part)
        for part in parts
    ]


def parse_condition(form: Json) -> model.Condition | model.Opaque:
    """Return a condition; an opaque one where the operator is unknown, or cannot have the value."""
    if type(form) is dict and form.get("type") == "attribute":
        attribute = form.get("attributeName")
        operator = form.get("operator")
        if (
            isinstance(attribute, str)
            and isinstance(operator, str)
            and operator in OPERATORS
        ):
            with suppress(ValueError):
                return model.make_condition(attribute, operator, form.get("value"))
    return model.make_opaque(form)


def _target(form: Json) -> model.Target | model.Opaque:
    if type(form) is dict and form.get("type") == "queue":
        queue_id = form.get("queueId")
        weight = form.get("weight", 1)
        is_weight = _is_number(weight) and abs(weight) <= model.MAX_WEIGHT
        if is_weight and isinstance(queue_id, str):
            return model.Target(queue_id, weight)
    return model.make_opaque(form)


def _list(form: dict[str, Json], name: str) -> list[Json]:
    parts = form.get(name)
    if parts is None:
        return []
    if isinstance(parts, list) and all(type(part) is dict for part in parts):
        return parts
    raise _field_error(form, name, "a list of objects")


def _field_error(
    form: dict[str, Json], name: str, kind: str
) -> UnexpectedResponseError:
    return UnexpectedResponseError(f"{_subject(form)}: `{name}` is not {kind}")


def _subject(form: dict[str, Json]) -> str:
    rule_id = str(form.get("id"))[:64]
    return f"rule {rule_id!r} in the response"


@dataclass(frozen=True, slots=True)
class RulesFile:
    """Rules of a file, and names of queues by id, if the file holds them."""

    rules: tuple[LiveRule, ...]
    queues: Mapping[str, str]
    # Whether the file lists queues; otherwise only targets may name them.
    lists_queues: bool
    settings: TableSettings | None = None  # beside the rules, if the file has them


def read_file_text(path: str, problem: str) -> str:
    """Return the text of a file; `problem` is that of a file that is not text.

    Raises UsageError.
    """
    name = sanitize(path)
    try:
        data = read_start(path, MAX_FILE_BYTES + 1)
    except OSError as error:
        raise UsageError(f"cannot read {name}: {error.strerror}") from None
    if len(data) > MAX_FILE_BYTES:
        raise UsageError(f"{name}: larger than {MAX_FILE_BYTES // 2**20} MiB")
    is_utf16 = data.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    try:
        return data.decode("utf-16" if is_utf16 else "utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{name}: {problem}") from None


def read_rules_file(path: str) -> RulesFile:
    """Return the rules in a file. Raises UsageError that names the file and the problem."""
    name = sanitize(path)
    problem = (
        "not valid JSON; expected a list of rules, or one page as the API returns it"
    )
    try:
        content = STRICT_DECODER.decode(read_file_text(path, problem))
    except (ValueError, RecursionError):
        raise UsageError(f"{name}: {problem}") from None
    try:
        rules = tuple(parse_live_rule(rule) for rule in _find_rules(content, name))
    except UnexpectedResponseError as error:
        text = str(error).replace(" in the response", "")
        raise UsageError(f"{name}: {text}") from None
    for rule_id, count in Counter(rule.id for rule in rules).items():
        if count > 1:
            raise UsageError(f"{name}: two rules have the id {rule_id[:64]!r}")

    page = as_object(content)
    lists_queues = isinstance(page.get("queues"), list)
    return RulesFile(rules, _queue_names(rules, page), lists_queues)


def _queue_names(rules: Iterable[LiveRule], page: Mapping[str, Json]) -> dict[str, str]:
    """Return the names of queues by id: those that targets have, and those that a page lists."""
    pairs: list[tuple[Json, Json]] = []
    for rule in rules:
        targets = rule.raw.get("targets") or ()
        pairs += [
            (target.get("queueId"), target.get("queueName")) for target in targets
        ]
    queues = list_objects(page, "queues")
    pairs += [(queue.get("id"), queue.get("name")) for queue in queues]
    return {
        queue_id: name
        for queue_id, name in pairs
        if isinstance(queue_id, str) and isinstance(name, str)
    }


def _find_rules(content: Any, name: str) -> list[Any]:  # noqa: ANN401 - any JSON
    page = as_object(content)
    lists = (content, *(page.get(name) for name in _LIST_NAMES))
    rules = next((items for items in lists if isinstance(items, list)), None)
    if rules is None:
        raise UsageError(
            f"{name}: neither a list of rules nor a page with `entities`, `rules` or `items`"
        )
    total = page.get("total")
    if isinstance(total, int) and total != len(rules):
        raise UsageError(
            f"{name}: a page with {len(rules):,} of {total:,} rules; put all rules into one list"
        )
    # A handwritten rule may have no id: its position replaces it.
    return [
        {**rule, "id": f"#{number}"}
        if isinstance(rule, dict) and rule.get("id") is None
        else rule
        for number, rule in enumerate(rules, start=1)
    ]
