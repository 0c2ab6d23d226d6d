"""The network transport on real sockets: all kinds of responses and connections.

Each test runs on both loops that `serve` may run on, and fails if something remains that the loop
reports.
"""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from reconciler.core.errors import UnexpectedResponseError
from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.request import (
    ApiRequest,
    NoResponseError,
    NotSentError,
)
from tests.support.http_server import (
    OK,
    Run,
    Script,
    ScriptedServer,
    answer_and_close,
    answer_with,
    run,
)
from tests.tiers import FULL

__all__ = ["run"]
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
OPEN = b"HTTP/1.1 200 OK\r\n"
UPGRADE = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"
)
GZIP_BOMB = b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(40_000_000), 1)
"""An answer that ends with its connection."""


async def twice(script: Script) -> tuple[list[tuple[int, bytes]], int]:
    """Return two responses, and the number of their connections."""
    async with ScriptedServer(script).open() as tenant:
        return [await tenant.ask(), await tenant.ask()], len(tenant.connections)


async def refused(script: Script) -> Exception:
    """Return the error; the connection must not be used again."""
    async with ScriptedServer(script).open() as tenant:
        try:
            answer = await tenant.ask()
        except Exception as error:  # noqa: BLE001 - which it is, is the question
            # the client notices that the server closed the connection
            await asyncio.sleep(0.02)
            with pytest.raises(type(error)):
                await tenant.ask()
            assert 2 == len(tenant.connections)
            return error
        raise AssertionError(answer)


ZIPPED = gzip.compress(b"{}")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "expected", "connections"),
    [
        (answer_with(OK), (200, b"{}"), 1),
        (answer_with(CONTINUE + b"HTTP/1.1 103 Hints\r\nContent-Encoding: br\r\n\r\n" + OK), (200, b"{}"), 1),
        (answer_with(b"HTTP/1.1 204 No Content\r\n\r\n"), (204, b""), 1),
        (answer_with(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n"), (304, b""), 1),
        (answer_with(CHUNKED + b"1\r\n{\r\n1;a=b\r\n}\r\n0\r\nContent-Encoding: br\r\n\r\n"), (200, b"{}"), 1),
        (answer_with(OPEN + b"Content-Encoding: gzip\r\nContent-Length: 22\r\n\r\n" + ZIPPED), (200, b"{}"), 1),
        (answer_with(OK.replace(b"200 OK", b"200 OK\r\nConnection: close")), (200, b"{}"), 2),
        (answer_with(OK.replace(b"1.1", b"1.0")), (200, b"{}"), 2),
        (answer_with(OK.replace(b"1.1 200 OK", b"1.0 200 OK\r\nConnection: keep-alive")), (200, b"{}"), 1),
        (answer_and_close(OPEN + b"\r\n{}"), (200, b"{}"), 2),
        (answer_and_close(OPEN.replace(b"1.1", b"1.0") + b"\r\n{}"), (200, b"{}"), 2),
        (answer_with(OK + OK), (200, b"{}"), 2),
    ],
    ids=lambda value: None if callable(value) else str(value),
)  # fmt: skip
def test_bytes_after_a_response_do_not_answer_the_next_request(
    run: Run, script: Script, expected: tuple[int, bytes], connections: int
) -> None:
    """Two requests get equal responses; a connection is reused only after a complete response
    without further bytes.
    """
    assert ([expected, expected], connections) == run(twice(script))


@pytest.mark.slow
def test_a_response_may_arrive_in_two_parts(run: Run) -> None:
    """Split at any byte (every third one outside of the campaign), it is the same response."""
    answer = CONTINUE + CHUNKED + b"2\r\n{}\r\n0\r\n\r\n"

    async def all_cuts() -> None:
        cut = 0

        async def script(writer: asyncio.StreamWriter) -> None:
            writer.write(answer[:cut])
            await asyncio.sleep(0.001)
            writer.write(answer[cut:])

        async with ScriptedServer(script).open() as tenant:
            for cut in range(1, len(answer), 1 if FULL else 3):  # noqa: B007 - the script reads it
                assert (200, b"{}") == await tenant.ask()
            assert 1 == len(tenant.connections)

    run(all_cuts())
    for cut in range(0, len(answer), 9):
        assert NoResponseError is type(run(refused(answer_and_close(answer[:cut]))))


HEADERS = b"".join(b"X-%d: y\r\n" % number for number in range(20_000))


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("script", "error"),
    [
        (answer_and_close(b"SSH-2.0-OpenSSH_9.2\r\n"), NoResponseError),
        (answer_and_close(OK.replace(b"200", b"000")), NoResponseError),
        (answer_and_close(OK.replace(b"200", b"099")), NoResponseError),
        (answer_and_close(OK.replace(b"200", b"2O0")), NoResponseError),
        (answer_and_close(OK.replace(b": 2", b": 2\r\nContent-Length: 3")), NoResponseError),
        (answer_and_close(CHUNKED[:-2] + b"Content-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n"), NoResponseError),
        (answer_and_close(CHUNKED + b"zz\r\n{}\r\n"), NoResponseError),
        (answer_and_close(UPGRADE + OK), NoResponseError),
        (answer_and_close(OK.replace(b": 2", b": 2\r\nContent-Encoding: gzip")), UnexpectedResponseError),
        (answer_and_close(OK.replace(b": 2", b": 2\r\nContent-Encoding: br")), UnexpectedResponseError),
        (answer_and_close(OPEN + GZIP_BOMB), UnexpectedResponseError),
        (answer_and_close(OPEN + b"\r\n" + bytes(2**24)), UnexpectedResponseError),
        (answer_and_close(OPEN + b"Content-Length: 2\r\nX: " + b"y" * 70_000 + b"\r\n\r\n{}"), NoResponseError),
        (answer_and_close(OPEN + HEADERS + b"\r\n"), NoResponseError),
        (answer_and_close(CHUNKED + b"0\r\n" + HEADERS * 100 + b"\r\n"), NoResponseError),
    ],
    ids=range(15),
)  # fmt: skip
def test_an_invalid_response_is_an_error(
    run: Run, script: Script, error: type[Exception]
) -> None:
    """Garbage, and too long responses, end the connection with one of the errors of `Transport`."""
    assert error is type(run(refused(script)))


