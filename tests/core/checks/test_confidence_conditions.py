"""CXR214: a comparison of the confidence with single values, or with a number outside 0 to 1."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support.cases import each_case
from tests.support.program import Program

ADVICE = "write a comparison with a number from 0 to 1, such as greaterThanOrEqual: 0.7"
ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: a\ntenant: a\n"
)
RULE = """apiVersion: routing/v1
kind: RuleSet
name: own
rules:
  - intent: pin
    queue: Cards
    when: [{{attribute: {attribute}, {test}}}]
"""


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    monkeypatch.chdir(tmp_path)
    Path("manifests").mkdir()
    return Program(capsys)


def findings(
    desk: Program,
    test: str,
    attribute: str = "cognigyConfidence",
    environment: str = "",
) -> list[str]:
    Path("manifests/prod.yaml").write_text(ENVIRONMENT + environment, encoding="utf-8")
    Path("manifests/own.yaml").write_text(
        RULE.format(attribute=attribute, test=test), encoding="utf-8"
    )
    assert 0 == desk("validate", "-e", "prod"), desk.err
    start = re.compile(r"manifests/own\.yaml:7:\d+: warning\[CXR214\]: ")
    lines = [line for line in desk.out.splitlines() if "CXR214" in line]
    assert all(map(start.match, lines))
    return [start.sub("", line) for line in lines]


@each_case(
    "test, operator",
    [
        ("equals: 0.6", "equals"),
        ("equals: 70", "equals"),
        ("notEquals: 0", "notEquals"),
        ("in: [0.8, 0.6]", "in"),
        ("notIn: [0.2]", "notIn"),
        ("contains: '0.6'", "contains"),
        ("notStartsWith: '0.6'", "notStartsWith"),
        ("equals: high", "equals"),
    ],
)
def test_single_values_are_a_finding(desk: Program, test: str, operator: str) -> None:
    (actual,) = findings(desk, test)
    assert actual.startswith(f"{operator} compares the confidence with single values")
    assert actual.endswith(ADVICE)


@each_case(
    "test, number",
    [
        ("greaterThanOrEqual: 70", "70"),
        ("greaterThan: 1.7", "1.7"),
        ("lessThan: 95.5", "95.5"),
        ("lessThanOrEqual: -1", "-1"),
        ("between: [0.5, 90]", "90"),
        ("greaterThanOrEqual: '70'", "70"),
    ],
)
def test_a_number_outside_0_to_1_is_a_finding(
    desk: Program, test: str, number: str
) -> None:
    (actual,) = findings(desk, test)
    assert (
        actual
        == f"{number} is not a confidence, which is a number from 0 to 1; {ADVICE}"
    )


@each_case(
    "test",
    [
        "greaterThanOrEqual: 0.6",
        "between: [0, 1]",
        "lessThan: 1",
        "exists: true",
        "notExists: true",
    ],
)
def test_an_ordinary_comparison_is_not_a_finding(desk: Program, test: str) -> None:
    assert findings(desk, test) == []


def test_the_attribute_is_the_one_of_the_environment(desk: Program) -> None:
    names = "attributes: {confidence: score}\n"
    assert findings(desk, "equals: 0.6", "score", names)
    assert findings(desk, "equals: 0.6", "cognigyConfidence", names) == []


def test_a_promise_has_the_finding_too(desk: Program) -> None:
    promise = (
        "{name: p, for: {when: [{attribute: cognigyConfidence, lessThan: 60}]}, always: {queues: "
        "[Cards]}}"
    )
    promises = (
        f"apiVersion: routing/v1\nkind: Promises\nname: own\npromises:\n  - {promise}\n"
    )
    Path("manifests/promises.yaml").write_text(promises, encoding="utf-8")
    Path("manifests/prod.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    Path("manifests/own.yaml").write_text(
        RULE.format(attribute="tier", test="equals: gold"), encoding="utf-8"
    )
    desk("validate", "-e", "prod")
    assert "warning[CXR214]: 60 is not a confidence" in desk.out
    assert "manifests/promises.yaml:5:" in desk.out


def test_the_finding_can_be_accepted(desk: Program) -> None:
    rule = (
        RULE.format(attribute="cognigyConfidence", test="equals: 1")
        + "    accept: {CXR214: the bot sends 1 for menus}\n"
    )
    Path("manifests/prod.yaml").write_text(ENVIRONMENT, encoding="utf-8")
    Path("manifests/own.yaml").write_text(rule, encoding="utf-8")
    assert 0 == desk("validate", "-e", "prod")
    assert "CXR21" not in desk.out
