"""Findings that are accepted with a reason: counted and not shown; what is accepted for nothing is a finding."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.plan.plan import replace_findings
from reconciler.render.sarif import findings_to_sarif
from tests.support.airline import ADDRESSES, create_unmanaged_rule, rules
from tests.support.builders import address
from tests.support.github_runner import workflow_commands
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.plan_formats import FORMS
from tests.support.plans import plan_of_everything
from tests.support.program import Program, write
from tests.support.sarif_form import run_of

AGAIN = "{key: again, intents: [intent-3, intent-7], queue: Q0, priority: 99%s}"
"""A rule that others hide: CXR202."""
IN_VAIN = "CXR212"


def codes(form: Any, kind: str = "findings") -> list[tuple[str, str | None]]:
    """Code and rule of each finding of a JSON document that is more than worth knowing."""
    return [(one["code"], one["address"]) for one in form[kind] if one["severity"] != "info"]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("command", ["plan", "validate"])
def test_a_rule_accepts_a_finding_with_a_reason(cxroute: Program, command: str) -> None:
    """It is counted in text and listed in JSON with the reason; annotations and comment do not have it."""
    rules(catch_all=AGAIN % "")
    assert [("CXR202", "air/again")] == codes(cxroute.json(command)[1])
    rules(catch_all=AGAIN % ", accept: {CXR202: kept for June}")
    code, form = cxroute.json(command)
    assert (0, [], [("CXR202", "air/again")]) == (code, codes(form), codes(form, "acknowledged"))
    assert [{"reason": "kept for June"}] == [one["acknowledged"] for one in form["acknowledged"]]
    assert 0 == cxroute(command)
    assert ("CXR202" in cxroute.out, "1 acknowledged finding is not shown." in cxroute.out) == (False, True)
    assert 0 == cxroute(command, "--format", "github")
    assert [] == workflow_commands(cxroute.out)


@pytest.mark.usefixtures("elsewhere")
def test_an_environment_accepts_findings_of_many_rules(cxroute: Program) -> None:
    """By a pattern, and one about no single rule without an address; grouped as open ones are."""
    accept = "accept: [{code: CXR202, address: 'air/*', reason: INC-7}, {code: CXR205, reason: soon}]"
    rules(environment=accept)
    write("bot.yaml", "apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [fax, intent-1]\n")
    assert 0 == cxroute("apply", "--yes")
    create_unmanaged_rule()
    _, form = cxroute.json("plan")
    assert [] == [one for one in codes(form) if one[0] != "CXR206"]
    accepted = {one["code"]: one for one in form["acknowledged"]}
    assert {"CXR202", "CXR205"} == {*accepted}
    assert set(ADDRESSES) == {*accepted["CXR202"]["addresses"]}
    for form_name in ("markdown", "html"):
        assert 0 == cxroute("plan", "--format", form_name)
        assert ("CXR202" in cxroute.out, "2 acknowledged findings are not shown." in cxroute.out) == (False, True)


@pytest.mark.usefixtures("elsewhere")
def test_a_rule_accepts_for_itself_alone(cxroute: Program) -> None:
    """The other 28 rules of the same cause stay one finding."""
    rules(catch_all="{key: all, when: [], queue: Q0, priority: 1}", own=", accept: {CXR202: meant}")
    _, form = cxroute.json("validate")
    (finding,) = form["findings"]
    assert (28, False) == (len(finding["addresses"]), "air/intent-3" in finding["addresses"])
    assert ["air/intent-3"] == [one["address"] for one in form["acknowledged"]]


@pytest.mark.usefixtures("elsewhere")
def test_sarif_has_accepted_findings_as_suppressed_results(cxroute: Program) -> None:
    """With the reason, as section 3.35 of the standard asks."""
    rules(catch_all=AGAIN % ", accept: {CXR202: 'kept {for} June'}")
    assert 0 == cxroute("validate", "--format", "sarif")
    (result,) = (one for one in run_of(json.loads(cxroute.out))["results"] if one["ruleId"] == "CXR202")
    assert [{"kind": "inSource", "justification": "kept {for} June"}] == result["suppressions"]


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    "accept", ["accept: [{code: CXR203, reason: r}]", "accept: [{code: CXR203, address: 'no/*', reason: r}]"]
)
def test_what_an_environment_accepts_for_nothing_is_a_finding(cxroute: Program, accept: str) -> None:
    """At its place; where nothing is known of all findings, nothing is said."""
    rules(environment=accept)
    assert [] == codes(cxroute.json("validate")[1])
    _, form = cxroute.json("plan")
    assert [(IN_VAIN, None)] == codes(form)
    source = next(one["source"] for one in form["findings"] if one["code"] == IN_VAIN)
    assert ("manifests/sandbox.yaml", 5) == (source["file"], source["line"])
    assert [] == codes(cxroute.json("plan", "--only", "air/*")[1])


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(
    ("code", "offline"), [("CXR201", True), ("CXR117", True), ("CXR202", False), ("CXR306", False)]
)
def test_what_a_rule_accepts_for_nothing_is_a_finding(cxroute: Program, code: str, offline: bool) -> None:  # noqa: FBT001 - what is expected
    """Offline, where no live rule can add it; else in the plan. What plan does not look for, plan does not miss."""
    rules(own=f", accept: {{{code}: meant}}")
    expected = [(IN_VAIN, "air/intent-3")]
    assert (expected if offline else []) == codes(cxroute.json("validate")[1])
    assert ([] if code == "CXR117" else expected) == codes(cxroute.json("plan")[1])


@pytest.mark.usefixtures("elsewhere")
def test_what_one_of_several_environments_may_need_is_worth_knowing_alone(cxroute: Program) -> None:
    """The rule is in two; in the plan of one of them it matches nothing."""
    rules(own=", accept: {CXR203: meant}")
    write("prod.yaml", "apiVersion: routing/v1\nkind: Environment\nname: prod\nowner: air\ntenant: acme\n")
    _, form = cxroute.json("plan")
    assert [(IN_VAIN, "info")] == [
        (one["code"], one["severity"]) for one in form["findings"] if one["code"] != "CXR208"
    ]


@pytest.mark.usefixtures("elsewhere")
def test_what_live_rules_hide_is_not_accepted_for_nothing(cxroute: Program) -> None:
    """A finding that the manifests have by themselves, and the live rules take away, is what `validate` shows."""
    rules(catch_all="{key: rest, when: [], queue: Q3, priority: 500}", own=", accept: {CXR203: meant}")
    text = Path("manifests/rules.yaml").read_text(encoding="utf-8")
    Path("manifests/rules.yaml").write_text(
        text.replace("{intent: intent-3,", "{key: intent-3, intents: [intent-3, b],")
    )
    assert [("CXR203", "air/intent-3")] == codes(cxroute.json("validate")[1], "acknowledged")
    assert 0 == cxroute("apply", "--yes")
    create_unmanaged_rule(priority=300)
    _, form = cxroute.json("plan")
    assert [("CXR202", "air/rest")] == codes(form)
    assert [] == form["acknowledged"]


@pytest.mark.usefixtures("elsewhere")
def test_an_error_cannot_be_accepted(cxroute: Program) -> None:
    """A rule of its name that is not managed stands in the way all the same."""
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
        (", accept: {CXR9: meant}", "", 'the name "CXR9" must be the code of a finding, such as CXR203'),
        (", accept: {CXR203: ''}", "", '"CXR203" must not be empty'),
        (", accept: CXR203", "", '"accept" must be a mapping'),
        ("", "accept: [{code: CXR202}]", 'missing field "reason"'),
        ("", "accept: [{code: CXR202, address: air, reason: r}]", '"address" must be an address, ruleset/key, or a'),
        ("", "accept: [{code: cxr202, reason: r}]", '"code" must be the code of a finding, such as CXR203'),
    ],
)
def test_what_cannot_be_meant_is_an_error(cxroute: Program, own: str, environment: str, said: str) -> None:
    """With the field and what it takes."""
    rules(own=own, environment=environment)
    assert 3 == cxroute("validate")
    assert said in cxroute.out


@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_a_hostile_reason_is_text(name: str) -> None:
    """In SARIF; other forms count, and JSON keeps it whole."""
    finding = Finding(
        code="CXR203",
        severity="warning",
        message="no effect",
        source=Source("a.yaml", 1, 1),
        address=address("a/b"),
        acknowledged=name or "-",
    )
    plan = plan_of_everything()
    made = replace_findings(plan, [*plan.findings, finding])
    for form, show in FORMS.items():
        if form == "json":
            assert (name or "-") == json.loads(show(made))["acknowledged"][0]["acknowledged"]["reason"]
        elif "drift" not in form:
            assert "1 acknowledged finding is not shown." in show(made)
            assert "CXR203" not in show(made)
    assert 1 == len(run_of(findings_to_sarif(made.acknowledged))["results"])
