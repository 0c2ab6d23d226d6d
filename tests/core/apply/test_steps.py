"""Apply uses the proven order: after every single write, each conversation goes to its old or its
new queue.

The real client with the simulator; after each write that the server keeps, the simulator routes all
conversations.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Any

import pytest

from reconciler.core.apply.progress import matches_intent, matches_review
from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.change import Applied, Failed
from reconciler.core.model.live import (
    LiveRule,
    Marker,
    format_description,
    marker_digest,
)
from reconciler.core.model.rule import Rule, Target, make_condition
from reconciler.core.plan.assess import assess
from reconciler.core.plan.document import plan_to_json
from reconciler.core.plan.guards import check_guards
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import PlanOptions
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES, SimulatorSettings
from reconciler.render.colour import no_style
from reconciler.render.text.environments import planned_row
from reconciler.render.text.plan import plan_text
from tests.support.builders import (
    OWNER,
    address,
    at_least,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.in_process_tenant import InProcessTenant
from tests.support.simulated_routing import queue_shares

FRAUD = (Target("q-fraud", 1),)
GENERAL = (Target("q-general", 1),)
ENVIRONMENT = Environment(name="prod", owner=OWNER, tenant="acme")
CATCH_ALL = rule("all", priority=900, conditions=[], targets=GENERAL)
CONVERSATIONS = [
    {"cognigyDetectedIntent": intent, "cognigyConfidence": confidence}
    for intent, confidence in product(("x", "y", "z", None), (0.2, 0.8, None))
]


def at(name: str, **said: Any) -> Rule:
    """Return a rule about one intent, by default that of its name."""
    intent = said.pop("intent", name)
    return rule(name, conditions=[intent_is(intent), *said.pop("more", ())], **said)


def live(**rules: Rule) -> list[LiveRule]:
    return [managed(f"id-{key}", f"cards/{key}", rule) for key, rule in rules.items()]


def goal(**rules: Rule) -> DesiredState:
    return desired(*(wanted(f"cards/{key}", rule) for key, rule in rules.items()))


CASES: dict[str, tuple[list[LiveRule], DesiredState]] = {
    "a key renamed, the intent kept": (
        live(old=at("old", intent="x")),
        goal(new=at("new", intent="x")),
    ),
    "two priorities swapped": (
        live(
            a=at("a", intent="x", priority=10),
            b=at("b", intent="x", priority=20, targets=FRAUD),
            all=CATCH_ALL,
        ),
        goal(
            a=at("a", intent="x", priority=20),
            b=at("b", intent="x", priority=10, targets=FRAUD),
            all=CATCH_ALL,
        ),
    ),
    "two intents swapped above a catch-all": (
        live(
            a=at("a", intent="x"), b=at("b", intent="y", targets=FRAUD), all=CATCH_ALL
        ),
        goal(
            a=at("a", intent="y"), b=at("b", intent="x", targets=FRAUD), all=CATCH_ALL
        ),
    ),
    "two names and two intents swapped": (
        live(
            a=at("a", intent="x"), b=at("b", intent="y", targets=FRAUD), all=CATCH_ALL
        ),
        goal(
            a=at("b", intent="y"), b=at("a", intent="x", targets=FRAUD), all=CATCH_ALL
        ),
    ),
    "three names in a ring": (
        live(
            a=at("a", intent="x"),
            b=at("b", intent="y"),
            c=at("c", intent="z", targets=FRAUD),
        ),
        goal(
            a=at("b", intent="x"),
            b=at("c", intent="y"),
            c=at("a", intent="z", targets=FRAUD),
        ),
    ),
    "a name taken from a rule that goes": (
        live(old=at("same", intent="x"), all=CATCH_ALL),
        goal(new=at("same", intent="x", more=[at_least(0)]), all=CATCH_ALL),
    ),
    "one rule split in two": (
        live(
            both=rule(
                "both",
                conditions=[make_condition("cognigyDetectedIntent", "in", ["x", "y"])],
            ),
            all=CATCH_ALL,
        ),
        goal(x=at("x"), y=at("y", targets=FRAUD), all=CATCH_ALL),
    ),
    "two rules merged into one": (
        live(x=at("x"), y=at("y", targets=FRAUD), all=CATCH_ALL),
        goal(
            both=rule(
                "both",
                conditions=[make_condition("cognigyDetectedIntent", "in", ["x", "y"])],
            ),
            all=CATCH_ALL,
        ),
    ),
    "names and intents of three in a ring": (
        live(
            a=at("a", intent="x", priority=2),
            b=at("b", intent="y", priority=1, targets=FRAUD),
            c=at("c", intent="z", priority=1, targets=GENERAL),
            all=CATCH_ALL,
        ),
        goal(
            a=rule(
                "c",
                priority=4,
                conditions=[make_condition("cognigyDetectedIntent", "notEquals", "y")],
            ),
            b=rule("a", priority=4, conditions=[at_least(0.5)], targets=GENERAL),
            c=rule(
                "b",
                priority=1,
                conditions=[make_condition("cognigyDetectedIntent", "notEquals", "x")],
                targets=FRAUD,
            ),
            all=CATCH_ALL,
        ),
    ),
    "the catch-all deleted while a rule's intent changes": (
        live(k=at("k", intent="x"), all=CATCH_ALL),
        goal(k=at("k", intent="y")),
    ),
    "everything retargeted, renumbered and narrowed": (
        live(
            x=at("x", priority=30), y=at("y", priority=20, targets=FRAUD), all=CATCH_ALL
        ),
        goal(
            x=at("x", priority=10, more=[at_least(0.5)], targets=FRAUD),
            y=at("y", priority=15),
            z=at("z", priority=5),
            all=replace(CATCH_ALL, priority=500),
        ),
    ),
}


class Watch:
    """A world that stores its every state."""

    def __init__(
        self,
        rules: list[LiveRule],
        settings: SimulatorSettings = PROFILES["A"],
        faults: str = "",
    ) -> None:
        self.world = InProcessTenant(
            rules, settings, FaultInjector(faults, 1) if faults else None
        )
        self.states = [self.world.state.rules()]
        self.world.state.watchers.append(
            lambda state: self.states.append(state.rules())
        )

    def routes(self, state: list[dict[str, Any]]) -> list[object]:
        """Return the destination of each conversation."""
        return [queue_shares(state, conversation) for conversation in CONVERSATIONS]

    def assert_hitless(self, last: list[dict[str, Any]]) -> None:
        """Assert that in every state each conversation has its destination of the first or of the
        last state.
        """
        before = self.routes(self.states[0])
        after = self.routes(last)
        for state in self.states:
            for conversation, destination_text, item, candidate in zip(
                CONVERSATIONS, self.routes(state), before, after, strict=True
            ):
                assert destination_text in (item, candidate), (
                    conversation,
                    [r["name"] for r in state],
                )


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("profile", ["A", "C", "D"])
@pytest.mark.parametrize("case", CASES)
def test_no_conversation_goes_to_a_third_queue(case: str, profile: str) -> None:
    """In every state of the server; at the end no change remains, and no temporary name or rule."""
    rules, wish = CASES[case]
    watch = Watch(rules, PROFILES[profile])
    report = watch.world.apply(wish)
    assert report.converged, report
    assert all(isinstance(outcome, Applied) for outcome in report.outcomes)
    watch.assert_hitless(watch.states[-1])
    assert sorted(rule.rule.name for rule in wish.rules.values()) == sorted(
        r["name"] for r in watch.states[-1]
    )
    writes = len(watch.world.writes())
    assert watch.world.apply(wish).converged
    assert writes == len(watch.world.writes())


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("case", CASES)
def test_a_crash_anywhere_is_completed_by_the_next_run(case: str) -> None:
    """Stopped after any number of writes: another run continues from the live state, with copies
    and names.
    """
    rules, wish = CASES[case]
    complete = Watch(rules)
    complete.world.apply(wish)
    for allowed in range(len(complete.states) - 1):
        watch = Watch(rules)
        watch.world.apply(
            wish,
            stopped=lambda watch=watch, allowed=allowed: len(watch.states) > allowed,  # type: ignore[misc]
        )
        assert watch.world.apply(wish).converged
        watch.assert_hitless(complete.states[-1])
        assert sorted(r["name"] for r in complete.states[-1]) == sorted(
            r["name"] for r in watch.states[-1]
        )


def test_a_temporary_copy_is_a_separate_rule() -> None:
    """It has its own name and marker, and the rule itself keeps its id."""
    rules, wish = CASES["two intents swapped above a catch-all"]
    watch = Watch(rules)
    watch.world.apply(wish)
    (copy,) = {
        r["name"]: r
        for state in watch.states
        for r in state
        if r["name"].startswith("(next) ")
    }.values()
    assert copy["name"] in (f"(next) {OWNER}/cards/a", f"(next) {OWNER}/cards/b")
    assert f"[cxroute:{OWNER}/cards/{copy['name'][-1]}~next#" in copy["description"]
    assert {"id-a", "id-b", "id-all"} == {r["id"] for r in watch.states[-1]}


def test_an_order_without_copies_has_none() -> None:
    """Swapped priorities need no copy."""
    for case in (
        "two priorities swapped",
        "three names in a ring",
        "one rule split in two",
    ):
        watch = Watch(CASES[case][0])
        watch.world.apply(CASES[case][1])
        assert not any(
            "~next#" in r["description"] for state in watch.states for r in state
        ), case


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("call", ["POST rules", "PUT rule", "DELETE rule"])
@pytest.mark.parametrize("kind", ["500", "500-applied", "reset-applied"])
def test_a_lost_response_to_any_step_is_resolved_by_the_next_read(
    call: str, kind: str
) -> None:
    """A copy is not created twice, and no conversation goes to a third queue."""
    rules, wish = CASES["two intents swapped above a catch-all"]
    watch = Watch(rules, PROFILES["C"], f"{call}:{kind}@#1")
    assert watch.world.apply(wish).converged
    watch.assert_hitless(watch.states[-1])


def test_a_failed_update_keeps_its_copy() -> None:
    """The copy stays while its rule could not be changed; the next run finishes both."""
    rules, wish = CASES["two intents swapped above a catch-all"]
    watch = Watch(rules, faults="PUT rule:422")
    report = watch.world.apply(wish)
    assert any(isinstance(outcome, Failed) for outcome in report.outcomes)
    assert not report.converged
    again = InProcessTenant(list(watch.world.plan(wish).live.rules))
    assert again.apply(wish).converged


@pytest.mark.parametrize(
    "fault", ["POST rules:422", "POST rules:409", "POST rules:500"]
)
def test_a_step_after_a_failed_change_is_not_made(fault: str) -> None:
    """A new rule keeps an intent in its queue while the catch-all moves: without the rule, the
    catch-all stays.
    """
    wish = goal(
        x=at("x", targets=GENERAL, priority=10),
        y=at("y"),
        all=replace(CATCH_ALL, targets=FRAUD),
    )
    watch = Watch(live(y=at("y", targets=FRAUD), all=CATCH_ALL), faults=fault)
    report = watch.world.apply(wish)
    statuses = {
        str(outcome.change.address): type(outcome).__name__
        for outcome in report.outcomes
    }
    assert ("Skipped", "Applied") == (statuses["cards/all"], statuses["cards/y"])
    conversation = {"cognigyDetectedIntent": "x"}
    expected = queue_shares(watch.states[0], conversation)
    assert all(expected == queue_shares(state, conversation) for state in watch.states)


def test_a_leftover_copy_is_a_step_and_counts_nowhere() -> None:
    """It is deleted, last if another step depends on it; summary and guards do not count it."""
    rules, wish = CASES["two intents swapped above a catch-all"]
    watch = Watch(rules)
    watch.world.apply(wish, stopped=lambda: len(watch.states) > 1)
    created = check_guards(assess(schedule_steps(watch.world.plan(wish))), ENVIRONMENT)
    form = plan_to_json(created)
    assert (0, 2, 0) == tuple(
        form["summary"][name] for name in ("create", "update", "delete")
    )
    assert 0 == next(
        result.value for result in created.guards if result.name == "deletes"
    )
    steps = {
        change["address"]: [(item["call"], item["copy"]) for item in change["steps"]]
        for change in form["changes"]
    }
    copied = next(address for address, its in steps.items() if len(its) > 1)
    assert [("update", False), ("delete", True)] == steps.pop(copied)
    assert [[("update", False)]] == list(steps.values())


def test_a_leftover_copy_alone_is_deleted() -> None:
    """The rule itself was changed, and the run ended before it deleted the copy."""
    rules, wish = CASES["two intents swapped above a catch-all"]
    watch = Watch(rules)
    watch.world.apply(wish, stopped=lambda: len(watch.states) > 3)
    created = check_guards(assess(schedule_steps(watch.world.plan(wish))), ENVIRONMENT)
    (change,) = plan_to_json(created)["changes"]
    assert ("delete", "duplicate") == (change["action"], change["cause"])
    assert (
        f"\nPlan: a clean-up after an earlier run, {created.unchanged} unchanged.\n"
        in plan_text(created, no_style, "tenant acme")
    )
    assert "clean-up" == planned_row(created).changes
    report = watch.world.apply(wish)
    assert report.converged
    assert () == report.outcomes


@pytest.mark.parametrize("profile", ["A", "C"])
def test_a_leftover_copy_without_conversations_is_replaced_first(profile: str) -> None:
    """It was disabled. It is deleted first, and a new one is created."""
    rules, wish = CASES["two intents swapped above a catch-all"]
    watch = Watch(rules, PROFILES[profile])
    watch.world.apply(wish, stopped=lambda: len(watch.states) > 1)
    (remaining,) = (
        rule["id"]
        for rule in watch.world.state.rules()
        if rule["name"].startswith("(next) ")
    )
    watch.world.state.edit(remaining, enabled=False)
    steps = schedule_steps(watch.world.plan(wish)).steps
    assert ["delete", "create", "update", "update", "delete"] == [
        step.call for wave in steps for step in wave
    ]
    assert watch.world.apply(wish).converged
    watch.assert_hitless(watch.states[-1])
    assert 3 == len(watch.states[-1])


@pytest.mark.parametrize("profile", ["A", "C"])
@pytest.mark.parametrize(
    "left",
    [at("left", intent="z"), at("left", intent="z", more=[at_least(0.5)], priority=20)],
)
def test_a_leftover_copy_of_an_older_manifest_is_replaced(
    profile: str, left: Rule
) -> None:
    """It serves conversations, and the newer manifest needs another copy: first the old one is
    deleted.
    """
    rules = live(
        a=at("a", intent="x", priority=30),
        b=at("b", intent="y", priority=40, targets=FRAUD),
        all=CATCH_ALL,
    )
    temporary = replace(left, name=f"(next) {OWNER}/cards/a")
    marker = Marker(OWNER, address("cards/a"), marker_digest(temporary), copy=True)
    raw = {
        "id": "left",
        "name": temporary.name,
        "description": format_description(temporary, marker),
    }
    wish = goal(
        a=at("a", intent="y", priority=30),
        b=at("b", intent="x", priority=40, targets=FRAUD),
        all=CATCH_ALL,
    )
    watch = Watch([*rules, LiveRule("left", temporary, marker, raw)], PROFILES[profile])
    created = schedule_steps(watch.world.plan(wish))
    assert () == created.unproven
    assert ["delete", "create", "update", "update", "delete"] == [
        step.call for wave in created.steps for step in wave
    ]
    assert watch.world.apply(wish).converged
    watch.assert_hitless(watch.states[-1])
    assert 3 == len(watch.states[-1])


def test_an_idle_leftover_copy_goes_first_without_another_proven_order() -> None:
    """It is active, but the catch-all has the same queue: without the copy no conversation
    moves.
    """
    rules = live(
        a=at("a", intent="x", priority=20, targets=FRAUD),
        b=at("b", intent="x", priority=10, targets=GENERAL),
        all=CATCH_ALL,
    )
    wish = goal(
        a=at("a", intent="y", priority=30, targets=FRAUD),
        b=at("b", intent="y", priority=10),
        all=CATCH_ALL,
    )
    remaining = at(
        "left", intent="y", priority=30, targets=GENERAL, more=[at_least(0.5)]
    )
    temporary = replace(remaining, name=f"(next) {OWNER}/cards/b")
    marker = Marker(OWNER, address("cards/b"), marker_digest(temporary), copy=True)
    raw = {
        "id": "left",
        "name": temporary.name,
        "description": format_description(temporary, marker),
    }
    watch = Watch([*rules, LiveRule("left", temporary, marker, raw)])
    created = schedule_steps(watch.world.plan(wish))
    assert () == created.unproven
    calls = [(step.call, step.kind) for wave in created.steps for step in wave]
    assert [
        ("delete", "whole"),
        ("create", "copy"),
        ("update", "whole"),
        ("update", "whole"),
        ("delete", "drop"),
    ] == calls
    assert watch.world.apply(wish).converged
    watch.assert_hitless(watch.states[-1])


@pytest.mark.parametrize(
    ("within", "converged"),
    [(None, True), (lambda _: True, True), (lambda _: False, False)],
)
def test_after_unmanaged_changes_the_order_is_computed_again(
    within: Any, converged: Any
) -> None:
    """An unmanaged rule changes during the apply: planned again; a reviewed plan ends if it moves
    more.
    """
    rules, wish = CASES["everything retargeted, renumbered and narrowed"]
    watch = Watch(
        [
            *rules,
            unmanaged(
                "theirs", rule("theirs", priority=1, conditions=[intent_is("none")])
            ),
        ]
    )
    created = watch.world.plan(wish, PlanOptions())
    done: list[int] = []

    def stopped() -> bool:
        if len(watch.states) == 2 and not done:
            done.append(1)
            watch.world.state.edit("theirs", priority=2)
        return False

    admit = matches_review if within else matches_intent
    report = watch.world.apply(
        wish, planned=created, admit=admit, stopped=stopped, within=within
    )
    assert converged == report.converged
    assert converged == (
        "the plan would now send conversations elsewhere" not in report.error
    )
