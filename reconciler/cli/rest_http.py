"""The HTTP client of REST APIs that are not CXone: TLS, proxy and timeout."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from reconciler.cli.clients import ca_file
from reconciler.cxone.transport.tls import load_tls_context, parse_proxy

_SECONDS: Final = 15.0


@contextmanager
def open_rest_http() -> Iterator[httpx.Client]:
    """Open a client that reads no netrc and no proxy variables of other programs, and follows no redirects."""
    proxy = os.environ.get("CXROUTE_PROXY")
    transport = httpx.HTTPTransport(verify=load_tls_context(ca_file()), proxy=parse_proxy(proxy) if proxy else None)
    with httpx.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=_SECONDS) as http:
        yield http
