"""The undocumented facts about comparisons in Studio, as the combinations that are possible."""

from collections.abc import Iterable, Mapping
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


PLAIN: Final = Dialect(case_sensitive=True, trims_blanks=False, digit_text_is_number=False, mixed_is_zero=False)
"""The dialect that compares texts as rules do."""
BROAD: Final = PLAIN._replace(case_sensitive=False, trims_blanks=True)
"""The dialect in which all texts are equal that are equal in any dialect."""


def possible_dialects(facts: Mapping[str, bool]) -> tuple[Dialect, ...]:
    """Return the dialects that the facts do not rule out, PLAIN first; an absent fact is unknown."""
    choices = [(facts[name],) if name in facts else (each, not each) for name, each in zip(FACTS, PLAIN, strict=True)]
    return tuple(Dialect(*choice) for choice in product(*choices))


def differing_on_texts(dialects: Iterable[Dialect]) -> tuple[Dialect, ...]:
    """Return one dialect of those that compare texts alike: a block compares numbers in the same way in all."""
    return tuple({each[:2]: each for each in reversed([*dialects])}.values())[::-1]


def text_key(dialect: Dialect, text: str) -> str:
    """Return a key of a text: texts with one key are equal in the dialect."""
    text = text.strip() if dialect.trims_blanks else text
    return text if dialect.case_sensitive else text.casefold()


def describe_dialect(dialect: Dialect) -> str:
    """Return the facts of a dialect that differ from PLAIN, as in manifests."""
    facts = [(name, fact) for name, fact, plain in zip(FACTS, dialect, PLAIN, strict=True) if fact != plain]
    return ", ".join(f"{name}: {str(fact).lower()}" for name, fact in facts) or "any dialect"
