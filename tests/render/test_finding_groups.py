"""One cause is one finding with its rules: grouped without a loss, and the same in every format."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from reconciler.core.behaviour.facts.rule_facts import RuleFacts
from reconciler.core.checks.lint import check_rules
from reconciler.core.checks.lint_view import LintView
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import load_manifests
from reconciler.core.model.finding import Finding, group_findings
from reconciler.core.model.rule import Source
from reconciler.core.plan.finding_json import finding_to_json
from reconciler.core.plan.findings import add_findings
from reconciler.features.journal.places import JournalFile
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import annotate_findings
from reconciler.render.scanning import findings_to_sarif
from reconciler.render.text.findings import findings_text, findings_with_carets
from tests.support.airline import ADDRESSES, create_unmanaged_rule, rules
from tests.support.builders import address, desired, rule, wanted
from tests.support.github_runner import workflow_commands
from tests.support.hostile_names import CONTROL_CHARACTERS, HOSTILE_NAMES
from tests.support.parsed_html import parse_as_github, parse_html
from tests.support.plan_formats import (
    as_drift_markdown,
    as_html,
    as_json,
    as_markdown,
    as_text,
)
from tests.support.plans import empty_plan, plan_of_everything
from tests.support.program import Program
from tests.tiers import size

FINDINGS = some.lists(
    some.builds(
        Finding,
        code=some.sampled_from(["CXR202", "CXR203"]),
        severity=some.sampled_from(["error", "warning", "info"]),
        message=some.sampled_from(["one", "two"]),
        source=some.none()
        | some.builds(Source, some.just("a.yaml"), some.integers(1, 3), some.just(1)),
        address=some.none()
        | some.sampled_from([address("a/b"), address("a/c"), address("a/d")]),
        hint=some.sampled_from(["", "do"]),
        acknowledged=some.sampled_from(["", "meant"]),
    ),
    max_size=30,
)


def said(finding: Finding) -> tuple[str, ...]:
    return (
        finding.code,
        finding.severity,
        finding.message,
        finding.hint,
        finding.acknowledged,
    )


def several(count: int, message: str = "never reached") -> list[Finding]:
    """Return equal warnings about rules a/r0, a/r1, ..."""
    return [
        Finding(
            code="CXR202",
            severity="warning",
            message=message,
            source=Source("a.yaml", n + 1, 5),
            address=address(f"a/r{n}"),
            hint="narrow it",
        )
        for n in range(count)
    ]


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(FINDINGS)
def test_grouping_loses_nothing_and_joins_only_equal_findings(
    findings: list[Finding],
) -> None:
    """Each code, address and source is kept, with its count; equal findings that are not errors are
    one finding.
    """
    groups = group_findings(findings)
    assert Counter(findings) == Counter(
        place for group in groups for place in group.occurrences
    )
    assert all(
        len({said(place) for place in group.occurrences}) == 1 for group in groups
    )
    assert not any(group.repeats for group in groups if group.severity == "error")
    apart = [
        (said(group), group.address is None)
        for group in groups
        if group.severity != "error"
    ]
    assert len(apart) == len(set(apart))


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(FINDINGS, some.integers(0, 30))
def test_grouping_in_two_steps_equals_grouping_in_one(
    findings: list[Finding], first: int
) -> None:
    """Grouped findings are grouped with later ones."""
    assert group_findings(findings) == group_findings(
        [*group_findings(findings[:first]), *findings[first:]]
    )


def test_a_rule_at_two_places_is_one_rule() -> None:
    """Both places are kept, and the rule is named once."""
    twice = [
        Finding(
            code="CXR202",
            severity="warning",
            message="one",
            source=Source("a.yaml", n, 1),
            address=address("a/b"),
        )
        for n in (1, 2)
    ]
    (group,) = group_findings(twice)
    assert ((address("a/b"),), 2) == (group.addresses, len(group.occurrences))
    assert "2 places: one" in findings_text([group], no_style)


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(FINDINGS)
def test_json_has_every_rule_with_its_place(findings: list[Finding]) -> None:
    """`address` and `source` are the first rule's; `addresses` and `sources` have all in the same
    order.
    """
    for group in group_findings(findings):
        form = finding_to_json(group)
        assert ("sources" in form) is bool(group.repeats)
        listed = zip(
            form.get("addresses", [form["address"]] * 99),
            form.get("sources", [form["source"]]),
            strict=False,
        )
        assert [
            (str(occurrence.address) if occurrence.address else None, occurrence.source)
            for occurrence in group.occurrences
        ] == [(where, Source(**source) if source else None) for where, source in listed]


@pytest.mark.usefixtures("elsewhere")
def test_one_unmanaged_rule_is_one_finding(cxroute: Program) -> None:
    """With all 29 rules that it hides, in JSON, text and comment; without findings about the
    intents.
    """
    rules()
    intents = ", ".join(address.removeprefix("air/") for address in ADDRESSES)
    Path("manifests/intents.yaml").write_text(
        f"apiVersion: routing/v1\nkind: Intents\nname: bot\nintents: [{intents}]\n",
        encoding="utf-8",
    )
    assert 0 == cxroute("apply", "--yes")
    create_unmanaged_rule()
    code, form = cxroute.json("plan")
    (finding,) = form["findings"]
    assert (0, "CXR202", "air/intent-0", ADDRESSES) == (
        code,
        finding["code"],
        finding["address"],
        sorted(finding["addresses"], key=ADDRESSES.index),
    )
    assert [6 + n for n in range(29)] == sorted(
        source["line"] for source in finding["sources"]
    )
    assert 0 == cxroute("plan")
    assert 1 == cxroute.out.count("CXR202")
    assert (
        'CXR202] 29 rules: never reached: the live rule "ALL CALLS" (not managed) takes all'
        in cxroute.out
    )
    assert "air/intent-0, air/intent-1, air/intent-2 and 26 more\n" in cxroute.out
    assert max(map(len, cxroute.out.splitlines())) <= 160
    assert 0 == cxroute("-v", "plan")
    assert all(
        re.search(
            rf"^      {address}   manifests/rules.yaml:\d+$", cxroute.out, re.MULTILINE
        )
        for address in ADDRESSES
    )
    assert 0 == cxroute("plan", "--format", "markdown")
    assert all(f"`{address}`" in cxroute.out for address in ADDRESSES[:10])
    assert 0 == cxroute("plan", "--only", "air/intent-7", "--format", "json")
    (alone,) = json.loads(cxroute.out)["findings"]
    assert ("air/intent-7", False) == (alone["address"], "addresses" in alone)


@pytest.mark.usefixtures("elsewhere")
def test_an_undo_is_one_finding(cxroute: Program) -> None:
    """The difference to the manifests has one cause for all undone changes; the finding counts
    them.
    """
    rules()
    assert 0 == cxroute("apply", "--yes")
    rules(confidence=0.7, catch_all="{key: rest, when: [], queue: Q0, priority: 900}")
    assert 0 == cxroute("apply", "--yes")
    run = JournalFile(Path(".cxroute/journal.jsonl")).read()[-1].id
    _, form = cxroute.json("plan", "--undo", run)
    (finding,) = form["findings"]
    assert ("CXR310", {*ADDRESSES, "air/rest"}) == (
        finding["code"],
        {*finding["addresses"]},
    )
    assert finding["message"].startswith(
        "the next apply would make these 30 changes again"
    )
    assert 1 == finding["message"].count("revert the commit first")


@pytest.mark.usefixtures("elsewhere")
def test_validate_reports_one_cause_once(cxroute: Program) -> None:
    """With the first location for editors; SARIF has one result per rule."""
    rules(catch_all="{key: all, when: [], queue: Q0, priority: 1}")
    assert 0 == cxroute("validate")
    actual = (
        "manifests/rules.yaml:6:5: warning[CXR202]: 29 rules: never reached: air/all takes all of "
        "its"
    )
    assert cxroute.out.startswith(actual)
    assert (
        "; air/intent-0, air/intent-1, air/intent-2 and 26 more\n\n1 warning in 2 files."
        in cxroute.out
    )
    _, form = cxroute.json("validate")
    assert [29] == [len(item["addresses"]) for item in form["findings"]]
    assert 0 == cxroute("validate", "--format", "github")
    (command,) = workflow_commands(cxroute.out)
    assert command.data.startswith("29 rules: never reached")
    assert command.data.endswith(
        "\nair/intent-0, air/intent-1, air/intent-2 and 26 more"
    )
    assert 0 == cxroute("validate", "--format", "sarif")
    results = json.loads(cxroute.out)["runs"][0]["results"]
    assert sorted(ADDRESSES) == sorted(
        result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        for result in results
    )


def test_rules_without_a_result_are_one_finding(tmp_path: Path) -> None:
    """The limit of the analysis is one cause; each rule that was not analysed is named."""
    environment = Environment(name="prod", owner="acme", tenant="acme")
    want = desired(*(wanted(f"cards/r{n}", rule(f"r{n}")) for n in range(5)))
    (tmp_path / "prod.yaml").write_text(
        "apiVersion: routing/v1\nkind: Queues\nname: q\nqueues: {}\n", encoding="utf-8"
    )
    view = LintView(want, (), load_manifests(tmp_path), environment, {})
    (group,) = group_findings(
        check_rules(
            view,
            RuleFacts(
                contradictory=(),
                shadowed=(),
                redundant=(),
                ties=(),
                undecided=tuple(view.ordered),
            ),
        )
    )
    assert ("CXR209", [f"cards/r{n}" for n in range(5)]) == (
        group.code,
        [str(address) for address in group.addresses],
    )


def test_a_finding_about_several_rules_is_near_if_one_of_them_changes() -> None:
    """The closed part of the comment begins with it; a finding about other rules only comes
    later.
    """
    changed = replace(several(1)[0], address=address("cards/both"))
    item = "- **CXR202** 3 rules: never reached"
    near = as_markdown(add_findings(plan_of_everything(), [*several(2), changed]))
    far = as_markdown(add_findings(plan_of_everything(), several(3)))
    assert (
        near.index("**2 warnings about changed rules**")
        < near.index(item)
        < near.index("**1 further note**")
    )
    assert far.index("**1 warning about changed rules**") < far.index(
        "**1 warning about unchanged rules**"
    )
    assert far.index("**1 warning about unchanged rules**") < far.index(item)


def test_a_finding_without_rules_lists_places() -> None:
    """The same message at several places of manifests."""
    groups = group_findings(replace(item, address=None) for item in several(5))
    places = "a.yaml:1, a.yaml:2, a.yaml:3 and 2 more"
    head = "a.yaml:1:5: warning[CXR202]: 5 places: never reached; narrow it"
    assert f"{head}; {places}\n" == findings_text(groups, no_style)
    assert findings_with_carets(groups, no_style, 80).endswith(
        "      a.yaml:1, a.yaml:2, a.yaml:3 and 2 more\n"
    )
    assert "a.yaml:4, a.yaml:5\n" in findings_text(groups, no_style, 99)


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)
def test_hostile_names_in_a_group_are_text(name: str) -> None:
    """In message, hint and file of several findings: they add no line, element or command, in any
    format.
    """
    findings = [
        replace(
            item, message=f"{name}: {name}", hint=name, source=Source(f"m/{name}", 1, 1)
        )
        for item in several(4)
    ]
    plain = [replace(item, message="x", hint="y") for item in several(4)]
    created = add_findings(empty_plan(), findings)
    usual = add_findings(empty_plan(), plain)
    assert len(as_text(usual).splitlines()) - (not name) == len(
        as_text(created).splitlines()
    )
    assert CONTROL_CHARACTERS.search(as_text(created)) is None
    tags = [
        [
            tag
            for tag, _ in parse_html(as_html(item)).tags
            if tag not in ("code", "a", "span")
        ]
        for item in (usual, created)
    ]
    assert tags[0] == tags[1]
    for form in (as_markdown, as_drift_markdown):
        shapes = [
            [
                tag
                for tag in parse_as_github(form(item)).shape
                if tag.strip("/") not in ("code", "a")
            ]
            for item in (usual, created)
        ]
        assert shapes[0] == shapes[1]
    groups = group_findings(findings)
    assert 1 == len(workflow_commands(annotate_findings(groups)))
    assert 1 == len(findings_text(groups, no_style).splitlines())
    assert 4 == len(findings_to_sarif(groups)["runs"][0]["results"])
    assert [f"{name}: {name}"] * 4 == [place.message for place in groups[0].occurrences]
    assert name in json.loads(as_json(created))["findings"][-1]["message"]
