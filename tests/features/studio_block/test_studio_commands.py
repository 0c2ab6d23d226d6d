"""The commands with rules in a Studio script: the program and the simulated Scripts API in this
process.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import pytest
import yaml

from reconciler.cli.files import STATE
from reconciler.cli.main import main
from reconciler.cli.session import PRACTICE
from reconciler.core.manifest.documents import KINDS
from reconciler.core.model.check import CheckResult
from reconciler.core.model.rule import Queue
from reconciler.features.practice.sandbox import open_state
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState, find_snippets
from reconciler.targets.platform.connect import read_only_transport
from reconciler.targets.platform.diagnosis.probe import Probe
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    ApiResponse,
    Transport,
)
from reconciler.targets.studio.examination import StudioExamination, check_skills
from reconciler.targets.studio.script import MAX_PROVEN_BYTES
from tests.support import canary_secrets as canary
from tests.support.in_process_tenant import TENANT
from tests.support.loopback_server import loopback_server
from tests.support.program import Program
from tests.support.studio_tenant import CREDENTIALS, SETTINGS, StudioTenant

SCRIPT: Final = "Bot\\Hand-over"
RULES: Final = """\
- {key: lost, name: Lost, description: "", intent: lost, minConfidence: 0.7, queue: fraud, priority: 10}
- {key: card, name: Card, intent: card, targets: [{queue: cards, weight: 80}, {queue: fraud, weight: 20}], priority: 20}
- {key: rest, name: Rest, when: [{attribute: language, equals: de}], queue: cards, priority: 900}
"""
ENVIRONMENT: Final = """\
apiVersion: routing/v1
kind: Environment
name: %s
owner: acme
attributes: {intent: intent, confidence: confidence}
%s
api:
  auth: access-key
  %s
  queues: acd-skills
  rules: studio
  studio: {script: '%s'}
---
"""
REST: Final = """\
apiVersion: routing/v1
kind: Queues
name: skills
queues:
  fraud: {studio: {name: Fraud}, one: {name: Fraud}, two: {name: Fraud}}
  cards: {studio: {name: Cards}, one: {name: Cards}, two: {name: Cards}}
---
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
"""
TESTS: Final = """\
apiVersion: routing/v1
kind: RouteTests
name: smoke
tests: [{given: {intent: lost, confidence: 0.9}, expect: {queue: fraud}}]
"""
EDIT: Final = ('$ = "lost" )', '$ = "gone" )')
"""The intent of the first rule, before and after a person's edit."""
CASE: Final = (
    '  CASE ( cxr_text_intent$ = "x" )\r\n  {\r\n    ASSIGN cxr_skill = 4001\r\n  }\r\n'
)


SCOPE: Final = ("-e", "studio", "--no-input")
APPLY: Final = ("apply", "--yes", "--allow", "unrouted", "--reason", "test")


def write_manifests(rules: str, more: str = "") -> None:
    """Write an Environment and rules; `more` has further lines of the Environment."""
    head = ENVIRONMENT % ("studio", more, "area: na1", SCRIPT)
    Path("manifests/all.yaml").write_text(head + REST + rules, encoding="utf-8")


