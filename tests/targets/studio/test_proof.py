"""The proof that the unknown dialects of Studio do not matter, against runs of the generated text
in each of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import product
from pathlib import Path
from random import Random
from time import process_time
from typing import Any, Final, NamedTuple

import pytest
import yaml

from reconciler.core.behaviour.evaluate import route_conversation
from reconciler.core.behaviour.routing_entry import (
    Destination,
    RoutingEntry,
    destination_of_rule,
    order_entries,
)
from reconciler.core.desired.desired import DesiredState, desire_offline
from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.core.model.finding import Finding
from reconciler.core.model.operators import Scalar
from reconciler.core.model.rule import Target
from reconciler.core.plan.routing_table import desired_entries, ordered_rules
from reconciler.core.plan.words import destination_phrase
from reconciler.targets.studio.build import BlockEntry, build_block
from reconciler.targets.studio.evaluate import Dialect, possible_dialects, run_snippet
from reconciler.targets.studio.form import BlockForm
from reconciler.targets.studio.language import Statement, parse_snippet
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.proof import DialectProof, GeneratedText
from tests.support.program import Program, write
from tests.tiers import FULL, size

Json = dict[str, Any]

EVERY: Final = possible_dialects({})
TEXTS: Final = (
    "Card",
    "card",
    "card ",
    "CARD lost",
    "pin",
    "Pin",
    "ß",
    "ss",
    "1",
    "01",
)
PIECES: Final = ("Ca", "card", "in", "I", "d l", "S")
QUEUES: Final = ("Cards", "Fraud", "General")
HEAD: Final = {"apiVersion": "routing/v1"}
STUDIO: Final = {
    "auth": "access-key",
    "area": "na1",
    "queues": "acd-skills",
    "rules": "studio",
    "studio": {"script": "Bot\\Hand-over"},
}
ATTRIBUTES: Final = {"intent": "intent", "confidence": "confidence"}


def environment(**more: Any) -> Json:
    """An Environment with a Studio script, whose attributes have short names."""
    first = {
        **HEAD,
        "kind": "Environment",
        "name": "prod",
        "owner": "acme",
        "tenant": "acme",
        "attributes": ATTRIBUTES,
    }
    return {**first, "api": STUDIO, **more}


def facts(**known: bool) -> Json:
    """An Environment whose dialect of Studio is known in part."""
    return environment(
        api={**STUDIO, "studio": {"script": "Bot\\Hand-over", "dialect": known}}
    )


def rules(*entries: Json) -> Json:
    return {**HEAD, "kind": "RuleSet", "name": "cards", "rules": list(entries)}


def intents(*names: str) -> Json:
    return {**HEAD, "kind": "Intents", "name": "bot", "intents": list(names)}


def values(**attributes: Json) -> Json:
    return {**HEAD, "kind": "Attributes", "name": "bank", "attributes": attributes}


def route_tests(*entries: Json) -> Json:
    return {**HEAD, "kind": "RouteTests", "name": "all", "tests": list(entries)}


def rule(key: str, queue: str, *when: Json, **more: Any) -> Json:
    return {"key": key, "name": key, "queue": queue, "when": list(when), **more}


def intent(operator: str, value: Any) -> Json:
    return {"attribute": "intent", operator: value}


class Proof(NamedTuple):
    """The rules of manifests, and the findings about them."""

    manifests: Manifests
    desired: DesiredState
    findings: list[Finding]

    def of(self, code: str) -> list[Finding]:
        """Return the findings of a code."""
        return [finding for finding in self.findings if finding.code == code]

    @property
    def entries(self) -> tuple[RoutingEntry, ...]:
        """Return the rules in the order of evaluation."""
        return order_entries(desired_entries(self.desired), self.desired.evaluation)

    def route(self, conversation: Mapping[str, Scalar]) -> Destination:
        """Return the destination by the rules."""
        return destination_of_rule(
            route_conversation(self.entries, conversation).winner
        )


def proof(*documents: Json) -> Proof:
    """Return the proof for manifests."""
    manifests = load_contents([("m.yaml", yaml.safe_dump_all(documents).encode())])
    prod = manifests.environments["prod"].document
    desired, queues = desire_offline(manifests, prod)
    return Proof(
        manifests,
        desired,
        list(
            DialectProof(
                ordered_rules(desired),
                manifests,
                queues.names,
                layout_of(desired).facts,
            ).findings()
        ),
    )


def layout_of(desired: DesiredState) -> BlockLayout:
    """Return the layout of the block that holds the rules."""
    form = desired.form
    assert isinstance(form, BlockForm)
    return form.layout


class WholeText:
    """The text of all rules; an oracle by the comment that each CASE leaves, its address."""

    def __init__(self, tried: Proof) -> None:
        self.desired = tried.desired
        layout = layout_of(tried.desired)
        entries = []
        for each in self.desired.rules.values():
            numbered = tuple(
                Target("7", part.weight)
                for part in each.rule.targets
                if isinstance(part, Target)
            )
            stored = each.rule.__class__(
                **{**_fields(each.rule), "targets": numbered[:1]}
            )
            entries.append(BlockEntry(stored, each.address, each.marker_digest, ""))
        self.statements: tuple[Statement, ...] = parse_snippet(
            build_block(entries, layout, {})
        )
        self.by_address = {
            str(address): each.rule for address, each in self.desired.rules.items()
        }

    def route(
        self, conversation: Mapping[str, Scalar], dialect: Dialect
    ) -> Destination:
        """Return the destination of the rule whose CASE is taken."""
        address = str(
            run_snippet(self.statements, dict(conversation), dialect)["cxr_rule"]
        )
        return (
            destination_of_rule(
                RoutingEntry(name=address, rule=self.by_address[address])
            )
            if address
            else None
        )


def _fields(rule: Any) -> Json:
    return {name: getattr(rule, name) for name in rule.__dataclass_fields__}


class Case(NamedTuple):
    """Generated manifests, and the values of each attribute that they declare."""

    documents: list[Json]
    declared: dict[str, list[Scalar]]


def generated(random: Random) -> Case:
    """Rules on an intent, on an attribute with declared values, on one without, and on a number."""
    catalogue = random.sample(TEXTS, random.randint(1, 4))
    tiers = random.sample([*TEXTS, ""], random.randint(1, 3))
    literals = {
        "intent": [*catalogue, random.choice(TEXTS)],
        "tier": [*filter(None, tiers), random.choice(TEXTS)],
    }
    literals["line"] = random.sample(TEXTS, 2)
    named: dict[str, None] = {}
    entries = []
    for number in range(random.randint(2, 5)):
        when = [
            a_condition(random, name, literals[name])
            for name in random.sample(list(literals), random.choice((1, 1, 2)))
        ]
        if random.random() < 0.3:
            when.append(
                {"attribute": "amount", random.choice(("greaterThan", "lessThan")): 1}
            )
        for each in when:
            name = each["attribute"]
            operand = next(value for key, value in each.items() if key != "attribute")
            if name == "line" and operand is not True:
                named.update(
                    dict.fromkeys([operand] if isinstance(operand, str) else operand)
                )
        entries.append(
            rule(
                f"r{number}",
                random.choice(QUEUES),
                *when,
                priority=random.choice((1, 2, 3)),
            )
        )
    documents = [
        environment(),
        rules(*entries),
        intents(*catalogue),
        values(tier={"values": tiers, "writtenBy": "IVR"}),
    ]
    used = {each["attribute"] for entry in entries for each in entry["when"]}
    declared: dict[str, list[Scalar]] = {
        "intent": [*catalogue],
        "tier": [tier for tier in tiers if tier],
        "line": [*named] or ["other"],
        "amount": [0, 1, 2],
    }
    return Case(documents, {name: declared[name] for name in declared if name in used})


def a_condition(random: Random, name: str, literals: list[str]) -> Json:
    operator = random.choice(
        ("equals", "equals", "in", "contains", "startsWith", "exists")
    )
    value: Any = random.choice(literals)
    if operator == "in":
        value = random.sample(literals, min(2, len(literals)))
    elif operator in ("contains", "startsWith"):
        value = random.choice((*PIECES, value))
    elif operator == "exists":
        value = True
    negative = random.random() < 0.3
    return {
        "attribute": name,
        f"not{operator[0].upper()}{operator[1:]}" if negative else operator: value,
    }


def inputs(declared: Mapping[str, list[Scalar]]) -> Iterator[dict[str, Scalar]]:
    """Yield every conversation with declared values; each attribute may be missing."""
    for combination in product(*([None, *each] for each in declared.values())):
        pairs = zip(declared, combination, strict=True)
        yield {name: value for name, value in pairs if value is not None}


def example(message: str) -> dict[str, Scalar]:
    """Return the conversation with which a message begins."""
    actual = re.findall(
        r'(\w+) ("(?:[^"\\]|\\.)*"|-?[0-9.]+)', message.partition(" goes to ")[0]
    )
    return {name: json.loads(value) for name, value in actual}


@pytest.mark.generated
@pytest.mark.parametrize("seed", range(size(fast=4, slow=25, full=1000)))
def test_an_error_means_that_a_declared_input_goes_elsewhere(seed: int) -> None:
    """Every declared input is run in all 16 dialects; the example of an error is one that goes
    elsewhere.
    """
    case = generated(Random(seed))
    tried = proof(*case.documents)
    text = WholeText(tried)
    deviating = [
        source_values
        for source_values in inputs(case.declared)
        if {text.route(source_values, each) for each in EVERY}
        != {tried.route(source_values)}
    ]
    [verdict] = [*tried.of("CXR127"), *tried.of("CXR128")]
    assert (verdict.severity == "error") == bool(deviating), (verdict, deviating[:1])
    if deviating:
        given = example(verdict.message)
        names = {name: name for name in QUEUES}
        routes = {destination_phrase(text.route(given, each), names) for each in EVERY}
        stated = re.findall(
            r"goes to ((?:the tenant's default routing|\"\w+\"))", verdict.message
        )
        assert all(
            given[name] in case.declared[name] for name in given if name != "amount"
        ), verdict
        assert stated[0] == destination_phrase(tried.route(given), names), verdict
        assert stated[1] in routes - {stated[0]}, verdict


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("seed", range(300 if FULL else 12))
def test_the_text_of_a_few_rules_deviates_as_the_whole_text_does(seed: int) -> None:
    """A route test runs only the rules that may take its conversation; the other rules make no
    difference.
    """
    case = generated(Random(seed))
    tried = proof(*case.documents)
    text = WholeText(tried)
    layout = layout_of(tried.desired)
    few = GeneratedText(ordered_rules(tried.desired), layout)
    every = list(inputs(case.declared))
    for source_values in Random(seed).sample(every, min(20, len(every))):
        expected = tried.route(source_values)
        deviation = few.find_deviation(source_values, expected)
        assert (deviation is None) == all(
            text.route(source_values, each) == expected for each in EVERY
        )
        if deviation is not None:
            assert text.route(source_values, deviation[0]) == deviation[1] != expected


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("seed", range(300 if FULL else 12))
def test_a_warning_means_that_an_empty_text_goes_elsewhere(seed: int) -> None:
    """For each attribute that can be empty, every input with an empty text is compared with the one
    without it.
    """
    case = generated(Random(seed))
    tried = proof(*case.documents)
    can_be_empty = (
        {"tier"} if "" in case.documents[3]["attributes"]["tier"]["values"] else set()
    )
    for name in case.declared:
        remaining_items = [
            source_values
            for source_values in inputs(case.declared)
            if name not in source_values
        ]
        differs = any(
            tried.route({**source_values, name: ""}) != tried.route(source_values)
            for source_values in remaining_items
        )
        warnings = [
            each for each in tried.of("CXR129") if f"an empty {name} " in each.message
        ]
        assert bool(warnings) == (differs and name in {*can_be_empty, "line"}), (
            name,
            warnings,
        )
        assert all(each.severity == "warning" and each.address for each in warnings)


CARD: Final = rule("low", "Cards", intent("equals", "card"), priority=20)
TWINS: Final = (
    rules(rule("high", "Fraud", intent("equals", "Card"), priority=10), CARD),
    intents("Card", "card"),
)


def test_the_error_names_both_destinations_and_what_to_do() -> None:
    """The example has both rules, and the fact that is not known."""
    [error] = proof(environment(), *TWINS).of("CXR127")
    assert error.message == (
        'intent "card" goes to "Cards" by rule cards/low, but in Studio with caseSensitive: false'
        ' it goes to "Fraud" by rule cards/high'
    )
    assert (error.hint, str(error.address)) == (
        "rename a value, use another operator, or state the dialect: cxroute studio probe",
        "cards/low",
    )


@pytest.mark.parametrize(
    ("known", "code", "word"),
    [
        ({"caseSensitive": True}, "CXR128", "not ruled out (8)"),
        ({"caseSensitive": False}, "CXR127", "caseSensitive: false"),
    ],
)
def test_a_known_fact_rules_dialects_out(
    known: dict[str, bool], code: str, word: str
) -> None:
    """A dialect that is ruled out has no error; one that is certain has."""
    [finding] = [
        *(tried := proof(facts(**known), *TWINS)).of("CXR127"),
        *tried.of("CXR128"),
    ]
    assert (finding.code, word in finding.message) == (code, True), finding


def test_one_certain_dialect_is_compared_alone() -> None:
    """If both facts about texts are known, the error is about them."""
    spaced = (
        rules(rule("high", "Fraud", intent("equals", "card "), priority=10), CARD),
        intents("card ", "card"),
    )
    [error] = proof(facts(caseSensitive=False, trimsBlanks=True), *spaced).of("CXR127")
    assert "with caseSensitive: false, trimsBlanks: true it goes" in error.message
    assert not proof(facts(caseSensitive=False, trimsBlanks=False), *spaced).of(
        "CXR127"
    )


def test_a_number_and_its_text_are_equal_in_every_dialect() -> None:
    """A number that an Attributes document declares fulfils a condition on its text in Studio, and
    in no rule.
    """
    by_text = rules(rule("one", "Cards", {"attribute": "tier", "equals": "1"}))
    [error] = proof(environment(), by_text, values(tier={"values": [1, "2"]})).of(
        "CXR127"
    )
    assert (
        "tier 1 goes to the tenant's default routing, but in Studio with any dialect it goes"
        in error.message
    )


def test_numbers_are_compared_in_one_way() -> None:
    """A numeric condition is read in the same way in all dialects, and limits no conversation of
    the proof.
    """
    sure = rule(
        "high", "Fraud", intent("equals", "Card"), priority=10, minConfidence=0.5
    )
    assert proof(environment(), rules({**sure, "when": []})).of("CXR128")
    assert (
        "confidence "
        in proof(environment(), rules(sure, CARD), TWINS[1]).of("CXR127")[0].message
    )


def test_every_rule_with_a_split_is_noted() -> None:
    """A split of a Studio script is by contact; a rule with one queue is not noted."""
    shares = {
        "key": "a",
        "name": "a",
        "intent": "a",
        "targets": [{"queue": "Cards", "weight": 4}, {"queue": "Fraud"}],
    }
    assert [
        str(each.address)
        for each in proof(environment(), rules(shares, CARD)).of("CXR130")
    ] == ["cards/a"]


def test_a_disabled_rule_is_not_part_of_the_proof() -> None:
    """A disabled rule is a comment of the text."""
    switched_off = rule(
        "high", "Fraud", intent("equals", "Card"), priority=10, enabled=False
    )
    assert not proof(environment(), rules(switched_off, CARD), intents("card")).of(
        "CXR127"
    )
    assert proof(
        environment(), rules({**switched_off, "enabled": True}, CARD), intents("card")
    ).of("CXR127")


@pytest.mark.parametrize("evaluation", ["lowest-first", "highest-first"])
def test_undeclared_values_are_not_examples(evaluation: str) -> None:
    """Only `Card` itself could go elsewhere, and the bot does not have it; in both orders of
    evaluation.
    """
    ordered = environment(api={**STUDIO, "evaluation": evaluation})
    assert not proof(ordered, TWINS[0], intents("pin")).of("CXR127")
    assert proof(ordered, *TWINS).of("CXR127")


def test_the_bound_of_work_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proof that was not finished proves nothing."""
    monkeypatch.setattr("reconciler.targets.studio.proof._MAX_WORK", 3)
    entries = rules(*(rule(name, "Cards", intent("contains", name)) for name in "abcd"))
    [error] = proof(environment(), entries, intents(*"abcd")).of("CXR127")
    assert (error.severity, "not proven" in error.message) == ("error", True)


