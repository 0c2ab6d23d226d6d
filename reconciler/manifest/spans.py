"""Where each part of a manifest begins and ends in its text, and how it is written: what a patch in place needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from yaml import MappingNode, ScalarNode, SequenceNode, compose_all
from yaml.cyaml import CBaseLoader

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a mapping (`keys` and `values` in turn) or a list (`values`); `end` is behind its last character.

    `style` of a scalar is its quote, `|`, `>` or nothing; of a list or mapping it is `flow` or `block`.
    """

    start: int
    end: int
    style: str
    keys: tuple[Node, ...] = ()
    values: tuple[Node, ...] = ()

    @property
    def flow(self) -> bool:
        """Say whether this is a list or mapping in brackets."""
        return self.style == "flow"


def node_at(text: str, start: int) -> Node:
    """Return the mapping that begins at a character. KeyError where none does; the text is known to be valid."""
    for document in compose_all(text, CBaseLoader):
        for found in _mappings(document):
            if found.start_mark.index == start:
                return _node(found, text)
    raise KeyError(start)


def _mappings(node: Any) -> Iterator[Any]:  # noqa: ANN401 - PyYAML's nodes
    """Yield every mapping in a node, the outer ones first."""
    if isinstance(node, MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, SequenceNode):
        for value in node.value:
            yield from _mappings(value)


def _node(node: Any, text: str) -> Node:  # noqa: ANN401 - PyYAML's nodes
    start, end = node.start_mark.index, node.end_mark.index
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            end = start + len(text[start:end].rstrip())
        return Node(start, end, node.style or "")
    if isinstance(node, MappingNode):
        keys = tuple(_node(key, text) for key, _ in node.value)
        values = tuple(_node(value, text) for _, value in node.value)
    else:
        keys, values = (), tuple(_node(value, text) for value in node.value)
    if node.flow_style:
        return Node(start, end, "flow", keys, values)
    # A block's own end is where the next thing begins.
    return Node(start, values[-1].end if values else end, "block", keys, values)
