"""The language server: an editor's messages -> analyses of the manifests of each of its folders."""

import asyncio
import os
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer

from reconciler.core.text.escape import sanitize_message
from reconciler.features.editor.features import Manifest, features
from reconciler.features.editor.positions import PositionedText
from reconciler.features.editor.protocol import ManifestProtocol, silence_refusals
from reconciler.version import __version__

if TYPE_CHECKING:
    from reconciler.core.manifest.yaml_patch import TextEdit
    from reconciler.core.model.finding import Finding
    from reconciler.features.editor.names import Mention
    from reconciler.features.editor.session import FolderSession

_PAUSE: Final = 0.01  # seconds: edits that arrive together are checked together
_CHANGES: Final = (
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
_WATCHERS: Final = "manifests"  # the id of their registration
_PATTERNS: Final = ("**/*.yaml", "**/*.yml")
_SUGGESTION: Final = re.compile(r'(?:did you mean|put it in quotes:) "([^"\\]+)"')
_START: Final = lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0))

Diagnostics = dict[str, list[lsp.Diagnostic]]


class _Folder:
    """A folder of the editor, and what it shows about it."""

    def __init__(self, session: "FolderSession") -> None:
        self.session = session
        # of the last check, shown until the next one ends
        self.advice: Sequence[Finding] = ()
        self.published: Diagnostics = {}


class ManifestServer:
    """The connection to one editor, with a session for each of its folders."""

    def __init__(self, directory: str, environment: str | None) -> None:
        """`directory` is that of the manifests, below each folder; `environment` is the one of
        -e.
        """
        self._directory = directory
        self._environment = environment
        self._folders: dict[Path, _Folder] = {}
        self._has_folders = (
            False  # whether the editor names its folders; otherwise it has one root
        )
        self._is_watching = False
        self._scheduled: asyncio.Handle | None = None
        self.server = LanguageServer(
            "cxroute",
            __version__,
            protocol_cls=ManifestProtocol,
        )
        silence_refusals()
        # pygls marks what it gets, and a method does not allow that: so it gets a `partial`.
        self.server.feature(lsp.INITIALIZE)(partial(self._initialize))
        self.server.feature(lsp.INITIALIZED)(partial(self._start))
        self.server.feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)(
            partial(self._change_folders)
        )
        for event in _CHANGES:
            self.server.feature(event)(partial(self._schedule))

        for method, options, handler in features(self):
            self.server.feature(method, options)(handler)

    def _initialize(self, parameters: lsp.InitializeParams) -> None:
        # Helix names none where there is no repository
        self._has_folders = bool(parameters.workspace_folders)

    def _start(self, _event: object) -> None:
        self._open_sessions()
        self._watch_files()
        self._schedule(_event)

    def _change_folders(self, _event: object) -> None:
        self._has_folders = True
        self._open_sessions()
        self._watch_files()
        self._schedule(_event)

    def _roots(self) -> list[str]:
        workspace = self.server.workspace
        if self._has_folders:
            paths = [
                uris.to_fs_path(folder.uri) for folder in workspace.folders.values()
            ]
            return [path for path in paths if path]
        return [workspace.root_path or "."]

    def _open_sessions(self) -> None:
        """Make a session for each new folder, and end those of removed ones."""
        from reconciler.features.editor.session import FolderSession  # noqa: PLC0415 - half a second: not before the answer

        # Without "..", as editors name files.
        paths = [os.path.abspath(Path(root, self._directory)) for root in self._roots()]  # noqa: PTH100
        directories = dict.fromkeys(map(Path, paths))
        for directory in [each for each in self._folders if each not in directories]:
            self._publish(self._folders.pop(directory), {})
        for directory in directories:
            if directory not in self._folders:
                session = FolderSession(directory, self._environment, self._directory)
                self._folders[directory] = _Folder(session)

    def _watch_files(self) -> None:
        """Ask the editor for the files that change on the disk, also in folders that were added."""
        workspace = self.server.client_capabilities.workspace
        support = workspace.did_change_watched_files if workspace else None
        if support is None or not support.dynamic_registration:
            return
        method = lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES
        if self._is_watching:
            old = lsp.Unregistration(_WATCHERS, method)
            self.server.client_unregister_capability(lsp.UnregistrationParams([old]))
        if support.relative_pattern_support:
            watchers = [
                lsp.FileSystemWatcher(_relative_pattern(each)) for each in self._folders
            ]
        else:
            watchers = [lsp.FileSystemWatcher(pattern) for pattern in _PATTERNS]
        options = lsp.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = lsp.Registration(_WATCHERS, method, options)
        self.server.client_register_capability(lsp.RegistrationParams([registration]))
        self._is_watching = True

    def _schedule(self, _event: object) -> None:
        """Check after a pause without edits: each of many edits in a row must not wait for a check
        of its own.
        """
        if self._scheduled is not None:
            self._scheduled.cancel()
        self._scheduled = asyncio.get_running_loop().call_later(_PAUSE, self._check)

    def _check(self) -> None:
        """Publish the errors of each folder at once, with the advice of the last check; then all
        findings.
        """
        self._scheduled = None
        for folder in self._folders.values():
            folder.session.read(self.buffers(folder.session))
            analysis = folder.session.analysis()
            if analysis.manifests:
                self._show(folder, [*analysis.findings, *folder.advice])
            findings = folder.session.findings(analysis)
            self._show(folder, findings)
            early = {(finding.code, finding.source) for finding in analysis.findings}
            folder.advice = [
                each for each in findings if (each.code, each.source) not in early
            ]

    def buffers(self, session: "FolderSession") -> dict[str, str]:
        """Return the texts of the open manifests of a folder, by their paths in findings."""
        documents = self.server.workspace.text_documents.values()
        paths = {
            session.display_path(uris.to_fs_path(each.uri) or ""): each.source
            for each in documents
        }
        paths.pop("", None)
        return paths

    def manifest(self, uri: str) -> Manifest | None:
        """Return a manifest and its session; None of another file."""
        file = uris.to_fs_path(uri) or ""
        for folder in self._folders.values():
            path = folder.session.display_path(file)
            if not path:
                continue
            folder.session.read(self.buffers(folder.session))
            text = folder.session.text(path)
            if text is not None:
                return Manifest(folder.session, path, self.positioned(text))
        return None

    def positioned(self, text: str) -> PositionedText:
        """Return a text with the positions of this editor."""
        return PositionedText(text, self.server.workspace.position_codec)

    def location(self, manifest: Manifest, mention: "Mention") -> lsp.Location:
        """Return the place of a name, which may be in another file of the folder."""
        text = self.positioned(manifest.session.text(mention.file) or "")
        uri = file_uri(mention.file, self.open_uris())
        place = text.range(mention.node.start, mention.node.end)
        return lsp.Location(uri, place)

    def workspace_edit(
        self,
        manifest: Manifest,
        edits: "Mapping[str, Sequence[TextEdit]]",
    ) -> lsp.WorkspaceEdit:
        """Return edits of several files."""
        opened = self.open_uris()
        changes: dict[str, Sequence[lsp.TextEdit]] = {}
        for path, changed in edits.items():
            text = self.positioned(manifest.session.text(path) or "")
            changes[file_uri(path, opened)] = [
                lsp.TextEdit(text.range(edit.start, edit.end), edit.text)
                for edit in changed
            ]
        return lsp.WorkspaceEdit(changes=changes)

    def open_uris(self) -> dict[str, str]:
        """Return the URIs of the open manifests as the editor writes them, by path."""
        opened: dict[str, str] = {}
        for document in self.server.workspace.text_documents.values():
            file = uris.to_fs_path(document.uri) or ""
            for folder in self._folders.values():
                path = folder.session.display_path(file)
                if path:
                    opened[path] = document.uri
        return opened

    def _show(self, folder: _Folder, findings: "list[Finding]") -> None:
        opened = self.open_uris()
        texts: dict[str, PositionedText | None] = {}
        diagnostics = defaultdict[str, list[lsp.Diagnostic]](list)
        for finding in chain.from_iterable(group.occurrences for group in findings):
            path = finding.source.file if finding.source else ""
            uri = file_uri(path, opened)
            place = _START
            if uri:
                if path not in texts:
                    text = folder.session.text(path)
                    texts[path] = None if text is None else self.positioned(text)
                place = _range(finding, texts[path])
            # What has no place, such as an unknown name after -e, or that of a folder, stands in
            # the first file.
            anchor = uri or file_uri(folder.session.anchor, opened)
            if anchor:
                diagnostics[anchor].append(_diagnostic(finding, place))
        self._publish(folder, diagnostics)

    def _publish(
        self,
        folder: _Folder,
        diagnostics: Mapping[str, list[lsp.Diagnostic]],
    ) -> None:
        """Replace what the editor shows about a folder."""
        for uri in sorted(folder.published.keys() | diagnostics.keys()):
            parameters = lsp.PublishDiagnosticsParams(
                uri=uri,
                diagnostics=diagnostics.get(uri, []),
            )
            self.server.text_document_publish_diagnostics(parameters)
        folder.published = dict(diagnostics)


