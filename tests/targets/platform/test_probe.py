"""Doctor's single calls: the kind of each response; redirects are not followed, and hostile
responses not trusted.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

import pytest

from reconciler.core.errors import (
    UnexpectedResponseError,
    UnreachableError,
    UnsupportedCallError,
)
from reconciler.targets.platform.diagnosis.probe import Probe
from reconciler.targets.platform.settings import ClientCredentials
from reconciler.targets.platform.transport.request import ApiRequest, ApiResponse
from tests.support.cases import each_case
from tests.support.fake_clock import FakeClock
from tests.support.in_process_tenant import TENANT

TOKEN = json.dumps(
    {"access_token": "t1", "token_type": "Bearer", "expires_in": 3600}
).encode()
GIVEN = (200, {"content-type": "application/json"}, TOKEN)
Said = tuple[int, "Mapping[str, str]", bytes]


class Line:
    """A probe of a tenant with these responses to a token request and to other requests."""

    def __init__(
        self, token: Said = GIVEN, other: Said | Callable[[int], Said] = GIVEN
    ) -> None:
        self.time = FakeClock()
        self.asked: list[str] = []

        async def carry(request: ApiRequest) -> ApiResponse:
            self.asked.append(request.call)
            if request.method == "POST":
                return ApiResponse(request.call, *token)
            text = other(len(self.asked) - 2) if callable(other) else other
            return ApiResponse(request.call, *text)

        credentials = ClientCredentials(client_id="id", client_secret="secret")
        self.probe = Probe(carry, TENANT, credentials, self.time.time)


@each_case("status", [301, 302, 303, 307, 308])
def test_a_redirected_token_request_is_an_error(status: int) -> None:
    """The target would get the credentials: one request is sent, and only the target's host is
    kept.
    """
    line = Line(token=(status, {"location": "https://sign-in.example/?session=1"}, b""))
    with pytest.raises(
        UnsupportedCallError,
        match=r"^POST /oauth/token: the server redirects to another place$",
    ):
        asyncio.run(line.probe.request_token())
    (reply,) = line.probe.replies
    assert ("redirect", status, "sign-in.example", 1) == (
        reply.kind,
        reply.status,
        reply.error_text,
        len(line.asked),
    )


@each_case("status", [301, 302, 303, 307, 308])
def test_a_redirected_list_is_not_followed(status: int) -> None:
    """A token and one request; the reply has the target."""
    line = Line(
        other=(
            status,
            {"location": "//other.example/"},
            b'{"entities": [], "total": 0}',
        )
    )
    reply, page = asyncio.run(line.probe.rules())
    assert ("redirect", "other.example", None) == (reply.kind, reply.error_text, page)
    assert 2 == len(line.asked)


@pytest.mark.parametrize(
    ("location", "host"),
    [("", ""), ("/here", ""), ("http://[bad", ""), ("http://a\u202eb/", "a\\u202eb")],
)
def test_only_the_sanitized_host_of_a_redirect_is_kept(
    location: str, host: str
) -> None:
    """The rest may contain a session, or be no address at all."""
    reply, _ = asyncio.run(Line(other=(302, {"location": location}, b"")).probe.rules())
    assert host == reply.error_text


@pytest.mark.parametrize(
    "body", [b"<!doctype html><title>Sign in</title>", b"", b'{"access_token": ']
)
def test_a_token_response_without_json_is_an_error(body: bytes) -> None:
    """Although its status is a success."""
    with pytest.raises(
        UnexpectedResponseError, match=r"^POST /oauth/token: the response is not JSON$"
    ):
        asyncio.run(Line(token=(200, {}, body)).probe.request_token())


@pytest.mark.parametrize("status", [408, 429, 503])
def test_a_temporary_failure_is_shown_and_not_repeated(status: int) -> None:
    """One request for the token and one for the list, without a wait."""
    line = Line(other=(status, {"retry-after": "3"}, b""))
    reply, page = asyncio.run(line.probe.queues())
    assert (status, None, []) == (reply.status, page, line.time.slept)
    assert 2 == len(line.asked)


def test_a_token_server_that_never_answers_is_unreachable() -> None:
    """The request times out."""

    async def run() -> None:
        time = FakeClock()

        async def carry(request: ApiRequest) -> ApiResponse:
            await time.time.sleep(11.0)
            return ApiResponse(request.call, *GIVEN)

        await Probe(
            carry,
            TENANT,
            ClientCredentials(client_id="id", client_secret="secret"),
            time.time,
        ).request_token()

    with pytest.raises(UnreachableError, match=r"^POST /oauth/token: "):
        asyncio.run(run())
