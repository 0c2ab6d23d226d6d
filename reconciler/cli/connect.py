"""From an Environment to a client: credentials, hosts, proxy and transport, or the sandbox in this process."""

from __future__ import annotations

import math
import os
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli.discretion import DISCRETION, Passing
from reconciler.cli.environments import expected_queues, unset_tenant
from reconciler.cli.progress import Waits
from reconciler.cli.variables import secret
from reconciler.cxone.auth import issued
from reconciler.cxone.client import ReadingClient, WritingClient
from reconciler.cxone.context import ContextClient
from reconciler.cxone.exchange import LENIENT
from reconciler.cxone.pace import REAL_TIME
from reconciler.cxone.platform import queues_of
from reconciler.cxone.probe import Probe
from reconciler.cxone.reading import reading_only
from reconciler.cxone.settings import Credentials, Tenant
from reconciler.cxone.trust import trusted_by
from reconciler.cxone.writers import path_of, writer_of
from reconciler.errors import ApiError, CredentialsError, ManifestError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconciler.cli.session import Session
    from reconciler.cxone.exchange import Answer, Carry, Request
    from reconciler.manifest.environment import Environment

_UNHURRIED = 100_000.0
"""Calls a second into the sandbox: it is in this process, and nobody else waits for it."""


@asynccontextmanager
async def reading(session: Session) -> AsyncIterator[ReadingClient]:
    """Connect with a client that cannot write: nothing else is let through."""
    tenant = tenant_of(session)
    async with _carrier(session, tenant) as carry:
        only = reading_only(carry, tenant)
        waits = Waits(session.output, session.environment.name)
        progress = session.bar.step
        yield ReadingClient(_told(only, waits), tenant, credentials_of(session), REAL_TIME, progress, waits.tell)


@asynccontextmanager
async def asking(session: Session) -> AsyncIterator[Probe]:
    """Connect for whoever wants to see each answer as it comes; nothing but reads is let through."""
    tenant = tenant_of(session)
    async with _carrier(session, tenant) as carry:
        waits = Waits(session.output, session.environment.name)
        only = _told(reading_only(carry, tenant), waits)
        yield Probe(only, tenant, credentials_of(session), REAL_TIME, waits.tell)


@asynccontextmanager
async def writing(session: Session) -> AsyncIterator[WritingClient]:
    """Connect with a client that writes."""
    tenant = tenant_of(session)
    async with _carrier(session, tenant) as carry:
        waits = Waits(session.output, session.environment.name)
        progress = session.bar.step
        yield WritingClient(_told(carry, waits), tenant, credentials_of(session), REAL_TIME, progress, waits.tell)


@asynccontextmanager
async def writing_contexts(session: Session, deadline: float) -> AsyncIterator[ContextClient]:
    """Connect with a client that writes contexts, each within so many seconds, for as long as the process lives."""
    tenant = tenant_of(session)
    tenant = replace(tenant, timeout_seconds=min(tenant.timeout_seconds, deadline), run_seconds=math.inf)
    # Only httpx knows how to speak to a proxy; without one, what is made for the endpoint costs a fifth.
    carrier = _carrier if session.simulated or os.environ.get("CXROUTE_PROXY") else _direct
    async with carrier(session, tenant) as carry:
        path, writer = path_of(session.environment, tenant.profile), writer_of(session.environment)
        yield ContextClient(carry, tenant, credentials_of(session), REAL_TIME, path, writer)


def tenant_of(session: Session) -> Tenant:
    """Return where the environment's API is, and how it may be used. Raises ManifestError where nobody said which."""
    if unset := unset_tenant(session.manifests, session.environment.name):
        raise ManifestError(unset)
    environment, api = session.environment, session.environment.api
    base = "http://localhost" if session.simulated else environment.base_url
    profile = session.manifests.profile(environment)
    queues = queues_of(api, profile.queues)
    return Tenant(
        base_url=base,
        token_url=f"{base}/oauth/token" if session.simulated else environment.token_url,
        issuer=(api.issuer or "").rstrip("/"),
        rules_path=api.rules_path or profile.rules.path,
        queues_path=api.queues_path or queues.path,
        page_size=api.page_size or profile.page_size,
        profile=profile,
        queues=queues,
        timeout_seconds=api.timeout_seconds,
        requests_per_second=_UNHURRIED if session.simulated else api.requests_per_second,
        concurrency=api.concurrency,
        idempotency_keys=api.idempotency_keys,
        allowed_hosts=frozenset(filter(None, map(str.strip, os.environ.get("CXROUTE_HOSTS", "").split(",")))),
    )


