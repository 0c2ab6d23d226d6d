"""The manifests of a folder as texts: where their rules and fields are, so that an edit keeps
comments and layout.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ENVIRONMENT = "sandbox"


class Replacement(NamedTuple):
    """A part of a file, and the new text in its place."""

    path: Path
    start: int
    end: int
    text: str


@dataclass(frozen=True)
class RuleText:
    """A rule in the text of its file."""

    path: Path
    rule_set: str
    defaults: Mapping[str, Any]
    node: yaml.MappingNode
    start: int  # where its text begins, with the comments above it
    end: int  # the end of its last line

    @cached_property
    def fields(self) -> dict[str, yaml.Node]:
        """Return the nodes of its fields, by name."""
        return fields_of(self.node)

    @cached_property
    def values(self) -> dict[str, Any]:
        """Return its fields."""
        return {name: _construct(node) for name, node in self.fields.items()}

    @property
    def address(self) -> str:
        """Return its address."""
        key = str(self.values.get("key") or self.values["intent"])
        return f"{self.rule_set}/{key.lower().replace('_', '-').replace('?', '')}"

    @property
    def priority(self) -> int:
        """Return its priority, or that of its RuleSet."""
        return int(self.values.get("priority", self.defaults.get("priority", 100)))

    @property
    def intents(self) -> list[str]:
        """Return its intents; a rule that tests no intent has none."""
        single = [self.values["intent"]] if "intent" in self.values else []
        return [*single, *self.values.get("intents", ())]

    @property
    def confidence(self) -> float | None:
        """Return its lowest confidence, or that of its RuleSet."""
        default = self.defaults.get("minConfidence") if self.intents else None
        value = self.values.get("minConfidence", default)
        return None if value is None else float(value)

    def set_field(self, name: str, value: str) -> Replacement:
        """Return the replacement of a field's value, or the field as a new last line."""
        if name in self.fields:
            return self.replace(self.fields[name], value)
        return self.add_lines([f"{name}: {value}"])

    def replace(self, node: yaml.Node, text: str) -> Replacement:
        """Return the replacement of a part of this rule."""
        return Replacement(self.path, node.start_mark.index, node.end_mark.index, text)

    def add_lines(self, lines: Iterable[str]) -> Replacement:
        """Return new lines after the last one, indented like the fields."""
        indent = " " * self.node.start_mark.column
        return Replacement(
            self.path,
            self.end,
            self.end,
            "".join(f"{indent}{line}\n" for line in lines),
        )


@dataclass(frozen=True, kw_only=True)
class ManifestTexts:
    """The documents of a folder that edits need."""

    rules: Sequence[RuleText]
    # the nodes of the defaults, by RuleSet
    defaults: Mapping[str, Mapping[str, yaml.Node]]
    queues: Sequence[str]  # aliases
    intents: Sequence[str]
    attributes: Mapping[str, Sequence[str]]  # values by attribute

    def rule_set(self, name: str) -> list[RuleText]:
        """Return the rules of a RuleSet."""
        return [rule for rule in self.rules if rule.rule_set == name]


def read_texts(folder: Path) -> ManifestTexts:
    """Read the manifests of a folder: those rules that the sandbox has."""
    documents = read_documents(folder)
    rule_sets = [
        document
        for document in documents
        if document.kind == "RuleSet" and document.is_in_sandbox
    ]
    queues = [
        alias
        for document in documents
        if document.kind == "Queues"
        for alias in document.values["queues"]
    ]
    intents = [
        entry["name"] if isinstance(entry, dict) else entry
        for document in documents
        if document.kind == "Intents"
        for entry in document.values["intents"]
    ]
    attributes = {
        name: list(attribute["values"])
        for document in documents
        if document.kind == "Attributes"
        for name, attribute in document.values["attributes"].items()
        if attribute.get("values")
    }
    return ManifestTexts(
        rules=[rule for item in rule_sets for rule in _rules_of(item)],
        defaults={item.values["name"]: _default_nodes(item) for item in rule_sets},
        queues=queues,
        intents=intents,
        attributes=attributes,
    )


def write_replacements(replacements: Iterable[Replacement]) -> None:
    """Change the files. The parts of one file do not overlap."""
    by_file = sorted(replacements, key=lambda item: (item.path, item.start))
    for path, parts in groupby(by_file, key=lambda item: item.path):
        text = path.read_text(encoding="utf-8")
        for part in reversed(list(parts)):
            text = text[: part.start] + part.text + text[part.end :]
        path.write_text(text, encoding="utf-8")


def fields_of(node: yaml.Node) -> dict[str, yaml.Node]:
    """Return the nodes of a mapping's values, by name."""
    assert isinstance(node, yaml.MappingNode)
    return {str(key.value): value for key, value in node.value}


def is_inline(node: yaml.Node) -> bool:
    """Return whether a list or mapping is written in brackets."""
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def last_place(node: yaml.Node) -> int:
    """Return where a node's text ends: a block collection's own mark is after the comments that
    follow it.
    """
    if isinstance(node, yaml.ScalarNode) or is_inline(node):
        return int(node.end_mark.index)
    parts = [
        part
        for pair in node.value
        for part in (pair if isinstance(pair, tuple) else (pair,))
    ]
    return max(map(last_place, parts))


class Item(NamedTuple):
    """An entry of a list in a document, with the comments above it."""

    node: yaml.Node
    start: int
    end: int  # the end of its last line


@dataclass(frozen=True)
class DocumentText:
    """A document in the text of its file."""

    path: Path
    text: str
    node: yaml.Node

    @cached_property
    def values(self) -> dict[str, Any]:
        """Return its fields."""
        values = _construct(self.node)
        assert isinstance(values, dict)
        return values

    @property
    def kind(self) -> str:
        """Return its kind."""
        return str(self.values["kind"])

    @property
    def is_in_sandbox(self) -> bool:
        """Return whether the sandbox has the document."""
        return ENVIRONMENT in self.values.get("environments", [ENVIRONMENT])

    def items(self, name: str) -> Iterator[Item]:
        """Yield the entries of the list in a field, each on lines of its own."""
        key, entries = next(pair for pair in self.node.value if pair[0].value == name)
        end = self.text.index("\n", key.end_mark.index) + 1
        for node in entries.value:
            start = end
            end = self.text.index("\n", last_place(node)) + 1
            yield Item(node, start, end)


def read_documents(folder: Path) -> list[DocumentText]:
    """Read the documents of a folder."""
    return [
        DocumentText(path, text, node)
        for path in sorted(folder.rglob("*.yaml"))
        for text in [path.read_text(encoding="utf-8")]
        for node in yaml.compose_all(text, Loader=yaml.CSafeLoader)
    ]


def _rules_of(document: DocumentText) -> Iterator[RuleText]:
    values = document.values
    for item in document.items("rules"):
        assert isinstance(item.node, yaml.MappingNode)
        defaults = values.get("defaults", {})
        yield RuleText(
            document.path, values["name"], defaults, item.node, item.start, item.end
        )


def _default_nodes(document: DocumentText) -> dict[str, yaml.Node]:
    fields = fields_of(document.node)
    return fields_of(fields["defaults"]) if "defaults" in fields else {}


def _construct(node: yaml.Node) -> Any:
    return yaml.SafeLoader("").construct_object(node, deep=True)
