"""A day of `watch --apply` over many dates, with faults: it converges, and no conversation is lost."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.dated_day import DatedDay, drawn_day, places_of


def check_day(day: DatedDay) -> None:
    """Run a day; each state of the tenant is checked while it runs."""
    day.run()
    assert day.faults.throttled
    assert day.faults.missed, "the tenant was never away"
    for intent in day.intents:
        expected = day.expected(intent, day.now)[-1]
        assert expected == places_of(day.tenant.state, intent), intent
    calendar = day.planner.desired.calendar
    assert calendar is not None
    away = day.faults.away_from - 1000
    for date in calendar.boundaries:
        seconds = (date - day.starts[0]).total_seconds()
        if not away - 60 <= seconds <= away + 7200:
            late = timedelta(minutes=1, seconds=30)
            assert any(date <= start <= date + late for start in day.starts), date


def test_a_day_of_dates_with_faults_converges(room: Path) -> None:
    """Ten dates."""
    check_day(drawn_day(room, seed=1, campaigns=3, ramps=1))


@pytest.mark.slow
def test_a_day_of_forty_dates_with_faults_converges(room: Path) -> None:
    """No conversation is outside of its old and its new destination, and no ramp goes back."""
    day = drawn_day(room, seed=2, campaigns=10, ramps=4)
    calendar = day.planner.desired.calendar
    assert calendar is not None
    assert 40 == len(calendar.boundaries)
    check_day(day)
    assert day.faults.killed
    assert day.states > 40


@pytest.mark.campaign
@pytest.mark.parametrize("seed", range(100, 120))
def test_further_days_converge(room: Path, seed: int) -> None:
    """As above, with other dates and faults."""
    check_day(drawn_day(room, seed, campaigns=10, ramps=4))