class Desk:
    """Manifests, the simulated tenant, and a person who edits the script in Studio."""

    def __init__(self, cxroute: Program) -> None:
        self.cxroute = cxroute

    def write(self, rules: str, more: str = "") -> None:
        """Write the manifests with these rules; `more` has further lines of the Environment."""
        write_manifests(rules, more)

    def run(self, *arguments: str) -> int:
        """Run a command for the Environment; return its exit code."""
        return self.cxroute(*SCOPE, *arguments)

    def apply(self, *arguments: str) -> int:
        """Apply without a prompt, with the guard off that protects conversations without a rule."""
        return self.run(*APPLY, *arguments)

    def is_current(self) -> bool:
        """Return whether a plan has no change."""
        return self.run("plan", "--detailed-exitcode") == 0

    @property
    def changes(self) -> list[tuple[str, str, str, list[str]]]:
        """Return action, address, cause and paths of each change of a plan."""
        _, form = self.cxroute.json("-e", "studio", "plan")
        rows = [
            (each, [field["path"] for field in each["fields"]])
            for each in form["changes"]
        ]
        return [
            (each["action"], each["address"], each["cause"], paths)
            for each, paths in rows
        ]

    @property
    def code(self) -> str:
        """Return the SNIPPET's text."""
        with open_state(STATE) as state:
            content = state.scripts[state.current_script(SCRIPT)]["content"]
        return "".join(item["value"] for _, item in find_snippets(content))

    def edit(self, before: str, after: str) -> None:
        """Have Ann replace a text of the SNIPPET once."""
        assert before in self.code
        with open_state(STATE) as state:
            state.save_script_by_person(
                SCRIPT, "Ann", lambda code: code.replace(before, after, 1)
            )

    @property
    def saves(self) -> int:
        """Return the number of versions of the script."""
        with open_state(STATE) as state:
            return len(state.scripts)

    def runs(self) -> list[dict[str, Any]]:
        """Return the recorded runs, the first one first."""
        _, form = self.cxroute.json("-e", "studio", "history")
        return list(form["runs"])

    def doctor(self) -> dict[str, tuple[str, str, str]]:
        """Return status, message and advice of the worst line of each name."""
        _, form = self.cxroute.json("-e", "studio", "doctor")
        lines = sorted(
            form["checks"],
            key=lambda line: ["ok", "warn", "fail"].index(line["status"]),
        )
        return {
            line["name"]: (line["status"], line["message"], line["advice"] or "")
            for line in lines
        }


@contextmanager
def practice_in_studio() -> Iterator[None]:
    """Let the practice tenant keep the rules in a script."""
    token = PRACTICE.set("studio")
    yield
    PRACTICE.reset(token)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder after the first apply, which most tests begin with."""
    folder = tmp_path_factory.mktemp("applied")
    with (
        chdir(folder),
        practice_in_studio(),
        redirect_stdout(StringIO()),
    ):
        Path("manifests").mkdir()
        write_manifests(RULES)
        assert 0 == main([*SCOPE, *APPLY])
    return folder


@pytest.fixture
def desk(applied: Path, cxroute: Program) -> Iterator[Desk]:
    """Manifests whose three rules are in the script."""
    shutil.copytree(applied, Path(), dirs_exist_ok=True)
    with practice_in_studio():
        yield Desk(cxroute)


def test_an_applied_table_is_one_save_and_an_empty_plan(desk: Desk) -> None:
    """The first apply makes one version of the script; the next plan, drift and diff show
    nothing.
    """
    assert 2 == desk.saves
    assert desk.is_current()
    assert 0 == desk.run("drift")
    assert 0 == desk.run(
        "diff", "live:studio", "manifests:studio", "--detailed-exitcode"
    )


def test_an_edit_of_a_rule_is_drift_with_rule_and_author(desk: Desk) -> None:
    """Drift names the rule, both values and who saved last; explain, diff and test --live use the
    edited rule.
    """
    desk.edit(*EDIT)
    assert 2 == desk.run("drift")
    for text in ("cards/lost", "changed intent lost -> gone", "last saved by Ann"):
        assert text in desk.cxroute.out
    assert 0 == desk.run("explain", "--live", "--intent", "gone", "--confidence", "0.9")
    assert 'goes to "Fraud", by cards/lost' in desk.cxroute.out
    assert 2 == desk.run(
        "diff", "live:studio", "manifests:studio", "--detailed-exitcode"
    )
    Path("manifests/tests.yaml").write_text(TESTS)
    assert 3 == desk.run("test", "--live")


def test_undo_is_one_save_and_restores_every_byte(desk: Desk) -> None:
    """The journal has one intend and one tried for each rule; the undo makes one version with the
    earlier text.
    """
    before = desk.code
    versions = desk.saves
    desk.write(
        RULES.replace("priority: 10", "priority: 11")
        .replace("80", "70")
        .replace("weight: 20", "weight: 30")
    )
    assert 0 == desk.apply()
    lines = [
        json.loads(line)
        for line in Path(".cxroute/journal.jsonl").read_text("utf-8").splitlines()
    ]
    (last,) = [line["run"] for line in lines if line["event"] == "start"][-1:]
    for event in ("intend", "tried", "outcome"):
        events = [
            line["address"]
            for line in lines
            if line["event"] == event and line["run"] == last
        ]
        assert ["cards/card", "cards/lost"] == sorted(events), event
    assert 0 == desk.apply("--undo", desk.runs()[-1]["run"])
    assert (before, versions + 2) == (desk.code, desk.saves)
    assert 3 == len(desk.runs())


def test_an_adoption_stays_when_its_run_is_undone(desk: Desk) -> None:
    """An unmanaged CASE would stop each apply: the undo says so, and changes nothing."""
    desk.edit("  // cxroute:rule cards/rest", f"{CASE}  // cxroute:rule cards/rest")
    line = adoptable(desk)
    desk.write(
        f"{RULES}- {{key: x, intent: x, queue: fraud, priority: 30, adopt: {{id: line {line}}}}}\n"
    )
    assert 0 == desk.apply()
    before = desk.code
    assert 0 == desk.apply("--undo", desk.runs()[-1]["run"])
    assert "its adoption is not undone" in desk.cxroute.out
    assert before == desk.code


def adoptable(desk: Desk) -> str:
    """Return the number of the unmanaged CASE's line."""
    _, form = desk.cxroute.json("-e", "studio", "plan")
    (message,) = [
        item["message"] for item in form["findings"] if item["code"] == "CXR313"
    ]
    match = re.match(r'"CASE in line (\d+)"', message)
    assert match is not None
    assert (
        CASE.strip().splitlines()[0]
        == desk.code.splitlines()[int(match[1]) - 1].strip()
    )
    return match[1]


