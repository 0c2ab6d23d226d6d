"""Places of the values of a document: paths such as ("rules", 3, "queue") -> file, line and column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from reconciler.manifest.text import List, Map, SourceText
from reconciler.model.finding import Finding, Severity
from reconciler.model.rule import Address, Source

T = TypeVar("T")

PathStep = str | int


@dataclass(frozen=True, slots=True)
class SourceMap:
    """The values of one document as they were read, with their text."""

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
        return value.key_index(str(key)) if isinstance(value, Map) and key in value else self.index(path)

    def value(self, path: Sequence[PathStep]) -> Any:  # noqa: ANN401 - a manifest's value may be of any type
        """Return the value at an existing path."""
        value: Any = self.root
        for step in path:
            value = value[step]
        return value

    def document_path(self, loc: Sequence[PathStep]) -> list[PathStep]:
        """Return the steps of a pydantic location that exist in this document, because unions add steps."""
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
    return isinstance(value, List) and isinstance(step, int) and 0 <= step < len(value)


@dataclass(frozen=True, slots=True)
class LoadedDocument(Generic[T]):
    """A document, and the places of its parts."""

    document: T
    source_map: SourceMap

    @property
    def file(self) -> str:
        """The file's path, as a person would type it."""
        return self.source_map.text.file

    def source_of(self, *path: PathStep) -> Source:
        """Return the place of a value, such as `source_of("rules", 3, "queue")`, or of its nearest parent."""
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
        """Return a finding about a value, with its line for the caret."""
        index = self.source_map.index(path)
        return replace(self.source_map.text.finding(code, index, message, hint), severity=severity, address=address)
