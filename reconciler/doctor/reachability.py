"""Reachability of a server: its name, a connection, and TLS, one after the other."""

import asyncio
import math
import socket
import ssl
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from reconciler.cxone.settings import ServerUrl
from reconciler.cxone.transport.request import describe_failure
from reconciler.cxone.transport.tls import load_tls_context, parse_proxy
from reconciler.doctor.check import CheckResult
from reconciler.errors import CxrouteError
from reconciler.text.escape import sanitize

_DAY: Final = 86_400.0
_EXPIRY_WARNING_DAYS: Final = 14


def check_network_settings(proxy_url: str | None, ca_file: Path | None) -> list[CheckResult]:
    """Return findings on the values of CXROUTE_PROXY and CXROUTE_CA_FILE."""
    lines = []
    try:
        if proxy_url:
            proxy = parse_proxy(proxy_url).url
            text = f"all requests go through {proxy.host}:{proxy.port or 80} (CXROUTE_PROXY)"
            lines.append(CheckResult("proxy", "ok", text))
    except CxrouteError as error:
        lines.append(CheckResult("proxy", "fail", str(error), "Correct or unset CXROUTE_PROXY"))
    try:
        if ca_file:
            load_tls_context(ca_file)
            text = "the public authorities, and those in the file that CXROUTE_CA_FILE names"
            lines.append(CheckResult("authorities", "ok", text))
    except CxrouteError as error:
        advice = "CXROUTE_CA_FILE must name a file of PEM certificates"
        lines.append(CheckResult("authorities", "fail", str(error), advice))
    return lines


async def check_reachability(server: ServerUrl, seconds: float, ca_file: Path | None) -> CheckResult:
    """Return how far a connection gets; each step may take so many seconds. Raises CxrouteError for the file."""
    name = "network"
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().getaddrinfo(server.host, server.port, type=socket.SOCK_STREAM)
    except (OSError, TimeoutError, UnicodeError) as error:
        text = f"the host name {server.host} cannot be resolved: {describe_failure(error)}"
        return CheckResult(name, "fail", text, "Check the address in the Environment, and this machine's DNS")
    try:
        await _connect(server, None, seconds)
    except (OSError, TimeoutError) as error:
        text = f"no connection to {server.authority}: {describe_failure(error)}"
        return CheckResult(name, "fail", text, "Check the port, and any firewall. Behind a proxy, set CXROUTE_PROXY")
    if server.scheme == "http":
        return CheckResult(name, "ok", f"{server.authority} can be reached, without TLS")
    context = load_tls_context(ca_file)
    try:
        days = await _connect(server, context, seconds)
    except (OSError, TimeoutError) as error:
        reason = sanitize(str(getattr(error, "verify_message", "") or describe_failure(error)))
        advice = "Add a private authority to the file that CXROUTE_CA_FILE names; otherwise this is not the intended"
        advice += " server, or it does not use TLS"
        return CheckResult(name, "fail", f"no TLS with {server.authority}: {reason}", advice)
    if days < _EXPIRY_WARNING_DAYS:
        text = f"{server.authority} can be reached; its certificate expires in {days:.0f} days"
        return CheckResult(name, "warn", text, "The operator of that server must renew it")
    return CheckResult(name, "ok", f"{server.authority} can be reached, over trusted TLS")


async def _connect(server: ServerUrl, context: ssl.SSLContext | None, seconds: float) -> float:
    """Connect, with TLS or without, and close; return the days until the certificate expires."""
    async with asyncio.timeout(seconds):
        _, writer = await asyncio.open_connection(server.host, server.port, ssl=context)
    certificate: Any = writer.get_extra_info("peercert")
    days = math.inf
    with suppress(KeyError, TypeError, ValueError):
        days = (ssl.cert_time_to_seconds(certificate["notAfter"]) - time.time()) / _DAY
    writer.close()
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    return days