def test_an_unmanaged_case_stops_apply_until_it_is_adopted(desk: Desk) -> None:
    """A conflict in plan and drift, exit 4 of apply with nothing saved; adoption by id is one
    save.
    """
    desk.edit("  // cxroute:rule cards/rest", f"{CASE}  // cxroute:rule cards/rest")
    line = adoptable(desk)
    versions = desk.saves
    assert 4 == desk.apply()
    assert versions == desk.saves
    assert 2 == desk.run("drift")
    assert f"adopt: {{id: line {line}}}" in desk.cxroute.out
    assert "unmanaged:" not in desk.cxroute.out, "to accept it would not help"
    desk.write(
        f"{RULES}- {{key: x, intent: x, queue: fraud, priority: 30, adopt: {{id: line {line}}}}}\n"
    )
    assert 0 == desk.apply()
    assert versions + 1 == desk.saves
    assert desk.is_current()
    assert "// cxroute:rule cards/x#" in desk.code


def test_export_writes_an_edit_into_the_manifest(desk: Desk) -> None:
    """The manifest gets the live value; what remains is the digest, and one save makes the plan
    empty.
    """
    desk.edit(*EDIT)
    assert 0 == desk.run("export", "cards/lost", "--write")
    assert "intent: gone" in Path("manifests/all.yaml").read_text("utf-8")
    assert [("update", "cards/lost", "manifest", ["marker"])] == desk.changes
    assert 0 == desk.apply()
    assert desk.is_current()


def test_export_makes_a_manifest_of_an_unmanaged_case(desk: Desk) -> None:
    """The exported rule adopts the CASE, and the next apply takes it over."""
    desk.edit("  // cxroute:rule cards/rest", f"{CASE}  // cxroute:rule cards/rest")
    line = adoptable(desk)
    assert 0 == desk.run(
        "export", f"CASE in line {line}", "--into", "manifests/more.yaml"
    )
    assert 0 == desk.apply()
    assert desk.is_current()


