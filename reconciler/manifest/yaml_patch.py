"""Replaces values in a manifest's text, and preserves quotes, brackets, indentation, comments and
line ends.
"""

import json
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any, Final, NamedTuple

from reconciler.manifest import yaml_writer
from reconciler.manifest.syntax_tree import SyntaxNode, read_syntax

Json = Any

_COMPACT_BRACE: Final = re.compile(r"(?:^|[\s\[,]){[^\s}]")
_SPACED_BRACE: Final = re.compile(r"(?:^|[\s\[,]){ ")


def find_mapping(text: str, start: int) -> SyntaxNode:
    """Return the mapping that begins at a character. Raises KeyError; the text is valid."""
    waiting = [document.root for document in read_syntax(text)]
    while waiting:
        node = waiting.pop()
        if node.is_mapping and node.start == start:
            return node
        waiting += node.values
    raise KeyError(start)


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
        text = text[: edit.start] + edit.text + text[edit.end :]
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
        self.text, self.line_end = text, "\r\n" if "\r\n" in text else "\n"
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
            self._add_edit(
                node.start, node.end, space + self._format_like(node, new, style)
            )
        elif isinstance(old, dict):
            self._patch_mapping(node, old, new, inside)
        else:
            self._patch_list(node, old, new, inside)

    def _add_edit(self, start: int, end: int, text: str) -> None:
        self.edits.append(TextEdit(start, end, text))

    def _patch_mapping(
        self, node: SyntaxNode, old: dict[str, Json], new: dict[str, Json], style: str
    ) -> None:
        names, new_names = list(old), _pair_names(old, new)
        for at, name in enumerate(names):
            if name in new_names:
                new_name = new_names[name]
                self._patch_entry(
                    node, at, (name, old[name]), (new_name, new[new_name]), style
                )
        for is_kept, run in groupby(
            range(len(names)), lambda at: names[at] in new_names
        ):
            if not is_kept:
                first, *further = run
                self._remove_parts(node, first, first + len(further) + 1)
        positions = {
            new_name: names.index(name) for name, new_name in new_names.items()
        }
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
        key, value = node.keys[at], node.values[at]
        if old[0] != new[0]:
            self._add_edit(key.start, key.end, yaml_writer.format_scalar(new[0]))
        between = self.text[key.end : value.start]
        if (
            not node.is_flow
            and isinstance(new[1], list)
            and isinstance(old[1], str)
            and not between.strip(": ")
        ):
            first, *lines = yaml_writer.format_entry(
                new[0], new[1], self.column(key.start), self.padding
            )
            text = self.line_end.join([first.partition(":")[2].strip(), *lines])
            self._add_edit(
                value.start if text[0] == "[" else key.end + 1, value.end, text
            )
        elif value.style == "block" and not _have_same_kind(old[1], new[1]):
            # The value moves after its key and replaces the lines below; a comment in the key's
            # line stays.
            colon, end = self.text.index(":", key.end) + 1, self.end_of_line(key.end)
            self._add_edit(colon, colon, f" {self._format_like(value, new[1], style)}")
            self._add_edit(end, value.end, "")
        else:
            self.patch_value(value, old[1], new[1], style)

    def _remove_parts(self, node: SyntaxNode, first: int, last: int) -> None:
        """Remove entries or items: with their lines in a block, with their commas in brackets."""
        heads, values = node.keys or node.values, node.values
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
        if not self.text[self.line_start(starts[0]) : starts[0]].strip():
            for start, value in zip(starts, values[first:last], strict=True):
                begin, end = self.lines(start, value.end)
                while (
                    not node.keys
                    and begin
                    and self._is_comment(above := self.line_start(begin - 1), start)
                ):
                    begin = above
                self._add_edit(begin, end, "")
        elif not node.keys:
            raise CannotPatchError("a list begins in the line of another list")
        elif (
            last < len(heads)
            and not self.text[values[last - 1].end : heads[last].start].strip()
        ):
            self._add_edit(starts[0], heads[last].start, "")
        else:
            raise CannotPatchError("removing the field would also remove a comment")

    def _is_comment(self, start: int, dash: int) -> bool:
        """Return whether a line is a comment that is not indented further than a dash: that of the
        next item.
        """
        line = self.text[start : self.end_of_line(start)]
        return line.lstrip().startswith("#") and line.index("#") <= self.column(dash)

    def _insert_entry(
        self, node: SyntaxNode, before: int, name: str, value: Json
    ) -> None:
        """Insert an entry after another; with -1, as the first."""
        at = node.keys[0].start if before < 0 else node.values[before].end
        if node.is_flow:
            text = yaml_writer.format_pair(name, value, self.padding)
            self._add_edit(at, at, f"{text}, " if before < 0 else f", {text}")
        else:
            insert = self._insert_before if before < 0 else self._insert_after
            column = self.column(node.keys[0].start)
            insert(at, yaml_writer.format_entry(name, value, column, self.padding))

    def _patch_list(
        self, node: SyntaxNode, old: list[Json], new: list[Json], style: str
    ) -> None:
        """Replace items, and remove and insert those without a counterpart."""
        matcher = SequenceMatcher(
            None, list(map(json.dumps, old)), list(map(json.dumps, new)), autojunk=False
        )
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
        behind = at == len(node.values)
        if node.is_flow:
            where = node.values[-1].end if behind else node.values[at].start
            text = yaml_writer.format_flow(item, padding=self.padding)
            self._add_edit(where, where, f", {text}" if behind else f"{text}, ")
            return
        column = self.column(self.find_dash(node.values[0]))
        lines = yaml_writer.format_item(item, column, self.padding)
        if isinstance(item, str):
            lines = [
                f"{' ' * column}- {self._format_like(node.values[0], item, 'in block')}"
            ]
        elif isinstance(item, dict) and any(
            value.keys and not value.is_flow for value in node.values
        ):
            lines = yaml_writer.add_dash(
                yaml_writer.format_mapping(item, column + 2, self.padding), column
            )
        if behind:
            self._insert_after(node.values[-1].end, lines)
        else:
            self._insert_before(self.find_dash(node.values[at]), lines)

    def _insert_after(self, end: int, lines: Sequence[str]) -> None:
        at = self.end_of_line(end)
        self._add_edit(at, at, "".join(f"{self.line_end}{line}" for line in lines))

    def _insert_before(self, at: int, lines: Sequence[str]) -> None:
        column = self.column(at)
        self._add_edit(
            at, at, self.line_end.join([lines[0][column:], *lines[1:], " " * column])
        )

    def line_start(self, at: int) -> int:
        return self.text.rfind("\n", 0, at) + 1

    def column(self, at: int) -> int:
        return at - self.line_start(at)

    def end_of_line(self, at: int) -> int:
        """Return the end of the line of a character, before its line end; comments belong to the
        line.
        """
        end = self.text.find("\n", at)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[end - 1 : end + 1] == "\r\n" and end > at else end

    def lines(self, start: int, end: int) -> tuple[int, int]:
        """Return the range of full lines, with the last line end (at the text's end, the first)."""
        first, last = self.line_start(start), self.text.find("\n", end)
        return (
            (first, last + 1)
            if last >= 0
            else (max(self.text.rfind("\n", 0, first), 0), len(self.text))
        )

    def find_dash(self, item: SyntaxNode) -> int:
        at = self.text.rfind("-", 0, item.start)
        if at < 0 or self.text[at + 1 : item.start].strip():
            raise CannotPatchError("there is a comment between a dash and its item")
        return at

    def _remove_from_brackets(
        self, parts: Sequence[tuple[int, int]], first: int, last: int
    ) -> None:
        until_next = last < len(parts)
        begin = first if until_next else max(first - 1, 0)
        if any(
            "#" in self.text[left[1] : right[0]]
            for left, right in pairwise(parts[begin : last + 1])
        ):
            raise CannotPatchError(
                "removing the entry would also remove a comment next to it"
            )
        end = parts[last][0] if until_next else parts[last - 1][1]
        self._add_edit(parts[begin][0 if begin == first else 1], end, "")

    def _format_like(self, node: SyntaxNode, value: Json, style: str) -> str:
        """Return a value on one line, a text in the quotes of the previous value."""
        if isinstance(value, str) and node.style in ("'", '"'):
            written = self.text[node.start : node.end]
            if quoted := yaml_writer.format_like(written, value):
                return quoted
        return yaml_writer.format_flow(
            value, "in flow" if node.is_flow else style, self.padding
        )


def _have_same_kind(old: Json, new: Json) -> bool:
    """Return whether both are non-empty mappings or non-empty lists: then only parts change."""
    return bool(old and new) and any(
        isinstance(old, kind) and isinstance(new, kind) for kind in (dict, list)
    )


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
    fields: dict[str, Json], name: str, counterpart: dict[str, Json]
) -> str:
    """Return the last entry before a name that the second mapping also has."""
    names = list(fields)
    return next(
        filter(counterpart.__contains__, reversed(names[: names.index(name)])), ""
    )


def _padding_of(text: str) -> str:
    """Return the text inside of the braces of a file: that of most of them, a blank without any."""
    compact = len(_COMPACT_BRACE.findall(text))
    spaced = len(_SPACED_BRACE.findall(text))
    return yaml_writer.COMPACT if compact > spaced else yaml_writer.SPACED
