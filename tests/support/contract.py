"""The examples in tests/contract that a server must answer: their tenants, requests and
responses.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import httpx

from reconciler.features.practice.simulator.settings import SimulatorSettings
from reconciler.features.practice.simulator.state import TenantState

CONTRACT = Path(__file__).parents[1] / "contract"
CREDENTIALS = {
    "grant_type": "client_credentials",
    "client_id": "example-id",
    "client_secret": "example-secret",
}
Json = dict[str, Any]


def examples() -> list[Json]:
    """Return the examples that a server answers to."""
    files = sorted(CONTRACT.glob("*.json"))
    actual = [
        example
        for file in files
        for example in json.loads(file.read_text(encoding="utf-8"))
    ]
    return [example for example in actual if "server" in example["sides"]]


def settings(given: Json) -> SimulatorSettings:
    """Return the switches that an example sets; the clock does not move."""
    switches = dict(given.get("settings", {}))
    if "scopes" in switches:
        switches["scopes"] = frozenset(switches["scopes"])
    return SimulatorSettings(**switches, clock=lambda: 1_769_936_400.0)


def tenant(given: Json) -> TenantState:
    """Return the tenant that an example starts from."""
    text = (CONTRACT / "tenant" / f"{given.get('tenant', 'example')}.json").read_text(
        encoding="utf-8"
    )
    return TenantState(**json.loads(text))


async def send_example(example: Json, client: httpx.AsyncClient) -> httpx.Response:
    """Send the example's request, with a real token in the place of TOKEN."""
    request = example["request"]
    headers = dict(request["headers"])
    if headers.get("Authorization") == "Bearer TOKEN":
        token = (await client.post("/oauth/token", data=CREDENTIALS)).json()[
            "access_token"
        ]
        headers["Authorization"] = f"Bearer {token}"
    content = request["text"].encode() if "text" in request else None
    return await client.request(
        request["method"],
        request["path"],
        params=request["query"] or None,
        headers=headers,
        data=request.get("form"),
        json=request.get("json"),
        content=content,
    )


def copy_free_value(expected: Any, got: Any, path: list[str]) -> None:
    """Copy the expected value into `got` at a path that the server may fill freely, after a check
    of its type.
    """
    *way, last = [int(part) if part.isdigit() else part for part in path]
    for part in way:
        expected = expected[part]
        got = got[part]
    assert got[last], f"{'.'.join(path)} is empty"
    assert type(expected[last]) is type(got[last])
    got[last] = expected[last]


def check_response(example: Json, response: httpx.Response) -> None:
    """Compare the status, the named headers, and the body."""
    expected = example["response"]
    free = example.get("free", [])
    assert expected["status"] == response.status_code, response.text
    for name, value in expected.get("headers", {}).items():
        assert name in response.headers
        assert f"headers.{name}" in free or value == response.headers[name]
    if "json" in expected:
        got = copy.deepcopy(response.json())
        for path in free:
            if not path.startswith("headers."):
                copy_free_value(expected["json"], got, path.split("."))
        assert expected["json"] == got
        assert json.dumps(expected["json"], sort_keys=True) == json.dumps(
            got, sort_keys=True
        ), "1 is not 1.0 or true"
    else:
        assert expected.get("text", "") == response.text
