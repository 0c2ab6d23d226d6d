"""The examples of tests/contract/scripts.json, from the side of the client."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from reconciler.core import errors
from reconciler.core.model.live import LastSave
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from reconciler.targets.studio.client import StudioClient
from reconciler.targets.studio.layout import BlockLayout
from reconciler.targets.studio.place import StudioScript
from tests.support.cases import each_case
from tests.support.contract import CONTRACT
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT
from tests.support.studio_tenant import CREDENTIALS, SCRIPTS

Json = dict[str, Any]
EXAMPLES = {
    example["name"]: example
    for example in json.loads((CONTRACT / "scripts.json").read_text(encoding="utf-8"))
    if "client" in example["sides"]
}
LAYOUT = BlockLayout(owner="acme-routing", block="main", variables={})
MISSING = "does not exist at the tenant"
MEANS: dict[str, Any] = {  # a result, or an error and a part of its text
    "script-read": (),
    "script-read-locked": (errors.ApiError, "no block"),
    "script-unknown": (errors.ApiError, MISSING),
    "script-desktop": (errors.OverloadedError, "no JSON"),
    "script-version-desktop": (errors.ApiError, "Desktop Studio"),
    "script-version": (),
    "script-history": LastSave("Ada Lovelace", "2026-02-01 09:00:00"),
    "script-history-desktop": LastSave("Ada Lovelace", "2026-02-01 22:00:00"),
    "script-history-unknown": (errors.ApiError, MISSING),
    "script-lock": (),
    "script-lock-held": (errors.LockedError, "locked by Ada Lovelace"),
    "script-unlock": (),
    "script-lock-unknown": (errors.ApiError, MISSING),
    "script-save": (),
    "script-save-warned": ("SNIPPET 2: UnknownSkill (4999)",),
    "script-save-refused": (errors.RejectedError, "SNIPPET 2: InvalidSnippet"),
    "script-save-no-scope": (errors.ScopeError, "right to view and edit scripts"),
    "script-save-bound-lock": (errors.RejectedError, "BEGIN 0: ScriptLocked"),
}


class ExampleServer:
    """Responds with the example to its request, and as the script without it does to every
    other.
    """

    def __init__(self, example: Json) -> None:
        self.example = example
        self.matches: list[ApiRequest] = []

    async def carry(self, request: ApiRequest) -> ApiResponse:
        """Respond to one request."""
        url = urlsplit(request.target)
        expected = self.example["request"]
        response = self.example["response"]
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/oauth/token":
            return form_response(
                request, 200, {"access_token": "TOKEN", "expires_in": 3600}
            )
        if (request.method, url.path, query) == (
            expected["method"],
            expected["path"],
            expected["query"],
        ):
            self.matches.append(request)
            return form_response(request, response["status"], response["json"])
        if request.method == "PUT":
            return form_response(
                request, 200, EXAMPLES["script-lock"]["response"]["json"]
            )
        if url.path.endswith("/historyByName"):
            identity = expected["path"].rsplit("/", 1)[1]
            return form_response(
                request, 200, {"versions": [{"scriptId": identity, "status": "CURR"}]}
            )
        locked = "-locked" if query.get("scriptPath") == "Acme\\Locked" else ""
        return form_response(
            request, 200, EXAMPLES[f"script-read{locked}"]["response"]["json"]
        )


def form_response(request: ApiRequest, status: int, form: Any) -> ApiResponse:
    return ApiResponse(request.call, status, {}, json.dumps(form).encode())


async def made_of(client: StudioClient, example: Json) -> Any:
    """Make the example's call, and return its meaning."""
    request = example["request"]
    path = example["request"]["path"]
    if request["method"] == "PUT":
        async with client.lock():
            pass
        return client.notes
    if path.endswith("/historyByName"):
        return await client.last_save()
    if request["method"] == "GET":
        return await client.rules()
    if "cxroute:begin" in json.dumps(request["json"]):
        return await client.save(await client.rules(), (), {})
    # Such a script has no block, so this client never saves it: the response alone is an example.
    return client._check_save(
        await client._call("save script", path, json.dumps(request["json"]).encode())
    )


@each_case("name", EXAMPLES)
def test_the_client_calls_and_understands_scripts_as_the_example(name: str) -> None:
    """The client sends the example's request, and the response has the example's meaning.

    Blocks may differ.
    """
    example = EXAMPLES[name]
    expected = MEANS[name]
    server = ExampleServer(example)
    request = example["request"]
    path = request["query"].get("scriptPath") or (request.get("json") or {}).get(
        "scriptContent", {}
    ).get("header", {})
    path = path if isinstance(path, str) else path.get("scriptName", "Acme\\Routing")
    script = StudioScript(path=path, api_version=SCRIPTS.split("/")[3], layout=LAYOUT)
    tenant = replace(TENANT, patience_seconds=0.0)

    async def run() -> Any:
        return await made_of(
            StudioClient(
                server.carry, tenant, CREDENTIALS, FakeClock().time, script=script
            ),
            example,
        )

    if expected and isinstance(expected[0], type):
        with pytest.raises(errors.ApiError, match=expected[1]) as failure:
            asyncio.run(run())
        assert expected[0] is type(failure.value)
    else:
        assert expected == asyncio.run(run())
    assert server.matches
    assert "Bearer TOKEN" == server.matches[0].headers["Authorization"]
    if "json" in request:
        assert without_block(json.dumps(request["json"])) == without_block(
            server.matches[0].content.decode()
        )


def without_block(text: str) -> Any:
    """Return JSON without the lines between the markers, since the example's block is not one that
    cxroute builds.
    """
    return json.loads(
        re.sub(r"(cxroute:begin [a-z/-]+).*?(// cxroute:end)", r"\1\2", text)
    )
