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


_KEPT: Final = 4096
"""Bytes of an answer that is kept for who asks again."""
_WRITTEN: Final = "context updated for conversation "


class Answer(NamedTuple):
    """What is sent back; `outcome` is its name in log and metrics. `last`: the connection is closed after it."""

    status: int
    outcome: str
    body: bytes
    media: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    last: bool = False

    @property
    def is_passing(self) -> bool:
        """Say whether the same request may end otherwise when it comes again."""
        return self.status in (408, 429) or self.status >= 500  # noqa: PLR2004 - classes of statuses


def success(outcome: str, message: str, data: Any, **more: Any) -> Answer:  # noqa: ANN401 - any JSON
    """Return a 200 in the form of docs/context.md#requests-and-responses."""
    return Answer(200, outcome, encoded({"success": True, "message": message, "data": data, **more}))


def written(conversation: str, data: Any, **more: Any) -> Answer:  # noqa: ANN401 - any JSON
    """Return the answer to a write that went well."""
    return success("written", f"{_WRITTEN}{conversation}", data, **more)


def beginning(conversation: str) -> bytes:
    """Return how the body of a `written` answer begins, whatever the tenant said."""
    return b'%b%b"' % (_BEGINNING, conversation.encode())


def brief(answer: Answer) -> Answer:
    """Return what is kept of an answer for who asks again: without the upstream's JSON where that is long.

    A hundred thousand are kept, and an upstream may say megabytes.
    """
    if len(answer.body) <= _KEPT:
        return answer
    return success(answer.outcome, "answered before; what the tenant said then was too long to be kept", None)


def refusal(status: int, outcome: str, error: str, *headers: tuple[bytes, bytes]) -> Answer:
    """Return an error in the form of docs/context.md#requests-and-responses."""
    return Answer(status, outcome, encoded({"success": False, "error": error}), headers=headers)


def later(status: int, outcome: str, error: str, seconds: float = 1) -> Answer:
    """Return an error that says when to come again."""
    wait = min(max(int(seconds + 0.999), 1), 120)
    return refusal(status, outcome, error, (b"retry-after", str(wait).encode()))


def encoded(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    """Return compact JSON; a half character that an upstream sent is written as the escape that it was."""
    try:
        return to_json(value)
    except PydanticSerializationError:
        return json.dumps(value, allow_nan=False).encode()


_BEGINNING: Final = encoded({"success": True, "message": _WRITTEN}).removesuffix(b'"}')


LARGEST: Final = 64 * 1024
"""Bytes of a body."""
_TELLING: Final = (b"content-length", b"content-encoding", b"content-type")
_CHARSETS: Final = (b"", b"charset=utf-8", b'charset="utf-8"')


class RefusedError(Exception):
    """A request that is answered before its body was read, or because of how it came."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer


def check_head(headers: Headers) -> None:
    """Refuse by what the headers say, before a byte of the body is read. Raises RefusedError."""
    held = [header for header in headers if header[0] in _TELLING]
    told = dict(held)
    if len(told) != len(held):
        raise RefusedError(refusal(415, "media", "a header that says what the body is stands there twice"))
    length = told.get(b"content-length", b"0")
    if not length.isdigit() or len(length) > 15 or int(length) > LARGEST:  # noqa: PLR2004
        raise _too_large()
    if told.get(b"content-encoding", b"identity").strip().lower() != b"identity":
        raise RefusedError(refusal(415, "media", "a compressed body is not taken"))
    if not _is_json(told.get(b"content-type", b"")):
        raise RefusedError(refusal(415, "media", "Content-Type: must be application/json"))


def _is_json(media: bytes) -> bool:
    name, _, rest = media.partition(b";")
    return name.strip().lower() == b"application/json" and rest.strip().lower() in _CHARSETS


async def read(receive: Receive) -> bytes:
    """Return the body. How long it may take to come the connection sees to. Raises RefusedError."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RefusedError(refusal(400, "gone", "the body is not whole"))
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > LARGEST:
            raise _too_large()
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large() -> RefusedError:
    return RefusedError(refusal(413, "large", f"the body has more than {LARGEST // 1024} KiB"))


_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})\r\n")
_UNFINISHED: Final = re.compile(rb"[0-9A-Fa-f]{1,8}\r?")


class Chunks:
    """Follows one chunked body through the pieces in which it comes."""

    def __init__(self) -> None:
        self._line = b""
        self._left = 0
        """Bytes to come of the chunk, the end of its line among them."""
        self._is_over = False

    def follow(self, data: bytes) -> bool:
        """Say whether each chunk's size stands alone on its line, so far. What comes behind the last is not read."""
        data, self._line, at = self._line + data, b"", 0
        while at < len(data) and not self._is_over:
            if self._left:
                step = min(self._left, len(data) - at)
                self._left, at = self._left - step, at + step
            elif size := _SIZE.match(data, at):
                self._left, at = int(size[1], 16) + len(b"\r\n"), size.end()
                self._is_over = int(size[1], 16) == 0
            else:
                self._line = data[at : at + 10]
                return _UNFINISHED.fullmatch(self._line) is not None
        return True