def _relative_pattern(directory: Path) -> lsp.RelativePattern:
    """Return the pattern of everything below a folder of manifests: also of a folder that appears
    or goes.
    """
    parent = uris.from_fs_path(os.fspath(directory.parent)) or ""
    name = "".join(
        f"[{character}]" if character in "*?{}[]" else character
        for character in directory.name
    )
    return lsp.RelativePattern(parent, f"{name}/**")


def file_uri(path: str, opened: Mapping[str, str]) -> str:
    """Return the URI of a file by its path in findings; "" if there is no such file."""
    if path in opened:
        return opened[path]
    with suppress(OSError, ValueError):
        if path and Path(path).exists() and not Path(path).is_dir():
            return uris.from_fs_path(path) or ""
    return ""


def _range(finding: "Finding", text: PositionedText | None) -> lsp.Range:
    source = finding.source
    if source is None:
        return _START
    if text is None:  # a file that is not read as text
        start = lsp.Position(source.line - 1, source.column - 1)
        return lsp.Range(start, start)
    index = text.index_of(source.line, source.column)
    return text.range(index, index + finding.span)


def _diagnostic(finding: "Finding", place: lsp.Range) -> lsp.Diagnostic:
    """Return a finding for the editor; its `data` is the name or the text in quotes that the
    finding suggests.
    """
    suggestion = _SUGGESTION.search(finding.hint)
    hint = f"\n{finding.hint}" if finding.hint else ""
    return lsp.Diagnostic(
        range=place,
        message=sanitize_message(finding.message) + hint,
        severity=_SEVERITIES[finding.severity],
        code=finding.code,
        source="cxroute",
        data=suggestion[1] if suggestion else "",
    )
