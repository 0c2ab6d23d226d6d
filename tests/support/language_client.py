"""A language client: `cxroute lsp` as a process, driven over stdin and stdout as an editor does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp
from pygls.lsp.client import LanguageClient

from tests.support.command import process_environment


class Editor:
    """An editor with one folder or several.

    `diagnostics` are the last ones, by name of the file.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.client = LanguageClient("an editor", "1")
        self.diagnostics: dict[str, list[lsp.Diagnostic]] = {}
        self.arrivals: list[tuple[str, float]] = []
        self.by_uri: dict[str, list[lsp.Diagnostic]] = {}
        self.registrations: dict[str, lsp.Registration] = {}
        self.messages: list[str] = []
        self._arrived = asyncio.Event()
        self._version = 1

        @self.client.feature(lsp.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)  # type: ignore[untyped-decorator]
        def _receive(parameters: lsp.PublishDiagnosticsParams) -> None:
            self.diagnostics[parameters.uri.rpartition("/")[2]] = list(
                parameters.diagnostics
            )
            self.by_uri[parameters.uri] = list(parameters.diagnostics)
            self.arrivals.append(
                (parameters.uri.rpartition("/")[2], time.perf_counter())
            )
            self._arrived.set()

        @self.client.feature(lsp.CLIENT_REGISTER_CAPABILITY)  # type: ignore[untyped-decorator]
        def _register(parameters: lsp.RegistrationParams) -> None:
            self.registrations |= {each.id: each for each in parameters.registrations}

        @self.client.feature(lsp.CLIENT_UNREGISTER_CAPABILITY)  # type: ignore[untyped-decorator]
        def _unregister(parameters: lsp.UnregistrationParams) -> None:
            for each in parameters.unregisterations:
                self.registrations.pop(each.id)

        @self.client.feature(lsp.WINDOW_SHOW_MESSAGE)  # type: ignore[untyped-decorator]
        def _show(parameters: lsp.ShowMessageParams) -> None:
            self.messages.append(parameters.message)

    def uri(self, name: str) -> str:
        """Return the URI of a manifest."""
        return (self.folder / "manifests" / name).as_uri()

    def open(self, name: str, text: str) -> None:
        """Open a document with a text that the disk need not have."""
        item = lsp.TextDocumentItem(
            uri=self.uri(name), language_id="yaml", version=1, text=text
        )
        self.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))

    def change(self, name: str, text: str, place: lsp.Range | None = None) -> float:
        """Replace the text, or a part of it; return the time of the edit."""
        self._version += 1
        document = lsp.VersionedTextDocumentIdentifier(
            uri=self.uri(name), version=self._version
        )
        change: Any = (
            lsp.TextDocumentContentChangePartial(place, text)
            if place
            else lsp.TextDocumentContentChangeWholeDocument(text)
        )
        started = time.perf_counter()
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(document, [change])
        )
        return started

    def close(self, name: str) -> None:
        """Close a document without saving it."""
        self.client.text_document_did_close(
            lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(self.uri(name)))
        )

    async def hover(self, name: str, line: int, character: int = 8) -> str:
        """Return the text of a hover, "" without one; from 0."""
        answer = await self.client.text_document_hover_async(
            lsp.HoverParams(**self.at(name, line, character))
        )
        return (
            answer.contents.value
            if answer and isinstance(answer.contents, lsp.MarkupContent)
            else ""
        )

    async def request(self, method: str, parameters: Any) -> Any:
        """Send a request whose parameters need not be valid, and return its result.

        Raises JsonRpcException.
        """
        protocol = self.client.protocol
        answer: Future[Any] = Future()
        self._version += 1
        protocol._request_futures[f"raw {self._version}"] = answer
        protocol._send_data(
            {
                "jsonrpc": "2.0",
                "id": f"raw {self._version}",
                "method": method,
                "params": parameters,
            }
        )
        return await asyncio.wait_for(asyncio.wrap_future(answer), 30)

    def notify(self, method: str, parameters: Any) -> None:
        """Send a notification whose parameters need not be valid."""
        self.client.protocol._send_data(
            {"jsonrpc": "2.0", "method": method, "params": parameters}
        )

    def at(self, name: str, line: int, character: int) -> dict[str, Any]:
        """Return the document and the position of a request (from 0)."""
        return {
            "text_document": lsp.TextDocumentIdentifier(self.uri(name)),
            "position": lsp.Position(line, character),
        }

    def codes(self, name: str) -> list[str]:
        """Return the codes of the last diagnostics."""
        return sorted(str(item.code) for item in self.diagnostics.get(name, []))

    async def until(self, name: str, *codes: str) -> None:
        """Wait until a document has these diagnostics alone."""
        end = time.perf_counter() + 120
        while name not in self.diagnostics or self.codes(name) != sorted(codes):
            assert time.perf_counter() < end, f"{name} has {self.diagnostics.get(name)}"
            self._arrived.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), 1)

    async def settle(self) -> None:
        """Wait until the server has checked everything that it received."""
        # a check follows a message after a pause, and ends before the next message is read
        for _ in range(2):
            await self.client.text_document_hover_async(
                lsp.HoverParams(**self.at("none.yaml", 0, 0))
            )
            await asyncio.sleep(0.05)
        await self.client.text_document_hover_async(
            lsp.HoverParams(**self.at("none.yaml", 0, 0))
        )