@pytest.mark.slow
def test_bytes_before_a_request_do_not_answer_it(run: Run) -> None:
    """A kept connection is not used again if the server sent data on it or closed it."""

    async def unasked(late: bytes) -> tuple[tuple[int, bytes], int]:
        async with ScriptedServer(answer_with(OK)).open() as tenant:
            await tenant.ask()
            tenant.connections[0].write(late)
            if not late:
                tenant.connections[0].close()
            await asyncio.sleep(0.02)
            return await tenant.ask(), len(tenant.connections)

    for late in (
        OK.replace(b"{}", b"[]"),
        b"HTTP/1.1 408 Request Timeout\r\n\r\n",
        b"",
    ):
        assert ((200, b"{}"), 2) == run(unasked(late))


@pytest.mark.fast_cases(1)
def test_a_connection_that_ends_before_the_request_sends_nothing(run: Run) -> None:
    """A server that closes, or sends first, gets no request, or one with an unknown outcome; no
    call hangs.
    """

    async def greeted() -> None:
        async with ScriptedServer(
            answer_with(OK), greeting=b"220 mail\r\n"
        ).open() as tenant:
            for _ in range(20):
                with pytest.raises(NoResponseError):
                    await tenant.ask()

    run(greeted())


@pytest.mark.fast_cases(1)
def test_a_cancelled_request_leaves_no_response_to_the_next(run: Run) -> None:
    """Cancellation closes the connection, before or during the response; the next request gets its
    own response.
    """

    async def given_up(begun: bytes) -> None:
        async def script(writer: asyncio.StreamWriter) -> None:
            writer.write(begun)
            if len(tenant.requests) > 1:
                writer.write(OK)

        async with ScriptedServer(script).open() as tenant:
            for seconds in (0.05, 0.0):
                with pytest.raises(TimeoutError):
                    await tenant.ask(seconds)
            await asyncio.sleep(0.02)
            assert all(writer.is_closing() for writer in tenant.connections)

    for begun in (b"", OK[:-1]):
        run(given_up(begun))


def _files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.slow
def test_thousands_of_requests_and_failures_leave_no_file_open(run: Run) -> None:
    """Responses, lost connections and refused ones: the number of open files stays the same."""

    async def many() -> tuple[int, int]:
        async def script(writer: asyncio.StreamWriter) -> None:
            if len(tenant.requests) % 3:
                writer.write(OK)
            else:
                writer.transport.abort()

        async with ScriptedServer(script).open() as tenant:
            nobody = ApiRequest("GET", ServerUrl("http", "127.0.0.1", 9, ""), "/", {})
            counts = []
            for _ in range(2):
                for _ in range(300):
                    await asyncio.gather(
                        *(tenant.ask() for _ in range(3)), return_exceptions=True
                    )
                with pytest.raises(NotSentError):
                    await tenant.transport(nobody)
                await asyncio.sleep(0.02)
                counts.append(_files())
            return counts[0], counts[1]

    first, second = run(many())
    assert second <= first + 4
