"""Guards: each has its number and limit, and refuses only its own condition."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.behaviour.diff.difference import BehaviourChange
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import BotAttributes, Environment
from reconciler.core.manifest.kinds.guard_limits import Guard
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Target
from reconciler.core.plan.assess import assess
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.guards import (
    GUARD_NAMES,
    check_guards,
    freeze_reason,
    guard_refusals,
    lift_guards,
)
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import Plan, PlanOptions
from reconciler.core.traffic.sample import read_traffic
from tests.support.builders import (
    NOW,
    OWNER,
    address,
    desired,
    intent_is,
    live,
    managed,
    rule,
    unchecked,
    unmanaged,
    wanted,
)
from tests.support.cases import each_case


def environment(**said: Any) -> Environment:
    """Return an Environment from its YAML."""
    return Environment.model_validate(
        {
            "apiVersion": "routing/v1",
            "kind": "Environment",
            "name": "prod",
            "owner": OWNER,
            "tenant": "acme",
            **said,
        }
    )


def guarded(want: DesiredState, rules: list[LiveRule], **said: Any) -> Plan:
    """Return the plan with its guards, without an analysis of conversations."""
    changes = find_changes(want, live(*rules), PlanOptions(), NOW)
    return check_guards(unchecked(changes), environment(**said))


def refused(made: Plan) -> list[str]:
    return [result.name for result in guard_refusals(made)]


def many(count: int) -> list[LiveRule]:
    return [managed(str(n), f"cards/r{n}", rule(f"r{n}")) for n in range(count)]


def kept(count: int) -> DesiredState:
    return desired(*(wanted(f"cards/r{n}", rule(f"r{n}")) for n in range(count)))


@each_case(
    "managed_rules, deletes, ok",
    [
        (40, 12, True),
        (40, 13, False),
        (3, 2, True),
        (5, 3, False),
        (6, 2, True),
        (10, 3, True),
        (10, 4, False),
    ],
)
def test_deletes_are_limited_by_count_or_percent_whichever_is_more(
    managed_rules: int,
    deletes: int,
    ok: bool,  # noqa: FBT001 - a table's column
) -> None:
    """The default is 2, or 30 % of the managed rules."""
    created = guarded(kept(managed_rules - deletes), many(managed_rules))
    result = next(result for result in created.guards if result.name == "deletes")
    assert (deletes, max(2, managed_rules * 30 // 100), ok) == (
        result.value,
        result.limit,
        result.ok,
    )


def test_the_message_has_number_and_limit() -> None:
    """The full message of `deletes`."""
    created = guarded(kept(26), many(40))
    expected = (
        "deletes 14 of 40 managed rules (35 %); the limit for prod is 12 (2 or 30 %, whichever is "
        "more)"
    )
    assert expected == guard_refusals(created)[0].message


@pytest.mark.parametrize(
    ("managed_rules", "off", "deleted", "ok"),
    [(41, 40, 0, False), (40, 12, 0, True), (40, 7, 6, False)],
)
def test_a_disabled_rule_counts_as_a_deleted_one(
    managed_rules: int,
    off: int,
    deleted: int,
    ok: bool,  # noqa: FBT001 - a table's column
) -> None:
    """The default refuses to disable 40 of 41 rules; deleted and disabled rules are counted
    together.
    """
    disabled = [
        wanted(f"cards/r{n}", rule(f"r{n}", enabled=n >= off))
        for n in range(managed_rules - deleted)
    ]
    result = next(
        guard
        for guard in guarded(desired(*disabled), many(managed_rules)).guards
        if guard.name == "deletes"
    )
    assert (off + deleted, ok) == (result.value, result.ok)
    assert (
        f"deletes or switches off {off + deleted} of {managed_rules} managed rules"
        in result.message
    )


def test_only_the_step_from_enabled_to_disabled_counts() -> None:
    """A rule that was disabled, or that is enabled, is not counted."""
    rules = [
        managed(str(n), f"cards/r{n}", rule(f"r{n}", enabled=False)) for n in range(9)
    ]
    changed = [
        wanted(f"cards/r{n}", rule(f"r{n}", enabled=n > 5, priority=7))
        for n in range(9)
    ]
    assert 0 == next(
        guard.value
        for guard in guarded(desired(*changed), rules).guards
        if guard.name == "deletes"
    )


def test_a_rule_that_is_adopted_and_disabled_is_counted() -> None:
    """Nine unmanaged rules are adopted and all disabled: they serve no conversation."""
    rules = [unmanaged(str(n), rule(f"r{n}")) for n in range(9)]
    claimed = [
        wanted(f"cards/r{n}", rule(f"r{n}", enabled=False), adopt=f"r{n}")
        for n in range(9)
    ]
    created = guarded(desired(*claimed), rules)
    assert ["deletes"] == refused(created)
    assert (
        "deletes or switches off 9 of 9 managed rules"
        in guard_refusals(created)[0].message
    )


def test_changes_are_limited_if_the_environment_has_the_limit() -> None:
    """Updates and deletes count; creates do not."""
    want = desired(
        *(wanted(f"cards/r{n}", rule(f"r{n}", priority=1)) for n in range(5)),
        wanted("cards/n", rule("n")),
    )
    assert [] == refused(guarded(want, many(5)))
    assert ["changes"] == refused(
        guarded(want, many(5), guard={"changes": {"count": 4}})
    )
    assert [] == refused(guarded(want, many(5), guard={"changes": {"count": 5}}))


def test_an_emptied_tenant_is_refused_however_small() -> None:
    """Even one rule: the RuleSet still exists, and no rule would remain."""
    assert ["emptied"] == refused(guarded(desired(), many(1)))
    emptied = replace(
        desired(wanted("other/x", rule("x"))), rulesets=frozenset({"cards", "other"})
    )
    assert ["emptied"] == refused(
        guarded(emptied, [*many(2), managed("9", "other/x", rule("x"))])
    )


def test_a_ruleset_that_is_deleted_from_the_manifests_is_not_emptied() -> None:
    """The deletion of the file is intended; `deletes` still counts."""
    want = desired(wanted("other/x", rule("x")))
    assert [] == refused(guarded(want, [*many(1), managed("9", "other/x", rule("x"))]))


def test_a_replaced_rule_empties_nothing() -> None:
    """One rule is deleted, one is created."""
    assert [] == refused(guarded(desired(wanted("cards/new", rule("new"))), many(1)))


PROTECTED = {"guard": {"protected": ["cards/r0"]}}


@each_case(
    "after, refuses",
    [
        (None, True),
        (rule("r0", enabled=False), True),
        (rule("r0", priority=1), True),
        (rule("r0", targets=[]), True),
        (rule("r0", conditions=[]), True),
        (rule("r0", description="reworded"), False),
        (rule("r0"), False),
    ],
)
def test_a_protected_rule_keeps_its_routing_fields(after: Any, refuses: bool) -> None:  # noqa: FBT001 - a table's column
    """Its name and description may change."""
    remaining_items = [wanted("cards/r1", rule("r1"))]
    want = (
        desired(*remaining_items)
        if after is None
        else desired(wanted("cards/r0", after), *remaining_items)
    )
    assert refuses == ("protected" in refused(guarded(want, many(2), **PROTECTED)))


def test_moving_a_protected_rule_to_another_address_is_refused() -> None:
    """The protection would not follow the rule."""
    want = desired(wanted("cards/else", rule("r0")), wanted("cards/r1", rule("r1")))
    assert ["protected"] == refused(guarded(want, many(2), **PROTECTED))


def test_an_entry_of_the_environment_lifts_a_guard_until_its_time() -> None:
    """The plan still shows the guard, with the reason."""
    entry = {
        "name": "deletes",
        "until": (NOW + timedelta(hours=1)).isoformat(),
        "reason": "CHG-1042",
    }
    created = guarded(kept(1), many(9), guard={"allow": [entry]})
    assert [] == refused(created)
    assert ["CHG-1042 (until 2026-11-25T13:00:00+00:00)"] == [
        guard.allowed for guard in created.guards if guard.allowed
    ]
    unused = guarded(kept(9), many(9), guard={"allow": [entry]})
    assert ["deletes"] == [guard.name for guard in unused.guards if guard.allowed]
    assert ["deletes"] == refused(
        guarded(
            kept(1), many(9), guard={"allow": [{**entry, "until": NOW.isoformat()}]}
        )
    )


def test_a_reason_lifts_the_named_guards_only() -> None:
    """`--allow deletes` does not lift `emptied`."""
    created = guarded(desired(), many(9))
    assert ["deletes", "emptied"] == refused(created)
    assert ["emptied"] == refused(lift_guards(created, ["deletes"], "why"))


def test_a_frozen_environment_refuses_every_plan() -> None:
    """The plan's own time decides."""
    window = {
        "start": "2026-11-25",
        "end": "2026-11-25",
        "timezone": "UTC",
        "reason": "peak",
    }
    created = guarded(kept(1), many(1), freeze=[window])
    assert ["prod is frozen now: peak"] == [
        result.message for result in guard_refusals(created)
    ]


