"""Doctor's single calls: the kind of each response; redirects are not followed, and hostile responses not trusted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

import pytest

from reconciler.cxone.settings import ClientCredentials
from reconciler.cxone.transport.request import ApiRequest, ApiResponse
from reconciler.doctor.examination import Probe
from reconciler.errors import UnexpectedResponseError, UnreachableError, UnsupportedCallError
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

TOKEN = json.dumps({"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}).encode()
GIVEN = (200, {"content-type": "application/json"}, TOKEN)
Said = tuple[int, "Mapping[str, str]", bytes]


class Line:
    """A probe of a tenant with these responses to a token request and to other requests."""

    def __init__(self, token: Said = GIVEN, other: Said | Callable[[int], Said] = GIVEN) -> None:
        self.time = FakeClock()
        self.asked: list[str] = []
        self.told: list[str] = []

        async def carry(request: ApiRequest) -> ApiResponse:
            self.asked.append(request.call)
            if request.method == "POST":
                return ApiResponse(request.call, *token)
            said = other(len(self.asked) - 2) if callable(other) else other
            return ApiResponse(request.call, *said)

        def tell(_brief: str, text: str, _seconds: float) -> None:
            self.told.append(text)

        self.probe = Probe(
            carry, TENANT, ClientCredentials(client_id="id", client_secret="secret"), self.time.time, tell
        )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_token_request_is_an_error(status: int) -> None:
    """The target would get the credentials: one request is sent, and only the target's host is kept."""
    line = Line(token=(status, {"location": "https://sign-in.example/?session=1"}, b""))
    with pytest.raises(UnsupportedCallError, match=r"^POST /oauth/token: the server redirects to another place$"):
        asyncio.run(line.probe.request_token())
    (reply,) = line.probe.replies
    assert ("redirect", status, "sign-in.example", 1) == (reply.kind, reply.status, reply.error_text, len(line.asked))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirected_list_is_not_followed(status: int) -> None:
    """A token and one request; the reply has the target."""
    line = Line(other=(status, {"location": "//other.example/"}, b'{"entities": [], "total": 0}'))
    reply, page = asyncio.run(line.probe.rules())
    assert ("redirect", "other.example", None) == (reply.kind, reply.error_text, page)
    assert 2 == len(line.asked)


@pytest.mark.parametrize(
    ("location", "host"), [("", ""), ("/here", ""), ("http://[bad", ""), ("http://a\u202eb/", "a\\u202eb")]
)
def test_only_the_sanitized_host_of_a_redirect_is_kept(location: str, host: str) -> None:
    """The rest may contain a session, or be no address at all."""
    reply, _ = asyncio.run(Line(other=(302, {"location": location}, b"")).probe.rules())
    assert host == reply.error_text


@pytest.mark.parametrize("body", [b"<!doctype html><title>Sign in</title>", b"", b'{"access_token": '])
def test_a_token_response_without_json_is_an_error(body: bytes) -> None:
    """Although its status is a success."""
    with pytest.raises(UnexpectedResponseError, match=r"^POST /oauth/token: the response is not JSON$"):
        asyncio.run(Line(token=(200, {}, body)).probe.request_token())


def test_a_temporary_failure_is_retried_once() -> None:
    """After the server's Retry-After, which is reported first; the second response is the reply."""
    page = json.dumps({"entities": [], "total": 0}).encode()
    line = Line(other=lambda number: (200, {}, page) if number else (503, {"retry-after": "3"}, b""))
    reply, found = asyncio.run(line.probe.rules())
    assert ("json", 2, True) == (reply.kind, reply.attempts, found is not None and found.is_complete)
    assert [3.0] == line.time.slept
    assert ["waiting for the tenant: HTTP 503 from GET /api/v2/routing/rules, attempt 2 in 3 s"] == line.told


@pytest.mark.parametrize(
    ("asked", "waited"), [("0", 0.0), ("4", 4.0), ("3600", 5.0), ("soon", 1.0), ("-1", 1.0), ("", 1.0)]
)
def test_the_retry_after_is_limited_to_some_seconds(asked: str, waited: float) -> None:
    """A diagnosis does not wait for an hour."""
    line = Line(other=(429, {"retry-after": asked}, b""))
    reply, page = asyncio.run(line.probe.queues())
    assert (429, 2, None, [waited]) == (reply.status, reply.attempts, page, line.time.slept)


def test_a_token_server_that_never_answers_is_unreachable() -> None:
    """Both attempts time out."""

    async def run() -> None:
        time = FakeClock()

        async def carry(request: ApiRequest) -> ApiResponse:
            await time.time.sleep(11.0)
            return ApiResponse(request.call, *GIVEN)

        await Probe(carry, TENANT, ClientCredentials(client_id="id", client_secret="secret"), time.time).request_token()

    with pytest.raises(UnreachableError, match=r"^POST /oauth/token: "):
        asyncio.run(run())
