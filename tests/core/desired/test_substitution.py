"""`${name}` as the entire value has the variable's type; inside a text it becomes text."""

from __future__ import annotations

import json
import re
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reconciler.core.checks.route_tests import run_route_tests
from reconciler.core.desired.desired import expand_manifests
from reconciler.core.desired.queues import OfflineQueueResolver, resolve_aliases
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.documents import manifest_schema
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.rule import Rule
from tests.support.cases import each_case
from tests.support.program import Program, write

pytestmark = pytest.mark.usefixtures("elsewhere")
HEAD = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: acme\nvars: "
    "{}\n---\n"
)
RULESET = "apiVersion: routing/v1\nkind: RuleSet\nname: cards\n"
VALUES: dict[str, Any] = {
    "floor": 0.6,
    "first": 10,
    "off": False,
    "share": 80,
    "tiers": ["gold", "platinum"],
    "range": [1, 5],
    "word": "0.7",
    "huge": 7,
}


def prod(rules: str, **values: Any) -> Rule:
    """Return the only desired rule of the manifests in prod."""
    write("prod.yaml", HEAD.replace("{}", json.dumps(VALUES | values)))
    write("rules.yaml", RULESET + rules)
    manifests = load_manifests(Path("manifests"))
    environment = manifests.environments["prod"].document
    (item,) = expand_manifests(
        manifests,
        environment,
        OfflineQueueResolver("prod", resolve_aliases(manifests, "prod")),
    ).rules.values()
    return item.rule


def errors(rules: str, **values: Any) -> list[str]:
    """Return the errors in prod, each with its line and column."""
    with pytest.raises(ManifestError) as caught:
        prod(rules, **values)
    return [
        f"{finding.source.line}:{finding.source.column} {finding.code} "
        f"{finding.message}{f'; {finding.hint}' if finding.hint else ''}"
        for finding in caught.value.findings
        if finding.source
    ]


@each_case(
    "rule, same",
    [
        ('minConfidence: "${floor}"', "minConfidence: 0.6"),
        ('belowConfidence: "${floor}"', "belowConfidence: 0.6"),
        ('priority: "${first}"', "priority: 10"),
        ('enabled: "${off}"', "enabled: false"),
        (
            'when: [{attribute: n, greaterThan: "${first}"}]',
            "when: [{attribute: n, greaterThan: 10}]",
        ),
        (
            'when: [{attribute: n, equals: "${first}"}]',
            "when: [{attribute: n, equals: 10}]",
        ),
        (
            'when: [{attribute: n, equals: "${word}"}]',
            'when: [{attribute: n, equals: "0.7"}]',
        ),
        (
            'when: [{attribute: n, equals: "n${first}-${off}"}]',
            'when: [{attribute: n, equals: "n10-false"}]',
        ),
        (
            'when: [{attribute: n, in: ["${first}", a]}]',
            "when: [{attribute: n, in: [10, a]}]",
        ),
        (
            'when: [{attribute: n, in: "${tiers}"}]',
            "when: [{attribute: n, in: [gold, platinum]}]",
        ),
        (
            'when: [{attribute: n, between: "${range}"}]',
            "when: [{attribute: n, between: [1, 5]}]",
        ),
    ],
)
def test_a_single_variable_keeps_its_type(rule: str, same: str) -> None:
    """The rule equals a rule with the value written in place of the variable."""
    head = "rules:\n  - {intent: lost, queue: Cards, "
    assert prod(f"{head}{same}}}\n") == prod(f"{head}{rule}}}\n")


def test_intents_are_a_list_variable() -> None:
    """The rule, its default name and its description equal those of the list in place of the
    variable.
    """
    form = "rules:\n  - {key: k, queue: Cards, intents: %s}\n"
    assert prod(form % "[gold, platinum]") == prod(form % '"${tiers}"')
    assert prod(form.replace("key: k, ", "") % "[lost]") == prod(
        form.replace("key: k, ", "") % '"${one}"', one=["lost"]
    )
    for name, actual in (
        ("range", "a list"),
        ("word", 'the text "0.7"'),
        ("none", "a list"),
    ):
        expected = (
            f"5:37 CXR104 intents must be a list of one or more texts, and ${{{name}}} is {actual} "
            f"in prod"
        )
        assert [expected] == errors(form % f'"${{{name}}}"', none=[])