@pytest.mark.generated
def test_ten_thousand_rules_are_proven_in_little_time() -> None:
    """Ten thousand rules for as many intents: no condition changes, so nothing is compared."""
    number = size(fast=400, slow=2000, full=10000)
    names = [f"intent-{each}" for each in range(number)]
    manifests = load_contents(
        [
            (f"{index}.yaml", yaml.dump(each, Dumper=yaml.CSafeDumper).encode())
            for index, each in enumerate(
                [
                    environment(),
                    rules(*(rule(name, "Q", intent("equals", name)) for name in names)),
                    intents(*names),
                ]
            )
        ]
    )
    prod = manifests.environments["prod"].document
    desired, queues = desire_offline(manifests, prod)
    start = process_time()
    findings = list(
        DialectProof(
            ordered_rules(desired), manifests, queues.names, layout_of(desired).facts
        ).findings()
    )
    assert [each.code for each in findings] == ["CXR128"]
    assert process_time() - start < number / 5_000, (
        "a fifth of a millisecond for each rule"
    )


# The program


@pytest.fixture
def room(cxroute: Program) -> Program:
    """The program in a folder of its own, with a script whose block is empty."""
    Path("live.txt").write_text(
        "// cxroute:begin acme/main\n// cxroute:end\n", encoding="utf-8"
    )
    return cxroute