WINDOW = {
    "start": "2026-11-26",
    "end": "2026-11-27",
    "timezone": "UTC",
    "reason": "peak",
}


def test_no_open_freeze_window_refuses_nothing() -> None:
    """The plan has the guard and may be applied; an Environment without a window does not have this
    guard.
    """
    created = guarded(kept(1), many(1), freeze=[WINDOW])
    assert [] == refused(created)
    assert ["no freeze window is open"] == [
        result.message for result in created.guards if result.name == "freeze"
    ]
    assert "freeze" not in [result.name for result in guarded(kept(1), many(1)).guards]
    assert "" == freeze_reason(environment(freeze=[WINDOW]), NOW)


def test_an_open_freeze_window_stops_writing_unless_it_is_lifted() -> None:
    """Also the second of two windows; `--allow freeze` and an entry of the Environment lift it."""
    inside = NOW + timedelta(days=1)
    present = environment(
        freeze=[{"start": "2026-11-20", "end": "2026-11-21", "timezone": "UTC"}, WINDOW]
    )
    assert "prod is frozen now: peak" == freeze_reason(present, inside)
    assert "" == freeze_reason(present, inside, ["freeze"])
    assert "prod is frozen now: peak" == freeze_reason(present, inside, ["deletes"])
    entry = {
        "name": "freeze",
        "until": (inside + timedelta(hours=1)).isoformat(),
        "reason": "CHG-1",
    }
    assert "" == freeze_reason(
        environment(freeze=[WINDOW], guard={"allow": [entry]}), inside
    )


