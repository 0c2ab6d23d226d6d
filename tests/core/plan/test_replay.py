"""Replayed conversations, compared with the evaluator row by row, and with the shares of the same
traffic sample.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from io import StringIO
from itertools import product
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.endpoint_stage import DIRECT, EndpointStage
from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import (
    RoutingEntry,
    destination_of_rule,
    order_entries,
)
from reconciler.core.behaviour.space.value_type import ANY_TEXT
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.rule import Condition, Opaque
from reconciler.core.plan.replay import ReplayResult, ReplaySide, replay
from reconciler.core.plan.traffic_shares import (
    convert_sample,
    measure_traffic,
    split_distance,
)
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.records import RecordReader
from reconciler.core.traffic.sample import TrafficSample, read_traffic
from reconciler.render.replay import summarize_replay
from tests.support.brute_force import inputs_for, is_supported
from tests.support.endpoint_oracle import CONFIDENCE, INTENT, a_fallback, stage
from tests.support.grown_pairs import generate_pair
from tests.support.random_rules import RulePair, a_pair, a_rule, entries
from tests.tiers import size

BLOCKS: Final = 6
SIZE: Final = size(fast=10, slow=40, full=400)
NAMES: Final = BotAttributes(intent="intent", confidence="_confidence")
"""The random rules have no confidence: their values are of every type."""
_TITLE: Final = re.compile(
    r"Of [\d,.]+ recorded conversations?, "
    r"(?:it is not known where (?P<unknown>[\d,.]+) goe?s?; of the others, )?"
    r"(?P<moved>none|[\d,.]+)(?: \(.* %(?: of all)?\))? goe?s? elsewhere\."
)
Rows = list[tuple[dict[str, Any], int]]
Side = tuple[Sequence[RoutingEntry], EndpointStage]


def cell(value: Any) -> str:
    """Return a value as a cell; texts in JSON's quotes, which any text may have."""
    return "" if value is None else json.dumps(value)


def write_csv(path: Path, names: Iterable[str], rows: Rows) -> str:
    """Write rows as CSV and return the path."""
    text = StringIO()
    columns = [*names]
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns, "count"])
    writer.writerows(
        [*(cell(values[name]) for name in columns), count] for values, count in rows
    )
    path.write_text(text.getvalue(), encoding="utf-8")
    return str(path)


def write_lines(path: Path, rows: Rows) -> str:
    """Write rows as JSON lines without the missing attributes, and return the path."""
    forms = [
        {
            **{name: value for name, value in row.items() if value is not None},
            "count": n,
        }
        for row, n in rows
    ]
    path.write_text(
        "".join(f"{json.dumps(form)}\n" for form in forms), encoding="utf-8"
    )
    return str(path)


