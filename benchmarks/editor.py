"""The language server over stdio, in milliseconds, as JSON.

From an edit among 1,000 rules to its diagnostics, and the processor time of the start.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from lsprotocol import types as lsp  # noqa: E402 - after the path of the tests

from tests.support.language_client import Editor, editing, start_seconds  # noqa: E402

ENVIRONMENT = 'apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\napi: {baseUrl: "http://127.0.0.1:1"}\n'
QUEUES = "apiVersion: routing/v1\nkind: Queues\nname: queues\nqueues: {cards: Card Services}\n"
WORD = lsp.Range(lsp.Position(4, 5), lsp.Position(4, 11))


def write_rules(folder: Path, rules: int) -> str:
    """Write manifests with so many rules in one file, and return its text."""
    lines = "".join(
        f"  - {{intent: intent_{number}, queue: cards}}\n" for number in range(rules)
    )
    text = f"apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules:\n{lines}"
    for name, content in (("prod", ENVIRONMENT), ("queues", QUEUES), ("cards", text)):
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    return text


async def measure(editor: Editor, text: str, edits: int) -> list[float]:
    """Misspell a field and correct it, again and again; return the seconds until the server says
    so.
    """
    editor.open("cards.yaml", text)
    await editor.settle()
    took = []
    for turn in range(edits):
        is_wrong = turn % 2 == 0
        started = editor.change("cards.yaml", "intnet" if is_wrong else "intent", WORD)
        await editor.until("cards.yaml", *(["CXR102"] if is_wrong else []))
        took.append(time.perf_counter() - started)
        await editor.settle()
    return took


async def main() -> None:
    """Measure."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "manifests").mkdir()
        text = write_rules(Path(folder) / "manifests", int(sys.argv[1]))
        async with editing(Path(folder)) as editor:
            took = await measure(editor, text, 20)
    start = min(start_seconds() for _ in range(3))
    figures = {
        "median": 1000 * statistics.median(took),
        "slowest": 1000 * max(took),
        "start": 1000 * start,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    asyncio.run(main())
