"""A file's bytes -> text that every parser and editor takes alike (invariants R14)."""

from __future__ import annotations

import re
from typing import Final

from reconciler.manifest.text import Complaints, Text

LARGEST: Final = 5 * 1024 * 1024
"""Bytes of a file."""

_FORBIDDEN: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_LONE_RETURN: Final = re.compile(r"\r(?!\n)")
_MOST_FORBIDDEN: Final = 20
_MOST_TAG_DIRECTIVES: Final = 100
_PLACEHOLDER: Final = "\ufffd"


class EndOfReadingError(Exception):
    """Nothing further in this file can be read with any certainty; the complaint is already made."""


def decoded(data: bytes, complaints: Complaints) -> str:
    """Return the text of UTF-8 bytes, without the mark that some editors put in front."""
    if len(data) > LARGEST:
        complaints.refuse("CXR002", 0, "the file is larger than 5 MiB", "split it into several files")
        raise EndOfReadingError
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        complaints.refuse("CXR001", 0, "the file is UTF-16, not UTF-8", "save it as UTF-8")
        raise EndOfReadingError
    try:
        return data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        complaints.text = Text(complaints.text.file, data[: error.start].decode().removeprefix("\ufeff"))
        byte = data[error.start]
        complaints.refuse(
            "CXR001", len(complaints.text.text), f"byte 0x{byte:02x} is not UTF-8", "save the file as UTF-8"
        )
        raise EndOfReadingError from error


def cleaned(complaints: Complaints) -> str:
    """Refuse characters that editors and parsers take differently, and put a harmless one in the place of each.

    A lone carriage return is one of them: a review shows one line where YAML sees two. Without these, the parser's
    lines are those that people see. %TAG lines are counted here since the parser's time grows with their square.
    """
    text = complaints.text.text
    for pattern in (_FORBIDDEN, _LONE_RETURN):
        for count, match in enumerate(pattern.finditer(text)):
            if count == _MOST_FORBIDDEN:
                complaints.refuse("CXR015", match.start(), "too many forbidden characters: is this a text file?")
                raise EndOfReadingError
            _refuse_character(match, complaints)
        text = pattern.sub(_PLACEHOLDER, text)
    if text.count("\n%TAG") > _MOST_TAG_DIRECTIVES:
        complaints.refuse(
            "CXR008", 0 if text.startswith("%TAG") else text.index("\n%TAG") + 1, "%TAG directives are refused"
        )
        raise EndOfReadingError
    return text


def _refuse_character(match: re.Match[str], complaints: Complaints) -> None:
    point = ord(match[0])
    name = f"the character U+{point:04X}" if match[0] != "\r" else "a carriage return without a line feed"
    hint = f'in a text, write it as "\\u{point:04x}" in double quotes'
    complaints.refuse("CXR015", match.start(), f"{name} may not stand in a manifest", hint)
