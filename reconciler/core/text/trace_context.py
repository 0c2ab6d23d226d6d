"""The trace of a caller's request, by W3C Trace Context: checked, and passed on as it is.

cxroute takes no part in a trace: it has no span of its own, so it forwards both headers unchanged.
"""

import re
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Final, NamedTuple

_PARENT_NAME: Final = b"traceparent"
_STATE_NAME: Final = b"tracestate"
_PARENT: Final = re.compile(
    rb"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})-[0-9a-f]{2}"
    rb"(?P<more>-[\x21-\x7e]{0,200})?"
)
_FIRST_VERSION: Final = b"00"
_INVALID_VERSION: Final = b"ff"
_MEMBER: Final = re.compile(
    rb"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MAX_STATE: Final = 512  # characters that each participant passes on
_MAX_MEMBERS: Final = 32


class TraceContext(NamedTuple):
    """A trace: the values of `traceparent` and `tracestate`; the second may be empty."""

    parent: str
    state: str

    @property
    def trace_id(self) -> str:
        """Return the trace's id: 32 hexadecimal digits."""
        return self.parent.split("-")[1]

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that pass the trace on."""
        headers = {_PARENT_NAME.decode(): self.parent}
        if self.state:
            headers[_STATE_NAME.decode()] = self.state
        return headers


CURRENT_TRACE: Final[ContextVar[TraceContext | None]] = ContextVar(
    "trace", default=None
)
"""The trace of the request that this task handles."""


def parse_trace(headers: Iterable[tuple[bytes, bytes]]) -> TraceContext | None:
    """Return the trace of a request's headers, with lower-case names; None without a valid one."""
    # Spaces and tabs around a value are not part of it (RFC 9110, section 5.5); the server keeps
    # those behind it.
    found = [
        (name, value.strip(b" \t"))
        for name, value in headers
        if name in (_PARENT_NAME, _STATE_NAME)
    ]
    parents = [value for name, value in found if name == _PARENT_NAME]
    if len(parents) != 1 or not _is_parent(parents[0]):
        return None
    state = b",".join(value for name, value in found if name == _STATE_NAME)
    if not _is_state(state):
        state = b""
    return TraceContext(parents[0].decode("ascii"), state.decode("ascii"))


def _is_parent(value: bytes) -> bool:
    match = _PARENT.fullmatch(value)
    if match is None or match["version"] == _INVALID_VERSION:
        return False
    if match["version"] == _FIRST_VERSION and match["more"] is not None:
        return False
    return bool(match["trace"].strip(b"0")) and bool(match["parent"].strip(b"0"))


def _is_state(value: bytes) -> bool:
    members = [part.strip(b" \t") for part in value.split(b",")]
    members = [member for member in members if member]
    if len(value) > _MAX_STATE or not 0 < len(members) <= _MAX_MEMBERS:
        return False
    return all(map(_MEMBER.fullmatch, members))
