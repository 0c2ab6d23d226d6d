"""`doctor` reads which entry points run the managed script, and which go past it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.model.check import CheckResult
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES, SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState
from reconciler.targets.platform.diagnosis.entry_points import EntryPoint, find_records
from reconciler.targets.studio.entry_checks import (
    check_entry_points,
    other_scripts,
    runs_script,
)
from reconciler.targets.studio.script import ScriptProperty
from tests.support import canary_secrets as canary
from tests.support.cases import each_case
from tests.support.loopback_server import loopback_server
from tests.support.program import Program

SCRIPT = "Bot\\Hand-over"
ENVIRONMENT = """\
apiVersion: routing/v1
kind: Environment
name: one
owner: acme
api:
  auth: access-key
  baseUrl: "{url}"
  issuer: "{url}"
  queues: acd-skills
  rules: studio
  studio: {{script: 'Bot\\Hand-over'}}
{more}
---
apiVersion: routing/v1
kind: Queues
name: skills
queues: {{fraud: {{one: {{name: Fraud}}}}}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules: [{{intent: lost, queue: fraud, priority: 10}}, {{key: rest, when: [], queue: fraud, priority: 900}}]
"""
SKILLS = {"4001": "Fraud Desk", "Cards": ""}
Settings = Callable[[SimulatorSettings], SimulatorSettings]


@each_case(
    "name, expected",
    [
        ("Bot\\Hand-over", True),
        ("bot\\hand-OVER", True),
        ("Hand-over", True),
        ("\\Bot\\Hand-over", True),
        ("Hand-over 2", False),
        ("Other\\Hand-over", False),
        ("", False),
    ],
)
def test_an_entry_point_runs_the_script_by_its_name(name: str, expected: bool) -> None:  # noqa: FBT001 - a case
    """With or without folders, in any case; a script of the same name elsewhere is another one."""
    assert runs_script(EntryPoint("channel", "a", name, ""), SCRIPT) is expected


@each_case(
    "name, value, expected",
    [
        ("Skill", "4001", True),
        ("skill", "Fraud Desk", True),
        ("Timeout", "4001", False),
        ("Skill", "40011", False),
        ("Code", 'ASSIGN my_skill = "Fraud Desk"\n', True),
        ("Code", "IF a = 1 {\r\n  skillNo = 4001 \r\n}", True),
        ("Code", "ASSIGN amount = 4001", False),
        ("Code", "skill = 40012", False),
        ("Code", "// Fraud Desk", False),
        ("Skill", "Cards", True),
    ],
)
def test_a_script_names_a_skill(name: str, value: str, expected: bool) -> None:  # noqa: FBT001 - a case
    """In a property for a skill, or in an assignment to a variable for one."""
    point = EntryPoint("point of contact", "+1", "Old", "")
    properties = {"Old": [ScriptProperty(name, value)]}
    lines = list(check_entry_points([point], SCRIPT, SKILLS, properties))
    assert [line.status for line in lines] == ["warn", *["warn"] * expected]
    assert ("point of contact +1 runs Old, which names skill" in str(lines)) is expected


def test_other_scripts_are_each_read_once() -> None:
    """Not the managed one, and none for an entry point without a script."""
    points = [
        EntryPoint("channel", str(number), name, "")
        for number, name in enumerate(("B", "A", "", SCRIPT, "A", "hand-over"))
    ]
    assert other_scripts(points, SCRIPT) == ["A", "B"]


@each_case(
    "payload",
    [
        [{"scriptName": "A"}],
        {"pointsOfContact": [{"scriptName": "A"}]},
        {"resultSet": {"pointsOfContact": [{"x": 1}, {"scriptName": "A"}]}},
        {"scriptName": "A"},
    ],
)
def test_records_are_found_in_each_shape(payload: Any) -> None:
    """Lists and objects around them are not known."""
    assert [record["scriptName"] for record in find_records(payload, "scriptName")] == [
        "A"
    ]


@each_case("payload", [None, 5, "text", [], {}, [[[[[[{"scriptName": "A"}]]]]]]])
def test_other_json_has_no_records(payload: Any) -> None:
    """And depth has a bound."""
    assert list(find_records(payload, "scriptName")) == []


@contextmanager
def _served(
    patch: pytest.MonkeyPatch, more: str, settings: Settings
) -> Iterator[TenantState]:
    """Serve a tenant whose rules are in a script, and write the manifests."""
    state = TenantState([{"id": "4001", "name": "Fraud"}])
    state.add_script(SCRIPT, block="acme/main")
    patch.setenv("CXONE_ACCESS_KEY_ID", canary.KEY)
    patch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    patch.delenv("CXROUTE_PROXY", raising=False)
    with loopback_server() as server:
        server.app = Simulator(state, settings(PROFILES["A"]))
        Path("manifests").mkdir()
        text = ENVIRONMENT.format(url=server.url, more=more)
        Path("manifests/all.yaml").write_text(text, "utf-8")
        yield state


def _doctor(cxroute: Program) -> dict[str, list[CheckResult]]:
    _, form = cxroute.json("-e", "one", "doctor")
    lines: dict[str, list[CheckResult]] = {}
    for check in form["checks"]:
        line = CheckResult(
            check["name"], check["status"], check["message"], check["advice"] or ""
        )
        lines.setdefault(line.name, []).append(line)
    return lines


def test_doctor_reads_what_the_tenant_says(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a socket: limits, own entry points, and one that goes past the rules."""

    def settings(given: SimulatorSettings) -> SimulatorSettings:
        points: list[Mapping[str, object]] = [
            {"contactAddress": "+15550100", "scriptName": SCRIPT, "isActive": True},
            {"contactAddress": "+15550101", "scriptName": "Old", "isActive": True},
            {"contactAddress": "+15550102", "scriptName": "Old", "isActive": False},
            {"contactAddress": "+15550103", "scriptName": "Gone", "isActive": True},
            {"contactAddress": "+15550104", "scriptName": "", "defaultSkillId": 4001},
        ]
        channel = {"name": "Web chat", "studioScript": SCRIPT, "defaultSkillId": 77}
        return replace(given, points_of_contact=points, channels=[channel])

    with _served(monkeypatch, "", settings) as state:
        state.add_script("Old", block="other/main")
        state.save_script_by_person("Old", "Ann", lambda _code: "ASSIGN skill = 4001")
        apply = ("apply", "--yes", "--no-input", "--allow", "unrouted", "--reason", "x")
        assert cxroute("-e", "one", *apply) == 0, cxroute.err
        lines = _doctor(cxroute)
    (limits,) = lines["business unit"]
    assert "50 versions" in limits.message
    assert "limit of its API is 100" in limits.message
    messages = "\n".join(
        f"{line.status} {line.message}" for line in lines["entry points"]
    )
    assert (
        "ok 2 entry points with the script Bot\\Hand-over: point of contact +15550100"
        in messages
    )
    assert (
        "stay in it if no rule takes them: channel Web chat (default skill 77)"
        in messages
    )
    assert (
        'warn point of contact +15550101 runs Old, which names skill "Fraud" (4001)'
        in messages
    )
    assert "+15550102" not in messages
    assert "warn the script Gone cannot be read (status 404)" in messages
    assert '+15550104 has no script, and by default skill "Fraud" (4001)' in messages


@each_case("defined, status", [((), "fail"), (("intent", "sure", "at"), "ok")])
def test_doctor_reads_the_custom_fields(
    cxroute: Program,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
    defined: tuple[str, ...],
    status: str,
) -> None:
    """The definitions, not a hint."""
    monkeypatch.chdir(tmp_path_factory.mktemp("fields"))
    more = (
        "attributes: {intent: intent, confidence: sure, updatedAt: at}\n"
        "context: {writer: digital-custom-fields}"
    )
    with _served(
        monkeypatch, more, lambda given: replace(given, custom_fields=defined)
    ):
        (line,) = _doctor(cxroute)["context"]
    assert line.status == status
    assert "custom fields are" in line.message


def test_a_tenant_without_these_calls_does_not_fail(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are known from third parties: a warning names the call."""
    with _served(monkeypatch, "", lambda given: given):
        monkeypatch.setattr(
            "reconciler.targets.studio.examination.CHANNELS_PATH",
            "/dfo/3.0/none",
        )
        lines = _doctor(cxroute)["entry points"]
    assert ("warn", True) in [
        (line.status, "not checked: GET" in line.message) for line in lines
    ]
