"""The advice of an error is the corrected text of the entry: pasted in its place, the manifest is valid."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.desired.desired import desire_offline
from reconciler.errors import ManifestError
from reconciler.manifest.load import load_contents
from reconciler.manifest.yaml_writer import format_flow
from reconciler.model.finding import Finding
from tests.support.written_manifests import ENVIRONMENT, HEAD

TESTS: Final = "apiVersion: routing/v1\nkind: RouteTests\nname: cards\ntests:\n"
PROMISES: Final = "apiVersion: routing/v1\nkind: Promises\nname: cards\npromises:\n"
RULE: Final = f"{HEAD}  - intent: lost\n    queue: a\n    @\n"
QUEUE: Final = f"{HEAD}  - intent: lost\n    @\n    priority: 10\n"
WHEN: Final = f"{HEAD}  - intent: lost\n    queue: a\n    when: [{{attribute: language, @}}]\n"
TEST: Final = f"{TESTS}  - given: {{intent: lost}}\n    @\n"
PROMISE: Final = f"{PROMISES}  - name: a\n    @\n"
ATTRIBUTES: Final = "apiVersion: routing/v1\nkind: Attributes\nname: cards\n"
DOCUMENT: Final = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\nrules: []\n"

OR: Final = "{attribute: language, equals: de}, {language: fr}"
PASTED: Final = [
    (RULE, f"when: [{{or: [{OR}]}}]", "when: [{attribute: language, in: [de, fr]}]"),
    (
        RULE,
        f"when: [{{attribute: tier, equals: x}}, {{anyOf: [{OR}]}}]",
        "when: [{attribute: tier, equals: x}, {attribute: language, in: [de, fr]}]",
    ),
    (RULE, f"when: {{or: [{OR}]}}", "when: [{attribute: language, in: [de, fr]}]"),
    (
        RULE,
        "when: [{and: [{tier: x}, language == de]}]",
        "when: [{attribute: tier, equals: x}, {attribute: language, equals: de}]",
    ),
    (RULE, "when: [{not: {attribute: language, in: [de]}}]", "when: [{attribute: language, notIn: [de]}]"),
    (
        RULE,
        "when: {language: de, tier: gold}",
        "when: [{attribute: language, equals: de}, {attribute: tier, equals: gold}]",
    ),
    (WHEN, "equals: [a, b]", "in: [a, b]"),
    (WHEN, "notEquals: [a, b]", "notIn: [a, b]"),
    (WHEN, "in: a", "in: [a]"),
    (WHEN, "in: 'a, b'", "in: [a, b]"),
    (WHEN, "contains: [a]", "contains: a"),
    (WHEN, "exists: false", "notExists: true"),
    (WHEN, "exists: 'yes'", "exists: true"),
    (WHEN, "is: a", "equals: a"),
    (WHEN, "oneOf: a", "in: [a]"),
    (WHEN, "gte: 5", "greaterThanOrEqual: 5"),
    (QUEUE, "targets: {a: 80}", "targets: [{queue: a, weight: 80}]"),
    (QUEUE, "targets: {a: 80%, b: 20%}", "targets: [{queue: a, weight: 80}, {queue: b, weight: 20}]"),
    (QUEUE, "targets: {queue: a, weight: 80}", "targets: [{queue: a, weight: 80}]"),
    (QUEUE, "targets: [{a: 80}, {b: 20}]", "targets: [{queue: a, weight: 80}, {queue: b, weight: 20}]"),
    (QUEUE, "targets: [a, b]", "targets: [{queue: a}, {queue: b}]"),
    (QUEUE, "targets: a", "queue: a"),
    (QUEUE, "queue: [a, b]", "targets: [{queue: a}, {queue: b}]"),
    (QUEUE, "queue: {a: 80, b: 20}", "targets: [{queue: a, weight: 80}, {queue: b, weight: 20}]"),
    (QUEUE, "queues: [a, b]", "targets: [{queue: a}, {queue: b}]"),
    (QUEUE, "target: a", "queue: a"),
    (QUEUE, "queue cards", "queue: cards"),
    (QUEUE, "queue:cards", "queue: cards"),
    (QUEUE, "queue = cards", "queue: cards"),
    (QUEUE, "queue: Cards: old", 'queue: "Cards: old"'),
    (QUEUE, "queue: @cards", 'queue: "@cards"'),
    (f"{HEAD}  @\n    queue: a\n", "- intent lost_card", "- intent: lost_card"),
    (f"{HEAD}  @\n    queue: a\n", "- intent = lost_card", "- intent: lost_card"),
    (f"{HEAD}  @\n    queue: a\n    key: k\n", "- intents: - a", "- intents: [a]"),
    (f"{HEAD}  - @\n    queue: a\n    key: k\n", "intents: a", "intents: [a]"),
    (f"{HEAD}  - @\n    queue: a\n    key: k\n", "intent: [a, b]", "intents: [a, b]"),
    (f"{HEAD}  - {{intent: a, @}}\n", "queue cards", "queue: cards"),
    (f"{HEAD}  - {{intent: a, @}}\n", "queue=cards", "queue: cards"),
    (RULE, "minConfidence: 60", "minConfidence: 0.6"),
    (RULE, "minConfidence: '0.6'", "minConfidence: 0.6"),
    (RULE, "minConfidence: 60%", "minConfidence: 0.6"),
    (RULE, "minConfidence: .6", "minConfidence: 0.6"),
    (RULE, "belowConfidence: 0,6", "belowConfidence: 0.6"),
    (RULE, "minConfidence: '>= 0.6'", "minConfidence: 0.6"),
    (RULE, "priority: '10'", "priority: 10"),
    (RULE, "priority: 10.0", None),
    (RULE, "enabled: yes", "enabled: true"),
    (RULE, "enabled: 'False'", "enabled: false"),
    (RULE, "environments: prod", "environments: [prod]"),
    (RULE, "name: 12", 'name: "12"'),
    (RULE, "key: Lost Card", "key: lost-card"),
    (RULE, "hold: 2026-12-01T08:00:00+01:00", 'hold: {until: "2026-12-01T08:00:00+01:00"}'),
    (RULE, "accept: CXR203", "accept: {CXR203: the reason}"),
    (TEST, "expect: baggage", "expect: {queue: baggage}"),
    (TEST, "expect: {a: 80, General: 20}", "expect: {split: {a: 80, General: 20}}"),
    (TEST, "expect: default", "expect: {default: true}"),
    (TEST, "expect: [a]", "expect: {queue: a}"),
    (f"{TESTS}  - @\n    expect: {{queue: a}}\n", "given: lost", "given: {intent: lost}"),
    (PROMISE, "always: [x, y]", 'always: {queues: [x, "y"]}'),
    (PROMISE, "always: x", "always: {queues: [x]}"),
    (PROMISE, "never: default", "never: {default: true}"),
    (PROMISE, "split: {cards: 60, fraud: 10}", "split: {cards: {least: 60}, fraud: {least: 10}}"),
    (f"{PROMISES}  - name: a\n    always: {{queues: [a]}}\n    @\n", "for: lost", "for: {intent: lost}"),
    (DOCUMENT.replace("apiVersion: routing/v1", "@"), "apiVersion: v1", "apiVersion: routing/v1"),
    (DOCUMENT.replace("kind: RuleSet", "@"), "kind: Routing", "kind: RuleSet"),
    (DOCUMENT.replace("kind: RuleSet", "@"), "kind RuleSet", "kind: RuleSet"),
    (DOCUMENT.replace("name: cards", "@"), "name cards", "name: cards"),
    (DOCUMENT.replace("name: cards", "@"), "name: Cards Desk", "name: cards-desk"),
    (f"{ENVIRONMENT}@\n", "guard: {deletes: 5}", None),
    (DOCUMENT.replace("rules: []", "@"), "rules: {lost: bags}", "rules: [{intent: lost, queue: bags}]"),
    (
        DOCUMENT.replace("rules: []", "@"),
        "rules: {lost: {queue: bags, priority: 5}}",
        "rules: [{intent: lost, queue: bags, priority: 5}]",
    ),
    (f"{HEAD}  @\n    queue: a\n", "-intent: lost", "- intent: lost"),
    (RULE, "disabled: true", "enabled: false"),
    (QUEUE, "skill: bags", "queue: bags"),
    (WHEN, "between: 1-5", "between: [1, 5]"),
    (WHEN, "between: 0.5 to 1", "between: [0.5, 1]"),
    (TEST, "then: {queue: bags}", "expect: {queue: bags}"),
    (TEST, "output: bags", "expect: {queue: bags}"),
    (f"{TESTS}  - @\n    expect: {{queue: a}}\n", "when: {intent: lost}", "given: {intent: lost}"),
    (
        f"{TESTS}  - @\n    expect: {{queue: a}}\n",
        "given: [{attribute: intent, equals: lost}]",
        "given: {intent: lost}",
    ),
    (
        f"{PROMISES}  - name: a\n    always: {{queues: [a]}}\n    for: {{intent: lost, @}}\n",
        "tier: gold",
        "when: [{attribute: tier, equals: gold}]",
    ),
    (f"{ATTRIBUTES}@\n", "attributes: [tier]", "attributes: {tier: {}}"),
    (f"{ATTRIBUTES}attributes: {{tier: {{@}}}}\n", "type: string", "type: text"),
    (f"{ATTRIBUTES}attributes: {{tier: {{@}}}}\n", "type: Integer", "type: number"),
    (
        "apiVersion: routing/v1\nkind: Intents\nname: bot\n@\n",
        "intents: {lost: Lost card}",
        "intents: [{name: lost, label: Lost card}]",
    ),
    (
        "apiVersion: routing/v1\nkind: Intents\nname: bot\n@\n",
        "intents: {lost: {label: Lost card, group: Cards}, pin: PIN}",
        "intents: [{name: lost, label: Lost card, group: Cards}, {name: pin, label: PIN}]",
    ),
    (
        f"{ATTRIBUTES}attributes: {{tier: {{@}}}}\n",
        "values: [{name: gold, label: Gold, group: Best}, {name: top, group: Best}]",
        "values: {gold: {label: Gold, group: Best}, top: {group: Best}}",
    ),
    (f"{ATTRIBUTES}attributes: {{tier: {{values: {{gold: {{@}}, top: Top}}}}}}\n", "group: [Best]", "group: Best"),
    ("apiVersion: routing/v1\nkind: Queues\nname: q\n@\n", "queues: [bags, on]", 'queues: {bags: bags, "on": "on"}'),
]  # the manifest around an entry, the wrong entry, and the right one; None where only its validity counts


def errors_of(text: str) -> list[Finding]:
    contents = [("m.yaml", text.encode())]
    if "kind: Environment" not in text:
        contents.insert(0, ("e.yaml", ENVIRONMENT.encode()))
    try:
        manifests = load_contents(contents)
        desire_offline(manifests, manifests.environment("prod"))
    except ManifestError as error:
        return [finding for finding in error.findings if finding.severity == "error"]
    return []


@pytest.mark.parametrize(("around", "wrong", "right"), PASTED)
def test_the_advice_is_pasteable(around: str, wrong: str, right: str | None) -> None:
    """There is one error, on the line of the mistake; its advice in place of the entry makes the manifest valid."""
    (error,) = errors_of(around.replace("@", wrong, 1))
    line = around[: around.index("@")].count("\n") + 1
    assert error.source
    assert line == error.source.line
    advice = error.hint.removeprefix("write ")
    if right is None:
        assert errors_of(around.replace("@", advice if ": {" not in wrong else f"guard: {{{advice}}}", 1)) == []
        return
    assert right == advice
    assert [] == errors_of(around.replace("@", advice, 1))


@given(
    first=st.sampled_from(["a", "no", "1:30", "Card desk", "a: b", "it's", "[x]", "80", "ü", "-"]),
    second=st.sampled_from(["b", "on", "0.5", "Fraud, old", "#x"]),
    weight=st.integers(1, 100),
)
def test_the_advice_is_pasteable_for_any_name(first: str, second: str, weight: int) -> None:
    """Names that need quotes have them in the advice."""
    wrong: list[tuple[str, str, Any]] = [
        (QUEUE, "targets", {first: weight, second: 1}),
        (QUEUE, "targets", [first, second]),
        (QUEUE, "queue", [first, second]),
        (RULE, "environments", "prod"),
        (TEST, "expect", {first: weight, second: 1}),
        (TEST, "expect", first),
        (PROMISE, "always", [first, second]),
        (PROMISE, "never", first),
        (PROMISE, "split", {first: weight}),
        (WHEN, "equals", [first, second]),
        (WHEN, "notIn", first),
    ]
    for around, name, value in wrong:
        (error,) = errors_of(around.replace("@", f"{name}: {format_flow(value)}", 1))
        assert error.hint.startswith("write ")
        assert [] == errors_of(around.replace("@", error.hint.removeprefix("write "), 1))


def test_alternatives_of_several_attributes_are_two_rules() -> None:
    """No condition expresses them, so the advice is not one."""
    wrong = "when: [{or: [{attribute: language, equals: de}, {attribute: tier, equals: gold}]}]"
    (error,) = errors_of(RULE.replace("@", wrong))
    assert 'conditions have no "or": all conditions of `when` must hold' == error.message
    assert "write one rule for each alternative" == error.hint


@pytest.mark.parametrize("word", ["queues", "Queue", "quue"])
def test_a_misspelt_field_is_one_error(word: str) -> None:
    """Not also a missing one."""
    (error,) = errors_of(QUEUE.replace("@", f"{word}: a"))
    assert (f'unknown field "{word}"', "CXR102") == (error.message, error.code)
    assert error.hint.startswith("did you mean ")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        (DOCUMENT.replace("apiVersion", "apiversion"), 'did you mean "apiVersion"?'),
        (DOCUMENT.replace("kind", "Kind"), 'did you mean "kind"?'),
        (DOCUMENT.replace("RuleSet", "ruleset"), 'did you mean "RuleSet"?'),
        (DOCUMENT.replace("rules:", "rule:"), 'did you mean "rules"?'),
        (ENVIRONMENT.replace("tenant:", "tennant:"), 'did you mean "tenant"?'),
        (ENVIRONMENT.replace("owner:", "Owner:"), 'did you mean "owner"?'),
    ],
)
def test_a_misspelt_name_of_a_document_is_one_error(text: str, hint: str) -> None:
    """Of its head, of its kind, and of a required field."""
    assert [hint] == [error.hint for error in errors_of(text)]


@pytest.mark.parametrize("second", [ENVIRONMENT, "kind: Queues\nname: q\nqueues: {b: c}\n"])
@pytest.mark.parametrize("first", [HEAD + "  - {intent: a, queue: b}\n", TESTS + "  []\n"])
def test_a_missing_line_between_documents_is_one_error(first: str, second: str) -> None:
    """At the second document, whose own errors are reported, too; with the line, both are valid."""
    (error,) = errors_of(first + second)
    assert error.source
    assert first.count("\n") + 1 == error.source.line
    assert "a second document begins here, without a line --- before it" == error.message
    assert error.hint.startswith("write --- on a line of its own, before ")
    head = "" if second.startswith("apiVersion") else "apiVersion: routing/v1\n"
    assert [] == errors_of(f"{first}---\n{head}{second}")


def test_a_key_that_is_there_twice_does_not_begin_a_document() -> None:
    """In the head of a document, and below the first level."""
    (error,) = errors_of(DOCUMENT.replace("kind: RuleSet", "kind: RuleSet\nkind: RuleSet"))
    assert "duplicate key 'kind', first on line 2" == error.message
    (error,) = errors_of(f"{ENVIRONMENT}vars: {{a: b, kind: x, kind: y}}\n")
    assert "duplicate key 'kind', first on line 6" == error.message


def test_a_tab_gets_the_number_of_spaces() -> None:
    """That of the line above, or two more below a field's name."""
    (error,) = errors_of(f"{HEAD}  - intent: a\n\tqueue: b\n")
    assert ("a tab cannot indent a line: indent it with 4 spaces", "write queue: b") == (error.message, error.hint)
    assert [] == errors_of(f"{HEAD}  - intent: a\n    queue: b\n")


def test_a_secret_in_a_line_without_a_colon_is_not_repeated() -> None:
    """Neither of an address nor of credentials."""
    for line in ("clientSecretEnv hunter-2", "baseUrl hunter-2"):
        (error,) = errors_of(f"{ENVIRONMENT}credentials:\n  {line}\n  clientIdEnv: A\n")
        assert "hunter" not in f"{error.message} {error.hint}"


def test_many_mistakes_cost_bounded_time() -> None:
    """A thousand wrong rules are reported; only the first of them are corrected."""
    found = errors_of(HEAD + "  - {intent: a, targets: {a: 80}}\n" * 3000)
    assert 1001 == len(found)
    assert {"write targets: [{queue: a, weight: 80}]", ""} == {error.hint for error in found}