def test_defaults_and_weights_take_variables_too() -> None:
    """In the defaults of a RuleSet and in the weights of targets."""
    targets = "targets: [{queue: Cards, weight: WEIGHT}, {queue: Fraud}]"
    form = "defaults: {priority: PRIORITY, minConfidence: FLOOR, enabled: ON}\n"
    form += f"rules:\n  - {{intent: lost, {targets}}}\n"
    names = {
        "PRIORITY": ("10", '"${first}"'),
        "FLOOR": ("0.6", '"${floor}"'),
        "ON": ("false", '"${off}"'),
    }
    value = variable = form
    for name, (literal, reference) in (
        names | {"WEIGHT": ("80", '"${share}"')}
    ).items():
        value = value.replace(name, literal)
        variable = variable.replace(name, reference)
    assert prod(value) == prod(variable)


@each_case(
    "rule, said",
    [
        (
            "minConfidence: ${huge}",
            "5:49 CXR104 minConfidence must be a number from 0 to 1, and ${huge} is 7 in prod",
        ),
        (
            "minConfidence: ${word}",
            '5:49 CXR104 minConfidence must be a number from 0 to 1, and ${word} is the text "0.7" in prod',
        ),
        (
            "priority: ${floor}",
            "5:44 CXR104 priority must be an integer, and ${floor} is 0.6 in prod",
        ),
        (
            "enabled: ${first}",
            "5:43 CXR104 enabled must be true or false, and ${first} is 10 in prod",
        ),
        (
            "priority: ${tiers}",
            "5:44 CXR104 priority must be an integer, and ${tiers} is a list in prod",
        ),
        (
            "priority: ${fist}",
            "5:44 CXR107 prod has no variable 'fist' in its vars; did you mean \"first\"?",
        ),
        (
            "name: ${first}",
            (
                "5:40 CXR104 ${first} must be a text here, and is 10 in prod; put the variable's value "
                "in quotes"
            ),
        ),
        (
            'name: "a ${tiers}"',
            "5:40 CXR104 the variable 'tiers' is a list and cannot be part of a text",
        ),
        (
            "when: [{attribute: n, in: ${floor}}]",
            "5:60 CXR104 in must be a list, and ${floor} is 0.6 in prod",
        ),
        (
            "when: [{attribute: n, equals: ${tiers}}]",
            (
                "5:64 CXR104 equals must be text, a number, true or false, and ${tiers} is a list in "
                "prod"
            ),
        ),
    ],
)
def test_a_variable_of_another_type_is_an_error_with_its_value(
    rule: str, said: str
) -> None:
    """The error names the environment, and what to do if that is known."""
    rule = rule.replace("${", '"${').replace("}", '}"', 1) if '"' not in rule else rule
    (actual,) = errors(f"rules:\n  - {{intent: lost, queue: Cards, {rule}}}\n")
    assert said == actual


def test_an_invalid_default_is_reported_once_at_its_position() -> None:
    """Not once for each rule."""
    rules = "".join(f"  - {{intent: i{number}, queue: Cards}}\n" for number in range(3))
    text = "4:27 CXR104 minConfidence must be a number from 0 to 1, and ${huge} is 7 in prod"
    assert [text] == errors(
        f'defaults: {{minConfidence: "${{huge}}"}}\nrules:\n{rules}'
    )


def test_route_tests_take_variables_too(cxroute: Program) -> None:
    """In confidence, attributes and weights, with the values of each environment."""
    prod(
        'rules:\n  - {intent: lost, minConfidence: "${floor}", targets: [{queue: A, weight: "${share}"}, {queue: B}]}\n'
    )
    tests = (
        '{given: {intent: lost, confidence: "${floor}"}, expect: {split: {A: "${share}", B: 1}}}',
        '{given: {intent: lost, confidence: "${huge}"}, expect: {default: true}}',
        '{given: {attributes: {n: "${first}", off: "${off}", text: "${word}"}}, expect: {default: true}}',
        '{given: {attributes: {n: "${tiers}"}}, expect: {default: true}}',
        '{given: {attributes: {"${first}": 1}}, expect: {default: true}}',
        '{given: {context: {intent: "${tiers}"}}, expect: {default: true}}',
        '{given: {intent: "${first}"}, expect: {default: true}}',
        '{given: {intent: other}, expect: {queue: "${first}"}}',
    )
    write(
        "tests.yaml",
        "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
        + "".join(f"- {t}\n" for t in tests),
    )
    assert 3 == cxroute("test", "-e", "prod")
    expected = (
        "confidence must be a number from 0 to 1, and ${huge} is 7 in prod",
        "n must be a text, a number, true or false, and ${tiers} is a list in prod",
        "${first} must be a text here, and is 10 in prod",
        (
            "cognigyDetectedIntent must be a text, a number, true or false, and ${tiers} is a list in "
            "prod"
        ),
        "${first} must be a text here, and is 10 in prod",
        "${first} must be a text here, and is 10 in prod",
    )
    assert [f"error[CXR104]: {message}" for message in expected] == [
        line.partition(": ")[2].partition("; ")[0]
        for line in cxroute.out.splitlines()
        if "error[" in line
    ]
    _, form = cxroute.json("test", "-e", "prod")
    assert {"n": 10, "off": "false", "text": "0.7"} == form["results"][2]["input"]


