"""The state of each planned change in a run: own writes, own duplicates, responses that a read
disproves.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.apply.attempt import Attempt, Uncertainty, Verdict
from reconciler.core.apply.progress import ApplyProgress
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.change import (
    Change,
    Create,
    Delete,
    Failed,
    Outcome,
    PlanStep,
    Skipped,
    UnknownOutcome,
    Update,
    write_payload,
)
from reconciler.core.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.core.model.rule import Rule
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.stages import Changes, LiveState, PlanOptions
from tests.support.builders import (
    NOW,
    OWNER,
    QUEUES,
    address,
    desired,
    managed,
    rule,
    unmanaged,
    wanted,
)

X = address("cards/x")
WANTED = rule("x", priority=7)
GOAL = desired(wanted("cards/x", WANTED))
LIVE = managed("id-x", "cards/x", rule("x"))
EDITED = managed("id-x", "cards/x", rule("x", priority=99), last_written=rule("x"))
DONE = managed("id-x", "cards/x", WANTED)


def planned(*live: LiveRule, goal: DesiredState = GOAL) -> Changes:
    """Return the changes of a read with these rules."""
    return find_changes(goal, LiveState(live, QUEUES), PlanOptions(), NOW)


def update(live: LiveRule) -> Update:
    """Return the change of a read that shows the rule in this state."""
    return Update(
        address=X, live=live, after=WANTED, fields=(), source=None, cause="manifest"
    )


def noted(
    before: Changes,
    verdict: Verdict,
    *,
    error: str = "",
    doubt: Uncertainty = "none",
    wrote: bool = True,
    name: str = "",
) -> tuple[ApplyProgress, PlanStep]:
    """Return the progress of a plan with one change, after its one call with this result."""
    (change,) = before.changes
    step = PlanStep(change, "aside" if name else "whole", name)
    tally = ApplyProgress(before)
    tally.record_attempt(
        step,
        Attempt(
            verdict=verdict, error=error, id="id-x", uncertainty=doubt, was_sent=wrote
        ),
    )
    return tally, step


def sent(step: PlanStep) -> LiveRule:
    """Return the live rule after the server keeps the payload."""
    subject = write_payload(step, OWNER)
    assert subject is not None
    return LiveRule("id-x", subject.rule, subject.marker, {})


def outcome(
    tally: ApplyProgress, fresh: Changes | None, *, interrupted: bool = False
) -> Outcome:
    """Return the reported outcome of the one change."""
    (actual,) = tally.report(fresh, "", interrupted=interrupted).outcomes
    return actual


# Its own writes


@pytest.mark.parametrize(
    ("verdict", "doubt"),
    [(Verdict.DONE, "none"), (Verdict.RETRY, "lasting"), (Verdict.RETRY, "until read")],
)
def test_a_run_recognises_its_own_writes(verdict: Verdict, doubt: Uncertainty) -> None:
    """A parked rule with a temporary name is the run's own work, acknowledged or perhaps done: not
    an edit.
    """
    tally, step = noted(planned(LIVE), verdict, doubt=doubt, name="x, for now")
    assert tally.is_own_write(update(sent(step)))
    assert not tally.has_external_edits(
        replace(planned(LIVE), changes=(update(sent(step)),))
    )


@pytest.mark.parametrize(
    ("verdict", "doubt"),
    [(Verdict.RETRY, "none"), (Verdict.CONFLICT, "none"), (Verdict.FAILED, "none")],
)
def test_a_run_does_not_claim_a_state_that_it_did_not_write(
    verdict: Verdict, doubt: Uncertainty
) -> None:
    """The call was not done, but the rule has that state: another program wrote it."""
    tally, step = noted(planned(LIVE), verdict, doubt=doubt, name="x, for now")
    assert not tally.is_own_write(update(sent(step)))


@pytest.mark.parametrize(
    "live",
    [
        EDITED,
        replace(LIVE, marker=None),
        replace(LIVE, marker=Marker("eve", X, "0" * 8)),
    ],
)
def test_another_state_than_the_last_write_is_not_its_own(live: LiveRule) -> None:
    """Another value, or another marker: an external edit."""
    tally, _ = noted(planned(LIVE), Verdict.DONE)
    assert not tally.is_own_write(update(live))
    assert tally.has_external_edits(replace(planned(LIVE), changes=(update(live),)))


def test_before_a_write_nothing_is_the_runs_own_work() -> None:
    """A create never is; and a rule in its planned state has no external edit."""
    tally = ApplyProgress(planned(LIVE))
    assert not tally.is_own_write(update(LIVE))
    assert not ApplyProgress(planned()).is_own_write(planned().changes[0])
    assert not tally.has_external_edits(planned(LIVE))
    assert tally.has_external_edits(planned(EDITED))
    assert not tally.has_external_edits(planned())


def test_an_acknowledged_write_stays_known_after_a_delete() -> None:
    """A delete writes no rule: the state that the run wrote before is still its own."""
    tally, step = noted(planned(LIVE), Verdict.DONE, name="x, for now")
    tally.record_attempt(
        PlanStep(Delete(address=X, live=copy("id-c"), cause="duplicate"), "drop"),
        Attempt(verdict=Verdict.DONE, id="id-c"),
    )
    assert tally.is_own_write(update(sent(step)))
    assert "id-x" == tally.progress_of(update(LIVE)).id


# Duplicates and copies


def duplicate(rule_id: str = "id-2") -> Delete:
    return Delete(
        address=X,
        live=managed(rule_id, "cards/x", WANTED),
        cause="duplicate",
        original=DONE,
    )


def copy(rule_id: str, name: Rule = WANTED) -> LiveRule:
    temporary = replace(name, name=copy_name(OWNER, X))
    return LiveRule(
        rule_id, temporary, Marker(OWNER, X, marker_digest(temporary), copy=True), {}
    )


@pytest.mark.parametrize("late", [DONE, LIVE], ids=["of this run", "of an earlier run"])
def test_a_late_duplicate_belongs_to_the_create_at_its_address(late: LiveRule) -> None:
    """A lost request was done late: deleting the second rule is part of the change, and the run's
    own work.
    """
    tally, step = noted(planned(), Verdict.RETRY, doubt="lasting")
    twin = replace(duplicate(), live=replace(late, id="id-2"))
    assert step.change is tally.planned_for(twin)
    assert tally.is_own_write(twin)
    assert [] == tally.unplanned_changes(replace(planned(DONE), changes=(twin,)))


def test_a_duplicate_without_a_create_of_this_run_belongs_to_no_change() -> None:
    """Nothing was sent so far, or the change is an update: this run did not create the second
    rule.
    """
    untried = ApplyProgress(planned())
    assert untried.planned_for(duplicate()) is None
    assert not untried.is_own_write(duplicate())
    assert noted(planned(LIVE), Verdict.DONE)[0].planned_for(duplicate()) is None


def test_a_delete_for_another_reason_is_not_a_duplicate_of_this_run() -> None:
    """A rule of the address has no manifest any more: that was not planned, and ends the run."""
    tally, _ = noted(planned(), Verdict.DONE)
    removed = replace(duplicate(), cause="manifest")
    assert tally.planned_for(removed) is None
    assert [removed] == tally.unplanned_changes(
        replace(planned(DONE), changes=(removed,))
    )


def test_the_delete_of_a_copy_belongs_to_the_change_of_its_address() -> None:
    """It is the run's own work and has a separate progress: a remaining copy is reported."""
    tally, step = noted(planned(LIVE), Verdict.DONE)
    end = Delete(address=X, live=copy("id-c"), cause="duplicate")
    assert step.change is tally.planned_for(end)
    assert tally.is_own_write(end)
    assert "" == tally.leftover_copy_error()
    tally.record_attempt(
        PlanStep(end), Attempt(verdict=Verdict.FAILED, error="HTTP 422")
    )
    assert (
        "the temporary copy of cards/x: HTTP 422; the next run deletes it"
        == tally.leftover_copy_error()
    )
    assert not tally.progress_of(step.change).failed


