"""One request and its answer on a connection: uvicorn's, but for the answer, which goes out in one piece."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import MutableMapping

_FIRST_LINES: Final = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n".encode("ascii") for status in HTTPStatus
}


class Cycle(RequestResponseCycle):
    """Sends head and body with one system call, and looks at no header: all of them are this program's own."""

    async def send(self, message: MutableMapping[str, Any]) -> None:  # type: ignore[override]
        """Keep the head until the body is there, and write both; a body comes in one part, as the app sends it."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        if message["type"] == "http.response.start":
            self.response_started = True
            self.waiting_for_100_continue = False
            self._head = message
            return
        self.transport.write(self._written(b"" if self.scope["method"] == "HEAD" else message["body"]))
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _written(self, body: bytes) -> bytes:
        headers = self._head["headers"]
        if (b"connection", b"close") in headers:
            self.keep_alive = False
        elif not self.keep_alive:
            headers = [*headers, (b"connection", b"close")]
        head = b"".join([b"%b: %b\r\n" % header for header in (*self.default_headers, *headers)])
        return b"%b%b\r\n%b" % (_FIRST_LINES[self._head["status"]], head, body)