CATCH_ALL = rule("all", priority=900, conditions=[], targets=[Target("q-general", 1)])


def foreseen(
    want: DesiredState, rules: list[LiveRule], sample: str = "", **said: Any
) -> Plan:
    """Return the plan as a command builds it: with its order and its impact."""
    created = schedule_steps(find_changes(want, live(*rules), PlanOptions(), NOW))
    read = read_traffic(sample.encode(), "t.csv", BotAttributes()) if sample else None
    return check_guards(assess(created, read), environment(**said))


def test_a_fall_to_the_default_routing_is_refused() -> None:
    """A deleted rule whose conversations no other rule takes; with a catch-all behind it, the guard
    is ok.
    """
    removed = [
        managed("1", "cards/gone", rule("gone")),
        managed("2", "cards/all", CATCH_ALL),
    ]
    bare = foreseen(desired(), removed[:1], guard={"deletes": {"count": 9}})
    assert "unrouted" in refused(bare)
    actual = next(result for result in bare.guards if result.name == "unrouted")
    assert (
        "fall to the tenant's default routing (today by cards/gone)" in actual.message
    )
    assert (1, 0) == (actual.value, actual.limit)
    routed = foreseen(desired(wanted("cards/all", CATCH_ALL)), removed)
    assert [(0, 0, True)] == [
        (guard.value, guard.limit, guard.ok)
        for guard in routed.guards
        if guard.name == "unrouted"
    ]


