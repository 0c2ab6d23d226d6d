"""The bank's Intents document is what the command makes of the exported bot beside it."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.program import Program

BANK = Path(__file__).parents[3] / "manifests"


def test_the_bank_document_is_made_from_its_bot(cxroute: Program) -> None:
    """A new document has the same entries, an edit changes nothing, and the check finds no
    difference.
    """
    committed = (BANK / "intents.yaml").read_text(encoding="utf-8")
    assert 0 == cxroute("cognigy", "intents", "--from", str(BANK / "bot/bank.json"))
    entries = cxroute.out.partition("intents:\n")[2]
    assert 77 == entries.count("name: ")
    assert entries == committed.partition("intents:\n")[2]
    assert (
        "\n# Written by `cxroute cognigy intents` from manifests/bot/bank.json, "
        in committed
    )
    shutil.copytree(BANK, "manifests")
    words = ["cognigy", "intents", "--from", "manifests/bot/bank.json"]
    assert 0 == cxroute(*words, "--into", "manifests/intents.yaml")
    assert committed == Path("manifests/intents.yaml").read_text(encoding="utf-8")
    assert 0 == cxroute(*words, "--check"), cxroute.out


def test_an_intent_that_the_bank_lost_comes_back(cxroute: Program) -> None:
    """At its place in the sorted list; only the comment about the origin differs."""
    committed = (BANK / "intents.yaml").read_text(encoding="utf-8").splitlines()
    lost = [line for line in committed if "card_arrival" not in line]
    Path("intents.yaml").write_text("\n".join([*lost, ""]), encoding="utf-8")
    assert 0 == cxroute(
        "cognigy",
        "intents",
        "--from",
        str(BANK / "bot/bank.json"),
        "--into",
        "intents.yaml",
    )
    edited = Path("intents.yaml").read_text(encoding="utf-8").splitlines()
    at = next(number for number, line in enumerate(committed) if "card_arrival" in line)
    assert ["  - name: card_arrival", "    label: Card has not arrived"] == edited[
        at : at + 2
    ]
    del edited[at : at + 2]
    assert ["# Written by"] == [
        line[:12] for line, before in zip(edited, lost, strict=True) if line != before
    ]
