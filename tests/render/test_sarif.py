"""Findings as SARIF 2.1.0: the format of the standard, locations for editors, and escaped names.

The schema of the standard belongs to OASIS and cannot be distributed with this project. `FORM` is
stricter: it allows only the parts that cxroute writes.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from reconciler.core.model.finding import CODES, Finding
from reconciler.core.model.rule import Address, Source
from reconciler.core.text.escape import sanitize_message
from reconciler.render.scanning import failure_to_sarif, findings_to_sarif
from tests.support.hostile_names import HOSTILE_NAMES
from tests.support.program import Program, write
from tests.support.sarif_form import run_of

HOSTILE = pytest.mark.parametrize("name", HOSTILE_NAMES.values(), ids=HOSTILE_NAMES)


def results(*findings: Finding) -> list[Any]:
    return list(run_of(findings_to_sarif(findings))["results"])


def fingerprints(*findings: Finding) -> list[str]:
    return [
        result["partialFingerprints"]["cxroute/v1"] for result in results(*findings)
    ]


def found(
    message: str = "no such queue", at: tuple[int, int] = (14, 12), **more: Any
) -> Finding:
    excerpt = "    queue: Biling  # soon"
    return Finding(
        code="CXR105",
        severity="error",
        message=message,
        source=Source("manifests/a.yaml", *at),
        excerpt=excerpt,
        span=6,
        **more,
    )


def text(said: Any) -> str:
    """Read a message by the standard: braces are doubled, a possible link is escaped."""
    printed = str(said["text"])
    assert "" == re.sub(r"{{|}}|[^{}]", "", printed), (
        "a placeholder without an argument"
    )
    assert not re.search(r"(?<!\\)\]\(", printed), "a link that nobody wrote"
    printed = printed.replace("{{", "{").replace("}}", "}")
    return re.sub(r"\\([\\\[\]])", r"\1", printed) if "\\](" in printed else printed


def test_a_result_has_code_level_message_and_place() -> None:
    """Lines and columns from 1, the end one past the last character; the hint follows the
    message.
    """
    finding = found(hint='did you mean "Billing"?', address=Address("cards", "help"))
    (result,) = results(finding)
    fingerprint = result.pop("partialFingerprints")
    assert {
        "ruleId": "CXR105",
        "level": "error",
        "message": {"text": 'no such queue (did you mean "Billing"?)'},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "manifests/a.yaml"},
                    "region": {
                        "startLine": 14,
                        "startColumn": 12,
                        "endLine": 14,
                        "endColumn": 18,
                    },
                },
                "logicalLocations": [{"fullyQualifiedName": "cards/help"}],
            }
        ],
        "ruleIndex": [*CODES].index("CXR105"),
    } == result
    assert {"cxroute/v1"} == set(fingerprint)


def test_every_code_is_a_rule_with_its_help() -> None:
    """In the order of the table, which ruleIndex counts; not longer than GitHub shows."""
    rules = run_of(findings_to_sarif([]))["tool"]["driver"]["rules"]
    assert [*CODES] == [rule["id"] for rule in rules]
    for rule, code in zip(rules, CODES.values(), strict=True):
        assert (code.title, code.text) == (
            text(rule["shortDescription"]),
            text(rule["fullDescription"]),
        )
        assert text(rule["help"]).startswith(code.text)
        assert len(rule["fullDescription"]["text"]) <= 1024


def test_levels_are_those_of_the_standard_and_the_worst_come_first() -> None:
    """An info is a note; within a level the order is kept."""
    source_values = [
        replace(found(severity), severity=severity)
        for severity in ("info", "warning", "error", "warning")
    ]
    assert ["error", "warning", "warning", "note"] == [
        result["level"] for result in results(*source_values)
    ]


def test_a_finding_outside_manifests_has_no_place() -> None:
    """A finding about live rules is a result, too."""
    assert [[], [{"logicalLocations": [{"fullyQualifiedName": "a/b"}]}]] == [
        result["locations"]
        for result in results(
            Finding(code="CXR302", severity="error", message="x"),
            Finding(
                code="CXR302", severity="error", message="x", address=Address("a", "b")
            ),
        )
    ]


def test_a_fingerprint_stays_when_lines_move_and_when_columns_do() -> None:
    """And when the message changes: it consists of the code, and of the rule or the line's text."""
    for address in (None, Address("cards", "help")):
        before = found(address=address)
        after = found("other words", at=(99, 12), address=address)
        moved = replace(
            before,
            source=Source("manifests/a.yaml", 3, 14),
            excerpt=f"  {before.excerpt}",
        )
        assert 1 == len(
            {*fingerprints(before), *fingerprints(after), *fingerprints(moved)}
        )


