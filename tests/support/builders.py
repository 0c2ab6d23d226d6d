"""Short ways to write rules in tests: fields that a test does not set are the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.model.live import (
    LiveRule,
    Marker,
    fingerprint,
    format_description,
    marker_digest,
)
from reconciler.core.model.rule import (
    Address,
    Condition,
    Queue,
    Rule,
    Source,
    Target,
    make_condition,
    normalized_conditions,
    sorted_targets,
)
from reconciler.core.plan.impact import NO_IMPACT
from reconciler.core.plan.stages import Changes, LiveState, Plan
from reconciler.core.text.phrases import Labels

OWNER = "acme"
MARKER = Marker(OWNER, Address("cards", "vip"), "00000000")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
QUEUES = (
    Queue("q-cards", "Card Services"),
    Queue("q-fraud", "Fraud"),
    Queue("q-general", "General"),
)
LABELS = Labels({"cognigyDetectedIntent": "intent", "cognigyConfidence": "confidence"})


def intent_is(intent: str) -> Condition:
    return make_condition("cognigyDetectedIntent", "equals", intent)


def at_least(confidence: float) -> Condition:
    return make_condition("cognigyConfidence", "greaterThanOrEqual", confidence)


def rule(name: str = "vip", **said: Any) -> Rule:
    """A rule from intent `name` to Card Services at priority 100, with the given changes."""
    fields: dict[str, Any] = {
        "description": f"Routes {name}",
        "priority": 100,
        "enabled": True,
        "conditions": [intent_is(name)],
        "targets": [Target("q-cards", 1)],
        **said,
    }
    conditions = normalized_conditions(fields.pop("conditions"))
    targets = sorted_targets(fields.pop("targets"))
    return Rule(name=name, conditions=conditions, targets=targets, **fields)


def address(text: str) -> Address:
    ruleset, key = text.split("/")
    return Address(ruleset, key)


def wanted(where: str, what: Rule, **said: Any) -> DesiredRule:
    """A desired rule at an address."""
    fields: dict[str, Any] = {
        "source": Source("manifests/x.yaml", 1, 1),
        "hold": None,
        "adopt": None,
        **said,
    }
    return DesiredRule(
        address=address(where), rule=what, fingerprint=fingerprint(what), **fields
    )


def desired(*rules: DesiredRule) -> DesiredState:
    """The desired state of the manifests; its RuleSets are those of the rules."""
    return DesiredState(
        environment="prod",
        owner=OWNER,
        rules={rule.address: rule for rule in rules},
        rulesets=frozenset(rule.address.ruleset for rule in rules),
        findings=(),
        labels=LABELS,
    )


def unmanaged(rule_id: str, what: Rule, **raw: Any) -> LiveRule:
    """A live rule without a marker."""
    return LiveRule(
        rule_id,
        what,
        None,
        {"id": rule_id, "name": what.name, "description": what.description, **raw},
    )


def managed(
    rule_id: str,
    where: str,
    what: Rule,
    *,
    owner: str = OWNER,
    last_written: Rule | None = None,
    **raw: Any,
) -> LiveRule:
    """A live rule with a marker; `last_written` is the rule of its digest, if the rule was edited
    since.
    """
    marker = Marker(owner, address(where), marker_digest(last_written or what))
    return LiveRule(
        rule_id,
        what,
        marker,
        {
            "id": rule_id,
            "name": what.name,
            "description": format_description(what, marker),
            **raw,
        },
    )


def live(*rules: LiveRule) -> LiveState:
    """One read of a tenant with these rules."""
    return LiveState(rules, QUEUES)


def unchecked(changes: Changes) -> Plan:
    """Return the changes as a plan without an order, an analysis and guards."""
    return Plan(
        **Changes.parts_of(changes),
        steps=(),
        unproven=(),
        impact=NO_IMPACT,
        promises=(),
        guards=(),
    )