def test_a_rule_that_is_not_understood_is_drift_of_that_rule(desk: Desk) -> None:
    """Its condition is shown as it is; --keep-drift keeps its text in a save; apply replaces it."""
    desk.edit('( cxr_text_intent$ = "card" )', "today > 5")
    assert 2 == desk.run("drift")
    assert "cards/card" in desk.cxroute.out
    assert '{"text":"today > 5","type":"studio"}' in desk.cxroute.out
    assert 4 == desk.run("export", "cards/card", "--write")
    desk.write(RULES.replace("priority: 10", "priority: 11"))
    assert 0 == desk.apply("--keep-drift")
    assert "  CASE today > 5\r\n" in desk.code
    assert "priority=11" in desk.code
    assert 0 == desk.apply()
    assert "today" not in desk.code
    assert desk.is_current()


def test_only_and_hold_leave_other_rules_as_they_are(desk: Desk) -> None:
    """A save changes the selected rules; a held rule keeps its text."""
    desk.write(
        RULES.replace("priority: 10", "priority: 11").replace(
            "priority: 900", "priority: 901"
        )
    )
    assert 0 == desk.apply("--only", "cards/lost")
    assert ["11", "20", "900"] == re.findall(r"priority=(\d+)", desk.code)
    hold = "hold: {until: 2099-01-01T00:00:00Z, reason: later}, priority: 12"
    desk.write(
        RULES.replace("priority: 10", hold).replace("priority: 900", "priority: 901")
    )
    assert 0 == desk.apply()
    assert ["11", "20", "901"] == re.findall(r"priority=(\d+)", desk.code)
    assert desk.is_current(), "the held change is none"


def test_without_prune_a_rule_that_no_manifest_has_stays(desk: Desk) -> None:
    """`prune: false` keeps its CASE in a save of another rule; with prune, one save removes it."""
    rules = RULES.replace("priority: 900", "priority: 901").split("\n", 1)[1]
    desk.write(rules, "prune: false")
    assert 0 == desk.apply(), desk.cxroute.err
    assert ["cards/lost", "cards/card", "cards/rest"] == re.findall(
        r"cxroute:rule (\S+)#", desk.code
    )
    desk.write(rules)
    assert 0 == desk.apply()
    assert ["cards/card", "cards/rest"] == re.findall(r"cxroute:rule (\S+)#", desk.code)


def test_a_reviewed_plan_stops_at_an_edit_in_the_block(desk: Desk) -> None:
    """Exit 4 with nothing saved; an edit outside of the block does not matter and survives the
    save.
    """
    desk.write(RULES.replace("priority: 900", "priority: 901"))
    assert 0 == desk.run("plan", "--out", "plan.json")
    desk.edit(
        "// cxroute:begin", '// a note\r\nASSIGN note = "é {x}"\r\n// cxroute:begin'
    )
    assert 0 == desk.cxroute("apply", "plan.json", "--yes", "--no-input")
    assert '// a note\r\nASSIGN note = "é {x}"\r\n// cxroute:begin' in desk.code
    desk.write(RULES.replace("priority: 900", "priority: 902"))
    assert 0 == desk.run("plan", "--out", "plan.json")
    desk.edit(*EDIT)
    versions = desk.saves
    assert 4 == desk.cxroute("apply", "plan.json", "--yes", "--no-input")
    assert "update cards/lost" in desk.cxroute.err
    assert versions == desk.saves


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('ASSIGN cxr_rule = ""\r\n', ""),
        ("// Generated by cxroute.", "// Made by Ann."),
        ("SELECT\r\n", "// a note\r\nSELECT\r\n"),
        ('"{language}"\r\n', '"{language}"\r\nASSIGN cxr_text_other$ = "{other}"\r\n'),
    ],
    ids=["reset", "notice", "comment", "helper"],
)
def test_an_edit_of_a_line_that_belongs_to_no_rule_is_healed(
    desk: Desk, before: str, after: str
) -> None:
    """It is a change of a marker, which moves no conversation: one save restores the text byte for
    byte.
    """
    text = desk.code
    desk.edit(before, after)
    assert [("update", "cards/lost", "manifest", ["marker"])] == desk.changes
    assert 2 == desk.run("drift")
    assert 0 == desk.apply()
    assert text == desk.code
    assert desk.is_current()


