"""A bot's intents from a folder, a file and the API: one document, whatever the names; errors with
their place.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.core.manifest.load import load_contents
from reconciler.features.cognigy.bot import MAX_INTENTS, BotError, LookupCase
from reconciler.features.cognigy.document import head_line, new_document
from reconciler.features.cognigy.sources import read_bot
from tests.support.cases import each_case
from tests.support.cognigy_bots import (
    KEY,
    PROJECT,
    FakeCognigy,
    Flows,
    intent,
    large_bot,
    lookup_chart,
    serving,
    write_file,
    write_folder,
)
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.program import Program

YAML_WORDS: Final = [
    "no",
    "yes",
    "null",
    "~",
    "true",
    "1.0",
    "010",
    "1e3",
    "- a",
    "a: b",
    "# c",
    "{a}",
    "*a",
    "!!str x",
]


def body(document: str) -> str:
    """Return a document without its first line, which says where it came from and when."""
    return document.partition("\n")[2]


def names_in(document: str) -> list[str]:
    """Return the intents of a document as the program loads them."""
    (loaded,) = load_contents([("intents.yaml", document.encode())]).intents
    return list(loaded.document.names)


@pytest.mark.usefixtures("access")
def test_folder_file_and_api_give_the_same_document(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For 300 intents in two locales with parents, disabled and reject intents; the head names the
    source.
    """
    flows = large_bot()
    write_folder(Path("bot"), flows)
    write_file(Path("bot.json"), flows)
    monkeypatch.setenv("COGNIGY_API_KEY", KEY)
    documents = {}
    with serving(FakeCognigy(flows)) as cognigy:
        sources = {"bot": ["--from", "bot"], "bot.json": ["--from", "bot.json"]}
        sources["project"] = ["--project", PROJECT, "--url", cognigy.url]
        for name, words in sources.items():
            assert 0 == cxroute("cognigy", "intents", *words), cxroute.err
            assert cxroute.out.startswith(
                f"# Written by `cxroute cognigy intents` from {name}"
            )
            documents[name] = body(cxroute.out)
            assert (
                '6 intents left out: "topic_007" (disabled), "topic_008" (reject)'
                in cxroute.err
            )
    assert {"GET"} == cognigy.methods
    assert {KEY} == cognigy.keys
    first = documents["bot"]
    assert [first] * 3 == list(documents.values())
    assert 294 == len(names_in(first)) == len(set(names_in(first)))
    assert sorted(names_in(first)) == names_in(first)
    reference = intent("topic_033")["referenceId"]
    entry = [
        "- name: topic_033",
        "label: Topic 33 (English)",
        f"id: {reference}",
        "parent: topic_030",
    ]
    assert "\n    ".join(entry) in first
    assert "(Deutsch)" not in first


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize(
    "name", [*HOSTILE_NAMES.values(), *MARKDOWN_NAMES.values(), *YAML_WORDS]
)
def test_a_hostile_name_survives_as_text(name: str, tmp_path: Path) -> None:
    """Also as a label and a parent: the document loads and holds the same characters.

    An unusable name is left out.
    """
    items = [
        intent("plain"),
        intent(name, description=f"{name} x"),
        intent("child", parent=name),
    ]
    bot = read_bot(write_file(tmp_path / "bot.json", {"Main": {"English": items}}))
    document = new_document(bot, head_line(name, "now"))
    usable = (
        bool(name.strip())
        and len(name) <= 256
        and not any("\ud800" <= each <= "\udfff" for each in name)
    )
    assert sorted(["plain", "child", *[name] * usable]) == sorted(names_in(document))
    assert ([] if usable else [(name, "unusable name")]) == [
        (each.name, each.exclusion) for each in bot.excluded
    ]
    assert document.splitlines()[1] == "apiVersion: routing/v1"
    if usable:
        assert name == bot.intents["child"].parent
        assert 0 < len(bot.intents[name].label) <= 100


def test_one_name_in_several_flows_is_one_entry(tmp_path: Path) -> None:
    """An intent that is enabled somewhere can arrive; of different descriptions the primary
    locale's counts.
    """
    flows: Flows = {
        "B": {
            "English": [
                intent("a", description="third", isDisabled=True),
                intent("off", isDisabled=True),
            ]
        },
        "A": {
            "Deutsch": [intent("a", description="second")],
            "English": [intent("a", description=" the\n first ")],
        },
        "C": {"Deutsch": [intent("b", description="only")], "English": [intent("b")]},
    }
    bot = read_bot(write_folder(tmp_path, flows))
    assert {"a": "the first", "b": "only"} == {
        name: each.label for name, each in bot.intents.items()
    }
    assert ["off"] == [each.name for each in bot.excluded]


def test_lookup_cases_are_read_from_the_charts(tmp_path: Path) -> None:
    """Those of Lookup nodes on the intent that are switched on, in each flow once."""
    flows: Flows = {
        name: {"English": [intent("a")], "Deutsch": [intent("a")]}
        for name in ("A", "B", "C", "D")
    }
    charts = {
        "A": lookup_chart("a", "A", "", 5, None),
        "B": lookup_chart("a", kind="type"),
        "C": lookup_chart("c", isDisabled=True),
        "D": {
            "nodes": [None, {}, {"_id": []}],
            "relations": [{"node": "x", "children": ["y"]}, 1, {"node": {}}],
        },
    }
    bot = read_bot(write_folder(tmp_path, flows, charts))
    assert [LookupCase("a", "A"), LookupCase("A", "A")] == bot.cases