def test_a_rule_s_fingerprint_stays_when_its_file_is_renamed() -> None:
    """The address identifies the rule in any file."""
    present = replace(
        found(address=Address("cards", "help")),
        source=Source("manifests/b.yaml", 14, 12),
    )
    assert fingerprints(found(address=Address("cards", "help"))) == fingerprints(
        present
    )


def test_different_findings_have_different_fingerprints() -> None:
    """Another code, another rule, another file, another line's text; equal findings are counted."""
    item = found()
    remaining_items = [
        replace(item, code="CXR117"),
        replace(item, address=Address("cards", "help")),
        replace(item, address=Address("cards", "other")),
        replace(item, source=Source("manifests/b.yaml", 14, 12)),
        replace(item, excerpt="    queue: Biling  # later"),
        replace(item, excerpt="    queue: Bilin   # soon"),
    ]
    known_names, again, *different = (
        declared.split(":") for declared in fingerprints(item, item, *remaining_items)
    )
    assert (known_names[0], "1", "2") == (again[0], known_names[1], again[1])
    assert len(remaining_items) + 1 == len(
        {known_names[0], *(created for created, _ in different)}
    )


@pytest.mark.slow
def test_results_above_the_limit_of_github_are_omitted() -> None:
    """The worst 5,000 are kept, and a notification has the total number."""
    run = run_of(
        findings_to_sarif(
            [*[replace(found(), severity="warning")] * 5000, found("the error")]
        )
    )
    assert (5000, "the error") == (
        len(run["results"]),
        run["results"][0]["message"]["text"],
    )
    (message,) = run["invocations"][0]["toolExecutionNotifications"]
    assert ("warning", "Only the worst 5,000 of 5,001 findings are here.") == (
        message["level"],
        text(message["message"]),
    )
    assert [{"executionSuccessful": True}] == run_of(
        findings_to_sarif([found()] * 5000)
    )["invocations"]


@pytest.mark.fast_cases(8)
@HOSTILE
def test_no_name_breaks_the_format(name: str) -> None:
    """In file, message and hint: the text is that of other formats, and contains no link and no
    placeholder.
    """
    finding = replace(
        found(f"no queue {name}", hint=f"or {name}"),
        source=Source(name, 1, 1),
        excerpt=name,
    )
    (result,) = results(finding)
    message, hint = (
        sanitize_message(part) for part in (f"no queue {name}", f"or {name}")
    )
    assert f"{message} ({hint})" == text(result["message"])


@pytest.mark.fast_cases(12)
@HOSTILE
def test_a_file_of_any_name_is_a_relative_reference(name: str) -> None:
    """It has no scheme and no host, and decodes to the exact name; invalid Unicode becomes a
    question mark.
    """
    (result,) = results(replace(found(), source=Source(f"m/{name}", 1, 1)))
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert ("", "", "", "") == (
        urlsplit(uri).scheme,
        urlsplit(uri).netloc,
        urlsplit(uri).query,
        urlsplit(uri).fragment,
    )
    assert f"m/{name}".encode("utf-8", "replace").decode() == unquote(uri)
    first = results(replace(found(), source=Source(name, 1, 1)))[0]["locations"][0][
        "physicalLocation"
    ]
    assert "" == urlsplit(first["artifactLocation"]["uri"]).scheme


