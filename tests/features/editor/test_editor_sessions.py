"""Folders of an editor: one session each, silence without manifests, places in real files, watched
files, refusals.
"""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcException

from tests.support.language_client import Editor, edit_in, workspace_folder

pytestmark = pytest.mark.slow

ENVIRONMENT: Final = 'apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: {owner}\napi: {{baseUrl: "http://127.0.0.1:1"}}\n'
RULES: Final = (
    "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n  - {intent: a, queue: "
    "Desk}\n"
)
WATCHING: Final = lsp.ClientCapabilities(
    workspace=lsp.WorkspaceClientCapabilities(
        workspace_folders=True,
        did_change_watched_files=lsp.DidChangeWatchedFilesClientCapabilities(
            dynamic_registration=True, relative_pattern_support=True
        ),
    )
)


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / "manifests" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def codes(editor: Editor, path: Path) -> list[str]:
    return sorted(str(each.code) for each in editor.by_uri.get(path.as_uri(), []))


def change_folders(editor: Editor, added: list[Path], removed: list[Path]) -> None:
    event = lsp.WorkspaceFoldersChangeEvent(
        [*map(workspace_folder, added)], [*map(workspace_folder, removed)]
    )
    editor.client.workspace_did_change_workspace_folders(
        lsp.DidChangeWorkspaceFoldersParams(event)
    )


def tell(editor: Editor, path: Path, kind: lsp.FileChangeType) -> None:
    event = lsp.FileEvent(path.as_uri(), kind)
    editor.client.workspace_did_change_watched_files(
        lsp.DidChangeWatchedFilesParams([event])
    )


def test_each_folder_has_its_own_manifests(tmp_path: Path) -> None:
    """Equal owners in two folders are not an error; a removed folder loses its findings, an added
    one gets some.
    """
    folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        write(folder, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    broken = [
        write(folder, "cards.yaml", RULES.replace("queue", "queeu"))
        for folder in folders
    ]

    async def session(editor: Editor) -> None:
        await editor.settle()
        assert [["CXR102"], ["CXR102"], []] == [codes(editor, path) for path in broken]
        change_folders(editor, added=[folders[2]], removed=[folders[0]])
        await editor.settle()
        assert [[], ["CXR102"], ["CXR102"]] == [codes(editor, path) for path in broken]

    edit_in(folders[0], session, folders=folders[:2])


def test_an_editor_that_names_no_folder_has_its_root(tmp_path: Path) -> None:
    """Helix sends an empty list of folders where there is no repository."""
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    write(tmp_path, "cards.yaml", "a: [")

    async def session(editor: Editor) -> None:
        await editor.until("cards.yaml", "CXR004")

    edit_in(tmp_path, session, folders=[])


@pytest.mark.parametrize(
    "other",
    ["", "a: [\n", "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: x}\n"],
)
def test_it_is_silent_without_manifests(tmp_path: Path, other: str) -> None:
    """No folder, an empty one, and files of other programs have no finding and no message, also
    with -e.
    """
    folders = [tmp_path / "none", tmp_path / "other"]
    folders[0].mkdir()
    path = write(folders[1], "app.yaml", other)

    async def session(editor: Editor) -> None:
        item = lsp.TextDocumentItem(path.as_uri(), "yaml", 1, other)
        editor.client.text_document_did_open(lsp.DidOpenTextDocumentParams(item))
        await editor.settle()
        assert ([], []) == (
            [each for each in editor.by_uri.values() if each],
            editor.messages,
        )
        path.write_text(RULES.replace("queue", "queeu"), encoding="utf-8")
        editor.client.text_document_did_close(
            lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(path.as_uri()))
        )
        await editor.until("app.yaml", "CXR102")

    edit_in(folders[0], session, "-e", "nowhere", folders=folders)


def test_a_hidden_file_is_not_a_manifest(tmp_path: Path) -> None:
    """`validate` does not read it, so an open one has no finding, either."""
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    write(tmp_path, "cards.yaml", "a: [")

    async def session(editor: Editor) -> None:
        editor.open(".github/ci.yml", "on: [")
        await editor.until("cards.yaml", "CXR004")
        await editor.settle()
        assert [] == editor.diagnostics.get("ci.yml", [])

    edit_in(tmp_path, session)


def test_a_finding_without_a_place_is_in_a_real_file(tmp_path: Path) -> None:
    """The unknown name after -e is shown in a manifest, never at a folder."""
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    path = write(tmp_path, "cards.yaml", RULES)

    async def session(editor: Editor) -> None:
        await editor.until("cards.yaml", "CXR113")
        printed = [
            unquote(uri.removeprefix("file://"))
            for uri, findings in editor.by_uri.items()
            if findings
        ]
        assert [path.as_posix()] == printed

    edit_in(tmp_path, session, "-e", "nowhere")


