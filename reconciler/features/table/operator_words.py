"""The words of a cell before a value: those that cxroute reads, and those that it refuses."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.core.model.operators import RECORDS

PLAIN_EQUALITY: Final = ""
"""The word before a value alone, as in `gold`."""

WORDS: Final[Mapping[str, str]] = {record.name: record.cell for record in RECORDS}
"""The word that cxroute writes, by operator."""

OPERATORS: Final[Mapping[str, str]] = {
    **{word: operator for operator, word in WORDS.items()},
    PLAIN_EQUALITY: "equals",
}
"""The operator of each word that cxroute reads."""

_BEFORE_VALUES: Final = (
    *(
        "is",
        "isn't",
        "isnt",
        "not",
        "equals",
        "equal to",
        "unequal to",
        "exactly",
        "other than",
    ),
    *("one of", "any of", "either", "none of", "neither"),
    *("contains", "includes", "does not", "doesn't"),
    *("starts with", "start with", "begins with", "ends with", "end with"),
)
_BEFORE_NUMBERS: Final = (
    *(
        "at least",
        "min",
        "min.",
        "minimum",
        "from",
        "no less than",
        "exceeds",
        "above",
        "over",
    ),
    *("at most", "max", "max.", "maximum", "up to", "no more than"),
    *("more", "greater", "higher", "bigger", "larger"),
    *("less", "lower", "smaller", "fewer", "below", "under", "between", "in"),
)
_THAN: Final = r"(?: than)?(?: or equal(?: to)?)?"
_ALONE: Final = ("present", "exists", "missing", "empty", "blank", "absent")


def _any_of(words: Iterable[str]) -> str:
    """Return a pattern of any of the words, the longest first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


OPENINGS: Final = re.compile(
    rf"(?:{_any_of(word for word in OPERATORS if word[:1].isalpha())})(?![\w.-])|[<>]=?|[≥≤]",
    re.ASCII,
)
"""The start of a condition with a word or a sign."""

SYNONYM_OPENINGS: Final = re.compile(
    rf"(?:{_any_of(_BEFORE_VALUES)})(?![\w.'-])|(?:{_any_of(_ALONE)})$"
    rf"|(?:{_any_of(_BEFORE_NUMBERS)}){_THAN}(?= ?[\d.,+%-])",
    re.IGNORECASE,
)
"""The start of a text that states a condition in words that cxroute does not read."""
