"""Parts of JSON from outside, whose types are not known."""

from collections.abc import Mapping
from typing import Any


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
