"""Replaces values in a manifest's text, and preserves quotes, brackets, indentation, comments and
line ends.
"""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

from reconciler.core.manifest import yaml_writer
from reconciler.core.manifest.syntax_tree import SyntaxDocument, SyntaxNode, read_syntax

Json = Any

_COMPACT_BRACE: Final = re.compile(r"(?:^|[\s\[,]){[^\s}]")
_SPACED_BRACE: Final = re.compile(r"(?:^|[\s\[,]){ ")


def find_mapping(text: str, start: int) -> SyntaxNode:
    """Return the mapping that begins at a character. Raises KeyError; the text is valid."""
    waiting = [document.root for document in _read_once(text)]
    while waiting:
        node = waiting.pop()
        if node.is_mapping and node.start == start:
            return node
        waiting += node.values
    raise KeyError(start)


@lru_cache(maxsize=1)
def _read_once(text: str) -> tuple[SyntaxDocument, ...]:
    """Return the documents of a text; many edits of one text follow each other."""
    return read_syntax(text)


class CannotPatchError(Exception):
    """A change that would remove other text, such as a comment."""


class TextEdit(NamedTuple):
    """The characters from `start` to before `end` are replaced by `text`."""

    start: int
    end: int
    text: str


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """Return the text with the edits applied; edits at the same position keep their order."""
    in_order = sorted(edits, key=itemgetter(0, 1))
    for edit in reversed(in_order):
        before = text[: edit.start]
        after = text[edit.end :]
        text = before + edit.text + after
    return text


def compute_edits(text: str, start: int, old: Json, new: Json) -> list[TextEdit]:
    """Return the edits that turn the mapping at a character from `old` to `new`.

    Raises CannotPatchError.
    """
    patcher = _Patcher(text)
    patcher.patch_value(find_mapping(text, start), old, new, "in block")
    return patcher.edits


