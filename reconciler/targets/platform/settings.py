"""The client's settings for a tenant, and the hosts that may receive a secret."""

import json
import re
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote_plus

from reconciler.core.errors import CredentialsError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.profile import (
    DEFAULT_PROFILE,
    ListedQueues,
    Profile,
)
from reconciler.core.text.hosts import LAST_PORT, is_loopback

# Only URLs that no two parsers read as two hosts.
_URL: Final = re.compile(
    r"(https?)://([a-z0-9.-]+|\[[0-9a-f:]+\])(?::([0-9]{1,5}))?(/[^\s?#\\@]*)?",
    re.ASCII | re.IGNORECASE,
)

_PORTS: Final = {"http": 80, "https": 443}
_CXONE_DOMAINS: Final = (".my.cxone.com", ".niceincontact.com", ".nice-incontact.com")
_ISSUERS: Final = frozenset({"nicecxone-sov1.au", "nicecxone-sov1.eu"})
"""Published issuers outside of these domains; only these exact hosts are published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCredentials:
    """A client's id and secret, an access key, or both; none is shown.

    The pairs present decide the grant.
    """

    client_id: str = field(repr=False)
    client_secret: str = field(repr=False)
    key_id: str = field(default="", repr=False)
    key_secret: str = field(default="", repr=False)
    variables: tuple[str, ...] = ()  # the environment variables of the credentials

    def secret_encodings(self) -> tuple[str, ...]:
        """Return the forms in which a server may repeat a secret: plain, form, JSON, Basic."""
        encodings: list[str] = []
        for name, secret in (
            (self.client_id, self.client_secret),
            (self.key_id, self.key_secret),
        ):
            if secret:
                basic = b64encode(f"{name}:{secret}".encode()).decode()
                encodings += (
                    secret,
                    quote_plus(secret),
                    json.dumps(secret)[1:-1],
                    basic,
                )
        return tuple(encodings)


@dataclass(frozen=True, slots=True)
class ServerUrl:
    """A parsed URL: a server, and the path prefix of all its requests."""

    scheme: str
    host: str
    port: int
    path: str

    @classmethod
    def parse(cls, url: str) -> "ServerUrl":
        """Parse a URL. Raises UsageError if two parsers could read two hosts."""
        parts = _URL.fullmatch(url) if url.isascii() else None
        if parts is not None:
            scheme = parts[1].lower()
            host = parts[2].lower().strip("[]")
            port = int(parts[3] or _PORTS[scheme])
            if port <= LAST_PORT:
                return cls(scheme, host, port, parts[4] or "")
        raise UsageError(f"{url[:100]!r} is not a plain http(s) URL")

    @property
    def authority(self) -> str:
        """Return host and port in the form of the Host header."""
        host = self.host
        if ":" in host:
            host = f"[{host}]"
        if self.port == _PORTS[self.scheme]:
            return host
        return f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """Return the URL without a path."""
        return f"{self.scheme}://{self.authority}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantSettings:
    """Location of a tenant's API, and its limits. Times are in seconds."""

    base_url: str  # empty if the issuer names it
    token_url: str  # empty if there is an issuer
    rules_path: str
    queues_path: str
    page_size: int = 100
    # Names and responses; the paths above take precedence.
    profile: Profile = DEFAULT_PROFILE
    # The profile's list, or the platform's.
    queues: ListedQueues = DEFAULT_PROFILE.queues
    timeout_seconds: float = 10.0
    requests_per_second: float = 50.0
    concurrency: int = 16
    idempotency_keys: bool = False  # the server executes a create once per key
    allowed_hosts: frozenset[str] = frozenset()
    issuer: str = ""  # names the token server and, without a `base_url`, the API
    run_seconds: float = 900.0  # time limit of all calls of one client
    patience_seconds: float = 90.0  # wait for a server that became unavailable
    # whose target opens the rules; None: rules behind the API
    environment: Environment | None = None

    @property
    def known_urls(self) -> tuple[str, ...]:
        """Return the addresses that are known before any request."""
        urls = (self.base_url, self.token_url, self.issuer)
        return tuple(filter(None, urls))

    def check_hosts(self) -> None:
        """Raise CredentialsError or UsageError for a host that must not receive a secret."""
        for url in self.known_urls:
            check_host(url, self.allowed_hosts)
        for path in (self.rules_path, self.queues_path):
            if not path.startswith("/"):
                reason = "it must begin with /, otherwise it could change the host"
                raise UsageError(f"{path[:100]!r} is not a path: {reason}")


def remote_host(url: str) -> str:
    """Return the host of a URL; empty for loopback. Raises UsageError for another one without
    TLS.
    """
    server = ServerUrl.parse(url)
    host = server.host
    if is_loopback(host):
        return ""
    if server.scheme == "http":
        raise UsageError(
            f"http:// is refused for {host}: only loopback may be reached without TLS"
        )
    return host


def check_host(url: str, allowed_hosts: frozenset[str]) -> None:
    """Raise CredentialsError or UsageError if the URL's host must not receive credentials."""
    host = remote_host(url)
    if not host:
        return
    is_cxone = host in _ISSUERS or any(
        host.endswith(domain) and len(host) > len(domain) for domain in _CXONE_DOMAINS
    )
    if not is_cxone and host not in map(str.lower, allowed_hosts):
        remedy = f"the operator can allow it with CXROUTE_HOSTS={host}"
        raise CredentialsError(
            f"credentials are not sent to {host}, which is not a CXone host; {remedy}"
        )
