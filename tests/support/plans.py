"""Plans for display: with each kind of change, empty, with hostile names, of any size; in every
format.

Plans are frozen: those that several tests need are built once in a process.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Final, TypeVar

from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.environment import BotAttributes, Environment
from reconciler.core.manifest.kinds.ruleset import Hold
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Queue, Source, Target, make_condition
from reconciler.core.plan.assess import assess
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.findings import add_findings
from reconciler.core.plan.guards import check_guards, lift_guards
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import Assessed, Changes, LiveState, Plan, PlanOptions
from reconciler.core.traffic.sample import read_traffic
from reconciler.render.provenance import Provenance, SourceLinks
from reconciler.render.routing_map import Lane, build_routing_map
from reconciler.render.summary import PlanSummary, summarize_plan
from tests.support.builders import (
    NOW,
    QUEUES,
    address,
    at_least,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)

Stage = TypeVar("Stage", bound=Assessed)
COMMIT: Final = "4be1c0d9a2f74be1c0d9a2f74be1c0d9a2f74be1"
ORIGIN: Final = SourceLinks(
    "https://github.example/acme/routing",
    COMMIT,
    "https://github.example/acme/routing/actions/runs/7",
)
FACTS: Final = Provenance(
    plan_id="a1b2c3d4e5f6", read_at="2026-11-25T12:00:00Z", links=ORIGIN
)
TENANT: Final = "tenant acme"
SAMPLE: Final = b"intent,confidence,count\ncard_lost,0.9,310\ncard_lost,0.5,90\nlegacy_fax,,4\nbilling,0.9,596\n"
CARDS, FRAUD, GENERAL = (
    [Target(queue, 1)] for queue in ("q-cards", "q-fraud", "q-general")
)
NOTES: Final = (
    Finding(
        code="CXR204",
        severity="warning",
        message='it takes every conversation of cards/off first, at "October\'s" rates',
        source=Source("manifests/cards.yaml", 14, 3),
        address=address("cards/both"),
        hint="give cards/off a higher priority",
    ),
    Finding(
        code="CXR206",
        severity="info",
        message="no rule takes the intent 'closing account'",
        hint="add a rule, or take it out of `intents`",
    ),
)


@cache
def plan_of_everything() -> Plan:
    """A plan with each kind of content: each action and cause, guards, a conflict, a sample, exact
    cases.
    """
    hold = Hold.model_validate(
        {"until": "2026-12-01T08:00:00+01:00", "reason": "incident 42"}
    )
    lost = rule(
        "card_lost", conditions=[intent_is("card_lost"), at_least(0.7)], priority=10
    )
    half = [Target("q-cards", 1), Target("q-fraud", 3)]
    want = [
        wanted("cards/lost", lost, source=Source("manifests/cards.yaml", 4, 3)),
        wanted("cards/off", rule("off"), source=Source("manifests/cards.yaml", 9, 3)),
        wanted(
            "cards/both",
            rule("both", targets=half),
            source=Source("manifests/cards.yaml", 14, 3),
        ),
        wanted("cards/hand", rule("hand"), adopt="by hand"),
        wanted("cards/taken", rule("taken")),
        wanted("cards/held", rule("held", priority=5), hold=hold),
        wanted("cards/twice", rule("twice")),
        wanted(
            "cards/new",
            rule("new", conditions=[intent_is("new")], priority=15, targets=FRAUD),
        ),
        wanted("cards/same", rule("same")),
    ]
    actual = [
        managed(
            "1",
            "cards/lost",
            replace(lost, priority=20, conditions=(intent_is("card_lost"),)),
        ),
        managed("2", "cards/off", rule("off", enabled=False), last_written=rule("off")),
        managed(
            "3", "cards/both", rule("both", targets=GENERAL), last_written=rule("both")
        ),
        managed("4", "cards/fax", rule("legacy_fax", priority=900, targets=GENERAL)),
        managed("5", "cards/held", rule("held")),
        managed("6", "cards/twice", rule("twice")),
        managed("7", "cards/twice", rule("twice")),
        managed("8", "cards/same", rule("same")),
        unmanaged("9", rule("by hand", targets=GENERAL)),
        unmanaged("10", rule("taken")),
        unmanaged("11", rule("partner", priority=1, conditions=[intent_is("partner")])),
    ]
    text = {
        "guard": {"deletes": {"count": 0, "percent": 0}, "protected": ["cards/fax"]}
    }
    created = check_guards(assessed_plan(want, actual, SAMPLE), environment(**text))
    created = add_findings(created, NOTES)
    return lift_guards(
        created, ["deletes", "protected"], "the fax line is closed, CHG-1042"
    )


@cache
def plan_of_many() -> Plan:
    """A plan with more rows than are displayed; the effect on some conversations is unknown."""
    requested = [
        [intent_is(f"r{n}"), make_condition(f"menu{n}", "equals", "x")]
        for n in range(30)
    ]
    want = [
        wanted(
            f"cards/r{n}",
            rule(f"r{n}", conditions=requested[n], targets=FRAUD, priority=n),
        )
        for n in range(30)
    ]
    created = assessed_plan(
        want,
        [
            managed(
                "all",
                "cards/all",
                rule("all", priority=900, conditions=[], targets=CARDS),
            )
        ],
    )
    unknown = [(Clause(make_condition("tier", "equals", f"t{n}")),) for n in range(7)]
    return check_guards(with_unproven_regions(created, *unknown), environment())


@cache
def empty_plan() -> Plan:
    """A plan without changes."""
    return check_guards(
        assessed_plan(
            [wanted("cards/vip", rule())], [managed("1", "cards/vip", rule())]
        ),
        environment(),
    )


@cache
def hostile_plan(name: str) -> Plan:
    """A plan with the name in each place that can come from outside."""
    odd = rule(
        name,
        description=name,
        conditions=[intent_is(name), make_condition(name, "equals", name)],
        priority=7,
    )
    twin = replace(odd, name=f"{name} 2", targets=(Target("q-odd", 1),))
    here = Source(f"manifests/{name}.yaml", 1, 1)
    hold = Hold.model_validate({"until": "2026-12-01T08:00:00+01:00", "reason": name})
    want = [
        wanted(
            "cards/new",
            rule("new", targets=[Target("q-odd", 1)], conditions=[intent_is(name)]),
            source=here,
        ),
        wanted(
            "cards/changed", replace(odd, name=f"{name} 3", priority=8), source=here
        ),
        wanted(
            "cards/hand",
            replace(odd, name=f"{name} 4", priority=9),
            adopt=name,
            source=here,
        ),
        wanted(
            "cards/held",
            replace(odd, name=f"{name} 5", priority=6),
            hold=hold,
            source=here,
        ),
        wanted("cards/taken", rule(f"{name} 6"), source=here),
    ]
    actual = [
        managed("1", "cards/changed", twin, last_written=odd),
        managed("2", "cards/gone", replace(odd, name=f"{name} 7", priority=5)),
        managed("3", "cards/held", replace(odd, name=f"{name} 5", priority=10)),
        unmanaged("4", odd),
        unmanaged("5", rule(f"{name} 6")),
    ]
    assessed = assessed_plan(want, actual, SAMPLE, Queue("q-odd", name))
    text = [
        Finding(
            code="CXR204",
            severity="warning",
            message=f"{name}: {name}",
            source=here,
            hint=name,
        ),
        Finding(
            code="CXR206",
            severity="info",
            message=f"{name}: {name}",
            source=here,
            hint=name,
        ),
    ]
    unproven = with_unproven_regions(
        assessed, (Clause(make_condition(name, "equals", name)),)
    )
    created = add_findings(check_guards(unproven, environment()), text)
    wrong = replace(
        created,
        guards=tuple(
            replace(guard, message=f"{guard.message}; {name}")
            for guard in created.guards
        ),
    )
    return lift_guards(wrong, ["deletes", "unrouted"], name)


def plan_with_names(names: Iterable[str]) -> Plan:
    """A plan with all these names: each for a rule, its queue, its description and its
    condition.
    """
    want = []
    actual = []
    queues = []
    for n, name in enumerate(names):
        item = rule(
            f"{name}{n}",
            description=name,
            priority=n,
            conditions=[intent_is(name), make_condition(name, "equals", n)],
        )
        want.append(
            wanted(
                f"cards/r{n}",
                replace(item, targets=(Target(f"q{n}", 1),)),
                source=Source(name, n + 1, 1),
            )
        )
        actual.append(managed(str(n), f"cards/r{n}", item))
        queues.append(Queue(f"q{n}", name))
    return check_guards(assessed_plan(want, actual, None, *queues), environment())


def large_plan(count: int, name: str = "") -> Plan:
    """A plan with so many changes, `name` in each: most to another queue, some new, some deleted
    and refused.
    """
    want = []
    actual = []
    for n in range(count):
        item = rule(
            f"{name}{n}",
            targets=[Target(f"q{n % 40}", 1)],
            priority=n,
            conditions=[intent_is(f"{name}i{n}")],
        )
        candidate = replace(item, targets=(Target(f"q{(n + 1) % 40}", 1),))
        want += [wanted(f"cards/r{n}", item)] if n % 6 else []
        actual += [managed(str(n), f"cards/r{n}", candidate)] if n % 6 != 1 else []
    queues = [Queue(f"q{n}", f"{name}Queue {n}") for n in range(40)]
    return check_guards(
        assessed_plan(want, actual, None, *queues),
        environment(guard={"deletes": {"count": 0, "percent": 1}}),
    )


def assessed_plan(
    want: list[DesiredRule],
    found: list[LiveRule],
    sample: bytes | None = None,
    *queues: Queue,
) -> Assessed:
    """The changes as a command assesses them: with their order and their impact."""
    created = find_changes(
        desired(*want), LiveState(tuple(found), (*QUEUES, *queues)), PlanOptions(), NOW
    )
    traffic = (
        read_traffic(sample, "prod.csv", BotAttributes(), "October 2026")
        if sample
        else None
    )
    return assess(schedule_steps(created), traffic)


def with_unproven_regions(assessed: Stage, *unknown: tuple[Clause, ...]) -> Stage:
    """The changes, with conversations that the analysis could not prove."""
    behaviour = replace(assessed.behaviour, undecided=unknown)
    return replace(assessed, impact=replace(assessed.impact, behaviour=behaviour))


def complete(changes: Changes) -> Plan:
    """The plan of the changes after all stages."""
    return check_guards(assess(schedule_steps(changes)), environment())


def environment(**said: object) -> Environment:
    """An Environment from its YAML."""
    return Environment.model_validate(
        {"name": "prod", "owner": "acme", "tenant": "acme", **said}
    )


def summary_of(made: Plan) -> tuple[PlanSummary, list[Lane], Provenance]:
    """The complete input of the comment's renderer."""
    return summarize_plan(made, TENANT), build_routing_map(made), FACTS
