"""Values -> readable YAML, which `yaml_reader` reads back as the same values.

Text is quoted only if `yaml_reader` or a YAML 1.2 editor would misread it, or if it has an invisible character.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.manifest.yaml_reader import parse_file
from reconciler.model.rule import integral_floats_as_ints

Json = Any

MAX_LINE_WIDTH: Final = 120  # characters of a line; a longer list is split

_PLAIN_WORDS: Final = re.compile(r"[^\W\d][\w./()-]*(?: [\w./()-]+)*")
_NOT_PLAIN_TEXT: Final = re.compile(
    r"[-?:=~]|<<|null|true|false|[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:e[-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-f]+|[-+]?\.inf|\.nan",
    re.ASCII | re.IGNORECASE,
)  # indicators, and text that YAML 1.2 editors read as null, a boolean or a number


def format_scalar(value: Json, style: str = "in flow") -> str:
    """Return text, a number, a boolean or null; `style` is `in flow` (valid everywhere) or `in block`."""
    if isinstance(value, str):
        return value if is_plain(value, style) else format_quoted(value)
    return json.dumps(integral_floats_as_ints(value))


def is_plain(text: str, style: str = "in flow") -> bool:
    """Return whether a text needs no quotes."""
    if not text.isprintable() or _NOT_PLAIN_TEXT.fullmatch(text):
        return False
    return _PLAIN_WORDS.fullmatch(text) is not None or _reads_back(text, style)


def format_quoted(text: str) -> str:
    """Return text in double quotes, with invisible characters as escapes. A lone surrogate cannot be written."""
    return f'"{"".join(map(_escape, text))}"'


def format_flow(value: Json, style: str = "in flow") -> str:
    """Return a value on one line: `[a, b]`, `{queue: a, weight: 80}`; outside brackets, `style` applies."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{format_scalar(key)}: {format_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(format_flow, value)) + "]"
    return format_scalar(value, style)


def format_entry(key: str, value: Json, indent: int) -> list[str]:
    """Return the lines of `key: value` in a block; lists and mappings on one line if they fit."""
    head = f"{' ' * indent}{format_scalar(key)}:"
    if isinstance(value, str) and "\n" in value and (literal := _format_literal(value, indent + 2)):
        return [f"{head} |-", *literal]
    line = f"{head} {format_flow(value, 'in block')}"
    if len(line) <= MAX_LINE_WIDTH or not isinstance(value, (dict, list, tuple)) or not value:
        return [line]
    if isinstance(value, dict):
        return [head, *format_mapping(value, indent + 2)]
    return [head, *(line for item in value for line in _format_item(item, indent + 2))]


def format_mapping(fields: Mapping[str, Json], indent: int) -> list[str]:
    """Return the lines of a mapping in a block."""
    return [line for key, value in fields.items() for line in format_entry(key, value, indent)]


def _format_item(value: Json, indent: int) -> list[str]:
    line = f"{' ' * indent}- {format_flow(value, 'in block')}"
    if len(line) <= MAX_LINE_WIDTH or not isinstance(value, dict):
        return [line]
    return add_dash(format_mapping(value, indent + 2), indent)


def add_dash(lines: list[str], indent: int) -> list[str]:
    """Return the lines of a mapping as a list item, its dash in the column `indent`."""
    return [f"{' ' * indent}- {lines[0][indent + 2 :]}", *lines[1:]]


def _format_literal(text: str, indent: int) -> list[str]:
    """Return the lines of a literal block; none if quotes are clearer."""
    lines = text.split("\n")
    if not all(line.isprintable() and line == line.strip() for line in lines) or not (lines[0] and lines[-1]):
        return []
    return [f"{' ' * indent}{line}" if line else "" for line in lines]


def _reads_back(text: str, style: str) -> bool:
    """Return whether `yaml_reader` reads the unquoted text as the same text."""
    content = text if style == "in block" else f"{{b: {text}, c: [{text}, {text}]}}"
    expected: Json = {"a": text if style == "in block" else {"b": text, "c": [text, text]}}
    parsed = parse_file(f"a: {content}\n".encode(), "")
    return not parsed.collector.collected and [document.value for document in parsed.documents] == [expected]


def _escape(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    return character if character.isprintable() else character.encode("unicode_escape").decode()
