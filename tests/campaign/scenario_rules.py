"""Short forms for scenarios: managed and unmanaged rules as the server stores them, desired rules,
conversations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from itertools import product
from typing import Any, Final

from reconciler.core.desired.desired import DesiredState
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Rule, Target, to_api_json
from reconciler.core.plan.stages import PlanOptions
from tests.campaign.scenario import ROOMY, Json, Scenario
from tests.support.builders import (
    OWNER,
    at_least,
    desired,
    intent_is,
    managed,
    rule,
    unmanaged,
    wanted,
)
from tests.support.in_process_tenant import raw

CARDS = (Target("q-cards", 1),)
FRAUD = (Target("q-fraud", 1),)
GENERAL = (Target("q-general", 1),)
CATCH_ALL: Final = rule("all", priority=900, conditions=[], targets=GENERAL)
MOST_CONVERSATIONS: Final = 40
_CREATED: Final = "2026-01-05T09:00:00.000Z"


def at(name: str, **said: Any) -> Rule:
    """A rule for one intent, by default that of its name; `more` are further conditions."""
    intent = said.pop("intent", name)
    return rule(name, conditions=[intent_is(intent), *said.pop("more", ())], **said)


def sure(name: str, confidence: float, **said: Any) -> Rule:
    """A rule for one intent with a high confidence."""
    return at(name, more=[at_least(confidence)], **said)


def everything(**said: Any) -> Rule:
    """The catch-all, with changed fields."""
    return replace(CATCH_ALL, **said)


def stored(live: LiveRule, **own: Any) -> Json:
    """A rule as the server stores it, with the fields that it adds to every rule."""
    return {
        **raw(live),
        "version": 1,
        "dateCreated": _CREATED,
        "dateModified": _CREATED,
        **own,
    }


def ours(where: str, what: Rule, **said: Any) -> Json:
    """A managed rule at an address; `rule_id`, `owner` and `last_written` may be given, others are
    further fields.
    """
    rule_id = said.pop("rule_id", f"id-{where.rpartition('/')[2]}")
    marks = {name: said.pop(name) for name in ("owner", "last_written") if name in said}
    return stored(managed(rule_id, where, what, **marks), **said)


def live(**rules: Rule) -> list[Json]:
    """Managed rules of the RuleSet `cards`, by key."""
    return [ours(f"cards/{_key(name)}", rule) for name, rule in rules.items()]


def theirs(rule_id: str, what: Rule, **own: Any) -> Json:
    """A rule without an own marker, with the given description."""
    return stored(unmanaged(rule_id, what), **own)


def goal(**rules: Rule) -> DesiredState:
    """The desired rules of the RuleSet `cards`, by key."""
    return goals({f"cards/{_key(name)}": rule for name, rule in rules.items()})


def goals(rules: dict[str, Rule], *rulesets: str, **adopts: Any) -> DesiredState:
    """The desired rules, by address; `rulesets` are empty ones, `adopts` has the adopted rules by
    key.
    """
    wishes = [
        wanted(where, rule, adopt=adopts.get(where.rpartition("/")[2]))
        for where, rule in rules.items()
    ]
    actual = desired(*wishes)
    return replace(actual, rulesets=actual.rulesets | {*rulesets})


def scenario(
    name: str, kinds: str, rules: Iterable[Json], wish: DesiredState, **more: Any
) -> Scenario:
    """A scenario; `kinds` are separated by commas.

    The watched conversations follow from the rules.
    """
    before = tuple(rules)
    limits = {
        "name": "prod",
        "owner": OWNER,
        "tenant": "acme",
        "guard": more.pop("guard", ROOMY),
    }
    more |= {
        "environment": Environment.model_validate(limits),
        "options": more.pop("options", PlanOptions()),
    }
    actual = frozenset(kind.strip() for kind in kinds.split(","))
    return Scenario(name, before, wish, conversations(before, wish), actual, **more)


def conversations(rules: Iterable[Json], wish: DesiredState) -> tuple[Json, ...]:
    """One conversation for each decisive value, with values of different attributes combined."""
    conditions = [
        item for each in rules for item in each["conditions"] if isinstance(item, dict)
    ]
    conditions += [
        to_api_json(condition)
        for each in wish.rules.values()
        for condition in each.rule.conditions
    ]
    values: dict[str, dict[Any, None]] = {"cognigyDetectedIntent": {"elsewhere": None}}
    for element in conditions:
        if "attributeName" in element and "operator" in element:
            values.setdefault(element["attributeName"], {}).update(
                dict.fromkeys(_telling(element))
            )
    choices = [
        [(name, value) for value in (*actual, None)] for name, actual in values.items()
    ]
    combined = [
        {name: value for name, value in each if value is not None}
        for each in product(*choices)
    ]
    step = -(-len(combined) // MOST_CONVERSATIONS)
    return tuple(combined[:: step if step % 2 or step == 1 else step + 1])


def _telling(one: Json) -> list[Any]:
    """Return values on both sides of a condition's bounds."""
    value = one.get("value")
    actual = value if isinstance(value, list) else [] if value is None else [value]
    numbers = [
        item
        for item in actual
        if isinstance(item, (int, float)) and not isinstance(item, bool)
    ]
    return [*actual, *(round(number - 0.05, 4) for number in numbers)]


def _key(name: str) -> str:
    return name.replace("_", "-")
