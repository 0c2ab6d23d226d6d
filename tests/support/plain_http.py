"""Plain HTTP on loopback, for tests that poll or have many clients: `httpx.get(...,
verify=PLAIN)`.
"""

from __future__ import annotations

import ssl
from typing import Final

PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate.

Reading the public authorities, as httpx does for each client, takes longer than a request.
"""
