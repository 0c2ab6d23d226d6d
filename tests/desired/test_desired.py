"""Desired rules: which of the manifests' rules an environment has, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.desired.desired import DesiredState, expand_manifests
from reconciler.desired.queues import OfflineQueueResolver
from reconciler.errors import ManifestError
from reconciler.manifest.load import load_manifests
from reconciler.text.phrases import condition_phrase
from tests.support.written_manifests import ENVIRONMENT, HEAD

STAGING = ENVIRONMENT.replace("name: prod", "name: staging").replace("tenant: acme", "tenant: acme-test")
CARDS = "{intent: lost, queue: Cards}"


def wanted_in(room: Path, name: str, *rules: str, ruleset: str = "") -> DesiredState:
    """Return what manifests with these rules, one on each line from 5 on, want in an environment."""
    (room / "environments.yaml").write_text(f"{ENVIRONMENT}---\n{STAGING}", "utf-8")
    head = HEAD.replace("rules:", f"{ruleset}rules:")
    (room / "rules.yaml").write_text(head + "".join(f"  - {rule}\n" for rule in rules), "utf-8")
    manifests = load_manifests(room)
    return expand_manifests(manifests, manifests.environments[name].document, OfflineQueueResolver(name, {}))


def errors(room: Path, *rules: str) -> list[tuple[str, int, str, str]]:
    """Return what is wrong in prod: code, line, message, hint."""
    with pytest.raises(ManifestError) as caught:
        wanted_in(room, "prod", *rules)
    return [(one.code, one.source.line, one.message, one.hint) for one in caught.value.findings if one.source]


@pytest.mark.parametrize(
    ("name", "keys"), [("prod", ["lost", "first", "last"]), ("staging", ["lost", "middle", "last"])]
)
def test_a_rule_for_other_environments_takes_no_other_rule_with_it(room: Path, name: str, keys: list[str]) -> None:
    """Only that rule is left out: the rules behind it stay, or apply would delete them."""
    rules = (
        CARDS,
        "{intent: first, queue: Cards, environments: [prod]}",
        "{intent: middle, queue: Cards, environments: [staging]}",
        "{intent: last, queue: Cards, environments: [prod, staging]}",
    )
    assert keys == [address.key for address in wanted_in(room, name, *rules).rules]


def test_a_ruleset_for_other_environments_is_not_there(room: Path) -> None:
    """Nor does it count as one that is emptied."""
    elsewhere = wanted_in(room, "staging", CARDS, ruleset="environments: [prod]\n")
    assert ({}, frozenset()) == (elsewhere.rules, elsewhere.rulesets)
    assert frozenset({"cards"}) == wanted_in(room, "prod", CARDS, ruleset="environments: [prod]\n").rulesets


def test_two_rules_with_one_address_are_an_error_at_the_second(room: Path) -> None:
    """Neither replaces the other in silence; the message says where the first one stands."""
    twice = ("{key: lost, intent: lost, queue: Cards}", "{key: lost, intent: stolen, queue: Fraud}")
    message = "rule cards/lost is defined twice in prod, first at manifests/rules.yaml:5"
    assert [("CXR109", 6, message, "give one of them another `key`")] == errors(room, *twice)


def test_two_rules_with_one_name_are_an_error_at_the_second(room: Path) -> None:
    """A name is what the tenant's people know a rule by."""
    twice = ("{intent: lost, name: Cards, queue: Cards}", "{intent: stolen, name: Cards, queue: Fraud}")
    message = "rule name 'Cards' is already used by cards/lost at manifests/rules.yaml:5"
    assert [("CXR110", 6, message, "give one of them a `name`")] == errors(room, *twice)


def test_one_address_in_two_environments_is_no_duplicate(room: Path) -> None:
    """Each environment has one of them."""
    rules = (
        "{key: lost, intent: lost, queue: Cards, environments: [prod]}",
        "{key: lost, intent: stolen, queue: Fraud, environments: [staging]}",
    )
    assert [1, 1] == [len(wanted_in(room, name, *rules).rules) for name in ("prod", "staging")]


