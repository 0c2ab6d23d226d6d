"""The order in which the rows of an effect are read: only rows without a conversation in common change places."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

import pytest

from reconciler.behaviour.diff.effects import EffectRow
from reconciler.plan.words import listed_intents
from reconciler.render.row_order import row_blocks
from tests.render.test_effect_words import LABELS, REST, asks, compared, told
from tests.support.brute_force import Json
from tests.support.random_rules import attribute, rule

GOLD = rule("priority/gold", 500, [attribute("tier", "in", ["gold", "platinum"])], "B")


def with_bound(least: float) -> list[Json]:
    """Rules with equal bounds: those of one RuleSet send two kinds of intents to two queues."""
    cards = [asks(f"cards/r{number}", f"card {number}", least, "A") for number in range(2)]
    cash = [asks("cards/cash", "cash", least, "B")]
    late = rule("languages/french", 600, [attribute("language", "equals", "fr")], "D")
    return [*cards, *cash, late, REST]


def test_rows_about_the_same_intents_stand_together() -> None:
    """The destination and the conditions that they share are written once."""
    cells = [re.split("  +", line.strip()) for line in told(with_bound(0.6), with_bound(0.7)).splitlines()]
    callers = [row[0] for row in cells[1:5]]
    routes = [row[1] for row in cells[1:5]]
    shared = "..., all others"
    bound = "confidence 0.6 to 0.7, language fr"
    assert [f"cash, {bound}", shared, f'"card 0" or "card 1", {bound}', shared] == callers
    assert ['"Fraud Desk"', "...", '"Card Services"', "..."] == [route.partition(" -> ")[0] for route in routes]


@pytest.mark.parametrize("seed", range(40))
def test_blocks_keep_every_row_and_the_order_of_rows_with_a_common_intent(seed: int) -> None:
    """Random lists of intents; a row without a list fits every intent, so nothing changes places."""
    rows = random_rows(Random(seed))
    ordered = [row for block in row_blocks(rows, LABELS) for row in block]
    assert sorted(map(id, rows)) == sorted(map(id, ordered))
    for place, row in enumerate(rows):
        for later in rows[place + 1 :]:
            lists = [set(listed_intents(each, LABELS)) for each in (row, later)]
            if not all(lists) or lists[0] & lists[1]:
                assert index_of(row, ordered) < index_of(later, ordered)


def index_of(row: EffectRow, rows: Sequence[EffectRow]) -> int:
    return next(place for place, each in enumerate(rows) if each is row)


def random_rows(random: Random) -> list[EffectRow]:
    """Return the rows of all effects of a random edit of rules about few intents, mixed."""
    intents = ["a", "b", "c", "d", "e"]
    before = []
    for number in range(6):
        listed = random.sample(intents, random.randint(1, 3))
        before.append(asks(f"s/r{number}", listed, random.choice((0.5, 0.6)), random.choice("ABC"), 100 + number))
    after = [form for form in before if random.random() < 0.6]
    rows = [row for effect in compared([*before, GOLD, REST], [*after, REST]).behaviour.effects for row in effect.rows]
    return random.sample(rows, len(rows))
