"""The endpoint's caches are bounded in number and in size, for any responses of a tenant."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from tests.features.endpoint.in_process_endpoint import Endpoint, Upstream, event
from tests.features.endpoint.process_memory import MIB, resident
from tests.features.endpoint.signing import WRITTEN, signed

pytestmark = pytest.mark.slow

LONG = 64 * 1024


class Talkative(Upstream):
    """A tenant with long responses."""

    async def write(
        self, conversation: str, attributes: Mapping[str, Any], seconds: float
    ) -> Any:
        """Merge, and return a long response."""
        return {
            **await super().write(conversation, attributes, seconds),
            "more": "x" * LONG,
        }


@pytest.mark.parametrize("is_signed", [False, True])
def test_a_long_response_is_passed_on_and_not_stored(is_signed: bool) -> None:  # noqa: FBT001 - pytest hands it over
    """The first client gets all of it; a repeat is answered without it, and not written again."""
    endpoint = Endpoint(Talkative(), secrets=(WRITTEN,))

    async def posts() -> tuple[Any, Any, int]:
        body, headers = signed("m-1", event())
        actual = [
            await (endpoint.post(body, headers) if is_signed else endpoint.post())
            for _ in range(2)
        ]
        assert {200} == {reply.status for reply in actual}
        return (
            len(actual[0].form["data"]["more"]),
            actual[1].form["data"],
            len(endpoint.upstream.writes),
        )

    assert (LONG, None, 1) == asyncio.run(posts())


def test_thousands_of_long_responses_take_no_memory() -> None:
    """Of 3,000 conversations, half of them in signed messages, each with a response of 64 KiB: 190
    MiB in all.
    """
    endpoint = Endpoint(Talkative(), secrets=(WRITTEN,))

    async def posts(begin: int, end: int) -> None:
        for number in range(begin, end):
            form = event(conversationId=f"c-{number}")
            await (
                endpoint.post(*signed(f"m-{number}", form))
                if number % 2
                else endpoint.post(form)
            )

    asyncio.run(posts(0, 200))
    before = resident()
    asyncio.run(posts(200, 3000))
    assert resident() - before < 30 * MIB
