"""The routes of the decision service: /decide and /exchange for scripts, /rules for people.

Every answer is by one whole table. Nothing of a body is logged or kept.
"""

import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.core.text.prometheus import metric, metric_header, sample
from reconciler.features.endpoint import messages
from reconciler.features.endpoint.auth import ApiKeys, SignatureVerifier
from reconciler.features.endpoint.decide.exchange import (
    EXCHANGE_BODY,
    parse_exchange,
    return_control,
    return_error,
)
from reconciler.features.endpoint.decide.live_table import Follower, LiveTable, Pause
from reconciler.features.endpoint.decide.question import Question, parse_question
from reconciler.features.endpoint.decide.shadow import Shadow
from reconciler.features.endpoint.event import InvalidEventError
from reconciler.features.endpoint.messages import (
    BodyLimits,
    EndpointResponse,
    RequestRefusedError,
    encode_json,
    error_response,
    retry_later,
)
from reconciler.targets.decide.decision import Decision
from reconciler.targets.decide.publication import TableStore
from reconciler.targets.decide.rules_routes import (
    RULES_PATH,
    RulesRequest,
    RulesResponse,
    is_rules_path,
    respond,
)
from reconciler.targets.decide.slices import in_slices
from reconciler.targets.decide.table import MAX_TABLE_BYTES

if TYPE_CHECKING:
    from starlette.types import Receive, Scope

DECIDE_PATH: Final = "/decide"
EXCHANGE_PATH: Final = "/exchange"
SHADOW_PATH: Final = "/rules/shadow"
_NAMES: Final = (
    "/decide",
    "/exchange",
    "/rules",
    "/rules/versions",
    "/rules/shadow",
)
_TABLE_BODY: Final = BodyLimits(
    MAX_TABLE_BYTES, re.compile(rb"application/json"), "application/json"
)
_OUTCOMES: Final = ("rule", "default", "fallback", "error")
_BEARER: Final = (b"www-authenticate", b"Bearer")
NO_TABLE: Final = "no table is published yet"


class RouteKeys(NamedTuple):
    """The keys of the three classes of routes, and the signing secrets of events.

    Without any of them everything is open: the command listens on loopback then. With one of them,
    a class without keys is closed.
    """

    decide: ApiKeys
    read: ApiKeys
    publish: ApiKeys
    signatures: SignatureVerifier

    @property
    def is_open(self) -> bool:
        """Return whether no key is needed."""
        all_keys = (self.decide, self.read, self.publish, self.signatures)
        return not any(len(keys) for keys in all_keys)

    def may_decide(self, headers: messages.Headers) -> bool:
        """Return whether a request may ask for decisions."""
        return self.is_open or self.decide.accepts(headers)

    def may_read(self, headers: messages.Headers) -> bool:
        """Return whether a request may read the table."""
        accepted = [keys.accepts(headers) for keys in (self.read, self.publish)]
        return self.is_open or True in accepted

    def may_publish(self, headers: messages.Headers) -> bool:
        """Return whether a request may publish a table."""
        return self.is_open or self.publish.accepts(headers)


class ServiceSurroundings(NamedTuple):
    """The clocks and the log of a service; the defaults are those of one process."""

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    clock: Callable[[], float] = time.monotonic
    log: Callable[[str], object] = lambda _line: None
    # Surrounds the work on a whole table.
    pause: Pause = nullcontext


