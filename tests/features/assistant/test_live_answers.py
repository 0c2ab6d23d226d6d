"""`cxroute mcp --live`: a simulated tenant on a real socket sees reads alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import bank_tenant
from tests.support.assistant_client import (
    ServedProject,
    ToolCall,
    asking,
    over_stdio,
)
from tests.support.bank_workspace import BankWorkspace
from tests.support.canary_secrets import find_leaks
from tests.support.command import ROOT
from tests.support.loopback_server import loopback_server

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("sdk")]

CALLER = {"intent": "lost_or_stolen_card", "confidence": 0.9}
CALLS = [
    ToolCall("where_does_it_go", {**CALLER, "rules": "live"}),
    ToolCall("find_rules", {"intent": "lost_or_stolen_card", "rules": "live"}),
    ToolCall("check_promise", {"rules": "live"}),
    ToolCall("who_is_affected", {"tenant": True}),
]


def test_a_tenant_sees_reads_alone(tmp_path: Path) -> None:
    """Each question reads the tenant again; no request but that for a token is not a GET, and no
    answer contains a secret.
    """
    state = bank_tenant()
    with loopback_server() as server:
        server.app = Simulator(state, SimulatorSettings())
        workspace = BankWorkspace(tmp_path)
        workspace.manifests(server.url)
        project = ServedProject(
            tmp_path, ("-e", "bank"), ("--live",), workspace.environment
        )
        run = over_stdio(project, asking(CALLS))
        server.settle()
    replies = run.result
    assert [] == [reply.answer for reply in replies if reply.is_error]
    route, rules, promises, affected = (reply.answer for reply in replies)

    # the tenant's rules were made by hand: none of them stands in a file
    by_hand = "Cognigy Intent Route: lost_or_stolen_card"
    assert ("live", by_hand) == (route["rules"], route["winner"])
    assert None is route["winnerSource"]
    assert f'"{by_hand}"' in [rule["rule"] for rule in rules["matches"]]
    assert promises["broken"] > 0
    assert affected["changed"]
    assert "the live rules of bank" == affected["from"]

    calls = {(each.method, each.path) for each in state.requests}
    written = {path for method, path in calls if method != "GET"}
    assert {"/oauth/token"} >= written
    assert not any(each.changed_state for each in state.requests)
    assert len([path for _, path in calls if "rules" in path]) >= 1
    assert [] == find_leaks(run.err + "".join(reply.text for reply in replies))


def test_an_offline_server_contacts_no_tenant(tmp_path: Path) -> None:
    """Without --live, each question about live rules is refused with the way to ask it."""
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    run = over_stdio(ServedProject(tmp_path), asking(CALLS))
    messages = {reply.answer["error"]["message"] for reply in run.result}
    assert {
        "this server is offline: to read the tenant, start it with `cxroute mcp --live`"
    } == messages


def test_a_tenant_that_is_away_is_an_answer(tmp_path: Path) -> None:
    """A refused connection is an error of the question, and the server answers the next one."""
    workspace = BankWorkspace(tmp_path)
    workspace.manifests("http://127.0.0.1:1")
    project = ServedProject(
        tmp_path, ("-e", "bank"), ("--live",), workspace.environment
    )
    calls = [CALLS[0], ToolCall("where_does_it_go", CALLER)]
    run = over_stdio(project, asking(calls))
    away, offline = run.result
    assert away.is_error
    assert "Unreachable" == away.answer["error"]["kind"]
    assert "fraud/lost-or-stolen-card" == offline.answer["winner"]
    assert "Traceback" not in run.err
