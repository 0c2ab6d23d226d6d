"""Texts where rules compare with numbers, numbers elsewhere, and known types (semantics "Values and
types").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.space import space
from reconciler.core.behaviour.space.domain import Domain
from reconciler.core.behaviour.space.value_type import (
    ANY_TEXT,
    ANY_VALUE,
    EVERY_NUMBER,
    SHARE,
    ValueType,
)
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.model.operators import RANGES
from reconciler.core.model.rule import Condition
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.routing_table import types_phrase
from reconciler.core.plan.words import ALL_VALUES
from reconciler.core.text.phrases import Labels
from reconciler.render.effects import summarize_effects
from tests.support.brute_force import Json, is_number, is_supported, positive
from tests.support.brute_force_checks import QUEUES, RoutingDifference, check_difference
from tests.support.cases import each_case
from tests.support.impacts import LABELS, compare_lists, effect_rows, rows_of_document
from tests.support.program import Program, write
from tests.support.random_rules import RulePair, a_pair, attribute, entries, queue, rule
from tests.support.written_manifests import loaded
from tests.tiers import size

BLOCKS = 25
SIZE = size(fast=10, slow=40, full=200)
KINDS = (
    ANY_TEXT,
    SHARE,
    ValueType(texts=False, numbers=(-1, 2)),
    ValueType(texts=False, numbers=(0.5, 0.95)),
)
NAMES = ("intent", "conf", "any", "said", "odd")


def document(pair: RulePair, types: Mapping[str, ValueType] | None = None) -> Json:
    return impact_to_json(
        compare_lists(
            entries(pair.old), entries(pair.new), pair.evaluation, types=types
        ),
        QUEUES,
    )


@pytest.mark.generated
@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_difference_among_known_types_is_exact(block: int) -> None:
    """Regions are sound and complete for values of the known types; the result does not depend on
    unnamed types.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"types {seed}")
        pair = a_pair(random, 6)
        types = {name: random.choice(KINDS) for name in NAMES if random.random() < 0.5}
        actual = document(pair, types)
        check_difference(
            pair.old,
            pair.new,
            actual,
            pair.evaluation,
            {name: item.numbers for name, item in types.items()},
        )
        resting = {
            item["attributeName"]: types[item["attributeName"]].numbers
            for item in actual.get("restsOn", [])
        }
        check_difference(pair.old, pair.new, actual, pair.evaluation, resting)


@pytest.mark.generated
@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_rows_of_other_types_are_named(block: int) -> None:
    """Such a row holds only conversations with a value of another type than rules compare with; no
    other row does.
    """
    for seed in range(block * SIZE, (block + 1) * SIZE):
        pair = a_pair(Random(f"others {seed}"), 6)
        moved = RoutingDifference(pair.old, pair.new, pair.evaluation)
        for row in rows_of_document(document(pair)):
            inside = moved.universe.region(row)
            for name in row.get("otherType", []):
                assert not inside & _of_usual_type(moved, name), f"{moved.report}{row}"
            if "otherType" not in row and not row["except"]:
                for name in moved.universe.axes:
                    assert inside & _of_usual_type(moved, name), f"{moved.report}{row}"


def _of_usual_type(moved: RoutingDifference, name: str) -> int:
    """Return the inputs in which an attribute is missing, or has a value of a type that rules
    compare it with.
    """
    asked = [
        part
        for rules in (moved.old, moved.new)
        for rule in rules
        if rule["enabled"]
        for part in rule["conditions"]
    ]
    here = [
        part for part in asked if is_supported(part) and part["attributeName"] == name
    ]
    numbers = any(map(_asks_a_number, here))
    texts = any(map(_asks_a_text, here))
    actual = (
        moved.universe.column(attribute(name, "notExists"))
        if here
        else moved.universe.all_inputs
    )
    any_text = moved.universe.column(attribute(name, "contains", "")) if here else 0
    any_number = (
        moved.universe.column(attribute(name, "notContains", "")) if here else 0
    )
    return (
        actual
        | (any_text if texts or not numbers else 0)
        | (any_number if numbers or not texts else 0)
    )


def _values(part: Json) -> Iterable[Any]:
    return part["value"] if isinstance(part["value"], list) else [part["value"]]


def _asks_a_number(part: Json) -> bool:
    operator = positive(part["operator"])
    if operator in ("equals", "in"):
        return any(map(is_number, _values(part)))
    return operator in (
        "between",
        "greaterThan",
        "greaterThanOrEqual",
        "lessThan",
        "lessThanOrEqual",
    )