def test_a_comment_in_the_lines_of_a_rule_changes_nothing(desk: Desk) -> None:
    """The name of a queue, or a note of a person: no change, the rule stays managed, and a save
    keeps the comment.
    """
    desk.edit("  // 4001 Fraud\r\n", "  // Ann: ask Kim\r\n")
    assert desk.is_current()
    desk.write(RULES.replace("priority: 900", "priority: 901"))
    assert 0 == desk.apply()
    assert "  // Ann: ask Kim\r\n" in desk.code
    assert desk.is_current()


def test_a_renamed_queue_changes_nothing(desk: Desk) -> None:
    """The id decides.

    A rule that is written later gets the new name, the others keep the old one.
    """
    stored = STATE.read_text("utf-8")
    assert '"name": "Cards"' in stored or '"name":"Cards"' in stored
    STATE.write_text(
        stored.replace(':"Cards"', ':"Card Desk"').replace(
            ': "Cards"', ': "Card Desk"'
        ),
        "utf-8",
    )
    text = (
        Path("manifests/all.yaml")
        .read_text("utf-8")
        .replace("name: Cards", "name: Card Desk")
    )
    described = text.replace(
        "name: Card, ",
        "name: Card, description: \"Routes conversations with intent 'card' to Cards, Fraud\", ",
    )
    Path("manifests/all.yaml").write_text(described, "utf-8")
    assert [] == desk.changes
    Path("manifests/all.yaml").write_text(
        described.replace("priority: 900", "priority: 901"), "utf-8"
    )
    assert 0 == desk.apply()
    assert 1 == desk.code.count(" Card Desk\r\n")
    assert 1 == desk.code.count(" Cards\r\n")
    assert desk.is_current()


def test_watch_heals_an_edit(desk: Desk) -> None:
    """With --apply, the first round restores the text."""
    before = desk.code
    journal = Path(".cxroute/journal.jsonl")
    runs = len(desk.runs())
    desk.edit("( cxr_split < 20 )", "( cxr_split < 30 )")

    def stop() -> None:
        deadline = time.monotonic() + 20
        while (
            journal.read_text("utf-8").count('"event":"end"') <= runs
            and time.monotonic() < deadline
        ):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=stop)
    thread.start()
    desk.run("watch", "--apply", "--every", "10s")
    thread.join()
    assert before == desk.code


@contextmanager
def served(
    cxroute: Program, patch: pytest.MonkeyPatch
) -> Iterator[tuple[TenantState, str]]:
    """Serve a tenant with two scripts, and write an Environment for each."""
    del cxroute
    state = TenantState(
        [{"id": "4001", "name": "Fraud"}, {"id": "4002", "name": "Cards"}]
    )
    for name in ("one", "two"):
        state.add_script(name, block="acme/main")
    patch.setenv("CXONE_ACCESS_KEY_ID", canary.KEY)
    patch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    patch.delenv("CXROUTE_PROXY")
    with loopback_server() as server:
        server.app = Simulator(state, PROFILES["A"])
        yield state, server.url


