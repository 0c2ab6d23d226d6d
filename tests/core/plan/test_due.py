"""Changes that are due by a date: they count as drift after the run had its time."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from reconciler.core.manifest.kinds.environment import RunSchedule
from reconciler.core.model.rule import Rule, Target
from reconciler.core.pipeline import Planner
from reconciler.core.plan.document import count_changes
from reconciler.core.plan.drift import Drift, drift_to_json, find_drift
from reconciler.core.plan.due import DueChanges, find_due
from reconciler.core.plan.stages import LiveState, PlanOptions
from reconciler.render.colour import no_style
from reconciler.render.drift_summary import counts_phrase, drift_sections
from reconciler.render.text.drift import drift_brief
from tests.support.builders import NOW, QUEUES, address
from tests.support.ramps import Step, made, planner_at, planner_of, ramp_text

HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
STEPS = [Step(NOW, 5, waits=False), Step(NOW + 2 * HOUR, 25, waits=False)]
CAMPAIGN = (
    "{key: xmas, intent: xmas, queue: General, priority: 9, from: 2026-11-25T12:00Z, "
    "until: 2026-11-25T14:00Z}"
)
KEPT = "{intent: other, queue: Fraud}"


@pytest.fixture
def planner(room: Path) -> Planner:
    rules = [
        ramp_text(STEPS),
        CAMPAIGN,
        KEPT,
        "{key: always, intent: xmas, queue: Fraud}",
    ]
    return planner_of(room, rules, NOW - HOUR)


def live_at(planner: Planner, hours: float) -> LiveState:
    """Return the tenant after an apply at a time."""
    changes = planner_at(planner, NOW + HOUR * hours).find_changes(
        LiveState((), QUEUES)
    )
    return LiveState(made(changes), QUEUES)


def drifted(
    planner: Planner, live: LiveState, minutes: float, every: str = ""
) -> Drift:
    """Return the drift so many minutes after NOW."""
    now = planner_at(planner, NOW + MINUTE * minutes)
    changes = now.find_changes(live)
    environment = planner.environment
    if every:
        environment = environment.model_copy(
            update={"schedule": RunSchedule(every=every)}
        )
    return find_drift(changes, due=find_due(changes, environment, ()))


@pytest.mark.parametrize(("every", "grace"), [("", 15), ("10m", 25), ("1h", 75)])
def test_a_change_counts_as_drift_when_its_run_is_late(
    planner: Planner, every: str, grace: int
) -> None:
    """A new rule and a step: due since the date, and drift after the schedule and 15 minutes."""
    before = live_at(planner, -1)
    in_time = drifted(planner, before, grace - 1, every)
    assert {address("cards/card"): NOW, address("cards/xmas"): NOW} == in_time.due.since
    assert (False, 2) == (in_time.has_drift, len(in_time.due_changes))
    assert ([], []) == (in_time.missing, in_time.unapplied)
    late = drifted(planner, before, grace, every)
    assert late.has_drift
    assert "2 changes due by a date" == counts_phrase(late)


def test_the_end_of_a_rule_is_due_too(planner: Planner) -> None:
    """The live rule is as before the date; the step is the last one that it does not have."""
    late = drifted(planner, live_at(planner, 0.5), 140)
    assert {address("cards/card"), address("cards/xmas")} == late.due.since.keys()
    assert {NOW + 2 * HOUR} == set(late.due.since.values())
    slept = drifted(planner, live_at(planner, -1), 140)
    assert {address("cards/card"): NOW} == slept.due.since


def test_other_changes_are_drift_at_once(planner: Planner) -> None:
    """An edit in CXone, a rule that was deleted, and a rule of the manifests without a date."""
    current = live_at(planner, 0.5)
    edited = tuple(
        replace(live, rule=replace(live.rule, priority=7)) for live in current.rules
    )
    drift = drifted(planner, LiveState(edited, QUEUES), 31)
    assert (True, {}) == (drift.has_drift, drift.due.since)
    fewer = tuple(live for live in current.rules if "xmas" not in live.id)
    changes = planner_at(planner, NOW + MINUTE).find_changes(LiveState(fewer, QUEUES))
    deleted = find_due(changes, planner.environment, [address("cards/xmas")])
    assert DueChanges() == deleted
    nothing = drifted(planner, LiveState((), QUEUES), 1)
    assert nothing.has_drift
    assert address("cards/other") in {change.address for change in nothing.missing}


def test_an_edit_to_earlier_weights_is_not_a_date(planner: Planner) -> None:
    """The marker shows that the rule was made, and edited."""
    current = live_at(planner, 0.5)
    edited = []
    for live in current.rules:
        is_ramp = live.rule.name.endswith("card")
        targets = (Target("q-fraud", 100),) if is_ramp else live.rule.targets
        edited.append(replace(live, rule=replace(live.rule, targets=targets)))
    drift = drifted(planner, LiveState(tuple(edited), QUEUES), 31)
    assert (True, {}) == (drift.has_drift, drift.due.since)


def test_a_rule_that_the_campaign_will_replace_is_not_in_the_way(
    planner: Planner,
) -> None:
    """What a date has just made due sends no conversation elsewhere by mistake."""
    drift = drifted(planner, live_at(planner, -1), 5)
    assert not drift.unaccepted_impact.behaviour.changed
    assert drift.full_impact.behaviour.changed


def test_a_freeze_delays_a_date(room: Path) -> None:
    """Apply refuses in it; the time of the run counts from its end."""
    rules = [ramp_text(STEPS), KEPT]
    freeze = "freeze: [{start: 2026-11-25, end: 2026-11-25, timezone: UTC, reason: x}]"
    frozen = planner_of(room, rules, NOW - HOUR, more=f"{freeze}\n")
    before = live_at(frozen, -1)
    assert not drifted(frozen, before, 300).has_drift
    assert not drifted(frozen, before, 12 * 60 + 14).has_drift
    assert drifted(frozen, before, 12 * 60 + 16).has_drift


def test_reports_say_since_when_a_change_is_due(planner: Planner) -> None:
    """As text, and in JSON: the cause `date`, the time, and the count."""
    now = planner_at(planner, NOW + HOUR / 2)
    live = live_at(planner, -1)
    plan = now.build(live)
    drift = find_drift(plan, due=find_due(plan, now.environment, ()))
    document = drift_to_json(drift, plan)
    causes = {
        change["address"]: (change["cause"], change.get("dueSince"))
        for change in document["changes"]
    }
    assert {
        "cards/card": ("date", "2026-11-25T12:00:00Z"),
        "cards/xmas": ("date", "2026-11-25T12:00:00Z"),
    } == causes
    assert (2, 0, 0) == tuple(
        document["summary"][name] for name in ("due", "missing", "notApplied")
    )
    (section,) = drift_sections(drift)
    assert "Due by a date" == section.title
    assert all(
        "due since 2026-11-25T12:00:00Z" in rule.sentences for rule in section.rules
    )
    assert 2 == sum(count_changes(plan)[name] for name in ("create", "update"))
    in_time = drifted(planner, live, 5)
    text = drift_brief(in_time, no_style)
    assert text.startswith("No drift.")
    assert "2 changes due by a date: the next apply or run of watch makes them." in text


def test_due_changes_are_those_of_sleeping_runs(room: Path) -> None:
    """Beside a walk by the hour: the tenant is as an apply at some hour made it."""
    for seed in range(20):
        random = Random(seed)
        hours = sorted(random.sample(range(1, 40), 4))
        shares = random.sample(range(1, 101), 4)
        steps = [
            Step(NOW + HOUR * hour, share, waits=False)
            for hour, share in zip(hours, shares, strict=True)
        ]
        planner = planner_of(room, [ramp_text(steps)], NOW)
        slept = random.randrange(41)
        live = live_at(planner, slept)
        for hour in range(slept, 41):
            over = [each for each in hours if slept < each <= hour]
            drift = drifted(planner, live, 60 * hour)
            expected = {address("cards/card"): NOW + HOUR * over[0]} if over else {}
            assert expected == drift.due.since, (seed, slept, hour)
            is_late = bool(over) and hour > over[0]
            assert is_late is drift.has_drift


def with_queue(live: LiveState, address_text: str, queue: str) -> LiveState:
    """Return the tenant after an edit of a rule in CXone."""
    edited = [
        replace(each, rule=replace(each.rule, targets=(Target(queue, 100),)))
        if each.marker and str(each.marker.address) == address_text
        else each
        for each in live.rules
    ]
    return LiveState(tuple(edited), live.queues)


def by_address(live: LiveState) -> dict[str, Rule]:
    return {str(each.marker.address): each.rule for each in live.rules if each.marker}


def test_a_run_of_what_is_due_makes_nothing_else(room: Path) -> None:
    """After it, each dated rule without an edit is that of now, and all others are as they were."""
    seen = Counter[str]()
    for seed in range(60):
        random = Random(seed)
        first, second = sorted(random.sample(range(1, 30), 2))
        steps = [Step(NOW + HOUR * first, 5, waits=False)]
        campaign = (
            f"{{key: xmas, intent: xmas, queue: General, priority: 9, "
            f"from: {NOW + HOUR * first:%Y-%m-%dT%H:%MZ}, until: {NOW + HOUR * second:%Y-%m-%dT%H:%MZ}}}"
        )
        planner = planner_of(room, [ramp_text(steps), campaign, KEPT], NOW)
        before = live_at(planner, random.randrange(first + 3))
        edited = random.choice(["", "cards/card", "cards/xmas", "cards/other"])
        if edited not in by_address(before):
            edited = ""
        live = with_queue(before, edited, "q-general") if edited else before

        now = planner_at(planner, NOW + HOUR * random.randrange(first, 31))
        written = [address(name) for name in by_address(before)]
        run = replace(now, options=PlanOptions(due=True), written=written)
        changes = run.find_changes(live)
        after = by_address(LiveState(made(changes), QUEUES))

        stated = {str(each): rule.rule for each, rule in now.desired.rules.items()}
        for name in ("cards/card", "cards/xmas"):
            if name != edited:
                assert stated.get(name) == after.get(name), (seed, name)
        assert by_address(live)["cards/other"] == after["cards/other"]
        if edited:
            assert by_address(live)[edited] == after[edited]
        assert tuple(
            sorted(map(str, {change.address for change in changes.changes}))
        ) == (changes.options.only)
        seen[f"{bool(edited)} {bool(changes.changes)}"] += 1
    assert 4 == len(seen), seen


def test_nothing_is_due_in_a_freeze(room: Path) -> None:
    """The run after its end makes the change; a lifted guard makes it at once."""
    freeze = "freeze: [{start: 2026-11-25, end: 2026-11-25, timezone: UTC, reason: x}]"
    frozen = planner_of(room, [ramp_text(STEPS), KEPT], NOW - HOUR, more=f"{freeze}\n")
    live = live_at(frozen, -1)
    run = replace(planner_at(frozen, NOW + HOUR), options=PlanOptions(due=True))
    assert () == run.find_changes(live).changes
    assert 1 == len(
        replace(run, allowed=("freeze",), reason="x").find_changes(live).changes
    )
    later = replace(planner_at(frozen, NOW + 13 * HOUR), options=PlanOptions(due=True))
    assert ("cards/card",) == later.find_changes(live).options.only