NO_WEIGHT = [Target("q-cards", 0)]


@pytest.mark.parametrize(
    "targets", [NO_WEIGHT, [], [Target("q-cards", 0), Target("q-fraud", 0)]]
)
def test_no_positive_weight_counts_as_the_default_routing(
    targets: list[Target],
) -> None:
    """A rule that takes conversations without a positive weight routes them to no queue, even
    before a catch-all.
    """
    want = desired(
        wanted("cards/a", rule("a", targets=targets)), wanted("cards/all", CATCH_ALL)
    )
    created = foreseen(
        want, [managed("1", "cards/a", rule("a")), managed("2", "cards/all", CATCH_ALL)]
    )
    assert ["unrouted"] == refused(created)
    expected = (
        "conversations that reach a queue today would reach no queue, since no target of the rule "
        "that takes them has"
        " a positive weight (today by cards/a)"
    )
    assert expected == guard_refusals(created)[0].message


def test_both_ways_of_reaching_no_queue_are_named() -> None:
    """One rule loses its weights, another one is deleted."""
    want = desired(wanted("cards/a", rule("a", targets=NO_WEIGHT)))
    created = foreseen(
        want, [managed("1", "cards/a", rule("a")), managed("2", "cards/b", rule("b"))]
    )
    message = next(
        refusal.message
        for refusal in guard_refusals(created)
        if refusal.name == "unrouted"
    )
    assert "reach no queue" in message
    assert "fall to the tenant's default routing" in message


def test_conversations_without_a_queue_today_lose_nothing() -> None:
    """The delete of a live rule without a positive weight, and a new queue for it, trip no
    guard.
    """
    live_rules = [
        managed(name, f"cards/{name}", rule(name, targets=NO_WEIGHT))
        for name in ("a", "b")
    ]
    assert [] == refused(foreseen(desired(wanted("cards/a", rule("a"))), live_rules))


def test_a_disabled_rule_counts_in_unrouted_as_a_deleted_one() -> None:
    """The guard counts conversations, not deletes."""
    created = foreseen(
        desired(wanted("cards/a", rule("a", enabled=False))),
        [managed("1", "cards/a", rule("a"))],
    )
    assert ["unrouted"] == refused(created)


def test_protected_conversations_may_not_move() -> None:
    """A new rule before the protected one takes its conversations: the rule itself does not
    change.
    """
    above = rule("above", priority=1, conditions=[], targets=[Target("q-general", 1)])
    rules = [managed("1", "cards/vip", rule("vip"))]
    want = desired(wanted("cards/vip", rule("vip")), wanted("cards/above", above))
    created = foreseen(want, rules, guard={"protected": ["cards/vip"]})
    assert ["protected"] == refused(created)
    assert (
        "conversations that a protected rule serves would go elsewhere: cards/vip"
        in guard_refusals(created)[0].message
    )


@pytest.mark.parametrize(("percent", "ok"), [(30, True), (29, False)])
def test_the_traffic_guard_counts_conversations(percent: float, ok: bool) -> None:  # noqa: FBT001 - a table's column
    """At most the limit in percent of the sample; the limit itself is ok."""
    want = desired(
        wanted("cards/x", rule("x", targets=[Target("q-fraud", 1)])),
        wanted("cards/all", CATCH_ALL),
    )
    rules = [managed("1", "cards/x", rule("x")), managed("2", "cards/all", CATCH_ALL)]
    created = foreseen(
        want,
        rules,
        "intent,count\nx,30\ny,70\n",
        guard={"traffic": {"percent": percent}},
    )
    assert ([] if ok else ["traffic"]) == refused(created)