def test_a_finding_about_a_folder_is_in_a_real_file(tmp_path: Path) -> None:
    """A link that leads out of the manifests is a folder, which an editor cannot open."""
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    path = write(tmp_path, "cards.yaml", RULES)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "manifests" / "link").symlink_to(tmp_path / "elsewhere")

    async def session(editor: Editor) -> None:
        await editor.until("cards.yaml", "CXR003")
        printed = [
            unquote(uri.removeprefix("file://"))
            for uri, findings in editor.by_uri.items()
            if findings
        ]
        assert [path.as_posix()] == printed

    edit_in(tmp_path, session)


def test_files_on_the_disk_are_watched(tmp_path: Path) -> None:
    """Created, changed and deleted files that are not open change the findings; a new folder is
    watched, too.
    """
    first = tmp_path / "first"
    second = tmp_path / "second"
    write(first, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    second.mkdir()

    async def session(editor: Editor) -> None:
        await editor.settle()
        path = write(first, "cards.yaml", RULES.replace("queue", "queeu"))
        assert watches(editor, path)
        tell(editor, path, lsp.FileChangeType.Created)
        await editor.until("cards.yaml", "CXR102")
        path.write_text(RULES, encoding="utf-8")
        tell(editor, path, lsp.FileChangeType.Changed)
        await editor.until("cards.yaml")
        path.write_text("a: [", encoding="utf-8")
        tell(editor, path, lsp.FileChangeType.Changed)
        await editor.until("cards.yaml", "CXR004")
        path.unlink()
        tell(editor, path, lsp.FileChangeType.Deleted)
        await editor.until("cards.yaml")
        candidate = second / "manifests" / "x" / "a.yml"
        assert not watches(editor, candidate)
        change_folders(editor, added=[second], removed=[])
        await editor.settle()
        assert watches(editor, candidate)
        assert watches(editor, path)

    edit_in(first, session, folders=[first], capabilities=WATCHING)


def watches(editor: Editor, path: Path) -> bool:
    """Return whether the editor was asked to tell about a file, as it reads the registered
    patterns.
    """
    options: list[Any] = [
        each.register_options for each in editor.registrations.values()
    ]
    patterns = [
        watcher["globPattern"] for each in options for watcher in each["watchers"]
    ]
    folders = [
        Path(unquote(each["baseUri"].removeprefix("file://"))) / each["pattern"]
        for each in patterns
    ]
    return any(
        folder.name == "**" and path.is_relative_to(folder.parent) for folder in folders
    )


def test_a_deleted_folder_has_no_findings(tmp_path: Path) -> None:
    """An editor tells about the folder alone, and not about each of its files."""
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))
    write(tmp_path, "cards.yaml", "a: [")

    async def session(editor: Editor) -> None:
        await editor.until("cards.yaml", "CXR004")
        shutil.rmtree(tmp_path / "manifests")
        tell(editor, tmp_path / "manifests", lsp.FileChangeType.Deleted)
        await editor.until("cards.yaml")

    edit_in(tmp_path, session)


INVALID: Final[list[Any]] = [
    {"line": -1, "character": 0},
    {"line": 0, "character": -5},
    {"line": 2**40, "character": 0},
    {"line": 99, "character": 0},
    {"line": "x", "character": 0},
    {"line": 1.5, "character": {}},
    {},
    None,
]
REQUESTS: Final = [
    "hover",
    "definition",
    "references",
    "completion",
    "prepareRename",
    "rename",
]


@pytest.mark.parametrize("position", INVALID, ids=str)
def test_an_invalid_position_is_refused(
    tmp_path: Path, position: object, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each request gets an error as its answer; the server prints no traceback, and works
    afterwards.
    """
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", RULES)
        for name in REQUESTS:
            document = {"uri": editor.uri("cards.yaml")}
            parameters = {
                "textDocument": document,
                "position": position,
                "context": {},
                "newName": "x",
            }
            if name == "references":
                parameters["context"] = {"includeDeclaration": True}
            if name == "completion":
                parameters["context"] = {"triggerKind": 1}
            with pytest.raises(JsonRpcException) as caught:
                await editor.request(f"textDocument/{name}", parameters)
            assert -32602 == caught.value.code, name
        assert "cards/a" in await editor.hover("cards.yaml", 4)
        assert [] == editor.messages

    edit_in(tmp_path, session)
    assert "Traceback" not in capfd.readouterr().err


def test_an_edit_at_an_invalid_place_is_ignored(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """It has no answer; the document keeps its text."""
    write(tmp_path, "prod.yaml", ENVIRONMENT.format(owner="acme"))

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", RULES)
        place = {
            "start": {"line": -1, "character": 0},
            "end": {"line": 0, "character": 0},
        }
        document = {"uri": editor.uri("cards.yaml"), "version": 2}
        change = {
            "textDocument": document,
            "contentChanges": [{"range": place, "text": "x"}],
        }
        editor.notify("textDocument/didChange", change)
        await asyncio.sleep(0.05)
        assert "cards/a" in await editor.hover("cards.yaml", 4)
        assert [] == editor.messages

    edit_in(tmp_path, session)
    assert "Traceback" not in capfd.readouterr().err
