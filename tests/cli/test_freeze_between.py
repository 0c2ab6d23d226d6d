"""A freeze that begins during a run ends it between two waves, lists the applied changes, and keeps
every route.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import session
from tests.support.many_tenants import Tenants, rule, ruleset, tenants
from tests.support.program import Program
from tests.support.simulated_routing import queue_shares
from tests.support.watch_process import RULESET, watch_setup

CATCH_ALL = {
    "key": "all",
    "when": [],
    "queue": "General",
    "priority": 900,
    "name": "all",
}
BEGINS = datetime(2026, 12, 20, tzinfo=UTC)
FREEZE = (
    "freeze: [{start: '2026-12-20T00:00:00Z', end: '2026-12-21T00:00:00Z', reason: peak "
    "season}]"
)


class ClockByWrites:
    """A clock that stays before the freeze until the tenant received a number of writes."""

    def __init__(self, here: Tenants, writes: int) -> None:
        self.here, self.until = here, here.writes("prod") + writes

    def __call__(self) -> datetime:
        """Return the time of day."""
        return BEGINS + timedelta(
            minutes=-1 if self.here.writes("prod") < self.until else 1
        )


@pytest.fixture
def prod(access: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[Tenants]:
    """Yield a tenant over a socket with two live rules, and manifests that swap their intents in
    four waves.
    """
    del access
    with tenants("prod") as here:
        here.manifests(prod=FREEZE)
        monkeypatch.setattr(session, "utc_now", lambda: BEGINS - timedelta(minutes=1))
        ruleset([rule("a"), rule("b", "Fraud"), CATCH_ALL])
        yield here


def begun(cxroute: Program) -> None:
    """Apply the earlier rules, then write the new manifests."""
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    ruleset(
        [{**rule("a"), "intent": "b"}, {**rule("b", "Fraud"), "intent": "a"}, CATCH_ALL]
    )


def destinations(here: Tenants) -> dict[str, Any]:
    """Return the queue of each intent, as the simulator evaluates its rules."""
    return {
        intent: queue_shares(here.rules("prod"), {"cognigyDetectedIntent": intent})
        for intent in "ab"
    }


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("writes", [1, 2, 3])
def test_a_run_stops_between_two_waves(
    prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    """Exit 5: applied and remaining changes are listed, and each intent is at its old or new
    queue.
    """
    begun(cxroute)
    before = destinations(prod)
    monkeypatch.setattr(session, "utc_now", ClockByWrites(prod, writes))
    began = prod.writes("prod")
    code, form = cxroute.json("apply", "-e", "prod", "--yes")
    assert (5, writes) == (code, prod.writes("prod") - began), form
    assert "prod is frozen now: peak season" == form["error"]["message"]
    assert ["cards/a", "cards/b"] == sorted(
        item["address"] for item in form["outcomes"]
    )
    assert all(
        destination_text in ({"q-Cards": 1}, {"q-Fraud": 1})
        for destination_text in destinations(prod).values()
    )
    assert 4 == cxroute("apply", "-e", "prod", "--yes")
    assert (5, writes) == (code, prod.writes("prod") - began)
    monkeypatch.setattr(session, "utc_now", lambda: BEGINS - timedelta(minutes=1))
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err
    assert {"a": before["b"], "b": before["a"]} == destinations(prod)


def test_text_lists_applied_and_remaining_changes(
    prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the text for the terminal."""
    begun(cxroute)
    monkeypatch.setattr(session, "utc_now", ClockByWrites(prod, 2))
    assert 5 == cxroute("apply", "-e", "prod", "--yes")
    assert "Stopped: prod is frozen now: peak season" in cxroute.out
    assert "Applied 1 of 2" in cxroute.out


def test_an_allowed_freeze_does_not_stop_a_run(
    prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`--allow freeze` is valid for the complete run, and so is `guard: allow`."""
    begun(cxroute)
    monkeypatch.setattr(session, "utc_now", ClockByWrites(prod, 1))
    assert 0 == cxroute(
        "apply", "-e", "prod", "--yes", "--allow", "freeze", "--reason", "CHG-1"
    ), cxroute.err
    prod.manifests(
        prod=f"{FREEZE}\nguard: {{allow: [{{name: freeze, until: '2027-01-01T00:00:00Z', reason: CHG-2}}]}}"
    )
    ruleset([rule("a"), rule("b", "Fraud"), CATCH_ALL])
    monkeypatch.setattr(session, "utc_now", ClockByWrites(prod, 1))
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err


def test_a_run_without_further_writes_succeeds(
    prod: Tenants, cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the last write, there is nothing left to stop."""
    begun(cxroute)
    monkeypatch.setattr(session, "utc_now", ClockByWrites(prod, 4))
    assert 0 == cxroute("apply", "-e", "prod", "--yes"), cxroute.err


SWAPPED = """- {{key: a, intent: {0}, name: Rule of {0}, queue: Billing, priority: 10}}
- {{key: b, intent: {1}, name: Rule of {1}, queue: Support, priority: 20}}
- {{key: all, when: [], queue: Support, priority: 900}}
"""


@pytest.mark.slow
def test_watch_apply_stops_as_well(tmp_path: Path) -> None:
    """`watch --apply` on the real clock: the freeze begins during its writes, and the next round is
    refused.
    """
    with watch_setup(tmp_path) as here:
        here.serve_tenant(latency=0.6)
        here.write("x")
        cards = tmp_path / "manifests/cards.yaml"
        cards.write_text(RULESET + SWAPPED.format("a", "b"), "utf-8")
        loop = here.watch("--apply")
        begins = datetime.now(UTC) + timedelta(seconds=4.5)
        here.write(
            "x",
            more=f"freeze: [{{start: '{begins.isoformat()}', end: '2999-01-01T00:00:00Z', reason: peak}}]",
        )
        cards.write_text(RULESET + SWAPPED.format("b", "a"), "utf-8")
        loop.trigger_round()
        assert "prod is frozen now: peak" in loop.log()
        assert loop.metrics()['rounds_total{result="partly"}'] == 1
        loop.trigger_round()
        assert loop.metrics()['rounds_total{result="refused"}'] == 1
        assert 0 == loop.end()[0]
