"""Validation of a rule's body: every problem, each with its field."""

import re
from collections.abc import Iterator
from typing import Any, Final, TypeGuard, cast

from reconciler.core.model.operators import OPERATORS
from reconciler.features.practice.simulator.messages import ApiProblem, Json, is_number
from reconciler.features.practice.simulator.state import TenantState

MAX_NAME: Final = 256
MAX_DESCRIPTION: Final = 4096
DECIMAL: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")

_SCALARS: Final = {"name": str, "description": str, "priority": float, "enabled": bool}
_KINDS: Final = {str: "text", float: "a number", bool: "true or false"}


def rule_problems(body: Json, state: TenantState) -> list[ApiProblem]:
    """Return all problems of a rule's body."""
    if not isinstance(body, dict):
        return [ApiProblem("The body must be a rule", "invalid.type")]
    body = {"description": "", **body}
    scalars = [problem for name in _SCALARS for problem in _scalar_problems(body, name)]
    return [
        *scalars,
        *_list_problems(body, "conditions", state),
        *_list_problems(body, "targets", state),
    ]


def _scalar_problems(body: dict[str, Any], name: str) -> Iterator[ApiProblem]:
    kind = _SCALARS[name]
    value = cast("Any", body.get(name))
    if value is None and name != "description":
        yield ApiProblem(f"{name} is required", "missing.field", name)
    elif not (is_number(value) if kind is float else isinstance(value, kind)):
        yield ApiProblem(f"must be {_KINDS[kind]}", "invalid.type", name)
    elif name == "name" and (not value.strip() or len(value) > MAX_NAME):
        yield ApiProblem(f"must have 1 to {MAX_NAME} characters", "invalid.value", name)
    elif name == "description" and len(value) > MAX_DESCRIPTION:
        yield ApiProblem(
            f"must have {MAX_DESCRIPTION} characters at most",
            "invalid.value",
            name,
        )


def _list_problems(
    body: dict[str, Any],
    key: str,
    state: TenantState,
) -> Iterator[ApiProblem]:
    parts = body.get(key)
    if parts is None:
        yield ApiProblem(f"{key} is required", "missing.field", key)
    elif not isinstance(parts, list):
        yield ApiProblem("must be a list", "invalid.type", key)
    elif not parts and key == "targets":
        yield ApiProblem("must have 1 at least", "invalid.value", key)
    else:
        for index, part in enumerate(parts):
            path = f"{key}[{index}]"
            if not isinstance(part, dict):
                yield ApiProblem("must be an object", "invalid.type", path)
            elif not _in_use(part, key, state):
                is_condition = key == "conditions"
                yield from (
                    _condition_problems(part, path)
                    if is_condition
                    else _target_problems(part, path, state)
                )


def _in_use(part: dict[str, Any], key: str, state: TenantState) -> bool:
    # The tenant accepts a part of an unknown type if a live rule has it.
    if part.get("type") == "queue" or (
        part.get("type") == "attribute" and _is_operator(part.get("operator"))
    ):
        return False
    return any(part in (rule.get(key) or ()) for rule in state.rules())


def _condition_problems(part: dict[str, Any], path: str) -> Iterator[ApiProblem]:
    if part.get("type") != "attribute":
        yield ApiProblem("Unknown type of condition", "invalid.value", f"{path}.type")
        return
    if not isinstance(part.get("attributeName"), str) or not part["attributeName"]:
        yield ApiProblem(
            "attributeName is required",
            "missing.field",
            f"{path}.attributeName",
        )
    operator = part.get("operator")
    if not _is_operator(operator):
        yield ApiProblem("Unknown operator", "invalid.value", f"{path}.operator")
    elif not _is_comparable(operator, part.get("value")):
        yield ApiProblem(
            f"is not a value for {operator}",
            "invalid.value",
            f"{path}.value",
        )


def _is_operator(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and value in OPERATORS


def _is_comparable(operator: str, value: object) -> bool:
    """Return whether the operator can compare with the value (semantics S5, S7, S9)."""
    match OPERATORS[operator].kind:
        case "existence":
            return True
        case "equality":
            return _is_scalar(value)
        case "set":
            return isinstance(value, list) and all(map(_is_scalar, value))
        case "pattern":
            return isinstance(value, str)
        case "bound":
            return _is_numeric(value)
        case "interval":
            is_pair = isinstance(value, list) and len(value) == len(("low", "high"))
            return is_pair and all(map(_is_numeric, cast("list[object]", value)))


def _is_scalar(value: object) -> bool:
    return isinstance(value, (str, bool)) or is_number(value)


def _is_numeric(value: object) -> bool:
    return is_number(value) or (
        isinstance(value, str) and bool(DECIMAL.fullmatch(value))
    )


def _target_problems(
    part: dict[str, Any],
    path: str,
    state: TenantState,
) -> Iterator[ApiProblem]:
    if part.get("type") != "queue":
        yield ApiProblem("Unknown type of target", "invalid.value", f"{path}.type")
        return
    if all(queue["id"] != part.get("queueId") for queue in state.queues):
        yield ApiProblem("No such queue", "invalid.value", f"{path}.queueId")
    weight = part.get("weight")
    if not is_number(weight) or weight < 0:
        yield ApiProblem(
            "must be a number of 0 or more",
            "invalid.value",
            f"{path}.weight",
        )
