"""A conversation from end to end: the bot's code, the endpoint, the tenant, and the queue that
`explain` named.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
import yaml

from reconciler.features.cognigy.command import code
from reconciler.features.practice.simulator.state import TenantState
from tests.features.endpoint.processes import ROOT
from tests.support import canary_secrets as canary
from tests.support.command import run_command
from tests.support.plain_http import PLAIN
from tests.support.requirements import skip_or_fail
from tests.support.server_process import KEY, server_environment, server_process
from tests.support.simulated_routing import queue_shares
from tests.support.written_manifests import yaml_of

pytestmark = pytest.mark.slow

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
NOWHERE = "http://127.0.0.1:9"
TEST_CHAT = "100000000000"
SAID: list[dict[str, Any]] = [
    {"intent": "lost_or_stolen_card", "intentScore": 0.93},
    {"intent": "card_arrival", "intentScore": 0.99},
    {"intent": "card_arrival", "intentScore": 0.2},
    {"intent": "an unexpected topic", "intentScore": 0.99},
    {"intent": None, "intentScore": None},
]


def tutorial(tenant: str) -> dict[str, str]:
    """Return the queues of a tenant as the tutorial has it: the name of each id."""
    with httpx.Client(base_url=tenant, trust_env=False, verify=PLAIN) as http:
        credentials = {"client_id": canary.CLIENT, "client_secret": canary.SECRET}
        token = http.post(
            "/oauth/token", data={"grant_type": "client_credentials", **credentials}
        ).json()
        requested = {"Authorization": f"Bearer {token['access_token']}"}
        page = http.get(
            "/api/v2/routing/queues", params={"pageSize": 100}, headers=requested
        ).json()
    assert len(page["entities"]) == page["total"]
    return {queue["id"]: queue["name"] for queue in page["entities"]}


def platform(tenant: str) -> dict[str, str]:
    """Return the skills of a tenant as NICE documents it: the name of each id, which is a
    number.
    """
    with httpx.Client(base_url=tenant, trust_env=False, verify=PLAIN) as http:
        key = {"accessKeyId": canary.KEY, "accessKeySecret": canary.KEY_SECRET}
        token = http.post("/authentication/v1/token/access-key", json=key).json()
        requested = {"Authorization": f"Bearer {token['access_token']}"}
        page = http.get(
            "/inContactAPI/services/v30.0/skills",
            params={"top": 100},
            headers=requested,
        ).json()
    assert len(page["skills"]) == page["totalRecords"]
    return {str(skill["skillId"]): skill["skillName"] for skill in page["skills"]}


class Kind(NamedTuple):
    """A kind of tenant: the text of its Environment, the name of its fraud desk, and the source of
    its queues.
    """

    api: str
    writer: str
    fraud: str
    queues: Callable[[str], dict[str, str]]
    ids: str = "c-{}"


TUTORIAL = Kind('baseUrl: "{url}"', "interaction", "Fraud Desk (test)", tutorial)
PLATFORM = Kind(
    'auth: access-key, issuer: "{url}", queues: acd-skills',
    "digital-custom-fields",
    "Fraud_Desk_test",
    platform,
    "46813759204{}",
)


class Repository:
    """This repository's manifests, with a staging tenant of one kind."""

    def __init__(self, folder: Path, kind: Kind) -> None:
        self.folder, self.kind = folder, kind
        shutil.copytree(ROOT / "manifests", folder / "manifests")
        self.lead_to(NOWHERE)
        if kind is PLATFORM:
            self._fit_skills()

    def lead_to(self, url: str) -> None:
        """Configure staging."""
        form = yaml.safe_load(
            (ROOT / "manifests/environments/staging.yaml").read_text("utf-8")
        )
        api = yaml.safe_load(
            f"{{{self.kind.api.format(url=url)}, requestsPerSecond: 1000}}"
        )
        context = {"writer": self.kind.writer, **form["context"]}
        retained = {
            name: form[name] for name in form if name not in ("tenant", "credentials")
        }
        said = yaml_of({**retained, "api": api, "context": context})
        (self.folder / "manifests/environments/staging.yaml").write_text(
            said, encoding="utf-8"
        )

    def _fit_skills(self) -> None:
        """Give every queue a name that a skill can have, and let no rule ask how sure the bot is:
        there that is a text.

        So the route tests and promises are left out, too.
        """
        shutil.rmtree(self.folder / "manifests/tests")
        (self.folder / "manifests/promises.yaml").unlink()
        (self.folder / "manifests/smoke-tests.yaml").unlink()
        for path in (self.folder / "manifests").glob("*.yaml"):
            text = path.read_text("utf-8")
            path.write_text(
                re.sub(r"(, |\n *)minConfidence: [0-9.]+", "", text), "utf-8"
            )

        def fit(name: Any) -> Any:
            if isinstance(name, dict):
                return {
                    key: value if key == "id" else fit(value)
                    for key, value in name.items()
                }
            return re.sub("[^A-Za-z0-9]+", "_", name).strip("_")

        path = self.folder / "manifests/queues.yaml"
        form = yaml.safe_load(path.read_text("utf-8"))
        path.write_text(
            yaml_of(
                {
                    **form,
                    "queues": {name: fit(to) for name, to in form["queues"].items()},
                }
            ),
            "utf-8",
        )

    def run(self, *arguments: str) -> int:
        """Run a command; return its exit code."""
        done = run_command(*arguments, cwd=self.folder, env=server_environment())
        assert "Traceback" not in done.stderr, done.stderr
        return done.returncode


