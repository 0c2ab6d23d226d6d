"""From a tenant's settings to its rules, over the network."""

import os
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.rule import Queue
from reconciler.core.target import Access, Author, LiveSource, target_of
from reconciler.targets.platform.client import Connection
from reconciler.targets.platform.connect import limit_access, redacted
from reconciler.targets.platform.service import (
    ServiceConnection,
    check_service_host,
    service_settings,
)
from reconciler.targets.platform.settings import ClientCredentials, TenantSettings
from reconciler.targets.platform.transport.rate_limiter import REAL_TIME
from reconciler.targets.platform.transport.request import Transport


def open_client(
    tenant: TenantSettings,
    credentials: ClientCredentials,
    proxy: str | None = None,
    ca_file: Path | None = None,
) -> AbstractAsyncContextManager[LiveSource]:
    """Connect to a tenant with a client that cannot write."""
    return _open(_NetworkTenant(tenant, credentials, proxy, ca_file), "read")


def open_writing_client(
    tenant: TenantSettings,
    credentials: ClientCredentials,
    proxy: str | None = None,
    ca_file: Path | None = None,
) -> AbstractAsyncContextManager[LiveSource]:
    """Connect to a tenant with a client that writes."""
    return _open(_NetworkTenant(tenant, credentials, proxy, ca_file), "write")


@dataclass(frozen=True, slots=True)
class _NetworkTenant:
    """The surroundings of a target's rules: a tenant over the network."""

    tenant: TenantSettings
    credentials: ClientCredentials
    proxy: str | None
    ca_file: Path | None

    @property
    def environment(self) -> Environment:
        if self.tenant.environment is None:
            raise UsageError("the settings have no Environment: use `tenant_settings`")
        return self.tenant.environment

    @property
    def has_tenant(self) -> bool:
        return self.environment.has_tenant

    def expected_queues(self) -> tuple[Queue, ...]:
        raise UsageError(
            "the queues of an Environment without a tenant are those of its manifests: use the command line"
        )

    def author(self) -> Author:
        return Author()

    @asynccontextmanager
    async def connect_service(
        self, url: str, key_variable: str, access: Access
    ) -> AsyncIterator[ServiceConnection]:
        check_service_host(url, self.tenant.allowed_hosts)
        key = os.environ.get(key_variable, "")
        settings = service_settings(url, self.tenant.timeout_seconds)
        async with self._transport(settings) as transport:
            guarded = limit_access(transport, settings, access)
            yield ServiceConnection(guarded, settings, key, REAL_TIME)

    @asynccontextmanager
    async def connect(self, access: Access) -> AsyncIterator[Connection]:
        async with self._transport(self.tenant) as transport:
            guarded = limit_access(redacted(transport), self.tenant, access)
            yield Connection(guarded, self.tenant, self.credentials, REAL_TIME)

    def _transport(
        self, server: TenantSettings
    ) -> AbstractAsyncContextManager[Transport]:
        from reconciler.targets.platform.transport.aiohttp_transport import (  # noqa: PLC0415 - takes 0.2 s
            network_transport,
        )

        return network_transport(server, self.proxy, self.ca_file)


def _open(
    surroundings: _NetworkTenant, access: Access
) -> AbstractAsyncContextManager[LiveSource]:
    return target_of(surroundings.environment).open(surroundings, access)
