"""What `apply` prints when it refuses or fails: what is wrong, where it is checked, and what to do
next.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState
from tests.support.bank_workspace import BankWorkspace
from tests.support.loopback_server import loopback_server
from tests.support.program import Program, write

RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {{key: lost, intent: lost, queue: {lost}, priority: {priority}}}
  - {{key: pin, intent: pin, queue: {pin}}}
"""
PROMISES = """\
apiVersion: routing/v1
kind: Promises
name: safety
promises:
  - {name: lost cards reach fraud, for: {intent: lost}, always: {queues: [Fraud]}}
  - {name: pins reach cards, for: {intent: pin}, always: {queues: [Cards]}}
"""
OWNED = """\
apiVersion: routing/v1
kind: Queues
name: queues
queues: {Fraud: {name: Fraud, owners: ["@acme/fraud"]}}
"""


def rules(lost: str = "Fraud", pin: str = "Cards", priority: int = 100) -> None:
    """Write the rules."""
    write("rules.yaml", RULES.format(lost=lost, pin=pin, priority=priority))


@pytest.fixture
def desk(cxroute: Program) -> Program:
    """Two applied rules in the sandbox."""
    rules()
    assert 0 == cxroute("apply", "--yes")
    return cxroute


@pytest.mark.parametrize(
    ("queues", "broken"),
    [
        ({"lost": "General"}, ["lost cards reach fraud"]),
        ({"pin": "General"}, ["pins reach cards"]),
        (
            {"lost": "General", "pin": "General"},
            ["lost cards reach fraud", "pins reach cards"],
        ),
    ],
)
def test_a_refusal_names_each_broken_promise(
    desk: Program, queues: dict[str, Any], broken: list[str]
) -> None:
    """With an example and the rule of the first."""
    write("promises.yaml", PROMISES)
    rules(**queues)
    assert 4 == desk("apply", "--yes")
    for name in broken:
        assert f'"{name}"' in desk.err
    assert "by rule cards/" in desk.err


def test_an_outdated_plan_names_the_field_that_differs(desk: Program) -> None:
    """Of the manifests, of the live rule, and an action or a rule that the plan does not have."""
    rules(priority=7)
    assert 0 == desk("plan", "--out", "plan.json")
    rules(priority=8)
    assert 4 == desk("apply", "plan.json", "--yes")
    assert "In the manifests' rule, priority was 7 and is now 8" in desk.err
    rules(priority=5)
    assert 0 == desk("apply", "--yes")
    rules(priority=7)
    assert 4 == desk("apply", "plan.json", "--yes")
    assert "In the live rule, " in desk.err
    assert "priority" in desk.err.partition("In the live rule, ")[2]
    rules(priority=5, pin="General")
    assert 4 == desk("apply", "plan.json", "--yes")
    assert "The plan has no change of cards/pin" in desk.err
    write(
        "rules.yaml",
        RULES.format(lost="Fraud", pin="Cards", priority=5).replace(
            "  - {key: lost", "  # {key: lost"
        ),
    )
    assert 4 == desk(
        "apply", "plan.json", "--yes", "--allow", "deletes", "--reason", "test"
    )
    assert "The plan would update cards/lost" in desk.err


def test_where_consent_is_checked_is_printed(
    desk: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the plan; and an apply outside of a pipeline warns that it does not check it."""
    write("queues.yaml", OWNED)
    rules(lost="General")
    assert 0 == desk("plan")
    assert (
        "Consent needed: @acme/fraud (Fraud loses callers). The pipeline checks this before an "
        "apply" in desk.out
    )
    assert 0 == desk("apply", "--yes")
    assert (
        "warning: the consent of @acme/fraud (Fraud loses callers) is not checked here"
        in desk.err
    )
    rules(lost="Fraud")
    monkeypatch.setenv("CI", "true")
    assert 0 == desk("apply", "-e", "sandbox", "--yes")
    assert "is not checked here" not in desk.err


@pytest.fixture
def place(tmp_path: Path) -> BankWorkspace:
    """A folder with the bank's manifests, and the program as a process in it."""
    return BankWorkspace(tmp_path)


@pytest.mark.parametrize("fault", ["503", "500"])
def test_an_unavailable_tenant_says_that_nothing_was_written(
    place: BankWorkspace, fault: str
) -> None:
    """And to run it again."""
    with loopback_server() as here:
        here.app = Simulator(
            TenantState(), PROFILES["A"], FaultInjector(f"GET rules:{fault}")
        )
        place.manifests(here.url)
        ended = place.run_without_waits("-e", "bank", "apply", "--yes")
    assert 1 == ended.code
    assert f"status {fault}" in ended.err
    assert "Nothing was written: run it again" in ended.err


def test_refused_credentials_name_the_call_and_the_next_command(
    place: BankWorkspace,
) -> None:
    """The path that answered, its status, the variables, and `cxroute doctor`."""
    with place.simulated() as url:
        place.manifests(url)
        place.environment |= {"CXONE_CLIENT_SECRET": "something else"}
        ended = place.run_without_waits("-e", "bank", "apply", "--yes")
    assert 1 == ended.code
    for text in (
        "/oauth/token",
        "status 401",
        "CXONE_CLIENT_SECRET",
        "cxroute doctor",
        "Nothing was written",
    ):
        assert text in ended.err
    assert not Path(place.path, ".cxroute/journal.jsonl").exists()