def _asks_a_text(part: Json) -> bool:
    operator = positive(part["operator"])
    if operator in ("equals", "in"):
        return any(not is_number(value) for value in _values(part))
    return operator in ("contains", "startsWith", "endsWith")


X = attribute("intent", "equals", "x")
KNOWN, HIGH, LOW = (
    attribute("conf", *requested)
    for requested in (("exists",), ("greaterThanOrEqual", 0.5), ("lessThan", 0.5))
)
EXISTS = [rule("k", 1, [X, KNOWN], "A")]
SPLIT = [rule("high", 1, [X, HIGH], "A"), rule("low", 2, [X, LOW], "A")]


def test_two_ranges_do_not_cover_every_value() -> None:
    """A text is neither above nor below a number: its caller reaches the default, unless the type
    is a number.
    """
    (row,) = rows_of_document(
        impact_to_json(compare_lists(entries(EXISTS), entries(SPLIT)), QUEUES)
    )
    assert [X, attribute("conf", "contains", "")] == row["where"]
    assert ["conf"] == row["otherType"]
    assert {"default": True} == row["after"]
    assert {"intent": "x", "conf": "0.5"} == row["example"]
    shares = impact_to_json(
        compare_lists(entries(EXISTS), entries(SPLIT), types={"conf": SHARE}), QUEUES
    )
    assert not shares["changed"]
    assert [
        {"attributeName": "conf", "type": "number", "least": 0, "most": 1}
    ] == shares["restsOn"]
    texts = impact_to_json(
        compare_lists(entries(EXISTS), entries(SPLIT), types={"conf": ANY_TEXT}), QUEUES
    )
    declared = {key: value for key, value in KNOWN.items() if key != "value"}
    assert [[X, declared]] == [row["where"] for row in rows_of_document(texts)]
    assert [{"attributeName": "conf", "type": "text"}] == texts["restsOn"]


def test_a_type_without_an_effect_is_not_named() -> None:
    """Below 0.5 these rules treat a number like a text, so the difference does not depend on the
    type.
    """
    further = [rule("k", 1, [X, HIGH], "B")]
    actual = compare_behaviour(
        entries([rule("k", 1, [X, HIGH], "A")]),
        entries(further),
        types={"conf": SHARE, "intent": ANY_TEXT},
    )
    assert {} == actual.rests_on
    assert actual.changed


def test_rows_of_other_types_are_one_note() -> None:
    """Each of them may matter, and together they do not hide other rows; with -v each is a row."""
    intents = [attribute("intent", "equals", name) for name in ("x", "y", "z")]
    old = [
        rule(f"k{at}", at, [intent, KNOWN], "ABC"[at])
        for at, intent in enumerate(intents)
    ]
    new = [
        rule(f"{name}{at}", at, [intent, bound], "ABC"[at])
        for at, intent in enumerate(intents)
        for name, bound in (("high", HIGH), ("low", LOW))
    ]
    new = [
        {**new[0], "targets": [queue("B")]},
        *new[1:],
        rule("rest", 9, [intents[1], KNOWN], "C"),
    ]
    impact = compare_lists(entries(old), entries(new))
    folded = summarize_effects(impact, QUEUES, LABELS).effects
    printed = [(row.before, row.after) for effect in folded for row in effect.rows]
    assert [('"Queue A"', '"Queue B"')] == printed
    note = (
        "Also some conversations in which confidence is of another type, text or number,"
        " than the rules compare it with: {}, which -v and JSON list"
    )
    notes = [text for effect in folded for text in effect.notes]
    assert [note.format("2 rows"), note.format("1 row")] == notes

    everything = summarize_effects(impact, QUEUES, LABELS, values=ALL_VALUES).effects
    assert 4 == sum(len(effect.rows) for effect in everything)
    assert not any(effect.notes for effect in everything)