@pytest.mark.slow
def test_several_environments_are_applied_each_to_its_script(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a socket: plan, apply and drift of a list; an edit in one script is drift of its
    Environment.
    """
    with served(cxroute, monkeypatch) as (state, url):
        Path("manifests").mkdir()
        api = f"{{baseUrl: '{url}', issuer: '{url}'}}"[1:-1].replace(", ", "\n  ")
        heads = [
            ENVIRONMENT % (name, f"tenant: {name}", api, name)
            for name in ("one", "two")
        ]
        heads[1] = (
            heads[1]
            .replace("owner: acme", "owner: acme-two")
            .replace("{script:", "{block: main, script:")
        )
        state.save_script_by_person(
            "two", "Ann", lambda code: code.replace("acme/main", "acme-two/main")
        )
        Path("manifests/all.yaml").write_text("".join(heads) + REST + RULES, "utf-8")
        assert 0 == cxroute("-e", "one,two", "apply", "--yes", "--no-input"), (
            cxroute.out + cxroute.err
        )
        assert 0 == cxroute("-e", "one,two", "plan", "--detailed-exitcode")
        state.save_script_by_person("two", "Ann", lambda code: code.replace(*EDIT))
        assert 2 == cxroute("-e", "one,two", "drift")
        assert re.search(r"^  two +1 rule changed", cxroute.out, re.MULTILINE), (
            cxroute.out
        )


def test_doctor_without_the_script_or_a_right_says_what_to_do(
    cxroute: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over a socket: no such script, and no right to view it.

    Doctor sends GETs, and one POST for the token.
    """
    with served(cxroute, monkeypatch) as (state, url):
        Path("manifests").mkdir()
        head = ENVIRONMENT % ("one", "", f"baseUrl: '{url}'\n  issuer: '{url}'", "none")
        Path("manifests/all.yaml").write_text(head + REST + RULES, "utf-8")
        assert 1 == cxroute("-e", "one", "doctor")
        assert "script" in cxroute.out
        assert "status 404" in cxroute.out
        assert (
            "Make it as `cxroute studio recipe` says, or correct api.studio"
            in cxroute.out
        )
        assert "tutorial" not in cxroute.out
        assert {"GET"} == {
            request.method
            for request in state.requests
            if not request.path.endswith("/token")
        }


def test_a_skill_that_is_missing_or_inactive_fails() -> None:
    """A queue of the manifests is named with advice; an id in the block that is not an active skill
    is a warning.
    """
    skills = [Queue("4001", "Fraud"), Queue("4002", "Cards", active=False)]
    (good,) = check_skills([], skills, ["Fraud", "4001"])
    assert ("skills", "ok") == (good.name, good.status)
    (missing,) = check_skills([], skills, ["Fraud", "Cards", "Else"])
    assert ("skills", "fail") == (missing.name, missing.status)
    assert 'do not exist or are inactive: "Cards", "Else"' in missing.message


def as_json(_desk: Desk) -> str:
    with open_state(STATE) as state:
        return json.dumps(state.scripts[state.current_script(SCRIPT)]["content"])


def as_xml(desk: Desk) -> str:
    text = f"<string>Caption</string><string>{escape(desk.code)}</string>"
    action = f"<ActionStruct><Action>SNIPPET</Action><Parameters>{text}</Parameters></ActionStruct>"
    return f'<?xml version="1.0"?><ScriptContainer><Actions>{action}</Actions></ScriptContainer>'


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "form", [as_json, as_xml, lambda desk: desk.code], ids=["json", "xml", "text"]
)
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_stands_for_the_tenant(
    desk: Desk, form: Callable[[Desk], str], encoding: str
) -> None:
    """Plan, diff and export read the rules, with the queues' names and the line numbers of the
    tenant's script.
    """
    desk.edit(*EDIT)
    desk.edit("  // cxroute:rule cards/rest", f"{CASE}  // cxroute:rule cards/rest")
    line = adoptable(desk)
    Path("live.file").write_text(form(desk), encoding)
    code, plan = desk.cxroute.json("-e", "studio", "plan", "--live", "live.file")
    assert (0, ["update"], ["cards/lost"]) == (
        code,
        [item["action"] for item in plan["changes"]],
        [item["address"] for item in plan["changes"]],
    )
    assert any(f"CASE in line {line}" in item["message"] for item in plan["findings"])
    assert 0 == desk.run("diff", "live.file", "live:studio", "--detailed-exitcode")
    assert 2 == desk.run("diff", "manifests:studio", "live.file", "--detailed-exitcode")
    assert 0 == desk.run("export", "--live", "live.file", f"CASE in line {line}")
    assert f"adopt: CASE in line {line}" in desk.cxroute.out


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"ASSIGN x = 1", "no block acme/main"),
        (b"\xff\xfe\x00", "neither a script nor a snippet"),
        (b"// cxroute:begin acme/main\nx", "does not end"),
        (b"// cxroute:begin acme/main\nSELECT\n{\n// cxroute:end", "not closed"),
        (b"<!DOCTYPE a><a/>", "document type"),
        (b"[]", "no block acme/main"),
    ],
)
def test_a_file_without_a_block_is_a_clear_error(
    desk: Desk, content: bytes, why: str
) -> None:
    """Exit 64 and one line with the file's name, for plan, export and diff."""
    Path("odd.file").write_bytes(content)
    for command in (
        ["plan", "--live", "odd.file"],
        ["export", "--all", "--live", "odd.file"],
    ):
        assert 64 == desk.run(*command)
        assert why in desk.cxroute.err
        assert desk.cxroute.err.startswith("error: odd.file: ")
        assert 1 == len(desk.cxroute.err.splitlines())
    assert 64 == desk.run("diff", "odd.file", "manifests:studio")
    assert why in desk.cxroute.err


