"""The page of `cxroute explore` about rules with dates: each interval from now on is a side."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from reconciler.features.explore.times import least_local
from tests.support.clock_table import PLACES, minutes_of
from tests.support.program import Program, write

HEAD = """apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
timezone: Europe/Zurich
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: rest, queue: General, when: [], priority: 900}
"""
DATED = """\
  - {key: xmas, intent: refund, queue: Fraud, from: 2026-12-20T00:00, until: 2026-12-27T00:00}
  - {key: over, intent: refund, queue: Cards, until: 2026-11-01T00:00}
"""


def data_of(cxroute: Program) -> dict[str, Any]:
    assert 0 == cxroute("explore", "-e", "sandbox"), cxroute.err
    page = Path("explore.html").read_text("utf-8")
    start = page.index('id="data">') + len('id="data">')
    data: dict[str, Any] = json.loads(page[start : page.index("</script>", start)])
    return data


def set_now(monkeypatch: pytest.MonkeyPatch, now: datetime) -> None:
    monkeypatch.setattr("reconciler.cli.command_line.utc_now", lambda: now)


def test_each_interval_has_its_rules(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rules once, with the first and the last interval that they are in."""
    set_now(monkeypatch, datetime(2026, 12, 1, tzinfo=UTC))
    write("m.yaml", HEAD + DATED)
    data = data_of(cxroute)
    begins, ends = "2026-12-20T00:00:00", "2026-12-27T00:00:00"
    assert [
        ["", f"until {begins}+01:00"],
        [begins, f"from {begins}+01:00 until {ends}+01:00"],
        [ends, f"from {ends}+01:00"],
    ] == data["times"]
    assert [[1, 1], [0, 2]] == [rule[4] for rule in data["rules"]]


def test_without_dates_the_page_has_no_times(cxroute: Program) -> None:
    """Also without those that are over is one side left."""
    write("m.yaml", HEAD)
    data = data_of(cxroute)
    assert "times" not in data
    assert [[0]] == [rule[4] for rule in data["rules"]]
    assert 'id="at"' not in Path("explore.html").read_text("utf-8")


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.zone)
def test_the_least_local_time_of_an_instant(place: Any) -> None:
    """Beside a table of what the clocks have shown, by the minute around both changes of a year."""
    zone = ZoneInfo(place.zone)
    for change in (place.begins(2028), place.ends(2028)):
        first = change - timedelta(hours=3)
        shown = list(minutes_of(place, first, 6 * 60))
        for before, minute in pairwise(shown):
            instant = minute.utc.replace(tzinfo=UTC)
            least = least_local(instant, zone)
            assert before.latest < least
            assert least - timedelta(minutes=1) <= before.latest
