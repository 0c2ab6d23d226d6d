"""What goes out as JSON says what came in: an answer of the tenant's, and what is written there."""

from __future__ import annotations

import asyncio
import json
import math
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.cxone.context_client import INTERACTION_WRITER, CustomFieldsWriter
from reconciler.endpoint.messages import encode_json, written_prefix, written_response
from reconciler.text.strict_json import STRICT_DECODER

TEXTS = st.text(st.characters(codec=None), max_size=20)
"""Half characters, too: a server may send the escape of one."""
NUMBERS = st.integers() | st.integers(10**300, 10**310) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda part: st.lists(part, max_size=4) | st.dictionaries(TEXTS, part, max_size=4),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_tenant_says_is_handed_on_as_it_was(said: Any) -> None:
    """To the last digit, minus nought too; with a half character the answer is JSON all the same."""
    body = written_response("c-1", said).body
    found = STRICT_DECODER.decode(body.decode("utf-8"))
    assert repr(said) == repr(found["data"])
    assert {"success": True, "message": "context updated for conversation c-1", "data": said} == found


def test_what_is_as_deep_as_can_be_read_is_handed_on() -> None:
    """Deeper than the encoder goes by itself."""
    said: Any = math.pi
    for level in range(400):
        said = [said] if level % 2 else {"x": said}
    assert said == json.loads(encode_json(said))


@given(st.from_regex(r"[A-Za-z0-9._:-]{1,128}", fullmatch=True), st.text(st.characters(codec="utf-8")))
def test_an_answer_begins_as_it_is_remembered_to(name: str, said: str) -> None:
    """Or nothing of it would be left out of what is kept."""
    assert written_response(name, said, route=said).body.startswith(written_prefix(name))


@given(st.text(st.characters(codec="utf-8")), NUMBERS | st.none())
def test_what_is_written_is_ascii(intent: str, confidence: float | None) -> None:
    """Whatever a server takes a body's bytes for, these are the letters that were meant."""
    sent: list[bytes] = []

    async def call(_name: str, _path: str, content: bytes) -> Any:
        sent.append(content)

    async def write() -> None:
        await INTERACTION_WRITER.write(call, "/", {"intent": intent, "confidence": confidence})
        await CustomFieldsWriter().write(call, "/", {"intent": intent})

    asyncio.run(write())
    context, fields = (json.loads(content.decode("ascii")) for content in sent)
    assert {"attributes": {"intent": intent, "confidence": confidence}} == context
    assert [{"ident": "intent", "value": intent}] == fields
