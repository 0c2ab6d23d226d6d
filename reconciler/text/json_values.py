"""Parts of JSON from outside, whose types are not known."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any


def parse_object(content: str | bytes) -> dict[str, Any]:
    """Return the JSON object in a text (bytes are UTF-8); an empty one in place of another text."""
    try:
        return as_object(json.loads(content if isinstance(content, str) else content.decode()))
    except (ValueError, RecursionError):
        return {}


def as_object(value: object) -> dict[str, Any]:
    """Return a JSON object; an empty one in place of another value."""
    return value if isinstance(value, dict) else {}


def list_objects(form: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """Return the objects of a list in a JSON object."""
    items = form.get(name)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def as_text(value: object) -> str:
    """Return a text; an empty one in place of another value."""
    return value if isinstance(value, str) else ""


def text_at(value: object, *names: str) -> str:
    """Return the text at a path into JSON objects; an empty one in place of another value, or where the path ends."""
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
