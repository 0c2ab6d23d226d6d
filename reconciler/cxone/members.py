"""Members of an answer by their path: `_links.next`, `errors[].message`; a dot is the answer itself."""

from __future__ import annotations

from typing import Any, Final

_MOST: Final = 1000
"""Items of a list that are looked at."""


def members(form: object, path: str) -> list[Any]:
    """Return what stands at a path, once for each item where there are lists; nothing where there is no such member."""
    found: list[Any] = [form]
    for step in () if path == "." else path.split("."):
        name = step.removesuffix("[]")
        found = [one[name] for one in found if isinstance(one, dict) and name in one]
        if name != step:
            found = [item for one in found if isinstance(one, list) for item in one[:_MOST]]
    return found


def member(form: object, path: str) -> Any:  # noqa: ANN401 - any JSON
    """Return what stands at a path without lists; None where there is nothing."""
    found = members(form, path)
    return found[0] if found else None