def test_the_schema_allows_variables_in_other_types_than_text() -> None:
    """Editors accept `${floor}` as a number, and no other text."""
    validator = Draft202012Validator(manifest_schema())
    head = {"apiVersion": "routing/v1", "kind": "RuleSet", "name": "a"}

    def valid(**fields: Any) -> bool:
        return validator.is_valid(
            head | {"rules": [{"intent": "x", "queue": "q", **fields}]}
        )

    for name in ("minConfidence", "belowConfidence", "priority", "enabled"):
        assert (True, False) == (
            valid(**{name: "${floor}"}),
            valid(**{name: "a ${floor}"}),
        )
    assert valid(when=[{"attribute": "a", "in": "${tiers}"}])
    environment = {
        "apiVersion": "routing/v1",
        "kind": "Environment",
        "name": "p",
        "owner": "o",
        "tenant": "t",
    }
    assert validator.is_valid(environment | {"vars": VALUES})
    assert not validator.is_valid(environment | {"vars": {"a": {"b": 1}}})


LONG = "x" * 60_000


@each_case(
    "rule, values, said",
    [
        (
            'name: "a${v}"',
            {"v": "x" * 1024},
            "CXR104 this text with its variables is longer than 1 KiB",
        ),
        (
            'name: "${v}"',
            {"v": "ä" * 513},
            "CXR104 this text with its variables is longer than 1 KiB",
        ),
        (
            f"name: {'x' * 1025}",
            {},
            "CXR104 a name must have at most 1,024 bytes; write a shorter `name`",
        ),
        (
            'description: "${v} ${v}"',
            {"v": LONG},
            "CXR104 this text with its variables is longer than 64 KiB",
        ),
        (
            f"description: {LONG} {LONG}",
            {},
            "CXR104 a description must have at most 65,536 bytes",
        ),
        (
            'when: [{attribute: a, equals: "${v}${v}"}]',
            {"v": LONG},
            "CXR104 this text with its variables is longer",
        ),
        (
            'when: [{attribute: "${v}${v}", equals: a}]',
            {"v": LONG},
            "CXR104 this text with its variables is longer",
        ),
        (
            'when: [{attribute: a, in: "${v}"}]',
            {"v": [LONG, LONG]},
            "CXR104 this text with its variables is longer",
        ),
        (
            'key: k, intents: ["${v}"]',
            {"v": LONG + LONG},
            "CXR104 this text with its variables is longer than 64 KiB",
        ),
    ],
)
def test_a_text_is_bounded_while_it_is_filled_in(
    rule: str, values: dict[str, Any], said: str
) -> None:
    """A name has at most 1 KiB, other texts and lists 64 KiB; the error has its position and what
    to do.
    """
    intent = "" if "intents" in rule else "intent: lost, "
    (error, *_) = errors(f"rules:\n  - {{{rule}, {intent}queue: Cards}}\n", **values)
    assert said in error
    assert error.startswith("5:")
    assert re.search(r"; (shorten it or its variables|write a shorter `\w+`)$", error)


def test_a_text_of_exactly_the_limit_is_valid() -> None:
    """An expanded name of 1 KiB and an expanded description of 64 KiB."""
    rule = (
        'rules:\n  - {intent: lost, queue: Cards, name: "${n}", description: "${d}"}\n'
    )
    filled = prod(rule, n="x" * 1024, d="x" * 65_536)
    assert (1024, 65_536) == (len(filled.name), len(filled.description))


