"""The endpoint requests GET /health from itself before it announces its URL: a wrong uvicorn is detected."""

from __future__ import annotations

import asyncio
import signal

import pytest
import uvicorn

from reconciler.endpoint import server as serve
from reconciler.endpoint.app import ContextApp
from reconciler.endpoint.server import StrictHttpProtocol
from reconciler.errors import CxrouteError
from tests.endpoint.in_process_endpoint import Endpoint


class Broken(StrictHttpProtocol):
    """Calls a method that its uvicorn does not have, as this program did under uvicorn 0.44."""

    def _start_request(self) -> None:
        raise AttributeError("_start_asgi_task")


class Silent(StrictHttpProtocol):
    """Never answers."""

    def data_received(self, data: bytes) -> None:
        """Read nothing."""
        del data


def started(app: ContextApp, host: str = "127.0.0.1") -> list[str]:
    """Serve until it announces its URL, then end; return the announcements."""
    said: list[str] = []

    def announce(url: str) -> None:
        said.append(url)
        signal.raise_signal(signal.SIGTERM)

    with serve.open_listener(host, 0) as listener:
        asyncio.run(serve.serve(app, listener, announce))
    return said


ADDRESSES = [
    ("127.0.0.1", "http://127."),
    ("0.0.0.0", "http://0."),  # noqa: S104 - only to be asked over loopback
    ("::1", "http://["),
]


@pytest.mark.parametrize(("host", "begin"), ADDRESSES)
def test_an_answering_server_is_announced(host: str, begin: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once, for any address that it listens on; a proxy is not used."""
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    [url] = started(Endpoint().app, host)
    assert url.startswith(begin)


def test_an_incompatible_uvicorn_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """One error names the response, the version of uvicorn, and the versions to install; nothing is announced."""
    monkeypatch.setattr(serve, "StrictHttpProtocol", Broken)
    with pytest.raises(CxrouteError) as raised:
        started(Endpoint().app)
    assert (
        "the endpoint's own GET /health failed (HTTP/1.1 400 Bad Request): uvicorn"
        f" {uvicorn.__version__} is not compatible with this version of cxroute. Install the versions that the extra"
        " `serve` requires; see docs/install.md, section Extras."
    ) == str(raised.value)


def test_a_server_that_never_answers_ends_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time limit of the check, instead of waiting forever."""
    monkeypatch.setattr(serve, "StrictHttpProtocol", Silent)
    monkeypatch.setattr(serve, "_HEALTH_TIMEOUT", 0.05)
    with pytest.raises(CxrouteError, match=r"GET /health failed \(no response\)"):
        started(Endpoint().app)


def test_a_failing_endpoint_is_still_announced(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 is a response of this program: requests arrive, and the monitor of /health decides."""
    endpoint = Endpoint()

    async def fail(*_: object) -> object:
        raise ValueError

    monkeypatch.setattr(endpoint.app, "_respond_to_probe", fail)
    assert 1 == len(started(endpoint.app))
