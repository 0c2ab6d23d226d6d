"""`cxroute serve`: the context endpoint, for a bot to post what it understood."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.catalogue import AssumedCatalogue, aliases
from reconciler.cli.connect import writing_contexts
from reconciler.cli.discretion import DISCRETION
from reconciler.cli.environments import expected_queues, utc_now
from reconciler.cli.session import open_session
from reconciler.context.app import ContextApp, Limits, Surroundings, context_app
from reconciler.context.fallback import Fallback
from reconciler.context.relay import Names, Policy
from reconciler.context.signature import SecretError
from reconciler.desired import desire
from reconciler.entries import desired_entries
from reconciler.errors import CxrouteError, UsageError
from reconciler.explain import explain
from reconciler.render.explain_text import Names as RuleNames
from reconciler.render.explain_text import explain_document

if TYPE_CHECKING:
    import argparse
    import socket
    from collections.abc import Callable, Mapping

    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.cxone.context import ContextClient

DEADLINE: Final = 5.0
"""Seconds for a request; the bot's platform gives up after eight."""
_KEYS, _SECRETS = "CXROUTE_API_KEYS", "CXROUTE_WEBHOOK_SECRETS"
_LAST_PORT: Final = 65_535
_WAITING: Final = (16, 1000)
"""Requests under way at the least and at the most."""

HELP: Final = """\
Keys stand in $CXROUTE_API_KEYS, several with commas between, so that one can be exchanged for another; secrets that
sign as Standard Webhooks says, in $CXROUTE_WEBHOOK_SECRETS. Each can be in a file: $CXROUTE_API_KEYS_FILE. Without
keys and secrets it listens on loopback only.

POST /api/route {"conversationId": "...", "intent": "...", "confidence": 0.9, "timestamp": "2026-02-01T09:00:00Z"}
GET /health, /ready, /metrics. Log: one line of JSON a request, on stderr."""


class _Admitted(NamedTuple):
    """What opens the endpoint."""

    keys: tuple[str, ...]
    secrets: tuple[str, ...]