AMPLIFYING: dict[str, tuple[str | list[str], Callable[[int], str]]] = {
    "descriptions": (
        LONG,
        lambda number: f'{{key: k{number}, description: "${{v}}{number}"}}',
    ),
    "single variables": (
        LONG,
        lambda number: f'{{key: k{number}, description: "${{v}}"}}',
    ),
    "condition values": (
        LONG,
        lambda number: (
            f'{{key: k{number}, when: [{{attribute: a, equals: "${{v}}{number}"}}]}}'
        ),
    ),
    "attributes": (
        LONG,
        lambda number: (
            f'{{key: k{number}, when: [{{attribute: "${{v}}{number}", equals: a}}]}}'
        ),
    ),
    "many in one": (
        LONG[:1000],
        lambda number: f'{{key: k{number}, description: "{"${v}" * 64}"}}',
    ),
    "lists": (
        [LONG[:60]] * 1000,
        lambda number: f'{{key: k{number}, when: [{{attribute: a, in: "${{v}}"}}]}}',
    ),
    "numbers": (
        [*range(1000)],
        lambda number: f'{{key: k{number}, when: [{{attribute: a, in: "${{v}}"}}]}}',
    ),
    "names": (
        LONG[:1000],
        lambda number: f'{{key: k{number}, name: "${{v}}{number}"}}',
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("what", AMPLIFYING)
def test_memory_stays_bounded_with_any_variables(what: str) -> None:
    """Manifests of 200 KiB that would expand to 300 MB: one error in the file, and less than 40 MB
    of memory.
    """
    value, rule = AMPLIFYING[what]
    count = 5_500
    write("prod.yaml", HEAD.replace("{}", json.dumps({"v": value})))
    rules = "".join(
        f"  - {rule(number)[:-1]}, queue: Cards}}\n" for number in range(count)
    )
    write("rules.yaml", f"{RULESET}rules:\n{rules}")
    manifests = load_manifests(Path("manifests"))
    environment = manifests.environments["prod"].document
    catalogue = OfflineQueueResolver("prod", resolve_aliases(manifests, "prod"))
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError) as caught:
            expand_manifests(manifests, environment, catalogue)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert 40 * 2**20 > peak
    (error,) = (
        finding for finding in caught.value.findings if finding.severity == "error"
    )
    assert "CXR010" == error.code
    assert (
        "the variables in this file expand to more than 5 MiB of text" == error.message
    )
    assert "shorten the variables, or split the file" == error.hint
    assert error.source
    assert error.source.file.endswith("rules.yaml")


@pytest.mark.slow
def test_many_small_files_share_one_limit() -> None:
    """Each file stays below 5 MiB; all files together may expand to 64 MiB."""
    write("prod.yaml", HEAD.replace("{}", json.dumps({"v": LONG})))
    for file in range(15):
        rules = "".join(
            f'  - {{key: k{number}, intent: i{file}-{number}, queue: Cards, description: "${{v}}"}}\n'
            for number in range(80)
        )
        write(
            f"rules{file}.yaml",
            f"{RULESET.replace('cards', f'cards{file}')}rules:\n{rules}",
        )
    manifests = load_manifests(Path("manifests"))
    with pytest.raises(ManifestError) as caught:
        expand_manifests(
            manifests,
            manifests.environments["prod"].document,
            OfflineQueueResolver("prod", {}),
        )
    assert {
        "the variables in all files together expand to more than 64 MiB of text"
    } == {finding.message for finding in caught.value.findings}


def test_a_long_queue_name_in_generated_descriptions_counts() -> None:
    """A default description contains the queue's name, which can be long under a short alias."""
    queues = f"apiVersion: routing/v1\nkind: Queues\nname: q\nqueues: {{a: {LONG}}}\n"
    write("prod.yaml", f"{HEAD}{queues}")
    rules = "".join(f"  - {{intent: i{number}, queue: a}}\n" for number in range(5_000))
    write("rules.yaml", f"{RULESET}rules:\n{rules}")
    manifests = load_manifests(Path("manifests"))
    with pytest.raises(ManifestError, match="1 error") as caught:
        expand_manifests(
            manifests,
            manifests.environments["prod"].document,
            OfflineQueueResolver("prod", resolve_aliases(manifests, "prod")),
        )
    assert "CXR010" == caught.value.findings[0].code


def test_texts_of_route_tests_are_bounded_too() -> None:
    """Route tests expand texts with the same limits as rules."""
    write("prod.yaml", HEAD.replace("{}", json.dumps({"v": LONG})))
    write("rules.yaml", f"{RULESET}rules: [{{intent: a, queue: Cards}}]\n")
    tests = "".join(
        f'  - {{given: {{attributes: {{a: "${{v}}{number}"}}}}, expect: {{queue: Cards}}}}\n'
        for number in range(500)
    )
    write(
        "tests.yaml",
        f"apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n{tests}",
    )
    manifests = load_manifests(Path("manifests"))
    catalogue = OfflineQueueResolver("prod", resolve_aliases(manifests, "prod"))
    environment = manifests.environments["prod"].document
    tried = run_route_tests(
        manifests.route_tests,
        environment,
        catalogue,
        expand_manifests(manifests, environment, catalogue),
    )
    failures = [item.failure.message for item in tried if item.failure]
    assert (
        "the variables in this file expand to more than 5 MiB of text" == failures[-1]
    )
    assert 6_000_000 > sum(len(str(item.conversation)) for item in tried)