class DecisionService:
    """Answers the routes of the decision service by the newest table of a store."""

    def __init__(
        self,
        store: TableStore,
        keys: RouteKeys,
        surroundings: ServiceSurroundings,
    ) -> None:
        self.follower = Follower(store, surroundings.log, surroundings.pause)
        self.keys = keys
        self.shadow = Shadow(surroundings.log, surroundings.clock)
        self._store = store
        self._surroundings = surroundings
        self._outcomes = Counter(dict.fromkeys(_OUTCOMES, 0))

    def path_name(self, path: str) -> str | None:
        """Return the name of a path in the log; None for a path that is not answered here."""
        if path in _NAMES:
            return path
        return "/rules/versions" if is_rules_path(path) else None

    async def answer(
        self, path: str, scope: "Scope", receive: "Receive"
    ) -> EndpointResponse:
        """Return the response to a request for a path that has a name.

        Raises RequestRefusedError.
        """
        if path == DECIDE_PATH:
            return await self._answer_decide(scope, receive)
        if path == EXCHANGE_PATH:
            return await self._answer_exchange(scope, receive)
        return await self._answer_rules(path, scope, receive)

    # decisions

    async def _answer_decide(
        self, scope: "Scope", receive: "Receive"
    ) -> EndpointResponse:
        body = await self._read_question(scope, receive, messages.EVENT_BODY)
        live = await self.follower.current()
        if live is None:
            self._outcomes["error"] += 1
            return retry_later(503, "no_table", NO_TABLE)
        try:
            question = parse_question(body, live.names)
        except InvalidEventError as error:
            self._outcomes["error"] += 1
            return error_response(400, "invalid", str(error))
        decision = self.decide(live, question)
        content = encode_json(live.decision_json(decision))
        return EndpointResponse(200, _outcome(decision), content)

    async def _answer_exchange(
        self, scope: "Scope", receive: "Receive"
    ) -> EndpointResponse:
        body = await self._read_question(scope, receive, EXCHANGE_BODY)
        try:
            return await self._exchange(body)
        except Exception as bug:  # noqa: BLE001 - a script gets its Error branch after any error
            line = {"event": "bug", "error": type(bug).__name__}
            self._surroundings.log(json.dumps(line))
            return self._exchange_error("the decision service failed")

    async def _exchange(self, body: bytes) -> EndpointResponse:
        live = await self.follower.current()
        if live is None:
            return self._exchange_error(NO_TABLE)
        try:
            request = parse_exchange(body, live.payload_names)
        except InvalidEventError as error:
            return self._exchange_error(str(error))
        decision = self.decide(live, request.question)
        answer = return_control(request, live.exchange_answer(decision))
        return EndpointResponse(200, _outcome(decision), encode_json(answer))

    def _exchange_error(self, problem: str) -> EndpointResponse:
        self._outcomes["error"] += 1
        return EndpointResponse(200, "error", encode_json(return_error(problem)))

    async def _read_question(
        self, scope: "Scope", receive: "Receive", limits: BodyLimits
    ) -> bytes:
        """Return the body of an allowed POST. Raises RequestRefusedError."""
        headers = scope["headers"]
        if scope["method"] != "POST":
            raise RequestRefusedError(405, "method", "only POST", (b"allow", b"POST"))
        if not self.keys.may_decide(headers):
            raise RequestRefusedError(401, "unauthorized", "no valid key", _BEARER)
        messages.check_headers(headers, limits)
        return await messages.read_body(receive, limits)

    def decide(self, live: LiveTable, question: Question) -> Decision:
        """Return and count the decision by a table."""
        decision = live.decide(question.attributes, question.conversation)
        self._outcomes[_outcome(decision)] += 1
        if question.chosen:
            self.shadow.compare(decision, question.chosen, live.table)
        return decision

    # the table

    async def _answer_rules(
        self, path: str, scope: "Scope", receive: "Receive"
    ) -> EndpointResponse:
        headers = scope["headers"]
        method = scope["method"]
        is_put = method == "PUT"
        is_allowed = self.keys.may_publish if is_put else self.keys.may_read
        if not is_allowed(headers):
            raise RequestRefusedError(401, "unauthorized", "no valid key", _BEARER)
        allowed = "GET, PUT" if path == RULES_PATH else "GET"
        if method not in ("HEAD", *allowed.split(", ")):
            allow = (b"allow", allowed.encode())
            raise RequestRefusedError(405, "method", f"only {allowed}", allow)
        if path == SHADOW_PATH:
            return EndpointResponse(200, "ok", encode_json(self.shadow.to_json()))

        request = RulesRequest(method, path, _texts(headers))
        if is_put:
            messages.check_headers(headers, _TABLE_BODY)
            body = await messages.read_body(receive, _TABLE_BODY)
            return await self._publish(request._replace(body=body))
        return await _encode(
            await respond(request, self._store, self._surroundings.now)
        )

    async def _publish(self, request: RulesRequest) -> EndpointResponse:
        with self._surroundings.pause():
            response = await respond(request, self._store, self._surroundings.now)
        if response.status == HTTPStatus.OK:
            # a publisher that reads the answer finds the new table in force here
            await self.follower.look()
        return await _encode(response)

    # what the service says of itself

    async def is_ready(self) -> bool:
        """Return whether there is a table."""
        return await self.follower.current() is not None

    def metric_lines(self) -> Iterator[str]:
        """Yield the metrics in Prometheus' text format."""
        name = "cxroute_decisions_total"
        text = "Decisions, by outcome; fallback: by the intent of the fallback."
        yield from metric_header(name, "counter", text)
        for outcome, count in self._outcomes.items():
            yield sample(name, count, outcome=outcome)
        yield from self.shadow.lines()

        name = "cxroute_table_info"
        yield from metric_header(name, "gauge", "The table by which it decides.")
        live = self.follower.held
        if live is not None:
            facts = live.publication.facts
            yield sample(name, 1, digest=facts.digest, version=facts.version)
        away = (
            "1 while the store of tables cannot be read, or has lost its table, else 0."
        )
        yield from metric("cxroute_table_away", "gauge", away, self.follower.is_away)


def _outcome(decision: Decision) -> str:
    """Return the name of a decision in log and metrics."""
    if decision.fallback is not None:
        return "fallback"
    return "default" if decision.rule is None else "rule"


def _texts(headers: messages.Headers) -> dict[str, str]:
    """Return headers as texts; the values of a repeated one are joined, as HTTP says."""
    texts: dict[str, str] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        text = value.decode("latin-1")
        texts[key] = f"{texts[key]}, {text}" if key in texts else text
    return texts


async def _encode(response: RulesResponse) -> EndpointResponse:
    """Return the response of the routes /rules as one of the endpoint."""
    is_success = response.status < HTTPStatus.BAD_REQUEST
    outcome = "ok" if is_success else "refused"
    body = await in_slices(response.body_steps())
    headers = tuple(
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.items()
    )
    return EndpointResponse(response.status, outcome, body, headers=headers)