def test_a_script_beside_no_studio_environment_is_refused(desk: Desk) -> None:
    """Two files are rules in JSON: a script's text among them is an error with its name."""
    Path("a.json").write_text("[]")
    Path("live.txt").write_text(desk.code, "utf-8")
    assert 64 == desk.cxroute("diff", "a.json", "live.txt")
    assert "live.txt: not valid JSON" in desk.cxroute.err


@pytest.mark.slow
def test_a_block_over_the_proven_size_is_a_warning_with_its_size(desk: Desk) -> None:
    """CXR131 in the plan that would write it, with the bytes of that block; doctor warns of the
    snippet after it.
    """
    assert "CXR131" not in desk.cxroute.json("-e", "studio", "plan")[1]["findings"]
    many = [
        f"- {{key: k{n}, name: k{n}, description: '', intent: k{n}, queue: cards, priority: "
        f"{n + 1000}}}\n"
        for n in range(250)
    ]
    desk.write(RULES + "".join(many))
    _, form = desk.cxroute.json("-e", "studio", "plan")
    (message,) = [
        item["message"] for item in form["findings"] if item["code"] == "CXR131"
    ]
    assert 0 == desk.apply()
    block = desk.code[
        desk.code.index("// cxroute:begin") : desk.code.index("// cxroute:end")
        + len("// cxroute:end")
    ]
    size = len(block.replace("\r\n", "\n"))
    assert size > MAX_PROVEN_BYTES
    assert f"{size:,} bytes" in message
    status, text, _ = desk.doctor()["block"]
    assert ("warn", True) == (status, f"{len(desk.code):,} bytes" in text)


def test_doctor_reports_on_a_good_script(desk: Desk) -> None:
    """Script, block, lock, version and skills are ok, only GET requests are sent, and nothing is
    said about rules.
    """
    lines = desk.doctor()
    assert ["ok"] * 5 == [
        lines[name][0] for name in ("script", "block", "lock", "version", "skills")
    ]
    assert "3 managed rules" in lines["block"][1]
    assert re.search(
        r"v34\.0 of the API answers; .+ saved the script last, 20\d\d-",
        lines["version"][1],
    )
    assert {"rules", "owners", "operators", "etags", "names"}.isdisjoint(lines)
    assert "api.evaluation" not in lines["writing"][1]
    assert 2 == desk.saves


def locked(state: TenantState) -> None:
    state.lock_script(SCRIPT, "Kim")


def edited(before: str, after: str) -> Callable[[TenantState], object]:
    return lambda state: state.save_script_by_person(
        SCRIPT, "Ann", lambda code: code.replace(before, after, 1)
    )


def stored(content: Any) -> Callable[[TenantState], object]:
    return lambda state: state.save_script(SCRIPT, content, "Ann")


