"""Requests and responses of the endpoint: limits of head and body, chunked bodies, JSON responses
(invariants W7).

An error has only the endpoint's own text, never that of an upstream or of an exception.
"""

import json
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from pydantic_core import PydanticSerializationError, to_json

if TYPE_CHECKING:
    from starlette.types import Receive
Headers = Sequence[tuple[bytes, bytes]]

# Bytes of a response that is stored for a repeated request.
_MAX_STORED_BODY: Final = 4096
_WRITTEN_MESSAGE: Final = "context updated for conversation "


class EndpointResponse(NamedTuple):
    """A response; `outcome` is its name in log and metrics."""

    status: int
    outcome: str
    body: bytes
    media_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    closes_connection: bool = False

    @property
    def is_retryable(self) -> bool:
        """Return whether a repeated request may have another result."""
        return self.status in (408, 429) or self.status >= 500  # noqa: PLR2004 - classes of statuses


def success_response(
    outcome: str,
    message: str,
    data: Any,  # noqa: ANN401 - any JSON
    **extra: Any,  # noqa: ANN401 - any JSON
) -> EndpointResponse:
    """Return a 200 in the form of docs/context.md#requests-and-responses."""
    body = {"success": True, "message": message, "data": data, **extra}
    return EndpointResponse(200, outcome, encode_json(body))


def written_response(conversation: str, data: Any, **extra: Any) -> EndpointResponse:  # noqa: ANN401 - any JSON
    """Return the response to a successful write."""
    return success_response(
        "written",
        f"{_WRITTEN_MESSAGE}{conversation}",
        data,
        **extra,
    )


def written_prefix(conversation: str) -> bytes:
    """Return the beginning of the body of a `written` response."""
    return b'%b%b"' % (_BODY_PREFIX, conversation.encode())


def truncated(response: EndpointResponse) -> EndpointResponse:
    """Return the response to store for a repeated request: without the upstream's JSON if that is
    long.
    """
    if len(response.body) <= _MAX_STORED_BODY:
        return response
    return success_response(
        response.outcome,
        "already processed; the tenant's response was too long to store",
        None,
    )


def error_response(
    status: int,
    outcome: str,
    error: str,
    *headers: tuple[bytes, bytes],
) -> EndpointResponse:
    """Return an error in the form of docs/context.md#requests-and-responses."""
    body = encode_json({"success": False, "error": error})
    return EndpointResponse(status, outcome, body, headers=headers)


def retry_later(
    status: int,
    outcome: str,
    error: str,
    seconds: float = 1,
) -> EndpointResponse:
    """Return an error with Retry-After."""
    wait = min(max(int(seconds + 0.999), 1), 120)
    retry_after = (b"retry-after", str(wait).encode())
    return error_response(status, outcome, error, retry_after)


def encode_json(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return compact JSON; an upstream's half surrogate pair is written as its escape."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value, allow_nan=False).encode()


_BODY_PREFIX: Final = encode_json(
    {"success": True, "message": _WRITTEN_MESSAGE}
).removesuffix(b'"}')
MAX_BODY_BYTES: Final = 64 * 1024
_JSON_TYPE: Final = re.compile(rb"application/json")
_BODY_HEADERS: Final = (b"content-length", b"content-encoding", b"content-type")
_CHARSETS: Final = (b"", b"charset=utf-8", b'charset="utf-8"')


class BodyLimits(NamedTuple):
    """The size of a body, and its media types: a pattern, and what a refusal says of it."""

    max_bytes: int = MAX_BODY_BYTES
    media: re.Pattern[bytes] = _JSON_TYPE
    media_text: str = "application/json"

    def refuse_size(self) -> NoReturn:
        """Raise RequestRefusedError for a body that is too large."""
        text = f"the body is larger than {self.max_bytes // 1024:,} KiB"
        raise RequestRefusedError(413, "large", text)


EVENT_BODY: Final = BodyLimits()


class RequestRefusedError(Exception):
    """Ends a request whose headers or body are refused."""

    def __init__(
        self, status: int, outcome: str, error: str, *headers: tuple[bytes, bytes]
    ) -> None:
        self.response = error_response(status, outcome, error, *headers)


def check_headers(headers: Headers, limits: BodyLimits = EVENT_BODY) -> None:
    """Check the headers before a byte of the body is read. Raises RequestRefusedError."""
    pairs = [header for header in headers if header[0] in _BODY_HEADERS]
    values = dict(pairs)
    if len(values) != len(pairs):
        raise RequestRefusedError(
            415,
            "media",
            "a header that describes the body is repeated",
        )
    length = values.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 15 or int(length) > limits.max_bytes:  # noqa: PLR2004 - digits
        limits.refuse_size()
    if values.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RequestRefusedError(415, "media", "a compressed body is not supported")
    name, _, rest = values.get(b"content-type", b"").partition(b";")
    is_media = limits.media.fullmatch(name.strip().lower())
    if not is_media or rest.strip().lower() not in _CHARSETS:
        raise RequestRefusedError(
            415,
            "media",
            f"Content-Type: must be {limits.media_text}",
        )


async def read_body(receive: "Receive", limits: BodyLimits = EVENT_BODY) -> bytes:
    """Return the body; the connection limits the time. Raises RequestRefusedError."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestRefusedError(400, "gone", "the body is incomplete")
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > limits.max_bytes:
            limits.refuse_size()
        if not message.get("more_body", False):
            return b"".join(parts)
