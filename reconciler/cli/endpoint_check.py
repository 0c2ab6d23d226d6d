"""`cxroute doctor --endpoint URL`: whether a running context endpoint has the fallback of the manifests."""

import asyncio
import os
import re
from pathlib import Path
from typing import Final

from reconciler.cxone.transport.tls import load_tls_context
from reconciler.doctor.check import CheckResult
from reconciler.errors import UsageError
from reconciler.model.fallback import Fallback
from reconciler.text.files import MIB
from reconciler.text.hosts import request_url

_SECONDS: Final = 10
_OK: Final = 200
_DIGEST: Final = re.compile(r'^cxroute_fallback_info\{digest="([0-9a-f]{12})"\} 1$', re.MULTILINE)


async def check_endpoint(url: str, fallback: Fallback) -> CheckResult:
    """Return whether the endpoint at this address writes as the manifests say. Raises UsageError for the address."""
    if request_url(url) is None:
        raise UsageError("--endpoint: must be an address with https:// (http:// only for this machine)")
    try:
        async with asyncio.timeout(_SECONDS):
            text = await _read_metrics(f"{url.rstrip('/')}/metrics")
    except (TimeoutError, OSError, ValueError) as error:
        reason = str(error) if isinstance(error, ValueError) else "there is no usable response"
        message = f"its /metrics cannot be read: {reason}"
        return CheckResult("endpoint", "fail", message, "Check that `cxroute serve` runs there")
    match = _DIGEST.search(text)
    if match is None:
        message, advice = "its /metrics do not name the fallback", "Update cxroute there, and restart it"
        return CheckResult("endpoint", "fail", message, advice)
    if match[1] != fallback.digest:
        message = "it has another fallback than the manifests: `context` or an Intents document differs"
        advice = "Plans show what the manifests say: restart `cxroute serve` with these manifests"
        return CheckResult("endpoint", "fail", message, advice)
    return CheckResult("endpoint", "ok", "its fallback is that of the manifests")


async def _read_metrics(url: str) -> str:
    """Return the text of a page. Raises ValueError with the reason, and OSError."""
    import httpx  # noqa: PLC0415 - HTTP is needed only here

    authorities = os.environ.get("CXROUTE_CA_FILE")
    verify = load_tls_context(Path(authorities) if authorities else None)
    try:
        async with (
            httpx.AsyncClient(verify=verify, timeout=_SECONDS, headers={"Accept-Encoding": "identity"}) as client,
            client.stream("GET", url) as response,
        ):
            if response.status_code != _OK:
                raise ValueError(f"status {response.status_code}")
            body = b""
            async for part in response.aiter_raw():
                body += part
                if len(body) > MIB:
                    raise ValueError("the response is too large")
    except httpx.HTTPError as error:
        raise OSError from error
    return body.decode(errors="replace")
