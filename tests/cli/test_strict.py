"""`validate --strict`: warnings that count as errors, by the option or by the Environment."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.program import write

if TYPE_CHECKING:
    from tests.support.program import Program

ENVIRONMENT = (
    "apiVersion: routing/v1\nkind: Environment\nname: sandbox\nowner: sandbox\n"
)
RULES = """
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {key: first, when: [], queue: A, priority: 1}
  - {key: second, when: [{attribute: tier, equals: gold}], queue: B, priority: 2}
  - {key: third, when: [{attribute: tier, in: []}], queue: B, priority: 3}
"""


@pytest.fixture
def warned(cxroute: Program) -> Program:
    """Manifests with a warning CXR201 and a warning CXR202, and no error."""
    write("environment.yaml", ENVIRONMENT)
    write("rules.yaml", RULES)
    assert 0 == cxroute("validate", "--format", "json")
    codes = {
        each["code"]
        for each in json.loads(cxroute.out)["findings"]
        if each["severity"] == "warning"
    }
    assert {"CXR201", "CXR202"} <= codes
    return cxroute


@pytest.mark.fast_cases(10)
@pytest.mark.parametrize(
    ("option", "code"),
    [
        (["--strict"], 3),
        (["--strict=all"], 3),
        (["--strict", "CXR202"], 3),
        (["--strict", "cxr204,CXR202"], 3),
        (["--strict", "CXR204"], 0),
        ([], 0),
    ],
)
@pytest.mark.parametrize("form", ["text", "json", "github", "gitlab", "sarif"])
def test_the_option_turns_warnings_into_exit_3(
    warned: Program, option: list[str], code: int, form: str
) -> None:
    """All warnings, or those with the codes; the findings stay warnings in every format."""
    assert code == warned("validate", *option, "--format", form)
    if form == "json":
        document = json.loads(warned.out)
        assert (True, code == 0) == (document["valid"], document["strict"])
    if form == "text":
        assert (
            "Exit 3, because warnings count as errors here (strict):" in warned.err
        ) is (code == 3)


@pytest.mark.parametrize(
    ("codes", "code"), [("[CXR202]", 3), ("[all]", 3), ("[CXR204]", 0), ("[]", 0)]
)
def test_the_environment_turns_warnings_into_exit_3(
    warned: Program, codes: str, code: int
) -> None:
    """`strict` of an Environment holds without an option."""
    write("environment.yaml", f"{ENVIRONMENT}strict: {codes}\n")
    assert code == warned("validate")


def test_an_accepted_warning_does_not_count(warned: Program) -> None:
    """A finding that the manifests accept does not change the exit code."""
    accept = (
        "accept: [{code: CXR201, address: cards/*, reason: x}, {code: CXR202, address: cards/*, "
        "reason: x}]\n"
    )
    write("environment.yaml", f"{ENVIRONMENT}strict: [CXR201, CXR202]\n{accept}")
    assert 0 == warned("validate"), warned.out


def test_an_unknown_code_is_refused(warned: Program) -> None:
    """On the command line exit 64, in the Environment an error at its position."""
    assert 64 == warned("validate", "--strict", "CXR2O2")
    assert 'unknown code "CXR2O2"' in warned.err
    write("environment.yaml", f"{ENVIRONMENT}strict: [CXR999]\n")
    assert 3 == warned("validate")
    assert "must be the code of a finding, such as CXR203, or all" in warned.out
