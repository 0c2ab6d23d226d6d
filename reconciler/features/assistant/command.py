"""`cxroute mcp`: a server of the Model Context Protocol, over stdin and stdout or over HTTP, which
only reads.
"""

import argparse
import asyncio
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.cli.arguments import requires_extra
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.core.errors import UsageError

if TYPE_CHECKING:
    from reconciler.features.assistant.project import ReadLive

_ADDRESS: Final = re.compile(
    r"(?:(\[[0-9A-Fa-f:.]+\]|[^:\s]+):)?([0-9]{1,5})", re.ASCII
)
_LOOPBACK: Final = "127.0.0.1"
_LOCAL: Final = (_LOOPBACK, "localhost", "[::1]")
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True, kw_only=True)
class AssistantOptions(CommonOptions):
    """The options of `cxroute mcp`."""

    live: bool
    plan: str | None
    http: str | None
    allow_host: Sequence[str]


def options(parser: argparse.ArgumentParser) -> type[AssistantOptions]:
    add = parser.add_argument
    add(
        "--live",
        action="store_true",
        help="also answer about the tenant's live rules, which a client that cannot write reads",
    )
    add(
        "--plan",
        metavar="FILE",
        help="a file of `cxroute plan --out`, which assistants may ask about",
    )
    add(
        "--http",
        metavar="[HOST:]PORT",
        help="serve HTTP at /mcp instead of stdin and stdout (host: 127.0.0.1; port 0: a free "
        "one); each program that reaches the port may ask",
    )
    add(
        "--allow-host",
        metavar="NAME",
        action="append",
        default=[],
        help="with --http: also answer requests to this name of the machine; may be repeated",
    )
    return AssistantOptions


def run(options: AssistantOptions, _output: Output) -> int:
    address = _address(options)
    with requires_extra("mcp", "`cxroute mcp`"):
        from reconciler.features.assistant.server import AssistantServer, serve_http  # noqa: PLC0415 - needs the extra
    from reconciler.features.assistant.project import AssistantProject  # noqa: PLC0415 - half a second, not for --help

    project = AssistantProject(
        directory=options.manifests,
        environment=options.environment,
        plan=options.plan,
        read_live=_live_reader(options),
    )
    if address is None:
        # A thread waits for stdin, and asyncio's own handler would wait for that thread.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        asyncio.run(AssistantServer(project).serve_stdio())
    else:
        asyncio.run(serve_http(project, address, options.allow_host))
    return 0


def _live_reader(options: AssistantOptions) -> "ReadLive | None":
    """Return what reads the tenant; None offline, where nothing imports it."""
    if not options.live:
        return None
    from reconciler.features.assistant.live import live_reader  # noqa: PLC0415 - contacts a tenant, only with --live

    return live_reader(options.manifests)


def _address(options: AssistantOptions) -> tuple[str, int] | None:
    """Return the host and the port of --http. Raises UsageError."""
    if options.http is None:
        if options.allow_host:
            raise UsageError("--allow-host is for --http: remove it, or specify both")
        return None
    match = _ADDRESS.fullmatch(options.http)
    if match is None or int(match[2]) > _MAX_PORT:
        raise UsageError(
            f"--http {options.http[:100]}: must be a port, or a host and a port, such as 8765"
        )
    host = match[1] or _LOOPBACK
    if host not in _LOCAL and not options.allow_host:
        raise UsageError(
            f"--http {options.http[:100]}: other machines could ask without a password. If that "
            f"is intended, name this machine as they do: --allow-host NAME"
        )
    return host, int(match[2])
