"""Names from outside, as they may stand in a message."""

from __future__ import annotations

from typing import Final

_LONGEST_NAME: Final = 60


def named(text: str) -> str:
    """Return a name from outside as it may stand in a message: in quotes, on one line, visible, not too long."""
    return f'"{short(text)}"'


def short(text: str) -> str:
    """Return the text on one line, visible, cut where it is long."""
    return visible(text[:_LONGEST_NAME]) + ("..." if len(text) > _LONGEST_NAME else "")


def visible(text: str) -> str:
    r"""Return the text with every character that does not print (controls, bidi marks) written as \uXXXX."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else f"\\u{ord(one):04x}" for one in text)