@each_case(
    "context, known",
    [
        ("", {}),
        ("context: {}", {"asked": ANY_TEXT, "sure": SHARE}),
        ("context: {writer: interaction}", {"asked": ANY_TEXT, "sure": SHARE}),
        (
            "context: {writer: digital-custom-fields}",
            {"asked": ANY_TEXT, "sure": ANY_TEXT},
        ),
        ("context: {writer: voice-signal}", {"asked": ANY_TEXT, "sure": ANY_TEXT}),
    ],
)
def test_the_context_writer_defines_the_known_types(
    tmp_path: Path, context: str, known: Mapping[str, ValueType]
) -> None:
    """The context of an Environment names its writer; without a context the types are unknown."""
    text = (
        f"apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: us\ntenant: "
        f"t\n{context}\n"
    )
    text += "attributes: {intent: asked, confidence: sure}\n"
    manifests = loaded(tmp_path, text)
    types = endpoint_stage(manifests, manifests.environments["prod"].document).types
    assert known == {name: kind for name, kind in types.items() if kind != ANY_VALUE}


WRITTEN = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: us
tenant: t
context: {writer: digital-custom-fields}
---
apiVersion: routing/v1
kind: RuleSet
name: set
rules: [{intent: x, minConfidence: 0.5, queue: Cards, name: x}]
---
apiVersion: routing/v1
kind: RouteTests
name: tests
tests: [{given: {intent: x, confidence: 0.8}, expect: {default: true}}]
"""


def test_a_bot_number_is_the_text_that_the_endpoint_writes(cxroute: Program) -> None:
    """Route tests, `explain` and traffic shares give the same result as a plan: the rules match no
    text.
    """
    write("all.yaml", WRITTEN)
    assert 0 == cxroute("test", "-e", "prod"), cxroute.err
    assert 0 == cxroute("explain", "-e", "prod", "--intent", "x", "--confidence", "0.8")
    assert "the tenant's default routing: no rule takes it" in cxroute.out
    asked = [
        {**X, "attributeName": "cognigyDetectedIntent"},
        {**KNOWN, "attributeName": "cognigyConfidence"},
    ]
    live = [{**rule("r1", 1, asked, "A"), "description": "[cxroute:us/set/x#00000000]"}]
    queues = [{"id": "A", "name": "Cards"}]
    Path("live.json").write_text(json.dumps({"rules": live, "queues": queues}), "utf-8")
    Path("sample.csv").write_text(
        "intent,confidence,count\nx,0.8,9\ny,0.8,1\n", "utf-8"
    )
    _, form = cxroute.json(
        "plan", "-e", "prod", "--live", "live.json", "--traffic", "sample.csv"
    )
    gets = {
        item["queueName"]: (item["before"], item["after"])
        for item in form["behaviour"]["summary"]["balance"]
    }
    assert {"Cards": (90, 0), None: (10, 100)} == gets


def test_the_oracle_notices_an_analysis_without_texts() -> None:
    """An old bug on purpose: an attribute that is compared with numbers only is never a text."""

    def forgetful(
        attribute: str, conditions: Iterable[Condition], *more: Any
    ) -> Domain:
        asked = list(conditions)
        numeric = all(
            item.operator in RANGES for item in asked if item.value is not None
        )
        return Domain(
            attribute,
            asked,
            more[0],
            ValueType(texts=False, numbers=EVERY_NUMBER) if numeric else ANY_VALUE,
        )

    with patch.object(space, "Domain", forgetful):
        actual = document(RulePair(EXISTS, SPLIT, "lowest-first"))
    assert not actual["changed"]
    with pytest.raises(AssertionError):
        check_difference(EXISTS, SPLIT, actual)


@pytest.mark.parametrize(
    ("known", "value", "bound"),
    [
        (ANY_TEXT, "0.5", HIGH),
        (
            ValueType(texts=False, numbers=(-1, 2)),
            0.5,
            attribute("conf", "equals", "high"),
        ),
    ],
)
def test_a_value_of_a_known_type_has_no_other_type(
    known: ValueType, value: str | float, bound: Json
) -> None:
    """If the endpoint writes the type, every conversation has such a value."""
    old = entries([rule("k", 1, [X, KNOWN], "A")])
    new = entries([rule("k", 1, [X, bound], "A")])
    (row,) = effect_rows(compare_lists(old, new, types={"conf": known}))
    assert () == row.other_type
    assert {"intent": "x", "conf": value} == row.example.attributes


def test_the_known_type_is_a_sentence() -> None:
    """The sentence has the display names of the attributes."""
    text = types_phrase(
        {"cognigyConfidence": SHARE, "tier": ANY_TEXT},
        Labels({"cognigyConfidence": "confidence"}),
    )
    assert (
        "confidence is missing or a number from 0 to 1 and tier is missing or a text"
        ", as the endpoint writes it and Studio compares it" == text
    )
