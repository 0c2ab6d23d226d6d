"""The report of a run: real runs with the simulator and with failures.

`test_apply_text` covers the layout of a report; this module covers the reasons, which the loop
returns.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import pytest

from reconciler.core.behaviour.ordering.order import order_moves
from reconciler.core.desired.desired import DesiredState
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.render.colour import no_style
from reconciler.render.text.apply import report_text
from tests.campaign.scenario import Json, Scenario
from tests.campaign.scenario_rules import (
    CATCH_ALL,
    FRAUD,
    at,
    goal,
    live,
    ours,
    scenario,
    theirs,
)
from tests.campaign.world import Applier, Event, ObservedTenant, run
from tests.support.sentences import missing_sentences


def tenant(rules: list[Json], wish: DesiredState, *allow: str) -> Scenario:
    """A tenant with these rules, and the desired rules."""
    return replace(scenario("report", "", rules, wish), allow=allow)


THREE: Final = tenant(
    live(x=at("x"), y=at("y"), all=CATCH_ALL),
    goal(x=at("x", targets=FRAUD), n=at("n"), all=CATCH_ALL),
)
"""A create, an update and a delete, in this order."""
TWINS: Final = [
    ours("cards/x", at("x"), rule_id=f"id-{n}", dateCreated=f"2026-01-0{n}T00:00:00Z")
    for n in (1, 2)
]
DUPLICATE: Final = tenant(
    [*TWINS, *live(all=CATCH_ALL)], goal(x=at("x"), all=CATCH_ALL)
)
COPY: Final = ours(
    "cards/x", at("x, a copy", priority=9), rule_id="copy", last_written=at("x")
)
SWAP: Final = tenant(
    live(a=at("a", intent="x"), b=at("b", intent="y", targets=FRAUD), all=CATCH_ALL),
    goal(a=at("a", intent="y"), b=at("b", intent="x", targets=FRAUD), all=CATCH_ALL),
)
BESIDE: Final = tenant(
    live(x=at("x"), z=at("z"), all=CATCH_ALL),
    goal(x=at("x", targets=FRAUD), z=at("z"), all=CATCH_ALL),
)
UNCOVERED: Final = tenant(
    [*live(x=at("x"), y=at("y")), theirs("hand", replace(CATCH_ALL, name="by hand"))],
    goal(x=at("x", targets=FRAUD)),
)
"""An unmanaged catch-all takes the conversations of a deleted rule."""
HAND: Final = theirs("hand", at("by hand", intent="y", targets=FRAUD, priority=5))


@dataclass(frozen=True)
class Situation:
    """A tenant, a failure in it, and the end of the report with its reason, as displayed."""

    text: str
    scene: Scenario = THREE
    faults: str = ""
    at: tuple[str, str, int] = ("", "", 0)
    """The request before which the event happens: its method, the end of its path, and its number;
    0 is each."""
    does: Callable[[ObservedTenant, Event], object] = lambda _world, _event: None
    saved: bool = False
    """Apply a saved and reviewed plan."""
    stopped: Callable[[ObservedTenant], bool] = lambda _world: False
    bounded: bool = False
    """After this, the order of calls is searched without any work."""


def edit(rule_id: str, **fields: Any) -> Callable[[ObservedTenant, Event], object]:
    """Edit a rule."""
    return lambda world, _event: world.state.edit(rule_id, **fields)


def edit_again(world: ObservedTenant, event: Event) -> None:
    """Edit a rule differently at each call."""
    world.state.edit(
        "hand" if "hand" in world.state.stored_rules else "id-x",
        priority=200 + event.number,
    )


def lose_last_line(_world: ObservedTenant, event: Event) -> None:
    """Lose the last line of a description."""
    body = json.loads(event.request.body)
    event.request.body = json.dumps(
        {**body, "description": body["description"].split("\n")[0]}
    ).encode()


def remove(rule_id: str) -> Callable[[ObservedTenant, Event], object]:
    """Delete a rule."""
    return lambda world, _event: world.state.remove(rule_id)


def break_lists(world: ObservedTenant, _event: Event) -> None:
    """Refuse every further list."""
    world.faults = FaultInjector("GET rules:500", 1)


LISTS: Final = ("GET", "/rules")
SITUATIONS: Final[dict[str, Situation]] = {
    "a write is refused": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  failed    PUT /api/v2/routing/rules/id-x: status 422, Injected 422
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
2 not applied: they are as before.
Remaining differences: cxroute plan
""",
        faults="PUT rule:422",
    ),
    "a scope is missing": Situation(
        """\
  + cards/n  failed    the client lacks the scope routing:write (POST /api/v2/routing/rules: status 403, Injected 403)
  ~ cards/x  not tried: the run stopped early
  - cards/y  not tried: the run stopped early

Applied 0 of 3 in 2.0 s.
Stopped: the client lacks the scope routing:write (POST /api/v2/routing/rules: status 403, Injected 403)
3 not applied: they are as before.
Remaining differences: cxroute plan
""",
        faults="POST rules:403",
    ),
    "other values are kept": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  failed    the server stored other values than were sent: priority
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
1 not applied: it is as before.
Partly applied, neither as before nor as planned: cards/x.
Remaining differences: cxroute plan
""",
        faults="PUT rule:altered=priority@1",
    ),
    "the last line is lost": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  failed    the server stored other values than were sent: the description's last line
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
1 not applied: it is as before.
Partly applied, neither as before nor as planned: cards/x.
Remaining differences: cxroute plan
""",
        at=("PUT", "", 0),
        does=lose_last_line,
    ),
    "edited before each write": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  failed    changed outside this run
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
2 not applied: they are as before.
Remaining differences: cxroute plan
""",
        faults="GET rule:edit",
    ),
    "edited after each write": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  failed    the rule still differs
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
1 not applied: it is as before.
Partly applied, neither as before nor as planned: cards/x.
Remaining differences: cxroute plan
""",
        at=(*LISTS, 0),
        does=edit_again,
    ),
    "deleted before the write": Situation(
        """\
  + cards/n  created   id new-0003
  ~ cards/x  failed    deleted outside this run
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
2 not applied: they are as before.
Remaining differences: cxroute plan
""",
        faults="GET rule:remove@#1",
        saved=True,
    ),
    "edited since the review": Situation(
        """\
  + cards/n  created   id new-0003
  ~ cards/x  failed    changed since the plan was created
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
2 not applied: they are as before.
Remaining differences: cxroute plan
""",
        at=(*LISTS, 2),
        does=edit("id-x", priority=77),
        saved=True,
    ),
    "no answer": Situation(
        """\
  + cards/n  unknown   POST /api/v2/routing/rules: it is unknown whether it was done: the connection is reset
  ~ cards/x  updated
  - cards/y  not tried: kept, because another change was not applied

Applied 1 of 3 in 2.0 s.
1 not applied: it is as before.
Unknown whether these were written: cards/n. The next run checks.
Remaining differences: cxroute plan
""",
        faults="POST rules:reset",
    ),
    "no answer, then a refusal": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  unknown   PUT /api/v2/routing/rules/id-x: it is unknown whether it was done: the connection is reset; \