def manifests(*documents: Json) -> None:
    write("m.yaml", yaml.safe_dump_all(documents, sort_keys=False))


PLAN: Final = ("plan", "-e", "prod", "--live", "live.txt")


@pytest.mark.parametrize(
    "command", [("validate",), ("test",), PLAN, ("apply", "-e", "prod", "--yes")]
)
def test_the_error_stops_every_command(room: Program, command: tuple[str, ...]) -> None:
    """`validate`, `test` and `plan` exit with 3, and `apply` writes nothing."""
    source_values = {"given": {"intent": "pin"}, "expect": {"default": True}}
    manifests(environment(), *TWINS, route_tests(source_values))
    assert room(*command) == 3
    assert "CXR127" in room.out + room.err


def test_a_plan_shows_the_proof_and_what_the_script_changes(room: Program) -> None:
    """The proof and the split are notes; the difference of empty and missing is a warning."""
    shares = {
        "key": "a",
        "name": "a",
        "intent": "a",
        "targets": [{"queue": "Cards"}, {"queue": "Fraud"}],
    }
    denial = rule("tier", "General", {"attribute": "tier", "notEquals": "gold"})
    manifests(environment(), rules(shares, denial))
    for command in (PLAN, ("validate",)):
        code, document = room.json(*command)
        actual = {
            each["code"]: each["severity"]
            for each in document["findings"]
            if each["code"] in EXPECTED
        }
        assert (code, actual) == (0, EXPECTED)


