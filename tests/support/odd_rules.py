"""Valid but odd live rules of a tenant: huge, tiny, deep, empty, of odd types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tests.support.hostile_names import HOSTILE_NAMES

HUGE: Final = 10**400
LONG_NUMBER: Final = int("7" * 500)
LONGEST_NUMBER: Final = int("7" * 4300)
UNKNOWN: Final = {"type": "skillLevel", "minimum": 3}
UNKNOWN_TEXT: Final = '{"minimum":3,"type":"skillLevel"}'
DEEP: Final[Any] = {
    "type": "odd",
    "value": [[[[[[[[[[[[[[[[[[[[{"a": [[[[[[[[{}]]]]]]]]}]]]]]]]]]]]]]]]]]]]],
}
NUMBERS: Final[dict[str, Any]] = {
    "10**400": HUGE,
    "-10**400": -HUGE,
    "500 digits": LONG_NUMBER,
    "4,300 digits": LONGEST_NUMBER,
    "largest float": 1.7976931348623157e308,
    "smallest float": 5e-324,
    "minus zero": -0.0,
    "zero": 0,
    "half": 0.5,
    "negative": -7,
    "beyond 2**53": 2**53 + 1,
    "beyond 2**31": 2**31,
}
TEXTS: Final[dict[str, str]] = {
    **HOSTILE_NAMES,
    "prototype": "__proto__",
    "constructor": "constructor",
    "JSON": '{"a": 1}',
    "condition's JSON": UNKNOWN_TEXT,
    "number": "0.93",
    "500 digits": "9" * 500,
    "long": "x" * 70_000,
    "longest": "y" * 6_000_000,
    "variable": "${x} $$ $",
    "null word": "null",
}


def asks(
    attribute: Any = "intent", operator: Any = "equals", value: Any = "x"
) -> dict[str, Any]:
    return {
        "type": "attribute",
        "attributeName": attribute,
        "operator": operator,
        "value": value,
    }


def goes(queue: Any = "q1", weight: Any = 1, **more: Any) -> dict[str, Any]:
    return {"type": "queue", "queueId": queue, "weight": weight, **more}


def rule(name: str, **more: Any) -> dict[str, Any]:
    fields = {
        "description": "by hand",
        "priority": 5,
        "enabled": True,
        "conditions": [asks()],
        "targets": [goes()],
    }
    return {"id": f"odd {name}", "name": name, **fields, **more}


def odd_rules() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the odd property of a rule, and the rule."""
    yield from _odd_numbers()
    yield from _odd_texts()
    yield from _odd_parts()


def _odd_numbers() -> Iterator[tuple[str, dict[str, Any]]]:
    for subject, number in NUMBERS.items():
        yield f"priority {subject}", rule(f"priority {subject}", priority=number)
        yield (
            f"weight {subject}",
            rule(f"weight {subject}", targets=[goes("q1", number), goes("q2", 1.5)]),
        )
        yield (
            f"only weight {subject}",
            rule(f"only weight {subject}", targets=[goes("q1", number)]),
        )
        for operator in ("equals", "greaterThan", "lessThanOrEqual", "notEquals"):
            name = f"{operator} {subject}"
            yield (
                name,
                rule(name, conditions=[asks("confidence", operator, number), asks()]),
            )
        name = f"between {subject}"
        yield (
            name,
            rule(name, conditions=[asks("confidence", "between", [0.1, number])]),
        )
        name = f"in {subject}"
        yield (
            name,
            rule(
                name,
                conditions=[asks("confidence", "in", [0.1, number, str(number)[:400]])],
            ),
        )
        name = f"field {subject}"
        yield (
            name,
            rule(name, version=number, conditions=[{"type": "odd", "value": number}]),
        )


def _odd_texts() -> Iterator[tuple[str, dict[str, Any]]]:
    for subject, text in TEXTS.items():
        yield f"name {subject}", {**rule(text), "id": f"name {subject}"}
        yield f"description {subject}", rule(f"description {subject}", description=text)
        for operator in ("equals", "contains", "notStartsWith", "in", "exists"):
            name = f"{operator} {subject}"
            value = [text] if operator == "in" else text
            yield name, rule(name, conditions=[asks("intent", operator, value)])
        yield (
            f"attribute {subject}",
            rule(f"attribute {subject}", conditions=[asks(text), UNKNOWN]),
        )
        yield (
            f"operator {subject}",
            rule(f"operator {subject}", conditions=[asks("intent", text)]),
        )
        yield f"queue {subject}", rule(f"queue {subject}", targets=[goes(text)])
        yield f"target {subject}", rule(f"target {subject}", targets=[{"type": text}])
        yield (
            f"field {subject}",
            rule(f"field {subject}", **{text[:100]: {text[:100]: text}}),
        )


def _odd_parts() -> Iterator[tuple[str, dict[str, Any]]]:
    odd: dict[str, list[dict[str, Any]]] = {
        "nothing": [],
        "empty objects": [{}, {}],
        "unknown": [UNKNOWN],
        "unknown beside its JSON": [UNKNOWN, asks(UNKNOWN_TEXT)],
        "unknown twice": [UNKNOWN, UNKNOWN],
        "deep": [DEEP],
        "no value": [
            {"type": "attribute", "attributeName": "intent", "operator": "equals"}
        ],
        "null": [asks(None, None, None)],
        "lists": [asks(["a"], ["b"], ["c"])],
        "objects": [asks({"a": 1}, {"b": 1}, {"c": 1})],
        "flags": [
            asks("vip", "equals", True),
            asks("vip", "in", [True, False, "true"]),
        ],
        "flag as number": [asks("confidence", "greaterThan", True)],
        "empty list": [asks("intent", "in", [])],
        "empty range": [asks("confidence", "between", [0.9, 0.1])],
        "mixed list": [asks("intent", "in", [1, "1", 1.0, True, "true"])],
        "long list": [asks("intent", "in", [f"i{number}" for number in range(3000)])],
        "many": [asks(f"a{number}", "exists") for number in range(12)],
        "contradiction": [asks("intent", "exists"), asks("intent", "notExists")],
    }
    for subject, conditions in odd.items():
        yield (
            f"conditions: {subject}",
            rule(f"conditions {subject}", conditions=conditions),
        )
    targets: dict[str, Any] = {
        "nothing": [],
        "absent": None,
        "empty objects": [{}],
        "unknown": [UNKNOWN, goes()],
        "deep": [DEEP],
        "null": [goes(None, None)],
        "texts": [goes("q1", "1")],
        "twice": [goes(), goes()],
        "zero": [goes("q1", 0)],
        "many": [goes(f"q{number}") for number in range(300)],
    }
    for subject, parts in targets.items():
        yield f"targets: {subject}", rule(f"targets {subject}", targets=parts)
    yield "no description", rule("no description", description=None)
    yield "fields alone", {"id": "fields alone", "name": "fields alone", "priority": 1}
