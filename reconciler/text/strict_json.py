"""Strict JSON without NaN and infinity, and members by their path: `_links.next`, `errors[].message`, `.`."""

import json
import math
from typing import Any, Final, NoReturn


def refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity. Raises ValueError."""
    raise ValueError(text)


def parse_finite(text: str) -> float:
    """Return a number. Raises ValueError for a number such as 1e999, which Python reads as infinity."""
    number = float(text)
    return number if math.isfinite(number) else refuse_constant(text[:40])


STRICT_DECODER: Final = json.JSONDecoder(parse_constant=refuse_constant, parse_float=parse_finite)
_MAX_ITEMS: Final = 1000  # of a list; further ones are ignored


def is_deep(value: dict[str, Any] | list[Any], levels: int) -> bool:
    """Return whether lists and objects are nested more than so many levels deep, the value itself included."""
    for part in value.values() if type(value) is dict else value:
        if (type(part) is dict or type(part) is list) and (levels == 1 or is_deep(part, levels - 1)):
            return True
    return False


def find_members(data: object, path: str) -> list[Any]:
    """Return the values at a path, one for each item of a list; an empty list if the path does not exist."""
    members: list[Any] = [data]
    for step in () if path == "." else path.split("."):
        name = step.removesuffix("[]")
        members = [member[name] for member in members if isinstance(member, dict) and name in member]
        if name != step:
            members = [item for member in members if isinstance(member, list) for item in member[:_MAX_ITEMS]]
    return members


def find_member(data: object, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value at a path without lists, or None."""
    members = find_members(data, path)
    return members[0] if members else None
