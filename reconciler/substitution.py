"""`${name}` in rules and route tests: an environment's `vars` filled in, and what a field that is not text takes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.manifest.names import named
from reconciler.model import number

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from reconciler.model import Json

_WHOLE: Final = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"\$(?:\$|\{([^{}]*)\})")


class Kind(NamedTuple):
    """What a field that is not text must be, and whether a value is that."""

    must: str
    fits: Callable[[Json], bool]


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


PRIORITY: Final = Kind("a whole number", lambda value: type(value) is int and -(2**31) <= value < 2**31)
SHARE: Final = Kind("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
WEIGHT: Final = Kind("a number, 0 or more", lambda value: _is_number(value) and value >= 0)
FLAG: Final = Kind("true or false", lambda value: isinstance(value, bool))


def fill(text: str, variables: Mapping[str, Json]) -> Json:
    """Replace `${name}` by the variable and `$$` by a dollar; a variable that is the whole text keeps its own type.

    Raises KeyError with the name that is not there, and ValueError where a list stands inside a text.
    """
    if whole := _WHOLE.fullmatch(text):
        return variables[whole[1]]
    if "${" in _VARIABLE.sub("", text):
        raise KeyError(text[text.index("${") :])
    return _VARIABLE.sub(lambda found: "$" if found.group() == "$$" else _text(found[1], variables[found[1]]), text)


def _text(name: str, value: Json) -> str:
    """Return a variable's value as it stands inside a text."""
    if isinstance(value, tuple):
        raise ValueError(f"the variable {name!r} is a list, and cannot be part of a text")  # noqa: TRY004 - a value's
    return value if isinstance(value, str) else json.dumps(value)


def shown(value: Json) -> str:
    """Say a variable's value: the text "x", 5, true, a list."""
    if isinstance(value, tuple):
        return "a list"
    return f"the text {named(value)}" if isinstance(value, str) else json.dumps(value)


def unquoted_hint(value: Json, kind: Kind) -> str:
    """Say how to write a variable whose text would be right without its quotes."""
    try:
        fits = isinstance(value, str) and kind.fits(number(value))
    except ValueError:
        fits = False
    return "write the variable's value without quotes" if fits else ""