def test_the_traffic_guard_refuses_without_a_sample() -> None:
    """The number of conversations that move is unknown."""
    created = foreseen(desired(), [], guard={"traffic": {"percent": 30}})
    assert ["traffic"] == refused(created)
    assert [(0, 30)] == [
        (guard.value, guard.limit)
        for guard in created.guards
        if guard.name == "traffic"
    ]


@each_case(
    "comment, days, reason",
    [
        ("# period: 2026-02-01 to {before}\n", 30, ""),
        (
            "# period: 2026-02-01 to {before}\n",
            29,
            "ended 30 days ago, on {before}, and `maxAgeDays` is 29",
        ),
        ("# period: 2026-02-01 to {tomorrow}\n", 1, ""),
        (
            "# period: 2026-02-01 to 2999-01-01\n",
            30,
            "ends in the future, on 2999-01-01, and `maxAgeDays` is 30",
        ),
        (
            "# period: unknown\n",
            3000,
            "does not say when it ended, and `maxAgeDays` is 3000",
        ),
        ("", 3000, "does not say when it ended, and `maxAgeDays` is 3000"),
        ("", None, ""),
    ],
)
def test_an_old_sample_is_a_finding_and_with_the_guard_a_refusal(
    comment: str, days: int | None, reason: str
) -> None:
    """Its age is that at the time of the plan; without a limit, any sample is ok."""
    before, tomorrow = (
        f"{NOW + timedelta(days=offset):%Y-%m-%d}" for offset in (-30, 1)
    )
    sample = comment.format(before=before, tomorrow=tomorrow) + "intent,count\nx,30\n"
    read = read_traffic(sample.encode(), "t.csv", BotAttributes(), max_age_days=days)
    created = schedule_steps(find_changes(desired(), live(), PlanOptions(), NOW))
    for guard in ({"traffic": {"percent": 100}}, {}):
        checked = check_guards(assess(created, read), environment(guard=guard))
        actual = [
            finding.message for finding in checked.findings if finding.code == "CXR235"
        ]
        assert [f"the traffic sample {reason.format(before=before)}"] * bool(
            reason
        ) == actual
        assert ["traffic"] * bool(reason and guard) == refused(checked)
        assert all(
            reason.format(before=before) in result.message
            for result in guard_refusals(checked)
        )


def test_an_unproven_order_needs_a_reason() -> None:
    """`transient` names the rules; `--allow transient` lifts it."""
    assessed = assess(
        schedule_steps(find_changes(desired(), live(), PlanOptions(), NOW))
    )
    unproven = replace(assessed, unproven=(address("cards/a"),))
    created = check_guards(unproven, environment())
    assert ["transient"] == refused(created)
    assert "cards/a" in guard_refusals(created)[0].message
    assert [] == refused(lift_guards(created, ["transient"], "CHG-9"))


def test_an_incomplete_analysis_is_not_ok() -> None:
    """Beyond the bound of work the impact is unknown, so the guards of conversations refuse."""
    created = foreseen(desired(), [], "intent,count\nx,1\n")
    bounded = replace(
        created,
        impact=Impact(
            BehaviourChange(regions=(), undecided=((Clause(intent_is("x")),),))
        ),
    )
    limits = {"protected": ["cards/x"], "traffic": {"percent": 5}}
    assert ["protected", "unrouted", "traffic"] == refused(
        check_guards(bounded, environment(guard=limits))
    )


def test_each_name_of_a_guard_has_a_check() -> None:
    """An Environment with every limit has a result of each guard, in the order of the names. Only
    `promises` needs documents of its own.
    """
    limits = {
        name: field.examples[0]
        for name, field in Guard.model_fields.items()
        if name != "allow" and field.examples
    }
    freeze = Environment.model_fields["freeze"].examples
    assert freeze
    created = foreseen(desired(), [], guard=limits, freeze=freeze[0])
    assert [name for name in GUARD_NAMES if name != "promises"] == [
        guard.name for guard in created.guards
    ]


