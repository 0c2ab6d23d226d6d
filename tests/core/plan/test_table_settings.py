"""Settings beside the rules: a live fallback is a part of the comparison, of plans and of drift."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from reconciler.core.behaviour.endpoint_stage import (
    NO_FALLBACK,
    FallbackPolicy,
    TableSettings,
)
from reconciler.core.model.rule import CANONICAL_JSON, Rule
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.changes import find_changes
from reconciler.core.plan.drift import find_drift
from reconciler.core.plan.stages import Changes, LiveState, Plan, PlanOptions
from tests.support.brute_force import Json
from tests.support.brute_force_checks import QUEUES as QUEUE_NAMES
from tests.support.builders import NOW, QUEUES, desired, live, managed, rule, wanted
from tests.support.endpoint_oracle import (
    Behind,
    EventDifference,
    a_fallback,
    stage,
)
from tests.support.plans import complete
from tests.support.random_rules import a_rule, entry
from tests.tiers import size

VIP = rule()
NAMES = ("intent", "conf")


def settings(fallback: FallbackPolicy, more: str = "") -> TableSettings:
    """Return settings of a fallback and of something else."""
    content = CANONICAL_JSON.encode([fallback.settings, more])
    return TableSettings(fallback, content)


def plan_of(
    after: TableSettings,
    before: TableSettings | None,
    options: PlanOptions | None = None,
) -> Plan:
    """Return the plan that leaves one rule and makes these settings of those."""
    state = replace(
        desired(wanted("cards/vip", VIP)),
        endpoint=stage(after.fallback),
        settings=after,
    )
    tenant = replace(live(managed("1", "cards/vip", VIP)), settings=before)
    return complete(find_changes(state, tenant, options or PlanOptions(), NOW))


NONE = settings(NO_FALLBACK)
STRICT = settings(FallbackPolicy("none", 0.5))


def test_equal_settings_need_no_work() -> None:
    """Nothing is to be written, whatever the base of the command line was."""
    options = PlanOptions(base="main", base_fallback=FallbackPolicy("none", 0.9))
    for kept in (NONE, STRICT):
        plan = plan_of(kept, kept, options)
        assert not plan.has_work
        assert not plan.changes_endpoint


def test_other_settings_alone_are_work() -> None:
    """A changed fallback changes the endpoint; another setting only has to be saved."""
    plan = plan_of(STRICT, NONE)
    assert plan.has_work
    assert plan.changes_settings
    assert plan.changes_endpoint
    assert not plan.changes
    plan = plan_of(settings(NO_FALLBACK, "name"), NONE)
    assert plan.has_work
    assert not plan.changes_endpoint


def test_unknown_settings_are_not_compared() -> None:
    """A file of rules does not say what the settings are."""
    assert not plan_of(STRICT, None).has_work


def test_a_part_of_the_rules_keeps_the_settings() -> None:
    """With --only, and where there are no settings yet, the desired ones are saved."""
    part = PlanOptions(only=("cards/vip",))
    kept = plan_of(STRICT, NONE, part)
    assert not kept.has_work
    assert kept.desired.settings == NONE
    assert kept.desired.endpoint.fallback == NO_FALLBACK
    first = plan_of(STRICT, TableSettings(NO_FALLBACK, ""), part)
    assert first.has_work
    assert first.desired.settings == STRICT


def test_the_digests_depend_on_the_settings() -> None:
    """A saved plan belongs to the settings of its manifests and of its read."""
    plans = [plan_of(STRICT, NONE), plan_of(NONE, NONE), plan_of(STRICT, STRICT)]
    assert len({plan.manifest_digest for plan in plans}) == 2
    assert len({plan.live_digest for plan in plans}) == 2


@pytest.mark.parametrize("seed", range(size(fast=8, slow=80, full=800)))
def test_a_live_fallback_is_exact_in_plans_and_in_drift(seed: int) -> None:
    """The live rules stand behind the live fallback, those of the manifests behind their own:
    regions and effects hold for each event.
    """
    random = Random(seed)
    rules = [a_rule(random, f"k{at}", NAMES) for at in range(random.randint(1, 4))]
    now = Behind(rules, a_fallback(random))
    wish = Behind(rules if seed % 2 else rules[1:], a_fallback(random))
    expected = EventDifference(now, wish, "lowest-first")
    now, wish = expected.sides
    changes = compared(now, wish)
    plan = complete(changes)
    expected.check(impact_to_json(plan.impact, QUEUE_NAMES))

    drift = find_drift(changes)
    backwards = EventDifference(wish, now, "lowest-first")
    backwards.check(impact_to_json(drift.full_impact, QUEUE_NAMES))


def compared(now: Behind, wish: Behind) -> Changes:
    """Return the changes from live rules behind one fallback to desired ones behind another."""
    state = replace(
        desired(*(wanted(f"set/{form['id']}", parsed(form)) for form in wish.rules)),
        endpoint=stage(wish.fallback),
        settings=settings(wish.fallback),
    )
    rules = [
        managed(form["id"], f"set/{form['id']}", parsed(form)) for form in now.rules
    ]
    tenant = LiveState(tuple(rules), QUEUES, settings=settings(now.fallback))
    return find_changes(state, tenant, PlanOptions(), NOW)


def parsed(form: Json) -> Rule:
    """Return a rule of the oracle in the package's form."""
    return entry(form).rule
