"""Names from outside, as they may stand in a message."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

_INVISIBLE: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    "\ud800-\udfff\ufe00-\ufe0f\ufeff\uffa0\ufff0-\uffff\U000e0000-\U000e0fff]"
)
"""Control characters, C1, bidi controls, zero-width and other invisible ones, lone surrogates."""

_MAX_LENGTH: Final = 300
MAX_LISTED_ITEMS: Final = 8
_MAX_EXACT_FLOAT: Final = 1e16


def sanitize(text: str) -> str:
    """Return text from outside with everything invisible written as an escape, and cut to a readable length."""
    shown = escape_invisible(text)
    return shown if len(shown) <= _MAX_LENGTH else f"{shown[:_MAX_LENGTH]}..."


def escape_invisible(text: str) -> str:
    """Return text from outside with everything invisible written as an escape."""
    return _INVISIBLE.sub(_escape_match, text)


def quote(item: object) -> str:
    """Return a value as JSON, so that "10" and 10 differ; long lists are cut and counted."""
    if isinstance(item, list | tuple):
        shown = ", ".join(quote(one) for one in item[:MAX_LISTED_ITEMS])
        return f"[{shown} and {len(item) - MAX_LISTED_ITEMS} more]" if len(item) > MAX_LISTED_ITEMS else f"[{shown}]"
    whole = isinstance(item, float) and item.is_integer() and abs(item) < _MAX_EXACT_FLOAT
    written = sanitize(json.dumps(int(item) if whole and isinstance(item, float) else item, ensure_ascii=False))
    # Where it is cut, a text still ends in a quote: what stands after it is no part of it.
    return written if not isinstance(item, str) or written.endswith('"') else f'{written}"'


def pluralize(count: int, noun: str) -> str:
    """Return `1 rule`, `2 rules`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def join_limited(items: Sequence[str], limit: int) -> str:
    """Return `a, b, c and 26 more`."""
    more = f" and {len(items) - limit:,} more" if len(items) > limit else ""
    return f"{', '.join(items[:limit])}{more}"


def _escape_match(match: re.Match[str]) -> str:
    point = ord(match.group())
    return f"\\u{point:04x}" if point <= 0xFFFF else f"\\U{point:08x}"  # noqa: PLR2004 - the widest \u


_MAX_NAME_LENGTH: Final = 60


def quote_name(text: str) -> str:
    """Return a name from outside as it may stand in a message: in quotes, on one line, visible, not too long."""
    return f'"{shorten_name(text)}"'


def shorten_name(text: str) -> str:
    """Return the text on one line, visible, cut where it is long."""
    return escape_name(text[:_MAX_NAME_LENGTH]) + ("..." if len(text) > _MAX_NAME_LENGTH else "")


def escape_name(text: str) -> str:
    r"""Return the text with every character that does not print (controls, bidi marks) written as \uXXXX."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)


def to_one_line(text: str) -> str:
    """Return text from outside as one line without control characters."""
    return "".join(one if one.isprintable() else " " for one in text)
