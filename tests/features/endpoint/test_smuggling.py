"""Requests that two servers on the way could read in two ways, over real sockets (invariants
W7).
"""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.features.endpoint.in_process_endpoint import Endpoint
from tests.features.endpoint.raw_sockets import BODY, Said, listening, request, talk
from tests.support.cases import each_case
from tests.support.server_process import KEY

CHUNKED = f"{len(BODY):x}\r\n".encode() + BODY + b"\r\n0\r\n\r\n"
SMUGGLED = request()
TE = "Transfer-Encoding: chunked"


def chunked(*headers: str, body: bytes = CHUNKED, te: str = TE) -> bytes:
    return request(te, *headers, body=body, length="")


def extended(extension: bytes) -> bytes:
    return chunked(body=CHUNKED.replace(b"\r\n", extension + b"\r\n", 1))


VECTORS = {
    "CL and TE": request(TE, body=CHUNKED),
    "TE and CL": chunked("Content-Length: 4"),
    "CL and TE, identity": request("Transfer-Encoding: identity"),
    "two CL": request("Content-Length: 3"),
    "two CL, alike": request(f"Content-Length: {len(BODY)}"),
    "CL list": request(length=f"{len(BODY)}, {len(BODY)}"),
    "CL +": request(length=f"+{len(BODY)}"),
    "CL -1": request(length="-1"),
    "CL hex": request(length="0x10"),
    "CL blank inside": request(length="1 2"),
    "CL text": request(length="ten"),
    "CL 1e2": request(length="1e2"),
    "CL beyond 64 bits": request(length="99999999999999999999999"),
    "CL underscore": request(length="1_0"),
    "TE xchunked": chunked(te="Transfer-Encoding: xchunked"),
    "TE chunked, identity": chunked(te="Transfer-Encoding: chunked, identity"),
    "TE gzip, chunked": chunked(te="Transfer-Encoding: gzip, chunked"),
    "TE twice": chunked(TE),
    "TE folded": chunked(te="Transfer-Encoding:\r\n chunked"),
    "TE space before colon": chunked(te="Transfer-Encoding : chunked"),
    "TE vertical tab": chunked(te="Transfer-Encoding: \x0bchunked"),
    "TE quoted": chunked(te='Transfer-Encoding: "chunked"'),
    "TE in HTTP/1.0": request(
        TE, body=CHUNKED, line="POST /api/route HTTP/1.0", length=""
    ),
    "TE NUL": chunked(te="Transfer-Encoding: chunked\x00"),
    "chunk size bad": chunked(body=b"zz\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size negative": chunked(body=b"-1\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size 0x": chunked(body=b"0x5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk size beyond 64 bits": chunked(
        body=b"f" * 17 + b"\r\n" + BODY + b"\r\n0\r\n\r\n"
    ),
    "chunk longer than declared": chunked(body=b"5\r\n" + BODY + b"\r\n0\r\n\r\n"),
    "chunk ends in bare LF": chunked(body=CHUNKED.replace(b"\r\n", b"\n")),
    "chunk extension": extended(b";a=b"),
    "chunk extension, no value": extended(b";"),
    "chunk extension, blank": extended(b" ;a"),
    "chunk extension, quoted": extended(b';a="b;c"'),
    "chunk extension, line in quotes": extended(b';a="\r\n0\r\n\r\n"'),
    "chunk extension, bare LF": extended(b";\n0\r\n\r\n"),
    "chunk extension at the end": chunked(
        body=CHUNKED.replace(b"\r\n0\r\n", b"\r\n0;a=b\r\n")
    ),
    "chunk extension without end": chunked(
        body=f"{len(BODY):x};".encode() + b"a" * 20_000
    ),
    "chunk size with blanks": extended(b"  "),
    "chunk size with 20 zeros": chunked(body=b"0" * 20 + CHUNKED),
    "chunk size missing": chunked(body=b"\r\n" + CHUNKED),
    "trailer": chunked(body=CHUNKED[:-2] + b"X-API-Key: other\r\n\r\n"),
    "bare LF": request().replace(b"\r\n", b"\n"),
    "bare CR": request("X-A: a\rX-B: b"),
    "obsolete fold": request("X-A: a\r\n b"),
    "NUL in a name": request("X\x00A: a"),
    "NUL in a value": request("X-A: a\x00b"),
    "space before colon": request("X-A : a"),
    "no colon": request("X-A"),
    "empty name": request(": a"),
    "absolute form": request(line="POST http://elsewhere.example/api/route HTTP/1.1"),
    "authority form": request(line="CONNECT elsewhere.example:443 HTTP/1.1"),
    "asterisk": request(line="OPTIONS * HTTP/1.1"),
    "two hosts": request("Host: y"),
    "no host": request().replace(b"Host: x\r\n", b""),
    "HTTP/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "HTTP/2.0": request(line="POST /api/route HTTP/2.0"),
    "HTTP/3.7": request(line="POST /api/route HTTP/3.7"),
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64,
    "unknown method": request(line="SMUGGLE /api/route HTTP/1.1"),
    "space in the path": request(line="POST /api/ route HTTP/1.1"),
    "bytes beyond ASCII in the path": request(line="POST /api/r\xf6ute HTTP/1.1"),
}


UPGRADE = b"\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize(
    "after_line", [b"\r\n", UPGRADE], ids=["plain", "with an upgrade"]
)
def test_an_ambiguous_request_ends_the_connection(after_line: bytes) -> None:
    """Each of the vectors, with a complete smuggled request after it: one 400, closed, and nothing
    is written.

    The log has one line for each, with the reason, without a secret of the request.
    """
    vectors = {
        name: data.replace(b"\r\n", after_line, 1) for name, data in VECTORS.items()
    }

    async def attack() -> tuple[dict[str, Said], Endpoint]:
        endpoint = Endpoint(deadline_seconds=1.0)
        async with listening(endpoint) as port:
            text = {
                name: await talk(port, data + SMUGGLED)
                for name, data in vectors.items()
            }
        return text, endpoint

    text, endpoint = asyncio.run(attack())
    assert len(text) >= 40
    assert {} == {
        name: item
        for name, item in text.items()
        if item.statuses != [400] or not item.closed
    }
    assert [] == endpoint.upstream.writes

    refusals = [line for line in endpoint.log if line["event"] == "refused"]
    errors = [
        json.loads(item.raw.partition(b"\r\n\r\n")[2])["error"]
        for item in text.values()
    ]
    assert errors == [f"Bad Request: {line['reason']}" for line in refusals]
    assert {400} == {line["status"] for line in refusals}
    assert {"time", "event", "status", "reason"} == {
        name for line in refusals for name in line
    }
    assert [] == [line for line in refusals if not 0 < len(line["reason"]) <= 100]
    assert KEY not in json.dumps(endpoint.log)
    assert len(vectors) == endpoint.app.metrics.refusals["400"]


def test_a_request_may_arrive_in_any_pieces() -> None:
    """Byte by byte, in chunks, or with the next one after its response: it is one request, and one
    write.
    """
    pieces = [[bytes([byte]) for byte in item] for item in (request(), chunked())]
    small = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"

    async def calls() -> tuple[list[list[int]], int]:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            text = [await talk(port, *piece, wait=0.2) for piece in pieces]
            text.append(await talk(port, chunked(body=small), wait=0.2))
            text.append(
                await talk(port, chunked(), request(), chunked(), pause=0.1, wait=0.2)
            )
        return [item.statuses for item in text], len(endpoint.upstream.writes)

    assert ([[200], [200], [200], [200, 200, 200]], 1) == asyncio.run(calls())


@pytest.mark.parametrize("extension", [b";a=b", b";", b" "])
def test_a_chunk_extension_in_pieces_is_also_found(extension: bytes) -> None:
    """Byte by byte, and at the second chunk: 400, closed, nothing written."""
    late = chunked(
        body=b"1\r\n{\r\n"
        + f"{len(BODY) - 1:x}".encode()
        + extension
        + b"\r\n"
        + BODY[1:]
        + b"\r\n0\r\n\r\n"
    )
    cut = late.index(b"\r\n\r\n") + 4

    async def attack() -> tuple[list[Said], int]:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            text = [
                await talk(port, *(bytes([byte]) for byte in late)),
                await talk(port, late),
            ]
            text += [
                await talk(port, late[:at], late[at:], pause=0.05)
                for at in (cut - 1, cut, cut + 5)
            ]
        return text, len(endpoint.upstream.writes)

    text, writes = asyncio.run(attack())
    assert [([400], True)] * 5 == [(item.statuses, item.closed) for item in text]
    assert 0 == writes


@each_case(
    "behind",
    [
        SMUGGLED,
        SMUGGLED[:40],
        b"garbage",
        b"\x00" * 10,
        request(line="GET /metrics HTTP/1.1"),
    ],
)
def test_data_directly_after_a_request_is_not_read(behind: bytes) -> None:
    """The first request is answered, once; then the connection is closed, and the log says so."""

    async def attack() -> tuple[Said, Endpoint]:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            return await talk(port, request() + behind), endpoint

    text, endpoint = asyncio.run(attack())
    assert ([200], True, 1) == (
        text.statuses,
        text.closed,
        len(endpoint.upstream.writes),
    )
    [refusal] = [line for line in endpoint.log if line["event"] == "refused"]
    assert (None, True) == (refusal["status"], bool(refusal["reason"]))
    assert 1 == endpoint.app.metrics.refusals["none"]


CORRECTIONS = {
    "TLS": (
        VECTORS["TLS"],
        "the client speaks TLS, and this port plain HTTP: use an address with http://",
    ),
    "HTTP/0.9": (VECTORS["HTTP/0.9"], "the version of HTTP is neither 1.0 nor 1.1"),
    "no host": (VECTORS["no host"], "Host is missing"),
    "HTTP/2": (
        VECTORS["HTTP/2 preface"],
        "the client speaks HTTP/2 without asking first: use HTTP/1.1",
    ),
}


@pytest.mark.parametrize(("data", "reason"), CORRECTIONS.values(), ids=CORRECTIONS)
def test_the_reason_says_what_to_correct(data: bytes, reason: str) -> None:
    """The parser's own text would not, or does not exist."""

    async def attack() -> Endpoint:
        endpoint = Endpoint()
        async with listening(endpoint) as port:
            await talk(port, data)
        return endpoint

    [refusal] = [
        line for line in asyncio.run(attack()).log if line["event"] == "refused"
    ]
    assert reason == refusal["reason"]
