"""The part "Later" of a plan, by trying all events with the rules of each time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.core.model.rule import Queue
from reconciler.core.pipeline import planner_for
from reconciler.core.plan.changes import rules_after
from reconciler.core.plan.document import plan_to_json
from reconciler.core.plan.later import HORIZON, later_refusals
from reconciler.core.plan.review import (
    read_saved_plan,
    unreviewed_changes,
    unreviewed_regions,
)
from reconciler.core.plan.stages import LiveState, Plan
from tests.support.brute_force import Destination, holds
from tests.support.dated_projects import (
    NOW,
    TIMES,
    DatedProject,
    a_dated_project,
    documents_at,
    text_of,
)
from tests.support.random_projects import QUEUES, TriedList, tried_lists
from tests.tiers import size

BLOCKS: Final = 10
SIZE: Final = size(fast=2, slow=8, full=25)
"""Projects in each block."""
LIVE: Final = LiveState(
    (), tuple(Queue(name, name) for name in (*QUEUES, "Partner", "Q", "R"))
)
HEAD: Final = "apiVersion: routing/v1\nkind: %s\nname: %s\n"
PROD: Final = HEAD % ("Environment", "prod") + "owner: acme\ntenant: acme\n"


def manifests_of(text: str, at: datetime = NOW) -> Manifests:
    return load_contents([("rules.yaml", text.encode())], instant=at)


def plan_of(text: str, at: datetime = NOW, live: LiveState = LIVE) -> Plan:
    manifests = manifests_of(text, at)
    planner = planner_for(manifests, manifests.environment("prod"), live)
    return replace(planner, clock=lambda: at).build(live)


def list_at(text: str, project: DatedProject, at: datetime) -> TriedList:
    plain = text_of(documents_at(text, at))
    return tried_lists(manifests_of(plain), project.fallbacks)["prod"]


def claimed(regions: Iterable[Any], event: dict[str, Any]) -> list[Any]:
    """Return the moves that a plan claims for an event: where it was, and where it will be."""

    def fulfils(clauses: Iterable[Any]) -> bool:
        return all(holds(clause, event, {}) for clause in clauses)

    return [
        (place(region["before"]), place(region["after"]))
        for region in regions
        if fulfils(region["where"]) and not any(map(fulfils, region["except"]))
    ]


def place(destination: Any) -> Destination:
    if "queues" not in destination:
        return None
    return frozenset(
        (queue["queueId"], Fraction(queue["share"]).limit_denominator(1000))
        for queue in destination["queues"]
    )


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_each_later_change_moves_exactly_its_events(block: int) -> None:
    """Against the rules of the time before, evaluated one by one; nothing changes in between."""
    moves = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        project = a_dated_project(Random(f"later {seed}"), 7)
        later: Any = plan_to_json(plan_of(project.text)).get("later", ())
        by_time = {datetime.fromisoformat(each["at"]): each for each in later}
        before = list_at(project.text, project, NOW)
        for at in TIMES[1:]:
            after = list_at(project.text, project, at)
            form = by_time.pop(at, {"behaviour": {"regions": []}})
            regions = form["behaviour"]["regions"]
            for event, (old, _), (new, _) in zip(
                before.events, before.destinations(), after.destinations(), strict=True
            ):
                expected = [(old, new)] if old != new else []
                assert expected == claimed(regions, event), (seed, at, event)
                moves += len(expected)
            before = after
        assert {} == by_time
    assert moves, "some event moves at a later time"


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_reviewed_plan_covers_the_changes_of_its_dates(block: int) -> None:
    """At each time, on the tenant as it was, and as the job left it at each earlier time."""
    compared = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        project = a_dated_project(Random(f"reviews {seed}"), 7)
        first = plan_of(project.text)
        reviewed = read_saved_plan(_saved(first), "plan.json")
        tenants = [LIVE]
        for at in (NOW, *TIMES[1:]):
            allowed = reviewed.at(at)
            for live in tenants:
                fresh = plan_of(project.text, at, live)
                assert () == unreviewed_changes(fresh, allowed), (seed, at)
                names = fresh.queue_names
                assert () == unreviewed_regions(fresh.impact, names, allowed), seed
                compared += len(fresh.changes)
            tenants.append(_tenant_after(plan_of(project.text, at, tenants[-1])))
    assert compared


def _saved(plan: Plan) -> str:
    return json.dumps(plan_to_json(plan))


def _tenant_after(plan: Plan) -> LiveState:
    """Return the tenant after a plan; the API gives each created rule an id of its own."""
    rules = [
        replace(live, id=f"id-{live.id}")
        if "/" in live.id[:64] and not live.id.startswith("id-")
        else live
        for live in rules_after(plan, plan.changes)
    ]
    return replace(plan.live, rules=tuple(rules))


RULES: Final = (
    "---\n"
    + HEAD % ("RuleSet", "cards")
    + "rules:\n"
    + "  - {key: usual, intent: fees, queue: Q, priority: 20}\n"
    + "  - {key: campaign, intent: fees, queue: R, priority: 10, %s}\n"
)
FROM: Final = "from: 2026-12-10T00:00Z"
FREEZE: Final = "freeze: [{start: 2026-12-09, end: 2026-12-11, reason: peak}]\n"


def test_a_change_that_is_not_reviewed_is_refused_at_a_date() -> None:
    """Before its date, a later change is not covered; after it, another queue is not."""
    text = PROD + RULES % FROM
    first = plan_of(text)
    reviewed = read_saved_plan(_saved(first), "plan.json")
    fresh = plan_of(text, TIMES[1])
    assert [] != list(unreviewed_changes(fresh, reviewed))
    assert [] == list(unreviewed_changes(fresh, reviewed.at(TIMES[1])))
    other = plan_of(text.replace("queue: R", "queue: A"), TIMES[1])
    names = [
        str(each.address) for each in unreviewed_changes(other, reviewed.at(TIMES[1]))
    ]
    assert ["cards/campaign"] == names


def test_a_freeze_delays_a_change_to_its_end() -> None:
    """The document has the date, and the time at which the change can be made."""
    (later,) = plan_of(PROD + FREEZE + RULES % FROM).later or ()
    assert datetime(2026, 12, 12, tzinfo=NOW.tzinfo) == later.at
    assert (TIMES[1],) == later.due
    document: Any = plan_to_json(plan_of(PROD + FREEZE + RULES % FROM))
    (form,) = document["later"]
    assert "2026-12-12T00:00:00Z" == form["at"]
    assert ["2026-12-10T00:00:00Z"] == form["due"]


def test_only_the_next_ninety_days_are_shown() -> None:
    last = NOW + HORIZON
    for at, expected in ((last, 1), (last + timedelta(seconds=1), 0)):
        text = PROD + RULES % f"from: '{at.isoformat()}'"
        assert expected == len(plan_of(text).later or ())
    assert plan_of(PROD + RULES % "enabled: true").later is None


GUARDED: Final = PROD + "guard: {deletes: {count: 0}, allow: [%s]}\n"
UNTIL: Final = "until: 2026-12-10T00:00Z"


@pytest.mark.parametrize(
    ("exception", "refused"),
    [
        ("", ["deletes"]),
        ("{name: deletes, at: '2026-12-10T00:00Z', reason: it ends}", []),
        ("{name: deletes, at: '2026-12-11T00:00Z', reason: it ends}", ["deletes"]),
        ("{name: deletes, until: 2026-12-10T00:00:00Z, reason: it ends}", ["deletes"]),
        ("{name: deletes, until: 2026-12-10T00:00:01Z, reason: it ends}", []),
    ],
)
def test_a_guard_refuses_a_later_change(exception: str, refused: list[str]) -> None:
    """An exception can name the date; it does not hold at another one."""
    text = GUARDED % exception + RULES % UNTIL
    plan = plan_of(text)
    assert refused == [result.name for result in later_refusals(plan)]
    live = _tenant_after(plan)
    then = plan_of(text, TIMES[1], live)
    assert refused == [result.name for result in then.guards if not result.ok]


def test_an_exception_with_a_local_time_needs_a_zone() -> None:
    local = GUARDED % "{name: deletes, at: '2026-12-10T00:00', reason: it ends}"
    with pytest.raises(ManifestError) as caught:
        plan_of(local + RULES % UNTIL)
    assert "prod has no `timezone`" in caught.value.findings[0].message
    zone = "timezone: Europe/Berlin\n"
    text = local + zone + RULES % "until: 2026-12-10T00:00"
    assert () == later_refusals(plan_of(text))


@pytest.mark.parametrize(
    ("environment", "dates", "reason"),
    [
        (
            "",
            f"{FROM}, hold: {{until: 2027-01-01T00:00:00Z, reason: tests}}",
            "held until",
        ),
        ("prune: false\n", UNTIL, "prune is off"),
    ],
)
def test_a_change_that_will_not_be_made_is_a_finding(
    environment: str, dates: str, reason: str
) -> None:
    plan = plan_of(PROD + environment + RULES % dates)
    (finding,) = [each for each in plan.findings if each.code == "CXR243"]
    assert reason in finding.message
    assert "2026-12-10" in finding.message


def test_consent_covers_what_changes_later() -> None:
    queues = (
        "---\n"
        + HEAD % ("Queues", "all")
        + "queues:\n  R: {name: R, owners: ['@acme/r']}\n  Q: Q\n"
    )
    text = PROD + RULES % FROM + queues
    plan = plan_of(text)
    assert [("R", "gains")] == [
        (each.queue.name, each.change) for each in plan.consent or ()
    ]


def test_a_rule_that_contradicts_itself_can_end() -> None:
    """It is compared with the rules that it can meet: none, and itself."""
    never = (
        "  - {key: never, intent: a, when: [{attribute: tier, equals: x}, {attribute: tier, "
        "equals: y}], queue: Q, until: 2026-12-10T00:00Z}\n"
    )
    (later,) = plan_of(PROD + RULES % "enabled: true" + never).later or ()
    assert ["cards/never"] == [str(change.address) for change in later.plan.changes]
    assert () == later.plan.behaviour.regions
