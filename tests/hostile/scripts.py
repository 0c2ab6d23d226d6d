"""Responses of a hostile tenant, each a script of bytes and pauses."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from tests.hostile.tenant import Script, Turn, response

MEGABYTE: Final = 1 << 20
OK: Final = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
ENDLESS: Final = 1_000_000


def says(*parts: bytes) -> Script:
    """Send exactly these bytes."""

    async def script(turn: Turn) -> None:
        await turn.send(*parts)

    return script


def body(content: bytes, status: bytes = b"200 OK", *headers: bytes) -> Script:
    """Respond with this body."""
    return says(response(content, status, *headers))


def packed(
    make: Callable[[], bytes], status: bytes = b"200 OK", encoding: bytes = b"gzip"
) -> Script:
    """Respond with a compressed body. It is built for the request, because building takes time."""

    async def script(turn: Turn) -> None:
        await turn.send(response(make(), status, b"Content-Encoding: " + encoding))

    return script


def over_and_over(
    first: bytes, part: bytes, pause: float = 0.0, times: int = ENDLESS
) -> Script:
    """Send the first bytes, then a part without end (or this number of times), with pauses."""

    async def script(turn: Turn) -> None:
        await turn.send(first)
        for _ in range(times):
            await turn.send(part)
            await asyncio.sleep(pause)

    return script


def altered(*fields: tuple[str, Any]) -> Script:
    """Respond correctly, except for some fields of the page, token or rule."""

    async def script(turn: Turn) -> None:
        head, _, good = turn.good.partition(b"\r\n\r\n")
        status = head.split(b"\r\n")[0].partition(b" ")[2]
        await turn.send(
            response(
                json.dumps({**json.loads(good or b"{}"), **dict(fields)}).encode(),
                status,
            )
        )

    return script


@cache
def bomb(megabytes: int = 1024) -> bytes:
    """Return gzip of this many megabytes of spaces and `{}`, a thousandth in size."""
    block = b" " * MEGABYTE
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.compress(b"{}") + packer.flush()
    # without a valid checksum: no client may read so far
    return gzip.compress(b"", mtime=0)[:10] + first * megabytes + last + b"\0" * 8


def deep(levels: int = 100_000) -> bytes:
    """Return JSON with this number of levels."""
    return b"[" * levels + b"]" * levels


def rule_page(fields: str) -> bytes:
    """Return a page of one rule with these raw fields."""
    return f'{{"total": 1, "entities": [{{"id": "1", "name": "x", "priority": 1, {fields}}}]}}'.encode()


GZIP: Final = b"Content-Encoding: gzip"
CHUNKED: Final = OK + b"Transfer-Encoding: chunked\r\n\r\n"
_CHUNK: Final = b"%x\r\n" % MEGABYTE + b" " * MEGABYTE + b"\r\n"
_HALF: Final = OK + b"Content-Length: 100000\r\n\r\n"

LARGE: Final[dict[str, Script]] = {
    "a gzip bomb of 1 GB": packed(bomb),
    "a gzip bomb, nested": packed(
        lambda: gzip.compress(bomb()), encoding=b"gzip, gzip"
    ),
    "a gzip bomb in an error": packed(bomb, b"400 Bad Request"),
    "a gzip bomb of many members": packed(lambda: gzip.compress(b" " * 1000) * 20_000),
    "100 MB": over_and_over(
        OK + b"Content-Length: 104857600\r\n\r\n", b" " * MEGABYTE, times=100
    ),
    "100 MB until it closes": over_and_over(OK + b"\r\n", b" " * MEGABYTE, times=100),
    "chunks without end": over_and_over(CHUNKED, _CHUNK),
    "a chunk of 2**63": says(CHUNKED + b"8000000000000000\r\nxx"),
    "one header of 1 MB": says(OK + b"X-Long: " + b"x" * MEGABYTE + b"\r\n\r\n{}"),
    "headers without end": over_and_over(OK, b"X-More: and more\r\n" * 1000),
    "a header line without end": over_and_over(OK + b"X-Long: ", b"x" * 100_000),
    "a status line without end": over_and_over(b"HTTP/1.1 200 ", b"x" * 100_000),
}
"""Oversized responses. The client must use bounded memory, and end long before them."""

SLOW: Final[dict[str, Script]] = {
    "a body, a byte at a time": over_and_over(_HALF, b" ", 0.1),
    "headers, a byte at a time": over_and_over(OK + b"X: ", b"x", 0.1),
    "chunks, one at a time": over_and_over(CHUNKED, b"1\r\n \r\n", 0.1),
    "chunks of one byte without end": over_and_over(CHUNKED, b"1\r\n \r\n" * 10_000),
    "nothing at all": over_and_over(b"", b"", 0.1),
    "100 Continue without end": over_and_over(
        b"", b"HTTP/1.1 100 Continue\r\n\r\n", 0.001
    ),
    "103 Early Hints without end": over_and_over(
        b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", 0.001
    ),
}
"""Responses without end: only a deadline for the full exchange stops them."""

BROKEN: Final[dict[str, Script]] = {
    "closed immediately": says(),
    "HTTP/0.9": says(b"<h1>hello</h1>"),
    "noise": says(bytes(range(256)) * 20),
    "TLS instead of HTTP": says(bytes.fromhex("15030300020228")),
    "half of the body": says(_HALF + b'{"entities": ['),
    "a Content-Length that is not a number": says(
        OK + b"Content-Length: many\r\n\r\n{}"
    ),
    "a Content-Length below zero": says(OK + b"Content-Length: -1\r\n\r\n{}"),
    "two Content-Lengths": says(
        OK + b"Content-Length: 2\r\nContent-Length: 20\r\n\r\n{}"
    ),
    "an invalid chunk": says(CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n"),
    "half of the gzip": says(
        response(gzip.compress(b"{}" * 5000)[:30], b"200 OK", GZIP)
    ),
    "an invalid status": says(b"HTTP/1.1 OK fine\r\n\r\n"),
    "a status of 999": body(b"{}", b"999 Strange"),
    "a switch of protocols": says(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"
    ),
    "304 Not Modified": says(b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "206 Partial Content": body(b'{"entities"', b"206 Partial Content"),
    "brotli": body(b"\x8b\x00\x80{}\x03", b"200 OK", b"Content-Encoding: br"),
    "an unknown encoding": body(b"{}", b"200 OK", b"Content-Encoding: rot13"),
}
"""Responses that are not valid HTTP, or incomplete."""

NO_JSON: Final[dict[str, Script]] = {
    "100,000 levels": body(deep()),
    "100,000 levels in an error": body(
        b'{"errors": ' + deep() + b"}", b"400 Bad Request"
    ),
    "100,000 levels in a message": body(
        b'{"message": ' + deep() + b"}", b"422 Unprocessable"
    ),
    "Infinity": body(b'{"entities": [], "total": Infinity, "expires_in": -Infinity}'),
    "an integer of 100,000 digits": body(
        b'{"entities": [], "total": ' + b"9" * 100_000 + b"}"
    ),
    "UTF-16": body('{"entities": [], "total": 0}'.encode("utf-16")),
    "a byte order mark": body('\ufeff{"entities": [], "total": 0}'.encode()),
    "two documents": body(b'{"entities": [], "total": 0}{"entities": [], "total": 0}'),
    "a text": body(b'"ok"'),
    "null": body(b"null"),
}
"""Valid HTTP with other content than the API's."""