def temporary(where: str) -> LiveRule:
    """Return a temporary copy from an earlier run."""
    item = managed("copy", where, rule("r0"))
    assert item.marker is not None
    return replace(item, marker=replace(item.marker, copy=True))


def test_the_delete_of_a_temporary_copy_counts_in_no_guard() -> None:
    """The run created it, and the rule itself stays."""
    limits = {
        "deletes": {"count": 0, "percent": 0},
        "changes": {"count": 0},
        "protected": ["cards/r0"],
    }
    created = guarded(kept(1), [*many(1), temporary("cards/r0")], guard=limits)
    assert 1 == len(created.changes)
    assert [] == refused(created)
    assert {"deletes": 0, "changes": 0} == {
        guard.name: guard.value
        for guard in created.guards
        if guard.name in limits and guard.name != "protected"
    }


def test_deleting_a_duplicate_empties_nothing_and_keeps_protected_rules() -> None:
    """The original stays; the delete itself still counts."""
    twins = [
        managed(n, "cards/r0", rule("r0"), dateCreated=f"2026-01-0{n}T00:00:00Z")
        for n in ("1", "2")
    ]
    created = guarded(kept(1), twins, **PROTECTED)
    assert 1 == len(created.changes)
    assert [] == refused(created)
    assert ["deletes"] == refused(
        guarded(kept(1), twins, guard={"deletes": {"count": 0, "percent": 0}})
    )


def test_only_the_protected_rules_are_named() -> None:
    """Independent of the number of other changes."""
    created = guarded(
        desired(*(wanted(f"cards/r{n}", rule(f"r{n}", priority=n)) for n in range(3))),
        many(3),
        **PROTECTED,
    )
    result = next(guard for guard in created.guards if guard.name == "protected")
    assert (1, "protected rules would change: cards/r0") == (
        result.value,
        result.message,
    )


def test_the_rules_that_lose_conversations_are_named_up_to_five() -> None:
    """Managed rules by address, others by their live name in quotes; the rest is counted."""
    created = foreseen(desired(), many(7), guard={"deletes": {"count": 9}})
    message = next(
        refusal.message
        for refusal in guard_refusals(created)
        if refusal.name == "unrouted"
    )
    assert message.endswith(
        "(today by cards/r0, cards/r1, cards/r2, cards/r3, cards/r4 and 2 more)"
    )
    hand = unmanaged("1", rule("by hand\x1b", conditions=[intent_is("x")]))
    want = desired(wanted("cards/x", rule("x", targets=NO_WEIGHT), adopt="by hand\x1b"))
    message = next(
        refusal.message
        for refusal in guard_refusals(foreseen(want, [hand]))
        if refusal.name == "unrouted"
    )
    assert message.endswith('(today by "by hand\\u001b")')


def test_a_freeze_has_the_time_zone_of_its_environment() -> None:
    """Its own one comes first; without both it is UTC."""
    window = {"start": "2026-12-24", "end": "2026-12-24"}
    eve = datetime.fromisoformat("2026-12-23T23:30:00+00:00")
    for said, is_frozen in (
        ({"timezone": "Europe/Berlin", "freeze": [window]}, True),
        ({"freeze": [window]}, False),
        (
            {"timezone": "Europe/Berlin", "freeze": [{**window, "timezone": "UTC"}]},
            False,
        ),
    ):
        assert is_frozen is bool(freeze_reason(environment(**said), eve)), said


def test_an_exception_at_a_date_ends_after_31_days() -> None:
    """The last date has no next one."""
    allow = [{"name": "freeze", "at": "2026-12-24T00:00Z", "reason": "x"}]
    frozen = environment(
        freeze=[{"start": "2026-01-01", "end": "2027-12-31"}], guard={"allow": allow}
    )
    date = datetime.fromisoformat("2026-12-24T00:00:00+00:00")
    assert "" == freeze_reason(frozen, date + timedelta(days=31), since=date)
    assert freeze_reason(frozen, date + timedelta(days=31, seconds=1), since=date)
