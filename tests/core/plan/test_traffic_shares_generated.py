"""Shares of conversations, compared with all conversations that a row of the sample may stand
for.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import prod
from random import Random
from typing import Any

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.behaviour.routing_entry import order_entries
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.edits import edits_of_lists
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.traffic_shares import measure_traffic
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.sample import SampleRow, TrafficSample
from tests.support.brute_force import (
    Destination,
    destination,
    inputs_for,
    is_supported,
    winner,
)
from tests.support.brute_force_checks import QUEUES, holds_where
from tests.support.grown_pairs import generate_pair
from tests.support.random_rules import RulePair, a_pair, entries

PAIRS = 60
"""In each block.

Lists with conditions that are not understood are excluded: their conversations cannot be counted.
"""
CLOSE = 1e-6


def a_sample(random: Random, axes: dict[str, list[Any]]) -> TrafficSample:
    """Return rows that all have the same attributes, or some of them."""
    output = [name for name in axes if random.random() < 0.75]
    values = {
        tuple(random.choice(axes[name]) for name in output)
        for _ in range(random.randint(1, 6))
    }
    rows = [
        SampleRow(dict(zip(output, value, strict=True)), random.randint(1, 9), 1)
        for value in sorted(values, key=str)
    ]
    return TrafficSample(
        name="t.csv",
        digest="",
        period="",
        rows=tuple(rows),
        total=sum(row.count for row in rows),
    )


def conversations(
    row: SampleRow, axes: dict[str, list[Any]]
) -> Iterator[dict[str, Any]]:
    """Yield every conversation that a row may stand for."""
    for values in product(
        *(
            [row.attributes[name]] if name in row.attributes else axes[name]
            for name in axes
        )
    ):
        yield dict(zip(axes, values, strict=True))


def parts(goes: Destination) -> dict[str | None, Fraction]:
    return {None: Fraction(1)} if goes is None else dict(goes) or {"": Fraction(1)}


def distance(one: Destination, other: Destination) -> Fraction:
    first = parts(one)
    second = parts(other)
    return (
        sum(
            (
                abs(first.get(name, Fraction(0)) - second.get(name, Fraction(0)))
                for name in {*first, *second}
            ),
            Fraction(0),
        )
        / 2
    )


def _is_in(row: dict[str, Any], rules: dict[str, Any], one: dict[str, Any]) -> bool:
    earlier = [rules[name]["conditions"] for name in row["earlier"]]
    return holds_where(row["where"], earlier, (one, {}))


def check(
    pair: RulePair, sample: TrafficSample, axes: dict[str, list[Any]], steps: int | None
) -> None:
    before, after = (
        order_entries(entries(rules), pair.evaluation) for rules in (pair.old, pair.new)
    )
    edits = edits_of_lists(before, after, Labels(), words="plan")
    edited = EditSet([edit.edit for edit in edits])
    behaviour = compare_behaviour(before, after, pair.evaluation, steps, edited=edited)
    moved = measure_traffic(behaviour, before, after, sample)
    document: Any = impact_to_json(Impact(behaviour, edits, moved), QUEUES)
    ways = [
        [_way(pair, conversation) for conversation in conversations(row, axes)]
        for row in sample.rows
    ]
    for effect in document["effects"]:
        for rows, share in [
            *(([row], row["share"]) for row in effect["rows"]),
            (effect["rows"], effect["share"]),
        ]:
            amounts = [
                [
                    distance(old, new)
                    if any(_is_in(row, document["rules"], item) for row in rows)
                    else 0
                    for item, old, new in way
                ]
                for way in ways
            ]
            bounded(sample, amounts, share["least"], share["most"], f"{pair} {rows}")
    # otherwise conversations that are not known to move may move, too
    if behaviour.complete:
        all_ways = [[distance(old, new) for _, old, new in way] for way in ways]
        bounded(sample, all_ways, moved.total.least, moved.total.most)
    for element in moved.balance:
        for side, share in enumerate((element.before, element.after)):
            amounts = [
                [
                    parts((old, new)[side]).get(element.queue, Fraction(0))
                    for _, old, new in way
                ]
                for way in ways
            ]
            bounded(sample, amounts, share.least, share.most, f"{pair} {element}")
        amounts = [
            [_gain(element.queue, old, new) for _, old, new in way] for way in ways
        ]
        bounded(
            sample,
            amounts,
            element.change.least,
            element.change.most,
            f"{pair} {element}",
            exact=behaviour.complete,
        )
    declared = {item.queue for item in moved.balance}
    assert declared >= {
        queue
        for several in ways
        for _, old, new in several
        for queue in {**parts(old), **parts(new)}
    }


def _gain(queue: str | None, old: Destination, new: Destination) -> Fraction:
    return parts(new).get(queue, Fraction(0)) - parts(old).get(queue, Fraction(0))


def _way(
    pair: RulePair, one: dict[str, Any]
) -> tuple[dict[str, Any], Destination, Destination]:
    old, new = (
        destination(winner(rules, (one, {}), pair.evaluation))
        for rules in (pair.old, pair.new)
    )
    return one, old, new


def bounded(
    sample: TrafficSample,
    amounts: list[Any],
    least: float,
    most: float,
    report: str = "",
    *,
    exact: bool = True,
) -> None:
    """Assert that a share's bounds hold for all conversations, and are exact if the sample is
    complete.
    """
    low = sum(
        row.count * float(min(several))
        for row, several in zip(sample.rows, amounts, strict=True)
    )
    high = sum(
        row.count * float(max(several))
        for row, several in zip(sample.rows, amounts, strict=True)
    )
    low = 100 * low / sample.total
    high = 100 * high / sample.total
    assert least <= low + CLOSE, report
    assert most >= high - CLOSE, report
    if exact and all(len(several) == 1 for several in amounts):
        assert abs(least - low) < CLOSE > abs(most - high), report


@pytest.mark.slow
@pytest.mark.parametrize("block", range(8))
def test_shares_hold_for_every_completion_of_the_sample(block: int) -> None:
    """For each row, in total, and for each queue: minimum and maximum are correct, and exact for a
    complete sample.
    """
    for seed in range(block * PAIRS, (block + 1) * PAIRS):
        random = Random(f"shares {seed}")
        pair = generate_pair(random) if seed % 4 == 0 else a_pair(random, 6)
        conditions = [
            part for rule in (*pair.old, *pair.new) for part in rule["conditions"]
        ]
        axes: dict[str, list[Any]] = inputs_for(pair.old, pair.new).axes
        if all(map(is_supported, conditions)) and prod(map(len, axes.values())) < 5_000:
            output = a_sample(
                random, {name: _few(random, values) for name, values in axes.items()}
            )
            check(pair, output, axes, seed % 6 if seed % 5 == 0 else None)


def _few(random: Random, values: list[Any]) -> list[Any]:
    return random.sample(values, min(len(values), 4))
