"""The checks of a running decision service: its key, its table, its decisions and their latency.

It publishes nothing. Nothing of a response is shown but the service's own words, escaped.
"""

import asyncio
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from statistics import median
from typing import Any, Final, NamedTuple

import httpx

from reconciler.cli.clients import ca_file
from reconciler.cli.files import text_of_variable
from reconciler.cli.rule_lists import unlisted_queues
from reconciler.cli.session import Session
from reconciler.core.behaviour.routing_entry import destination_of_rule
from reconciler.core.checks.route_tests import Checked, RouteTestResult, check
from reconciler.core.errors import CredentialsError, CxrouteError
from reconciler.core.model.check import CheckResult, CheckStatus
from reconciler.core.model.rule import Queue
from reconciler.core.pipeline import planner_for
from reconciler.core.plan.stages import LiveState
from reconciler.core.text.escape import join_first, pluralize, sanitize
from reconciler.core.text.redact import REDACTOR
from reconciler.targets.decide.rules_routes import RULES_PATH
from reconciler.targets.decide.table import (
    MAX_TABLE_BYTES,
    PublishedTable,
    TableError,
    parse_table,
)
from reconciler.targets.decide.target import served_settings
from reconciler.targets.platform.service import allowed_hosts, check_service_host
from reconciler.targets.platform.transport.tls import load_tls_context

_DECIDE_PATH: Final = "/decide"
_API_KEYS: Final = "CXROUTE_API_KEYS"
_CALL_SECONDS: Final = 10.0
_MAX_TESTS: Final = 500
_MAX_LISTED: Final = 3
_MAX_REASON: Final = 200  # characters
_MAX_ANSWER: Final = 2 * MAX_TABLE_BYTES
_NO_ANSWER: Final = "Check the address, and that `cxroute serve --decide` runs there"


class ServiceReply(NamedTuple):
    """A response: its status, its JSON (None for anything else), and the seconds it took."""

    status: int
    form: Any
    seconds: float

    @property
    def reason(self) -> str:
        """Return the status, and the service's own words in one safe line."""
        said = self.form.get("error") if isinstance(self.form, dict) else None
        words = f", {sanitize(said, _MAX_REASON)}" if isinstance(said, str) else ""
        return f"status {self.status}{words}"


class _NoReplyError(Exception):
    """The service sent no complete response."""


