"""Text from outside, safe to put into a message: one set of invisible characters, one way to escape
them.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, TypeVar

from reconciler.core.model.rule import integral_floats_as_ints

T = TypeVar("T")

_BLANK: Final = re.compile(
    "[\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
    # fillers, variation selectors, the object and the replacement character, some of them printable
    # to Python
)
MAX_NAME_LENGTH: Final = 60
MAX_ITEMS: Final = 8
_MAX_LENGTH: Final = 300
_MAX_MESSAGE_LENGTH: Final = (
    1_000  # of a sentence with several names, or with a command
)


def is_visible(text: str) -> bool:
    """Return whether a text has no invisible character: control, bidi, zero-width, space but " ",
    lone surrogate.
    """
    return text.isprintable() and not _BLANK.search(text)


def escape_invisible(text: str) -> str:
    r"""Return the text, uncut, with each invisible character written as \uXXXX or \UXXXXXXXX."""
    return text if is_visible(text) else "".join(map(_escape_character, text))


def sanitize(text: str, limit: int = _MAX_LENGTH) -> str:
    """Return the text with its invisible characters escaped, cut after `limit` characters."""
    escaped = escape_invisible(text)
    return escaped if len(escaped) <= limit else f"{escaped[:limit]}..."


def sanitize_message(text: str) -> str:
    """Return the message or the hint of a finding with its invisible characters escaped, cut after
    1,000 characters.
    """
    return sanitize(text, _MAX_MESSAGE_LENGTH)


def quote(item: object) -> str:
    """Return a value as JSON, so that "10" and 10 differ; long lists are cut and counted."""
    if isinstance(item, list | tuple):
        return f"[{join_first(item, MAX_ITEMS, quote)}]"
    quoted = sanitize(json.dumps(integral_floats_as_ints(item), ensure_ascii=False))
    # A cut text ends in a quote, too.
    if isinstance(item, str) and not quoted.endswith('"'):
        return f'{quoted}"'
    return quoted


def quote_name(text: str) -> str:
    """Return a name as JSON, cut after `MAX_NAME_LENGTH` characters."""
    if len(text) > MAX_NAME_LENGTH:
        text = f"{text[:MAX_NAME_LENGTH]}..."
    return quote(text)


def pluralize(count: int, noun: str) -> str:
    """Return `1 rule`, `2 rules`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def join_first(
    items: Sequence[T],
    limit: int,
    format_item: Callable[[T], str] = str,
) -> str:
    """Return `a, b, c and 26 more`."""
    listed = ", ".join(map(format_item, items[:limit]))
    if len(items) <= limit:
        return listed
    return f"{listed} and {len(items) - limit:,} more"


def join_all(
    items: Iterable[T],
    conjunction: str,
    format_item: Callable[[T], str] = str,
) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    *first, last = map(format_item, items)
    if not first:
        return last
    return f"{', '.join(first)} {conjunction} {last}"


def _escape_character(character: str) -> str:
    if is_visible(character):
        return character
    point = ord(character)
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 - the widest \u