then GET /api/v2/routing/rules/id-x: status 422, Injected 422
  - cards/y  not tried: the run stopped early

Applied 1 of 3 in 2.0 s.
Stopped: GET /api/v2/routing/rules/id-x: status 422, Injected 422
1 not applied: it is as before.
Unknown whether these were written: cards/x. The next run checks.
Remaining differences: cxroute plan
""",
        faults="PUT rule:reset@#1,GET rule:422@#2",
    ),
    "no list after the first writes": Situation(
        """\
  + cards/n  unknown   acknowledged, but it could not be read again
  ~ cards/x  unknown   acknowledged, but it could not be read again
  - cards/y  not tried: the run stopped early

Applied 0 of 3 in 2.0 s.
Stopped: GET /api/v2/routing/rules: no usable response: status 500, Injected 500; waited 90 seconds for it to recover; \
giving up
1 not applied: it is as before.
Unknown whether these were written: cards/n, cards/x. The next run checks.
Remaining differences: cxroute plan
""",
        faults="GET rules:500@#3-",
    ),
    "no list after the last write": Situation(
        """\
  + cards/n  unknown   acknowledged, but it could not be read again
  ~ cards/x  unknown   acknowledged, but it could not be read again
  - cards/y  unknown   it could not be read again

Applied 0 of 3 in 2.0 s.
Stopped: GET /api/v2/routing/rules: no usable response: status 500, Injected 500; waited 90 seconds for it to recover; \
giving up
Unknown whether these were written: cards/n, cards/x, cards/y. The next run checks.
Remaining differences: cxroute plan
""",
        at=("DELETE", "", 1),
        does=break_lists,
    ),
    "interrupted": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  updated
  - cards/y  not tried: interrupted

Applied 2 of 3 in 2.0 s.
Interrupted: no new write was started, and running writes were finished.
1 not applied: it is as before.
Remaining differences: cxroute plan
""",
        stopped=lambda world: any(
            event.request.method == "PUT" for event in world.events
        ),
    ),
    "a dependency failed": Situation(
        """\
  ~ cards/a  not tried: a change it depends on was not applied
  ~ cards/b  failed    PUT /api/v2/routing/rules/id-b: status 422, Injected 422

Applied 0 of 2 in 2.0 s.
2 not applied: they are as before.
Remaining differences: cxroute plan
""",
        tenant(
            live(a=at("a"), b=at("b"), all=CATCH_ALL),
            goal(
                a=replace(at("a"), name="b"),
                b=replace(at("b"), name="c"),
                all=CATCH_ALL,
            ),
        ),
        "PUT rule:422@#1",
    ),
    "a dependency failed, half way": Situation(
        """\
  ~ cards/a  failed    a change it depends on was not applied
  ~ cards/b  failed    PUT /api/v2/routing/rules/id-b: status 422, Injected 422

Applied 0 of 2 in 2.0 s.
1 not applied: it is as before.
Partly applied, neither as before nor as planned: cards/a.
Remaining differences: cxroute plan
""",
        SWAP,
        "PUT rule:422",
    ),
    "a copy cannot be deleted": Situation(
        """\
  ~ cards/a  updated
  ~ cards/b  updated

Applied 2 of 2 in 2.0 s.
Stopped: the temporary copy of cards/a: DELETE /api/v2/routing/rules/new-0002: status 422, Injected 422; the next run \
deletes it
Remaining differences: cxroute plan
""",
        SWAP,
        "DELETE rule:422",
    ),
    "taken from us": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  updated
  - cards/y  not tried: no longer managed by cxroute; not changed

