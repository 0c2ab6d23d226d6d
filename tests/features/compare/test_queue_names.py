"""A document and its printed forms name a queue in the same words, whether or not a list knows its
name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from random import Random
from typing import Final

import pytest

from tests.support.brute_force import Json
from tests.support.program import Program
from tests.support.random_rules import a_pair, chance
from tests.support.rule_files import file, form
from tests.tiers import size

BLOCKS = 10
SIZE = size(fast=8, slow=25, full=100)
BOT: Final = {"intent": "cognigyDetectedIntent", "conf": "cognigyConfidence"}
CALLS: Final = "".join(
    f"{intent},{confidence}\n"
    for intent in ("intent", "a", "b", "ab", "x", "true", "0.5", "y")
    for confidence in ("confidence", "0", "0.5", "0.7", "0.95", "1", "")
    if (intent == "intent") == (confidence == "confidence")
)
"""Recorded conversations with the values that random rules test."""
_UNKNOWN: Final = re.compile(r"an unknown queue \((\w+)\)")
_QUOTED: Final = re.compile(r'"(\w+ desk)"')


def some_names(random: Random) -> dict[str, str]:
    """Return the names that a list has for some of the queues; now and then two have one name."""
    known = [queue for queue in "ABC" if chance(random, 0.5)]
    if chance(random, 0.2):
        return dict.fromkeys(known, "One desk")
    return {queue: f"{queue} desk" for queue in known}


def page_of(rules: list[Json], names: Mapping[str, str]) -> Json:
    """Return a page of rules about the bot's attributes, and of the queues with a name."""
    listed = [
        {**rule, "conditions": list(map(_of_bot, rule["conditions"]))} for rule in rules
    ]
    queues = [{"id": queue, "name": name} for queue, name in names.items()]
    return {"rules": listed, "queues": queues}


def _of_bot(part: Json) -> Json:
    if "attributeName" not in part:
        return part
    name = part["attributeName"]
    return {**part, "attributeName": BOT.get(name, name)}


def queues_of(destination: Json) -> Iterator[Json]:
    for queue in destination.get("queues", ()):
        if len(str(queue["queueId"])) == 1:
            yield queue


def check(text: str, destinations: list[Json], names: Mapping[str, str]) -> None:
    """Assert that a text has every queue of some destinations, and each queue in its words."""
    listed = [queue for place in destinations for queue in queues_of(place)]
    unknown = set(_UNKNOWN.findall(text))
    named = set(_QUOTED.findall(text))
    assert {each["queueId"] for each in listed if not each["queueName"]} <= unknown, (
        text
    )
    assert {each["queueName"] for each in listed if each["queueName"]} <= named, text
    assert not unknown & names.keys(), text
    assert named <= set(names.values()), text
    assert not re.search(r'"[A-C]"', text), text


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_queues_have_the_same_words_in_all_forms(cxroute: Program, block: int) -> None:
    """Random lists of rules, and names of queues in both lists, in one, or in none.

    The headline of JSON is the first sentence of the text.
    """
    calls = file("calls.csv", CALLS)
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"queue names {seed}")
        pair = a_pair(random)
        first = some_names(random)
        second = some_names(random)
        names = {**first, **second}
        sides = (
            file("left.json", page_of(pair.old, first)),
            file("right.json", page_of(pair.new, second)),
        )
        _, document = cxroute.json("diff", *sides)
        rows = [row for effect in document["effects"] for row in effect["rows"]]
        destinations = [row[side] for row in rows for side in ("before", "after")]
        assert 0 == cxroute("diff", *sides, "-v")
        _title, sentence, *_effects = cxroute.out.split("\n\n")
        assert document["headline"] == " ".join(sentence.split()), seed
        check(cxroute.out, destinations, names)

        _, document = cxroute.json("replay", calls, *sides)
        pairs = document["pairs"]
        destinations = [place[side] for place in pairs for side in ("before", "after")]
        assert 0 == cxroute("replay", calls, *sides, "-v")
        check(cxroute.out, destinations, names)
        cases = re.findall(r"conversations?: (.+) -> (.+)", cxroute.out)
        assert len(pairs) == len(cases), seed
        assert all(before != after for before, after in cases), cxroute.out


def test_another_queue_of_the_same_name_is_not_an_edit_of_weights(
    cxroute: Program,
) -> None:
    """The edit and the headline have the ids."""
    old = form("all", queue="q-1")
    new = form("all", queue="q-2")
    for rule in (old, new):
        rule["targets"][0]["queueName"] = "General"
    assert 0 == cxroute("diff", file("a.json", [old]), file("b.json", [new]), "-v")
    route = '"General" (q-1) -> "General" (q-2)'
    assert f"queue {route}\n" in cxroute.out
    assert 'from "General" (q-1) to "General" (q-2).' in cxroute.out
