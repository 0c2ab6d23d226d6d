"""A manifest's text -> its values with their extents, also of a text that is not valid YAML yet.

An editor asks about unfinished texts. So the tree of a broken document ends where the parser
stopped, and the documents after the next `---` are read again.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, NamedTuple

from yaml import (
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    MarkedYAMLError,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    YAMLError,
)
from yaml._yaml import CParser

from reconciler.core.manifest.yaml_reader import (
    FORBIDDEN,
    MAX_DEPTH,
    MAX_FILE_BYTES,
    PLACEHOLDER,
)

_UNREADABLE: Final = re.compile(f"{FORBIDDEN.pattern}|[\ud800-\udfff]")
_NEXT_DOCUMENT: Final = re.compile(r"^---(?:\s|$)", re.MULTILINE)
_MAX_RESTARTS: Final = 50
_BLOCK_SCALARS: Final = ("|", ">")

Step = str | int
Path = tuple[Step, ...]

_Event = Any  # an event of the C parser, which has no types for type checkers


class _EndOfTreeError(Exception):
    """The parser cannot read on: the nodes that are still open end here."""


@dataclass(slots=True, kw_only=True, eq=False)
class SyntaxNode:
    """A scalar (`text`), mapping (`keys` and `values`) or list (`values`).

    Positions are character indexes.
    """

    start: int
    end: int  # after its last character
    style: str  # of a scalar its quote, `|`, `>` or ""; of a list or mapping `flow` or `block`
    text: str | None = None
    keys: "list[SyntaxNode]" = field(default_factory=list)
    values: "list[SyntaxNode]" = field(default_factory=list)
    is_mapping: bool = False

    @property
    def is_scalar(self) -> bool:
        """Return whether this is a text, number, boolean or null."""
        return self.text is not None

    @property
    def is_flow(self) -> bool:
        """Return whether this is a list or mapping in brackets."""
        return self.style == "flow"

    def entries(self) -> "Iterator[tuple[SyntaxNode, SyntaxNode]]":
        """Yield each key with its value; the last key of a broken text may have none."""
        if self.is_mapping:
            yield from zip(self.keys, self.values, strict=False)

    def get(self, name: str) -> "SyntaxNode | None":
        """Return the value of a key; None if there is none."""
        for key, value in self.entries():
            if key.text == name:
                return value
        return None

    def text_of(self, name: str) -> str:
        """Return the text of a key's value; "" if it has none."""
        value = self.get(name)
        return (value.text or "") if value else ""

    def items(self) -> "list[SyntaxNode]":
        """Return the items of a list; none of another node."""
        return [] if self.is_scalar or self.is_mapping else self.values

    def content(self) -> object:
        """Return the value with every scalar as its text, to compare it with another one."""
        if self.is_mapping:
            return {key.text: value.content() for key, value in self.entries()}
        if self.is_scalar:
            return self.text
        return [value.content() for value in self.values]


class Place(NamedTuple):
    """A scalar of a document, with its path. The path of a key is that of its value."""

    path: Path
    node: SyntaxNode
    is_key: bool
    owner: SyntaxNode  # the innermost mapping that it is in