def options(parser: argparse.ArgumentParser) -> None:
    """Add serve's options."""
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (default: 127.0.0.1)")
    parser.add_argument("--port", metavar="N", help="0 takes a free one (default: $PORT, else 3000)")
    parser.add_argument("--explain", action="store_true", help="answers say which rule and queue the manifests choose")
    parser.add_argument("--hash-conversations", action="store_true", help="the log names conversations by a hash")
    parser.epilog = HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Serve until SIGINT or SIGTERM; finish what was accepted."""
    port, admitted = checked(options)
    try:
        from reconciler.context.serve import listening_socket  # noqa: PLC0415 - an extra that only this command needs
        from reconciler.context.serve import run as run_served  # noqa: PLC0415 - likewise
    except ImportError as error:
        raise CxrouteError("serving needs two more packages: pip install 'cxroute[serve]'") from error
    session = open_session(options, output)
    expected_queues(session.manifests, session.environment.name)
    try:
        listener = listening_socket(options.host, port)
    except OSError as error:
        raise CxrouteError(f"cannot listen on {options.host}:{port}: {error.strerror or error}") from error
    with listener:
        session.introduce()
        run_served(_serve(options, session, admitted, listener))
    return 0


async def _serve(options: argparse.Namespace, session: Session, admitted: _Admitted, listener: socket.socket) -> None:
    from reconciler.context.serve import serve  # noqa: PLC0415 - see `run`

    def announce(url: str) -> None:
        session.output.result(f"Context endpoint of {session.environment.name} on {url}   (stop it with Ctrl-C)\n")
        session.output.flush()

    async with writing_contexts(session, DEADLINE) as client:
        await serve(_app(options, session, admitted, client), listener, announce)


def _app(options: argparse.Namespace, session: Session, admitted: _Admitted, client: ContextClient) -> ContextApp:
    """Return the endpoint over a client."""

    async def write(conversation: str, attributes: Mapping[str, Any], seconds: float) -> Any:  # noqa: ANN401 - any JSON
        return DISCRETION.within(await client.write(conversation, attributes, seconds))

    def gauges() -> dict[str, float]:
        pacer, breaker = client.pacer, client.breaker
        return {
            "cxroute_upstream_requests": pacer.requests,
            "cxroute_upstream_retries": pacer.retries,
            "cxroute_upstream_away": breaker.away,
            "cxroute_upstream_outages": breaker.opened,
        }

    surroundings = Surroundings(
        now=utc_now, ready=client.ready, log=log, label=hashed if options.hash_conversations else str, gauges=gauges
    )
    least, most = _WAITING
    waiting = int(min(max(session.environment.api.requests_per_second * DEADLINE * 0.8, least), most))
    limits = Limits(waiting, DEADLINE)
    return context_app(write, admitted.keys, admitted.secrets, policy(options, session), surroundings, limits)


def policy(options: argparse.Namespace, session: Session) -> Policy:
    """Return what the environment says of events."""
    names, context = session.environment.attributes, session.environment.context
    return Policy(
        Names(names.intent, names.confidence, names.updated_at),
        Fallback(context.below.intent, context.min_confidence) if context else None,
        frozenset(intent for loaded in session.manifests.intents for intent in loaded.document.intents),
        explaining(session) if options.explain else None,
    )


def explaining(session: Session) -> Callable[[Mapping[str, Any]], Any]:
    """Return what says which rule and queue the manifests choose: the evaluation of `cxroute explain`."""
    name = session.environment.name
    catalogue = AssumedCatalogue(name, aliases(session.manifests, name))
    desired = desire(session.manifests, session.environment, catalogue)
    queues = {queue.id: queue.name for queue in catalogue.assumed.values()}
    entries, names = desired_entries(desired), RuleNames(f"the manifests of {name}", queues, desired.labels)

    def route(attributes: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: _value(value) for name, value in attributes.items() if isinstance(value, str | int | float)}
        found = explain_document(explain(entries, given, session.environment), names)
        return {"rule": found["winner"], **{key: found[key] for key in ("destination", "otherwise") if key in found}}

    return route


def _value(value: str | float) -> str | int | float:
    """Return an attribute as rules compare it: true and false are texts."""
    return str(value).lower() if isinstance(value, bool) else value


def log(line: str) -> None:
    """Write one line of the log."""
    sys.stderr.write(DISCRETION.hide(line) + "\n")
    sys.stderr.flush()


def hashed(conversation: str) -> str:
    """Return a name for a conversation that does not say which it is, and is the same every time."""
    return hashlib.sha256(conversation.encode()).hexdigest()[:16]


def checked(options: argparse.Namespace) -> tuple[int, _Admitted]:
    """Return the port, and what opens the endpoint. Raises UsageError: without keys others must not reach it."""
    said = options.port if options.port is not None else os.environ.get("PORT") or "3000"
    if not (said.isascii() and said.isdigit()) or int(said[:6]) > _LAST_PORT:
        raise UsageError(f"port {said[:20]!r}: there are ports 0 to {_LAST_PORT}")
    admitted = _Admitted(_listed(_KEYS), _listed(_SECRETS))
    if not any(admitted) and not _is_loopback(options.host):
        raise UsageError(f"--host {options.host}: without keys in ${_KEYS} it listens on loopback only")
    try:
        context_app(_nowhere, admitted.keys, admitted.secrets)
    except SecretError as error:
        raise UsageError(f"{_SECRETS}: {error}") from error
    return int(said), admitted


async def _nowhere(_conversation: str, _attributes: Mapping[str, Any], _seconds: float) -> Any:  # noqa: ANN401 - any JSON
    await asyncio.sleep(0)


def _listed(name: str) -> tuple[str, ...]:
    """Read a variable, or the file that it names, as a list. Raises UsageError, which repeats none of it."""
    text, file = os.environ.get(name, ""), os.environ.get(f"{name}_FILE")
    if not text and file:
        try:
            text = Path(file).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
            raise UsageError(f"the file that {name}_FILE names cannot be read: {reason}") from None
    found = tuple(one for one in map(str.strip, text.replace("\n", ",").split(",")) if one)
    if (text or file) and not found:
        raise UsageError(f"{name}, or its file, holds nothing but commas and spaces")
    if not all(one.isascii() and one.isprintable() and " " not in one for one in found):
        raise UsageError(f"{name} holds what no header can: use letters, digits and signs without spaces")
    DISCRETION.keep(*found)
    return found


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
