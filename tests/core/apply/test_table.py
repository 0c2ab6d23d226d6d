"""One save for all changes: what it writes, and what it never overwrites (invariants "Studio").

The table of these tests keeps its rules in memory. tests/campaign runs the same code on the
simulated Scripts API.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import pytest

from reconciler.core import errors
from reconciler.core.apply.progress import ApplyReport, matches_intent, matches_review
from reconciler.core.apply.settings import ApplySettings
from reconciler.core.apply.table import apply_to_table
from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK, TableSettings
from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.change import Applied, Failed, UnknownOutcome
from reconciler.core.model.live import LiveRule, Marker, marker_digest
from reconciler.core.model.rule import Rule, Target
from reconciler.core.pipeline import Planner
from reconciler.core.plan.stages import PlanOptions
from reconciler.targets.studio.form import BlockForm
from reconciler.targets.studio.layout import BlockLayout
from tests.support.builders import (
    NOW,
    OWNER,
    address,
    desired,
    live,
    managed,
    rule,
    unmanaged,
    wanted,
)

if TYPE_CHECKING:
    from reconciler.targets.studio.client import StudioClient

LAYOUT = BlockLayout(owner=OWNER, block="main", variables={})
OLD = [
    managed(f"cards/{key}", f"cards/{key}", rule(key))
    for key in ("keep", "change", "gone")
]
GOAL = replace(
    desired(
        wanted("cards/keep", rule("keep")),
        wanted("cards/change", rule("change", priority=1)),
        wanted("cards/new", rule("new")),
    ),
    form=BlockForm(LAYOUT),
)
Edit = Callable[["Table"], object]


@dataclass
class Table:
    """Rules in memory, with edits before each read and each save, and errors of saves."""

    rules_now: list[LiveRule]
    before_read: list[Edit | None] = field(default_factory=list)
    before_save: list[Edit | None] = field(default_factory=list)
    # "done" or "lost"
    save_errors: list[tuple[str, errors.ApiError] | None] = field(default_factory=list)
    saves: list[list[str]] = field(default_factory=list)
    held: int = 0
    log: list[str] = field(default_factory=list)
    notes: tuple[str, ...] = ()

    async def rules(self) -> tuple[LiveRule, ...]:
        """Return the rules, after an edit."""
        if self.before_read and (edit := self.before_read.pop(0)):
            edit(self)
        self.log.append("read")
        return tuple(self.rules_now)

    # what another user published beside the rules since the plan was made
    settings_now: TableSettings | None = None

    async def table_settings(self) -> TableSettings | None:
        """Return the settings of another user; None: only rules are kept."""
        return self.settings_now

    @asynccontextmanager
    async def lock(self) -> AsyncIterator[None]:
        """Count who holds the lock."""
        self.held += 1
        self.log.append("lock")
        try:
            yield
        finally:
            self.held -= 1
            self.log.append("unlock")

    async def save(
        self,
        read: Sequence[LiveRule],
        after: Sequence[LiveRule],
        queue_names: Mapping[str, str],
        settings: None,
    ) -> Sequence[str]:
        """Replace the rules, unless a person changed them since the read."""
        assert settings is None
        assert self.held
        assert {
            target.queue_id
            for live in after
            for target in live.rule.targets
            if isinstance(target, Target)
        } <= {*queue_names}
        if self.before_save and (edit := self.before_save.pop(0)):
            edit(self)
        if [live.content for live in read] != [live.content for live in self.rules_now]:
            raise errors.ConcurrentChangeError("saved by ann meanwhile", 412)
        failure = self.save_errors.pop(0) if self.save_errors else None
        if failure is None or failure[0] == "done":
            self.log.append("save")
            self.saves.append([live.id for live in after])
            self.rules_now = list(after)
        if failure:
            raise failure[1]
        return ["ACTION 3: UnusedVariable"] if self.log.count("save") > 100 else []

    def edit(self, key: str, **fields: Any) -> None:
        """Edit a rule as a person does: its marker stays."""
        self.rules_now = [
            replace(live, rule=replace(live.rule, **fields))
            if live.id == f"cards/{key}"
            else live
            for live in self.rules_now
        ]


def run(
    table: Table,
    goal: DesiredState = GOAL,
    *,
    allowed: tuple[str, ...] = ("unrouted",),
    **settings: Any,
) -> ApplyReport:
    """Plan on the rules as they are now, then apply."""
    environment = Environment.model_validate(
        {"name": "prod", "owner": OWNER, "tenant": "acme"}
    )
    planner = Planner(
        manifests=Manifests(environments={}),
        environment=environment,
        desired=goal,
        options=PlanOptions(),
        clock=lambda: NOW,
        allowed=allowed,
        reason="for the test",
    )
    plan = planner.complete(planner.find_changes(live(*table.rules_now)))

    async def sleep(_seconds: float) -> None:
        table.log.append("pause")

    options = {"accepts": matches_intent, "sleep": sleep, **settings}
    return asyncio.run(
        apply_to_table(
            plan, cast("StudioClient", table), planner, ApplySettings(**options)
        )
    )


def contents(table: Table) -> dict[str, tuple[Rule, Marker | None]]:
    return {live.id: live.content for live in table.rules_now}


def test_all_changes_are_one_save_between_two_reads_under_the_lock() -> None:
    """A create, an update and a delete: lock, read, save, read, unlock."""
    table = Table([*OLD])
    report = run(table)
    assert report.converged
    assert ["lock", "read", "save", "read", "unlock"] == table.log
    assert {"cards/keep", "cards/change", "cards/new"} == contents(table).keys()
    new = contents(table)["cards/new"]
    assert new == (
        rule("new"),
        Marker(OWNER, address("cards/new"), marker_digest(rule("new"))),
    )
    assert all(isinstance(outcome, Applied) for outcome in report.outcomes)


def test_a_second_apply_saves_nothing() -> None:
    """The plan is empty."""
    table = Table([*OLD])
    run(table)
    table.log.clear()
    assert run(table).converged
    assert "save" not in table.log


def test_an_edit_of_another_rule_stays_and_is_named() -> None:
    """It came after the plan: the planned changes are made, the edit is not reverted, and the run
    says so.
    """
    table = Table([*OLD], before_read=[lambda table: table.edit("keep", priority=5)])
    report = run(table)
    assert contents(table)["cards/keep"][0].priority == 5
    assert "cards/new" in contents(table)
    assert not report.converged
    assert report.notes == ("cards/keep changed in Studio meanwhile",)
    assert "this plan does not cover that edit" in report.error


def test_a_rule_that_another_user_deleted_is_named() -> None:
    """A rule that is gone is an edit, too; the rules that the run itself deletes are none."""
    table = Table([*OLD], before_read=[lambda table: table.rules_now.pop(0)])
    report = run(table)
    assert report.notes == ("cards/keep changed in Studio meanwhile",)
    assert report.error.startswith(
        "cards/keep changed in Studio meanwhile; this plan does not cover"
    )


def test_a_save_by_another_user_is_planned_again_once() -> None:
    """The second save is made from a new read; after a second conflict nothing more is tried."""
    once = Table([*OLD], before_save=[lambda table: table.edit("change", priority=77)])
    assert run(once).converged
    assert len(once.saves) == 1
    edits: list[Edit | None] = [
        lambda table: table.edit("gone", priority=7),
        lambda table: table.edit("gone", priority=8),
    ]
    twice = Table([*OLD], before_save=edits)
    report = run(twice)
    assert [] == twice.saves
    assert "saved by ann meanwhile" in report.error
    assert contents(twice)["cards/gone"][0].priority == 8


@pytest.mark.parametrize("when", ["before_read", "before_save"])
def test_a_reviewed_plan_writes_nothing_after_an_edit(when: str) -> None:
    """Whatever was edited: the plan that was reviewed was made from other rules."""
    table = Table([*OLD])
    setattr(table, when, [lambda table: table.edit("change", priority=77)])
    settings: dict[str, Any] = {
        "accepts": matches_review,
        "is_within_review": lambda _plan: True,
    }
    if when == "before_read":
        with pytest.raises(
            errors.RefusedError, match="cards/change changed in Studio meanwhile"
        ):
            run(table, **settings)
    else:
        report = run(table, **settings)
        assert not report.converged
        assert "cards/change changed in Studio meanwhile" in report.error
    assert [] == table.saves
    assert table.log[-1] == "unlock"


def test_a_reviewed_plan_writes_nothing_after_other_settings() -> None:
    """Another fallback moves conversations, too: the review did not see it."""
    table = Table([*OLD], settings_now=TableSettings(NO_FALLBACK, "other"))
    with pytest.raises(
        errors.RefusedError, match="the settings beside the rules changed"
    ):
        run(table, accepts=matches_review, is_within_review=lambda _plan: True)
    assert [] == table.saves


def test_a_lost_answer_is_settled_by_a_read() -> None:
    """Done: one save. Not done: it is saved again after a pause."""
    done = Table(
        [*OLD], save_errors=[("done", errors.AmbiguousWriteError("no answer"))]
    )
    report = run(done)
    assert report.converged
    assert 1 == len(done.saves)
    assert all(isinstance(outcome, Applied) for outcome in report.outcomes)
    lost = Table(
        [*OLD], save_errors=[("lost", errors.AmbiguousWriteError("no answer"))]
    )
    assert run(lost).converged
    assert 1 == len(lost.saves)
    assert "pause" in lost.log


def test_saves_without_an_answer_end_and_are_reported_as_unknown() -> None:
    """The number of saves is bounded; each outcome says that it is not known."""
    failures = [("lost", errors.AmbiguousWriteError("no answer"))] * 9
    table = Table([*OLD], save_errors=[*failures])
    report = run(table)
    assert 5 == len(table.save_errors)
    assert all(isinstance(outcome, UnknownOutcome) for outcome in report.outcomes)


def test_a_refused_save_fails_with_the_reasons_of_the_tenant() -> None:
    """409: nothing is saved, and it is not tried again."""
    table = Table(
        [*OLD], save_errors=[("lost", errors.RejectedError("ACTION 3: BadSyntax", 409))]
    )
    report = run(table)
    assert [] == table.saves
    assert "ACTION 3: BadSyntax" == report.error
    assert all(
        isinstance(outcome, Failed) and "BadSyntax" in outcome.error
        for outcome in report.outcomes
    )
    assert {live.id: live.content for live in OLD} == contents(table)


def test_a_case_that_is_not_managed_makes_it_refuse() -> None:
    """A save would lose or keep a statement whose owner is not known."""
    table = Table(
        [*OLD],
        before_read=[
            lambda table: table.rules_now.append(
                unmanaged("line 9", rule("CASE in line 9"))
            )
        ],
    )
    with pytest.raises(errors.RefusedError, match="CASE in line 9"):
        run(table)
    assert ["lock", "read", "unlock"] == table.log


def test_a_guard_that_an_edit_trips_makes_it_refuse() -> None:
    """The guards are checked again on what will be saved."""
    rules = [managed(f"cards/{key}", f"cards/{key}", rule(key)) for key in "abcdefgh"]
    goal = replace(
        desired(wanted("cards/new", rule("new", priority=1))), form=BlockForm(LAYOUT)
    )
    table = Table(rules)
    table.before_read = [lambda table: table.edit("a", priority=7)]
    with pytest.raises(errors.RefusedError, match="delete"):
        run(table, goal)
    assert [] == table.saves


def test_an_interrupted_run_saves_nothing_and_unlocks() -> None:
    """A signal before the save."""
    table = Table([*OLD])
    report = run(table, should_stop=lambda: True)
    assert report.interrupted
    assert [] == table.saves
    assert "unlock" == table.log[-1]


def test_a_marker_that_the_save_wrote_again_is_not_an_edit() -> None:
    """The digest of another rule changes with the save, and its values do not: the notes name
    nothing.
    """

    def restore(table: Table) -> None:
        marker = Marker(OWNER, address("cards/keep"), "12345678")
        table.rules_now = [
            replace(live, marker=marker) if live.id == "cards/keep" else live
            for live in table.rules_now
        ]

    report = run(Table([*OLD], before_read=[None, restore]))
    assert report.notes == ()