EXPECTED: Final = {"CXR128": "info", "CXR129": "warning", "CXR130": "info"}


def test_the_findings_can_be_accepted(room: Program) -> None:
    """With a reason, in the rule or in the Environment; an entry without such a finding is
    reported.
    """
    denial = rule(
        "tier",
        "General",
        {"attribute": "tier", "notEquals": "gold"},
        accept={"CXR129": "never empty"},
    )
    accept = [
        {"code": "CXR128", "reason": "read"},
        {"code": "CXR130", "address": "cards/tier", "reason": "no split"},
    ]
    manifests(environment(accept=accept), rules(denial))
    for command in (PLAN, ("validate",)):
        _, document = room.json(*command)
        assert {each["code"] for each in document["acknowledged"]} == {
            "CXR128",
            "CXR129",
        }
        [unused] = [
            each["message"] for each in document["findings"] if each["code"] == "CXR212"
        ]
        assert unused.startswith(
            "CXR130 at cards/tier is accepted, but no warning or note matches"
        )


def test_a_route_test_can_fail_only_on_the_text(room: Program) -> None:
    """The intent of the test is not declared, so that the proof is not about it; the failure names
    the dialect.
    """
    source_values = {"given": {"intent": "CARD"}, "expect": {"default": True}}
    manifests(environment(), rules(CARD), intents("card"), route_tests(source_values))
    assert room("test") == 3
    stated = 'the rules pass, but their text in Studio sends the conversation to "Cards" (caseSensitive: false)'
    assert stated in room.out
    manifests(
        facts(caseSensitive=True),
        rules(CARD),
        intents("card"),
        route_tests(source_values),
    )
    assert room("test") == 0, room.out


@pytest.mark.parametrize(
    ("weights", "code"), [((80, 20), 0), ((4, 1), 0), ((79, 21), 3)]
)
def test_a_split_is_the_destination_of_its_rule(
    room: Program, weights: tuple[int, int], code: int
) -> None:
    """The text takes the rule, whose shares are those of the test."""
    targets = [
        {"queue": queue, "weight": weight}
        for queue, weight in zip(QUEUES, (80, 20), strict=False)
    ]
    shares = {"key": "a", "name": "a", "intent": "a", "targets": targets}
    expected = {"split": dict(zip(QUEUES, weights, strict=False))}
    manifests(
        environment(),
        rules(shares),
        route_tests({"given": {"intent": "a"}, "expect": expected}),
    )
    assert room("test") == code, room.out
