"""Guards: each with its number and limit, refusing just what it is for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.guard import guard, lift, refusals
from reconciler.manifest.environment import Environment
from reconciler.plan import Options, Plan, plan
from tests.builders import NOW, OWNER, desired, live, managed, rule, wanted

if TYPE_CHECKING:
    from reconciler.change import LiveRule
    from reconciler.desired import Desired


def environment(**said: Any) -> Environment:
    """An Environment as its YAML would read."""
    return Environment.model_validate(
        {"apiVersion": "routing/v1", "kind": "Environment", "name": "prod", "owner": OWNER, "tenant": "acme", **said}
    )


def guarded(want: Desired, rules: list[LiveRule], **said: Any) -> Plan:
    return guard(plan(want, live(*rules), Options(), NOW), environment(**said))


def refused(made: Plan) -> list[str]:
    return [result.name for result in refusals(made)]


def many(count: int) -> list[LiveRule]:
    return [managed(str(n), f"cards/r{n}", rule(f"r{n}")) for n in range(count)]


def kept(count: int) -> Desired:
    return desired(*(wanted(f"cards/r{n}", rule(f"r{n}")) for n in range(count)))


@pytest.mark.parametrize(
    ("managed_rules", "deletes", "ok"),
    [(40, 12, True), (40, 13, False), (3, 2, True), (5, 3, False), (6, 2, True), (10, 3, True), (10, 4, False)],
)
def test_deletes_are_limited_by_count_or_percent_whichever_is_more(managed_rules: int, deletes: int, ok: bool) -> None:  # noqa: FBT001 - a table's column
    """The default is 2, or 30 % of what is managed."""
    made = guarded(kept(managed_rules - deletes), many(managed_rules))
    result = next(result for result in made.guards if result.name == "deletes")
    assert (deletes, max(2, managed_rules * 30 // 100), ok) == (result.value, result.limit, result.ok)


def test_the_message_says_number_and_limit() -> None:
    """As a person reads it."""
    made = guarded(kept(26), many(40))
    expected = "deletes 14 of 40 managed rules (35 %); the limit for prod is 12 (2 or 30 %, whichever is more)"
    assert expected == refusals(made)[0].message


def test_changes_are_limited_where_the_environment_says_so() -> None:
    """Updates and deletes count; creates do not."""
    want = desired(*(wanted(f"cards/r{n}", rule(f"r{n}", priority=1)) for n in range(5)), wanted("cards/n", rule("n")))
    assert [] == refused(guarded(want, many(5)))
    assert ["changes"] == refused(guarded(want, many(5), guard={"changes": {"count": 4}}))
    assert [] == refused(guarded(want, many(5), guard={"changes": {"count": 5}}))


def test_an_emptied_tenant_is_refused_however_small() -> None:
    """Even one rule: the RuleSet is still there, and nothing would be left."""
    assert ["emptied"] == refused(guarded(desired(), many(1)))
    emptied = replace(desired(wanted("other/x", rule("x"))), rulesets=frozenset({"cards", "other"}))
    assert ["emptied"] == refused(guarded(emptied, [*many(2), managed("9", "other/x", rule("x"))]))


def test_a_ruleset_that_is_gone_from_the_manifests_is_not_emptied() -> None:
    """Whoever deletes the file means it; `deletes` still counts."""
    want = desired(wanted("other/x", rule("x")))
    assert [] == refused(guarded(want, [*many(1), managed("9", "other/x", rule("x"))]))


def test_a_rule_replaced_by_another_empties_nothing() -> None:
    """One goes, one comes."""
    assert [] == refused(guarded(desired(wanted("cards/new", rule("new"))), many(1)))


PROTECTED = {"guard": {"protected": ["cards/r0"]}}


@pytest.mark.parametrize(
    ("after", "refuses"),
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
def test_a_protected_rule_keeps_what_decides_where_conversations_go(after: Any, refuses: bool) -> None:  # noqa: FBT001 - a table's column
    """Its words may change."""
    others = [wanted("cards/r1", rule("r1"))]
    want = desired(*others) if after is None else desired(wanted("cards/r0", after), *others)
    assert refuses == ("protected" in refused(guarded(want, many(2), **PROTECTED)))


def test_moving_a_protected_rule_to_another_address_is_refused() -> None:
    """The protection would not follow it."""
    want = desired(wanted("cards/else", rule("r0")), wanted("cards/r1", rule("r1")))
    assert ["protected"] == refused(guarded(want, many(2), **PROTECTED))


def test_an_entry_of_the_environment_lifts_a_guard_until_its_time() -> None:
    """And the plan goes on showing it, with its reason."""
    entry = {"name": "deletes", "until": (NOW + timedelta(hours=1)).isoformat(), "reason": "CHG-1042"}
    made = guarded(kept(1), many(9), guard={"allow": [entry]})
    assert [] == refused(made)
    assert ["CHG-1042 (until 2026-11-25T13:00:00+00:00)"] == [one.allowed for one in made.guards if one.allowed]
    unused = guarded(kept(9), many(9), guard={"allow": [entry]})
    assert ["deletes"] == [one.name for one in unused.guards if one.allowed]
    assert ["deletes"] == refused(guarded(kept(1), many(9), guard={"allow": [{**entry, "until": NOW.isoformat()}]}))


def test_a_reason_lifts_the_named_guards_alone() -> None:
    """`--allow deletes` does not lift `emptied`."""
    made = guarded(desired(), many(9))
    assert ["deletes", "emptied"] == refused(made)
    assert ["emptied"] == refused(lift(made, ["deletes"], "why"))


def test_a_frozen_environment_refuses_every_plan() -> None:
    """The plan's own time decides."""
    window = {"start": "2026-11-25", "end": "2026-11-25", "timezone": "UTC", "reason": "peak"}
    made = guarded(kept(1), many(1), freeze=[window])
    assert ["prod is frozen now: peak"] == [result.message for result in refusals(made)]
