"""A conversation from end to end: the bot's own code, the endpoint, the tenant, and the queue that `explain` said."""

from __future__ import annotations

import json
import shutil
import subprocess
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from reconciler.cli.cognigy import code
from reconciler.simulator.evaluate import split
from reconciler.simulator.state import State
from tests import canary
from tests.context.processes import KEY, ROOT, command, environment, process

if TYPE_CHECKING:
    from pathlib import Path

NODE = shutil.which("node")
BOT = """
const vm = require("vm");
const [code, inputs, url, key] = JSON.parse(require("fs").readFileSync(0, "utf-8"));
const headers = {"X-API-Key": key, "Content-Type": "application/json"};
(async () => {
  const answers = [];
  for (const input of inputs) {
    vm.runInNewContext(code, {input, context: {}, profile: {}, api: {}}, {timeout: 1000});
    const answer = await fetch(url + "/api/route", {method: "POST", headers, body: JSON.stringify(input.cxroute)});
    answers.push(await answer.json());
  }
  console.log(JSON.stringify(answers));
})();
"""
TENANT = "tenant: northquay-bank-staging"
LOOP = 'api: {{baseUrl: "{url}", requestsPerSecond: 1000}}'
SAID: list[dict[str, Any]] = [
    {"intent": "lost_or_stolen_card", "intentScore": 0.93},
    {"intent": "card_arrival", "intentScore": 0.99},
    {"intent": "card_arrival", "intentScore": 0.2},
    {"intent": "something nobody foresaw", "intentScore": 0.99},
    {"intent": None, "intentScore": None},
]


def queue_names(tenant: str) -> dict[str, str]:
    """Return the tenant's queues: the name of each id."""
    with httpx.Client(base_url=tenant, trust_env=False) as http:
        credentials = {"client_id": canary.CLIENT, "client_secret": canary.SECRET}
        token = http.post("/oauth/token", data={"grant_type": "client_credentials", **credentials}).json()
        asked = {"Authorization": f"Bearer {token['access_token']}"}
        page = http.get("/api/v2/routing/queues", params={"pageSize": 100}, headers=asked).json()
    assert page["pageCount"] == 1
    return {queue["id"]: queue["name"] for queue in page["entities"]}


def routed(state: State, attributes: dict[str, Any], names: dict[str, str]) -> dict[str, float] | None:
    """Return where the tenant's own evaluation of its live rules sends a conversation: queues by name."""
    found = split(state.rules(), attributes)
    return None if found is None else {names[queue]: float(share) for queue, share in found.items()}


def said(route: dict[str, Any]) -> dict[str, float] | None:
    """Return where the endpoint's answer says that a conversation goes."""
    if route["destination"].get("default"):
        return None
    return {one["queueName"]: one["share"] for one in route["destination"]["queues"]}


@pytest.mark.skipif(NODE is None, reason="needs Node.js with fetch")
def test_a_conversation_goes_where_the_endpoint_said(tmp_path: Path) -> None:
    """Node runs the Code node and posts; the tenant, with this repository's rules applied, routes as was answered."""
    assert NODE
    shutil.copytree(ROOT / "manifests", tmp_path / "manifests")
    inputs = [{"sessionId": f"c-{number}", **one} for number, one in enumerate(SAID)]
    with ExitStack() as stack:
        _, tenant = stack.enter_context(process(tmp_path, "simulate", "--port", "0", "--state", "state.json"))
        staging = tmp_path / "manifests" / "environments" / "staging.yaml"
        assert TENANT in staging.read_text("utf-8")
        text = staging.read_text("utf-8").replace(TENANT, LOOP.format(url=tenant)).replace("CXONE_STAGING_", "CXONE_")
        staging.write_text(text, encoding="utf-8")
        applied = subprocess.run(
            command("apply", "-e", "staging", "--yes"),
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            check=False,
        )
        assert 0 == applied.returncode, applied.stderr
        _, url = stack.enter_context(process(tmp_path, "serve", "-e", "staging", "--port", "0", "--explain"))
        names = queue_names(tenant)
        given = json.dumps([code("input.sessionId", "none"), inputs, url, KEY])
        done = subprocess.run([NODE, "-e", BOT], input=given, capture_output=True, text=True, timeout=60, check=False)
    assert 0 == done.returncode, done.stderr
    answers = json.loads(done.stdout)
    assert [True] * len(SAID) == [answer["success"] for answer in answers]
    assert [None, None, "unsure", "unknown", "unknown"] == [answer.get("fallback") for answer in answers]
    state = State.load(tmp_path / "state.json")
    try:
        went = [routed(state, state.contexts[one["sessionId"]], names) for one in inputs]
    finally:
        state.close()
    assert [said(answer["route"]) for answer in answers] == went
    assert {"Fraud Desk (test)": 1.0} == went[0]
    assert went[0] != went[1]
