"""Hosts and addresses: loopback, and addresses that a request may be sent to."""

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    import socket

LAST_PORT: Final = 65_535


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def request_url(text: str) -> SplitResult | None:
    """Return the parts of an address that a request may be sent to: https, or http to this machine;
    None for others.
    """
    try:
        parts = urlsplit(text)
        host = parts.hostname or ""
        _port = parts.port
    except ValueError:
        return None
    is_plain = (
        text.isascii()
        and text.isprintable()
        and not {" ", "\\"} & set(text)
        and "@" not in parts.netloc
    )
    is_allowed = parts.scheme == "https" or (
        parts.scheme == "http" and is_loopback(host)
    )
    return parts if host and is_plain and is_allowed else None


def journal_address_problem(text: str) -> str:
    """Return why an address such as s3://bucket/prefix cannot name a journal; empty if it can.

    Never repeats it.
    """
    host = text.partition("://")[2].partition("/")[0]
    if "@" in text:  # a password may contain a slash
        return (
            "contains a user name or a password: remove it, and set the store's own environment "
            "variables"
        )
    if not host and not text.startswith(("file:///", "local:///")):
        return "has no bucket: write it as s3://BUCKET/PREFIX"
    if "?" in text or "#" in text or "::" in text:
        return "has a query, a fragment or a chain (::): write it as s3://BUCKET/PREFIX"
    return ""


def url_of(listener: "socket.socket") -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    if ":" in host:
        return f"http://[{host}]:{port}"
    return f"http://{host}:{port}"
