"""From an Environment to the web hook that it names, if a manifest may have that told anything."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.variables import secret
from reconciler.cxone.settings import is_loopback
from reconciler.cxone.trust import proxy_of, trusted
from reconciler.errors import UsageError
from reconciler.webhook import SECONDS, Place, Webhook, place_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconciler.cli.session import Session


@asynccontextmanager
async def hook(session: Session) -> AsyncIterator[Webhook]:
    """Connect. Raises UsageError and CredentialsError, neither of which repeats the address."""
    found = place(session)
    async with _http(found) as http:
        yield Webhook(http, found, asyncio.sleep)


def place(session: Session) -> Place:
    """Return the address. Raises UsageError where it is none, or out of this manifest's reach."""
    notify = session.environment.notify
    if notify is not None and notify.url_env is not None:
        url, named = secret(notify.url_env, "address of a web hook"), notify.url_env
        DISCRETION.keep(urlsplit(url).path)
    else:
        url, named = str(notify.url if notify else ""), "notify.url"
    place = place_of(url, named)
    here = session.simulated or is_loopback(urlsplit(session.environment.address).hostname or "")
    if place.local and not here:
        raise UsageError(f"{place.host} is this machine, which is told of tenants on this machine alone")
    if session.simulated and not place.local:
        raise UsageError(f"the sandbox is simulated, and {place.host} is not told of it")
    return place


def _http(place: Place) -> httpx.AsyncClient:
    """Return a client that reads nothing of its surroundings; what is on this machine is reached by no proxy."""
    proxy, ca_file = os.environ.get("CXROUTE_PROXY"), os.environ.get("CXROUTE_CA_FILE")
    transport = httpx.AsyncHTTPTransport(
        verify=trusted(Path(ca_file) if ca_file else None),
        proxy=proxy_of(proxy) if proxy and not place.local else None,
    )
    return httpx.AsyncClient(transport=transport, trust_env=False, follow_redirects=False, timeout=SECONDS)
