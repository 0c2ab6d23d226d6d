"""The shipped example of a retail bank: its manifests and its tenant."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.checks.adequacy import measure_adequacy
from reconciler.core.checks.route_tests import check, with_promises
from reconciler.core.desired.desired import DesiredState, expand_manifests
from reconciler.core.desired.queues import QueueResolver, resolve_aliases
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model import live as marker
from reconciler.core.model.operators import OPERATORS
from reconciler.core.model.rule import Condition, Queue
from tests.support.builders import NOW

ROOT = Path(__file__).parents[2]
MANIFESTS = load_manifests(ROOT / "manifests", NOW)
BANK = json.loads(
    (ROOT / "reconciler/features/practice/simulator/tenants/bank.json").read_text(
        encoding="utf-8"
    )
)
CATALOGUE = [intent for loaded in MANIFESTS.intents for intent in loaded.document.names]
INTENT = "cognigyDetectedIntent"


def desired(environment: str, queues: Iterable[Queue]) -> DesiredState:
    chosen = MANIFESTS.environments[environment].document
    return expand_manifests(
        MANIFESTS,
        chosen,
        QueueResolver(environment, resolve_aliases(MANIFESTS, environment), queues),
    )


def on_the_bank(environment: str) -> DesiredState:
    return desired(
        environment, [Queue(queue["id"], queue["name"]) for queue in BANK["queues"]]
    )


def intents_of(wanted: DesiredState) -> set[str]:
    """Return the intents of a rule."""
    actual: set[str] = set()
    for rule in wanted.rules.values():
        for part in rule.rule.conditions:
            if (
                isinstance(part, Condition)
                and part.attribute == INTENT
                and part.value is not None
            ):
                actual |= set(
                    map(
                        str,
                        part.value if isinstance(part.value, tuple) else (part.value,),
                    )
                )
    return actual


def written(rule: dict[str, Any]) -> str:
    """Return the canonical JSON of a rule, derived only from ownership "The digest"."""
    text, _ = marker.parse_marker(rule["description"])
    retained = {name: rule[name] for name in ("name", "priority", "enabled")} | {
        "description": text
    }
    for name in ("conditions", "targets"):
        retained[name] = sorted(rule[name], key=canonical)
    return canonical(retained)


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def adoptions(environment: str) -> dict[str, list[dict[str, Any]]]:
    """Return, for each address with `adopt:`, the matching rules of the bank."""
    actual = {}
    for address, item in on_the_bank(environment).rules.items():
        if item.adopt is not None:
            field, intended = (
                ("name", item.adopt)
                if isinstance(item.adopt, str)
                else ("id", str(item.adopt.id))
            )
            actual[str(address)] = [
                rule for rule in BANK["rules"] if rule[field] == intended
            ]
    return actual


def test_the_intents_are_those_of_banking77() -> None:
    """The 77 names of the data set, with its spelling, each once."""
    assert 77 == len(CATALOGUE) == len(set(CATALOGUE))
    assert {"reverted_card_payment?", "Refund_not_showing_up"} <= set(CATALOGUE)
    assert (
        "e919f977c41df2c670c5f921b982da9f8dde8aa162f2413b30413188b68a3227"
        == sha256("\n".join(sorted(CATALOGUE)).encode()).hexdigest()
    )


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_every_intent_is_routed_by_name(environment: str) -> None:
    """Each declared intent occurs in a rule, and each intent of a rule is declared."""
    assert set(CATALOGUE) == intents_of(on_the_bank(environment))


def test_staging_has_its_own_queues() -> None:
    """Staging uses the queues of queues.yaml, not the real fraud and priority desks."""
    names = {queue["name"] for queue in BANK["queues"]} - {
        "Fraud Desk",
        "Priority Desk",
    }
    names |= {"Fraud Desk (test)", "Priority Desk (test)"}
    extra = set(desired("staging", [Queue(name, name) for name in names]).rules) - set(
        on_the_bank("prod").rules
    )
    assert {("smoke-tests", "nightly-call")} == extra


def test_prod_protects_rules_that_exist() -> None:
    """Each protected address of prod is a rule: a typo would protect nothing."""
    protected = MANIFESTS.environments["prod"].document.guard.protected
    assert set() == set(map(str, protected)) - set(map(str, on_the_bank("prod").rules))


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_every_adoption_finds_one_unmanaged_rule(environment: str) -> None:
    """Each `adopt:` matches exactly one unmanaged rule of the bank, and no two match the same
    rule.
    """
    actual = adoptions(environment)
    assert dict.fromkeys(actual, 1) == {
        address: len(rules) for address, rules in actual.items()
    }
    ids = [rules[0]["id"] for rules in actual.values()]
    assert 8 == len(ids) == len(set(ids))
    assert [] == [
        rule["name"]
        for rules in actual.values()
        for rule in rules
        if "[" in rule["description"]
    ]


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_nothing_conflicts_after_the_adoptions(environment: str) -> None:
    """No rule that stays unmanaged has the name of a desired rule."""
    adopted = {
        rule["id"] for rules in adoptions(environment).values() for rule in rules
    }
    remaining = {rule["name"] for rule in BANK["rules"] if rule["id"] not in adopted}
    assert set() == remaining & {
        rule.rule.name for rule in on_the_bank(environment).rules.values()
    }


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("environment", ["sandbox", "staging", "prod"])
def test_route_tests_and_promises_notice_nearly_every_edit(environment: str) -> None:
    """At most 2 % of the single edits that move callers are unnoticed; each promise is kept, in
    each of its forms.
    """
    checked = with_promises(
        check(MANIFESTS, MANIFESTS.environments[environment].document)
    )
    assert {None} == {result.failure for result in checked.tried}
    promises = [
        entry for loaded in MANIFESTS.promises for entry in loaded.document.promises
    ]
    assert all(
        any(getattr(entry, form) for entry in promises)
        for form in ("always", "never", "decided_by", "split")
    )
    adequacy = measure_adequacy(checked)
    assert 0 == adequacy.undecided
    assert adequacy.edits > 500
    assert (
        []
        == [each.edit.before.name for each in adequacy.unnoticed][
            adequacy.edits // 50 :
        ]
    )


def test_the_bank_is_consistent() -> None:
    """Ids are unique, each target is a queue of the tenant, and queue names are unique."""
    queues = {queue["id"]: queue["name"] for queue in BANK["queues"]}
    assert len(BANK["queues"]) == len(queues) == len(set(queues.values()))
    assert len(BANK["rules"]) == len({rule["id"] for rule in BANK["rules"]})
    assert set() == {
        target["queueId"] for rule in BANK["rules"] for target in rule["targets"]
    } - set(queues)


def test_the_bank_has_no_rule_of_this_owner() -> None:
    """Markers in the bank are those of another owner, each with the digest of its rule."""
    markers = {
        rule["id"]: marker.parse_marker(rule["description"])[1]
        for rule in BANK["rules"]
    }
    signed = [
        (rule, results)
        for rule in BANK["rules"]
        if (results := markers[rule["id"]]) is not None
    ]
    assert ["branch-appointments"] * 3 == [actual.owner for _, actual in signed]
    assert [actual.digest for _, actual in signed] == [
        sha256(written(rule).encode()).hexdigest()[:8] for rule, _ in signed
    ]


def test_the_bank_has_the_features_of_real_tenants() -> None:
    """Disabled rules, ties, equal names, unusual names, and an unknown operator."""
    rules = BANK["rules"]
    names = Counter(rule["name"] for rule in rules)
    ties = Counter(rule["priority"] for rule in rules if rule["enabled"])
    operators = {part["operator"] for rule in rules for part in rule["conditions"]}
    assert 3 == sum(not rule["enabled"] for rule in rules)
    assert {"transfer"} == {name for name, count in names.items() if count > 1}
    assert {" card delivery"} == {name for name in names if name != name.strip()}
    assert {"⭐", "🎄", "💳", "ü", "é"} <= set("".join(names))
    assert {"matchesRegex"} == operators - OPERATORS.keys()
    assert 2 == ties[850]
    assert {"workflowHints", "legacyFlags", "division"} <= {
        field for rule in rules for field in rule
    }
