"""Positions in a manifest: of its values as character indexes, of its findings as lines and
columns.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar

from reconciler.core.manifest.secret_fields import (
    SecretSpan,
    find_secrets,
    remove_secrets,
)
from reconciler.core.model.finding import Finding, Severity
from reconciler.core.model.rule import Address, Source
from reconciler.core.text.escape import is_visible
from reconciler.core.text.suggest import suggest

T = TypeVar("T")
Excerpt = Literal["shown", "hidden"]  # of a finding's line, which may contain a secret


class Map(dict[str, Any]):
    """A mapping that records positions: `marks` holds the indexes of each key and its value."""

    __slots__ = ("marks",)
    marks: dict[str, tuple[int, int]]

    def key_index(self, key: str) -> int:
        """Return the index of a key."""
        return self.marks[key][0]

    def value_index(self, key: str) -> int:
        """Return the index of a key's value."""
        return self.marks[key][1]


class List(list[Any]):
    """A sequence that records positions: `marks` holds the index of each item."""

    __slots__ = ("marks",)
    marks: list[int]

    def value_index(self, position: int) -> int:
        """Return the index of an item."""
        return self.marks[position]


class Document(NamedTuple):
    """One document of a file: its value and the index of its start."""

    value: Any
    start: int


MAX_FINDINGS: Final = (
    1000  # the number of reported findings of one file; further ones are counted
)
MAX_MISREAD: Final = 100  # the number of warnings about misread texts of one file

_MAX_EXCERPT: Final = 400
_BLOCK_SIZE: Final = 4096
_TOKEN: Final = re.compile(r""""(?:[^"\\]|\\.)*"|'[^']*'|[^\s,\[\]{}:]+""")


