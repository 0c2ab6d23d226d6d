"""The JSON of a plan, its printed forms and those of drift name a queue in the same words, also a
queue that the tenant does not list.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from html import unescape
from random import Random
from typing import Final

import pytest

from reconciler.core.model.rule import Opaque, Queue, Rule, Target
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import LiveState, Plan, PlanOptions
from reconciler.render.plan_forms import FORMS as PLAN_FORMS
from tests.support.brute_force import Json
from tests.support.builders import NOW, desired, managed, wanted
from tests.support.plan_formats import FOR_PEOPLE, FORMS, printed
from tests.support.plans import complete
from tests.support.random_rules import a_pair, chance, entries
from tests.tiers import size

BLOCKS = 10
SIZE = size(fast=5, slow=20, full=80)
_IDS: Final = re.compile(r"queue-[ABC]")
_UNKNOWN: Final = re.compile(r"an unknown queue \((queue-[ABC])\)")
_MARKS: Final = re.compile(r'["`\\*]|\u2060')


def a_plan(random: Random) -> Plan:
    """Return a plan from one random list to another; the tenant lists some of the queues."""
    pair = a_pair(random)
    live = [
        managed(entry.id, entry.name, _renamed(entry.rule))
        for entry in entries(pair.old)
    ]
    rules = [wanted(entry.name, _renamed(entry.rule)) for entry in entries(pair.new)]
    names = [letter for letter in "ABC" if chance(random, 0.5)]
    queues = tuple(Queue(f"queue-{letter}", f"Desk {letter}") for letter in names)
    state = LiveState(tuple(live), queues)
    return complete(find_changes(desired(*rules), state, PlanOptions(), NOW))


def _renamed(rule: Rule) -> Rule:
    return replace(rule, targets=tuple(map(_long_id, rule.targets)))


def _long_id(target: Target | Opaque) -> Target | Opaque:
    if isinstance(target, Opaque):
        return target
    return replace(target, queue_id=f"queue-{target.queue_id}")


def plain(text: str) -> str:
    """Return a text without marks, tags and breaks, so that sentences of all forms are equal."""
    without_tags = unescape(re.sub(r"<[^>]*>", "", text))
    readable = re.sub(r"#(\d+);", lambda code: chr(int(code[1])), without_tags)
    return " ".join(_MARKS.sub("", readable).split())


def queues_of(rows: Iterable[Json]) -> Iterator[Json]:
    for row in rows:
        for side in ("before", "after"):
            for queue in row[side].get("queues", ()):
                if _IDS.fullmatch(queue["queueId"]):
                    yield queue


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_plan_and_drift_name_a_queue_in_the_same_words(block: int) -> None:
    """Random lists: the headline of JSON stands in each form of the plan, and a form has an id in
    the words for an unknown queue alone.
    """
    assert set(FOR_PEOPLE) < set(PLAN_FORMS)
    for seed in range(block * SIZE, (block + 1) * SIZE):
        made = a_plan(Random(f"queue words {seed}"))
        document = json.loads(FORMS["json"](made))["behaviour"]
        known = {queue.name for queue in made.live.queues}
        rows = [row for effect in document["effects"] for row in effect["rows"]]
        queues = list(queues_of(rows))
        texts = {name: plain(printed(name, made)) for name in FOR_PEOPLE}
        for name, text in texts.items():
            is_said = not made.has_work or plain(document["headline"]) in text
            assert is_said, (seed, name)
        drift = {name: FORMS[name](made) for name in ("drift.txt", "drift.md")}
        texts |= {name: plain(text) for name, text in drift.items()}
        for name, text in texts.items():
            words = _UNKNOWN.findall(text)
            assert len(_IDS.findall(text)) == len(words), (seed, name, text)
            assert not {queue.id for queue in made.live.queues}.intersection(words)
            assert set(re.findall(r"Desk [ABC]", text)) <= known, (seed, name)
        for queue in queues:
            word = queue["queueName"] or f"an unknown queue ({queue['queueId']})"
            for name in FOR_PEOPLE:
                assert word in texts[name], (seed, name, word)
