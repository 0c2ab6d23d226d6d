"""Plain HTTP on loopback, where tests poll and make callers by the dozen: `httpx.get(..., verify=PLAIN)`."""

from __future__ import annotations

import ssl
from typing import Final

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts nobody. To read the public authorities, as httpx does for each client, takes longer than a request."""
