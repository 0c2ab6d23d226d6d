"""Strict JSON without NaN and infinity, and parts of JSON from outside, whose types are not
known.
"""

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NoReturn


def refuse_constant(text: str) -> NoReturn:
    """Refuse NaN and Infinity. Raises ValueError."""
    raise ValueError(text)


def parse_finite(text: str) -> float:
    """Return a number.

    Raises ValueError for a number such as 1e999, which Python reads as infinity.
    """
    number = float(text)
    return number if math.isfinite(number) else refuse_constant(text[:40])


STRICT_DECODER: Final = json.JSONDecoder(
    parse_constant=refuse_constant,
    parse_float=parse_finite,
)
_MAX_ITEMS: Final = 1000  # of a list; further ones are ignored


def is_deep(value: dict[str, Any] | list[Any], levels: int) -> bool:
    """Return whether lists and objects are nested more than so many levels deep, the value itself
    included.
    """
    parts = value.values() if type(value) is dict else value
    for part in parts:
        if type(part) is not dict and type(part) is not list:
            continue
        if levels == 1 or is_deep(part, levels - 1):
            return True
    return False


def find_members(data: object, path: str) -> list[Any]:
    """Return the values at a path (`_links.next`, `errors[].message`, `.`): one for each item of a
    list, or none.
    """
    members: list[Any] = [data]
    if path == ".":
        return members
    for step in path.split("."):
        name = step.removesuffix("[]")
        members = [
            member[name]
            for member in members
            if isinstance(member, dict) and name in member
        ]
        if name != step:
            lists = [member for member in members if isinstance(member, list)]
            members = []
            for items in lists:
                members += items[:_MAX_ITEMS]
    return members


def find_member(data: object, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return the value at a path without lists, or None."""
    members = find_members(data, path)
    return members[0] if members else None


def parse_object(content: str | bytes) -> dict[str, Any]:
    """Return the JSON object in a text (bytes are UTF-8); an empty one in place of another text."""
    try:
        text = content if isinstance(content, str) else content.decode()
        return as_object(json.loads(text))
    except (ValueError, RecursionError):
        return {}


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one in place of another value."""
    return value if isinstance(value, dict) else {}


def list_objects(form: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list in a JSON object."""
    items = form.get(name)
    if not isinstance(items, list):
        return []
    return [item for item in items if isinstance(item, dict)]


def as_text(value: object) -> str:
    """Return a text; an empty one in place of another value."""
    return value if isinstance(value, str) else ""


def text_at(value: object, *names: str) -> str:
    """Return the text at a path into JSON objects; an empty one in place of another value, or where
    the path ends.
    """
    for name in names:
        value = as_object(value).get(name)
    return as_text(value)


def number_at(form: Mapping[str, Any], name: str) -> int:
    """Return an integer of a JSON object; 0 in place of another value."""
    value = form.get(name)
    return value if type(value) is int else 0


def moment_at(form: Mapping[str, Any], name: str) -> datetime | None:
    """Return a time of a JSON object, with its zone; None in place of another value."""
    try:
        moment = datetime.fromisoformat(as_text(form.get(name)))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


_JSON_WIDTH: Final = 80  # columns of a line


def indented_json(value: Any, indent: int = 0, before: int = 0) -> str:  # noqa: ANN401 - any JSON
    """Return JSON with one member a line, and lists on one line if they fit and hold no object."""
    # `before` is the number of columns in front of the value in its line, and behind it a comma may
    # follow.
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value:
        return line
    inner = indent + 2
    margin = " " * inner
    end = " " * indent
    if isinstance(value, dict):
        members = []
        for name, member in value.items():
            head = f"{margin}{json.dumps(name, ensure_ascii=False)}: "
            members.append(f"{head}{indented_json(member, inner, len(head))}")
        return "\n".join(["{", ",\n".join(members), f"{end}}}"])

    holds_object = any(isinstance(item, dict) and item for item in value)
    if not holds_object and before + len(line) < _JSON_WIDTH:
        return line
    items = [f"{margin}{indented_json(item, inner, inner)}" for item in value]
    return "\n".join(["[", ",\n".join(items), f"{end}]"])