def as_recorded(axes: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the values as a file has them: an intent is a text."""
    texts = {
        "intent": [
            value if isinstance(value, str) else cell(value) or None
            for value in axes.get("intent", ())
        ]
    }
    return {name: texts.get(name, values) for name, values in axes.items()}


def some_rows(random: Random, axes: Mapping[str, list[Any]]) -> Rows:
    """Return rows that all have every attribute; None is a missing one."""
    columns = as_recorded(axes)
    rows = [
        {name: random.choice(values) for name, values in columns.items()}
        for _ in range(random.randint(1, 60))
    ]
    return [(row, random.randint(0, 9)) for row in rows] + [
        ({name: values[-1] for name, values in columns.items()}, 1)
    ]


def check_routes(
    result: ReplayResult,
    rows: Iterable[tuple[Mapping[str, Any], float]],
    sides: list[Side],
) -> None:
    """Hold the counts by pair of destinations against the evaluator, and each example against its
    rules.
    """
    expected = dict[Any, Fraction]()
    undecided = 0.0
    parts = (
        part
        for ordered, _ in sides
        for entry in ordered
        for part in entry.rule.conditions
    )
    texts = sorted({part.text for part in parts if isinstance(part, Opaque)})
    cases = [
        dict(zip(texts, truths, strict=True))
        for truths in product((True, False), repeat=len(texts))
    ]

    def winner(
        side: Side, row: Mapping[str, Any], truths: Mapping[str, bool]
    ) -> RoutingEntry | None:
        ordered, endpoint = side
        return route_conversation(
            ordered, endpoint.context(row).attributes, truths
        ).winner

    least = most = Fraction(0)
    for row, count in rows:
        routes = {
            tuple(destination_of_rule(winner(side, row, case)) for side in sides)
            for case in cases
        }
        distances = [
            Fraction(split_distance(*route)) if route[0] != route[1] else Fraction(0)
            for route in routes
        ]
        least = least + Fraction(count) * min(distances)
        most = most + Fraction(count) * max(distances)
        before, after = next(iter(routes))
        if len(routes) > 1:
            undecided += (
                count if any(first != second for first, second in routes) else 0
            )
            continue
        if before != after:
            moved = Fraction(count) * split_distance(before, after)
            expected[before, after] = expected.get((before, after), Fraction(0)) + moved
    check_title(summarize_replay(result, {}, Labels()).title, least, most)
    # Two conditions that are not understood may be one and the same: such a result may count as not
    # known.
    assert undecided <= result.unknown
    assert texts or not result.unknown
    if undecided == result.unknown:
        actual = {(pair.before, pair.after): pair.moved for pair in result.pairs}
        assert actual == {
            pair: pytest.approx(float(moved))
            for pair, moved in expected.items()
            if moved
        }
    for pair in result.pairs:
        names = {*pair.rules}
        assert pair.examples
        for example in pair.examples:
            for case in cases:
                winners = [winner(side, example.attributes, case) for side in sides]
                assert (pair.before, pair.after) == tuple(
                    map(destination_of_rule, winners)
                )
            assert texts or tuple(entry and entry.name for entry in winners) in names


def check_title(title: str, least: Fraction, most: Fraction) -> None:
    """Hold the sentence against the numbers of conversations that move at least and at most."""
    actual = _TITLE.fullmatch(title)
    assert actual, title
    numbers = (
        (actual[name] or "none").replace(",", "") for name in ("unknown", "moved")
    )
    unknown, moved = (0.0 if number == "none" else float(number) for number in numbers)
    assert moved - 0.05 <= least <= most <= moved + unknown + 0.1, title


def replayed(
    path: str, before: ReplaySide, after: ReplaySide, names: BotAttributes = NAMES
) -> ReplayResult:
    return replay(RecordReader.open(path, names), before, after)


@pytest.mark.fast_cases(1)
@pytest.mark.generated
@pytest.mark.parametrize("block", range(BLOCKS))
def test_replay_equals_the_evaluator_and_the_shares_of_the_sample(
    block: int, tmp_path: Path
) -> None:
    """For random rules and complete rows: each pair of destinations, the total as in a plan, and
    JSON lines as CSV.
    """
    compared = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"replay {seed}")
        pair = generate_pair(random) if seed % 4 == 0 else a_pair(random, 6)
        axes = {
            name: values
            for name, values in inputs_for(pair.old, pair.new).axes.items()
            if values[0] is None
        }
        if not axes:
            continue
        rows = some_rows(random, axes)
        path = write_csv(tmp_path / "a.csv", axes, rows)
        before, after = (
            order_entries(entries(rules), pair.evaluation)
            for rules in (pair.old, pair.new)
        )
        result = replayed(path, ReplaySide(before, DIRECT), ReplaySide(after, DIRECT))
        assert sum(count for _, count in rows) == result.total
        check_routes(result, rows, [(before, DIRECT), (after, DIRECT)])
        lines = replayed(
            write_lines(tmp_path / "a.jsonl", rows),
            ReplaySide(before, DIRECT),
            ReplaySide(after, DIRECT),
        )
        assert [(p.before, p.after, p.moved) for p in result.pairs] == [
            (p.before, p.after, p.moved) for p in lines.pairs
        ]
        conditions = [
            part for rule in (*pair.old, *pair.new) for part in rule["conditions"]
        ]
        if all(map(is_supported, conditions)):
            compared += 1
            check_shares(
                result,
                pair,
                before,
                after,
                read_traffic(Path(path).read_bytes(), path, NAMES),
            )
    assert compared > SIZE / 3


def check_shares(
    result: ReplayResult, pair: RulePair, before: Any, after: Any, sample: TrafficSample
) -> None:
    behaviour = compare_behaviour(before, after, pair.evaluation)
    assert behaviour.complete
    share = measure_traffic(behaviour, before, after, sample).total
    assert (
        share.least
        == share.most
        == pytest.approx(100 * result.moved / result.total, rel=1e-12)
    )
    assert (0, sample.total) == (result.unknown, result.total)
    if all(each.distance == 1 for each in result.pairs):  # no float is rounded
        assert share.most == 100 * result.moved / result.total


@pytest.mark.generated
@pytest.mark.parametrize(
    "types", [{}, {CONFIDENCE: ANY_TEXT}], ids=["numbers", "confidence stored as text"]
)
def test_replay_passes_the_endpoint_first(types: Any, tmp_path: Path) -> None:
    """Each side behind its own fallback, also where the tenant stores the confidence as text."""
    moved = 0.0
    for seed in range(SIZE):
        random = Random(f"replay behind {seed}")
        lists = [
            [a_rule(random, f"k{at}", (INTENT, CONFIDENCE)) for at in range(4)]
            for _ in range(2)
        ]
        fallbacks = [a_fallback(random), a_fallback(random)]
        stages = [
            replace(stage(item, candidate), context_types=types)
            for item, candidate in (fallbacks, fallbacks[::-1])
        ]
        ordered = [order_entries(entries(rules)) for rules in lists]
        sides = [
            ReplaySide(rules, stage)
            for stage, rules in zip(stages, ordered, strict=True)
        ]
        intents = [None, "a", "b", "ab", "x", "true", "0.5", "unheard"]
        confidences = [None, 0, 0.25, 0.5, 0.7, 0.71, 0.95, 0.9500000000000001, 1]
        rows = [
            ({INTENT: i, CONFIDENCE: c}, random.randint(1, 5))
            for i, c in product(intents, confidences)
        ]
        path = write_csv(tmp_path / "a.csv", (INTENT, CONFIDENCE), rows)
        names = BotAttributes(intent=INTENT, confidence=CONFIDENCE)
        result = replayed(path, sides[0], sides[1], names)
        check_routes(result, rows, list(zip(ordered, stages, strict=True)))
        moved += result.moved
    assert moved


def test_a_confidence_stored_as_text_is_compared_as_written(tmp_path: Path) -> None:
    """1 and 1.0 are one number and two texts: they may not share a result."""
    random = Random("text")
    (entry,) = entries([a_rule(random, "k", ("any",))])
    part = Condition("any", "equals", "1.0", "1.0")
    ordered = (
        replace(entry, rule=replace(entry.rule, enabled=True, conditions=(part,))),
    )
    path = tmp_path / "a.csv"
    path.write_text("any,count\n1,1\n1.0,2\n", encoding="utf-8")
    result = replayed(
        str(path),
        ReplaySide(ordered, EndpointStage(context_types={"any": ANY_TEXT})),
        ReplaySide((), DIRECT),
    )
    assert (2, 3) == (result.moved, result.total)
    sample = convert_sample(
        {"any": ANY_TEXT}, read_traffic(path.read_bytes(), "a.csv", NAMES)
    )
    # a sample adds equal numbers up first
    assert {"1"} == {row.attributes["any"] for row in sample.rows}


@pytest.mark.generated
def test_an_attribute_without_a_column_makes_the_result_unknown(tmp_path: Path) -> None:
    """Where it decides; where both sides agree whatever it is, the conversation is known to
    stay.
    """
    for seed in range(SIZE):
        random = Random(f"columns {seed}")
        pair = a_pair(random, 5)
        axes = {
            name: values
            for name, values in inputs_for(pair.old, pair.new).axes.items()
            if values[0] is None
        }
        if len(axes) < 2 or pair.opaque:
            continue
        hidden, *recorded = axes
        rows = [(row, count + 1) for row, count in some_rows(random, axes)]
        path = write_csv(tmp_path / "a.csv", recorded, rows)
        before, after = (
            order_entries(entries(rules), pair.evaluation)
            for rules in (pair.old, pair.new)
        )
        result = replayed(path, ReplaySide(before, DIRECT), ReplaySide(after, DIRECT))
        expected = 0
        for row, count in rows:
            cases = [{**row, hidden: value} for value in as_recorded(axes)[hidden]]
            routes = {
                tuple(
                    destination_of_rule(route_conversation(side, case).winner)
                    for side in (before, after)
                )
                for case in cases
            }
            expected += (
                count
                if len(routes) > 1 and any(first != second for first, second in routes)
                else 0
            )
        assert expected <= result.unknown
        assert bool(result.unknown) == bool(result.unrecorded)
        assert set(result.unrecorded) <= {hidden}
        assert result.moved + result.unknown <= result.total
        assert all(0 <= each.distance <= 1 for each in result.pairs)