class _Patcher:
    """Collects the edits of one text. Positions are character indexes; columns count from 0."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line_end = "\r\n" if "\r\n" in text else "\n"
        self.padding = _padding_of(text)
        self.edits: list[TextEdit] = []

    def patch_value(self, node: SyntaxNode, old: Json, new: Json, style: str) -> None:
        """Replace the differences in a value; `style` is "in flow" inside brackets, otherwise "in
        block".
        """
        inside = "in flow" if node.is_flow else style
        if json.dumps(old) == json.dumps(new):  # because 1 equals True
            return
        if not _have_same_kind(old, new):
            space = " " if node.start == node.end else ""
            text = self._format_like(node, new, style)
            self._add_edit(node.start, node.end, space + text)
        elif isinstance(old, dict):
            self._patch_mapping(node, old, new, inside)
        else:
            self._patch_list(node, old, new, inside)

    def _add_edit(self, start: int, end: int, text: str) -> None:
        edit = TextEdit(start, end, text)
        self.edits.append(edit)

    def _patch_mapping(
        self,
        node: SyntaxNode,
        old: dict[str, Json],
        new: dict[str, Json],
        style: str,
    ) -> None:
        names = list(old)
        new_names = _pair_names(old, new)
        for at, name in enumerate(names):
            if name in new_names:
                new_name = new_names[name]
                new_entry = (new_name, new[new_name])
                self._patch_entry(node, at, (name, old[name]), new_entry, style)
        for stays, run in groupby(range(len(names)), lambda at: names[at] in new_names):
            if not stays:
                removed = list(run)
                self._remove_parts(node, removed[0], removed[-1] + 1)

        positions = {
            new_name: names.index(name) for name, new_name in new_names.items()
        }
        self._insert_entries(node, new, positions)

    def _insert_entries(
        self,
        node: SyntaxNode,
        new: dict[str, Json],
        positions: dict[str, int],
    ) -> None:
        """Insert the entries without a position, each after the entry before it."""
        before = -1
        for name, value in new.items():
            if name in positions:
                before = positions[name]
            else:
                self._insert_entry(node, before, name, value)

    def _patch_entry(
        self,
        node: SyntaxNode,
        at: int,
        old: tuple[str, Json],
        new: tuple[str, Json],
        style: str,
    ) -> None:
        """Replace an entry's name and value; a list that replaces a text may need further lines."""
        key = node.keys[at]
        value = node.values[at]
        old_name, old_value = old
        new_name, new_value = new
        if old_name != new_name:
            self._add_edit(key.start, key.end, yaml_writer.format_scalar(new_name))

        between = self.text[key.end : value.start]
        becomes_list = isinstance(old_value, str) and isinstance(new_value, list)
        if becomes_list and not node.is_flow and not between.strip(": "):
            self._replace_by_list(key, value, new)
        elif value.style == "block" and not _have_same_kind(old_value, new_value):
            text = self._format_like(value, new_value, style)
            self._replace_block(key, value, text)
        else:
            self.patch_value(value, old_value, new_value, style)

    def _replace_block(self, key: SyntaxNode, value: SyntaxNode, text: str) -> None:
        # The value moves after its key and replaces the lines below; a comment in the key's
        # line stays.
        colon = self.text.index(":", key.end) + 1
        end = self.end_of_line(key.end)
        self._add_edit(colon, colon, f" {text}")
        self._add_edit(end, value.end, "")

    def _replace_by_list(
        self,
        key: SyntaxNode,
        value: SyntaxNode,
        new: tuple[str, Json],
    ) -> None:
        """Replace the text of an entry by a list, in the entry's line if it fits there."""
        name, items = new
        column = self.column(key.start)
        first, *lines = yaml_writer.format_entry(name, items, column, self.padding)
        first_value = first.partition(":")[2].strip()
        text = self.line_end.join([first_value, *lines])
        start = value.start if text[0] == "[" else key.end + 1
        self._add_edit(start, value.end, text)

    def _remove_parts(self, node: SyntaxNode, first: int, last: int) -> None:
        """Remove entries or items: with their lines in a block, with their commas in brackets."""
        heads = node.keys or node.values
        values = node.values
        if node.is_flow:
            parts = [
                (head.start, value.end)
                for head, value in zip(heads, values, strict=True)
            ]
            self._remove_from_brackets(parts, first, last)
            return

        starts = [
            head.start if node.keys else self.find_dash(head)
            for head in heads[first:last]
        ]
        text_before = self.text[self.line_start(starts[0]) : starts[0]]
        if not text_before.strip():
            for start, value in zip(starts, values[first:last], strict=True):
                self._remove_lines(node, start, value.end)
            return
        if not node.keys:
            raise CannotPatchError("a list begins in the line of another list")
        self._remove_from_first_line(node, starts[0], last)

    def _remove_from_first_line(self, node: SyntaxNode, start: int, last: int) -> None:
        """Remove entries that begin in the line of a dash: the next entry takes their place."""
        if last < len(node.keys):
            next_start = node.keys[last].start
            between = self.text[node.values[last - 1].end : next_start]
            if not between.strip():
                self._add_edit(start, next_start, "")
                return
        raise CannotPatchError("removing the field would also remove a comment")

    def _remove_lines(self, node: SyntaxNode, start: int, end: int) -> None:
        """Remove the lines of an entry or item; those of an item with the comments above it."""
        line_start, line_end = self.lines(start, end)
        first = self.line_start(start)
        while first and not node.keys:
            above = self.line_start(first - 1)
            if not self._is_comment(above, start):
                break
            line_start = first = above
        self._add_edit(line_start, line_end, "")

    def _is_comment(self, start: int, dash: int) -> bool:
        """Return whether a line is a comment that is not indented further than a dash: that of the
        next item.
        """
        line = self.text[start : self.end_of_line(start)]
        return line.lstrip().startswith("#") and line.index("#") <= self.column(dash)

    def _insert_entry(
        self,
        node: SyntaxNode,
        before: int,
        name: str,
        value: Json,
    ) -> None:
        """Insert an entry after another; with -1, as the first."""
        is_first = before < 0
        first_start = node.keys[0].start
        at = first_start if is_first else node.values[before].end
        if node.is_flow:
            text = yaml_writer.format_pair(name, value, self.padding)
            self._add_edit(at, at, f"{text}, " if is_first else f", {text}")
            return
        column = self.column(first_start)
        lines = yaml_writer.format_entry(name, value, column, self.padding)
        if is_first:
            self._insert_before(at, lines)
        else:
            self._insert_after(at, lines)

    def _patch_list(
        self,
        node: SyntaxNode,
        old: list[Json],
        new: list[Json],
        style: str,
    ) -> None:
        """Replace items, and remove and insert those without a counterpart."""
        old_texts = list(map(json.dumps, old))
        new_texts = list(map(json.dumps, new))
        matcher = SequenceMatcher(None, old_texts, new_texts, autojunk=False)
        for kind, first, last, new_first, new_last in matcher.get_opcodes():
            if kind == "equal":
                continue
            common = min(last - first, new_last - new_first)
            for step in range(common):
                self.patch_value(
                    node.values[first + step],
                    old[first + step],
                    new[new_first + step],
                    style,
                )
            if first + common < last:
                self._remove_parts(node, first + common, last)
            for item in new[new_first + common : new_last]:
                self._insert_item(node, first + common, item)

    def _insert_item(self, node: SyntaxNode, at: int, item: Json) -> None:
        """Insert an item before the item at a position, or after the last."""
        is_last = at == len(node.values)
        if node.is_flow:
            text = yaml_writer.format_flow(item, padding=self.padding)
            if is_last:
                end = node.values[-1].end
                self._add_edit(end, end, f", {text}")
            else:
                start = node.values[at].start
                self._add_edit(start, start, f"{text}, ")
            return

        lines = self._item_lines(node, item)
        if is_last:
            self._insert_after(node.values[-1].end, lines)
        else:
            self._insert_before(self.find_dash(node.values[at]), lines)

    def _item_lines(self, node: SyntaxNode, item: Json) -> list[str]:
        """Return the lines of a new item of a list, in the form of the list's other items."""
        first_item = node.values[0]
        column = self.column(self.find_dash(first_item))
        if isinstance(item, str):
            text = self._format_like(first_item, item, "in block")
            return [f"{' ' * column}- {text}"]
        has_blocks = any(value.keys and not value.is_flow for value in node.values)
        if isinstance(item, dict) and has_blocks:
            lines = yaml_writer.format_mapping(item, column + 2, self.padding)
            return yaml_writer.add_dash(lines, column)
        return yaml_writer.format_item(item, column, self.padding)

    def _insert_after(self, end: int, lines: Sequence[str]) -> None:
        at = self.end_of_line(end)
        text = "".join(f"{self.line_end}{line}" for line in lines)
        self._add_edit(at, at, text)

    def _insert_before(self, at: int, lines: Sequence[str]) -> None:
        column = self.column(at)
        first, *further = lines
        text = self.line_end.join([first[column:], *further, " " * column])
        self._add_edit(at, at, text)

    def line_start(self, at: int) -> int:
        previous_end = self.text.rfind("\n", 0, at)
        return previous_end + 1

    def column(self, at: int) -> int:
        return at - self.line_start(at)

    def end_of_line(self, at: int) -> int:
        """Return the end of the line of a character, before its line end; comments belong to the
        line.
        """
        end = self.text.find("\n", at)
        if end < 0:
            end = len(self.text)
        has_carriage_return = self.text[end - 1 : end + 1] == "\r\n"
        return end - 1 if has_carriage_return and end > at else end

    def lines(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of full lines, with the last line end (at the text's end, the first)."""
        first = self.line_start(start)
        line_end = self.text.find("\n", end)
        if line_end >= 0:
            return first, line_end + 1
        previous_line_end = "\r\n" if self.text[first - 2 : first] == "\r\n" else "\n"
        return max(first - len(previous_line_end), 0), len(self.text)

    def find_dash(self, item: SyntaxNode) -> int:
        dash = self.text.rfind("-", 0, item.start)
        between = self.text[dash + 1 : item.start]
        if dash < 0 or between.strip():
            raise CannotPatchError("there is a comment between a dash and its item")
        return dash

    def _remove_from_brackets(
        self,
        parts: Sequence[tuple[int, int]],
        first: int,
        last: int,
    ) -> None:
        until_next = last < len(parts)
        begin = first if until_next else max(first - 1, 0)
        for part, next_part in pairwise(parts[begin : last + 1]):
            if "#" in self.text[part[1] : next_part[0]]:
                raise CannotPatchError(
                    "removing the entry would also remove a comment next to it"
                )

        start, part_end = parts[begin]
        if begin != first:
            start = part_end
        end = parts[last][0] if until_next else parts[last - 1][1]
        self._add_edit(start, end, "")

    def _format_like(self, node: SyntaxNode, value: Json, style: str) -> str:
        """Return a value on one line, a text in the quotes of the previous value."""
        if isinstance(value, str) and node.style in ("'", '"'):
            old_text = self.text[node.start : node.end]
            quoted = yaml_writer.format_like(old_text, value)
            if quoted:
                return quoted
        flow_style = "in flow" if node.is_flow else style
        return yaml_writer.format_flow(value, flow_style, self.padding)


def _have_same_kind(old: Json, new: Json) -> bool:
    """Return whether both are non-empty mappings or non-empty lists: then only parts change."""
    if not old or not new:
        return False
    are_mappings = isinstance(old, dict) and isinstance(new, dict)
    are_lists = isinstance(old, list) and isinstance(new, list)
    return are_mappings or are_lists


def _pair_names(old: dict[str, Json], new: dict[str, Json]) -> dict[str, str]:
    """Return the new names of the old entries: their own, or that of a new entry at the position of
    a removed one.
    """
    removed = {
        _previous_shared(old, name, new): name for name in old if name not in new
    }
    pairs = {name: name for name in old if name in new}
    for name in new:
        previous = _previous_shared(new, name, old)
        if name not in old and previous in removed:
            pairs[removed.pop(previous)] = name
    return pairs


def _previous_shared(
    fields: dict[str, Json],
    name: str,
    counterpart: dict[str, Json],
) -> str:
    """Return the last entry before a name that the second mapping also has."""
    names = list(fields)
    names_before = names[: names.index(name)]
    return next(filter(counterpart.__contains__, reversed(names_before)), "")


def _padding_of(text: str) -> str:
    """Return the text inside of the braces of a file: that of most of them, a blank without any."""
    compact = len(_COMPACT_BRACE.findall(text))
    spaced = len(_SPACED_BRACE.findall(text))
    return yaml_writer.COMPACT if compact > spaced else yaml_writer.SPACED
