"""Attributes and values outside the Attributes documents: found at their position, with the nearest
match.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.core.checks.lint import lint
from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.desired import expand_manifests
from reconciler.core.desired.queues import OfflineQueueResolver
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import Finding
from tests.support.cases import each_case
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_TEXTS
from tests.support.program import Program, write
from tests.support.written_manifests import ENVIRONMENT, HEAD, yaml_of
from tests.tiers import size

VARS = 'vars: {tier: platinium, tiers: [gold, bronze], amount: 1000, name: custmerTier, word: "1000"}\n'
ATTRIBUTES = """\
apiVersion: routing/v1
kind: Attributes
name: bank
attributes:
  customerTier: {values: [gold, platinum, standard], writtenBy: the IVR}
  transferAmount: {type: number, writtenBy: the app}
  branch: {type: text, writtenBy: the IVR}
  vip: {type: boolean, writtenBy: the IVR}
  level: {values: [1, 2, 3], writtenBy: the IVR}
  mixed: {values: [1, one], writtenBy: the IVR}
  free: {}
"""
PROMISES = "apiVersion: routing/v1\nkind: Promises\nname: p\npromises:\n"
TESTS = "apiVersion: routing/v1\nkind: RouteTests\nname: t\ntests:\n"
Lint = Callable[..., list[Finding]]


@pytest.fixture
def linted(room: Path) -> Lint:
    """Return the findings about the vocabulary; a rule is one line, the first on line 5 of
    rules.yaml.
    """

    def run(
        *conditions: str,
        attributes: str = ATTRIBUTES,
        tests: str = "",
        promises: str = "",
    ) -> list[Finding]:
        rules = "".join(
            f"  - {{key: k{n}, when: [{each}], queue: Q{n}}}\n"
            for n, each in enumerate(conditions)
        )
        texts = {
            "prod": ENVIRONMENT + VARS,
            "rules": HEAD + rules,
            "attributes": attributes,
        }
        texts |= {"tests": TESTS + tests} if tests else {}
        texts |= {"promises": PROMISES + promises} if promises else {}
        for name, text in texts.items():
            (room / f"{name}.yaml").write_text(text, encoding="utf-8")
        manifests = load_manifests(room)
        environment = manifests.environments["prod"].document
        desired = expand_manifests(
            manifests, environment, OfflineQueueResolver("prod", {})
        )
        findings = lint(LintView(desired, (), manifests, environment, {}))
        return [finding for finding in findings if finding.code in {"CXR207", "CXR213"}]

    return run


def test_the_name_of_a_group_is_not_a_value(linted: Lint) -> None:
    """Rules name the values: the hint lists them, though a similar value exists."""
    attributes = ATTRIBUTES.replace(
        "[gold, platinum, standard]",
        "{gold: {group: premium}, platinum: {group: premium}, premiun: Typed}",
    )
    message = '"premium" is not a declared value of attribute "customerTier"'
    hint = 'it is a group: write its values, "gold", "platinum"'
    actual = linted("{attribute: customerTier, in: [premium]}", attributes=attributes)
    assert [("CXR213", message, hint)] == told(actual)


def told(findings: list[Finding]) -> list[tuple[str, str, str]]:
    """Return code, message and hint of each finding."""
    return [(finding.code, finding.message, finding.hint) for finding in findings]


def place(finding: Finding) -> tuple[str, int, int]:
    """Return the position of a finding."""
    assert finding.source is not None
    return finding.source


@each_case(
    "condition, token, code, message, hint",
    [
        (
            "{attribute: custmerTier, equals: gold}",
            "custmerTier",
            "CXR207",
            'attribute "custmerTier" is in no Attributes document',
            'did you mean "customerTier"?',
        ),
        (
            "{attribute: xyz, equals: gold}",
            "xyz",
            "CXR207",
            'attribute "xyz" is in no Attributes document',
            "declare it there, or correct the name",
        ),
        (
            '{attribute: "${name}", equals: gold}',
            '"${name}"',
            "CXR207",
            'attribute "custmerTier" is in no Attributes document',
            'did you mean "customerTier"?',
        ),
        (
            "{attribute: customerTier, in: [gold, platinium]}",
            "platinium",
            "CXR213",
            '"platinium" is not a declared value of attribute "customerTier"',
            'did you mean "platinum"?',
        ),
        (
            "{attribute: customerTier, notEquals: Q}",
            "Q}",
            "CXR213",
            '"Q" is not a declared value of attribute "customerTier"',
            'declared: "gold", "platinum", "standard"',
        ),
        (
            '{attribute: customerTier, equals: "${tier}"}',
            '"${tier}"',
            "CXR213",
            '"platinium" is not a declared value of attribute "customerTier"',
            'did you mean "platinum"?',
        ),
        (
            '{attribute: customerTier, in: "${tiers}"}',
            '"${tiers}"',
            "CXR213",
            '"bronze" is not a declared value of attribute "customerTier"',
            'declared: "gold", "platinum", "standard"',
        ),
        (
            "{attribute: customerTier, equals: 7}",
            "7",
            "CXR213",
            'attribute "customerTier" has the type text, and 7 is not of it',
            "put it in quotes",
        ),
        (
            '{attribute: transferAmount, equals: "1000"}',
            '"1000"',
            "CXR213",
            'attribute "transferAmount" has the type number, and the text "1000" is not of it',
            "write it without quotes",
        ),
        (
            '{attribute: transferAmount, equals: "${word}"}',
            '"${word}"',
            "CXR213",
            'attribute "transferAmount" has the type number, and the text "1000" is not of it',
            "write it without quotes",
        ),
        (
            "{attribute: transferAmount, notContains: a}",
            "a}",
            "CXR213",
            'notContains compares texts, and attribute "transferAmount" has the type number',
            "use another operator, or correct the `type`",
        ),
        (
            "{attribute: branch, between: [1, 2]}",
            "1, 2",
            "CXR213",
            'between compares numbers, and attribute "branch" has the type text',
            "use another operator, or correct the `type`",
        ),
        (
            "{attribute: vip, equals: yes}",
            "yes",
            "CXR213",
            'attribute "vip" has the type boolean, and the text "yes" is not of it',
            "",
        ),
        (
            "{attribute: level, equals: 4}",
            "4",
            "CXR213",
            '4 is not a declared value of attribute "level"',
            "declared: 1, 2, 3",
        ),
        (
            "{attribute: mixed, equals: 2}",
            "2}",
            "CXR213",
            '2 is not a declared value of attribute "mixed"',
            'declared: 1, "one"',
        ),
    ],
)
def test_a_finding_at_the_value(
    linted: Lint, condition: str, token: str, code: str, message: str, hint: str
) -> None:
    """With file, line and column, the rule's address, and the nearest name or value."""
    (actual,) = linted(condition)
    assert (code, message, hint) == (actual.code, actual.message, actual.hint)
    assert ("manifests/rules.yaml", 5) == place(actual)[:2]
    line = Path("manifests/rules.yaml").read_text(encoding="utf-8").splitlines()[4]
    assert line[place(actual)[2] - 1 :].startswith(token), line
    assert ("warning", "cards/k0") == (actual.severity, str(actual.address))


