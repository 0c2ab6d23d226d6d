"""`${name}` in rules and route tests: an environment's `vars` filled in, within a byte budget."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from reconciler.core.model.rule import MAX_WEIGHT, Json
from reconciler.core.text.escape import quote_name
from reconciler.core.text.files import KIB

MAX_NAME_BYTES: Final = (
    KIB  # bytes of a rule's name in UTF-8; the other limits count in the same way
)
MAX_TEXT_BYTES: Final = 64 * KIB  # bytes of any other text, and of a list of texts

_SINGLE_VARIABLE: Final = re.compile(r"\$\{([^{}]*)\}")
_VARIABLE: Final = re.compile(r"\$(?:\$|\{([^{}]*)\})")


class FieldType(NamedTuple):
    """The requirement of a field that is not text, in words and as a check."""

    requirement: str
    accepts: Callable[[Json], bool]


def _is_number(value: Json, highest: float) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and 0 <= value <= highest
    )


PRIORITY: Final = FieldType(
    "an integer", lambda value: type(value) is int and -(2**31) <= value < 2**31
)
SHARE: Final = FieldType("a number from 0 to 1", lambda value: _is_number(value, 1))
PERCENT: Final = FieldType(
    "a number from 0 to 100", lambda value: _is_number(value, 100)
)
WEIGHT: Final = FieldType(
    f"a number from 0 to {MAX_WEIGHT:.0e}", lambda value: _is_number(value, MAX_WEIGHT)
)
FLAG: Final = FieldType("true or false", lambda value: isinstance(value, bool))
SCALAR: Final = FieldType(
    "a text, a number, true or false",
    lambda value: isinstance(value, str | bool | int | float),
)
TEXTS: Final = FieldType(
    "a list of one or more texts",
    lambda value: isinstance(value, tuple) and {*map(type, value)} == {str},
)


def text_size(value: Json) -> int:
    """Return the bytes of a text, or of a list's texts; 0 for a number."""
    if isinstance(value, tuple):
        return sum(map(text_size, value))
    if not isinstance(value, str):
        return 0
    if value.isascii():
        return len(value)
    return len(value.encode("utf-8", "surrogatepass"))


def fill_variables(
    text: str, variables: Mapping[str, Json], limit: int = MAX_TEXT_BYTES
) -> Json:
    """Replace `${name}` by its variable and `$$` by a dollar; a text `${name}` keeps the type.

    KeyError, ValueError.
    """
    single = _SINGLE_VARIABLE.fullmatch(text)
    if single:
        value = variables[single[1]]
        _check_size(text_size(value), limit)
        return value
    if "${" in _VARIABLE.sub("", text):
        raise KeyError(text[text.index("${") :])
    size = 0

    def replacement(match: re.Match[str]) -> str:
        nonlocal size
        value = "$"
        if match[0] != "$$":
            name = match[1]
            value = _variable_text(name, variables[name])
        size += text_size(value)
        _check_size(size, limit)
        return value

    filled = _VARIABLE.sub(replacement, text)
    _check_size(text_size(filled), limit)
    return filled


def _check_size(size: int, limit: int) -> None:
    if size > limit:
        raise ValueError(
            f"this text with its variables is longer than {limit // KIB} KiB; shorten it or its "
            f"variables"
        )


def _variable_text(name: str, value: Json) -> str:
    if isinstance(value, tuple):
        raise ValueError(  # noqa: TRY004 - a value's
            f"the variable {name!r} is a list and cannot be part of a text"
        )
    return value if isinstance(value, str) else json.dumps(value)


def describe_value(value: Json) -> str:
    """Return a variable's value in words: the text "x", 5, true, a list."""
    if isinstance(value, tuple):
        return "a list"
    return (
        f"the text {quote_name(value)}" if isinstance(value, str) else json.dumps(value)
    )
