"""The outline of a document: its rules, route tests, promises and other items, each with its
extent.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

from reconciler.core.manifest.syntax_tree import SyntaxDocument, SyntaxNode
from reconciler.core.text.escape import sanitize
from reconciler.features.editor.names import address_of

SymbolKind = Literal[
    "document", "rule", "test", "promise", "queue", "intent", "attribute"
]

_ITEMS: Final[dict[str, tuple[str, SymbolKind]]] = {
    "RuleSet": ("rules", "rule"),
    "RouteTests": ("tests", "test"),
    "Promises": ("promises", "promise"),
    "Queues": ("queues", "queue"),
    "Intents": ("intents", "intent"),
    "Attributes": ("attributes", "attribute"),
}
_MAX_NAME: Final = 80


@dataclass(frozen=True, kw_only=True)
class Symbol:
    """A part of a manifest with a name.

    `start` and `end` are its extent, `node` is what an editor selects.
    """

    name: str
    kind: SymbolKind
    start: int
    end: int
    node: SyntaxNode
    children: "list[Symbol]" = field(default_factory=list)


def outline(document: SyntaxDocument, text: str) -> Symbol:
    """Return the symbol of a document, with its items as children."""
    root = document.root
    end = document.start + len(text[document.start : document.end].rstrip())
    node = root.get("name") or root
    title = f"{document.kind} {root.text_of('name')}".strip() or "document"
    return Symbol(
        name=_shorten(title),
        kind="document",
        start=document.start,
        end=end,
        node=_inside(node, end, root),
        children=list(_items(document)),
    )


def _inside(node: SyntaxNode, end: int, root: SyntaxNode) -> SyntaxNode:
    return node if node.end <= end else root


def _items(document: SyntaxDocument) -> Iterator[Symbol]:
    field_name, kind = _ITEMS.get(document.kind, ("", "rule"))
    items = document.root.get(field_name)
    if items is None:
        return
    for key, value in items.entries():
        yield Symbol(
            name=_shorten(key.text or ""),
            kind=kind,
            start=key.start,
            end=max(key.end, value.end),
            node=key,
        )
    for number, item in enumerate(items.items(), 1):
        name = _shorten(_name(document, kind, item))
        yield Symbol(
            name=name or f"{kind} {number}",
            kind=kind,
            start=item.start,
            end=item.end,
            node=item,
        )


def _name(document: SyntaxDocument, kind: SymbolKind, item: SyntaxNode) -> str:
    if item.is_scalar:
        return item.text or ""
    if kind == "rule":
        return address_of(document, item)
    return _test_name(item) if kind == "test" else item.text_of("name")


def _test_name(item: SyntaxNode) -> str:
    """Return `intent -> queue` of a route test."""
    given = item.get("given")
    expected = item.get("expect")
    context = given.get("context") if given else None
    intent = (given.text_of("intent") if given else "") or (
        context.text_of("intent") if context else ""
    )
    return (
        f"{intent or 'no intent'} -> {_destination(expected)}" if expected else intent
    )


def _destination(expected: SyntaxNode) -> str:
    split = expected.get("split")
    if split is not None:
        return ", ".join(key.text or "" for key, _ in split.entries())
    return expected.text_of("queue") or "the default routing"


def _shorten(text: str) -> str:
    name = sanitize(text)
    if len(name) > _MAX_NAME:
        name = f"{name[: _MAX_NAME - 1]}…"
    return name