# Answers that a read proves or disproves


@pytest.mark.parametrize(
    "shown", [LIVE, EDITED, None], ids=["as before", "otherwise", "gone"]
)
def test_a_response_with_other_values_fails_unless_a_read_disproves_it(
    shown: LiveRule | None,
) -> None:
    """The server kept other values than were sent, and would do so again."""
    tally, _ = noted(
        planned(LIVE), Verdict.ALTERED, error="the server kept other values"
    )
    rules = () if shown is None else (shown,)
    tally.resolve_altered(rules)
    actual = outcome(tally, planned(*rules))
    assert isinstance(actual, Failed)
    assert (1, "the server kept other values") == (actual.attempts, actual.error)


def test_a_response_that_a_read_disproves_is_not_a_failure() -> None:
    """The server has exactly the sent values: they are the run's own, and there is no error."""
    tally, step = noted(
        planned(LIVE),
        Verdict.ALTERED,
        error="the server kept other values",
        name="x, for now",
    )
    tally.resolve_altered([sent(step)])
    progress = tally.progress_of(step.change)
    assert (False, "", None) == (progress.failed, progress.error, progress.altered)
    assert tally.is_own_write(update(sent(step)))


@pytest.mark.parametrize("name", ["x, for now", ""], ids=["temporary", "final"])
def test_an_altered_text_matters_only_in_rules_that_stay(name: str) -> None:
    """A text in upper case does not affect a temporary state; in a final state it is not the
    desired text.
    """
    tally, step = noted(
        planned(LIVE), Verdict.ALTERED, error="the server kept other values", name=name
    )
    live = sent(step)
    retained = replace(
        live, rule=replace(live.rule, description=live.rule.description.upper())
    )
    tally.resolve_altered([retained])
    assert (not name) is tally.progress_of(step.change).failed
    assert bool(name) is tally.is_own_write(update(retained))