def routed(
    state: TenantState, attributes: dict[str, Any], names: dict[str, str]
) -> dict[str, float] | None:
    """Return where the tenant's own evaluation of its live rules sends a conversation: queues by
    name.
    """
    actual = queue_shares(state.rules(), attributes)
    return (
        None
        if actual is None
        else {names[queue]: float(share) for queue, share in actual.items()}
    )


def said(route: dict[str, Any]) -> dict[str, float] | None:
    """Return the destination of a conversation in the endpoint's response."""
    if route["destination"].get("default"):
        return None
    return {item["queueName"]: item["share"] for item in route["destination"]["queues"]}


@pytest.mark.parametrize("kind", [TUTORIAL, PLATFORM], ids=["tutorial", "platform"])
def test_a_conversation_goes_to_the_destination_of_the_response(
    tmp_path: Path, kind: Kind
) -> None:
    """Node runs the Code node and posts; the tenant, with this repository's rules applied, routes
    as was answered.

    Once as the tutorial has it; once as NICE documents its platform: access keys, skills, custom
    fields.
    """
    if NODE is None:
        skip_or_fail("Node.js with fetch is not installed")
    repository = Repository(tmp_path, kind)
    inputs = [
        {"sessionId": kind.ids.format(number), **item}
        for number, item in enumerate(SAID)
    ]
    with ExitStack() as stack:
        _, tenant = stack.enter_context(
            server_process(
                tmp_path,
                "simulate",
                "--port",
                "0",
                "--state",
                "state.json",
                "--as",
                "staging",
            )
        )
        repository.lead_to(tenant)
        steps = (["apply", "--yes"], ["plan", "--detailed-exitcode"])
        assert [0, 0] == [repository.run(*step, "-e", "staging") for step in steps]
        _, url = stack.enter_context(
            server_process(
                tmp_path, "serve", "-e", "staging", "--port", "0", "--explain"
            )
        )
        names = kind.queues(tenant)
        chats = [*inputs, {"sessionId": TEST_CHAT, **SAID[0]}]
        source_values = json.dumps([code("input.sessionId", "none"), chats, url, KEY])
        done = subprocess.run(
            [NODE, "-e", BOT],
            input=source_values,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert 0 == done.returncode, done.stderr
    *answers, test_chat = json.loads(done.stdout)
    assert [True] * len(SAID) == [answer["success"] for answer in answers]
    assert [None, None, "unsure", "unknown", "unknown"] == [
        answer.get("fallback") for answer in answers
    ]
    assert (True, kind is PLATFORM) == (test_chat["success"], "skipped" in test_chat)
    state = TenantState.load(tmp_path / "state.json")
    try:
        assert (kind is TUTORIAL) == (TEST_CHAT in state.contexts)
        went = [
            routed(state, state.contexts[item["sessionId"]], names) for item in inputs
        ]
    finally:
        state.close()
    assert [said(answer["route"]) for answer in answers] == went
    assert {kind.fraud: 1.0} == went[0]
    assert went[0] != went[1]
