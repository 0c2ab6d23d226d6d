"""Asks Prometheus for the conditions of steps, once in each run of `apply` and `watch --apply`.

The server and its token are the operator's ($CXROUTE_PROMETHEUS, $CXROUTE_PROMETHEUS_TOKEN), never
those of a manifest. The token goes to that server alone: no redirect is followed.
"""

import asyncio
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from reconciler.cli.clients import ca_file
from reconciler.cli.command_line import utc_now
from reconciler.cli.files import text_of_variable
from reconciler.core.desired.condition_answer import range_query, read_answer, waits
from reconciler.core.desired.made_steps import Answer, ConditionSource
from reconciler.core.errors import CxrouteError, UsageError
from reconciler.core.manifest.kinds.ruleset import StepCondition
from reconciler.core.pipeline import Planner
from reconciler.core.plan.stages import LiveState
from reconciler.core.text.escape import sanitize
from reconciler.core.text.hosts import is_loopback, request_url
from reconciler.core.text.json_values import parse_object
from reconciler.core.text.redact import REDACTOR
from reconciler.targets.platform.transport.tls import load_tls_context, parse_proxy

if TYPE_CHECKING:
    import httpx

ADDRESS: Final = "CXROUTE_PROMETHEUS"
TOKEN: Final = "CXROUTE_PROMETHEUS_TOKEN"  # noqa: S105 - the name of a variable
TIME_LIMIT: Final = 10.0  # seconds for one question
_MAX_BYTES: Final = 4 << 20
_OK: Final = 200


class _NoAnswerError(Exception):
    """Prometheus gave no answer. Its argument says why."""


@dataclass(frozen=True, slots=True)
class PrometheusConditions(ConditionSource):
    """The server that the environment of the process names; each question has its own connection."""

    clock: Callable[[], datetime] = utc_now

    async def answer(self, condition: StepCondition) -> Answer:
        """Return whether a condition holds now; without an answer, it does not."""
        now = self.clock()
        try:
            async with asyncio.timeout(TIME_LIMIT):
                body = await self._get(condition, now)
        except TimeoutError:
            reason = f"Prometheus gave no answer in {TIME_LIMIT:g} seconds"
            return waits(condition, reason)
        except (_NoAnswerError, CxrouteError) as error:
            return waits(condition, sanitize(str(error)))
        try:
            payload = json.loads(body)
        except (ValueError, RecursionError):
            return waits(condition, "Prometheus' answer is not JSON")
        if not isinstance(payload, dict):
            return waits(condition, "Prometheus' answer is not an object")
        return read_answer(condition, payload, now)

    async def _get(self, condition: StepCondition, now: datetime) -> bytes:
        """Return the body of the answer. Raises _NoAnswerError and CxrouteError."""
        import httpx  # noqa: PLC0415 - only rules with a condition need it

        base = _server_address()
        try:
            async with _open_client(base) as http:
                request = http.build_request(
                    "GET",
                    f"{base}/api/v1/query_range",
                    params=range_query(condition, now),
                    headers=_headers(),
                )
                return await _read(http, request)
        except (httpx.HTTPError, httpx.InvalidURL, OSError):
            host = urlsplit(base).hostname
            raise _NoAnswerError(f"Prometheus at {host} cannot be reached") from None


def _server_address() -> str:
    """Return the address of the server. Raises _NoAnswerError, which does not quote it."""
    address = os.environ.get(ADDRESS, "")
    if not address:
        raise _NoAnswerError(
            f"no Prometheus is configured: set {ADDRESS} to its address"
        )
    parts = request_url(address)
    if parts is None or parts.query or parts.fragment:
        raise _NoAnswerError(
            f"{ADDRESS} must be an https:// URL without user and query (http:// only to this "
            f"machine)"
        )
    return address.rstrip("/")


def _headers() -> dict[str, str]:
    """Return the headers of a question. Raises UsageError for a token that is not one."""
    headers = {"Accept-Encoding": "identity", "User-Agent": "cxroute"}
    token = text_of_variable(TOKEN, UsageError)
    if not token:
        return headers
    REDACTOR.add(token)
    if not token.isascii() or not token.isprintable():
        raise UsageError(f"{TOKEN} has characters that no token has; copy it again")
    return {**headers, "Authorization": f"Bearer {token}"}


def _open_client(base: str) -> "httpx.AsyncClient":
    """Return a client that reads no netrc and no other proxy variables; an address on this machine
    needs no proxy.
    """
    import httpx  # noqa: PLC0415 - as above

    proxy = os.environ.get("CXROUTE_PROXY")
    if is_loopback(urlsplit(base).hostname or ""):
        proxy = None
    transport = httpx.AsyncHTTPTransport(
        verify=load_tls_context(ca_file()), proxy=parse_proxy(proxy) if proxy else None
    )
    return httpx.AsyncClient(
        transport=transport, trust_env=False, follow_redirects=False, timeout=TIME_LIMIT
    )


async def _read(http: "httpx.AsyncClient", request: "httpx.Request") -> bytes:
    """Return the body of a successful answer of a bounded size. Raises _NoAnswerError."""
    response = await http.send(request, stream=True)
    try:
        body = bytearray()
        async for part in response.aiter_raw():
            body += part
            if len(body) > _MAX_BYTES:
                size = f"{_MAX_BYTES >> 20} MiB"
                raise _NoAnswerError(f"Prometheus' answer is larger than {size}")
    finally:
        await response.aclose()
    if response.status_code == _OK:
        return bytes(body)
    error = sanitize(str(parse_object(bytes(body)).get("error") or ""), 200)
    detail = f": {error}" if error else ""
    raise _NoAnswerError(f"Prometheus answers with HTTP {response.status_code}{detail}")


async def ask_conditions(
    planner: Planner, live: LiveState, source: ConditionSource | None = None
) -> Planner:
    """Return the planner with the answers to the conditions of steps that may be made now.

    Each is asked once: that of the next step of each rule, and that of a later one if it holds.
    """
    asked = source or PrometheusConditions()
    while questions := planner.settle(live).questions:
        found = [await asked.answer(question.condition) for question in questions]
        answers = {
            question.key: each for question, each in zip(questions, found, strict=True)
        }
        planner = replace(planner, answers={**planner.answers, **answers})
    return planner