def processor_seconds(command: Sequence[str], sent: str = "") -> float:
    """Return the processor time of a process from its start to its end."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        command,
        input=sent,
        text=True,
        capture_output=True,
        check=True,
        env=process_environment(),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def start_seconds() -> float:
    """Return the processor time of the server from its start, over its answer to `initialize`, to
    its end.
    """
    first: dict[str, Any] = {"processId": None, "rootUri": None, "capabilities": {}}
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": first}
    ]
    messages += [{"id": 2, "method": "shutdown"}, {"method": "exit"}]
    bodies = [json.dumps({"jsonrpc": "2.0", **message}) for message in messages]
    requests_sent = "".join(
        f"Content-Length: {len(body)}\r\n\r\n{body}" for body in bodies
    )
    return processor_seconds([sys.executable, "-m", "reconciler", "lsp"], requests_sent)


def workspace_folder(folder: Path) -> lsp.WorkspaceFolder:
    """Return a folder of an editor's workspace."""
    return lsp.WorkspaceFolder(folder.as_uri(), folder.name)


def edit_in(
    folder: Path,
    session: Callable[[Editor], Awaitable[None]],
    *options: str,
    **further: Any,
) -> None:
    """Run a session of an editor from start to end."""

    async def run() -> None:
        async with editing(folder, *options, **further) as editor:
            await session(editor)

    asyncio.run(run())


@contextlib.asynccontextmanager
async def editing(
    folder: Path,
    *options: str,
    folders: Sequence[Path] | None = None,
    capabilities: lsp.ClientCapabilities | None = None,
) -> AsyncIterator[Editor]:
    """Start the server in a folder, or in several, and end it as an editor does."""
    editor = Editor(folder)
    variables = process_environment()
    command = [sys.executable, "-m", "reconciler", *options, "lsp", "--stdio"]
    await editor.client.start_io(*command, env=variables, cwd=os.fspath(folder.parent))
    parameters = lsp.InitializeParams(
        capabilities=capabilities or lsp.ClientCapabilities(),
        root_uri=folder.as_uri(),
        workspace_folders=None
        if folders is None
        else [workspace_folder(each) for each in folders],
    )
    await editor.client.initialize_async(parameters)
    editor.client.initialized(lsp.InitializedParams())
    try:
        yield editor
    finally:
        await editor.client.shutdown_async(None)
        editor.client.exit(None)
        await editor.client.stop()  # type: ignore[no-untyped-call]