def test_an_absolute_path_is_a_file_url() -> None:
    """For editors; if the repository's root is known, validate makes paths relative first."""
    (result,) = results(replace(found(), source=Source("/srv/a b.yaml", 1, 1)))
    assert (
        "file:///srv/a%20b.yaml"
        == result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    )


def test_a_failed_run_is_a_log_too() -> None:
    """With the reason, and without a result that would close an alert as fixed."""
    run = run_of(failure_to_sarif("no Environment is named {x}"))
    (invocation,) = run["invocations"]
    assert (False, []) == (invocation["executionSuccessful"], run["results"])
    assert "no Environment is named {x}" == text(
        invocation["toolExecutionNotifications"][0]["message"]
    )


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("{intent: i, queue: '${no}'}", 3),
        ("{intent: i, queue: A}", 0),
        ("{intent: i, nonsense: 1, queue: [}", 3),
    ],
)
def test_validate_prints_one_log_with_the_findings_of_other_formats(
    cxroute: Program, rule: str, code: int
) -> None:
    """The same findings as JSON, the same exit code."""
    write(
        "a.yaml",
        f"apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n  - {rule}\n",
    )
    _, form = cxroute.json("validate")
    assert code == cxroute("validate", "--format", "sarif")
    run = run_of(json.loads(cxroute.out))
    assert sorted(
        (item["code"], item["message"], item["source"]["line"])
        for item in form["findings"]
    ) == sorted(
        (
            item["ruleId"],
            text(item["message"]),
            item["locations"][0]["physicalLocation"]["region"]["startLine"],
        )
        for item in run["results"]
    )


def test_columns_count_characters(cxroute: Program) -> None:
    """Also outside the basic plane of Unicode, where UTF-16 would count two."""
    write(
        "a.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n  - {intent: \U0001f600, queue: "
        "'${no}'}\n",
    )
    assert 3 == cxroute("validate", "--format", "sarif")
    (result,) = (
        item
        for item in run_of(json.loads(cxroute.out))["results"]
        if item["ruleId"] == "CXR107"
    )
    region = result["locations"][0]["physicalLocation"]["region"]
    line = (
        Path("manifests/a.yaml")
        .read_text(encoding="utf-8")
        .splitlines()[region["startLine"] - 1]
    )
    assert "'${no}'" == line[region["startColumn"] - 1 : region["endColumn"] - 1]


def test_validate_that_cannot_start_prints_a_log_with_the_reason(
    cxroute: Program,
) -> None:
    """Exit 64 for an unknown environment, exit 3 without manifests: one document in both cases."""
    assert 3 == cxroute("validate", "--format", "sarif")
    assert ["CXR115"] == [
        item["ruleId"] for item in run_of(json.loads(cxroute.out))["results"]
    ]
    assert 0 == cxroute("init")
    assert 64 == cxroute("validate", "-e", "prd", "--format", "sarif")
    (invocation,) = run_of(json.loads(cxroute.out))["invocations"]
    assert not invocation["executionSuccessful"]
    assert "prd" in invocation["toolExecutionNotifications"][0]["message"]["text"]


def test_files_are_paths_from_the_root_of_the_repository(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Code scanning shows a result at its line only with a path from the root."""
    write(
        "a.yaml",
        "apiVersion: routing/v1\nkind: RuleSet\nname: a\nrules:\n  - {intent: i}\n",
    )
    monkeypatch.setenv("GITHUB_WORKSPACE", str(Path.cwd().parent))
    assert 3 == cxroute("validate", "--format", "sarif")
    (result,) = run_of(json.loads(cxroute.out))["results"]
    uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert f"{Path.cwd().name}/manifests/a.yaml" == unquote(uri)
