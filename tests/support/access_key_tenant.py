"""An issuer and an API in a dictionary, at any address: requests to them are recorded."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from reconciler.targets.platform.connect import read_only_transport
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from reconciler.targets.rules_api.client import ReadingClient
from tests.support import canary_secrets as canary
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

ISSUER: Final = "https://cxone.niceincontact.com"
API: Final = "https://api-na1.niceincontact.com"
OPENID: Final = f"{ISSUER}/.well-known/openid-configuration"
TOKEN: Final = f"{ISSUER}/auth/token"
CXONE: Final = f"{ISSUER}/.well-known/cxone-configuration"
RULES: Final = f"{API}/api/v2/routing/rules"
AT_ISSUER: Final = replace(TENANT, base_url="", token_url="", issuer=ISSUER)
KEYS: Final = ClientCredentials(
    client_id=canary.CLIENT,
    client_secret=canary.SECRET,
    key_id=canary.KEY,
    key_secret=canary.KEY_SECRET,
    variables=("THE_KEY", "THE_SECRET"),
)
EMPTY: Final = {
    "entities": [],
    "pageNumber": 1,
    "pageSize": 100,
    "total": 0,
    "pageCount": 0,
    "nextUri": None,
}


def jwt(payload: object) -> str:
    """Return a token with these claims; its signature is a fixed word."""
    return f"{part({'alg': 'RS256'})}.{part(payload)}.signature"


def part(form: object) -> str:
    text = form if isinstance(form, bytes) else json.dumps(form).encode()
    return urlsafe_b64encode(text).decode().rstrip("=")


def token(
    life: int = 3600, access_token: str = canary.TOKEN, **more: Any
) -> dict[str, Any]:
    """Return the response to valid credentials."""
    identity = {"iss": ISSUER, "tenantId": "11111111-2222-4333-8444-555555555555"}
    form = {
        "access_token": access_token,
        "token_type": "Bearer",
        "expires_in": life,
        "id_token": jwt(identity),
    }
    return form | more


class ScriptedIssuer:
    """Responds by address: JSON, raw bytes, a status with JSON, or the result of a function.

    Records requests.
    """

    def __init__(self, **answers: Any) -> None:
        """`answers` are of openid, token, cxone and rules."""
        self.answers: dict[str, Any] = {
            OPENID: answers.get("openid", {"issuer": ISSUER, "token_endpoint": TOKEN}),
            TOKEN: answers.get("token", token()),
            CXONE: answers.get("cxone", {"api_endpoint": API}),
            RULES: answers.get("rules", EMPTY),
        }
        self.asked: list[ApiRequest] = []

    async def carry(self, request: ApiRequest) -> ApiResponse:
        """Respond to one request; a request to an unknown address gets a response too, and is
        recorded.
        """
        self.asked.append(request)
        actual = self.answers.get(request.url.partition("?")[0], EMPTY)
        actual = actual(request) if callable(actual) else actual
        status, form = actual if isinstance(actual, tuple) else (200, actual)
        content = form if isinstance(form, bytes) else json.dumps(form).encode()
        return ApiResponse(
            request.call,
            status,
            {"location": RULES} if status in (302, 307) else {},
            content,
        )

    def client(
        self, tenant: TenantSettings = AT_ISSUER, clock: FakeClock | None = None
    ) -> ReadingClient:
        """Return a client inside its fence; its waits take no time."""
        calm = replace(tenant, patience_seconds=0.0)
        return ReadingClient(
            read_only_transport(self.carry, tenant),
            calm,
            KEYS,
            (clock or FakeClock()).time,
        )

    @property
    def calls(self) -> list[str]:
        """Return the recorded requests in short form."""
        return [f"{item.method} {item.url.partition('?')[0]}" for item in self.asked]

    def count(self, url: str) -> int:
        """Return the number of requests to an address."""
        return sum(call.endswith(f" {url}") for call in self.calls)

    def sent(self, *hosts: str) -> str:
        """Return everything that was sent to other hosts than these."""
        return "".join(
            f"{item.url} {item.headers} {item.content!r}"
            for item in self.asked
            if item.server.host not in hosts
        )


def answers_in_turn(*answers: Any) -> Callable[[ApiRequest], Any]:
    """Respond with one after the other; the last one repeats."""
    remaining = list(answers)

    def answer(request: ApiRequest) -> Any:
        actual = remaining.pop(0) if len(remaining) > 1 else remaining[0]
        return actual(request) if callable(actual) else actual

    return answer
