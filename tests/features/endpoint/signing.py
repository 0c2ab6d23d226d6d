"""Messages with signatures."""

from __future__ import annotations

import hmac
import json
from base64 import b64encode
from typing import Any

from tests.features.endpoint.in_process_endpoint import HEADERS, NOW

SECRET = b"the secret of 32 bytes .........."
WRITTEN = f"whsec_{b64encode(SECRET).decode()}"
"""The secret in the form of the environment variable."""


def signed(
    name: str, form: Any, time: float = NOW.timestamp()
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Return a body and the headers that sign it as a message with that id, at a time of day."""
    body = json.dumps(form).encode()
    when = str(int(time)).encode()
    signature = b64encode(
        hmac.digest(SECRET, b"%b.%b.%b" % (name.encode(), when, body), "sha256")
    )
    standard = [
        (b"webhook-id", name.encode()),
        (b"webhook-timestamp", when),
        (b"webhook-signature", b"v1," + signature),
    ]
    return body, [HEADERS[0], *standard]
