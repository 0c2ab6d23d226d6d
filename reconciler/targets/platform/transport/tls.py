"""TLS trust and the proxy of a client. Importing it loads no HTTP client."""

import ssl
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import certifi

from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.text.files import read_certificates

if TYPE_CHECKING:
    import httpx


def parse_proxy(url: str) -> "httpx.Proxy":
    """Parse the proxy's URL.

    Raises UsageError, which does not repeat it: it may hold a password.
    """
    import httpx  # noqa: PLC0415 - only a proxy needs it

    try:
        proxy = httpx.Proxy(url)
    except (httpx.InvalidURL, ValueError):
        raise UsageError(
            "CXROUTE_PROXY is not a URL such as http://proxy.example:3128"
        ) from None
    if (
        proxy.url.scheme not in ("http", "https")
        or not proxy.url.host
        or "%20" in proxy.url.host
    ):
        raise UsageError(
            "CXROUTE_PROXY must be an http:// or https:// proxy, such as http://proxy.example:3128"
        )
    return proxy


def load_tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a TLS context with the public authorities and those in the operator's file.

    Raises CxrouteError.
    """
    if ca_file is None:
        return _public_context()

    context = _new_context()
    try:
        context.load_verify_locations(cadata=read_certificates(ca_file))
    except OSError as error:
        raise CxrouteError(
            f"cannot read the certificates in {ca_file}: {error.strerror or error}"
        ) from error
    return context


def _new_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())


@cache
def _public_context() -> ssl.SSLContext:
    """Return the context of all clients without an operator's file."""
    # To read the public authorities takes 20 ms, and a run may connect to many tenants.
    return _new_context()
