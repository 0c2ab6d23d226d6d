"""What of a live rule cannot be written in a manifest, and how texts are written there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from unicodedata import combining, normalize

from reconciler.regular_file import KIB
from reconciler.substitution import LONGEST_TEXT, size

if TYPE_CHECKING:
    from collections.abc import Container

    from reconciler.change import LiveRule

LONGEST_KEY: Final = 64
_NOT_IN_SLUGS: Final = re.compile(r"[^a-z0-9]+", re.ASCII)


class NotWritableError(Exception):
    """A live rule that no manifest can say; the message says why, as what follows "left out:"."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A live rule that is not exported, and why."""

    live: LiveRule
    reason: str


def escaped(text: str) -> str:
    """Return text as it stands in a manifest: a dollar is written twice, since `${name}` is a variable.

    Raises NotWritableError for a text that no manifest can hold.
    """
    if problem := unwritable(text):
        raise NotWritableError(f"it holds {problem}")
    return text.replace("$", "$$")


def unwritable(text: str) -> str:
    """Return why no manifest can hold a text; nothing where one can."""
    if size(text) > LONGEST_TEXT:
        return f"a text of more than {LONGEST_TEXT // KIB} KiB"
    return "half a character" if any("\ud800" <= one <= "\udfff" for one in text) else ""


def slugged(text: str) -> str:
    """Return a readable key made of a text, accents left out; may be empty."""
    letters = "".join(one for one in normalize("NFKD", text.casefold()) if not combining(one))
    return _NOT_IN_SLUGS.sub("-", letters).strip("-")[:LONGEST_KEY].strip("-")


def free(text: str, taken: Container[str]) -> str:
    """Return a key or alias that is not taken: the text itself, else with the lowest number that is free."""
    found, number = text, 1
    while found in taken:
        number += 1
        found = f"{text[: LONGEST_KEY - len(str(number)) - 1]}-{number}"
    return found