@dataclass(frozen=True)
class SourceText:
    """One file's text. Positions are character indexes; messages show lines and columns from 1."""

    file: str
    text: str
    first_line: int = 1  # the line of the file in which the text begins

    @cached_property
    def _blocks(self) -> list[tuple[int, int]]:
        """For each block of text: the number of lines that end before it, and the start of its
        first line.
        """
        blocks: list[tuple[int, int]] = []
        lines = 0
        line_start = 0
        for at in range(0, len(self.text) + 1, _BLOCK_SIZE):
            blocks.append((lines, line_start))
            end = at + _BLOCK_SIZE
            lines += self.text.count("\n", at, end)
            last_line_end = self.text.rfind("\n", at, end)
            if last_line_end >= 0:
                line_start = last_line_end + 1
        return blocks

    @cached_property
    def _secrets(self) -> tuple[SecretSpan, ...]:
        """The secrets in the text, which no finding repeats."""
        return find_secrets(self.text)

    def source(self, index: int) -> Source:
        """Return file, line and column of a character.

        Only line feeds end lines: `yaml_reader.replace_forbidden`.
        """
        lines, began = self._blocks[index // _BLOCK_SIZE]
        block = index - index % _BLOCK_SIZE
        began = self.text.rfind("\n", block, index) + 1 or began
        line = self.first_line + lines + self.text.count("\n", block, index)
        return Source(self.file, line, index - began + 1)

    def _excerpt(self, index: int, column: int) -> str:
        """Return the printable line around a character, or "" if it is too long."""
        start = index - column + 1
        end = self.text.find("\n", index, start + _MAX_EXCERPT + 1)
        if end < 0 and len(self.text) - start > _MAX_EXCERPT:
            return ""
        # One character replaces one, so that the caret stays in its column.
        line = self.text[start : end if end >= 0 else len(self.text)].rstrip("\r")
        return "".join(
            char if is_visible(char) else " " if char == "\t" else "\ufffd"
            for char in line
        )

    def finding(self, code: str, index: int, message: str, hint: str = "") -> Finding:
        """Return an error at the token at a character, with its line and length."""
        source = self.source(index)
        secrets = self._secrets
        message = remove_secrets(message, secrets)
        hint = remove_secrets(hint, secrets)
        line = source.line - self.first_line
        is_secret = any(
            secret.first_line <= line <= secret.last_line for secret in secrets
        )
        excerpt = "" if is_secret else self._excerpt(index, source.column)
        token = _TOKEN.match(excerpt, source.column - 1)
        return Finding(
            code=code,
            severity="error",
            message=message,
            source=source,
            hint=hint,
            excerpt=excerpt,
            span=len(token[0]) if token else 1,
        )


@dataclass(kw_only=True)
class ErrorCollector:
    """The errors of one file: stored up to a limit, then counted."""

    text: SourceText
    collected: list[Finding] = field(default_factory=list)
    refused_indexes: set[int] = field(default_factory=set)
    """Positions of reading errors: errors that follow from them are not reported."""
    misread: dict[int, int] = field(default_factory=dict)
    """Plain scalars that other YAML tools do not read as the text that they are here: start ->
    end."""
    omitted_count: int = 0
    # how many more times a nearest name is searched, because the search is slow
    remaining_suggestions: int = 100

    def copy(self) -> "ErrorCollector":
        """Return a collector with the same errors, to which others can be added."""
        return replace(
            self,
            collected=[*self.collected],
            refused_indexes={*self.refused_indexes},
            misread=dict(self.misread),
        )

    def report_unreadable(
        self,
        code: str,
        index: int,
        message: str,
        hint: str = "",
    ) -> None:
        """Record a reading error: the value at this position differs from the text."""
        self.refused_indexes.add(index)
        self._append(code, index, message, hint)

    def report(
        self,
        code: str,
        index: int,
        message: str,
        hint: str = "",
        excerpt: Excerpt = "shown",
    ) -> None:
        """Record an error of a value, unless it follows from a reading error."""
        if index not in self.refused_indexes:
            self._append(code, index, message, hint, excerpt)

    def warn(
        self,
        code: str,
        index: int,
        message: str,
        hint: str = "",
        *,
        span: int = 0,
        excerpt: Excerpt = "shown",
    ) -> None:
        """Record a warning about a value that is probably intended; `span` is its length in the
        line.
        """
        if not self.is_full:
            finding = self.text.finding(code, index, message, hint)
            finding = replace(finding, severity="warning", span=span or finding.span)
            self.collected.append(
                finding if excerpt == "shown" else _without_excerpt(finding)
            )

    def note_misread(self, start: int, end: int) -> None:
        """Record a plain scalar that other YAML tools read as another type."""
        if len(self.misread) <= MAX_MISREAD:
            self.misread[start] = end

    def suggest(self, name: str, candidates: Iterable[str]) -> str:
        """Return a hint with the nearest valid name, or "", also after too many searches in this
        file.
        """
        self.remaining_suggestions -= 1
        return suggest(name, candidates) if self.remaining_suggestions >= 0 else ""

    @property
    def is_full(self) -> bool:
        """Return whether the limit of reported errors is reached, so that checks can stop."""
        return len(self.collected) >= MAX_FINDINGS

    def findings(self) -> list[Finding]:
        """Return the findings by line and column, and last the number of omitted ones."""
        findings = sorted(
            self.collected, key=lambda finding: finding.source or ("", 0, 0)
        )
        if self.is_full:
            count = "possibly more"
            if self.omitted_count:
                count = f"at least {self.omitted_count:,} more"
            last = findings[-1]
            omitted = Finding(
                code=last.code,
                severity="error",
                message=f"and {count} errors in this file",
                source=last.source,
            )
            findings.append(omitted)
        return findings

    def _append(
        self,
        code: str,
        index: int,
        message: str,
        hint: str,
        excerpt: Excerpt = "shown",
    ) -> None:
        if self.is_full:
            self.omitted_count += 1
        else:
            finding = self.text.finding(code, index, message, hint)
            self.collected.append(
                finding if excerpt == "shown" else _without_excerpt(finding)
            )


def _without_excerpt(finding: Finding) -> Finding:
    return replace(finding, excerpt="", span=1)


PathStep = str | int


@dataclass(frozen=True, slots=True)
class SourceMap:
    """The raw values of one document, with their text."""

    text: SourceText
    root: Map
    start: int

    def index(self, path: Sequence[PathStep]) -> int:
        """Return the index of a value, or of its nearest parent."""
        value: Any = self.root
        index = self.start
        for step in path:
            if not _has(value, step):
                break
            index = value.value_index(step)
            value = value[step]
        return index

    def key_index(self, path: Sequence[PathStep]) -> int:
        """Return the index of a value's key, or of its nearest parent."""
        *parents, key = path
        value = self.value(parents)
        return (
            value.key_index(str(key))
            if isinstance(value, Map) and key in value
            else self.index(path)
        )

    def value(self, path: Sequence[PathStep]) -> Any:  # noqa: ANN401 - a manifest's value may be of any type
        """Return the value at an existing path."""
        value: Any = self.root
        for step in path:
            value = value[step]
        return value

    def document_path(self, loc: Sequence[PathStep]) -> list[PathStep]:
        """Return the steps of a pydantic location that exist in this document; unions add further
        steps.
        """
        value: Any = self.root
        steps: list[PathStep] = []
        for step in loc:
            if _has(value, step):
                value = value[step]
                steps.append(step)
        return steps


def _has(value: object, step: PathStep) -> bool:
    if isinstance(value, Map):
        return step in value
    if isinstance(value, List) and isinstance(step, int):
        return 0 <= step < len(value)
    return False


@dataclass(frozen=True, slots=True)
class LoadedDocument(Generic[T]):
    """A document, and the positions of its parts."""

    document: T
    source_map: SourceMap

    @property
    def file(self) -> str:
        """The file's path for messages."""
        return self.source_map.text.file

    def source_of(self, *path: PathStep) -> Source:
        """Return the position of a value, such as `source_of("rules", 3, "queue")`, or of its
        nearest parent.
        """
        return self.source_map.text.source(self.source_map.index(path))

    def finding(
        self,
        code: str,
        message: str,
        *path: PathStep,
        severity: Severity = "error",
        hint: str = "",
        address: Address | None = None,
    ) -> Finding:
        """Return a finding about a value, with its line of text."""
        index = self.source_map.index(path)
        return replace(
            self.source_map.text.finding(code, index, message, hint),
            severity=severity,
            address=address,
        )
