"""Edits of an Intents document: the bot's intents, and every other byte as before."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from reconciler.core.errors import CxrouteError, ManifestError
from reconciler.core.manifest.load import load_contents
from reconciler.features.cognigy.bot import Bot, BotIntent, merge_bot
from reconciler.features.cognigy.document import (
    head_line,
    new_document,
    update_document,
)
from tests.support.cases import each_case
from tests.support.cognigy_bots import intent, large_bot, write_file
from tests.support.program import Program

HEAD = head_line("the bot", "2026-11-28 12:00 UTC")
HAND_MADE = """\
# Ours: reviewed by the routing leads.
apiVersion: routing/v1
kind: Queues
name: queues
queues: {cards: Card Services}
---
# The bot's intents.
apiVersion: routing/v1
kind: Intents
name: bank-bot # not `bot`
intents: # by team
  # Cards
  - {name: card_lost, label: "Lost card"} # urgent
  - card_arrival   # slow
  # Other
  - {name: old_name, id: id-7, label: Ours} # renamed soon
  - gone # bye
  - none
---
apiVersion: routing/v1
kind: RouteTests
name: tests
tests: []
"""


def bot(*intents: BotIntent) -> Bot:
    return merge_bot(intents)


def edit(text: str, changed: Bot) -> str:
    return update_document(text.encode(), "i.yaml", changed, HEAD, {"none"})[0].decode()


CARDS = BotIntent("card_lost", "Card lost", "cards", "id-1")


def test_an_edit_keeps_comments_order_and_labels() -> None:
    """New intents go to the end of an unsorted list; vanished ones go with their line; a renamed
    one keeps its line.
    """
    changed = bot(
        CARDS,
        BotIntent("card_arrival", "Arrival"),
        BotIntent("new_name", "Theirs", "", "id-7"),
        BotIntent("no"),
    )
    text = HAND_MADE.replace(
        'label: "Lost card"}', 'label: "Lost card", id: id-1, parent: cards}'
    )
    text = text.replace(
        "- card_arrival   #", "- {name: card_arrival, label: Arrival}   #"
    )
    text = text.replace("{name: old_name,", "{name: new_name,").replace(
        "  - gone # bye\n", ""
    )
    text = text.replace("  - none\n", '  - none\n  - "no"\n').replace(
        "# The bot's intents.\n", f"# The bot's intents.\n{HEAD}\n"
    )
    assert text == edit(HAND_MADE, changed)
    _, changes = update_document(HAND_MADE.encode(), "i.yaml", changed, HEAD, {"none"})
    assert (["no"], ["gone"], {"old_name": "new_name"}) == changes
    assert text == edit(text, changed)


def test_an_edit_keeps_groups() -> None:
    """Also of an intent that gets a label, an id or another name; the bot has no groups, so a new
    intent has none.
    """
    text = """\
apiVersion: routing/v1
kind: Intents
name: bot
intents:
  - {name: card_lost, group: Cards} # ours
  - name: old_name
    id: id-7
    group: "Card: other"
  - pin
