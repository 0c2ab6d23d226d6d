"""The fake script engine of the simulator: contacts ask a real decision service over HTTP."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.features.practice.simulator.script_engine import (
    ATTEMPTS,
    DEFAULT_SKILL,
    ContactScript,
)
from tests.support.command import Command
from tests.support.ports import free_ports
from tests.support.server_process import KEY, server_process

pytestmark = pytest.mark.slow

SANDBOX = """\
apiVersion: routing/v1
kind: Environment
name: sandbox
owner: acme
api: {rules: served, served: {url: "https://routing.acme.example"}}
attributes: {intent: intent, confidence: confidence}
"""
PROD = """\
apiVersion: routing/v1
kind: Environment
name: prod
owner: acme
api: {rules: served, served: {url: "URL"}}
"""
RULES = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: lost, minConfidence: 0.6, queue: Fraud Desk, priority: 10}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose sandbox has a published table."""
    manifests = tmp_path / "manifests"
    manifests.mkdir()
    (manifests / "sandbox.yaml").write_text(SANDBOX, "utf-8")
    (manifests / "cards.yaml").write_text(RULES, "utf-8")
    applied = Command(
        *("apply", "-e", "sandbox", "--yes"), cwd=tmp_path, stdout=subprocess.DEVNULL
    )
    assert applied.wait(60) == 0
    return tmp_path


def run_contact(url: str, **variables: str) -> Any:
    form = {"contactId": 4711, "variables": variables}
    reply = httpx.post(f"{url}/studio/contacts", json=form, timeout=30, trust_env=False)
    assert reply.status_code == 200, reply.text
    return reply.json()


def test_contacts_of_the_simulator_get_the_skill_of_the_service(folder: Path) -> None:
    """With a rule, without one, after a value that is not understood, and without the service."""
    with server_process(
        folder, "serve", "-e", "sandbox", "--decide", "--port", "0"
    ) as (
        service,
        service_url,
    ):
        environment = PROD.replace("URL", service_url)
        (folder / "manifests/prod.yaml").write_text(environment, "utf-8")
        words = ("simulate", "--as", "prod", "--port", "0")
        with server_process(folder, *words) as (_, url):
            routed = run_contact(url, intent="lost", confidence="0.9")
            assert routed["variables"]["cxr_queue"] == "Fraud Desk"
            assert routed["variables"]["cxr_rule"] == "cards/lost"
            assert routed["steps"][-1] == {
                "action": "REQAGENT",
                "skill": routed["variables"]["cxr_skill"],
            }
            unsure = run_contact(url, intent="lost", confidence="0.5")
            assert unsure["steps"][1]["branch"] == "ReturnControlToScript"
            assert unsure["steps"][-1]["skill"] == DEFAULT_SKILL
            odd = run_contact(url, intent="lost", confidence="high")
            assert odd["steps"][1] == {
                "action": "TEXTBOT EXCHANGE",
                "attempts": 1,
                "branch": "Error",
            }
            service.terminate()
            service.wait(30)
            alone = run_contact(url, intent="lost", confidence="0.9")
            assert alone["steps"][1]["attempts"] == ATTEMPTS
            assert alone["steps"][-1]["skill"] == DEFAULT_SKILL
            wrong = httpx.post(f"{url}/studio/contacts", json=[], trust_env=False)
            assert wrong.status_code == 400


def test_a_wrong_key_ends_in_the_error_branch(folder: Path) -> None:
    """The right one decides."""
    with server_process(
        folder, "serve", "-e", "sandbox", "--decide", "--port", "0"
    ) as (
        _,
        url,
    ):
        good = ContactScript(url, KEY).run({"intent": "lost", "confidence": "1"}, 1)
        assert good.variables["cxr_queue"] == "Fraud Desk"
        refused = ContactScript(url, "wrong").run({"intent": "lost"}, 1)
        assert (refused.branch, refused.skill) == ("Error", DEFAULT_SKILL)
    closed = ContactScript(f"http://127.0.0.1:{free_ports(1)[0]}").run({}, 1)
    assert closed.attempts == ATTEMPTS
    assert json.loads(json.dumps(closed.to_json()))["steps"][1]["branch"] == "Error"
