"""Ports for servers that start later or restart; in between they are not assigned to another
server.
"""

from __future__ import annotations

import socket
from random import SystemRandom
from typing import Final

_BELOW: Final = range(20_000, 30_000)
"""Below the ports that the system assigns, also to outgoing connections."""


def free_ports(count: int) -> list[str]:
    """Return free ports of this machine, all different."""
    return [
        str(port)
        for port in SystemRandom().sample(_BELOW, 20 * count)
        if _is_free(port)
    ][:count]


def _is_free(port: int) -> bool:
    with socket.socket() as here:
        try:
            here.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
