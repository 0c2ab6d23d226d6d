"""A request's head and body, within their limits (reliability.md W7)."""

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
    headers = [header for header in headers if header[0] in _TELLING]
    lengths = _all(headers, b"content-length")
    if lengths and (not lengths[0].isdigit() or len(lengths[0]) > 15 or int(lengths[0]) > LARGEST):  # noqa: PLR2004
        raise _too_large()
    if [one for one in _all(headers, b"content-encoding") if one.strip().lower() != b"identity"]:
        raise RefusedError(refusal(415, "media", "a compressed body is not taken"))
    media = _all(headers, b"content-type")
    name, _, rest = media[0].partition(b";") if len(media) == 1 else (b"", b"", b"")
    if name.strip().lower() != b"application/json" or rest.strip().lower() not in _CHARSETS:
        raise RefusedError(refusal(415, "media", "Content-Type: must be application/json"))


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


def _all(headers: Headers, wanted: bytes) -> list[bytes]:
    return [value for name, value in headers if name == wanted]
