"""Whether a server can be reached at all: its name, a connection, and TLS, one after the other."""

from __future__ import annotations

import asyncio
import math
import os
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.cxone.transport.httpx_transport import proxy_of, trusted
from reconciler.cxone.transport.request import reason
from reconciler.doctor.check import Line
from reconciler.errors import CxrouteError
from reconciler.text.escape import sanitize

if TYPE_CHECKING:
    from reconciler.cxone.settings import Server


_DAY: Final = 86_400.0
_SOON: Final = 14


def surroundings() -> list[Line]:
    """Say by which proxy and with whose certificates the network is used."""
    lines = []
    try:
        if url := os.environ.get("CXROUTE_PROXY"):
            proxy = proxy_of(url).url
            lines.append(Line("proxy", "ok", f"everything goes by {proxy.host}:{proxy.port or 80} (CXROUTE_PROXY)"))
    except CxrouteError as error:
        lines.append(Line("proxy", "fail", str(error), "Mend or unset CXROUTE_PROXY"))
    try:
        if file := os.environ.get("CXROUTE_CA_FILE"):
            trusted(Path(file))
            lines.append(Line("authorities", "ok", "the public ones, and those in the file that CXROUTE_CA_FILE names"))
    except CxrouteError as error:
        lines.append(Line("authorities", "fail", str(error), "CXROUTE_CA_FILE must name a file of PEM certificates"))
    return lines


async def reach(server: Server, seconds: float) -> Line:
    """Try to connect, and say how far that goes; each part may take so many seconds."""
    name = "network"
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        said = f"the name {server.host} leads nowhere: {reason(error)}"
        return Line(name, "fail", said, "Look at the address in the Environment, and at this machine's DNS")
    try:
        await _connected(server, None, seconds)
    except (OSError, TimeoutError) as error:
        said = f"no connection to {server.authority}: {reason(error)}"
        return Line(name, "fail", said, "A firewall, or another port? Behind a proxy set CXROUTE_PROXY")
    if server.scheme == "http":
        return Line(name, "ok", f"{server.authority} is there, without TLS")
    try:
        days = await _connected(server, _trusted(), seconds)
    except (OSError, TimeoutError) as error:
        return Line(name, "fail", f"no TLS with {server.authority}: {_of_tls(error)}", _CERTIFICATE)
    if days < _SOON:
        said = f"{server.authority} is there; its certificate ends in {days:.0f} days"
        return Line(name, "warn", said, "It has to be renewed by whoever runs that server")
    return Line(name, "ok", f"{server.authority} is there, over TLS that is trusted")


async def _connected(server: Server, context: ssl.SSLContext | None, seconds: float) -> float:
    """Connect, with TLS or without, and go; return for how many days the certificate is still valid."""
    async with asyncio.timeout(seconds):
        _, writer = await asyncio.open_connection(server.host, server.port, ssl=context)
    days = _lasting(writer)
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    return days


_CERTIFICATE: Final = (
    "A private authority goes into the file that CXROUTE_CA_FILE names; else this is not the server you mean, or it"
    " speaks no TLS"
)


def _trusted() -> ssl.SSLContext:
    """Trust whom the client trusts; a file that cannot be read was told already."""
    file = os.environ.get("CXROUTE_CA_FILE")
    try:
        return trusted(Path(file) if file else None)
    except CxrouteError:
        return trusted(None)


def _of_tls(error: Exception) -> str:
    """Say why not: what is wrong with the certificate, where that is it."""
    return sanitize(str(getattr(error, "verify_message", "") or reason(error)))


def _lasting(writer: asyncio.StreamWriter) -> float:
    certificate: Any = writer.get_extra_info("peercert")
    try:
        return (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / _DAY
    except (KeyError, TypeError, ValueError):
        return math.inf
