"""The JSON of a response equals its input: a response of the tenant, and the values that are
written.
"""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.features.endpoint.messages import (
    encode_json,
    written_prefix,
    written_response,
)
from reconciler.targets.platform.context_client import (
    write_custom_fields,
    write_interaction,
)
from tests.tiers import size

TEXTS = st.text(st.characters(codec=None), max_size=20)
"""Including unpaired surrogates: a server may send the escape of one."""
NUMBERS = (
    st.integers()
    | st.integers(10**300, 10**310)
    | st.floats(allow_nan=False, allow_infinity=False)
)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXTS, part, max_size=4),
    max_leaves=12,
)


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(JSON)
def test_a_response_of_the_tenant_is_passed_on_unchanged(said: Any) -> None:
    """To the last digit, including minus zero; with an unpaired surrogate the response is still
    JSON.
    """
    body = written_response("c-1", said).body
    actual = STRICT_DECODER.decode(body.decode("utf-8"))
    assert repr(said) == repr(actual["data"])
    assert {
        "success": True,
        "message": "context updated for conversation c-1",
        "data": said,
    } == actual


def test_the_deepest_readable_json_is_passed_on() -> None:
    """It is deeper than the encoder's own limit."""
    text: Any = math.pi
    for level in range(400):
        text = [text] if level % 2 else {"x": text}
    assert text == json.loads(encode_json(text))


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(
    st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True),
    st.text(st.characters(codec="utf-8")),
)
def test_a_stored_response_begins_with_the_usual_prefix(name: str, said: str) -> None:
    """Otherwise the store would not shorten it."""
    assert written_response(name, said, route=said).body.startswith(
        written_prefix(name)
    )


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(st.text(st.characters(codec="utf-8")), NUMBERS | st.none())
def test_written_json_is_ascii(intent: str, confidence: float | None) -> None:
    """With any assumption about the body's encoding, the letters are the same."""
    requests_sent: list[bytes] = []

    async def call(_name: str, _path: str, content: bytes) -> Any:
        requests_sent.append(content)

    async def write() -> None:
        await write_interaction(call, "/", {"intent": intent, "confidence": confidence})
        await write_custom_fields(call, "/", {"intent": intent})

    asyncio.run(write())
    context, fields = (json.loads(content.decode("ascii")) for content in requests_sent)
    assert {"attributes": {"intent": intent, "confidence": confidence}} == context
    assert [{"ident": "intent", "value": intent}] == fields
