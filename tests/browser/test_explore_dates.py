"""The page of `cxroute explore` about rules with dates, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from tests.browser.machine import Sight, seen, violations
from tests.support.cases import each_case
from tests.support.clock_table import PLACES, minutes_of
from tests.support.program import Program, write

NOW: Final = datetime(2027, 3, 30, tzinfo=UTC)
PLACE: Final = PLACES[0]
# the clocks go back by half an hour at 15:00 UTC on 3 April
MANIFEST: Final = f"""apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: {PLACE.zone}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {{key: rest, queue: General, when: [], priority: 900}}
  - {{key: fair, intent: refund, queue: Fraud, from: 2027-04-02T08:00, until: 2027-04-03T15:10Z}}
  - intent: card
    targets: [{{queue: Cards, weight: 1}}, {{queue: Partner, weight: 0}}]
    steps: [{{at: 2027-04-04T09:00, weights: {{Cards: 0, Partner: 1}}}}]
"""
ROUTE: Final = """intent => {
  const {intent: name} = JSON.parse(document.getElementById("data").textContent);
  return window.cxroute.route({[name]: intent});
}"""


@pytest.fixture
def dated(
    cxroute: Program, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Sight]:
    """The open page."""
    write("m.yaml", MANIFEST)
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: NOW)
    assert 0 == cxroute("explore", "-e", "sandbox"), cxroute.err
    with seen(browser) as sight:
        sight.page.goto(Path("explore.html").absolute().as_uri())
        yield sight


def answer(sight: Sight, intent: str) -> str:
    """Return what the page says about an intent."""
    sight.page.fill("#intent", intent)
    return sight.page.inner_text("#answer .goes")


def test_the_page_answers_for_the_chosen_time(dated: Sight) -> None:
    """By the time, or by an interval of the list; the address keeps it."""
    page = dated.page
    assert "Time in Australia/Lord_Howe" in page.inner_text("#times")
    assert 'goes to "General"' in answer(dated, "refund")
    page.fill("#at", "2027-04-02T08:00")
    assert 'goes to "Fraud"' in answer(dated, "refund")
    assert 'goes to "Cards"' in answer(dated, "card")
    assert "from 2027-04-02T08:00:00+11:00" in page.inner_text("#answer")
    page.fill("#at", "2027-04-02T07:59:59")
    assert 'goes to "General"' in answer(dated, "refund")

    page.select_option("#when", index=3)
    assert "2027-04-04T09:00" == page.input_value("#at")[:16]
    assert 'goes to "Partner"' in answer(dated, "card")
    page.click("nav >> text=Try")  # a click writes the address
    assert "at=2027-04-04" in page.url
    page.reload()
    assert 'goes to "Partner"' in page.inner_text("#answer .goes")
    page.fill("#at", "")
    assert 'goes to "Cards"' in answer(dated, "card")
    assert [] == dated.noise


def test_the_other_views_are_about_the_chosen_time(dated: Sight) -> None:
    """The table, the queues and the promises."""
    page = dated.page
    page.click("text=Rules >> nth=0")
    page.fill("#at", "2027-04-03T12:00")
    page.click("nav >> text=Rules")
    assert "3 of 3 rules" == page.inner_text("#count")
    page.fill("#at", "2027-04-05T12:00")
    assert "2 of 2 rules" == page.inner_text("#count")
    assert [] == violations(page)
    assert [] == dated.noise


@each_case(
    "time, queue",
    [
        ("2027-04-04T01:29", "Fraud"),
        # shown twice: the first time, before the end
        ("2027-04-04T01:45", "Fraud"),
        ("2027-04-04T02:00", "General"),
    ],
)
def test_a_local_time_that_occurs_twice_means_the_first(
    dated: Sight, time: str, queue: str
) -> None:
    """The end is in the second half hour with these times."""
    dated.page.fill("#at", time)
    assert f'goes to "{queue}"' in answer(dated, "refund")


def test_page_and_explain_agree_at_any_time(dated: Sight, cxroute: Program) -> None:
    """Beside the command, and a table of the clocks by the minute."""
    random = Random(7)
    start = NOW.replace(tzinfo=None)
    minutes = list(minutes_of(PLACE, start, 6 * 24 * 60))
    for _ in range(25):
        chosen = random.choice(minutes[24 * 60 :])
        local = chosen.latest - timedelta(minutes=random.randint(0, 5))
        instant = next(each.utc for each in minutes if each.latest >= local)
        intent = random.choice(["refund", "card"])
        arguments = ("explain", "-e", "sandbox", "--intent", intent)
        _, said = cxroute.json(*arguments, "--at", f"{instant:%Y-%m-%dT%H:%MZ}")
        dated.page.fill("#at", f"{local:%Y-%m-%dT%H:%M}")
        found: dict[str, Any] = dated.page.evaluate(ROUTE, intent)
        assert said["winner"] == found["rule"], (local, instant)