"""
    changed = bot(
        CARDS,
        BotIntent("new_name", "", "", "id-7"),
        BotIntent("pin"),
        BotIntent("cash", "Cash"),
    )
    edited = edit(text, changed)
    assert (
        "  - {name: card_lost, group: Cards, label: Card lost, id: id-1, parent: cards} # ours\n"
        in edited
    )
    assert '  - name: new_name\n    id: id-7\n    group: "Card: other"\n' in edited
    (loaded,) = load_contents([("i.yaml", edited.encode())]).intents
    groups = {
        entry.name: entry.group
        for entry in loaded.document.intents
        if not isinstance(entry, str)
    }
    assert {"card_lost": "Cards", "new_name": "Card: other", "cash": None} == groups
    assert edited == edit(edited, changed)


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_an_edit_keeps_line_ends_and_byte_order_mark(
    line_end: str, mark: bytes
) -> None:
    """The comment about the origin is replaced, not repeated."""
    before = mark + HAND_MADE.replace("\n", line_end).encode()
    changed = bot(
        CARDS,
        BotIntent("card_arrival"),
        BotIntent("old_name", "", "", "id-7"),
        BotIntent("gone"),
    )
    later = bot(*changed.intents.values(), BotIntent("later"))
    edited, _ = update_document(before, "i.yaml", changed, HEAD, {"none"})
    again, _ = update_document(edited, "i.yaml", later, f"{HEAD} again", {"none"})
    assert again.startswith(mark + b"# Ours")
    assert again.count(b"\n") == again.count(line_end.encode())
    assert [HEAD + " again"] == [
        line.strip()
        for line in again.decode().splitlines()
        if line.startswith(HEAD[:20])
    ]
    assert before.decode().count(line_end) + 2 == again.decode().count(line_end)


@pytest.mark.fast_cases(5)
@pytest.mark.parametrize("seed", range(20))
def test_a_random_edit_changes_only_lines_of_its_intents(seed: int) -> None:
    """Comments stay at their intents; the result holds exactly the bot's intents, and a second edit
    changes nothing.
    """
    random = Random(seed)
    names = [f"i{number}" for number in range(30)]
    documented = random.sample(names, 20)
    present = random.sample(names, 20)
    lines = [f"  - {name} # of {name}" for name in documented]
    text = "\n".join(
        ["apiVersion: routing/v1", "kind: Intents", "name: b", "intents:", *lines, ""]
    )
    changed = bot(
        *(
            BotIntent(name, f"L {name}" * (number % 2))
            for number, name in enumerate(sorted(present))
        )
    )
    edited = edit(text, changed)
    (loaded,) = load_contents([("i.yaml", edited.encode())]).intents
    assert set(present) == set(loaded.document.names)
    assert [name for name in documented if name in present] == list(
        loaded.document.names[: len({*documented} & {*present})]
    )
    for line in edited.splitlines():
        if "# of" in line:
            assert line.split("# of ")[1] in line.split("#")[0]
    assert edited == edit(edited, changed)


def test_a_new_intent_goes_to_its_place_in_a_sorted_list() -> None:
    """Upper and lower case do not matter."""
    text = "apiVersion: routing/v1\nkind: Intents\nname: b\nintents: [alpha, Gamma]\n"
    assert f"{HEAD}\n{text.replace('alpha, ', 'alpha, beta, ')}" == edit(
        text, bot(*map(BotIntent, ("Gamma", "beta", "alpha")))
    )


@each_case(
    "text, message",
    [
        (
            "apiVersion: routing/v1\nkind: Queues\nname: a\nqueues: {}\n",
            "i.yaml has 0 Intents documents",
        ),
        (
            f"{new_document(bot(CARDS), HEAD)}---\n{new_document(bot(CARDS), HEAD)}",
            "i.yaml has 2 Intents documents",
        ),
        (
            "kind: Intents\nintents: [5]\n",
            "the list of intents is not valid; run `cxroute validate` first",
        ),
        ("kind: Intents\nname: a\n", "the list of intents is not valid"),
        (
            "kind: Intents\nintents: [a, # why\n b]\n",
            "edit the list of intents by hand",
        ),
    ],
)
def test_a_file_that_cannot_be_edited_is_refused(text: str, message: str) -> None:
    """With the reason and the fix."""
    with pytest.raises(CxrouteError, match=message):
        edit(text, bot(BotIntent("b")))


def test_invalid_yaml_is_reported_by_position() -> None:
    """As `validate` does."""
    with pytest.raises(ManifestError):
        edit("kind: Intents\nintents: [a, a: *b]\n", bot(CARDS))


def test_the_command_writes_edits_and_names_what_it_removes(cxroute: Program) -> None:
    """The second run changes nothing; -q still names the removed intents."""
    flows = large_bot()
    write_file(Path("bot.json"), flows)
    words = ["cognigy", "intents", "--from", "bot.json", "--into", "intents.yaml"]
    assert 0 == cxroute(*words), cxroute.err
    assert "wrote intents.yaml" in cxroute.err
    stored = Path("intents.yaml").read_bytes()
    assert 0 == cxroute(*words)
    assert "intents.yaml is up to date" in cxroute.err
    assert stored == Path("intents.yaml").read_bytes()
    flows["Main"]["English"] = [
        item for item in flows["Main"]["English"] if item["name"] != "topic_001"
    ]
    flows["Main"]["Deutsch"] = [
        item for item in flows["Main"]["Deutsch"] if item["name"] != "topic_001"
    ]
    flows["Cards"]["English"].append(intent("new"))
    write_file(Path("bot.json"), flows)
    assert 0 == cxroute("-q", *words)
    assert (
        'warning: removed, because the bot does not have them: "topic_001"\n'
        == cxroute.err
    )
    lines = {*Path("intents.yaml").read_text().splitlines()} ^ {
        *stored.decode().splitlines()
    }
    assert {"new", "topic_001"} == {
        line.split("name: ")[1] for line in lines if line.startswith("  - ")
    }
    assert [] == [path.name for path in Path().iterdir() if path.name.endswith(".tmp")]


@pytest.mark.parametrize("path", ["folder", "missing/intents.yaml"])
def test_a_path_that_cannot_be_written_is_an_error(cxroute: Program, path: str) -> None:
    """The message names it."""
    Path("folder").mkdir()
    write_file(Path("bot.json"), {"Main": {"English": [intent("a")]}})
    assert 1 == cxroute("cognigy", "intents", "--from", "bot.json", "--into", path)
    assert path in cxroute.err