def test_another_altered_value_matters_also_in_a_temporary_state() -> None:
    """A parked rule with another priority may take other conversations."""
    tally, step = noted(
        planned(LIVE),
        Verdict.ALTERED,
        error="the server kept other values",
        name="x, for now",
    )
    live = sent(step)
    tally.resolve_altered([replace(live, rule=replace(live.rule, priority=8))])
    assert tally.progress_of(step.change).failed


# Reports


def test_a_change_without_remaining_work_is_applied_or_lost_its_marker() -> None:
    """A rule to delete that still exists without its marker was not changed."""
    nothing = desired()
    goal = replace(nothing, rulesets=frozenset(["cards"]))
    before = planned(LIVE, goal=goal)
    foreign_side = unmanaged("id-x", rule("x"))
    actual = outcome(ApplyProgress(before), planned(foreign_side, goal=goal))
    assert isinstance(actual, Skipped)
    assert "no longer managed by cxroute; not changed" == actual.error


@pytest.mark.parametrize(
    ("verdict", "doubt", "error", "said"),
    [
        (Verdict.RETRY, "lasting", "no answer", "no answer"),
        (Verdict.RETRY, "until read", "HTTP 409", "HTTP 409"),
        (Verdict.DONE, "none", "", "acknowledged, but it could not be read again"),
    ],
)
def test_without_a_last_read_a_write_is_unknown(
    verdict: Verdict, doubt: Uncertainty, error: str, said: str
) -> None:
    """With any response: no read shows the result."""
    tally, _ = noted(planned(LIVE), verdict, error=error, doubt=doubt)
    actual = outcome(tally, None)
    assert isinstance(actual, UnknownOutcome)
    assert said == actual.error


def test_a_request_that_may_be_done_late_is_unknown_even_after_a_read() -> None:
    """The read shows a conflict, but not the end of a request without a response."""
    lasting, _ = noted(planned(LIVE), Verdict.RETRY, error="no answer", doubt="lasting")
    read, _ = noted(planned(LIVE), Verdict.RETRY, error="HTTP 409", doubt="until read")
    assert isinstance(outcome(lasting, planned(LIVE)), UnknownOutcome)
    assert isinstance(outcome(read, planned(LIVE)), Failed)


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.ABORT])
def test_a_refusal_does_not_settle_an_earlier_lost_request(verdict: Verdict) -> None:
    """A read that is late shows the rule as before, although the lost write was done (R18)."""
    tally, step = noted(planned(LIVE), Verdict.RETRY, error="lost", doubt="lasting")
    tally.record_attempt(step, Attempt(verdict=verdict, error="HTTP 422"))
    actual = outcome(tally, planned(LIVE))
    assert isinstance(actual, UnknownOutcome)
    assert actual.error == "lost; then HTTP 422"


def test_a_change_that_still_differs_after_its_write_has_failed() -> None:
    """With the reason: the rule, or a change that it depends on."""
    tally, _ = noted(planned(LIVE), Verdict.DONE)
    actual = outcome(tally, planned(LIVE))
    assert isinstance(actual, Failed)
    assert ("the rule still differs", False) == (actual.error, actual.left_partial)
    actual = outcome(tally, planned(EDITED))
    assert isinstance(actual, Failed)
    assert actual.left_partial
    assert isinstance(outcome(tally, planned(LIVE), interrupted=True), Skipped)


def test_a_change_that_was_not_tried_has_a_reason() -> None:
    """The run ended, or another change was not applied."""
    tally = ApplyProgress(planned(LIVE))
    assert ("interrupted", "a change it depends on was not applied") == tuple(
        actual.error
        for actual in (
            outcome(tally, planned(LIVE), interrupted=True),
            outcome(tally, planned(LIVE)),
        )
        if isinstance(actual, Skipped)
    )


def test_a_users_copy_is_never_written() -> None:
    """A read showed that the rule is an edited copy: it stays, even if the managed rule is missing
    in the next read.
    """
    clone = managed("id-y", "cards/x", rule("x", priority=9), last_written=rule("x"))
    tally = ApplyProgress(planned(LIVE))
    tally.note_edited_copies([LIVE, clone])
    assert tally.is_edited_copy(update(clone))
    assert not tally.is_edited_copy(update(LIVE))
    changes: list[Change] = [Create(X, WANTED, None)]
    assert [False] == [tally.is_edited_copy(change) for change in changes]
