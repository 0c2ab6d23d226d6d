"""Whom to trust, and by which proxy to go: what the operator says of the network, for every client that there is."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import certifi

from reconciler.cxone.settings import Server
from reconciler.errors import CxrouteError, UsageError
from reconciler.regular_file import read_certificates

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from reconciler.cxone.settings import Tenant


def proxy_of(url: str) -> httpx.Proxy:
    """Read the proxy's URL; it may hold a password, so no error repeats it. Raises UsageError."""
    import httpx  # noqa: PLC0415 - the endpoint does without, but for this

    try:
        proxy = httpx.Proxy(url)
    except (httpx.InvalidURL, ValueError):
        raise UsageError("CXROUTE_PROXY is no URL such as http://proxy.example:3128") from None
    if proxy.url.scheme not in ("http", "https") or not proxy.url.host or "%20" in proxy.url.host:
        raise UsageError("CXROUTE_PROXY must be an http:// or https:// proxy, such as http://proxy.example:3128")
    return proxy


def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Trust the public authorities, and whom the operator's file names. Raises CxrouteError."""
    context = ssl.create_default_context(cafile=certifi.where())
    if ca_file:
        try:
            context.load_verify_locations(cadata=read_certificates(ca_file))
        except OSError as error:
            raise CxrouteError(f"cannot read the certificates in {ca_file}: {error.strerror or error}") from error
    return context


def trusted_by(tenant: Tenant, ca_file: Path | None) -> ssl.SSLContext:
    """Return whom a client of the tenant trusts: nobody where it needs nobody, for to read the authorities takes 20 ms.

    TLS is never left unverified. Raises CxrouteError.
    """
    https = any(Server.of(url).scheme == "https" for url in tenant.urls) or bool(tenant.issuer)
    return trusted(ca_file) if https else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