def test_declared_uses_have_no_finding(linted: Lint) -> None:
    """Every operator on its type, booleans as texts, a number in another form, variables, and the
    bot's attributes.
    """
    assert [] == linted(
        "{attribute: customerTier, in: [gold, platinum]}",
        '{attribute: transferAmount, equals: "${amount}"}',
        '{attribute: transferAmount, greaterThan: "7.5"}, {attribute: level, equals: 1.0}',
        '{attribute: vip, equals: "true"}',
        "{attribute: vip, in: [true, false]}",
        "{attribute: branch, startsWith: a}, {attribute: customerTier, contains: old}",
        "{attribute: mixed, greaterThan: 0}, {attribute: mixed, contains: o}, {attribute: mixed, "
        "equals: one}",
        "{attribute: cognigyDetectedIntent, contains: a}, {attribute: routedAt, exists: true}",
        "{attribute: cognigyConfidence, equals: high}",
    )


def test_several_uses_are_one_finding(linted: Lint) -> None:
    """At the first place, with the number of the others."""
    (actual,) = linted(*["{attribute: tier, equals: gold}"] * 3)
    assert (
        'attribute "tier" is in no Attributes document; also in 2 further places'
        == actual.message
    )
    assert ("manifests/rules.yaml", 5) == place(actual)[:2]


def test_without_a_document_nothing_is_required(linted: Lint) -> None:
    """The writer of an attribute is a question, and nothing else; an empty document requires a
    declaration.
    """
    (actual,) = linted("{attribute: tier, equals: gold}", attributes="")
    assert ("CXR207", "info") == (actual.code, actual.severity)
    (actual,) = linted(
        "{attribute: tier, equals: gold}",
        attributes=ATTRIBUTES[: ATTRIBUTES.index("\n  ")] + " {}\n",
    )
    assert ("CXR207", "warning") == (actual.code, actual.severity)


def test_a_declared_writer_answers_the_question(linted: Lint) -> None:
    """Without a writer, the finding asks for it; it is not a warning, and no other name is
    suggested.
    """
    (actual,) = linted(
        "{attribute: free, equals: gold}, {attribute: branch, equals: Bonn}"
    )
    assert ("CXR207", "info") == (actual.code, actual.severity)
    assert (
        'attribute "free" is used by 1 rule; the context endpoint does not write it'
        == actual.message
    )
    assert (
        "name the system that writes it: `writtenBy` in the Attributes document"
        == actual.hint
    )


