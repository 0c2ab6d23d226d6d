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
    """Return the parts of an address that a request may be sent to: https, or http to this machine; None for others."""
    try:
        parts = urlsplit(text)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        return None
    is_plain = text.isascii() and text.isprintable() and not {" ", "\\"} & set(text) and "@" not in parts.netloc
    is_allowed = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))
    return parts if host and is_plain and is_allowed else None


def url_of(listener: "socket.socket") -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
