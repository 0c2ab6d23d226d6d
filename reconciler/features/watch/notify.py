"""Messages to the webhook of an Environment, from `apply` and `watch` only, because these may write
(R10).

The address may come from a pull request. So a message is sent by POST only, over verified TLS,
without credentials; redirects are not followed, and only the status of the response is used. An
address on this machine, for tests, needs no TLS and is permitted only for a tenant on this machine.
"""

import asyncio
import json
import os
from collections import deque
from dataclasses import dataclass, replace
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from reconciler.cli.clients import ca_file, read_secret
from reconciler.cli.command_line import utc_now
from reconciler.cli.hooks import AfterApply, ApplyEnd
from reconciler.cli.session import Session
from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.plan.stages import PlanOptions
from reconciler.core.text.escape import sanitize
from reconciler.core.text.hosts import is_loopback, request_url
from reconciler.core.text.redact import REDACTOR
from reconciler.features.watch.cycle import (
    CycleResult,
    Message,
    NotificationKind,
    NotificationState,
)
from reconciler.features.watch.slack import slack_message
from reconciler.targets.platform.transport.request import system_error
from reconciler.targets.platform.transport.tls import load_tls_context, parse_proxy

ATTEMPT_SECONDS: Final = 5.0  # how long one message may take
_RETRIES: Final = 2  # of connections that could not be made


def webhook_host(url: str, label: str) -> str:
    """Return the host of a webhook's URL.

    Raises UsageError, which names the URL by `label` and does not quote it.
    """
    parts = request_url(url)
    if parts is None:
        raise UsageError(
            f"{label} is not a URL that begins with https:// (http:// for this machine only)"
        )
    return parts.hostname or ""


@dataclass(frozen=True, slots=True)
class Webhook:
    """One webhook."""

    http: httpx.AsyncClient
    url: str  # knowing it is enough to post, so messages show only the host

    async def send_all(self, waiting: deque[Message]) -> tuple[int, str]:
        """Deliver messages until one fails; return their number and the error. The others stay."""
        count = 0
        while waiting:
            error = await self.send(waiting[0])
            if error:
                return count, error
            waiting.popleft()
            count += 1
        return count, ""

    async def send(self, message: Message) -> str:
        """Deliver a message; return the error, or an empty text. Does not raise."""
        error = await self._post(json.dumps(message).encode())
        if not error:
            return ""
        return f"{urlsplit(self.url).hostname}: {error}"

    async def _post(self, body: bytes) -> str:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "cxroute",
            "Accept-Encoding": "identity",
        }
        request = self.http.build_request(
            "POST",
            self.url,
            content=body,
            headers=headers,
        )
        try:
            async with asyncio.timeout(ATTEMPT_SECONDS):
                response = await self.http.send(
                    request,
                    stream=True,
                    follow_redirects=False,
                )
                await response.aclose()
        except (TimeoutError, httpx.TimeoutException):
            return "no response in time"
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            # The system's words do not repeat the address.
            return sanitize(system_error(error)) or "unreachable"
        if response.is_success:
            return ""
        return f"the response has status {response.status_code}"


def webhook_url(session: Session) -> str:
    """Return the address.

    Raises UsageError for an invalid address, or one that this environment may not use.
    """
    settings = session.environment.notify
    if settings is not None and settings.url_env is not None:
        source = settings.url_env
        url = read_secret(source, "webhook address")
        REDACTOR.add(urlsplit(url).path)
    else:
        source = "notify.url"
        url = str(settings.url if settings else "")
    host = webhook_host(url, source)
    tenant_host = urlsplit(session.environment.address).hostname or ""
    is_local = session.simulated or is_loopback(tenant_host)
    if is_loopback(host) and not is_local:
        raise UsageError(
            f"{host} is this machine, which is notified of tenants on this machine only"
        )
    if session.simulated and not is_loopback(host):
        raise UsageError(f"the sandbox is simulated, so {host} is not notified")
    return url


async def _notify(session: Session, end: ApplyEnd) -> None:
    """Send the notifications that an apply causes."""
    cycle = CycleResult(
        started_at=utc_now(),
        plan=end.plan,
        report=end.report,
        error=end.error,
        may_write=True,
    )
    kinds = NotificationState().find_due(cycle, 0.0)
    messages = deque(build_message(session, kind, cycle) for kind in kinds)
    await deliver_messages(session, messages)


NOTIFY: Final[AfterApply] = _notify


def build_message(
    session: Session,
    kind: NotificationKind,
    cycle: CycleResult,
) -> dict[str, Any]:
    """Return the message, with secrets redacted."""
    name = "plan"
    if isinstance(cycle.error, ManifestError):
        name = "validate"
    elif kind == "drift":
        name = "drift"
    command = session.command_line.command(name)
    # a plan shows nothing any more
    if cycle.report is not None and cycle.report.run_id:
        command_line = replace(
            session.command_line,
            options=PlanOptions(),
            undo=None,
            base=None,
        )
        command = command_line.command("history", cycle.report.run_id)
    message = slack_message(kind, cycle, session.environment.name, command)
    payload: dict[str, Any] = REDACTOR.redact_json(message)
    return payload


async def deliver_messages(
    session: Session, waiting: deque[Message]
) -> tuple[int, int]:
    """Send the waiting messages; return the numbers of sent messages and of failures.

    A failure is only a warning.
    """
    if not waiting or session.environment.notify is None:
        waiting.clear()
        return 0, 0
    try:
        url = webhook_url(session)
        proxy_url = os.environ.get("CXROUTE_PROXY")
        # The client ignores the environment of the process; an address on this machine needs no
        # proxy.
        is_local = is_loopback(urlsplit(url).hostname or "")
        proxy = parse_proxy(proxy_url) if proxy_url and not is_local else None
        transport = httpx.AsyncHTTPTransport(
            verify=load_tls_context(ca_file()),
            proxy=proxy,
            retries=_RETRIES,
        )
        async with httpx.AsyncClient(
            transport=transport,
            trust_env=False,
            timeout=ATTEMPT_SECONDS,
        ) as http:
            delivered, failure = await Webhook(http, url).send_all(waiting)
    except CxrouteError as error:
        session.output.warn(f"no notification was sent: {error}")
        return 0, 1
    if failure:
        session.output.warn(f"no notification was sent: {failure}")
    return delivered, int(bool(failure))
