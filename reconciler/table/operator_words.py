"""The words of a cell before a value, by operator: those that cxroute writes, and those that people write instead."""

import re
from collections.abc import Iterable, Mapping
from typing import Final

from reconciler.model.rule import EXISTENCE, RANGES
from reconciler.text.phrases import VERBS

PLAIN_EQUALITY: Final = ""
"""The word before a value alone, as in `gold`."""

_EQUALITIES: Final = {"equals": "exactly", "notEquals": "not"}
LISTS: Final = {"in": "one of", "notIn": "none of"}
EXISTENCE_WORDS: Final = {"exists": "present", "notExists": "missing"}
WORDS: Final[Mapping[str, str]] = VERBS | _EQUALITIES | LISTS | EXISTENCE_WORDS | {"between": "between"}
"""The word that cxroute writes, by operator."""

OPERATORS: Final[Mapping[str, str]] = {word: operator for operator, word in WORDS.items()} | {PLAIN_EQUALITY: "equals"}
"""The operator of each word that cxroute reads."""

_SIGNS: Final = {
    "equals": ("=", "=="),
    "notEquals": ("!=", "<>", "=!", "≠"),
    "greaterThan": (">",),
    "greaterThanOrEqual": (">=", "=>", "≥", "≧", "⩾", "> ="),
    "lessThan": ("<",),
    "lessThanOrEqual": ("<=", "=<", "≤", "≦", "⩽", "< ="),
}
_PHRASES: Final = {
    "equals": ("is", "equals", "equal to", "is equal to", "is exactly", "exactly"),
    "notEquals": (
        *("is not", "isn't", "isnt", "not", "not equal to", "is not equal to", "does not equal", "other than"),
        "unequal to",
    ),
    "in": ("is one of", "one of", "any of", "is any of", "either", "is either", "is in"),
    "notIn": ("is none of", "none of", "not one of", "is not one of", "not in", "is not in", "neither", "not any of"),
    "greaterThan": (
        *("more than", "greater than", "higher than", "bigger than", "larger than", "is more than"),
        *("is greater than", "above", "over", "exceeds", "is above", "is over"),
    ),
    "greaterThanOrEqual": (
        *("at least", "is at least", "min", "min.", "minimum", "from", "not less than", "no less than", "not below"),
        *(
            "greater than or equal to",
            "greater or equal to",
            "greater or equal",
            "more than or equal to",
        ),
    ),
    "lessThan": (
        *("less than", "lower than", "smaller than", "is less than", "is lower than", "fewer than", "below"),
        *("under", "is below", "is under"),
    ),
    "lessThanOrEqual": (
        *("at most", "is at most", "max", "max.", "maximum", "up to", "no more than", "not more than", "not above"),
        *("less than or equal to", "less or equal to", "less or equal", "lower than or equal to", "not over"),
    ),
    "contains": ("contains", "includes"),
    "notContains": ("does not contain", "not contains", "doesn't contain", "does not include"),
    "startsWith": ("starts with", "begins with", "start with"),
    "notStartsWith": ("does not start with", "not starts with", "does not begin with", "doesn't start with"),
    "endsWith": ("ends with", "end with"),
    "notEndsWith": ("does not end with", "not ends with", "doesn't end with"),
    "exists": ("present", "is present", "exists", "not missing", "is not missing", "not empty", "is set"),
    "notExists": (
        *("missing", "is missing", "not present", "is not present", "does not exist", "empty", "is empty", "blank"),
        *("absent", "is absent", "not set", "is not set", "not exists"),
    ),
}

SYNONYMS: Final[Mapping[str, str]] = {
    word: operator for words in (_SIGNS, _PHRASES) for operator, each in words.items() for word in each
}
"""The operator of each sign and phrase that people write, in lower case."""


def any_of(words: Iterable[str]) -> str:
    """Return a pattern of any of the words, the longest first."""
    return "|".join(map(re.escape, sorted(words, key=len, reverse=True)))


OPENINGS: Final = re.compile(
    rf"(?:{any_of(word for word in OPERATORS if word[:1].isalpha())})(?![\w.-])|[<>]=?|[≥≤]", re.ASCII
)
"""The start of a condition with a word or a sign."""

_EXISTENCE: Final = (*_PHRASES["exists"], *_PHRASES["notExists"])
_BEFORE_NUMBERS: Final = ("in", *(word for operator in RANGES for word in _PHRASES.get(operator, ())))
_BEFORE_VALUES: Final = tuple(word for word, each in SYNONYMS.items() if each not in RANGES | EXISTENCE)
SYNONYM_OPENINGS: Final = re.compile(
    rf"(?:{any_of(word for word in _BEFORE_VALUES if word[0].isalpha())})(?![\w.'-])"
    rf"|(?:{any_of(_EXISTENCE)})$|(?:{any_of(_BEFORE_NUMBERS)})(?= ?[\d.,+%-])",
    re.IGNORECASE,
)
"""The start of a text that states a condition in other words than cxroute reads."""