Applied 2 of 3 in 2.0 s.
1 not applied: it is as before.
Read again: no differences.
""",
        at=("PUT", "", 1),
        does=edit("id-y", description="mine"),
    ),
    "deleted, and a copy exists": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  failed    the rule was deleted, and the other rule with its marker is a copy

Applied 1 of 2 in 2.0 s.
1 not applied: it is as before.
Remaining differences: cxroute plan
""",
        tenant(
            [*live(x=at("x"), all=CATCH_ALL), COPY],
            goal(x=at("x", targets=FRAUD), n=at("n"), all=CATCH_ALL),
        ),
        at=("POST", "/rules", 1),
        does=remove("id-x"),
    ),
    "another managed rule changed": Situation(
        """\
  ~ cards/x  updated

Applied 1 of 1 in 2.0 s.
Stopped: cards/z changed but is not part of this plan. Run `plan` again
Remaining differences: cxroute plan
""",
        BESIDE,
        at=(*LISTS, 3),
        does=edit("id-z", priority=7),
    ),
    "others changed twice": Situation(
        """\
  + cards/n  created   id new-0002
  ~ cards/x  updated
  - cards/y  not tried: the run stopped early

Applied 2 of 3 in 2.0 s.
Stopped: other rules changed during the apply. Run `plan` again
1 not applied: it is as before.
Remaining differences: cxroute plan
""",
        tenant([*live(x=at("x"), y=at("y"), all=CATCH_ALL), HAND], THREE.wish),
        at=(*LISTS, 0),
        does=edit_again,
    ),
    "others changed, and a guard refuses": Situation(
        """\
  ~ cards/x  updated
  - cards/y  not tried: the run stopped early

Applied 1 of 2 in 2.0 s.
Stopped: rules changed during the apply, and now conversations that reach a queue today would fall to the \
tenant's default routing (today by cards/y)
1 not applied: it is as before.
Remaining differences: cxroute plan
""",
        UNCOVERED,
        at=(*LISTS, 3),
        does=remove("hand"),
    ),
    "other rules changed, with a reviewed plan": Situation(
        """\
  ~ cards/x  updated
  - cards/y  not tried: the run stopped early

Applied 1 of 2 in 2.0 s.
Stopped: rules changed during the apply, and the plan would now send conversations elsewhere. Run `plan` again
1 not applied: it is as before.
Remaining differences: cxroute plan
""",
        tenant(
            [*live(x=at("x"), y=at("y"), all=CATCH_ALL), HAND],
            goal(x=at("x", targets=FRAUD), all=CATCH_ALL),
        ),
        at=(*LISTS, 3),
        does=edit("hand", priority=500),
        saved=True,
    ),
    "another managed rule changed before the first write": Situation(
        """\
the tenant changed since the plan was created: cards/z changed but is not part of this plan. Run `plan` again""",
        BESIDE,
        at=(*LISTS, 2),
        does=edit("id-z", priority=7),
    ),
    "a guard refuses before the first write": Situation(
        """\
the tenant changed since the plan was created, and now conversations that reach a queue today would fall to the \
tenant's default routing (today by cards/y)""",
        UNCOVERED,
        at=(*LISTS, 2),
        does=remove("hand"),
    ),
    "no order is proven": Situation(
        """\
  ~ cards/a  not finished: the run stopped early
  ~ cards/b  not tried: the run stopped early

Applied 0 of 2 in 2.0 s.
Stopped: no proven order keeps each conversation at its old or its new queue: cards/a
1 not applied: it is as before.
Partly applied, neither as before nor as planned: cards/a.
Remaining differences: cxroute plan
""",
        SWAP,
        at=(*LISTS, 3),
        bounded=True,
    ),
    "a duplicate's original changed": Situation(
        """\
  - cards/x  not tried: no longer managed by cxroute; not changed

Applied 0 of 1 in 2.0 s.
1 not applied: it is as before.
Read again: no differences.
""",
        DUPLICATE,
        at=("GET", "/id-1", 1),
        does=edit("id-1", priority=7),
    ),
    "a duplicate is none": Situation(
        """\
  - cards/x  not tried: no longer managed by cxroute; not changed

Applied 0 of 1 in 2.0 s.
1 not applied: it is as before.
Read again: no differences.
""",
        DUPLICATE,
        at=("GET", "/id-1", 1),
        does=edit("id-1", division="away"),
    ),
}
"""Each reason, in the report that has it."""
JOURNALLED: Final = {
    "a duplicate's original changed": "rule id-1, the original of this duplicate, was changed outside this run",
    "a duplicate is none": "it differs from rule id-1 in division, so it is not a duplicate",
}


