"""Lines and columns around the parts of a manifest's text, for edits that keep them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.manifest.spans import Node


class CannotPatchError(Exception):
    """A change that would take more than it is about with it, such as a comment; the message says what."""


class Layout:
    """One text. Places are character indexes; columns count from 0."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line_end = "\r\n" if "\r\n" in text else "\n"

    def line_start(self, at: int) -> int:
        """Return where the line of a character begins."""
        return self.text.rfind("\n", 0, at) + 1

    def column(self, at: int) -> int:
        """Return how many characters of its line stand before a character."""
        return at - self.line_start(at)

    def end_of_line(self, at: int) -> int:
        """Return where the line ends that a place is in, before what ends it; comments belong to the line."""
        end = self.text.find("\n", at)
        if end < 0:
            return len(self.text)
        return end - 1 if self.text[end - 1 : end] == "\r" and end > at else end

    def lines(self, start: int, end: int) -> tuple[int, int]:
        """Return the whole lines from one place to another, with what ends the last one; of the text's end, before."""
        first, last = self.line_start(start), self.text.find("\n", end)
        if last >= 0:
            return first, last + 1
        return max(self.text.rfind("\n", 0, first), 0), len(self.text)

    def begins_line(self, at: int) -> bool:
        """Say whether nothing but indentation stands before a place."""
        return not self.text[self.line_start(at) : at].strip()

    def dash(self, item: Node) -> int:
        """Return where the dash of an item of a list in lines stands. Raises CannotPatchError."""
        at = self.text.rfind("-", 0, item.start)
        if at < 0 or self.text[at + 1 : item.start].strip():
            raise CannotPatchError("a comment stands between a dash and its item")
        return at

    def run(self, parts: tuple[tuple[int, int], ...], first: int, last: int) -> tuple[int, int]:
        """Return what goes with the parts of a list in brackets from one to before another: their commas too."""
        until_next = last < len(parts)
        begin = first if until_next else max(first - 1, 0)
        gaps = pairwise(parts[begin : last + 1])
        if any("#" in self.text[one[1] : other[0]] for one, other in gaps):
            raise CannotPatchError("a comment stands beside what is taken out")
        end = parts[last][0] if until_next else parts[last - 1][1]
        return parts[begin][0 if begin == first else 1], end
