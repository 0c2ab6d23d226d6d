"""The headers of W3C Trace Context: a valid trace is returned as it is, and anything else is
ignored.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from reconciler.core.text.trace_context import TraceContext, parse_trace
from tests.support.cases import each_case

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
PARENT = f"00-{TRACE}-{SPAN}-01"
STATE = "congo=t61rcWkgMzE,rojo=00f067aa0ba902b7"

VALID = {
    "the specification's example": PARENT,
    "not sampled": f"00-{TRACE}-{SPAN}-00",
    "unknown flags": f"00-{TRACE}-{SPAN}-ff",
    "one digit": f"00-{'0' * 31}1-{'0' * 15}1-00",
    "a later version": f"01-{TRACE}-{SPAN}-01",
    "a later version with more": f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like",
    "a later version with a dash": f"cc-{TRACE}-{SPAN}-01-",
}
INVALID = {
    "empty": "",
    "upper case": PARENT.upper(),
    "one letter in upper case": f"00-{TRACE[:-1]}A-{SPAN}-01",
    "no trace": f"00-{'0' * 32}-{SPAN}-01",
    "no parent": f"00-{TRACE}-{'0' * 16}-01",
    "version ff": f"ff-{TRACE}-{SPAN}-01",
    "version 00 with more": f"{PARENT}-more",
    "version 00 with a dash": f"{PARENT}-",
    "a later version with more, without a dash": f"01-{TRACE}-{SPAN}-01more",
    "a later version with a space": f"01-{TRACE}-{SPAN}-01-a b",
    "a later version without end": f"01-{TRACE}-{SPAN}-01-{'a' * 300}",
    "a short trace": f"00-{TRACE[1:]}-{SPAN}-01",
    "a long trace": f"00-{TRACE}0-{SPAN}-01",
    "a short parent": f"00-{TRACE}-{SPAN[1:]}-01",
    "a long parent": f"00-{TRACE}-{SPAN}0-01",
    "short flags": f"00-{TRACE}-{SPAN}-1",
    "long flags": f"00-{TRACE}-{SPAN}-001",
    "a short version": f"0-{TRACE}-{SPAN}-01",
    "not hexadecimal": f"00-{TRACE[:-1]}g-{SPAN}-01",
    "other separators": PARENT.replace("-", "_"),
    "only a trace": TRACE,
    "two values": f"{PARENT},{PARENT}",
    "spaces inside": PARENT.replace("-", " - "),
    "a line end": f"{PARENT}\n",
    "a quote": f'"{PARENT}"',
    "a sign": f"00-+{TRACE[1:]}-{SPAN}-01",
    "other digits": f"00-{TRACE[:-1]}\u0661-{SPAN}-01",
}
STATES = {
    "the specification's example": STATE,
    "a vendor of several tenants": "fw529a3039@dt=FfIRUqYbRJo,congo=1",
    "spaces and tabs around members": "a=1 ,\t b=2",
    "spaces inside a value": "a=1 2  3",
    "empty members": "a=1,,b=2,",
    "32 members": ",".join(f"k{number}=v" for number in range(32)),
    "512 characters": f"a={'b' * 255},c={'d' * 252}",
}
BAD_STATES = {
    "no value": "a",
    "an empty value": "a=",
    "two signs": "a=b=c",
    "no name": "=1",
    "upper case": "A=1",
    "33 members": ",".join(f"k{number}=v" for number in range(33)),
    "513 characters": f"a={'b' * 255},c={'d' * 253}",
    "a long value": f"a={'b' * 257}",
    "a line end": "a=1\r\nX-Other: 1",
    "NUL": "a=\x00",
    "other letters": "a=\u00e4",
    "only a comma": ",",
}


def headers(parent: str, *states: str) -> list[tuple[bytes, bytes]]:
    pairs = [(b"traceparent", parent.encode())] if parent else []
    return [
        (b"host", b"x"),
        *pairs,
        *((b"tracestate", state.encode()) for state in states),
    ]


@each_case("parent", VALID.values())
def test_a_valid_trace_is_returned_as_it_is(parent: str) -> None:
    """Its id is the second part."""
    actual = parse_trace(headers(parent))
    assert actual is not None
    assert (parent.split("-")[1], {"traceparent": parent}) == (
        actual.trace_id,
        actual.headers,
    )


@each_case("parent", INVALID.values())
def test_an_invalid_trace_is_ignored(parent: str) -> None:
    """With its state, which belongs to it."""
    assert None is parse_trace(headers(parent))
    assert None is parse_trace(headers(parent, STATE))


@pytest.mark.parametrize(
    ("before", "behind"), [(" ", ""), ("", " "), ("", "\t"), ("\t \t", " \t ")]
)
def test_spaces_around_a_value_are_not_part_of_it(before: str, behind: str) -> None:
    """RFC 9110, section 5.5; the trace's specification tests it as well."""
    headers = [
        (name, f"{before}{value}{behind}".encode())
        for name, value in ((b"traceparent", PARENT), (b"tracestate", STATE))
    ]
    assert TraceContext(PARENT, STATE) == parse_trace(headers)


def test_a_repeated_trace_is_ignored() -> None:
    """Servers on the way differ in which one counts."""
    assert None is parse_trace(headers(PARENT) * 2)
    assert None is parse_trace([*headers(PARENT), *headers(f"00-{TRACE}-{SPAN}-00")])


@each_case("state", STATES.values())
def test_a_valid_state_is_returned_as_it_is(state: str) -> None:
    """Unchanged, for the systems that wrote it."""
    actual = parse_trace(headers(PARENT, state))
    assert actual == TraceContext(PARENT, state)
    assert {"traceparent": PARENT, "tracestate": state} == actual.headers


def test_several_states_are_one_list() -> None:
    """In their order, as HTTP joins a header that occurs more than once."""
    assert parse_trace(headers(PARENT, "a=1", "b=2,c=3")) == TraceContext(
        PARENT, "a=1,b=2,c=3"
    )


@each_case("state", BAD_STATES.values())
def test_an_invalid_state_is_ignored(state: str) -> None:
    """The trace itself stays."""
    assert parse_trace(headers(PARENT, state)) == TraceContext(PARENT, "")


@given(some.binary(max_size=80), some.binary(max_size=80))
def test_any_bytes_become_headers_that_can_be_sent(parent: bytes, state: bytes) -> None:
    """ASCII without a control character, or nothing."""
    for first in (parent, PARENT.encode()):
        actual = parse_trace([(b"traceparent", first), (b"tracestate", state)])
        values = actual.headers.values() if actual is not None else ()
        assert all(
            value.isascii() and value.replace("\t", "").isprintable()
            for value in values
        )
