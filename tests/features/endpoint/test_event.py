"""Valid and invalid events: every rule at its edge, and every byte sequence is an event or a named
refusal.
"""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.features.endpoint.event import (
    Event,
    InvalidEventError,
    Timestamp,
    format_timestamp,
    parse_timestamp,
    timestamp_from_datetime,
)
from reconciler.features.endpoint.event import parse_event as parsed
from tests.features.endpoint.in_process_endpoint import NOW, event
from tests.support.cases import each_case
from tests.tiers import size


def body(**said: Any) -> bytes:
    return json.dumps(event(**said)).encode()


def refused(data: bytes) -> str:
    with pytest.raises(InvalidEventError) as caught:
        parsed(data)
    return str(caught.value)


def test_an_event_is_read_as_it_was_written() -> None:
    """All four fields; unknown fields are ignored."""
    expected = Event(
        "c-1",
        "billing",
        0.9,
        "2026-02-01T09:00:00Z",
        parse_timestamp("2026-02-01T09:00:00Z"),
    )
    assert expected == parsed(body(channel="chat"))


def test_confidence_and_timestamp_may_be_absent() -> None:
    """An absent confidence is null; an absent timestamp is none."""
    assert Event("c-1", "billing", None) == parsed(body(confidence=..., timestamp=...))
    assert parsed(body(confidence=None)).confidence is None


@each_case("name", ["a", "a" * 128, "A.z_0:9-", "a..b", "..a"])
def test_a_conversation_may_have_such_an_id(name: str) -> None:
    """Up to 128 letters, digits and four signs."""
    assert name == parsed(body(conversationId=name)).conversation


@each_case(
    "name",
    [
        "",
        "a" * 129,
        ".",
        "..",
        "...",
        "a/b",
        "../../routing/rules/1?x=",
        "a b",
        "ä",
        "a\n",
        "a%2e",
        "٣",
        7,
        None,
    ],
)
def test_no_conversation_leads_to_another_path(name: Any) -> None:
    """An id that could mean another path is refused with the field's name."""
    assert refused(body(conversationId=name)).startswith("conversationId: ")


@each_case(
    "intent",
    [
        "",
        " ",
        "x" * 257,
        "a\x00b",
        "a\nb",
        "a\x7f",
        "a\x85",
        "a\u2028b",
        "a\u202eb",
        "\ud800",
        1,
        None,
        [],
        True,
    ],
)
def test_an_intent_is_printable_text(intent: Any) -> None:
    """No control character, no unpaired surrogate, at most 256 characters."""
    assert refused(body(intent=intent)).startswith("intent: ")


@each_case(
    "intent",
    [
        "x" * 256,
        "größe?",
        "😀",
        "👩\u200d💻",
        "می\u200cخواهم",
        "\U000e0fff",
        "reverted_card_payment?",
        " a",
    ],
)
def test_an_intent_may_be_any_other_text(intent: str) -> None:
    """It is stored letter by letter."""
    assert intent == parsed(body(intent=intent)).intent


@pytest.mark.parametrize("field", ["conversationId", "intent"])
def test_a_missing_field_is_named(field: str) -> None:
    """Two fields are required."""
    assert f"{field}: is missing" == refused(body(**{field: ...}))


@each_case("value", [-0.001, 1.001, 2, -1, True, False, "0.5", [0.5], {}])
def test_confidence_is_a_number_from_0_to_1(value: Any) -> None:
    """True is not a number here, and text is not a number."""
    assert refused(body(confidence=value)).startswith("confidence: ")


@each_case(
    "text, value",
    [("0", "0"), ("1", "1"), ("-0.0", "0.0"), ("1e-400", "0.0"), ("0.5", "0.5")],
)
def test_confidence_is_written_unchanged(text: str, value: str) -> None:
    """Except for the sign of zero."""
    data = body(confidence=7).replace(b"7", text.encode())
    assert value == json.dumps(parsed(data).confidence)


@each_case(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"x"',
        b"{} {}",
        body() + b"x",
        b"\xef\xbb\xbf" + body(),
        body().decode().encode("utf-16"),
        body().decode().encode("utf-32"),
        body().replace(b"0.9", b"NaN"),
        body().replace(b"0.9", b"Infinity"),
        body().replace(b"0.9", b"1e999"),
        body().replace(b"0.9", b"9" * 5000),
        body().replace(b"billing", b"\xff"),
        body().replace(b"billing", b"\xed\xa0\x80"),
        body()[:-1] + b', "intent": "x"}',
        body()[:-1] + b', "\\u0069ntent": "x"}',
        body()[:-1] + b', "more": {"a": 1, "a": 2}}',
        body()[:-1] + b', "more": ' + b"[" * 9 + b"]" * 9 + b"}",
        b"[" * 60_000,
        b'{"a":' * 10_000,
        body().replace(b"0.9", b"01"),
        body().replace(b'"', b"'"),
    ],
)
def test_a_body_that_is_not_a_plain_json_object_is_refused(data: bytes) -> None:
    """Nothing that two parsers could read in two ways."""
    assert refused(data).startswith("the body ") or refused(data).startswith(
        "confidence: "
    )