PROBLEMS: Final[list[tuple[Callable[[TenantState], object], str, str, str]]] = [
    (locked, "lock", "warn", "locked by Kim"),
    (edited("// cxroute:end", "// the end"), "block", "fail", "does not end"),
    (
        edited("acme/main", "acme/other"),
        "block",
        "fail",
        "the script has no block acme/main",
    ),
    (
        edited("TRACE", "// cxroute:begin acme/main\r\n// cxroute:end\r\nTRACE"),
        "block",
        "fail",
        "2 blocks acme/main",
    ),
    (edited("SELECT\r\n{", "SELECT\r\n"), "block", "fail", "line"),
    (
        edited("  // cxroute:rule cards/rest", f"{CASE}  // cxroute:rule cards/rest"),
        "block",
        "warn",
        "CASE in line ",
    ),
    (stored("<ScriptContainer/>"), "script", "fail", "status 500"),
]


@pytest.mark.fast_cases(3)
@pytest.mark.parametrize(
    ("change", "name", "status", "message"),
    PROBLEMS,
    ids=["lock", "half", "none", "two", "broken", "unmanaged", "desktop"],
)
def test_doctor_names_a_problem_and_what_to_do(
    desk: Desk,
    change: Callable[[TenantState], object],
    name: str,
    status: str,
    message: str,
) -> None:
    """One line has the status, the reason and advice; every other check still has its line."""
    with open_state(STATE) as state:
        change(state)
    lines = desk.doctor()
    assert status == lines[name][0], lines
    assert message in lines[name][1]
    assert lines[name][2]
    assert {"script", "skills", "clock"} <= set(lines)
    if "500" in message:
        assert "--live FILE" in lines[name][2]


def examined(call: str, status: int, page_size: int = 100) -> dict[str, CheckResult]:
    """Return doctor's lines about a tenant whose response to a call has a status; 0: its own
    response.
    """
    tenant = StudioTenant()
    lines = list[CheckResult]()

    async def refuse(request: ApiRequest, deliver: Transport) -> ApiResponse:
        return (
            ApiResponse(request.call, status, {}, b"{}")
            if status
            else await deliver(request)
        )

    tenant.replies[call] = refuse
    settings = replace(TENANT, page_size=page_size)
    form = yaml.safe_load(
        (ENVIRONMENT % ("one", "", "area: na1", "x")).removesuffix("---\n")
    )
    examination = StudioExamination(
        environment=KINDS["Environment"].model_validate(form),
        tenant=settings,
        variables=("KEY",),
        lines=lines,
        script=SETTINGS,
    )
    probe = Probe(
        read_only_transport(tenant.carry, settings),
        settings,
        CREDENTIALS,
        tenant.clock.time,
    )
    asyncio.run(examination.answers(probe, lambda: ["Fraud Desk"]))
    return {
        line.name: line
        for line in sorted(lines, key=lambda line: line.status == "fail")
    }


@pytest.mark.parametrize(
    ("call", "status", "name", "advice"),
    [
        ("history", 403, "script", "lacks the right to view scripts"),
        ("read", 500, "script", "`--live FILE`"),
        ("read", 401, "script", "must be of one tenant"),
        ("GET /api/v2/routing/queues", 404, "queues", "Correct api.queuesPath"),
    ],
)
def test_doctor_advises_about_a_refused_call(
    call: str, status: int, name: str, advice: str
) -> None:
    """The line names the call and its status; the advice is about scripts or skills, not about an
    API of rules.
    """
    line = examined(call, status)[name]
    assert ("fail", True) == (line.status, f"status {status}" in line.message)
    assert advice in line.advice
    assert "tutorial" not in line.advice


def test_doctor_says_that_it_did_not_compare_skills_of_several_pages() -> None:
    """One page is read: with more of them, nothing is said about missing skills, and the line says
    why.
    """
    assert "ok" == examined("-", 0)["skills"].status
    line = examined("-", 0, page_size=1)["skills"]
    assert ("warn", True) == (line.status, "several pages" in line.message)
