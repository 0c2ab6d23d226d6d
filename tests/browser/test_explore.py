"""The page of `cxroute explore` in a real browser: its evaluator agrees with Python's, and people can use it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

import reconciler.render.explore as explore_module
from reconciler.render.explore import explore_data
from tests.browser.machine import Sight, seen
from tests.support.explore_pages import CONFIDENCE, a_page, an_event, document_of, explained, html_of
from tests.tiers import FULL

CONVERSATIONS: Final = 100_000 if FULL else 6_000
REASONS: Final = 1_000 if FULL else 150
PER_LIST: Final = 50
EVALUATOR: Final = Path(explore_module.__file__).parent / "templates" / "evaluate.js"
HELPERS: Final = """() => {
window.shrunk = value => JSON.parse(JSON.stringify(value, (_name, part) =>
  typeof part === 'bigint' ? {big: String(part)} : part));
window.toEvent = pairs => Object.fromEntries(pairs.map(([name, value]) => [name, evaluator.decode(value)]));
}"""
ROUTE_ALL: Final = """([data, events]) => {
  const router = evaluator.create(JSON.parse(data));
  return JSON.stringify(JSON.parse(events).map(pairs => shrunk(router.route(toEvent(pairs), router.sides[0]))));
}"""
ROUTE: Final = "events => JSON.stringify(JSON.parse(events).map(pairs => shrunk(window.cxroute.route(toEvent(pairs)))))"
RANGES: Final = """([data, events]) => {
  const router = evaluator.create(JSON.parse(data)), side = router.sides[0], name = rule => rule && rule.name;
  return JSON.stringify(JSON.parse(events).map(pairs => {
    const ranges = router.confidenceRanges(evaluator.eventOf(toEvent(pairs)), side);
    return ranges && ranges.map(({low, hasLow, high, hasHigh, answer: {winner, tied, undecided}}) => (
      {low, hasLow, high, hasHigh, rule: name(winner), tied: tied.map(name), undecided: undecided.map(one => one.rule.name)}));
  }));
}"""


@pytest.fixture(scope="module")
def evaluator(browser: Browser) -> Iterator[Sight]:
    """An empty page with the evaluator."""
    with seen(browser) as sight:
        sight.page.add_script_tag(content=EVALUATOR.read_text(encoding="utf-8"))
        sight.page.evaluate(HELPERS)
        yield sight


def encoded(events: list[dict[str, Any]]) -> str:
    return json.dumps([[[name, explore_module._encode(value)] for name, value in event.items()] for event in events])


def restored(value: Any) -> Any:
    """JSON with the integers that JavaScript marked."""
    if isinstance(value, list):
        return list(map(restored, value))
    if isinstance(value, dict):
        return int(value["big"]) if value.keys() == {"big"} else {name: restored(part) for name, part in value.items()}
    return value


def answers(text: str) -> list[dict[str, Any]]:
    found = restored(json.loads(text))
    return [{**one, "switchedOff": sorted(one["switchedOff"])} for one in found]


def test_javascript_and_python_route_alike(evaluator: Sight) -> None:
    """Every operator, every type, missing attributes, ties, conditions that are not understood, and the endpoint."""
    random, done = Random(1), 0
    while done < CONVERSATIONS:
        page = a_page(random)
        events = [an_event(random, page) for _ in range(PER_LIST)]
        given = [json.dumps(explore_data(page)), encoded(events)]
        found = answers(evaluator.page.evaluate(ROUTE_ALL, given))
        for event, answer in zip(events, found, strict=True):
            assert document_of(page, event) == answer, event
        done += len(events)
    assert [] == evaluator.noise


def test_the_ranges_of_confidence_are_exact(evaluator: Sight) -> None:
    """Each confidence is in one range, whose answer is that of the analysis; neighbours have different answers."""
    random, missing = Random(2), 0
    for _ in range(2_000 if FULL else 200):
        page = a_page(random)
        events = [{**an_event(random, page), CONFIDENCE: None} for _ in range(5)]
        found = json.loads(evaluator.page.evaluate(RANGES, [json.dumps(explore_data(page)), encoded(events)]))
        for event, ranges in zip(events, found, strict=True):
            if ranges is None:
                missing += 1
                continue
            bounds = {one[end] for one in ranges for end in ("low", "high")}
            for value in {*bounds, *(min(1.0, bound + 1e-12) for bound in bounds), *(random.random() for _ in range(5))}:
                (one,) = [each for each in ranges if contains(each, value)]
                result = explained(page, {**event, CONFIDENCE: typed(value)})
                assert one["rule"] == (result.winner and result.winner.name), (event, value)
                assert one["tied"] == [entry.name for entry in result.tied_rules]
                assert one["undecided"] == [each.entry.name for each in result.undecided]
            keys = [(one["rule"], one["tied"], one["undecided"]) for one in ranges]
            assert all(first != second for first, second in zip(keys, keys[1:], strict=False))
    assert missing < 60


def typed(value: float) -> float:
    return int(value) if float(value).is_integer() else value


def contains(part: dict[str, Any], value: float) -> bool:
    above = value >= part["low"] if part["hasLow"] else value > part["low"]
    return above and (value <= part["high"] if part["hasHigh"] else value < part["high"])


def test_the_page_gives_the_reasons_of_explain(browser: Browser, tmp_path: Path) -> None:
    """The whole page, with its own data, answers as `explain --format json`."""
    random = Random(3)
    path = tmp_path / "explore.html"
    for _ in range(REASONS // 25):
        page = a_page(random, 12)
        path.write_text(html_of(page), encoding="utf-8")
        events = [an_event(random, page) for _ in range(25)]
        with seen(browser) as sight:
            sight.page.goto(path.as_uri())
            sight.page.evaluate(HELPERS)
            found = answers(sight.page.evaluate(ROUTE, encoded(events)))
            assert [] == sight.noise
        for event, answer in zip(events, found, strict=True):
            assert document_of(page, event) == answer, event


def squeezed(text: str) -> str:
    return re.sub(r"\s+", " ", text)