def applied(
    situation: Situation, patch: pytest.MonkeyPatch
) -> tuple[str, ObservedTenant]:
    """Apply the scene's manifests, or a saved plan; return the final report as text."""
    scene = situation.scene
    world = ObservedTenant(situation.scene, "C", 1)
    applier = Applier(world, scene.wish, scene.environment, allow=scene.allow)
    applier.reviewed = asyncio.run(applier.saved()) if situation.saved else None
    (method, ending, number), observed = situation.at, []

    async def before(event: Event) -> None:
        if event.request.method == method and event.request.path.endswith(ending):
            observed.append(event)
            if number in (0, len(observed)):
                situation.does(world, event)
                if situation.bounded:
                    patch.setattr(
                        "reconciler.core.plan.schedule.order_moves",
                        partial(order_moves, work=0),
                    )

    world.faults = FaultInjector(situation.faults, 1) if situation.faults else None
    applier.before, applier.stopped = before, lambda: situation.stopped(world)
    ended = run(applier)
    assert ended is not None
    return report_text(
        ended.report, no_style, "cxroute plan", 2.0
    ) if ended.report else ended.error, world


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_run_ends_with_this_report(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applied changes, other changes with their reasons, and remaining work; before the first write
    it is an error.
    """
    assert SITUATIONS[name].text == applied(SITUATIONS[name], monkeypatch)[0]


@pytest.mark.parametrize(("name", "why"), JOURNALLED.items())
def test_the_journal_has_the_reason_why_a_duplicate_stays(
    name: str, why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the next read it is no longer a duplicate, as the report says; the journal has the state
    before.
    """
    _, world = applied(SITUATIONS[name], monkeypatch)
    assert [why] == [
        text.partition("error='")[2].partition("'")[0]
        for text in world.said
        if text.startswith("tried")
    ]


def test_every_reason_is_covered() -> None:
    """A new message of the loop, of an attempt or of the outcomes needs a situation that shows
    it.
    """
    texts = [
        *JOURNALLED.values(),
        *(situation.text for situation in SITUATIONS.values()),
    ]
    keys = ["until read", "whole create"]
    assert keys == missing_sentences(
        [
            "core/apply/loop.py",
            "core/apply/attempt.py",
            "core/apply/progress.py",
        ],
        texts,
    )
