"""Values -> readable YAML that every tool reads as the same values.

A text is quoted only if `yaml_reader`, a loader of YAML 1.1 or 1.2, or a terminal would misread it.
The lines are those that Prettier leaves as they are: 80 columns, and a blank inside braces.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from reconciler.core.manifest.other_readings import other_reading
from reconciler.core.model.rule import integral_floats_as_ints
from reconciler.core.text.escape import is_visible

Json = Any

MAX_LINE_WIDTH: Final = 80  # columns of a line; a longer list or mapping is split
# The text inside of braces in messages and in files that have none there.
COMPACT: Final = ""
SPACED: Final = " "  # in files

_PLAIN_IN_BLOCK: Final = re.compile(
    r"[\w$/(+.](?:[^\s:#]|:(?=\S)|(?<=\S)#| (?=[^\s#]))*"
)
_PLAIN_IN_FLOW: Final = re.compile(
    r"[\w$/(+.](?:[^\s:#,?\[\]{}]|:(?=[^\s,?\[\]{}])|(?<=\S)#| (?=[^\s#]))*"
)
_MARKS: Final = frozenset({"...", "+"})  # plain in some parsers only


def format_scalar(value: Json, style: str = "in flow") -> str:
    """Return text, a number, a boolean or null; `style` is `in flow` (valid everywhere) or `in
    block`.
    """
    if isinstance(value, str):
        return value if is_plain(value, style) else format_quoted(value)
    text = json.dumps(integral_floats_as_ints(value))
    if isinstance(value, float) and "." not in text:  # YAML 1.1 reads 1e+22 as a text
        return text.replace("e", ".0e")
    return text


def is_plain(text: str, style: str = "in flow") -> bool:
    """Return whether every YAML tool reads a text without quotes as this text."""
    pattern = _PLAIN_IN_FLOW if style == "in flow" else _PLAIN_IN_BLOCK
    if not pattern.fullmatch(text) or not text.isprintable():
        return False
    return text not in _MARKS and not other_reading(text)


def format_quoted(text: str) -> str:
    """Return text in quotes, with invisible characters as escapes.

    A lone surrogate cannot be written.
    """
    if '"' in text and "\\" not in text and is_visible(text):
        return "'" + text.replace("'", "''") + "'"
    return f'"{"".join(map(_escape, text))}"'


def format_like(written: str, text: str) -> str | None:
    """Return text with the quotes of a scalar of a file; None if that has none.

    Single quotes stay only where the author chose them. A text with a double quote needs them, and
    Prettier replaces them around every other text.
    """
    if written[:1] not in ("'", '"'):
        return None
    if written[0] == "'" and '"' not in written and text.isprintable():
        return "'" + text.replace("'", "''") + "'"
    return format_quoted(text)


def format_flow(value: Json, style: str = "in flow", padding: str = COMPACT) -> str:
    """Return a value on one line: `[a, b]`, `{queue: a, weight: 80}`; outside brackets, `style`
    applies.
    """
    if isinstance(value, dict):
        entries = [format_pair(key, item, padding) for key, item in value.items()]
        if not entries:
            return "{}"
        return "{" + padding + ", ".join(entries) + padding + "}"
    if isinstance(value, (list, tuple)):
        items = [format_flow(item, padding=padding) for item in value]
        return "[" + ", ".join(items) + "]"
    return format_scalar(value, style)


def format_pair(key: str, value: Json, padding: str = COMPACT) -> str:
    """Return `key: value` as it stands in braces."""
    value_text = format_flow(value, padding=padding)
    return f"{format_scalar(key)}: {value_text}"


def format_entry(
    key: str,
    value: Json,
    indent: int,
    padding: str = SPACED,
) -> list[str]:
    """Return the lines of `key: value` in a block; lists and mappings on one line if they fit."""
    head = f"{' ' * indent}{format_scalar(key)}:"
    if isinstance(value, str) and "\n" in value:
        literal = _format_literal(value, indent + 2)
        if literal:
            return [f"{head} |-", *literal]

    line = f"{head} {format_flow(value, 'in block', padding)}"
    if _fits(line) or not isinstance(value, (dict, list, tuple)):
        return [line]
    if not value:
        return [head, f"{' ' * (indent + 2)}{format_flow(value)}"]
    if isinstance(value, dict):
        return [head, *format_mapping(value, indent + 2, padding)]
    return [head, *_format_items(value, indent + 2, padding)]


def format_mapping(
    fields: Mapping[str, Json],
    indent: int,
    padding: str = SPACED,
) -> list[str]:
    """Return the lines of a mapping in a block."""
    lines: list[str] = []
    for key, value in fields.items():
        lines += format_entry(key, value, indent, padding)
    return lines


def format_item(value: Json, indent: int, padding: str = SPACED) -> list[str]:
    """Return the lines of an item of a list in a block, its dash in the column `indent`."""
    text = format_flow(value, "in block", padding)
    line = f"{' ' * indent}- {text}"
    is_scalar = not isinstance(value, (dict, list, tuple))
    if _fits(line) or is_scalar or not value:
        return [line]
    if isinstance(value, dict):
        lines = format_mapping(value, indent + 2, padding)
    else:
        lines = _format_items(value, indent + 2, padding)
    return add_dash(lines, indent)


def add_dash(lines: list[str], indent: int) -> list[str]:
    """Return the lines of a mapping as a list item, its dash in the column `indent`."""
    first, *further = lines
    content = first[indent + 2 :]
    return [f"{' ' * indent}- {content}", *further]


def _format_items(items: Any, indent: int, padding: str) -> list[str]:  # noqa: ANN401 - a list or a tuple
    lines: list[str] = []
    for item in items:
        lines += format_item(item, indent, padding)
    return lines


def _fits(line: str) -> bool:
    """Return whether a line fits; most characters outside ASCII are two columns wide somewhere."""
    width = len(line) + sum(not character.isascii() for character in line)
    return width <= MAX_LINE_WIDTH


def _format_literal(text: str, indent: int) -> list[str]:
    """Return the lines of a literal block; none if quotes are clearer."""
    lines = text.split("\n")
    if not lines[0] or not lines[-1]:
        return []
    are_plain = all(line.isprintable() and line == line.strip() for line in lines)
    if not are_plain:
        return []
    return [f"{' ' * indent}{line}" if line else "" for line in lines]


def _escape(character: str) -> str:
    if character in {'"', "\\"}:
        return f"\\{character}"
    if character.isprintable():
        return character
    return character.encode("unicode_escape").decode()