def test_route_tests_use_the_vocabulary(linted: Lint) -> None:
    """Names at their key, values at the value, also in `context`; the short names there are the
    bot's attributes.
    """
    actual = linted(
        "{attribute: vip, equals: true}",
        tests="  - {given: {attributes: {customertier: gold, vip: null}}, expect: {default: true}}\n"
        "  - {given: {context: {intent: a, confidence: 1, customerTier: god, none: null}}, expect: "
        "{default: true}}\n"
        '  - {given: {attributes: {customerTier: "${tier}"}}, expect: {default: true}}\n',
    )
    assert [
        (5, 27, 'did you mean "customerTier"?'),
        (6, 64, 'did you mean "gold"?'),
        (6, 69, "declare it there, or correct the name"),
        (7, 41, 'did you mean "platinum"?'),
    ] == [(*place(each)[1:], each.hint) for each in actual]
    assert {None} == {each.address for each in actual}


def test_promises_use_the_vocabulary(linted: Lint) -> None:
    """Their conditions, with variables; not those of another environment; a rule with the same
    problem comes first.
    """
    never = "never: {default: true}}"
    actual = linted(
        "{attribute: tier, equals: gold}",
        promises=f"  - {{name: a, for: {{when: [{{attribute: customerTier, in: [gold, god]}}]}}, {never}\n"
        f"  - {{name: b, for: {{when: [{{attribute: '${{name}}', exists: true}}]}}, {never}\n"
        f"  - {{name: c, environments: [sandbox], for: {{when: [{{attribute: x, exists: true}}]}}, "
        f"{never}\n"
        f"  - {{name: d, for: {{intent: a, when: [{{attribute: tier, equals: gold}}]}}, {never}\n",
    )
    assert [
        ("manifests/promises.yaml", 5, 65, 'did you mean "gold"?'),
        ("manifests/promises.yaml", 6, 40, 'did you mean "customerTier"?'),
        ("manifests/rules.yaml", 5, 34, "declare it there, or correct the name"),
    ] == [(*place(each), each.hint) for each in actual]
    assert actual[-1].message.endswith("; also in 1 further place")


def test_many_problems_are_counted(linted: Lint) -> None:
    """The search for the nearest name is slow: after 50 problems, one finding counts the others."""
    actual = linted(*[f"{{attribute: a{n:03}, equals: 1}}" for n in range(75)])
    assert 51 == len(actual)
    assert (
        "25 further differences from the Attributes documents, the first one here"
        == actual[-1].message
    )


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("hostile", HOSTILE_TEXTS, ids=repr)
def test_hostile_names_and_values_are_escaped(linted: Lint, hostile: str) -> None:
    """In messages and hints, on one line."""
    escaped = "".join(f"\\U{ord(sign):08x}" for sign in hostile)
    text = f'"{escaped}"'
    actual = linted(
        f"{{attribute: {text}, equals: {text}}}, {{attribute: customerTier, equals: {text}}}",
        attributes=ATTRIBUTES + f"  other: {{values: [{text}]}}\n",
    )
    assert {"CXR207", "CXR213"} == {each.code for each in actual}
    for each in actual:
        assert CONTROL_CHARACTERS.search(each.message + each.hint) is None
        assert "\n" not in each.message + each.hint


@pytest.mark.generated
def test_a_value_is_declared_if_an_evaluator_equals_it(linted: Lint) -> None:
    """For random values and declarations: CXR213 exactly if no declared value equals the compared
    one (S4).
    """
    pool: list[Any] = ["a", "1", "true", 1, 1.0, 2, True, False, "false", 0.5, "0.5"]

    def same(first: Any, second: Any) -> bool:
        first, second = (
            ("false", "true")[each] if isinstance(each, bool) else each
            for each in (first, second)
        )
        return isinstance(first, str) is isinstance(second, str) and first == second

    outcomes = set()
    for seed in range(size(fast=12, slow=60)):
        random = Random(seed)
        values = random.sample(pool, 3)
        value = random.choice(pool)
        declared = (
            f"{ATTRIBUTES}  x: {yaml_of({'values': values}).strip().join('{}')}\n"
        )
        actual = linted(
            f"{{attribute: x, {yaml_of({'equals': value}).strip()}}}",
            attributes=declared,
        )
        expected = not any(same(value, each) for each in values)
        assert expected is ("CXR213" in [each.code for each in actual]), (values, value)
        outcomes.add(expected)
    assert {True, False} == outcomes


def test_the_analysis_does_not_believe_a_declaration(cxroute: Program) -> None:
    """No rule counts as unreachable, and no conversation as impossible, because of declared values
    or types.
    """
    rules = (
        "  - {key: gold, when: [{attribute: customerTier, in: [gold, platinum, standard]}], queue: "
        "A, priority: 1}\n"
        "  - {key: others, when: [{attribute: customerTier, exists: true}], queue: B, priority: "
        "2}\n"
    )
    write("all.yaml", "---\n".join([ENVIRONMENT, ATTRIBUTES, HEAD + rules]))
    code, form = cxroute.json("validate")
    assert (0, []) == (code, form["findings"])
    assert 0 == cxroute("explain", "-e", "prod", "--attr", "customerTier=bronze")
    assert 'goes to "B"' in cxroute.out