WRONG: Final[dict[str, tuple[Any, str]]] = {
    "an object": ({"intents": []}, "not a list of intents with names"),
    "texts": (["a"], "not a list of intents with names"),
    "a name that is a number": ([{"name": 5}], "not a list of intents with names"),
    "an empty list": ([], "the bot has 0 intents"),
    "disabled ones alone": ([intent("a", isDisabled=True)], "the bot has 0 intents"),
    "too many": (
        [{"name": str(number)} for number in range(MAX_INTENTS + 1)],
        "the bot has 10,001 intents",
    ),
    "not JSON": ("[", "is not JSON in UTF-8"),
    "NaN": ("[NaN]", "is not JSON in UTF-8"),
    "deep nesting": ("[" * 100_000, "is not JSON in UTF-8"),
}


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_file_is_an_error_with_its_path(case: str, tmp_path: Path) -> None:
    """In a folder, too."""
    payload, message = WRONG[case]
    text = payload if isinstance(payload, str) else json.dumps(payload)
    path = tmp_path / "bot.json"
    path.write_text(text, encoding="utf-8")
    folder = write_folder(tmp_path, {"Main": {"English": [intent("a")]}})
    (folder / "agent/flows/Main/English/intents.json").write_text(
        text, encoding="utf-8"
    )
    for source in (path, folder):
        with pytest.raises(BotError, match=message) as raised:
            read_bot(source)
        assert "the bot has" in message or ".json" in str(raised.value)


def link(folder: Path) -> None:
    outside = folder.with_name("outside.json")
    outside.write_text(json.dumps([{"name": "secret"}]), encoding="utf-8")
    file = folder / "agent/flows/Main/English/intents.json"
    file.unlink()
    file.symlink_to(outside)


DAMAGE: Final[dict[str, tuple[Callable[[Path], object], str]]] = {
    "a link": (link, "intents.json is a link that leaves the folder"),
    "locales": (
        lambda folder: (folder / "agent/flows/locales.json").write_text('["en"]'),
        "not a list of locales",
    ),
    "a chart": (
        lambda folder: (folder / "agent/flows/Main/English/chart.json").write_text(
            "[]"
        ),
        "chart.json: not a chart with nodes",
    ),
    "no intents": (
        lambda folder: (folder / "agent/flows/Main/English/intents.json").unlink(),
        "has no files with intents; name a folder of the Cognigy CLI",
    ),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_folder_is_an_error(case: str, tmp_path: Path) -> None:
    """With the file's path and the fix."""
    damage, message = DAMAGE[case]
    folder = write_folder(tmp_path / "bot", {"Main": {"English": [intent("a")]}})
    damage(folder)
    with pytest.raises(BotError, match=message):
        read_bot(folder)


def test_a_link_to_nothing_is_an_error(tmp_path: Path) -> None:
    """Its intents would count as removed from the bot."""
    folder = write_folder(
        tmp_path / "bot",
        {"Main": {"English": [intent("a")]}, "Other": {"English": [intent("b")]}},
    )
    (file,) = folder.glob("**/Other/English/intents.json")
    file.unlink()
    file.symlink_to("nowhere.json")
    with pytest.raises(BotError, match=r"cannot read .*intents\.json: No such file"):
        read_bot(folder)


def test_a_missing_or_large_file_is_an_error(tmp_path: Path) -> None:
    """A sparse file of 33 MiB is not read into memory."""
    with pytest.raises(BotError, match=r"cannot read .*none\.json: No such file"):
        read_bot(tmp_path / "none.json")
    with pytest.raises(BotError, match=r"cannot read x+: File name too long"):
        read_bot(Path("x" * 300))
    with (tmp_path / "large.json").open("wb") as file:
        file.truncate(33 << 20)
    with pytest.raises(BotError, match="larger than 32 MiB"):
        read_bot(tmp_path / "large.json")


@each_case(
    "words, message",
    [
        (["intents"], "needs one of --from PATH and --project ID"),
        (
            ["intents", "--from", "a", "--project", "b"],
            "needs one of --from PATH and --project ID",
        ),
        (
            ["intents", "--from", "a", "--url", "https://b"],
            "--url goes with --project ID",
        ),
        (["intents", "--from", "a", "--format", "json"], "--format goes with --check"),
        (
            ["--from", "a"],
            "--from is an option of `cognigy intents`, not of `cognigy nodes`",
        ),
        (["nodes", "--check"], "--check is an option of `cognigy intents`"),
        (
            ["intents", "--from", "a", "--code"],
            "--code is an option of `cognigy nodes`, not of `cognigy intents`",
        ),
        (
            ["intents", "--from", "a", "--conversation", "b"],
            "--conversation is an option of `cognigy nodes`",
        ),
        (
            ["intents", "--project", "a", "--url", "http://cognigy.example"],
            "--url must be an https:// URL",
        ),
        (
            ["intents", "--project", "a", "--url", "https://cognigy.example?a=b"],
            "--url must be an https:// URL",
        ),
        (
            ["intents", "--project", "a", "--url", "http://[::1"],
            "--url must be an https:// URL",
        ),
        (
            ["intents", "--project", "a", "--url", "https://cognigy.example/v2.0?a=b"],
            "--url must be an https:// URL",
        ),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(
    cxroute: Program, words: list[str], message: str
) -> None:
    """Before anything is read or sent."""
    assert 64 == cxroute("cognigy", *words)
    assert message in cxroute.out + cxroute.err


def test_nodes_is_the_default_task(cxroute: Program) -> None:
    """`cxroute cognigy` prints what `cxroute cognigy nodes` prints."""
    assert 0 == cxroute("cognigy")
    printed = cxroute.out
    assert 0 == cxroute("cognigy", "nodes")
    assert printed == cxroute.out
