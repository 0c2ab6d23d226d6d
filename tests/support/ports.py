"""Ports for servers that come later, or come back: nobody else is given them meanwhile."""

from __future__ import annotations

import socket
from random import SystemRandom
from typing import Final

_BELOW: Final = range(20_000, 30_000)
"""Below those that a system gives to whoever asks for any, each outgoing connection too."""


def free_ports(count: int) -> list[str]:
    """Return ports of this machine that nobody listens on, no two the same."""
    return [str(port) for port in SystemRandom().sample(_BELOW, 20 * count) if _is_free(port)][:count]


def _is_free(port: int) -> bool:
    with socket.socket() as here:
        try:
            here.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
