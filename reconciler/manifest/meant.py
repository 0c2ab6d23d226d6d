"""The condition that somebody most likely meant, in the manifest's form: for messages about other forms."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from reconciler.manifest.nearest import did_you_mean
from reconciler.manifest.yaml_text import flow
from reconciler.model import EXISTENCE, OPERATORS, SETS, number

if TYPE_CHECKING:
    from collections.abc import Mapping

EXAMPLE: Final = "{attribute: language, equals: fr}"
_LONGEST: Final = 120
_SIGNS: Final = {
    "==": "equals",
    "=": "equals",
    "!=": "notEquals",
    "<>": "notEquals",
    ">=": "greaterThanOrEqual",
    "<=": "lessThanOrEqual",
    ">": "greaterThan",
    "<": "lessThan",
}
_TEXT: Final = re.compile(rf"\s*([\w.-]+)\s*(==|!=|<>|>=|<=|=|>|<|\b(?:{'|'.join(sorted(OPERATORS))})\b)\s*(\S.*?)\s*")
_API: Final = frozenset({"type", "attribute", "attributeName", "operator", "value"})


def is_of_the_api(condition: Mapping[str, object]) -> bool:
    """Say whether a condition has the API's form, with its operator as a value."""
    return "operator" in condition and condition.keys() <= _API


def meant(value: object) -> str:
    """Return the condition that a text or a mapping of another form means; nothing where that is not known."""
    found = _of_text(value) if isinstance(value, str) else _of_mapping(value) if isinstance(value, dict) else None
    shown = flow(found) if found else ""
    return shown if len(shown) <= _LONGEST and shown.isprintable() else ""


def _of_text(text: str) -> dict[str, Any] | None:
    """Read `language == de`, `confidence >= 0.7`, `tier in [gold, platinum]`."""
    found = _TEXT.fullmatch(text[: _LONGEST + 1])
    if found is None:
        return None
    name, sign, operand = found.groups()
    operator = _SIGNS.get(sign, sign)
    listed = re.fullmatch(r"[\[(](.*)[\])]", operand)
    if operator in SETS:
        return {"attribute": name, operator: [_scalar(one) for one in (listed[1] if listed else operand).split(",")]}
    return (
        None
        if listed or operator in EXISTENCE or operator == "between"
        else {"attribute": name, operator: _scalar(operand)}
    )


def _scalar(text: str) -> str | int | float:
    bare = text.strip()
    if len(bare) > 1 and bare[0] == bare[-1] and bare[0] in "'\"":
        return bare[1:-1]
    try:
        return number(bare)
    except ValueError:
        return bare


def _of_mapping(form: Mapping[str, Any]) -> dict[str, Any] | None:
    """Read the API's form, `{language: de}`, and a condition as it should be."""
    if is_of_the_api(form):
        name, operator = form.get("attribute") or form.get("attributeName"), form["operator"]
        if isinstance(name, str) and isinstance(operator, str) and operator in OPERATORS:
            return {"attribute": name, operator: True if operator in EXISTENCE else form.get("value")}
        return None
    if "attribute" in form:
        return dict(form)
    if len(form) != 1:
        return None
    ((name, value),) = form.items()
    if name in OPERATORS or did_you_mean(name, OPERATORS) or isinstance(value, dict) or value is None:
        return None
    return {"attribute": name, ("in" if isinstance(value, list) else "equals"): value}
