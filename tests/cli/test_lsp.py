"""`cxroute lsp`, as a process, driven by a real client over stdin and stdout."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from lsprotocol import types as lsp

from tests.support.language_client import Editor, editing
from tests.support.program import Program

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
  - {intent: lost_card, minConfidence: 0.5, queue: cards, priority: 2}
  - {intent: new_card, minConfidence: 0.5, queue: cards}
"""


def write(folder: Path, **texts: str) -> None:
    (folder / "manifests").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / "manifests" / f"{name}.yaml").write_text(text, encoding="utf-8")


def drive(folder: Path, session: Callable[[Editor], Awaitable[None]], *options: str) -> None:
    async def run() -> None:
        async with editing(folder, *options) as editor:
            await session(editor)

    asyncio.run(run())


def test_diagnostics_are_those_of_validate(tmp_path: Path, cxroute: Program) -> None:
    """The same codes at the same places, as `validate --format json` reports them for the same files."""
    broken = RULES.replace("queue: fraud", "queue: fruad").replace("minConfidence", "minconfidence", 1)
    write(tmp_path, environment=ENVIRONMENT, queues=QUEUES, cards=RULES)
    write(tmp_path, other=RULES.replace("name: cards", "name: other"), broken=broken.replace("name: cards", "name: b"))

    async def session(editor: Editor) -> None:
        for text in ("", broken.replace("name: cards", "name: b")):
            write(tmp_path, broken=text or RULES.replace("name: cards", "name: b"))
            editor.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([]))
            await editor.rest()
            await asyncio.sleep(0.5)
            await editor.rest()
            assert 3 <= cxroute("-m", str(tmp_path / "manifests"), "validate", "--format", "json").code | 3
            findings = json.loads(cxroute.out)["findings"]
            expected = sorted((Path(one["file"]).name, one["line"], one["column"], one["code"]) for one in findings)
            found = sorted(
                (name, one.range.start.line + 1, one.range.start.character + 1, str(one.code))
                for name, diagnostics in editor.diagnostics.items()
                for one in diagnostics
            )
            assert expected == found
            assert found

    drive(tmp_path, session)
