"""Desired rules: the manifests' rules for an environment, and their errors."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.core.desired.desired import DesiredState, expand_manifests
from reconciler.core.desired.queues import OfflineQueueResolver
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import load_manifests
from reconciler.core.text.phrases import condition_phrase
from tests.support.cases import each_case
from tests.support.written_manifests import ENVIRONMENT, HEAD

STAGING = ENVIRONMENT.replace("name: prod", "name: staging").replace(
    "tenant: acme", "tenant: acme-test"
)
CARDS = "{intent: lost, queue: Cards}"


def desired_in(room: Path, name: str, *rules: str, ruleset: str = "") -> DesiredState:
    """Return the desired rules in an environment of manifests with these rules, one on each line
    from line 5.
    """
    (room / "environments.yaml").write_text(f"{ENVIRONMENT}---\n{STAGING}", "utf-8")
    head = HEAD.replace("rules:", f"{ruleset}rules:")
    (room / "rules.yaml").write_text(
        head + "".join(f"  - {rule}\n" for rule in rules), "utf-8"
    )
    manifests = load_manifests(room)
    return expand_manifests(
        manifests, manifests.environments[name].document, OfflineQueueResolver(name, {})
    )


def errors(room: Path, *rules: str) -> list[tuple[str, int, str, str]]:
    """Return the errors in prod: code, line, message, hint."""
    with pytest.raises(ManifestError) as caught:
        desired_in(room, "prod", *rules)
    return [
        (finding.code, finding.source.line, finding.message, finding.hint)
        for finding in caught.value.findings
        if finding.source
    ]


@pytest.mark.parametrize(
    ("name", "keys"),
    [("prod", ["lost", "first", "last"]), ("staging", ["lost", "middle", "last"])],
)
def test_only_a_rule_for_other_environments_is_skipped(
    room: Path, name: str, keys: list[str]
) -> None:
    """The rules after it stay, or apply would delete them."""
    rules = (
        CARDS,
        "{intent: first, queue: Cards, environments: [prod]}",
        "{intent: middle, queue: Cards, environments: [staging]}",
        "{intent: last, queue: Cards, environments: [prod, staging]}",
    )
    assert keys == [address.key for address in desired_in(room, name, *rules).rules]


def test_a_ruleset_for_other_environments_is_skipped(room: Path) -> None:
    """It does not count as emptied."""
    elsewhere = desired_in(room, "staging", CARDS, ruleset="environments: [prod]\n")
    assert ({}, frozenset()) == (elsewhere.rules, elsewhere.rulesets)
    assert (
        frozenset({"cards"})
        == desired_in(room, "prod", CARDS, ruleset="environments: [prod]\n").rulesets
    )


def test_two_rules_with_one_address_are_an_error_at_the_second(room: Path) -> None:
    """The first is not replaced silently; the message contains its position."""
    twice = (
        "{key: lost, intent: lost, queue: Cards}",
        "{key: lost, intent: stolen, queue: Fraud}",
    )
    message = (
        "rule cards/lost is defined twice in prod, first at manifests/rules.yaml:5"
    )
    assert [("CXR109", 6, message, "give one of them another `key`")] == errors(
        room, *twice
    )


def test_two_rules_with_one_name_are_an_error_at_the_second(room: Path) -> None:
    """Users of the tenant identify a rule by its name."""
    twice = (
        "{intent: lost, name: Cards, queue: Cards}",
        "{intent: stolen, name: Cards, queue: Fraud}",
    )
    message = (
        "rule name 'Cards' is already used by cards/lost at manifests/rules.yaml:5"
    )
    assert [("CXR110", 6, message, "give one of them another `name`")] == errors(
        room, *twice
    )


def test_two_rules_of_one_intent_need_a_key_alone(room: Path) -> None:
    """The default name has the key where it is not the intent's own; so other rules keep their
    names.
    """
    rules = (
        "{intent: Lost_card, queue: Cards, priority: 2}",
        "{intent: Lost_card, key: vip, queue: Fraud}",
        "{intents: [Lost_card], key: night, queue: Fraud}",
        "{intent: stolen, key: stolen, queue: Cards}",
        "{intents: [a, b], key: both, queue: Cards}",
        "{intent: b, key: named, name: Mine, queue: Cards}",
    )
    names = {
        str(address): desired.rule.name
        for address, desired in desired_in(room, "prod", *rules).rules.items()
    }
    assert names == {
        "cards/lost-card": "Cognigy Intent Route: Lost_card",
        "cards/vip": "Cognigy Intent Route: Lost_card (vip)",
        "cards/night": "Cognigy Intent Route: Lost_card (night)",
        "cards/stolen": "Cognigy Intent Route: stolen",
        "cards/both": "Cognigy Intent Route: both",
        "cards/named": "Mine",
    }


def test_one_address_in_two_environments_is_not_a_duplicate(room: Path) -> None:
    """Each environment has one of the two rules."""
    rules = (
        "{key: lost, intent: lost, queue: Cards, environments: [prod]}",
        "{key: lost, intent: stolen, queue: Fraud, environments: [staging]}",
    )
    assert [1, 1] == [
        len(desired_in(room, name, *rules).rules) for name in ("prod", "staging")
    ]


def test_after_the_limit_of_errors_rules_are_not_checked(
    room: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last finding says that there may be more errors."""
    monkeypatch.setattr("reconciler.core.desired.desired.MAX_FINDINGS", 3)
    wrong = [f"{{intent: i{n}, queue: '${{none}}'}}" for n in range(5)]
    actual = errors(room, *wrong)
    assert ["CXR107"] * 4 == [code for code, *_ in actual]
    assert (5, 6, 7) == tuple(line for _, line, *_ in actual[:3])
    message = "3 errors, and possibly more: further rules are not checked"
    assert (message, "fix these errors first") == actual[3][2:]


