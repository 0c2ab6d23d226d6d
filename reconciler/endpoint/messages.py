"""How a chunked body is cut, read beside the parser: that one passes over extensions and says nothing of them (W7).

An answer as the endpoint gives it: always JSON of its own words, never an upstream's or an exception's.

A request's head and body, within their limits (invariants W7).
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pydantic_core import PydanticSerializationError, to_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive

    Headers = Sequence[tuple[bytes, bytes]]

_MAX_STORED_BODY: Final = 4096  # bytes of an answer that is kept for who asks again
_WRITTEN_MESSAGE: Final = "context updated for conversation "


class EndpointResponse(NamedTuple):
    """What is sent back; `outcome` is its name in log and metrics.

    `closes_connection`: the connection is closed after it.
    """

    status: int
    outcome: str
    body: bytes
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    closes_connection: bool = False

    @property
    def is_retryable(self) -> bool:
        """Say whether the same request may end otherwise when it comes again."""
        return self.status in (408, 429) or self.status >= 500  # noqa: PLR2004 - classes of statuses


def success_response(outcome: str, message: str, data: Any, **extra: Any) -> EndpointResponse:  # noqa: ANN401 - any JSON
    """Return a 200 in the form of docs/context.md#requests-and-responses."""
    return EndpointResponse(200, outcome, encode_json({"success": True, "message": message, "data": data, **extra}))


def written_response(conversation: str, data: Any, **extra: Any) -> EndpointResponse:  # noqa: ANN401 - any JSON
    """Return the answer to a write that went well."""
    return success_response("written", f"{_WRITTEN_MESSAGE}{conversation}", data, **extra)


def written_prefix(conversation: str) -> bytes:
    """Return how the body of a `written` answer begins, whatever the tenant said."""
    return b'%b%b"' % (_BODY_PREFIX, conversation.encode())


def truncated(response: EndpointResponse) -> EndpointResponse:
    """Return what is kept of an answer for who asks again: without the upstream's JSON where that is long.

    A hundred thousand are kept, and an upstream may say megabytes.
    """
    if len(response.body) <= _MAX_STORED_BODY:
        return response
    return success_response(
        response.outcome, "answered before; what the tenant said then was too long to be kept", None
    )


def error_response(status: int, outcome: str, error: str, *headers: tuple[bytes, bytes]) -> EndpointResponse:
    """Return an error in the form of docs/context.md#requests-and-responses."""
    return EndpointResponse(status, outcome, encode_json({"success": False, "error": error}), headers=headers)


def retry_later(status: int, outcome: str, error: str, seconds: float = 1) -> EndpointResponse:
    """Return an error that says when to come again."""
    wait = min(max(int(seconds + 0.999), 1), 120)
    return error_response(status, outcome, error, (b"retry-after", str(wait).encode()))


def encode_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return compact JSON; a half character that an upstream sent is written as the escape that it was."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value, allow_nan=False).encode()


_BODY_PREFIX: Final = encode_json({"success": True, "message": _WRITTEN_MESSAGE}).removesuffix(b'"}')


MAX_BODY_BYTES: Final = 64 * 1024  # bytes of a body
_BODY_HEADERS: Final = (b"content-length", b"content-encoding", b"content-type")
_CHARSETS: Final = (b"", b"charset=utf-8", b'charset="utf-8"')


class RequestRefusedError(Exception):
    """A request that is answered before its body was read, or because of how it came."""

    def __init__(self, response: EndpointResponse) -> None:
        self.response = response


def check_headers(headers: Headers) -> None:
    """Refuse by what the headers say, before a byte of the body is read. Raises RefusedError."""
    held = [header for header in headers if header[0] in _BODY_HEADERS]
    told = dict(held)
    if len(told) != len(held):
        raise RequestRefusedError(
            error_response(415, "media", "a header that says what the body is stands there twice")
        )
    length = told.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 15 or int(length) > MAX_BODY_BYTES:  # noqa: PLR2004
        raise _too_large()
    if told.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestRefusedError(error_response(415, "media", "a compressed body is not taken"))
    if not _is_json(told.get(b"content-type", b"")):
        raise RequestRefusedError(error_response(415, "media", "Content-Type: must be application/json"))


def _is_json(media: bytes) -> bool:
    name, _, rest = media.partition(b";")
    return name.strip().lower() == b"application/json" and rest.strip().lower() in _CHARSETS


async def read_body(receive: Receive) -> bytes:
    """Return the body. How long it may take to come the connection sees to. Raises RefusedError."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefusedError(error_response(400, "gone", "the body is not whole"))
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > MAX_BODY_BYTES:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large() -> RequestRefusedError:
    return RequestRefusedError(error_response(413, "large", f"the body has more than {MAX_BODY_BYTES // 1024} KiB"))


_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_UNFINISHED: Final = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")


class ChunkChecker:
    """Follows one chunked body through the pieces in which it comes."""

    def __init__(self) -> None:
        self._partial_line = b""
        self._remaining = 0  # bytes to come of the chunk, the end of its line among them
        self._is_over = False

    def check(self, data: bytes) -> bool:
        """Say whether each chunk's size stands alone on its line, so far. What comes behind the last is not read."""
        data, self._partial_line, at = self._partial_line + data, b"", 0
        while at < len(data) and not self._is_over:
            if self._remaining:
                step = min(self._remaining, len(data) - at)
                self._remaining, at = self._remaining - step, at + step
            elif size := _SIZE.match(data, at):
                self._remaining, at = int(size[1], 16) + len(b"\r\n"), size.end()
                self._is_over = int(size[1], 16) == 0
            else:
                self._partial_line = data[at : at + 10]
                return _UNFINISHED.fullmatch(self._partial_line) is not None
        return True
