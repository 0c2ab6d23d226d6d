"""The client against public documents on queues, and against other profiles: requests, and reading
of responses.

The simulator's side of the same examples is in test_contract_simulator.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core import errors
from reconciler.core.manifest.kinds.profile import Profile
from reconciler.core.model.live import FetchedRule
from reconciler.core.rule_json import parse_live_rule
from reconciler.targets.platform.paging import ROUTING_QUEUES, skills_list
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.rules_api.client import WritingClient
from tests.support.builders import MARKER, rule
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

CONTRACT = Path(__file__).parents[2] / "contract"
FILES = ("skills.json", "routing_queues.json", "profiles.json")
EXAMPLES = [
    load
    for name in FILES
    for load in json.loads((CONTRACT / name).read_text(encoding="utf-8"))
]


def tenant(given: dict[str, Any]) -> TenantSettings:
    """Return the settings of an example's client."""
    created = Profile.model_validate({"name": "x", **given.get("profile", {})})
    declared = {
        "acd-skills": skills_list(given.get("version", 30)),
        "digital": ROUTING_QUEUES,
    }
    queues = declared.get(given.get("queues", ""), created.queues)
    return replace(
        TENANT,
        profile=created,
        rules_path=created.rules.path,
        queues=queues,
        queues_path=queues.path,
    )


class Server:
    """Answers with the example first; records the requests."""

    def __init__(self, example: dict[str, Any]) -> None:
        self.example, self.asked = example, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        if request.url.path == "/oauth/token":
            return httpx.Response(
                200, json={"access_token": "TOKEN", "expires_in": 3600}
            )
        self.asked.append(request)
        response = self.example["response"]
        content = json.dumps(response["json"]).encode() if "json" in response else b""
        return httpx.Response(
            response["status"], headers=response.get("headers"), content=content
        )


async def made_of(client: WritingClient, example: dict[str, Any]) -> Any:
    """Make the example's call, and return its meaning."""
    request = example["request"]
    match example["of"]:
        case "queues":
            return [list(queue) for queue in await client.queues()]
        case "rules":
            return [live.id for live in await client.rules()]
        case "create":
            return await client.create(rule(), MARKER)
        case "rule":
            read = await client.rule(request["path"].rsplit("/", 1)[1])
            return [read.live.id] if read else []
    answer = client._mapper.single_rule(
        {"rule": {**request["json"], **example["response"]["json"]["rule"]}}
    )
    live = replace(parse_live_rule(answer), raw=answer)
    return [
        (
            await client.update(
                FetchedRule(live), replace(live.rule, priority=9), live.marker
            )
        ).id
    ]


@each_case("example", [example for example in EXAMPLES if "client" in example["sides"]])
def test_the_client_requests_and_understands_as_the_platform_documents(
    example: dict[str, Any],
) -> None:
    """The first request is the example's; an incomplete page causes a further request, or an
    error.
    """
    server = Server(example)

    async def run() -> Any:
        client = WritingClient(
            transport_over(httpx.MockTransport(server)),
            tenant(example["given"]),
            ClientCredentials(client_id="id", client_secret="canary-secret"),
            FakeClock().time,
        )
        return await made_of(client, example)

    means = example.get("means")
    if isinstance(means, str):
        with pytest.raises(errors.ApiError, match=means):
            asyncio.run(run())
    elif means is None:
        with pytest.raises(
            (errors.IncompleteReadError, errors.UnexpectedResponseError)
        ):
            asyncio.run(run())
    else:
        assert means == asyncio.run(run())
    requested = server.asked[0]
    request = example["request"]
    assert (request["method"], request["path"], request["query"]) == (
        requested.method,
        requested.url.path,
        dict(requested.url.params),
    )
    assert "Bearer TOKEN" == requested.headers["Authorization"]
    if example["of"] == "update":
        assert {**request["json"], "description": "x"} == {
            **json.loads(requested.content),
            "description": "x",
        }


def test_every_example_states_its_source() -> None:
    """O: an official document or a vendor's code; T: third parties; ?: unknown."""
    assert {"O", "T", "?"} == {example["sure"] for example in EXAMPLES}
