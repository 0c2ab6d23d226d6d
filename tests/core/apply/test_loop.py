"""The loop that writes: faults, races and refusals, with the real simulator and the real client."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.apply.progress import ApplyReport, matches_review
from reconciler.core.errors import ApiError
from reconciler.core.model.change import Applied, Failed, Skipped, UnknownOutcome
from reconciler.core.plan.stages import PlanOptions
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from tests.support.builders import desired, managed, rule, unmanaged, wanted
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import InProcessTenant, raw

OLD = [
    managed(f"id-{key}", f"cards/{key}", rule(key))
    for key in ("keep", "change", "gone")
]
GOAL = desired(
    wanted("cards/keep", rule("keep")),
    wanted("cards/change", rule("change", priority=1)),
    wanted("cards/new", rule("new")),
)


def statuses(report: ApplyReport) -> dict[str, str]:
    return {
        str(outcome.change.address): type(outcome).__name__
        for outcome in report.outcomes
    }


def names(world: InProcessTenant) -> list[str]:
    return sorted(rule["name"] for rule in world.state.rules())


def test_creates_come_first_and_deletes_last_after_a_read() -> None:
    """Between the last create or update and the first delete all rules are read again."""
    world = InProcessTenant(OLD)
    report = world.apply(GOAL)
    assert report.converged
    calls = [
        (request.method, request.path.rsplit("/", 1)[1])
        for request in world.state.requests
        if "rules" in request.path
    ]
    kinds = [method for method, _ in calls]
    assert kinds.index("POST") < kinds.index("PUT") < kinds.index("DELETE")
    between = calls[kinds.index("PUT") + 1 : kinds.index("DELETE")]
    assert ("GET", "rules") in between
    assert ("GET", "rules") in calls[kinds.index("DELETE") :]


def test_a_rule_is_read_again_just_before_its_write() -> None:
    """One GET of the rule before its PUT, and before its DELETE."""
    world = InProcessTenant(OLD)
    world.apply(GOAL)
    calls = [
        (request.method, request.path.rsplit("/", 1)[1])
        for request in world.state.requests
    ]
    assert calls[calls.index(("PUT", "id-change")) - 1] == ("GET", "id-change")
    assert calls[calls.index(("DELETE", "id-gone")) - 1] == ("GET", "id-gone")


def test_every_write_is_recorded_before_and_after() -> None:
    """First the intent, then the verdict, and the end of each wave."""
    world = InProcessTenant(OLD)
    world.apply(GOAL)
    expected = [
        ("intend", "cards/new"),
        ("DONE", "cards/new"),
        ("wave", ""),
        ("intend", "cards/change"),
        ("DONE", "cards/change"),
        ("wave", ""),
        ("intend", "cards/gone"),
        ("DONE", "cards/gone"),
        ("wave", ""),
    ]
    assert expected == world.recorder.lines


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("profile", ["A", "C"])
@pytest.mark.parametrize(
    "fault",
    [
        "POST rules:500@#1",
        "POST rules:500-applied@#1",
        "POST rules:reset@#1",
        "POST rules:reset-applied@#1",
        "POST rules:timeout-applied@#1",
        "POST rules:empty-applied@#1",
        "POST rules:html-applied@#1",
        "POST rules:cut@#1",
        "POST rules:429@#1",
        "POST rules:503@#1-2",
        "PUT rule:500@#1",
        "PUT rule:500-applied@#1",
        "PUT rule:reset-applied@#1",
        "PUT rule:html-applied@#1",
        "PUT rule:429=none@#1",
        "DELETE rule:500@#1",
        "DELETE rule:500-applied@#1",
        "DELETE rule:reset-applied@#1",
        "DELETE rule:404@#1",
        "GET rules:503@#2",
        "GET rules:reset@#2",
        "GET rules:duplicate@#1",
        "GET rules:missing@#2",
        "GET rule:500@#1",
        "revoke@#4",
        "token:503@#1",
    ],
)
def test_with_one_fault_of_any_kind_the_run_converges(fault: str, profile: str) -> None:
    """Nothing twice, nothing lost, unmanaged rules do not change."""
    fault = fault if ":" in fault else f"*:{fault}"
    foreign_side = unmanaged("x", rule("theirs"))
    world = InProcessTenant(
        [*OLD, foreign_side], PROFILES[profile], FaultInjector(fault, 1)
    )
    report = world.apply(GOAL)
    assert {"Applied"} == set(statuses(report).values()), report
    assert report.converged
    assert ["change", "keep", "new", "theirs"] == names(world)


def test_a_create_with_a_lost_response_is_found_and_not_repeated() -> None:
    """Even if the server would accept the name twice."""
    world = InProcessTenant(
        (), PROFILES["C"], FaultInjector("POST rules:reset-applied@#1", 1)
    )
    report = world.apply(desired(wanted("cards/new", rule("new"))))
    assert report.converged
    assert [("POST", "/api/v2/routing/rules")] == world.writes()


def test_a_refused_update_cancels_only_the_deletes() -> None:
    """The other rules are written; the rules that serve conversations of the failed rule stay."""
    world = InProcessTenant(OLD, faults=FaultInjector("PUT rule:422", 1))
    report = world.apply(GOAL)
    assert {
        "cards/new": "Applied",
        "cards/change": "Failed",
        "cards/gone": "Skipped",
    } == statuses(report)
    assert not report.converged
    assert "gone" in names(world)
    skipped = next(
        outcome for outcome in report.outcomes if isinstance(outcome, Skipped)
    )
    assert "kept, because another change was not applied" == skipped.error


def test_a_server_that_alters_values_is_reported_and_not_retried() -> None:
    """One write, and the change counts as failed."""
    world = InProcessTenant((), faults=FaultInjector("POST rules:altered=priority", 1))
    report = world.apply(desired(wanted("cards/new", rule("new"))))
    (outcome,) = report.outcomes
    assert isinstance(outcome, Failed)
    assert "stored other values" in outcome.error
    assert len(world.writes()) <= 2


def test_missing_rights_stop_the_run() -> None:
    """403 on a write: no further write is tried."""
    world = InProcessTenant(OLD, faults=FaultInjector("POST rules:403", 1))
    report = world.apply(GOAL)
    assert {
        "cards/new": "Failed",
        "cards/change": "Skipped",
        "cards/gone": "Skipped",
    } == statuses(report)
    assert "routing:write" in report.error


def test_an_edit_between_plan_and_write_is_planned_again_once() -> None:
    """Without a reviewed plan the rule gets its desired state, from any other state."""
    world = InProcessTenant(OLD)
    planned = world.plan(GOAL)
    world.state.edit("id-change", priority=77)
    report = world.apply(GOAL, planned=planned)
    assert report.converged
    assert 1 == world.state.stored_rules["id-change"]["priority"]


def test_an_edit_after_the_review_fails_only_that_change() -> None:
    """With a reviewed plan a rule is written only in the state that was reviewed."""
    world = InProcessTenant(OLD)
    planned = world.plan(GOAL)
    world.state.edit("id-change", priority=77)
    report = world.apply(GOAL, planned=planned, admit=matches_review)
    assert {
        "cards/new": "Applied",
        "cards/change": "Failed",
        "cards/gone": "Skipped",
    } == statuses(report)
    assert 77 == world.state.stored_rules["id-change"]["priority"]


def test_an_edit_just_before_the_write_is_not_overwritten() -> None:
    """Between the list and the write: the read before the write shows it, and the next round
    reverts it.
    """
    world = InProcessTenant(OLD, faults=FaultInjector("GET rule:edit@#1", 1))
    assert world.apply(GOAL).converged
    reviewed = InProcessTenant(OLD, faults=FaultInjector("GET rule:edit@#1", 1))
    report = reviewed.apply(GOAL, planned=reviewed.plan(GOAL), admit=matches_review)
    assert "Failed" in statuses(report).values()


def test_a_rule_deleted_during_the_run_is_created_again() -> None:
    """The manifest defines it; without a reviewed plan that is sufficient."""
    world = InProcessTenant(OLD)
    planned = world.plan(GOAL)
    world.state.remove("id-change")
    report = world.apply(GOAL, planned=planned)
    assert report.converged
    assert ["change", "keep", "new"] == names(world)


def test_a_rule_that_lost_its_marker_is_never_deleted() -> None:
    """Its marker was removed between plan and apply: it is unmanaged now."""
    world = InProcessTenant(OLD)
    planned = world.plan(GOAL)
    world.state.edit("id-gone", description="mine now")
    report = world.apply(GOAL, planned=planned)
    assert "gone" in names(world)
    assert report.converged


def test_a_run_stopped_before_a_write_starts_none() -> None:
    """Each change has this reason."""
    world = InProcessTenant(OLD)
    report = world.apply(GOAL, stopped=lambda: True)
    assert {"Skipped"} == set(statuses(report).values())
    assert report.interrupted
    assert [] == world.writes()


def test_a_run_stopped_in_the_middle_finishes_the_calls_in_progress() -> None:
    """Creates were sent; updates and deletes do not start."""
    world = InProcessTenant(OLD)
    report = world.apply(GOAL, stopped=lambda: bool(world.writes()))
    assert {
        "cards/new": "Applied",
        "cards/change": "Skipped",
        "cards/gone": "Skipped",
    } == statuses(report)


def test_a_failed_first_read_writes_nothing() -> None:
    """The error is raised, because there is nothing to report."""
    world = InProcessTenant(OLD)
    planned = world.plan(GOAL)
    broken = InProcessTenant(OLD, faults=FaultInjector("GET rules:403", 1))
    with pytest.raises(ApiError, match="routing:read"):
        broken.apply(GOAL, planned=planned)
    assert [] == broken.writes()


def test_a_failed_last_read_claims_nothing() -> None:
    """An acknowledged change is unknown until a read shows it; two lists before are empty, so each
    is made twice.
    """
    world = InProcessTenant((), faults=FaultInjector("GET rules:500@#5-", 1))
    report = world.apply(desired(wanted("cards/new", rule("new"))))
    assert [UnknownOutcome] == [type(outcome) for outcome in report.outcomes]
    assert not report.converged


@pytest.mark.parametrize("reads", [1, 3, 6])
def test_lists_that_lag_cause_no_second_copy(reads: int) -> None:
    """An acknowledged rule that the list does not show is read by id."""
    world = InProcessTenant((), replace(PROFILES["C"], lag_reads=reads))
    report = world.apply(desired(wanted("cards/new", rule("new"))))
    assert [Applied] == [type(outcome) for outcome in report.outcomes]
    assert ["new"] == names(world)


@pytest.mark.parametrize(
    "fault", ["", "POST rules:500-applied@#1", "POST rules:reset@#1"]
)
def test_with_lagging_lists_a_second_run_creates_nothing_twice(fault: str) -> None:
    """No list shows the rules of the first run; the second one waits for the maximum lag, and finds
    them.
    """
    virtual = FakeClock()
    settings = replace(PROFILES["C"], lag_seconds=4.0, clock=virtual)
    world = InProcessTenant(OLD, settings, FaultInjector(fault, 1) if fault else None)
    for _ in range(2):
        report = world.apply(GOAL, lag=5.0, sleep=virtual.sleep)
        assert report.converged, report
        assert 1 == names(world).count("new")


def test_a_create_that_is_done_late_is_corrected_in_the_same_run() -> None:
    """The outcome was unknown, so it was sent again; the second rule of one marker is deleted after
    the next read.
    """
    world = InProcessTenant(
        OLD, PROFILES["C"], FaultInjector("POST rules:late=3@#1", 1)
    )
    report = world.apply(GOAL)
    assert report.converged
    assert ["change", "keep", "new"] == names(world)
    assert {"Applied"} == set(statuses(report).values())


def test_a_response_with_other_values_is_resolved_by_a_read() -> None:
    """The server kept the sent values in spite of its response: done, as are its dependents."""
    for fault in ("POST rules:other@#1", "PUT rule:other@#1"):
        world = InProcessTenant(OLD, PROFILES["C"], FaultInjector(fault, 1))
        report = world.apply(GOAL)
        assert report.converged
        assert {"Applied"} == set(statuses(report).values())
        assert 3 == len(world.writes())


def test_unknown_fields_survive_an_update() -> None:
    """Those of the rule, and those inside a condition or target that stays."""
    foreign_side: dict[str, Any] = {
        "workflowHints": {"a": [1, None]},
        "division": {"id": "home"},
    }
    world = InProcessTenant([managed("id", "cards/vip", rule(), **foreign_side)])
    stored = world.state.stored_rules["id"]
    world.state.put(
        {**stored, "targets": [{**stored["targets"][0], "queueName": "x", "hint": 7}]}
    )
    assert world.apply(desired(wanted("cards/vip", rule(priority=1)))).converged
    after = world.state.stored_rules["id"]
    assert foreign_side == {name: after[name] for name in foreign_side}
    assert 7 == after["targets"][0]["hint"]


def test_duplicates_are_deleted_and_edited_copies_stay() -> None:
    """The earliest stays."""
    twins = [
        managed(f"id-{n}", "cards/vip", rule(), dateCreated=f"2026-01-0{n}T00:00:00Z")
        for n in (2, 1, 3)
    ]
    clone = managed(
        "id-9",
        "cards/vip",
        rule(priority=9),
        last_written=rule(),
        dateCreated="2026-02-01T00:00:00Z",
    )
    world = InProcessTenant([*twins, clone], PROFILES["C"])
    report = world.apply(desired(wanted("cards/vip", rule())))
    assert report.converged
    assert {"id-1", "id-9"} == set(world.state.stored_rules)


def test_two_rules_that_swap_names_converge() -> None:
    """On a server that refuses a duplicate name, in the next round."""
    old = [
        managed(
            "1",
            "cards/a",
            rule("a"),
        ),
        managed("2", "cards/b", rule("b")),
    ]
    goal = desired(wanted("cards/a", rule("b2")), wanted("cards/b", rule("a")))
    world = InProcessTenant(old)
    assert world.apply(goal).converged
    assert ["a", "b2"] == names(world)


@pytest.mark.parametrize("profile", ["A", "C"])
def test_an_unmanaged_rule_that_took_the_name_is_not_a_success(profile: str) -> None:
    """The managed rule is not created, not reported as applied, and no rule that it should replace
    is deleted.
    """
    world = InProcessTenant(OLD, PROFILES[profile])
    planned = world.plan(GOAL)
    world.state.put({**raw(unmanaged("x", rule("new", priority=5))), "name": "new"})
    report = world.apply(GOAL, planned=planned)
    assert {
        "cards/new": "Failed",
        "cards/change": "Applied",
        "cards/gone": "Skipped",
    } == statuses(report)
    assert not report.converged
    assert ["change", "gone", "keep", "new"] == names(world)


def test_a_kept_edit_during_the_run_is_not_a_success() -> None:
    """--keep-drift: an edit between plan and write is not changed, and not reported as applied."""
    world = InProcessTenant(OLD)
    planned = world.plan(GOAL, PlanOptions(keep_drift=True))
    world.state.edit("id-change", enabled=False)
    report = world.apply(GOAL, planned=planned, options=PlanOptions(keep_drift=True))
    assert "Applied" != statuses(report)["cards/change"]
    assert 100 == world.state.stored_rules["id-change"]["priority"]
