"""The retail bank that is shipped: its manifests, and its tenant as found in life."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from reconciler.desired.desired import DesiredState, expand_manifests
from reconciler.desired.queues import QueueResolver, resolve_aliases
from reconciler.manifest.load import load_manifests
from reconciler.model import live as marker
from reconciler.model.rule import OPERATORS, Condition, Queue

ROOT = Path(__file__).parents[2]
MANIFESTS = load_manifests(ROOT / "manifests")
BANK = json.loads((ROOT / "reconciler/simulator/tenants/bank.json").read_text(encoding="utf-8"))
CATALOGUE = [intent for loaded in MANIFESTS.intents for intent in loaded.document.intents]
INTENT = "cognigyDetectedIntent"


def desired(environment: str, queues: Iterable[Queue]) -> DesiredState:
    chosen = MANIFESTS.environments[environment].document
    return expand_manifests(
        MANIFESTS, chosen, QueueResolver(environment, resolve_aliases(MANIFESTS, environment), queues)
    )


def on_the_bank(environment: str) -> DesiredState:
    return desired(environment, [Queue(queue["id"], queue["name"]) for queue in BANK["queues"]])


def intents_of(wanted: DesiredState) -> set[str]:
    """Return the intents that some rule names."""
    found: set[str] = set()
    for one in wanted.rules.values():
        for part in one.rule.conditions:
            if isinstance(part, Condition) and part.attribute == INTENT and part.value is not None:
                found |= set(map(str, part.value if isinstance(part.value, tuple) else (part.value,)))
    return found


def written(rule: dict[str, Any]) -> str:
    """Return the canonical JSON of what cxroute writes of a rule, made here from ownership "The digest" alone."""
    text, _ = marker.parse_marker(rule["description"])
    kept = {name: rule[name] for name in ("name", "priority", "enabled")} | {"description": text}
    for name in ("conditions", "targets"):
        kept[name] = sorted(rule[name], key=canonical)
    return canonical(kept)


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def adoptions(environment: str) -> dict[str, list[dict[str, Any]]]:
    """Return, for each address that says `adopt:`, the bank's rules that this can mean."""
    found = {}
    for address, one in on_the_bank(environment).rules.items():
        if one.adopt is not None:
            field, meant = ("name", one.adopt) if isinstance(one.adopt, str) else ("id", str(one.adopt.id))
            found[str(address)] = [rule for rule in BANK["rules"] if rule[field] == meant]
    return found


def test_the_catalogue_is_banking77() -> None:
    """The catalogue holds the 77 names of the data set, spelt as there, each once."""
    assert 77 == len(CATALOGUE) == len(set(CATALOGUE))
    assert {"reverted_card_payment?", "Refund_not_showing_up"} <= set(CATALOGUE)
    assert (
        "e919f977c41df2c670c5f921b982da9f8dde8aa162f2413b30413188b68a3227"
        == sha256("\n".join(sorted(CATALOGUE)).encode()).hexdigest()
    )


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_every_intent_is_routed_by_name(environment: str) -> None:
    """Each intent of the catalogue is named by some rule, and no rule names another."""
    assert set(CATALOGUE) == intents_of(on_the_bank(environment))


def test_staging_has_queues_of_its_own() -> None:
    """Staging needs the queues that queues.yaml gives it, not the real fraud and priority desks."""
    names = {queue["name"] for queue in BANK["queues"]} - {"Fraud Desk", "Priority Desk"}
    names |= {"Fraud Desk (test)", "Priority Desk (test)"}
    extra = set(desired("staging", [Queue(name, name) for name in names]).rules) - set(on_the_bank("prod").rules)
    assert {("smoke-tests", "nightly-call")} == extra


def test_prod_protects_rules_that_exist() -> None:
    """Each protected address of prod is a rule: a typo there would protect nothing."""
    protected = MANIFESTS.environments["prod"].document.guard.protected
    assert set() == set(map(str, protected)) - set(map(str, on_the_bank("prod").rules))


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_every_adoption_finds_one_unmanaged_rule(environment: str) -> None:
    """Each `adopt:` means exactly one rule of the bank, each another one, and none that somebody manages."""
    found = adoptions(environment)
    assert dict.fromkeys(found, 1) == {address: len(rules) for address, rules in found.items()}
    ids = [rules[0]["id"] for rules in found.values()]
    assert 8 == len(ids) == len(set(ids))
    assert [] == [rule["name"] for rules in found.values() for rule in rules if "[" in rule["description"]]


@pytest.mark.parametrize("environment", ["sandbox", "prod"])
def test_nothing_conflicts_after_the_adoptions(environment: str) -> None:
    """No rule that stays unmanaged has the name of a desired one."""
    adopted = {rule["id"] for rules in adoptions(environment).values() for rule in rules}
    left = {rule["name"] for rule in BANK["rules"] if rule["id"] not in adopted}
    assert set() == left & {one.rule.name for one in on_the_bank(environment).rules.values()}


def test_the_bank_is_a_tenant() -> None:
    """Ids are unique, each target is a queue of the tenant, and queues can be told apart by name."""
    queues = {queue["id"]: queue["name"] for queue in BANK["queues"]}
    assert len(BANK["queues"]) == len(queues) == len(set(queues.values()))
    assert len(BANK["rules"]) == len({rule["id"] for rule in BANK["rules"]})
    assert set() == {target["queueId"] for rule in BANK["rules"] for target in rule["targets"]} - set(queues)


def test_the_bank_was_never_managed_by_us() -> None:
    """Markers in the bank are those of another owner, each with the digest of its rule."""
    markers = {rule["id"]: marker.parse_marker(rule["description"])[1] for rule in BANK["rules"]}
    signed = [(rule, found) for rule in BANK["rules"] if (found := markers[rule["id"]]) is not None]
    assert ["branch-appointments"] * 3 == [found.owner for _, found in signed]
    assert [found.digest for _, found in signed] == [
        sha256(written(rule).encode()).hexdigest()[:8] for rule, _ in signed
    ]


def test_the_bank_is_as_found_in_life() -> None:
    """It holds what tenants hold: disabled rules, ties, namesakes, odd names, an operator that nobody knows."""
    rules = BANK["rules"]
    names = Counter(rule["name"] for rule in rules)
    ties = Counter(rule["priority"] for rule in rules if rule["enabled"])
    operators = {part["operator"] for rule in rules for part in rule["conditions"]}
    assert 3 == sum(not rule["enabled"] for rule in rules)
    assert {"transfer"} == {name for name, count in names.items() if count > 1}
    assert {" card delivery"} == {name for name in names if name != name.strip()}
    assert {"⭐", "🎄", "💳", "ü", "é"} <= set("".join(names))
    assert {"matchesRegex"} == operators - OPERATORS
    assert 2 == ties[850]
    assert {"workflowHints", "legacyFlags", "division"} <= {field for rule in rules for field in rule}
