"""A connection to a service of the operator, which is not the tenant's and has a key of its own."""

import os
from typing import NamedTuple

from reconciler.core.errors import CredentialsError
from reconciler.targets.platform.settings import TenantSettings, remote_host
from reconciler.targets.platform.transport.rate_limiter import (
    TimeSource,
    WaitCallback,
    ignore_wait,
)
from reconciler.targets.platform.transport.request import Transport


class ServiceConnection(NamedTuple):
    """What a client of a service needs; the key is never shown."""

    transport: Transport
    settings: TenantSettings  # the service's address, and the limits of calls
    key: str
    time: TimeSource
    on_wait: WaitCallback = ignore_wait


def service_settings(url: str, timeout_seconds: float = 10.0) -> TenantSettings:
    """Return the address and the limits of a service."""
    return TenantSettings(
        base_url=url.rstrip("/"),
        token_url="",
        rules_path="/",
        queues_path="/",
        timeout_seconds=timeout_seconds,
    )


def allowed_hosts() -> frozenset[str]:
    """Return the further hosts that may receive credentials ($CXROUTE_HOSTS)."""
    names = os.environ.get("CXROUTE_HOSTS", "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def check_service_host(url: str, allowed: frozenset[str]) -> None:
    """Raise CredentialsError or UsageError if the key must not be sent to a host: only loopback
    and `allowed` get it.
    """
    host = remote_host(url)
    if host and host not in map(str.lower, allowed):
        remedy = f"the operator can allow it with CXROUTE_HOSTS={host}"
        raise CredentialsError(
            f"the key of the decision service is not sent to {host}; {remedy}"
        )
