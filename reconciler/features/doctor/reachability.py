"""Reachability of a server, and the settings of the network."""

import asyncio
from pathlib import Path
from typing import Final

from reconciler.core.errors import CxrouteError
from reconciler.core.model.check import CheckResult
from reconciler.core.text.escape import sanitize
from reconciler.targets.platform.settings import ServerUrl
from reconciler.targets.platform.transport.request import describe_failure
from reconciler.targets.platform.transport.tls import load_tls_context, parse_proxy

_NO_CONNECTION_ADVICE: Final = (
    "Check the address in the Environment, this machine's DNS, and any firewall. Behind a proxy, "
    "set"
    " CXROUTE_PROXY; add a private authority to the file that CXROUTE_CA_FILE names"
)


def check_network_settings(
    proxy_url: str | None, ca_file: Path | None
) -> list[CheckResult]:
    """Return findings on the values of CXROUTE_PROXY and CXROUTE_CA_FILE."""
    lines = []
    try:
        if proxy_url:
            proxy = parse_proxy(proxy_url).url
            text = f"all requests go through {proxy.host}:{proxy.port or 80} (CXROUTE_PROXY)"
            lines.append(CheckResult("proxy", "ok", text))
    except CxrouteError as error:
        lines.append(
            CheckResult("proxy", "fail", str(error), "Correct or unset CXROUTE_PROXY")
        )
    try:
        if ca_file:
            load_tls_context(ca_file)
            text = "the public authorities, and those in the file that CXROUTE_CA_FILE names"
            lines.append(CheckResult("authorities", "ok", text))
    except CxrouteError as error:
        advice = "CXROUTE_CA_FILE must name a file of PEM certificates"
        lines.append(CheckResult("authorities", "fail", str(error), advice))
    return lines


async def check_reachability(
    server: ServerUrl,
    seconds: float,
    ca_file: Path | None,
) -> CheckResult:
    """Return whether a connection is made within so many seconds.

    Raises CxrouteError for the file.
    """
    context = load_tls_context(ca_file) if server.scheme == "https" else None
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(
                server.host,
                server.port,
                ssl=context,
            )
    except (OSError, TimeoutError, UnicodeError) as error:
        reason = getattr(error, "verify_message", "") or describe_failure(error)
        text = f"no connection to {server.authority}: {sanitize(str(reason))}"
        return CheckResult("network", "fail", text, _NO_CONNECTION_ADVICE)
    writer.transport.abort()
    way = "over trusted TLS" if context else "without TLS"
    return CheckResult("network", "ok", f"{server.authority} can be reached, {way}")