def credentials_of(session: Session) -> Credentials:
    """Read ids and secrets from the variables, or files, that the environment names. Raises CredentialsError.

    An error in the manifests is said first: whoever has no credentials yet can still mend those.
    """
    if session.simulated:
        return Credentials("sandbox", "sandbox-secret")
    names = variables_of(session.environment)
    try:
        client_id, client_secret, key_id, key_secret = (secret(name) if name else "" for name in names)
    except CredentialsError:
        expected_queues(session.manifests, session.environment.name)
        raise
    DISCRETION.keep(client_secret, key_secret)
    return Credentials(client_id, client_secret, key_id, key_secret, tuple(filter(None, names)))


def variables_of(environment: Environment) -> tuple[str, str, str, str]:
    """Return where the client's id and secret are, and the access key's; nothing for what is not needed."""
    names, api = environment.credentials, environment.api
    client = ("", "") if api.area else (names.client_id_env, names.client_secret_env)
    key = (names.access_key_id_env, names.access_key_secret_env) if api.auth == "access-key" else ("", "")
    return (*client, *key)


@asynccontextmanager
async def _carrier(session: Session, tenant: Tenant) -> AsyncIterator[Carry]:
    from reconciler.cxone.network import carried_by, network  # noqa: PLC0415 - 30 MiB that the endpoint does without

    if session.simulated:
        from reconciler.cli.sandbox import sandbox  # noqa: PLC0415 - brings the simulator in

        queues = expected_queues(session.manifests, session.environment.name)
        with sandbox(session.environment, queues) as transport:
            yield carried_by(transport)
        return
    async with network(tenant, os.environ.get("CXROUTE_PROXY"), _authorities()) as transport:
        yield _discreet(carried_by(transport))


@asynccontextmanager
async def _direct(_session: Session, tenant: Tenant) -> AsyncIterator[Carry]:
    from reconciler.cxone.direct import Direct  # noqa: PLC0415 - needs what the extra `serve` brings

    direct = Direct(trusted_by(tenant, _authorities()))
    try:
        yield _discreet(direct.carry)
    finally:
        direct.close()


def _authorities() -> Path | None:
    ca_file = os.environ.get("CXROUTE_CA_FILE")
    return Path(ca_file) if ca_file else None


def _told(carry: Carry, waits: Waits) -> Carry:
    """Say what answer is waited for, where that takes long."""

    async def carried(request: Request) -> Answer:
        what = f"an answer to {request.call}" if _has_token(request) else f"an access token from {request.server.host}"
        with waits.answer(what):
            return await carry(request)

    return carried


def _has_token(request: Request) -> bool:
    return request.method != "POST" or request.headers.get("Authorization", "").startswith("Bearer ")


def _discreet(carry: Carry) -> Carry:
    """Take note of each token that comes, and of each that goes out, so that it is never shown."""
    tokens, newest = Passing(DISCRETION), ""

    async def carried(request: Request) -> Answer:
        nonlocal newest
        authorization = request.headers.get("Authorization", "")
        if authorization != newest:
            newest = authorization
            tokens.keep(authorization.removeprefix("Bearer "))
        answer = await carry(request)
        if not _has_token(request):
            tokens.keep(*_issued(answer))
            newest = ""  # so many may have come that the one in use is not remembered
        return answer

    return carried


def _issued(answer: Answer) -> list[str]:
    try:
        return issued(answer.json(LENIENT))
    except ApiError:
        return []
