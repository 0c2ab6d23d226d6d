"""Messages to the webhook of an Environment, from `apply` and `watch` only, because these may write (R10)."""

from __future__ import annotations

import asyncio
import os
from typing import Any
from urllib.parse import urlsplit

import httpx

from reconciler.cli.clients import ca_file, read_secret
from reconciler.cli.session import Session
from reconciler.cxone.transport.tls import load_tls_context, parse_proxy
from reconciler.errors import CxrouteError, ManifestError, UsageError
from reconciler.render.slack import slack_message
from reconciler.text.hosts import is_loopback
from reconciler.text.redact import REDACTOR
from reconciler.watch.cycle import CycleResult, NotificationKind, NotificationState, Outbox
from reconciler.watch.webhook import ATTEMPT_SECONDS, Webhook, WebhookAddress, parse_address


def webhook_address(session: Session) -> WebhookAddress:
    """Return the address. Raises UsageError for an invalid address, or one that this environment may not use."""
    settings = session.environment.notify
    if settings is not None and settings.url_env is not None:
        url, source = read_secret(settings.url_env, "webhook address"), settings.url_env
        REDACTOR.add(urlsplit(url).path)
    else:
        url, source = str(settings.url if settings else ""), "notify.url"
    address = parse_address(url, source)
    local = session.simulated or is_loopback(urlsplit(session.environment.address).hostname or "")
    if address.is_local and not local:
        raise UsageError(f"{address.host} is this machine, which is notified of tenants on this machine only")
    if session.simulated and not address.is_local:
        raise UsageError(f"the sandbox is simulated, so {address.host} is not notified")
    return address


async def notify(session: Session, cycle: CycleResult) -> None:
    """Send the notifications that an apply causes."""
    outbox = Outbox()
    for kind in NotificationState().find_due(cycle, 0.0):
        outbox.put(build_message(session, kind, cycle))
    await deliver_messages(session, outbox)


def build_message(session: Session, kind: NotificationKind, cycle: CycleResult) -> dict[str, Any]:
    """Return the message, with secrets redacted."""
    command = "validate" if isinstance(cycle.error, ManifestError) else "drift" if kind == "drift" else "plan"
    words = session.command_line.command(command)
    payload: dict[str, Any] = REDACTOR.redact_json(slack_message(kind, cycle, session.environment.name, words))
    return payload


async def deliver_messages(session: Session, outbox: Outbox) -> tuple[int, int]:
    """Send the waiting messages; return the numbers of sent messages and of failures. A failure is only a warning."""
    if not outbox.waiting or session.environment.notify is None:
        outbox.waiting.clear()
        return 0, 0
    try:
        address = webhook_address(session)
        # The client ignores the environment of the process; an address on this machine needs no proxy.
        url = os.environ.get("CXROUTE_PROXY")
        proxy = parse_proxy(url) if url and not address.is_local else None
        transport = httpx.AsyncHTTPTransport(verify=load_tls_context(ca_file()), proxy=proxy)
        async with httpx.AsyncClient(transport=transport, trust_env=False, timeout=ATTEMPT_SECONDS) as http:
            delivered, failure = await outbox.deliver(Webhook(http, address, asyncio.sleep).send)
    except CxrouteError as error:
        session.output.warn(f"no notification was sent: {error}")
        return 0, 1
    if failure:
        session.output.warn(f"no notification was sent: {failure}")
    return delivered, int(bool(failure))
