"""Undo of a run on scenarios and random tenants: the earlier state is restored, also after
faults.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, cast

import pytest

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.desired.desired import DesiredState
from reconciler.core.errors import ApiError, RefusedError
from reconciler.core.model.change import Adopt
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address, Rule
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.ownership import classify_by_owner
from reconciler.core.plan.routing_table import live_entries
from reconciler.core.plan.stages import LiveState, Plan, PlanOptions
from reconciler.core.rule_json import parse_live_rule
from reconciler.features.journal.history import RecordedRun, read_changes
from reconciler.features.journal.journal import (
    Journal,
    Recorder,
    RunFacts,
    parse_runs,
    run_name,
)
from reconciler.features.journal.sinks import FileSink
from reconciler.features.journal.undo import build_undo_state
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from tests.campaign.scenario import Scenario
from tests.campaign.scenarios import SCENARIOS, is_refused
from tests.campaign.scenarios_generated import generated
from tests.support.builders import NOW, OWNER, QUEUES, unchecked
from tests.support.in_process_tenant import InProcessTenant

SEEDS: Final = 40
SMALL: Final = {
    name: scenario
    for name, scenario in SCENARIOS.items()
    if len(scenario.rules) < 20 and not is_refused(scenario)
}
STAMP: Final = ("version", "dateModified")
UNDO: Final = PlanOptions(undo="the-run")
HARD: Final = ("names-and-intents-swapped", "12", "17")
FAULTS: Final = ("reset", "reset-applied", "422", "late=2")


class Undone(InProcessTenant):
    """A scenario's tenant with a journal."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        super().__init__((), PROFILES["C"])
        self.path = folder / "journal.jsonl"
        for rule in deepcopy([*scenario.rules]):
            self.state.put(rule)

    @property
    def live(self) -> LiveState:
        """The live rules."""
        return LiveState(
            tuple(parse_live_rule(deepcopy(rule)) for rule in self.state.rules()),
            QUEUES,
        )

    def run(
        self, goal: DesiredState, options: PlanOptions | None = None, faults: str = ""
    ) -> tuple[Plan, ApplyReport | None]:
        """Apply and record as the command does; return None if the run ended before a write."""
        created = unchecked(
            find_changes(goal, self.live, options or PlanOptions(), NOW)
        )
        journal = Journal(
            FileSink(self.path), run_name(created, NOW), lambda: NOW, pytest.fail
        )
        recorder = Recorder.begin(
            journal,
            created,
            facts=RunFacts(who="me", reason=""),
            progress=lambda *_: None,
        )
        self.recorder = cast("Any", recorder)
        self.app = Simulator(
            self.state, PROFILES["C"], FaultInjector(faults, 1) if faults else None
        )
        try:
            report = self.apply(goal, options=options, planned=created)
        except (RefusedError, ApiError) as error:
            recorder.given_up(str(error))
            return created, None
        recorder.end(report)
        return created, report

    def runs(self) -> Sequence[RecordedRun]:
        """The runs of the journal."""
        with self.path.open(encoding="utf-8") as lines:
            return parse_runs(lines)

    def aim(self, run: RecordedRun, manifests: DesiredState) -> DesiredState:
        """The desired rules that undo a run."""
        return build_undo_state(run, read_changes(run, OWNER), (), self.live, manifests)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the journal."""
    return tmp_path


def content(live: LiveState) -> Counter[tuple[Rule, tuple[str, Address] | None]]:
    """The rules of a tenant and their owners, without ids and the parts that a marker preserves."""
    return Counter(
        (item.rule, (item.marker.owner, item.marker.address) if item.marker else None)
        for item in cleared(live)
    )


def cleared(live: LiveState) -> list[LiveRule]:
    """The rules without those that a run deletes permanently: duplicates and temporary copies."""
    owned = classify_by_owner(live.rules, OWNER)
    return [
        rule
        for rule in live.rules
        if rule not in (*owned.duplicates, *owned.temporary_copies)
    ]


def assert_back(world: Undone, before: LiveState, aim: DesiredState) -> None:
    """The rules and the queue of each conversation are equal to those before, except for the
    skipped rules.
    """
    now = world.live
    stays = {finding.address for finding in aim.findings}
    remaining = Counter(
        item for item in content(before) if item[1] and item[1][1] in stays
    )
    assert content(before) - remaining == content(now) - remaining
    if not stays:
        entries = [live_entries(cleared(item), aim) for item in (before, now)]
        assert not compare_behaviour(entries[0], entries[1], aim.evaluation).changed


def assert_others_untouched(world: Undone, before: LiveState, made: Plan) -> None:
    """Unmanaged rules are unchanged, byte for byte; temporarily managed ones except for the time of
    the change.
    """
    now = {rule["id"]: rule for rule in world.state.rules()}
    lent = {change.live.id for change in made.changes if isinstance(change, Adopt)}
    for one in before.rules:
        if one.marker is None or one.marker.owner != OWNER:
            stamp = {name: now[one.id][name] for name in STAMP if one.id in lent}
            assert {**one.raw, **stamp} == now[one.id]


def named(name: str) -> Scenario:
    """The scenario with this name; a number is a seed."""
    return generated(int(name)) if name.isdecimal() else SMALL[name]


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("name", [*SMALL, *map(str, range(SEEDS))])
def test_an_undo_restores_the_state_before_the_run(name: str, folder: Path) -> None:
    """Content and behaviour are equal; a second undo has no changes; an undo of the undo restores
    the run's state.
    """
    scenario = named(name)
    world = Undone(scenario, folder)
    before = world.live
    created, report = world.run(scenario.wish, scenario.options)
    if report is None or created.conflicts or not created.changes:
        return
    between = world.live
    run = world.runs()[0]
    aim = world.aim(run, scenario.wish)
    assert {} == aim.skipped
    assert all("is named" in finding.message for finding in aim.findings), aim.findings
    _, back = world.run(aim, UNDO)
    assert back is not None
    assert back.converged, back
    assert_back(world, before, aim)
    assert_others_untouched(world, before, created)
    assert (
        () == find_changes(world.aim(run, scenario.wish), world.live, UNDO, NOW).changes
    )
    again = world.aim(world.runs()[-1], scenario.wish)
    if again.findings:
        return
    _, redone = world.run(again, UNDO)
    assert redone is not None
    assert redone.converged
    assert_back(world, between, again)


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("name", HARD)
def test_the_next_run_completes_an_undo_after_a_fault_at_any_request(
    name: str, fault: str, folder: Path
) -> None:
    """At most two runs without faults, also after a run that left a renamed rule or a copy."""
    scenario = named(name)
    world = Undone(scenario, folder)
    before = world.live
    created, _ = world.run(scenario.wish, scenario.options)
    run = world.runs()[0]
    after = deepcopy(world.state.rules())
    requests = len(world.state.requests)
    world.run(world.aim(run, scenario.wish), UNDO)
    for at in range(1, len(world.state.requests) - requests + 1):
        tenant = Undone(replace(scenario, rules=tuple(deepcopy(after))), folder)
        tenant.run(tenant.aim(run, scenario.wish), UNDO, f"*:{fault}@#{at}")
        ends = [tenant.run(tenant.aim(run, scenario.wish), UNDO)[1] for _ in range(2)]
        assert ends[-1] is not None, at
        assert ends[-1].converged, (at, ends[-1])
        aim = tenant.aim(run, scenario.wish)
        assert {} == aim.skipped, (at, aim.skipped)
        assert_back(tenant, before, aim)
        assert_others_untouched(tenant, before, created)


@pytest.mark.slow
@pytest.mark.parametrize("fault", ["reset", "reset-applied", "403"])
@pytest.mark.parametrize("name", HARD)
def test_an_interrupted_run_is_undone_as_far_as_it_came(
    name: str, fault: str, folder: Path
) -> None:
    """The server stops responding at some request; a read shows the changes that were made
    nevertheless.
    """
    scenario = named(name)
    complete = Undone(scenario, folder)
    before = complete.live
    created, _ = complete.run(scenario.wish, scenario.options)
    for at in range(1, len(complete.state.requests) + 1):
        world = Undone(scenario, folder)
        world.path.unlink(missing_ok=True)
        world.run(scenario.wish, scenario.options, f"*:{fault}@#{at}-")
        run = world.runs()[0]
        _, back = world.run(world.aim(run, scenario.wish), UNDO)
        assert back is not None, at
        assert back.converged, (at, back)
        assert_back(world, before, world.aim(run, scenario.wish))
        assert_others_untouched(world, before, created)
