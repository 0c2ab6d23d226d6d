"""`${name}` in rules and route tests: an environment's `vars` filled in, and what a field that is not text takes.

A short manifest may name a long variable often, so text is bounded while it is filled in.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.model.rule import LARGEST_WEIGHT, Json, number
from reconciler.text.escape import quote_name
from reconciler.text.files import KIB, MIB

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


LONGEST_NAME: Final = KIB
"""Bytes of a rule's name in UTF-8, as all that follow."""
LONGEST_TEXT: Final = 64 * KIB
"""Bytes of any other text, and of a list of texts."""
OF_A_FILE: Final = 5 * MIB
"""Bytes of all texts that are filled in for one file."""
OF_ALL_FILES: Final = 64 * MIB

_ITEM: Final = 16
"""Bytes that each item of a list counts for, besides its text: of numbers, too, a file may not ask for millions."""

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
WEIGHT: Final = Kind(
    f"a number from 0 to {LARGEST_WEIGHT:.0e}", lambda value: _is_number(value) and 0 <= value <= LARGEST_WEIGHT
)
FLAG: Final = Kind("true or false", lambda value: isinstance(value, bool))


class TooMuchTextError(Exception):
    """The variables of one file, or of all files, make more text than is allowed."""


class TextBudget:
    """How much text may still be filled in for one file; `rest` is that of all files."""

    def __init__(self, limit: int = OF_A_FILE, rest: TextBudget | None = None) -> None:
        self._limit, self._left, self._rest = limit, limit, rest

    def take(self, value: Json) -> None:
        """Count a value that was filled in. Raises TooMuchTextError."""
        self._left -= size(value) + (_ITEM * len(value) if isinstance(value, tuple) else 0)
        if self._left < 0:
            whose = "all files together" if self._limit == OF_ALL_FILES else "this file"
            raise TooMuchTextError(f"the variables in {whose} make more than {self._limit // MIB} MiB of text")
        if self._rest is not None:
            self._rest.take(value)


def size(value: Json) -> int:
    """Return the bytes of a text, or of a list's texts; a number counts as none."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    return sum(map(size, value)) if isinstance(value, tuple) else 0


def fill(text: str, variables: Mapping[str, Json], limit: int = LONGEST_TEXT) -> Json:
    """Replace `${name}` by the variable and `$$` by a dollar; a variable that is the whole text keeps its own type.

    Raises KeyError with the name that is not there, and ValueError where a list stands inside a text, or where more
    bytes than the limit would be filled in.
    """
    if whole := _WHOLE.fullmatch(text):
        return _bounded(variables[whole[1]], limit)
    if "${" in _VARIABLE.sub("", text):
        raise KeyError(text[text.index("${") :])
    left = limit

    def replaced(found: re.Match[str]) -> str:
        nonlocal left
        value = "$" if found.group() == "$$" else _text(found[1], variables[found[1]])
        left -= size(value)
        if left < 0:
            raise too_long(limit)
        return value

    return _bounded(_VARIABLE.sub(replaced, text), limit)


def too_long(limit: int) -> ValueError:
    """Return the error of a text that is longer than so many bytes."""
    return ValueError(f"this text, filled in, is longer than {limit // KIB} KiB; shorten it or its variables")


def _bounded(value: Json, limit: int) -> Json:
    if size(value) > limit:
        raise too_long(limit)
    return value


def _text(name: str, value: Json) -> str:
    """Return a variable's value as it stands inside a text."""
    if isinstance(value, tuple):
        raise ValueError(f"the variable {name!r} is a list, and cannot be part of a text")  # noqa: TRY004 - a value's
    return value if isinstance(value, str) else json.dumps(value)


def shown(value: Json) -> str:
    """Say a variable's value: the text "x", 5, true, a list."""
    if isinstance(value, tuple):
        return "a list"
    return f"the text {quote_name(value)}" if isinstance(value, str) else json.dumps(value)


def unquoted_hint(value: Json, kind: Kind) -> str:
    """Say how to write a variable whose text would be right without its quotes."""
    try:
        fits = isinstance(value, str) and kind.fits(number(value))
    except ValueError:
        fits = False
    return "write the variable's value without quotes" if fits else ""
