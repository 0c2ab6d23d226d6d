"""Names from outside as they may stand in a message, and the nearest known one where a name is unknown."""

from __future__ import annotations

from difflib import get_close_matches
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_LONGEST: Final = 64
_MOST: Final = 300
_LONGEST_NAME: Final = 60


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean "queue"?`, or nothing where no known name is near. Bounded: names come from outside."""
    near = _nearest(name, tuple(known)[:_MOST]) if len(name) <= _LONGEST else ""
    return f"did you mean {named(near)}?" if near else ""


@lru_cache(maxsize=1024)
def _nearest(name: str, known: tuple[str, ...]) -> str:
    """Prefer the same name in another case (`minconfidence`, `Queue`), then the one with the most in common."""
    folded = {one.casefold(): one for one in reversed(known) if len(one) <= _LONGEST}
    close = get_close_matches(name.casefold(), folded, n=1)
    return folded[close[0]] if close else ""


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
