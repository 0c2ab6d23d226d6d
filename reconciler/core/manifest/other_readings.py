"""What other YAML tools read where a plain scalar is meant as a text.

YAML 1.1 (PyYAML, Ruby, many Go programs) and YAML 1.2 (ruamel, Prettier, editors) resolve more
plain scalars than cxroute, which reads only `true`, `false`, `null` and JSON's numbers as another
type.
"""

import re
from typing import Final

_BOOLEANS: Final = {
    "true": ("true", "yes", "on", "y"),
    "false": ("false", "no", "off", "n"),
}
_WORDS: Final[dict[str, str]] = {
    form: reading
    for reading, words in {**_BOOLEANS, "null": ("null", "~")}.items()
    for word in words
    for form in (word, word.capitalize(), word.upper())
} | {"=": "a mark of YAML", "<<": "a mark of YAML"}

_FIRST_OF_NUMBERS: Final = frozenset("-+.0123456789")
_NUMBER: Final = re.compile(
    r"""
    [-+]?(?:
        0b[01_]+                                          # binary
      | 0x[0-9a-f_]+                                      # hexadecimal
      | 0o?[0-7_]+                                        # octal
      | [0-9]+(?:,[0-9]+)+                                # with separators, as Ruby reads it
      | [1-9][0-9_]*(?::[0-5]?[0-9])+                     # to the base 60: 1:30
      | [0-9_]+(?::[0-5]?[0-9])+\.[0-9_]*
      | (?:[0-9_]+(?:\.[0-9_]*)?|\.[0-9_]+)(?:e[-+]?[0-9]+)?
      | \.inf
      | \.nan
    )
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)
_EXPONENT_OF_YAML_1_1: Final = re.compile(r"-?[0-9]+\.[0-9]*[eE][-+][0-9]+", re.ASCII)
_DATE: Final = re.compile(
    r"""
    [0-9]{4}-[0-9]{1,2}-[0-9]{1,2}
    (?:
        (?:t|[ \t]+)
        [0-9]{1,2}:[0-9]{2}:[0-9]{2}
        (?:\.[0-9]*)?
        (?:[ \t]*(?:z|[-+][0-9]{1,2}(?::?[0-9]{2})?))?
    )?
    """,
    re.ASCII | re.IGNORECASE | re.VERBOSE,
)


def other_reading(text: str) -> str:
    """Return what other YAML tools read for a plain scalar, in words; "" if all of them read a
    text.
    """
    if not text:
        return "null"
    if text[0] not in _FIRST_OF_NUMBERS:
        return _WORDS.get(text, "")
    if _NUMBER.fullmatch(text):
        return "a number"
    return "a date" if _DATE.fullmatch(text) else ""


def is_text_elsewhere(number: str) -> bool:
    """Return whether other YAML tools read a text for a decimal number of cxroute.

    YAML 1.1 wants a point before the exponent, and a sign after its letter: 1.0e+3, not 1e3.
    """
    has_exponent = "e" in number or "E" in number
    return has_exponent and not _EXPONENT_OF_YAML_1_1.fullmatch(number)


def is_split_in_brackets(text: str) -> bool:
    """Return whether other YAML tools end a plain scalar inside of brackets before its end.

    Only YAML 1.2 allows a question mark there.
    """
    return "?" in text
