"""A request's head and body, within their limits (invariants W7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.context.answer import Answer, refusal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import Receive

    Headers = Sequence[tuple[bytes, bytes]]

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