@dataclass(slots=True)
class DecisionServiceCheck:
    """Checks the decision service at an address, for one Environment."""

    session: Session
    url: str
    lines: list[CheckResult]
    _seconds: list[float] = field(default_factory=list)  # of each decision

    async def run(self) -> None:
        """Add a line for each check; a check that fails ends those that depend on it."""
        try:
            check_service_host(self.url, allowed_hosts())
            variable = served_settings(self.session.environment).key_env
            key = _read_key(variable)
            async with httpx.AsyncClient(
                verify=load_tls_context(ca_file()),
                trust_env=False,
                timeout=_CALL_SECONDS,
            ) as client:
                if await self._check_table(client, key, variable):
                    await self._check_decisions(client)
        except CxrouteError as error:
            self._add("endpoint", "fail", str(error))
        except _NoReplyError:
            self._add("endpoint", "fail", "there is no usable response", _NO_ANSWER)
        if self._seconds:
            milliseconds = median(self._seconds) * 1000
            count = pluralize(len(self._seconds), "decision")
            text = f"{milliseconds:.1f} ms, the median of {count}"
            self._add("latency", "ok", text)

    def _add(
        self, name: str, status: CheckStatus, message: str, advice: str = ""
    ) -> None:
        self.lines.append(CheckResult(name, status, message, advice))

    async def _check_table(
        self, client: httpx.AsyncClient, key: str, variable: str
    ) -> bool:
        """Add lines on the key and the published table. Return whether there is a table."""
        reply = await self._send(client, "GET", RULES_PATH, key)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            problem = f"the service refuses the key of {variable} ({reply.reason})"
            advice = "It must be one of CXROUTE_READ_KEYS or CXROUTE_ADMIN_KEYS there"
            self._add("service key", "fail", problem, advice)
            return False
        if reply.status not in (HTTPStatus.OK, HTTPStatus.NOT_FOUND):
            self._add("table", "fail", reply.reason, _NO_ANSWER)
            return False
        said = f"{variable} may read the table" if key else "the service needs none"
        self._add("service key", "ok", said)
        if reply.status == HTTPStatus.NOT_FOUND:
            advice = f"`cxroute apply -e {self.session.environment.name}` publishes one"
            self._add("table", "fail", f"it has no table ({reply.reason})", advice)
            return False
        self._compare(reply.form)
        return True

    def _compare(self, form: object) -> None:
        """Add whether the published table is that of the manifests. Raises CxrouteError."""
        session = self.session
        try:
            table = parse_table(form)
        except TableError as error:
            text = (
                f"the response has no valid table: {sanitize(str(error), _MAX_REASON)}"
            )
            self._add("table", "fail", text, _NO_ANSWER)
            return
        live = self._live_state(table)
        planner = planner_for(session.manifests, session.environment, live)
        changes = planner.find_changes(live)
        digest = table.digest[:12]
        if changes.changes or changes.changes_settings:
            text = f"its table ({digest}) is not that of the manifests"
            advice = f"`cxroute plan -e {session.environment.name}` says what differs"
            self._add("table", "fail", text, advice)
            return
        rules = pluralize(len(table.rules), "rule")
        self._add("table", "ok", f"that of the manifests: {rules}, digest {digest}")

    def _live_state(self, table: PublishedTable) -> LiveState:
        """Return the table as live rules, with the further queues that the manifests use."""
        queues = [Queue(*pair) for pair in table.queues.items()]
        queues += unlisted_queues(
            self.session.manifests, self.session.environment, queues
        )
        settings = table.settings.table_settings
        return LiveState(table.rules, tuple(queues), settings=settings)

    async def _check_decisions(self, client: httpx.AsyncClient) -> None:
        """Add whether each route test gets the queue that the manifests choose."""
        keys = [key.strip() for key in _read_key(_API_KEYS).split(",")]
        key = next(filter(None, keys), "")
        checked = check(self.session.manifests, self.session.environment)
        tests = list(_events(checked))[:_MAX_TESTS]
        if not key:
            text = f"not tried: {_API_KEYS} is not set"
            advice = (
                "Set it to a key of the service; to any text if the service needs none"
            )
            self._add("decisions", "warn", text, advice)
            return
        if not tests:
            text = "not tried: no route test passes and states an event"
            self._add("decisions", "warn", text, "Write a RouteTests document")
            return

        REDACTOR.add(key)
        await self._try_decisions(client, key, checked, tests)

    async def _try_decisions(
        self,
        client: httpx.AsyncClient,
        key: str,
        checked: Checked,
        tests: Sequence[RouteTestResult],
    ) -> None:
        """Ask for the decision of each route test, and add a line on all of them."""
        wrong = []
        for test in tests:
            body = self._question(test)
            reply = await self._send(client, "POST", _DECIDE_PATH, key, body)
            if reply.status == HTTPStatus.UNAUTHORIZED:
                problem = f"the service refuses the first key of {_API_KEYS}"
                self._add("decisions", "fail", f"{problem} ({reply.reason})")
                return
            self._seconds.append(reply.seconds)
            if not _agrees(reply, _expected_names(test, checked.queues)):
                wrong.append(f"{test.document} {test.number}")
        self._add_decisions(len(tests), len(checked.tried), wrong)

    def _add_decisions(self, tried: int, tests: int, wrong: Sequence[str]) -> None:
        """Add the line on the decisions about route tests."""
        count = pluralize(tried, "route test")
        if wrong:
            listed = join_first(wrong, _MAX_LISTED)
            text = f"{len(wrong)} of {count} get another queue than by the manifests: {listed}"
            advice = "Compare the table with `cxroute plan`; a script asks for the same"
            self._add("decisions", "fail", text, advice)
            return
        others = tests - tried
        rest = f"; {others} not tried" if others else ""
        self._add("decisions", "ok", f"{count} as by the manifests{rest}")

    def _question(self, test: RouteTestResult) -> dict[str, Any]:
        """Return the body of a question about the conversation of a route test."""
        names = self.session.environment.attributes
        others = {
            name: value
            for name, value in test.conversation.items()
            if name not in (names.intent, names.confidence)
        }
        return {
            "conversationId": None,
            "intent": test.conversation.get(names.intent),
            "confidence": test.conversation.get(names.confidence),
            "attributes": others,
        }

    async def _send(
        self,
        client: httpx.AsyncClient,
        method: str,
        path: str,
        key: str,
        body: object = None,
    ) -> ServiceReply:
        """Send one request. Raises _NoReplyError."""
        headers = {"Accept-Encoding": "identity"}
        if key:
            headers["Authorization"] = f"Bearer {key}"
        content = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(body).encode()
        started = time.perf_counter()
        url = f"{self.url.rstrip('/')}{path}"
        try:
            async with (
                asyncio.timeout(_CALL_SECONDS),
                client.stream(
                    method, url, headers=headers, content=content
                ) as response,
            ):
                text = await _read_body(response)
        except (TimeoutError, httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _NoReplyError from error
        seconds = time.perf_counter() - started
        try:
            form = json.loads(text)
        except (ValueError, RecursionError):
            form = None
        return ServiceReply(response.status_code, form, seconds)


def _read_key(variable: str) -> str:
    """Return a secret; an empty text if its variable is not set. Raises CredentialsError."""
    key = text_of_variable(variable, CredentialsError) or ""
    if key:
        REDACTOR.add(key)
    return key


async def _read_body(response: httpx.Response) -> bytes:
    """Return the body, not decompressed: a little may expand to much. Raises _NoReplyError."""
    parts = bytearray()
    async for part in response.aiter_raw():
        parts += part
        if len(parts) > _MAX_ANSWER:
            raise _NoReplyError
    return bytes(parts)


def _events(checked: Checked) -> Iterator[RouteTestResult]:
    """Yield the route tests that pass on the manifests and state what a bot may send.

    A test may state a context instead: the service would apply the fallback to it.
    """
    if checked.desired is None:
        return
    endpoint = checked.desired.endpoint
    for result in checked.tried:
        if not isinstance(result, RouteTestResult) or result.failure is not None:
            continue
        if result.is_of_another_time:
            continue
        context = endpoint.context(result.conversation).attributes
        if dict(context) == dict(result.context):
            yield result


def _expected_names(test: RouteTestResult, names: Mapping[str, str]) -> frozenset[str]:
    """Return the names of the queues to which the manifests send a conversation."""
    destination = destination_of_rule(test.winner) or ()
    return frozenset(names.get(queue_id, queue_id) for queue_id, _ in destination)


def _agrees(reply: ServiceReply, expected: frozenset[str]) -> bool:
    """Return whether the answer's queue is an expected one; none is expected without a rule."""
    if reply.status != HTTPStatus.OK or not isinstance(reply.form, dict):
        return False
    queue = reply.form.get("queue")
    if queue is None:
        return not expected
    return isinstance(queue, dict) and queue.get("name") in expected
