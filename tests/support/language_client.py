"""A language client: `cxroute lsp` as a process, driven over stdin and stdout as an editor does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from tests.support.command import process_environment


class Editor:
    """An editor with one folder. `diagnostics` are the last ones, by path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("an editor", "1")
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.arrivals: list[tuple[str, float]] = []
        self._arrived = asyncio.Event()
        self._version = 1

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def _receive(parameters: lsp.PublishDiagnosticsParams) -> None:
            self.diagnostics[parameters.uri.rpartition("/")[2]] = list(parameters.diagnostics)
            self.arrivals.append((parameters.uri.rpartition("/")[2], time.perf_counter()))
            self._arrived.set()

    def uri(self, name: str) -> str:
        """Return the URI of a manifest."""
        return (self.folder / "manifests" / name).as_uri()

    def open(self, name: str, text: str) -> None:
        """Open a document with a text that the disk need not have."""
        item = lsp.TextDocumentItem(uri=self.uri(name), language_id="yaml", version=1, text=text)
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def change(self, name: str, text: str, place: lsp.Range | None = None) -> float:
        """Replace the text, or a part of it; return the time of the edit."""
        self._version += 1
        document = lsp.VersionedTextDocumentIdentifier(uri=self.uri(name), version=self._version)
        change: Any = (
            lsp.TextDocumentContentChangePartial(place, text)
            if place
            else lsp.TextDocumentContentChangeWholeDocument(text)
        )
        started = time.perf_counter()
        self.client.text_document_did_change(lsp.DidChangeTextDocumentParams(document, [change]))
        return started

    def close(self, name: str) -> None:
        """Close a document without saving it."""
        self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(self.uri(name))))

    def at(self, name: str, line: int, character: int) -> dict[str, Any]:
        """Return the document and the position of a request (from 0)."""
        return {"text_document": lsp.TextDocumentIdentifier(self.uri(name)), "position": lsp.Position(line, character)}

    def codes(self, name: str) -> list[str]:
        """Return the codes of the last diagnostics."""
        return sorted(str(one.code) for one in self.diagnostics.get(name, []))

    async def until(self, name: str, *codes: str) -> None:
        """Wait until a document has these diagnostics alone."""
        end = time.perf_counter() + 30
        while name not in self.diagnostics or self.codes(name) != sorted(codes):
            assert time.perf_counter() < end, f"{name} has {self.diagnostics.get(name)}"
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), 1)

    async def settle(self) -> None:
        """Wait until the server has checked everything that it received."""
        for _ in range(2):  # a check follows a message after a pause, and ends before the next message is read
            await self.client.text_document_hover_async(lsp.HoverParams(**self.at("none.yaml", 0, 0)))
            await asyncio.sleep(0.05)
        await self.client.text_document_hover_async(lsp.HoverParams(**self.at("none.yaml", 0, 0)))


@contextlib.asynccontextmanager
async def editing(folder: Path, *options: str) -> AsyncIterator[Editor]:
    """Start the server in a folder, and end it as an editor does."""
    editor = Editor(folder)
    variables = process_environment()
    command = [sys.executable, "-m", "reconciler", *options, "lsp", "--stdio"]
    await editor.client.start_io(*command, env=variables, cwd=os.fspath(folder.parent))
    parameters = lsp.InitializeParams(capabilities=lsp.ClientCapabilities(), root_uri=folder.as_uri())
    await editor.client.initialize_async(parameters)
    editor.client.initialized(lsp.InitializedParams())
    try:
        yield editor
    finally:
        await editor.client.shutdown_async(None)
        editor.client.exit(None)
        await editor.client.stop()  # type: ignore[no-untyped-call]
