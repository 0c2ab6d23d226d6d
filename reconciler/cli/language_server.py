"""The language server: an editor's messages -> analyses of the manifests, with the texts that are not saved yet."""

import asyncio
import os
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer

from reconciler.cli.editor_analysis import Analysis, analyze, suggested_name, word_at
from reconciler.manifest.files import EXTENSIONS
from reconciler.manifest.yaml_writer import format_scalar
from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.text.escape import escape_invisible, sanitize
from reconciler.version import __version__

_PAUSE: Final = 0.01  # seconds: edits that arrive together are checked together
_EVENTS: Final = (
    lsp.INITIALIZED,
    lsp.TEXT_DOCUMENT_DID_OPEN,
    lsp.TEXT_DOCUMENT_DID_CHANGE,
    lsp.TEXT_DOCUMENT_DID_SAVE,
    lsp.TEXT_DOCUMENT_DID_CLOSE,
    lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES,
)
"""The events after which the manifests are checked."""
_SEVERITIES: Final = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "info": lsp.DiagnosticSeverity.Information,
}


class ManifestServer:
    """The session of one editor: the folder, the last analysis, and the files with diagnostics."""

    def __init__(self, directory: str, environment: str | None) -> None:
        self._directory, self._environment = directory, environment
        self._valid = Analysis([], None, [])  # the last one without errors, for hover and definitions
        self._advice: list[Finding] = []
        self._published: set[str] = set()
        self._scheduled: asyncio.Handle | None = None
        self.server = LanguageServer("cxroute", __version__)
        for event in _EVENTS:
            self.server.feature(event)(partial(self._schedule))  # pygls marks what it gets: a method does not allow it
        self.server.feature(lsp.TEXT_DOCUMENT_HOVER)(partial(self._hover))
        self.server.feature(lsp.TEXT_DOCUMENT_DEFINITION)(partial(self._define))
        self.server.feature(lsp.TEXT_DOCUMENT_CODE_ACTION)(partial(self._fix))

    @property
    def _folder(self) -> Path:  # without "..", as editors name files
        return Path(os.path.abspath(Path(self.server.workspace.root_path or ".", self._directory)))  # noqa: PTH100

    def _path(self, uri: str) -> str:
        """Return the path of a document as findings name it; "" for one that is not a manifest of the folder."""
        path = Path(uris.to_fs_path(uri) or "")
        is_manifest = path.suffix in EXTENSIONS and path.is_relative_to(self._folder)
        return escape_invisible(path.as_posix()) if is_manifest else ""

    def _schedule(self, _event: object) -> None:
        """Check after a pause without edits: each of many edits in a row must not wait for a check of its own."""
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._scheduled = asyncio.get_running_loop().call_later(_PAUSE, self._check)

    def _check(self) -> None:
        """Publish the errors at once, with the advice of the last check; then all findings."""
        self._scheduled = None
        documents = self.server.workspace.text_documents
        buffers = {self._path(uri): each.source.encode(errors="surrogatepass") for uri, each in documents.items()}
        buffers.pop("", None)
        analysis = analyze(self._folder, buffers, self._environment)
        if analysis.manifests:
            self._valid = analysis
            self._publish([*analysis.findings, *self._advice])
        findings = analysis.all_findings(self._environment, self._directory)
        self._publish(findings)
        early = {(finding.code, finding.source) for finding in analysis.findings}
        self._advice = [finding for finding in findings if (finding.code, finding.source) not in early]

    def _publish(self, findings: list[Finding]) -> None:
        by_file = defaultdict[str, list[lsp.Diagnostic]](list)
        for finding in (each for group in findings for each in group.occurrences):
            source = finding.source or Source((self._folder / "_").as_posix(), 1, 1)
            by_file[source.file].append(self._diagnostic(finding, source))
        for file in sorted(self._published | by_file.keys()):
            uri = uris.from_fs_path(file) or ""
            parameters = lsp.PublishDiagnosticsParams(uri=uri, diagnostics=by_file.get(file, []))
            self.server.text_document_publish_diagnostics(parameters)
        self._published = set(by_file)

    def _diagnostic(self, finding: Finding, source: Source) -> lsp.Diagnostic:
        hint = f"\n{finding.hint}" if finding.hint else ""
        return lsp.Diagnostic(
            range=self._range(source, finding.span),
            message=sanitize(finding.message) + hint,
            severity=_SEVERITIES[finding.severity],
            code=finding.code,
            source="cxroute",
            data=suggested_name(finding),
        )

    def _lines(self, uri: str) -> Sequence[str]:
        """Return the lines of a document; none of a file that is gone, not UTF-8, or not a regular file."""
        with suppress(OSError, ValueError):
            if uri in self.server.workspace.text_documents or Path(uris.to_fs_path(uri) or "").is_file():
                return self.server.workspace.get_text_document(uri).lines
        return ()

    def _range(self, source: Source, length: int) -> lsp.Range:
        """Return a range of that many characters in the editor's units (UTF-16, unless it asked for others)."""
        start = lsp.Position(source.line - 1, source.column - 1)
        place = lsp.Range(start, lsp.Position(start.line, start.character + length))
        lines = self._lines(uris.from_fs_path(source.file) or "")
        return self.server.workspace.position_codec.range_to_client_units(lines, place)

    def _word(self, parameters: lsp.HoverParams | lsp.DefinitionParams) -> tuple[str, int]:
        """Return the scalar at a position, and its line from 1."""
        lines, codec = self._lines(parameters.text_document.uri), self.server.workspace.position_codec
        place = codec.position_from_client_units(lines, parameters.position)
        line = lines[place.line] if place.line < len(lines) else ""
        return word_at(line, place.character), place.line + 1

    def _hover(self, parameters: lsp.HoverParams) -> lsp.Hover | None:
        path, (_, line) = self._path(parameters.text_document.uri), self._word(parameters)
        text = self._valid.describe_rule(path, line) if path else ""
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text)) if text else None

    def _define(self, parameters: lsp.DefinitionParams) -> lsp.Location | None:
        word, _ = self._word(parameters)
        source = self._valid.find_queue(word)
        return lsp.Location(uris.from_fs_path(source.file) or "", self._range(source, 0)) if source else None

    def _fix(self, parameters: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        """Offer the nearest known name in place of an unknown one."""
        actions, uri = [], parameters.text_document.uri
        for diagnostic in parameters.context.diagnostics:
            if diagnostic.source == "cxroute" and isinstance(diagnostic.data, str) and diagnostic.data:
                edit = lsp.TextEdit(range=diagnostic.range, new_text=format_scalar(diagnostic.data))
                action = lsp.CodeAction(f"Change to {edit.new_text}", lsp.CodeActionKind.QuickFix, [diagnostic])
                action.edit = lsp.WorkspaceEdit(changes={uri: [edit]})
                actions.append(action)
        return actions