def test_after_so_many_errors_the_other_rules_are_not_looked_at(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One says that there may be more; nobody corrects a thousand at once."""
    monkeypatch.setattr("reconciler.desired.desired.MAX_FINDINGS", 3)
    wrong = [f"{{intent: i{n}, queue: '${{none}}'}}" for n in range(5)]
    found = errors(room, *wrong)
    assert ["CXR107"] * 4 == [code for code, *_ in found]
    assert (5, 6, 7) == tuple(line for _, line, *_ in found[:3])
    message = "3 errors, and possibly more: further rules are not checked"
    assert (message, "fix these errors first") == found[3][2:]


@pytest.mark.parametrize(
    ("rule", "code", "message", "hint"),
    [
        (
            "{intents: [a, b], queue: Cards}",
            "CXR108",
            "a rule without exactly one intent has no default key",
            "write a `key`",
        ),
        ("{intent: ' ! ', queue: Cards}", "CXR108", "intent ' ! ' cannot be converted to a key", "write a `key`"),
        (
            f"{{intents: [{'x' * 65}], queue: Cards}}",
            "CXR108",
            f"intent '{'x' * 65}' cannot be converted to a key: it is too long",
            "write a `key`",
        ),
        (
            "{intent: a, queue: Cards, description: 'a [cxroute: b'}",
            "CXR104",
            "a description must not contain '[cxroute:'",
            "",
        ),
        (
            r'{intent: a, queue: Cards, description: "a\r"}',
            "CXR104",
            "a description must not end in a carriage return",
            "",
        ),
        (
            r'{intent: a, queue: "Cards\r"}',
            "CXR104",
            "a description must not end in a carriage return",
            "the queue's name ends in one: write a `description`",
        ),
    ],
)
def test_what_cannot_be_a_key_or_a_description(room: Path, rule: str, code: str, message: str, hint: str) -> None:
    """A key is made of one intent; a description ends where the line begins that says whose rule it is."""
    assert [(code, 5, message, hint)] == errors(room, rule)


@pytest.mark.parametrize(
    ("rule", "asks"),
    [
        ("{intent: a, queue: Q}", ["confidence >= 0.6", 'intent is "a"']),
        ("{intent: a, queue: Q, minConfidence: null}", ['intent is "a"']),
        ("{intent: a, queue: Q, minConfidence: 0.8}", ["confidence >= 0.8", 'intent is "a"']),
        ("{key: b, intents: [a, b], queue: Q}", ["confidence >= 0.6", 'intent is one of "a", "b"']),
        ("{key: b, intent: '', queue: Q}", ['intent is ""']),
        ("{key: b, queue: Q, when: []}", []),
        ("{key: b, queue: Q, belowConfidence: 0.5}", ["confidence < 0.5"]),
        (
            "{key: b, queue: Q, intent: a, when: [{attribute: tier, equals: gold}]}",
            ["confidence >= 0.6", 'intent is "a"', 'tier is "gold"'],
        ),
    ],
)
def test_what_a_rule_asks(room: Path, rule: str, asks: list[str]) -> None:
    """The defaults' confidence holds for rules about intents, unless they say otherwise; an empty intent has none."""
    desired = wanted_in(room, "prod", rule, ruleset="defaults: {minConfidence: 0.6}\n")
    (one,) = desired.rules.values()
    assert asks == sorted(condition_phrase(each, desired.labels) for each in one.rule.conditions)


@pytest.mark.parametrize(
    ("rule", "found"),
    [
        ("{key: b, queue: Q}", ["CXR120"]),
        ("{key: b, queue: Q, when: []}", []),
        ("{key: b, queue: Q, minConfidence: 0.5}", []),
        ("{key: b, queue: Q, belowConfidence: 0.5}", []),
        ("{intent: b, queue: Q}", []),
        ("{key: b, intents: [b], queue: Q}", []),
    ],
)
def test_who_forgot_the_conditions_is_warned(room: Path, rule: str, found: list[str]) -> None:
    """Any condition, or the word that there is none, is enough."""
    assert found == [finding.code for finding in wanted_in(room, "prod", rule).findings]
