"""`cxroute serve`: the context endpoint, to which a bot posts intent and confidence."""

from __future__ import annotations

import argparse
import socket
from contextlib import ExitStack
from dataclasses import replace
from typing import Final

from reconciler.cli import serve_settings
from reconciler.cli.arguments import missing_extra
from reconciler.cli.clients import open_context_client
from reconciler.cli.environments.choose import expected_queues
from reconciler.cli.output import Output
from reconciler.cli.server_log import log
from reconciler.cli.session import Session, open_session
from reconciler.errors import CxrouteError

HELP: Final = """\
$CXROUTE_API_KEYS holds the API keys, separated by commas so that keys can be rotated. $CXROUTE_WEBHOOK_SECRETS holds
the secrets for signatures by Standard Webhooks. Each can be in a file: $CXROUTE_API_KEYS_FILE. Without keys and
secrets, the endpoint listens on loopback only.

POST /api/route {"conversationId": "...", "intent": "...", "confidence": 0.9, "timestamp": "2026-02-01T09:00:00Z"}
GET /health, /ready, /metrics. Log: one line of JSON per request, on stderr."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add serve's options."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add("--port", metavar="N", help="port to listen on; 0 selects a free port (default: $PORT, or 3000)")
    redis = "Redis that several instances share, redis://HOST:PORT/DB (or $CXROUTE_SHARED)"
    add("--shared", metavar="URL", help=redis)
    add("--explain", action="store_true", help="add to each response the rule and queue that the manifests choose")
    add("--hash-conversations", action="store_true", help="log a hash in place of the conversation id")
    parser.epilog = HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM, and finish accepted requests."""
    settings = serve_settings.read_settings(options)
    try:
        from reconciler.endpoint.server import open_listener, run_event_loop  # noqa: PLC0415 - an optional extra
    except ImportError as error:
        raise missing_extra("`cxroute serve`") from error
    session = open_session(options, output)
    expected_queues(session.manifests, session.environment.name)
    try:
        listener = open_listener(options.host, settings.port)
    except OSError as error:
        raise CxrouteError(f"cannot listen on {options.host}:{settings.port}: {error.strerror or error}") from error
    with ExitStack() as stack:
        stack.enter_context(listener)
        stack.callback(log.close)
        session.terminal.print_banner(session.banner)
        api = session.environment.api
        if "concurrency" not in api.model_fields_set:
            api = api.model_copy(update={"concurrency": serve_settings.max_calls(api.requests_per_second)})
            session = replace(session, environment=session.environment.model_copy(update={"api": api}))
        run_event_loop(_serve(options, session, settings, listener))
    return 0


async def _serve(
    options: argparse.Namespace, session: Session, settings: serve_settings.ServeSettings, listener: socket.socket
) -> None:
    from reconciler.endpoint.server import serve  # noqa: PLC0415 - see `run`

    def print_address(address: str) -> None:
        session.output.result(f"Context endpoint of {name} on {address}   (stop it with Ctrl-C)\n")
        session.output.flush()

    name = session.environment.name
    async with (
        open_context_client(session, serve_settings.DEADLINE) as client,
        serve_settings.open_cluster(settings.shared, name, client) as join,
    ):
        await serve(serve_settings.build_endpoint(options, session, settings, client, join), listener, print_address)
