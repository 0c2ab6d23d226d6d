"""Findings that are accepted with a reason: counted and not displayed; an entry without a match is
a finding.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Source
from reconciler.core.plan.findings import replace_findings
from reconciler.render.scanning import findings_to_sarif
from tests.support.airline import ADDRESSES, create_unmanaged_rule, rules
from tests.support.builders import address
from tests.support.github_runner import workflow_commands
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.plan_formats import FORMS, PROGRAM_FILES
from tests.support.plans import plan_of_everything
from tests.support.program import Program, write
from tests.support.sarif_form import run_of

AGAIN = "{key: again, intents: [intent-3, intent-7], queue: Q0, priority: 99%s}"
"""A rule that other rules shadow: CXR202."""
IN_VAIN = "CXR212"


def codes(form: Any, kind: str = "findings") -> list[tuple[str, str | None]]:
    """Return code and rule of each finding of a JSON document, except infos."""
    return [
        (item["code"], item["address"])
        for item in form[kind]
        if item["severity"] != "info"
    ]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_rule_accepts_a_finding_with_a_reason(cxroute: Program, command: str) -> None:
    """It is counted in text and listed in JSON with the reason; annotations and comment do not
    contain it.
    """
    rules(catch_all=AGAIN % "")
    assert [("CXR202", "air/again")] == codes(cxroute.json(command)[1])
    rules(catch_all=AGAIN % ", accept: {CXR202: kept for June}")
    code, form = cxroute.json(command)
    assert (0, [], [("CXR202", "air/again")]) == (
        code,
        codes(form),
        codes(form, "acknowledged"),
    )
    assert [{"reason": "kept for June"}] == [
        item["acknowledged"] for item in form["acknowledged"]
    ]
    assert 0 == cxroute(command)
    assert (
        "CXR202" in cxroute.out,
        "1 acknowledged finding is not shown." in cxroute.out,
    ) == (False, True)
    assert 0 == cxroute(command, "--format", "github")
    assert {"notice"} >= {command.name for command in workflow_commands(cxroute.out)}


@pytest.mark.usefixtures("elsewhere")
def test_an_environment_accepts_findings_of_many_rules(cxroute: Program) -> None:
    """By a pattern, and one without an address for findings without one rule; grouped as open ones
    are.
    """
    accept = (
        "accept: [{code: CXR202, address: 'air/*', reason: INC-7}, {code: CXR205, reason: "
        "soon}]"
    )
    rules(environment=accept)
    write(
        "bot.yaml",
        "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [fax, intent-1]\n",
    )
    assert 0 == cxroute("apply", "--yes")
    create_unmanaged_rule()
    _, form = cxroute.json("plan")
    assert [] == [code for code in codes(form) if code[0] != "CXR206"]
    accepted = {item["code"]: item for item in form["acknowledged"]}
    assert {"CXR202", "CXR205"} == {*accepted}
    assert set(ADDRESSES) == {*accepted["CXR202"]["addresses"]}
    for form_name in ("markdown", "html"):
        assert 0 == cxroute("plan", "--format", form_name)
        assert (
            "CXR202" in cxroute.out,
            "2 acknowledged findings are not shown." in cxroute.out,
        ) == (False, True)


@pytest.mark.usefixtures("elsewhere")
def test_a_rule_accepts_only_its_own_finding(cxroute: Program) -> None:
    """The other 28 rules of the same cause stay one finding."""
    rules(
        catch_all="{key: all, when: [], queue: Q0, priority: 1}",
        own=", accept: {CXR202: meant}",
    )
    _, form = cxroute.json("validate")
    (finding,) = form["findings"]
    assert (28, False) == (
        len(finding["addresses"]),
        "air/intent-3" in finding["addresses"],
    )
    assert ["air/intent-3"] == [item["address"] for item in form["acknowledged"]]


@pytest.mark.usefixtures("elsewhere")
def test_sarif_has_accepted_findings_as_suppressed_results(cxroute: Program) -> None:
    """With the reason, as section 3.35 of the standard requires."""
    rules(catch_all=AGAIN % ", accept: {CXR202: 'kept {for} June'}")
    assert 0 == cxroute("validate", "--format", "sarif")
    (result,) = (
        item
        for item in run_of(json.loads(cxroute.out))["results"]
        if item["ruleId"] == "CXR202"
    )
    assert [{"kind": "inSource", "justification": "kept {for} June"}] == result[
        "suppressions"
    ]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "accept",
    [
        "accept: [{code: CXR203, reason: r}]",
        "accept: [{code: CXR203, address: 'no/*', reason: r}]",
    ],
)
def test_an_entry_of_an_environment_without_a_match_is_a_finding(
    cxroute: Program, accept: str
) -> None:
    """At its position; without a complete check there is no finding."""
    rules(environment=accept)
    assert [] == codes(cxroute.json("validate")[1])
    _, form = cxroute.json("plan")
    assert [(IN_VAIN, None)] == codes(form)
    source = next(
        item["source"] for item in form["findings"] if item["code"] == IN_VAIN
    )
    assert ("manifests/sandbox.yaml", 5) == (source["file"], source["line"])
    assert [] == codes(cxroute.json("plan", "--only", "air/*")[1])


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("code", "offline"),
    [("CXR201", True), ("CXR117", True), ("CXR202", False), ("CXR306", False)],
)
def test_an_entry_of_a_rule_without_a_match_is_a_finding(
    cxroute: Program,
    code: str,
    offline: bool,  # noqa: FBT001 - what is expected
) -> None:
    """Offline, if live rules cannot add the finding; otherwise in the plan, if plan searches for
    the finding.
    """
    rules(own=f", accept: {{{code}: meant}}")
    expected = [(IN_VAIN, "air/intent-3")]
    assert (expected if offline else []) == codes(cxroute.json("validate")[1])
    assert ([] if code == "CXR117" else expected) == codes(cxroute.json("plan")[1])


@pytest.mark.usefixtures("elsewhere")
def test_an_entry_that_another_environment_may_need_is_an_info(
    cxroute: Program,
) -> None:
    """The rule is in two; in the plan of one of them the entry matches nothing."""
    rules(own=", accept: {CXR203: meant}")
    write(
        "prod.yaml",
        "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: air\ntenant: acme\n",
    )
    _, form = cxroute.json("plan")
    assert [(IN_VAIN, "info")] == [
        (item["code"], item["severity"])
        for item in form["findings"]
        if item["code"] != "CXR208"
    ]


@pytest.mark.usefixtures("elsewhere")
def test_an_entry_for_a_finding_that_live_rules_hide_is_used(cxroute: Program) -> None:
    """`validate` shows a finding of the manifests alone that disappears with the live rules."""
    rules(
        catch_all="{key: rest, when: [], queue: Q3, priority: 500}",
        own=", accept: {CXR203: meant}",
    )
    text = Path("manifests/rules.yaml").read_text(encoding="utf-8")
    Path("manifests/rules.yaml").write_text(
        text.replace("{intent: intent-3,", "{key: intent-3, intents: [intent-3, b],")
    )
    assert [("CXR203", "air/intent-3")] == codes(
        cxroute.json("validate")[1], "acknowledged"
    )
    assert 0 == cxroute("apply", "--yes")
    create_unmanaged_rule(priority=300)
    _, form = cxroute.json("plan")
    assert [("CXR202", "air/rest")] == codes(form)
    assert [] == form["acknowledged"]


@pytest.mark.usefixtures("elsewhere")
def test_an_error_cannot_be_accepted(cxroute: Program) -> None:
    """An unmanaged rule of the same name is still a conflict."""
    rules(own=", accept: {CXR301: fine}")
    assert 0 == cxroute("apply", "--yes", "--only", "air/intent-1")
    create_unmanaged_rule("Cognigy Intent Route: intent-3", priority=999)
    _, form = cxroute.json("plan")
    assert {("CXR301", "air/intent-3"), (IN_VAIN, "air/intent-3")} == {*codes(form)}
    assert 4 == cxroute("apply", "--yes")


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("own", "environment", "said"),
    [
        (
            ", accept: {CXR9: meant}",
            "",
            'the name "CXR9" must be the code of a finding, such as CXR203',
        ),
        (", accept: {CXR203: ''}", "", '"CXR203" must not be empty'),
        (", accept: CXR203", "", '"accept" must be a mapping'),
        ("", "accept: [{code: CXR202}]", 'missing field "reason"'),
        (
            "",
            "accept: [{code: CXR202, address: air, reason: r}]",
            '"address" must be an address, ruleset/key, or a',
        ),
        (
            "",
            "accept: [{code: cxr202, reason: r}]",
            '"code" must be the code of a finding, such as CXR203',
        ),
    ],
)
def test_an_invalid_entry_is_an_error(
    cxroute: Program, own: str, environment: str, said: str
) -> None:
    """With the field and its allowed values."""
    rules(own=own, environment=environment)
    assert 3 == cxroute("validate")
    assert said in cxroute.out


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_reason_is_text(name: str) -> None:
    """In SARIF; other forms only count, and JSON keeps the full text."""
    finding = Finding(
        code="CXR203",
        severity="warning",
        message="no effect",
        source=Source("a.yaml", 1, 1),
        address=address("a/b"),
        acknowledged=name or "-",
    )
    plan = plan_of_everything()
    created = replace_findings(plan, [*plan.findings, finding])
    for form, show in FORMS.items():
        if form == "json":
            assert (name or "-") == json.loads(show(created))["acknowledged"][0][
                "acknowledged"
            ]["reason"]
        elif form not in PROGRAM_FILES and "drift" not in form:
            assert "1 acknowledged finding is not shown." in show(created)
            assert "CXR203" not in show(created)
    assert 1 == len(run_of(findings_to_sarif(created.acknowledged))["results"])
