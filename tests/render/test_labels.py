"""Labels of attributes and values: people read them, and each means exactly one name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.desired.desired import labels_of
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.rule import Condition, Rule
from reconciler.core.plan.words import ALL_VALUES
from reconciler.core.text.escape import quote
from reconciler.core.text.phrases import (
    Labels,
    condition_phrase,
    conversation_phrase,
    rule_phrase,
)
from reconciler.render.colour import no_style
from reconciler.render.effects import summarize_effects
from reconciler.render.text.effects import effects_lines
from tests.support.brute_force_checks import QUEUES
from tests.support.builders import LABELS
from tests.support.grown_pairs import generate_pair
from tests.support.hostile_names import (
    CONTROL_CHARACTERS,
    HOSTILE_NAMES,
    MARKDOWN_NAMES,
)
from tests.support.impacts import compare_lists, effect_rows
from tests.support.parsed_html import parse_as_github, parse_html
from tests.support.plan_formats import (
    FORMS,
    PROGRAM_FILES,
    as_html,
    as_json,
    as_markdown,
)
from tests.support.plans import hostile_plan, plan_of_everything
from tests.support.program import Program, write
from tests.support.random_rules import a_pair, entries
from tests.support.written_manifests import ENVIRONMENT
from tests.tiers import size

SHORT = {"intent": "intent", "conf": "confidence"}
PAIRS = size(fast=12, slow=60, full=300)
INTENT = "cognigyDetectedIntent"
NAMES = HOSTILE_NAMES | MARKDOWN_NAMES
BANK = f"""\
{ENVIRONMENT}---
apiVersion: routing/v1
kind: Intents
name: bot
intents: [{{name: lost_or_stolen_card, label: Lost or stolen card}}, pin]
---
apiVersion: routing/v1
kind: Attributes
name: bank
attributes:
  customerTier: {{label: Customer tier, values: {{gold: Gold, basic: Basic}}, writtenBy: the IVR}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {{intent: lost_or_stolen_card, queue: Fraud, when: [{{attribute: customerTier, equals: gold}}]}}
  - {{key: rest, queue: Cards, priority: 200, when: []}}
---
apiVersion: routing/v1
kind: RouteTests
name: cards
tests:
  - {{given: {{intent: lost_or_stolen_card, attributes: {{customerTier: gold}}}}, expect: {{queue: Fraud}}}}
"""
MORE = """\
apiVersion: routing/v1
kind: RuleSet
name: more
environments: [prod]
rules:
  - key: basic
    name: Basic tier
    intent: lost_or_stolen_card
    queue: Fraud
    when: [{attribute: customerTier, equals: basic}]
"""


def some_labels(random: Random, rules: Iterable[Rule], short: dict[str, str]) -> Labels:
    """Return labels for some attributes and texts: each of one sign of its own, and as long as the
    name (layout).
    """
    parts = [
        part
        for rule in rules
        for part in rule.conditions
        if isinstance(part, Condition)
    ]
    values = chain.from_iterable(
        (
            (part.attribute, value)
            for value in (
                part.value if isinstance(part.value, tuple) else (part.value,)
            )
        )
        for part in parts
    )
    # A boolean has the label of its text, and is written without quotes.
    strings = {
        (name, value)
        for name, value in values
        if isinstance(value, str) and value not in ("", "true", "false")
    }
    texts = {pair for pair in strings if quote(pair[1]) == f'"{pair[1]}"'}
    signs = map(chr, range(0x4E00, 0x9000))
    attributes = sorted({part.attribute for part in parts} - {*short})
    names: list[tuple[str, ...]] = [*((name,) for name in attributes), *sorted(texts)]
    return Labels(
        short,
        {name: next(signs) * len(name[-1]) for name in names if random.random() < 0.7},
    )


def with_names(text: str, labels: Labels) -> str:
    """Return a text in which each label is replaced by its name."""
    for name, label in labels.texts.items():
        text = text.replace(label, name[-1])
    return text


def without_layout(text: str) -> str:
    """Return a text without quotes and columns: a label may be plain where its name is not."""
    return " ".join(re.sub(r'["`]|</?code>|&#34;|&quot;|\\\\', "", text).split())


@pytest.mark.generated
@pytest.mark.parametrize("grow", [a_pair, generate_pair])
def test_rows_with_labels_are_those_with_names(grow: object) -> None:
    """For random changes of rules: the same rows and rules, in the same order, with each name
    replaced.
    """
    assert callable(grow)
    labelled = 0
    for seed in range(PAIRS):
        random = Random(f"labels {seed}")
        pair = grow(random)
        rules = [entry.rule for entry in chain(entries(pair.old), entries(pair.new))]
        labels = some_labels(random, rules, SHORT)
        names = Labels(SHORT)
        impact = compare_lists(entries(pair.old), entries(pair.new), pair.evaluation)
        texts = [
            "\n".join(
                [
                    *effects_lines(
                        summarize_effects(impact, QUEUES, each, values=ALL_VALUES),
                        no_style,
                        verbose=True,
                    ),
                    *(rule_phrase(rule, QUEUES, each) for rule in rules),
                    *(
                        conversation_phrase(row.example.attributes, each)
                        for row in effect_rows(impact)
                    ),
                ]
            )
            for each in (labels, names)
        ]
        assert without_layout(texts[1]) == without_layout(with_names(texts[0], labels))
        labelled += texts[0] != texts[1]
    assert labelled > PAIRS // 2


def test_every_format_shows_labels_and_json_names() -> None:
    """Text, comments, issues and pages differ from those without labels only in the labels; JSON
    does not differ.
    """
    plain = plan_of_everything()
    rules = [
        *(rule.rule for rule in plain.desired.rules.values()),
        *(rule.rule for rule in plain.live.rules),
    ]
    labels = some_labels(Random(1), rules, {**LABELS.short})
    created = replace(plain, desired=replace(plain.desired, labels=labels))
    for name, form in FORMS.items():
        assert without_layout(form(plain)) == without_layout(
            with_names(form(created), created.labels)
        ), name
        assert (name in PROGRAM_FILES) is (form(plain) == form(created)), name
    assert as_json(plain) == as_json(created)


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_hostile_label_is_only_text(name: str) -> None:
    """A label adds no element to a comment or a page, and no control character to any format."""
    if not name:
        return  # an empty label is an error in manifests
    plain = hostile_plan("Billing")
    texts = {
        ("Billing",): name,
        (INTENT, "Billing"): name,
        ("Billing", "Billing"): name,
    }
    labels = Labels(LABELS.short, texts)
    created = replace(plain, desired=replace(plain.desired, labels=labels))
    uncounted = ("code", "a", "span")
    for write_page, parse in ((as_markdown, parse_as_github), (as_html, parse_html)):
        expected = parse(write_page(plain))
        actual = parse(write_page(created))
        assert [] == actual.unclosed
        assert [tag for tag in expected.shape if tag.strip("/") not in uncounted] == [
            tag for tag in actual.shape if tag.strip("/") not in uncounted
        ]
        assert expected.comments == actual.comments
        assert {key for _, keys in expected.tags for key in keys} == {
            key for _, keys in actual.tags for key in keys
        }
    for form_name, form in FORMS.items():
        assert CONTROL_CHARACTERS.search(form(created)) is None, form_name


@pytest.mark.generated
def test_a_text_means_one_name(tmp_path: Path) -> None:
    """Whatever labels a document gives, two names never read the same, also undeclared ones."""
    words = ["a", "b", "c", "A", "B", "intent", "confidence"]
    dropped = marked = 0
    for seed in range(PAIRS):
        random = Random(seed)
        names = random.sample(words[:4], 3)
        entry = [
            f"{{label: {random.choice(words)}, values: "
            f"{{{', '.join(f'{v}: {random.choice(words)}' for v in names)}}}}}"
            for _ in names
        ]
        intents = ", ".join(
            f"{{name: {name}, label: {random.choice(words)}}}" for name in names
        )
        text = "".join(
            f"  {name}: {fields}\n" for name, fields in zip(names, entry, strict=True)
        )
        (tmp_path / "a.yaml").write_text(
            f"{ENVIRONMENT}---\napiVersion: routing/v1\nkind: Attributes\nname: "
            f"a\nattributes:\n{text}---\n"
            f"apiVersion: routing/v1\nkind: Intents\nname: i\nintents: [{intents}]\n"
        )
        manifests = load_manifests(tmp_path)
        labels = labels_of(manifests, manifests.environments["prod"].document)
        attributes = ["a", "b", "c", "A", "B", INTENT, "cognigyConfidence"]
        assert len(attributes) == len({labels.name(name) for name in attributes})
        for attribute in attributes:
            assert len(words) == len(
                {labels.value(attribute, value) for value in words}
            )
        dropped += sum(len(name) == 1 for name in labels.texts) < len(names)
        marked += any("(undeclared)" in labels.name(name) for name in attributes)
    assert dropped
    assert marked


def test_only_compared_values_have_labels() -> None:
    """A part of a text, a bound and a number are not values: their words stay."""
    labels = Labels(
        {}, {("tier",): "Tier", ("tier", "gold"): "Gold", ("tier", "true"): "Yes"}
    )
    phrases: dict[tuple[str, Any], str] = {
        ("equals", "gold"): 'Tier is "Gold"',
        ("in", ("gold", "new", 3)): 'Tier is one of "Gold", "new", 3',
        ("notIn", ("gold",)): 'Tier is none of "Gold"',
        ("contains", "gold"): 'Tier contains "gold"',
        ("greaterThan", "7"): 'Tier > "7"',
        ("equals", True): 'Tier is "Yes"',
        ("equals", "Gold"): 'Tier is "Gold" (undeclared)',
        ("exists", None): "Tier exists",
    }
    assert list(phrases.values()) == [
        condition_phrase(Condition("tier", operator, value, value), labels)
        for operator, value in phrases
    ]


@pytest.mark.usefixtures("elsewhere")
def test_a_command_shows_labels_and_names_with_v(cxroute: Program) -> None:
    """`explain` in text, with -v and as JSON; a JUnit file has names, because they identify a
    test.
    """
    write("bank.yaml", BANK)
    words = (
        "explain",
        "-e",
        "prod",
        "--intent",
        "lost_or_stolen_card",
        "--attr",
        "customerTier=basic",
    )
    assert 0 == cxroute(*words)
    assert (
        'a conversation with intent "Lost or stolen card", Customer tier "Basic"'
        in cxroute.out
    )
    assert 'Customer tier is "Gold", but it is "Basic"' in cxroute.out
    assert 0 == cxroute(*words, "-v")
    assert (
        'a conversation with intent "lost_or_stolen_card", customerTier "basic"'
        in cxroute.out
    )
    assert 'customerTier is "gold", but it is "basic"' in cxroute.out
    _, form = cxroute.json(*words)
    assert {
        "cognigyDetectedIntent": "lost_or_stolen_card",
        "customerTier": "basic",
    } == form["input"]
    assert 0 == cxroute("test", "--junit", "junit.xml")
    assert "customerTier" in Path("junit.xml").read_text(encoding="utf-8")
    assert "Customer tier" not in Path("junit.xml").read_text(encoding="utf-8")


@pytest.mark.usefixtures("elsewhere")
def test_diff_shows_the_labels_of_both_sides(cxroute: Program) -> None:
    """A comparison of two manifests has the labels; with -v the names."""
    write("bank.yaml", BANK)
    write(
        "staging.yaml", ENVIRONMENT.replace("prod", "staging").replace("acme", "other")
    )
    write("more.yaml", MORE)
    assert 0 == cxroute("diff", "manifests:staging", "manifests:prod")
    assert (
        '"Lost or stolen card", Customer tier Basic   "Cards" -> "Fraud"' in cxroute.out
    )
    assert 0 == cxroute("diff", "manifests:staging", "manifests:prod", "-v")
    assert (
        '"lost_or_stolen_card", customerTier basic   "Cards" -> "Fraud"' in cxroute.out
    )
