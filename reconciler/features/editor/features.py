"""The answers to an editor's requests about a manifest: hover, names, completion, rename, outline,
quick fixes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from reconciler.features.editor.positions import PositionedText

if TYPE_CHECKING:
    from reconciler.core.manifest.yaml_patch import TextEdit
    from reconciler.features.editor.names import Mention
    from reconciler.features.editor.outline import Symbol
    from reconciler.features.editor.session import FolderSession

_REQUEST_FAILED: Final = -32803
_SYMBOLS: Final = {
    "document": lsp.SymbolKind.Module,
    "rule": lsp.SymbolKind.Function,
    "test": lsp.SymbolKind.Event,
    "promise": lsp.SymbolKind.Interface,
    "queue": lsp.SymbolKind.Constant,
    "intent": lsp.SymbolKind.EnumMember,
    "attribute": lsp.SymbolKind.Property,
}
_CHOICES: Final = {
    "field": lsp.CompletionItemKind.Field,
    "value": lsp.CompletionItemKind.Value,
    "name": lsp.CompletionItemKind.Reference,
}
_TRIGGERS: Final = (" ", "/", '"', "'", "[", "{")


class Manifest(NamedTuple):
    """A manifest of the editor, with its present text."""

    session: "FolderSession"
    path: str
    text: PositionedText

    def offset(self, position: lsp.Position) -> int:
        """Return the index of a position. Raises JsonRpcInvalidParams."""
        return self.text.index(position)

    def mention_at(self, position: lsp.Position) -> "Mention | None":
        """Return the name at a position."""
        return self.session.mention(self.path, self.offset(position))


class _Server(Protocol):
    """What an answer needs of the server."""

    def manifest(self, uri: str) -> Manifest | None:
        """Return a manifest and its session; None of another file."""

    def location(self, manifest: Manifest, mention: "Mention") -> lsp.Location:
        """Return the place of a name, which may be in another file of the folder."""

    def workspace_edit(
        self,
        manifest: Manifest,
        edits: "Mapping[str, Sequence[TextEdit]]",
    ) -> lsp.WorkspaceEdit:
        """Return edits of several files."""


Feature = tuple[str, Any, Callable[[Any], Any]]


def features(server: _Server) -> Iterator[Feature]:
    """Yield the method of each request, its options and its handler."""
    completion = lsp.CompletionOptions(trigger_characters=_TRIGGERS)
    rename = lsp.RenameOptions(prepare_provider=True)
    handlers: tuple[tuple[str, Any, Callable[..., Any]], ...] = (
        (lsp.TEXT_DOCUMENT_HOVER, None, _hover),
        (lsp.TEXT_DOCUMENT_DEFINITION, None, _define),
        (lsp.TEXT_DOCUMENT_REFERENCES, None, _refer),
        (lsp.TEXT_DOCUMENT_COMPLETION, completion, _complete),
        (lsp.TEXT_DOCUMENT_PREPARE_RENAME, None, _prepare_rename),
        (lsp.TEXT_DOCUMENT_RENAME, rename, _rename),
        (lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL, None, _outline),
        (lsp.TEXT_DOCUMENT_CODE_ACTION, None, _fix),
    )
    for method, options, handler in handlers:
        yield method, options, partial(handler, server)


def _hover(server: _Server, parameters: lsp.HoverParams) -> lsp.Hover | None:
    manifest = server.manifest(parameters.text_document.uri)
    if manifest is None:
        return None
    index = manifest.offset(parameters.position)
    text = manifest.session.hover(manifest.path, index)
    if not text:
        return None
    return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text))


def _define(
    server: _Server, parameters: lsp.DefinitionParams
) -> lsp.Location | list[lsp.Location] | None:
    manifest = server.manifest(parameters.text_document.uri)
    mention = manifest.mention_at(parameters.position) if manifest else None
    if manifest is None or mention is None:
        return None
    locations = []
    for each in manifest.session.mentions(mention):
        if each.is_definition:
            definition = each._replace(node=each.target)
            locations.append(server.location(manifest, definition))
    if len(locations) == 1:
        return locations[0]
    return locations or None


def _refer(
    server: _Server, parameters: lsp.ReferenceParams
) -> list[lsp.Location] | None:
    manifest = server.manifest(parameters.text_document.uri)
    mention = manifest.mention_at(parameters.position) if manifest else None
    if manifest is None or mention is None:
        return None
    with_definition = parameters.context.include_declaration
    return [
        server.location(manifest, each)
        for each in manifest.session.mentions(mention)
        if with_definition or not each.is_definition
    ]


def _complete(
    server: _Server, parameters: lsp.CompletionParams
) -> list[lsp.CompletionItem] | None:
    manifest = server.manifest(parameters.text_document.uri)
    if manifest is None:
        return None
    index = manifest.offset(parameters.position)
    completion = manifest.session.complete(manifest.path, index)
    if completion is None:
        return None
    place = manifest.text.range(completion.start, completion.end)
    return [
        lsp.CompletionItem(
            label=choice.label,
            kind=_CHOICES[choice.kind],
            detail=choice.detail or None,
            documentation=choice.help or None,
            sort_text=f"{number:05}",
            filter_text=f"{completion.typed}{choice.label}",
            text_edit=lsp.TextEdit(place, choice.text),
        )
        for number, choice in enumerate(completion.choices)
    ]


def _prepare_rename(
    server: _Server, parameters: lsp.PrepareRenameParams
) -> lsp.PrepareRenamePlaceholder | None:
    manifest = server.manifest(parameters.text_document.uri)
    if manifest is None:
        return None
    index = manifest.offset(parameters.position)
    alias = manifest.session.alias(manifest.path, index)
    if alias is None:
        return None
    node = alias.node
    quote = 1 if node.style in ("'", '"') else 0
    place = manifest.text.range(node.start + quote, node.end - quote)
    return lsp.PrepareRenamePlaceholder(place, alias.name)


def _rename(server: _Server, parameters: lsp.RenameParams) -> lsp.WorkspaceEdit:
    manifest = server.manifest(parameters.text_document.uri)
    if manifest is None:
        raise JsonRpcException(
            "This file is not a manifest of the folder.", _REQUEST_FAILED
        )
    index = manifest.offset(parameters.position)
    edits, refusal = manifest.session.rename(manifest.path, index, parameters.new_name)
    if refusal:
        raise JsonRpcException(refusal, _REQUEST_FAILED)
    return server.workspace_edit(manifest, edits)


def _outline(
    server: _Server, parameters: lsp.DocumentSymbolParams
) -> list[lsp.DocumentSymbol]:
    manifest = server.manifest(parameters.text_document.uri)
    if manifest is None:
        return []
    symbols = manifest.session.outline(manifest.path)
    return [_symbol(each, manifest.text) for each in symbols]


def _symbol(symbol: "Symbol", text: PositionedText) -> lsp.DocumentSymbol:
    return lsp.DocumentSymbol(
        name=symbol.name,
        kind=_SYMBOLS[symbol.kind],
        range=text.range(symbol.start, symbol.end),
        selection_range=text.range(symbol.node.start, min(symbol.node.end, symbol.end)),
        children=[_symbol(child, text) for child in symbol.children],
    )


def _fix(server: _Server, parameters: lsp.CodeActionParams) -> list[lsp.CodeAction]:
    """Offer the nearest known name in place of an unknown one."""
    uri = parameters.text_document.uri
    manifest = server.manifest(uri)
    actions: list[lsp.CodeAction] = []
    for diagnostic in parameters.context.diagnostics if manifest else ():
        name = diagnostic.data
        if (
            manifest
            and diagnostic.source == "cxroute"
            and isinstance(name, str)
            and name
        ):
            edit = lsp.TextEdit(
                range=diagnostic.range,
                new_text=manifest.session.written(name),
            )
            kind = lsp.CodeActionKind.QuickFix
            action = lsp.CodeAction(f"Change to {edit.new_text}", kind, [diagnostic])
            action.edit = lsp.WorkspaceEdit(changes={uri: [edit]})
            actions.append(action)
    return actions
