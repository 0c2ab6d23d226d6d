"""Short ways to write rules in tests: what a test does not say is the same everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from reconciler.desired.desired import Desired, DesiredRule
from reconciler.model.live import LiveRule, Marker, digest, fingerprint, signed
from reconciler.model.rule import (
    Address,
    Condition,
    Queue,
    Rule,
    Source,
    Target,
    canonical_bag,
    canonical_set,
    condition,
)
from reconciler.plan.plan import Live

OWNER = "acme"
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
QUEUES = (Queue("q-cards", "Card Services"), Queue("q-fraud", "Fraud"), Queue("q-general", "General"))
LABELS = {"cognigyDetectedIntent": "intent", "cognigyConfidence": "confidence"}


def intent_is(intent: str) -> Condition:
    return condition("cognigyDetectedIntent", "equals", intent)


def at_least(confidence: float) -> Condition:
    return condition("cognigyConfidence", "greaterThanOrEqual", confidence)


def rule(name: str = "vip", **said: Any) -> Rule:
    """A rule that sends intent `name` to Card Services at priority 100, but for what is said."""
    fields: dict[str, Any] = {
        "description": f"Routes {name}",
        "priority": 100,
        "enabled": True,
        "conditions": [intent_is(name)],
        "targets": [Target("q-cards", 1)],
        **said,
    }
    conditions, targets = canonical_set(fields.pop("conditions")), canonical_bag(fields.pop("targets"))
    return Rule(name=name, conditions=conditions, targets=targets, **fields)


def address(text: str) -> Address:
    ruleset, key = text.split("/")
    return Address(ruleset, key)


def wanted(where: str, what: Rule, **said: Any) -> DesiredRule:
    """A desired rule at an address."""
    fields: dict[str, Any] = {"source": Source("manifests/x.yaml", 1, 1), "hold": None, "adopt": None, **said}
    return DesiredRule(address=address(where), rule=what, fingerprint=fingerprint(what), **fields)


def desired(*rules: DesiredRule) -> Desired:
    """What the manifests want, RuleSets being those of the rules."""
    return Desired(
        environment="prod",
        owner=OWNER,
        rules={one.address: one for one in rules},
        rulesets=frozenset(one.address.ruleset for one in rules),
        findings=(),
        labels=LABELS,
    )


def unmanaged(rule_id: str, what: Rule, **raw: Any) -> LiveRule:
    """A live rule without a marker."""
    return LiveRule(rule_id, what, None, {"id": rule_id, "name": what.name, "description": what.description, **raw})


def managed(
    rule_id: str, where: str, what: Rule, *, owner: str = OWNER, last_written: Rule | None = None, **raw: Any
) -> LiveRule:
    """A live rule with a marker; `last_written` is what its digest is of, where somebody edited the rule since."""
    marker = Marker(owner, address(where), digest(last_written or what))
    return LiveRule(
        rule_id, what, marker, {"id": rule_id, "name": what.name, "description": signed(what, marker), **raw}
    )


def live(*rules: LiveRule) -> Live:
    """One read of a tenant with these rules."""
    return Live(rules, QUEUES)