@dataclass(frozen=True)
class SyntaxDocument:
    """One document of a file."""

    root: SyntaxNode
    start: int
    end: int

    @property
    def kind(self) -> str:
        """Return the `kind` as it is written; "" without one."""
        return self.root.text_of("kind")

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Return all scalars of the document, keys included, in the order of the text."""
        places = _places(self.root, (), self.root)
        return tuple(places)


def read_syntax(text: str) -> tuple[SyntaxDocument, ...]:
    """Return the documents of a text, without empty ones. No text makes it raise."""
    if not is_readable(text):
        return ()
    readable = mask_unreadable(text)
    documents: list[SyntaxDocument] = []
    start = 0
    for _ in range(_MAX_RESTARTS):
        stop = _TreeReader(readable, start).read_documents(documents)
        if stop is None:
            break
        following = _NEXT_DOCUMENT.search(readable, max(stop, start + 1))
        if following is None:
            break
        start = following.start()
    return tuple(documents)


def is_readable(text: str) -> bool:
    """Return whether a text can be read in bounded time: manifests refuse larger ones, and %TAG."""
    return len(text) <= MAX_FILE_BYTES and "%TAG" not in text


def mask_unreadable(text: str) -> str:
    """Return a text of the same length without the characters that the parser refuses."""
    return _UNREADABLE.sub(PLACEHOLDER, text)


def _places(node: SyntaxNode, path: Path, owner: SyntaxNode) -> Iterator[Place]:
    if node.is_scalar:
        yield Place(path, node, is_key=False, owner=owner)
    for key, value in node.entries():
        value_path = (*path, key.text or "")
        yield Place(value_path, key, is_key=True, owner=node)
        yield from _places(value, value_path, node)
    for position, item in enumerate(node.items()):
        item_path = (*path, position)
        yield from _places(item, item_path, owner)


class _TreeReader:
    """Reads the documents from a character on, until the end or the first error."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self._parser = CParser(text[start:])
        self._stop: int | None = None

    def read_documents(self, documents: list[SyntaxDocument]) -> int | None:
        """Append the documents; return the character at which the parser stopped, None at the end
        of the text.
        """
        try:
            while type(event := self._next()) is not StreamEndEvent:
                if type(event) is DocumentStartEvent:
                    self._read_document(documents)
        except _EndOfTreeError:
            pass
        return self._stop

    def _read_document(self, documents: list[SyntaxDocument]) -> None:
        event = self._next()
        root = self._open(event)
        if root.text != "":
            end = self._end_of_document(root.start)
            documents.append(SyntaxDocument(root, root.start, end))
        self._fill(root, event, 0)

    def _end_of_document(self, start: int) -> int:
        following = _NEXT_DOCUMENT.search(self._text, start)
        if following is None:
            return len(self._text)
        return following.start()

    def _next(self) -> _Event:
        try:
            return self._parser.get_event()
        except MarkedYAMLError as error:
            mark: Any = error.problem_mark
            self._stop = self._start + mark.index
        except YAMLError:
            self._stop = len(self._text)
        raise _EndOfTreeError

    def _index(self, mark: Any) -> int:  # noqa: ANN401 - PyYAML's marks
        return self._start + int(mark.index)

    def _open(self, event: _Event) -> SyntaxNode:
        """Return the node that begins with an event, without its content."""
        start = self._index(event.start_mark)
        end = self._index(event.end_mark)
        kind = type(event)
        if kind is ScalarEvent:
            style = event.style or ""
            if style in _BLOCK_SCALARS:
                end = start + len(self._text[start:end].rstrip())
            return SyntaxNode(start=start, end=end, style=style, text=event.value)
        if kind in (MappingStartEvent, SequenceStartEvent):
            style = "flow" if event.flow_style else "block"
            is_mapping = kind is MappingStartEvent
            return SyntaxNode(start=start, end=end, style=style, is_mapping=is_mapping)
        # An alias, which manifests refuse.
        return SyntaxNode(start=start, end=end, style="", text="")

    def _fill(self, node: SyntaxNode, event: _Event, depth: int) -> None:
        """Read the content of a node up to its end."""
        if node.is_scalar:
            return
        if depth == MAX_DEPTH:
            self._stop = node.start
            raise _EndOfTreeError
        last = MappingEndEvent if type(event) is MappingStartEvent else SequenceEndEvent
        while type(part := self._next()) is not last:
            if node.is_mapping:
                self._read_entry(node, part, depth)
            else:
                self._read_value(node, part, depth)
        if node.is_flow:
            node.end = self._index(part.end_mark)

    def _read_entry(self, node: SyntaxNode, event: _Event, depth: int) -> None:
        key = self._open(event)
        self._fill(key, event, depth + 1)
        node.keys.append(key)
        value_event = self._next()
        self._read_value(node, value_event, depth)

    def _read_value(self, node: SyntaxNode, event: _Event, depth: int) -> None:
        value = self._open(event)
        node.values.append(value)
        try:
            self._fill(value, event, depth + 1)
        finally:
            node.end = max(node.end, value.end)
