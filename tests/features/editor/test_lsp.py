"""`cxroute lsp`, as a process, driven by a real client over stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from lsprotocol import types as lsp

from tests.support.command import process_environment
from tests.support.language_client import Editor, edit_in
from tests.support.program import Program

pytestmark = pytest.mark.slow

EXIT = {"method": "exit"}
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {baseUrl: "http://127.0.0.1:1"}
"""
QUEUES = """\
apiVersion: routing/v1
kind: Queues
name: queues
queues:
  cards: Card Services
  fraud: Fraud Desk
  "café 𝒳": Odd
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost_card, queue: fraud, priority: 1}
  - {key: late, name: late, intent: lost_card, minConfidence: 0.5, queue: cards, priority: 2}
  - {intent: new_card, minConfidence: 0.5, queue: cards}
"""
TESTS = """\
apiVersion: routing/v1
kind: RouteTests
name: cards
tests:
  - {given: {intent: lost_card, confidence: 0.9}, expect: {queue: fraud}}
"""


def write(folder: Path, **texts: str) -> None:
    (folder / "manifests").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / "manifests" / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_diagnostics_are_those_of_validate(tmp_path: Path, cxroute: Program) -> None:
    """The codes and places of `validate --format json`, for errors, for advice, and for a failed
    route test.
    """
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, cards=RULES)
    remaining_items = {
        "advice": RULES.replace("name: cards", "name: other").replace(
            "priority: 1", "priority: 3"
        ),
        "broken": RULES.replace("name: cards", "name: b").replace(
            "minConfidence", "minconfidence", 1
        ),
        "tests": TESTS.replace("queue: fraud", "queue: cards"),
        "yaml": "a: [",
    }

    async def session(editor: Editor) -> None:
        for name, text in remaining_items.items():
            write(tmp_path, other=text)
            editor.client.workspace_did_change_watched_files(
                lsp.DidChangeWatchedFilesParams([])
            )
            await editor.settle()
            assert cxroute(
                "-m", str(tmp_path / "manifests"), "validate", "--format", "json"
            ) in (0, 3)
            findings = json.loads(cxroute.out)["findings"]
            places = [
                item
                for finding in findings
                for item in finding.get("sources", [finding["source"]])
            ]
            expected = sorted(
                (Path(place["file"]).name, place["line"], place["column"])
                for place in places
            )
            actual = sorted(
                (
                    name,
                    diagnostic.range.start.line + 1,
                    diagnostic.range.start.character + 1,
                )
                for name, diagnostics in editor.diagnostics.items()
                for diagnostic in diagnostics
            )
            assert expected == actual, name
            assert actual

    edit_in(tmp_path, session)


def test_a_text_that_is_not_saved_is_checked(tmp_path: Path) -> None:
    """The disk has the earlier text, or none; another file's queues are those of its open text."""
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES)
    rules = RULES.partition("  - {key")[0]

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", rules.replace("fraud", "fruad"))
        await editor.until("cards.yaml", "CXR117")
        editor.open("queues.yaml", QUEUES + "  fruad: Fraud Desk\n")
        await editor.until("cards.yaml")
        end = lsp.Position(QUEUES.count("\n") + 1, 0)
        editor.change("queues.yaml", "  x: [\n", lsp.Range(end, end))
        await editor.until("queues.yaml", "CXR004")
        editor.change("queues.yaml", QUEUES)
        await editor.until("cards.yaml", "CXR117")
        assert [] == editor.diagnostics["queues.yaml"]
        editor.close("cards.yaml")
        await editor.until("cards.yaml")

    edit_in(tmp_path, session)