def test_eight_levels_are_read() -> None:
    """The ninth is refused."""
    assert (
        "c-1"
        == parsed(body()[:-1] + b', "more": ' + b"[" * 7 + b"]" * 7 + b"}").conversation
    )


def mutated(at: int, byte: int) -> bytes:
    data = bytearray(body())
    data[at % len(data)] = byte
    return bytes(data)


@pytest.mark.generated
@settings(max_examples=size(fast=40, slow=200, full=400), deadline=None)
@given(
    st.one_of(
        st.binary(),
        st.text().map(str.encode),
        st.builds(mutated, st.integers(0, 200), st.integers(0, 255)),
    )
)
def test_every_body_is_an_event_or_a_refusal(data: bytes) -> None:
    """No other exception for any bytes; and an event can be written as JSON again."""
    try:
        actual = parsed(data)
    except InvalidEventError:
        return
    assert json.dumps([actual.intent, actual.confidence], allow_nan=False).encode()


ORDERED = [
    "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00Z",
    "2026-02-01T09:00:00+00:01",
    "2026-02-01T09:00:00Z",
    "2026-02-01T09:00:00.000000000001Z",
    "2026-02-01T09:00:00.09Z",
    "2026-02-01T09:00:00.1Z",
    "2026-02-01T09:00:00.123456789Z",
    "2026-02-01T09:00:00.12346Z",
    "2026-02-01T09:00:01-00:00",
    "2026-12-31T23:59:59Z",
    "9999-12-31T23:59:60-23:59",
]


def test_timestamps_order_to_the_last_digit() -> None:
    """As values, in any time zone, from the first year to the last."""
    actual = [parse_timestamp(text) for text in ORDERED]
    assert None not in actual
    assert all(item < two for item, two in pairwise(actual) if item and two)


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("2026-02-01T09:00:00Z", "2026-02-01t10:00:00.000+01:00"),
        ("2026-02-01T09:00:00.5Z", "2026-02-01T09:00:00.500000z"),
        ("2026-06-30T23:59:60Z", "2026-07-01T00:00:00Z"),
    ],
)
def test_one_time_may_have_two_spellings(one: str, two: str) -> None:
    """Zones, zeros and leap seconds make no difference."""
    assert parse_timestamp(one) == parse_timestamp(two) is not None


@each_case(
    "text",
    [
        *(
            "",
            "2026-02-01",
            "2026-02-01T09:00Z",
            "2026-02-01T09:00:00",
            "2026-02-01 09:00:00Z",
            "2026-02-30T09:00:00Z",
        ),
        *(
            "2026-02-01T24:00:00Z",
            "2026-02-01T09:60:00Z",
            "2026-02-01T09:00:60Z",
            "2026-02-01T09:59:61Z",
        ),
        *(
            "2026-02-01T09:00:00+24:00",
            "2026-02-01T09:00:00+01:60",
            "2026-02-01T09:00:00.Z",
            "0000-01-01T00:00:00Z",
        ),
        *(
            "2026-13-01T09:00:00Z",
            "٢٠٢٦-02-01T09:00:00Z",
            "2026-02-01T09:00:00Z\n",
            "2026-02-01T09:00:00.1234567890123456789Z",
        ),
        *(1769936400, None, True, ["2026-02-01T09:00:00Z"]),
    ],
)
def test_an_invalid_timestamp_is_refused(text: Any) -> None:
    """Complete RFC 3339 with a zone is required; null is refused too."""
    assert refused(body(timestamp=text)).startswith("timestamp: ")


def test_the_time_of_receipt_is_also_a_timestamp() -> None:
    """It is written with milliseconds, and sorts among timestamps."""
    assert "2026-11-25T12:00:00.123Z" == format_timestamp(NOW)
    assert parse_timestamp("2026-11-25T12:00:00.123456Z") == timestamp_from_datetime(
        NOW
    )
    assert Timestamp(
        timestamp_from_datetime(NOW).seconds, ""
    ) == timestamp_from_datetime(NOW.replace(microsecond=0))
