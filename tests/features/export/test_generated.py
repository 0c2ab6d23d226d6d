"""An existing tenant, exported: valid, adopted unchanged by one apply, and no conversation goes
elsewhere.
"""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.desired.desired import expand_manifests
from reconciler.core.desired.queues import QueueResolver, resolve_aliases
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.change import Adopt
from reconciler.core.model.live import Marker, marker_digest
from reconciler.core.model.rule import Queue
from reconciler.core.plan.compare import compare_rules
from reconciler.core.plan.ownership import classify_by_owner
from reconciler.core.rule_json import parse_live_rule, rule_body
from reconciler.features.practice.simulator.state import TenantState
from tests.support.grown_tenants import (
    CONFIDENCE,
    INTENT,
    INTENTS,
    OWNER,
    GeneratedTenant,
    generate_tenant,
)
from tests.support.program import Program, write
from tests.support.simulated_routing import opaque_text, queue_shares
from tests.tiers import size

STATE = Path(".cxroute/sandbox.json")
ENVIRONMENT = (
    f"{{apiVersion: routing/v1, kind: Environment, name: sandbox, owner: {OWNER}}}\n"
)


def tenant(of: GeneratedTenant) -> None:
    """Give the sandbox these rules, and manifests that contain only its Environment."""
    for old in [*Path("manifests").rglob("*.yaml"), *STATE.parent.glob("*")]:
        old.unlink()
    write("environment.yaml", ENVIRONMENT)
    with TenantState.load(STATE, initial=TenantState(queues=of.queues, rules=of.rules)):
        pass


def live() -> list[dict[str, Any]]:
    """Return the tenant's rules."""
    with TenantState.load(STATE) as state:
        return [dict(rule) for rule in state.rules()]


def somebody(random: Random) -> dict[str, Any]:
    """Return a conversation."""
    given: dict[str, Any] = {
        INTENT: random.choice(INTENTS),
        CONFIDENCE: random.choice((0, 0.5, 0.6, 0.7, 0.95, 1)),
    }
    given["language"] = random.choice(("fr", "gold", "", 0.5, None))
    return {name: value for name, value in given.items() if random.random() < 0.8}


def destinations(rules: list[dict[str, Any]], seed: int) -> list[object]:
    """Return where some conversations go, by the simulator's own reading."""
    random = Random(seed)
    nothing: dict[str, bool] = dict.fromkeys(_texts(rules), False)
    return [queue_shares(rules, somebody(random), opaque=nothing) for _ in range(40)]


def _texts(rules: list[dict[str, Any]]) -> list[str]:
    return [opaque_text(item) for rule in rules for item in rule["conditions"]]


def told(stderr: str) -> set[str]:
    """Return the ids of the rules that the output lists as skipped."""
    return set(re.findall(r"skipped: .* \((r\d+)\): ", stderr))


def left_out_of_ties(of: GeneratedTenant, stderr: str) -> set[str]:
    """Return the ids of rules that share a name and a priority with others: a new name would change
    their order.
    """
    actual = set(re.findall(r"\((r\d+)\): another live rule has its name", stderr))
    names = Counter(rule["name"] for rule in of.rules)
    priorities = Counter(rule["priority"] for rule in of.rules if rule["enabled"])
    tied = {
        rule["id"]
        for rule in of.rules
        if names[rule["name"]] > 1 and priorities[rule["priority"]] > 1
    }
    assert actual <= tied
    return actual


def holds_for(cxroute: Program, of: GeneratedTenant, *into: str) -> None:
    """Export everything, plan, apply and plan again; check the claim at each step."""
    tenant(of)
    before = destinations(live(), 1)
    assert 0 == cxroute(
        "export", "--all", "-v", *(("--into", *into) if into else ())
    ), cxroute.err
    if not into:
        write("exported.yaml", cxroute.out)
    tied = left_out_of_ties(of, cxroute.err)
    assert of.kept_out | tied == told(cxroute.err)
    assert 0 == cxroute("validate"), cxroute.out + cxroute.err
    code, plan = cxroute.json("plan")
    assert (0, []) == (
        code,
        [item for item in plan["findings"] if item["severity"] == "error"],
    )
    changes = plan["changes"]
    assert {("adopt", rule) for rule in of.by_hand - tied} == {
        (change["action"], change["id"]) for change in changes
    }
    assert [] == [
        change
        for change in changes
        if {field["path"] for field in change["fields"]} - {"name"}
    ]
    assert (False, True) == (
        plan["behaviour"]["changed"],
        plan["behaviour"]["complete"],
    )
    assert 0 == cxroute("apply", "--yes"), cxroute.out + cxroute.err
    code, plan = cxroute.json("plan")
    assert (0, []) == (code, plan["changes"])
    assert before == destinations(live(), 1)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("size", [0, 1, 99, 100, 101])
def test_a_tenant_of_any_size_is_adopted_unchanged(cxroute: Program, size: int) -> None:
    """After export and one apply nothing is left to do, for any tenant; rules that are not
    representable stay.
    """
    holds_for(cxroute, generate_tenant(Random(size), size), "manifests/rules/")


@settings(
    max_examples=size(fast=3, slow=12),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(random=st.randoms(use_true_random=False), size=st.integers(0, 6))
def test_any_small_tenant_is_adopted_unchanged(
    cxroute: Program, random: Random, size: int
) -> None:
    """Also every small one, in one file."""
    holds_for(cxroute, generate_tenant(random, size))


@pytest.mark.campaign
def test_three_thousand_rules_are_adopted_unchanged(cxroute: Program) -> None:
    """Also 3,000, in seconds; the test itself applies the plan: each rule is sent once, with its
    marker.
    """
    of = generate_tenant(Random(3000), 3000)
    tenant(of)
    assert 0 == cxroute("export", "--all", "--into", "manifests/rules/", "-v"), (
        cxroute.err
    )
    assert "no conversation is routed differently" in cxroute.out
    sandbox = Environment(name="sandbox", owner=OWNER)
    queues = [Queue(queue["id"], queue["name"]) for queue in of.queues]
    manifests = load_manifests(Path("manifests"))
    desired = expand_manifests(
        manifests,
        sandbox,
        QueueResolver("sandbox", resolve_aliases(manifests, "sandbox"), queues),
    )
    rules = [parse_live_rule(rule) for rule in of.rules]
    changes = compare_rules(desired, classify_by_owner(rules, OWNER)).changes
    assert of.by_hand - left_out_of_ties(of, cxroute.err) == {
        change.live.id for change in changes if isinstance(change, Adopt)
    }
    stored = {
        change.live.id: sent(change) for change in changes if isinstance(change, Adopt)
    }
    after = [stored.get(rule["id"], rule) for rule in of.rules]
    assert (
        ()
        == compare_rules(
            desired, classify_by_owner(map(parse_live_rule, after), OWNER)
        ).changes
    )
    assert destinations(of.rules, 2) == destinations(after, 2)


def sent(change: Adopt) -> dict[str, Any]:
    """Return the rules that apply sends, which are then live."""
    marker = Marker(OWNER, change.address, marker_digest(change.after))
    return rule_body(change.after, marker, change.live.raw)