def test_a_misspelt_name_is_replaced(tmp_path: Path) -> None:
    """The offered edit makes the text valid, also behind a letter that UTF-16 writes as two
    units.
    """
    wrong = 'rules:\n  - {key: "a", name: "𝒳", intent: lost_card, queue: fruad}\n'
    text = RULES.partition("rules:")[0] + wrong
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, cards=text)

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", text)
        await editor.until("cards.yaml", "CXR117")
        (diagnostic,) = editor.diagnostics["cards.yaml"]
        context = lsp.CodeActionContext(diagnostics=[diagnostic])
        document = lsp.TextDocumentIdentifier(editor.uri("cards.yaml"))
        request = lsp.CodeActionParams(document, diagnostic.range, context)
        (action,) = await editor.client.text_document_code_action_async(request) or ()
        assert isinstance(action, lsp.CodeAction)
        assert "Change to fraud" == action.title
        assert action.edit
        assert action.edit.changes
        (edit,) = action.edit.changes[editor.uri("cards.yaml")]
        editor.change("cards.yaml", edit.new_text, edit.range)
        await editor.until("cards.yaml")

    edit_in(tmp_path, session)


def test_a_text_that_other_tools_misread_is_put_in_quotes(tmp_path: Path) -> None:
    """The offered edit replaces the entire text, also one with a colon, and the warning goes."""
    text = RULES.replace("intent: new_card", "intent: 1:30")
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, cards=text)

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", text)
        await editor.until("cards.yaml", "CXR202", "CXR208", "CXR216")
        (diagnostic,) = (
            each for each in editor.diagnostics["cards.yaml"] if each.code == "CXR216"
        )
        document = lsp.TextDocumentIdentifier(editor.uri("cards.yaml"))
        request = lsp.CodeActionParams(
            document, diagnostic.range, lsp.CodeActionContext(diagnostics=[diagnostic])
        )
        (action,) = await editor.client.text_document_code_action_async(request) or ()
        assert isinstance(action, lsp.CodeAction)
        assert 'Change to "1:30"' == action.title
        assert action.edit
        assert action.edit.changes
        (edit,) = action.edit.changes[editor.uri("cards.yaml")]
        assert ('"1:30"', 4) == (
            edit.new_text,
            edit.range.end.character - edit.range.start.character,
        )

    edit_in(tmp_path, session)


def test_the_definition_of_a_queue_is_its_alias(tmp_path: Path) -> None:
    """In its document; other words have none."""
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, cards=RULES)

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", RULES)
        await editor.settle()
        column = RULES.splitlines()[4].index("fraud") + 2
        actual = await editor.client.text_document_definition_async(
            lsp.DefinitionParams(**editor.at("cards.yaml", 4, column))
        )
        assert isinstance(actual, lsp.Location)
        assert (editor.uri("queues.yaml"), lsp.Position(5, 9)) == (
            actual.uri,
            actual.range.start,
        )
        assert None is await editor.client.text_document_definition_async(
            lsp.DefinitionParams(**editor.at("cards.yaml", 4, 6))
        )
        outside = lsp.DefinitionParams(
            lsp.TextDocumentIdentifier((tmp_path / "gone.yaml").as_uri()),
            lsp.Position(9, 9),
        )
        assert None is await editor.client.text_document_definition_async(outside)

    edit_in(tmp_path, session)


def test_hover_on_a_rule_shows_who_reaches_it(tmp_path: Path) -> None:
    """Callers with an example, and that nothing reaches a hidden rule; texts from outside stay
    text.
    """
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, cards=RULES)

    async def hover(editor: Editor, line: int) -> str:
        printed = await editor.client.text_document_hover_async(
            lsp.HoverParams(**editor.at("cards.yaml", line, 8))
        )
        return (
            printed.contents.value
            if printed and isinstance(printed.contents, lsp.MarkupContent)
            else ""
        )

    async def session(editor: Editor) -> None:
        editor.open(
            "cards.yaml",
            RULES.replace("intent: new_card", 'key: new, intent: "<b>*new*</b>"'),
        )
        await editor.settle()
        first = await hover(editor, 4)
        printed = (
            "`cards/lost-card` in prod: `Fraud Desk`\n\nReached by\n\n- `lost_card`; example: "
            "intent `lost_card`"
        )
        assert printed == first
        assert "No conversation reaches this rule" in await hover(editor, 5)
        third = await hover(editor, 6)
        assert "confidence 0.5 or more" in third
        assert "`<b>*new*</b>`" in third
        assert "" == await hover(editor, 1)

    edit_in(tmp_path, session)