@each_case(
    "rule, code, message, hint",
    [
        (
            "{intents: [a, b], queue: Cards}",
            "CXR108",
            "this rule needs a `key`, because it has several intents",
            "write a `key`, such as key: card-help",
        ),
        (
            "{intent: ' ! ', queue: Cards}",
            "CXR108",
            "intent ' ! ' cannot be converted to a key",
            "write a `key`",
        ),
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
def test_invalid_keys_and_descriptions(
    room: Path, rule: str, code: str, message: str, hint: str
) -> None:
    """A key derives from exactly one intent; a description must not contain the marker line."""
    assert [(code, 5, message, hint)] == errors(room, rule)


@each_case(
    "rule, asks",
    [
        ("{intent: a, queue: Q}", ["confidence >= 0.6", 'intent is "a"']),
        ("{intent: a, queue: Q, minConfidence: null}", ['intent is "a"']),
        (
            "{intent: a, queue: Q, minConfidence: 0.8}",
            ["confidence >= 0.8", 'intent is "a"'],
        ),
        (
            "{key: b, intents: [a, b], queue: Q}",
            ["confidence >= 0.6", 'intent is one of "a", "b"'],
        ),
        ("{key: b, intent: '', queue: Q}", ['intent is ""']),
        ("{key: b, queue: Q, when: []}", []),
        ("{key: b, queue: Q, belowConfidence: 0.5}", ["confidence < 0.5"]),
        (
            "{key: b, queue: Q, intent: a, when: [{attribute: tier, equals: gold}]}",
            ["confidence >= 0.6", 'intent is "a"', 'tier is "gold"'],
        ),
    ],
)
def test_the_conditions_of_a_rule(room: Path, rule: str, asks: list[str]) -> None:
    """The default confidence applies to rules with intents that set none; an empty intent has no
    condition.
    """
    desired = desired_in(room, "prod", rule, ruleset="defaults: {minConfidence: 0.6}\n")
    (item,) = desired.rules.values()
    assert asks == sorted(
        condition_phrase(each, desired.labels) for each in item.rule.conditions
    )


@each_case(
    "rule, found",
    [
        ("{key: b, queue: Q}", ["CXR120"]),
        ("{key: b, queue: Q, when: []}", []),
        ("{key: b, queue: Q, minConfidence: 0.5}", []),
        ("{key: b, queue: Q, belowConfidence: 0.5}", []),
        ("{intent: b, queue: Q}", []),
        ("{key: b, intents: [b], queue: Q}", []),
    ],
)
def test_a_rule_without_conditions_is_a_warning(
    room: Path, rule: str, found: list[str]
) -> None:
    """Any condition, or an explicit empty list, prevents the warning."""
    assert found == [
        finding.code for finding in desired_in(room, "prod", rule).findings
    ]
