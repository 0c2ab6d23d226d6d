"""What nobody documents about Studio's comparisons, as the combinations that are possible."""

from collections.abc import Mapping
from itertools import product
from typing import Final, NamedTuple

FACTS: Final = ("caseSensitive", "trimsBlanks", "digitTextIsNumber", "mixedIsZero")
"""The names of the facts in manifests and in the probe's result, in the order of a Dialect's fields."""


class Dialect(NamedTuple):
    """One combination of the facts."""

    case_sensitive: bool  # of `=`, `contains` and `beginswith`
    trims_blanks: bool  # of both sides of a comparison
    digit_text_is_number: bool  # text of digits, compared without `$`
    mixed_is_zero: bool  # a text that is not a number counts as 0 beside a number; else both are compared as text


def possible_dialects(facts: Mapping[str, bool]) -> tuple[Dialect, ...]:
    """Return the dialects that the facts do not rule out; an absent fact is unknown."""
    choices = [(facts[name],) if name in facts else (True, False) for name in FACTS]
    return tuple(Dialect(*choice) for choice in product(*choices))


def text_key(dialect: Dialect, text: str) -> str:
    """Return a key of a text: texts with one key are equal in the dialect."""
    text = text.strip() if dialect.trims_blanks else text
    return text if dialect.case_sensitive else text.casefold()