@pytest.mark.campaign
@pytest.mark.parametrize("files", [1, 10])
def test_an_edit_among_1000_rules_is_answered(tmp_path: Path, files: int) -> None:
    """Each of ten edits brings an error or removes it; every answer is about the last text."""
    lines = [
        [
            f"  - {{intent: intent_{n}_{k}, queue: cards}}\n"
            for n in range(1000 // files)
        ]
        for k in range(files)
    ]
    texts = {
        f"r{k}": f"apiVersion: routing/v1\nkind: RuleSet\nname: r{k}\nrules:\n{''.join(rows)}"
        for k, rows in enumerate(lines)
    }
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, **texts)

    async def session(editor: Editor) -> None:
        editor.open("r0.yaml", texts["r0"])
        await editor.settle()
        place = lsp.Range(lsp.Position(4, 5), lsp.Position(4, 11))
        for turn in range(10):
            editor.change("r0.yaml", "intnet" if turn % 2 == 0 else "intent", place)
            await editor.until("r0.yaml", *(["CXR102"] if turn % 2 == 0 else []))
            await editor.settle()

    edit_in(tmp_path, session)


def test_the_server_ends_without_an_error(tmp_path: Path) -> None:
    """After `shutdown` and `exit`: an editor shows another exit code, or a traceback, as a
    crash.
    """
    write(tmp_path, environment=ENVIRONMENT)
    start = {
        "method": "initialize",
        "params": {"processId": None, "rootUri": tmp_path.as_uri(), "capabilities": {}},
    }
    bodies = [
        json.dumps({"jsonrpc": "2.0", **m})
        for m in ({"id": 1, **start}, {"id": 2, "method": "shutdown"}, EXIT)
    ]
    requests_sent = "".join(
        f"Content-Length: {len(body)}\r\n\r\n{body}" for body in bodies
    )
    command = [sys.executable, "-m", "reconciler", "lsp"]
    done = subprocess.run(
        command,
        input=requests_sent,
        text=True,
        capture_output=True,
        check=False,
        env=process_environment(),
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    assert 2 == done.stdout.count("Content-Length: ")


def test_texts_and_files_that_cannot_be_read_do_not_stop_it(tmp_path: Path) -> None:
    """Half of a character in an open text, a pipe in the folder, and a name that no file can
    have.
    """
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES)
    os.mkfifo(tmp_path / "manifests" / "pipe.yaml")

    async def session(editor: Editor) -> None:
        await editor.until("pipe.yaml", "CXR014")
        editor.open("half.yaml", 'a: "\ud800"\n')
        await editor.until("half.yaml", "CXR001")
        editor.open("cards.yaml", "a: [")
        await editor.until("cards.yaml", "CXR004")
        assert (
            await editor.client.text_document_hover_async(
                lsp.HoverParams(**editor.at("\0.yaml", 0, 0))
            )
            is None
        )

    edit_in(tmp_path, session)


def test_the_manifests_may_be_named_from_another_folder(tmp_path: Path) -> None:
    """With `..` in -m, the open texts still take the place of the files."""
    write(tmp_path, environment=ENVIRONMENT)

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", "a: [")
        await editor.until("cards.yaml", "CXR004")

    edit_in(tmp_path, session, "-m", f"../{tmp_path.name}/manifests")


@pytest.mark.campaign
def test_many_edits_are_checked_together(tmp_path: Path) -> None:
    """The last text is the one that counts, soon after it: not after a check of each text before
    it.
    """
    rules = "".join(
        f"  - {{intent: other_{number}, queue: cards}}\n" for number in range(1000)
    )
    text = RULES.partition("  - {key")[0] + rules
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES)

    async def session(editor: Editor) -> None:
        editor.open("cards.yaml", text)
        for number in range(200):
            editor.change(
                "cards.yaml", f"{text}  - {{intent: last, queue: x{number}}}\n"
            )
            await asyncio.sleep(0.005)
        editor.change("cards.yaml", "a: [")
        await editor.until("cards.yaml", "CXR004")
        assert len(editor.arrivals) < 20

    edit_in(tmp_path, session)
