"""`cxroute serve`: the context endpoint, to which a bot posts intent and confidence; with Redis or
without.
"""

import asyncio
import hashlib
import json
import os
import socket
import time
from argparse import ArgumentParser
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

from reconciler.cli.arguments import requires_extra
from reconciler.cli.clients import open_context_client
from reconciler.cli.command_line import expected_queues, utc_now
from reconciler.cli.files import text_of_variable
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.process_metrics import process_metrics
from reconciler.cli.rule_sources import list_rules
from reconciler.cli.session import Session, open_session
from reconciler.core.behaviour.endpoint_stage import NO_FALLBACK
from reconciler.core.checks.explain import explain
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.errors import (
    CredentialsError,
    ScopeError,
    UndefinedFieldsError,
    UsageError,
)
from reconciler.core.text.hosts import LAST_PORT, is_loopback
from reconciler.core.text.prometheus import metric
from reconciler.core.text.redact import REDACTOR
from reconciler.features.endpoint.app import DEADLINE, ContextApp, EndpointDependencies
from reconciler.features.endpoint.auth import SecretError, SignatureVerifier
from reconciler.features.endpoint.conversations import ConversationLocks
from reconciler.features.endpoint.handler import EventPolicy
from reconciler.features.endpoint.server_log import log
from reconciler.render.text.explain import explain_document
from reconciler.targets.platform.context_client import (
    ContextClient,
    ignored_conversations,
)

HELP: Final = """\
$CXROUTE_API_KEYS holds the API keys, separated by commas so that keys can be rotated. $CXROUTE_WEBHOOK_SECRETS holds
the secrets for signatures by Standard Webhooks. Each can be in a file: $CXROUTE_API_KEYS_FILE. Without keys and
secrets, the endpoint listens on loopback only.

POST /api/route {"conversationId": "...", "intent": "...", "confidence": 0.9, "timestamp": "2026-02-01T09:00:00Z"}
GET /health, /ready, /metrics. Log: one line of JSON per request, on stderr."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeOptions(SessionOptions):
    """The options of `cxroute serve`."""

    host: str
    port: str | None
    shared: str | None
    explain: bool
    hash_conversations: bool


def options(parser: ArgumentParser) -> type[ServeOptions]:
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    add(
        "--port",
        metavar="N",
        help="port to listen on; 0 selects a free port (default: $PORT, or 3000)",
    )
    redis = (
        "Redis that several instances share, redis://HOST:PORT/DB (or $CXROUTE_SHARED)"
    )
    add("--shared", metavar="URL", help=redis)
    add(
        "--explain",
        action="store_true",
        help="add to each response the rule and queue that the manifests choose",
    )
    add(
        "--hash-conversations",
        action="store_true",
        help="log a hash in place of the conversation id",
    )
    parser.epilog = HELP
    return ServeOptions


def run(options: ServeOptions, output: Output) -> int:
    """Serve until SIGINT or SIGTERM, and finish accepted requests."""
    settings = read_settings(options)
    with requires_extra("serve", "`cxroute serve`"):
        from reconciler.cli.http_server import open_listener, run_event_loop  # noqa: PLC0415 - an optional extra
    session = open_session(options, output)
    expected_queues(session.manifests, session.environment.name)
    with open_listener(options.host, settings.port) as listener, closing(log):
        session.print_banner()
        api = session.environment.api
        if "concurrency" not in api.model_fields_set:
            api = api.model_copy(
                update={"concurrency": max_calls(api.requests_per_second)}
            )
            session = replace(
                session, environment=session.environment.model_copy(update={"api": api})
            )
        run_event_loop(_serve(options, session, settings, listener))
    return 0


async def _serve(
    options: ServeOptions,
    session: Session,
    settings: "ServeSettings",
    listener: socket.socket,
) -> None:
    from reconciler.cli.http_server import serve  # noqa: PLC0415 - see `run`

    def print_address(address: str) -> None:
        session.output.result(
            f"Context endpoint of {name} on {address}   (stop it with Ctrl-C)\n"
        )
        session.output.flush()

    name = session.environment.name
    async with (
        open_context_client(session, DEADLINE) as client,
        open_cluster(settings.shared, name, client) as join,
    ):
        app = build_endpoint(options, session, settings, client, join)
        await serve(app, listener, print_address, app.record_refusal, app.drain)


# one process -> one of several that share a Redis
JoinCluster = Callable[[EndpointDependencies], EndpointDependencies]
_ADVICE_INTERVAL: Final = 60.0  # seconds
_CALL_SECONDS: Final = 0.8  # a slow call (W10, W11)


def build_endpoint(
    options: ServeOptions,
    session: Session,
    settings: "ServeSettings",
    client: ContextClient,
    join: JoinCluster,
) -> ContextApp:
    advise = Advice(log, time.monotonic)

    async def write(
        conversation: str, attributes: Mapping[str, Any], seconds: float
    ) -> Any:  # noqa: ANN401 - any JSON
        try:
            answer = await client.write(conversation, attributes, seconds)
            return REDACTOR.redact_json(answer)
        except UndefinedFieldsError as error:
            advise(str(error))
            raise
        except (CredentialsError, ScopeError):  # their texts quote the tenant
            advise(
                f"the tenant refuses the endpoint's login: run cxroute doctor -e "
                f"{session.environment.name}"
            )
            raise

    def metrics() -> Iterator[str]:
        yield from upstream_metrics(client)
        yield from process_metrics()

    rate = session.environment.api.requests_per_second
    alone = EndpointDependencies(
        now=utc_now,
        ready=client.is_ready,
        log=log,
        log_label=_hash_conversation if options.hash_conversations else str,
        metrics=metrics,
        max_waiting=max_calls(rate * DEADLINE),
    )
    explain_route = _route_explainer(session) if options.explain else None
    policy = _event_policy(session, explain_route)
    return ContextApp(write, settings.keys, settings.secrets, policy, join(alone))


def _hash_conversation(conversation: str) -> str:
    digest = hashlib.sha256(conversation.encode())
    return digest.hexdigest()[:16]


def _event_policy(
    session: Session, explain_route: Callable[[Mapping[str, Any]], Any] | None
) -> EventPolicy:
    environment = session.environment
    names = environment.attributes
    return EventPolicy(
        names=(names.intent, names.confidence, names.updated_at),
        fallback=endpoint_stage(session.manifests, environment).fallback,
        explain=explain_route,
        ignored_conversations=ignored_conversations(environment),
    )


def upstream_metrics(client: ContextClient) -> Iterator[str]:
    """Yield the lines of the metrics of the calls to CXone."""
    limiter = client.rate_limiter
    counts = {
        "requests": ("Calls to CXone, those for a token included.", limiter.requests),
        "retries": ("Calls to CXone that were retries.", limiter.retries),
        "throttled": ("Responses 429 of CXone.", limiter.throttled),
        "outages": ("Outages of CXone since the start.", client.circuit.opened),
    }
    for name, (text, count) in counts.items():
        yield from metric(f"cxroute_upstream_{name}_total", "counter", text, count)

    away = "1 while CXone does not answer, else 0."
    yield from metric("cxroute_upstream_away", "gauge", away, client.circuit.is_open)


def max_calls(rate: float) -> int:
    """Return the maximum number of concurrent calls for a rate per second."""
    return int(min(max(rate * _CALL_SECONDS, 16), 1000))


def _route_explainer(session: Session) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function from attributes to their rule and queue, as `cxroute explain` prints
    them.
    """
    entries, names = list_rules(session)
    stage = endpoint_stage(session.manifests, session.environment)
    # what is explained has passed the fallback
    stage = replace(stage, fallback=NO_FALLBACK)

    def route(attributes: Mapping[str, Any]) -> dict[str, Any]:
        scalars = {
            name: item
            for name, item in attributes.items()
            if isinstance(item, str | int | float)
        }
        explanation = explain(entries, scalars, session.environment, stage)
        document = explain_document(explanation, names)
        form: dict[str, Any] = {"rule": document["winner"]}
        if "destination" in document:
            form["destination"] = document["destination"]
        if "otherwise" in document:
            form["otherwise"] = document["otherwise"]
        return form

    return route


class Advice:
    """Logs advice for the operator, at most once a minute."""

    def __init__(
        self, log: Callable[[str], object], clock: Callable[[], float]
    ) -> None:
        self._log = log
        self._clock = clock
        self._next = clock()

    def __call__(self, text: str) -> None:
        """Log the advice, unless advice was logged within the last minute."""
        if self._clock() >= self._next:
            self._next = self._clock() + _ADVICE_INTERVAL
            self._log(json.dumps({"event": "advice", "advice": text}))


_SHARED: Final = "CXROUTE_SHARED"


def shared_url(option: str | None) -> str:
    """Return the URL of --shared or its variable, or "".

    Raises UsageError, which does not quote it.
    """
    url = option if option is not None else text_of_variable(_SHARED, UsageError)
    if url == "" and option is None:
        raise UsageError(f"the file that {_SHARED}_FILE names is empty")
    if not url:
        return ""
    REDACTOR.add(url)
    with requires_extra("serve", "--shared"):
        from reconciler.features.endpoint.redis.connection import (  # noqa: PLC0415 - an optional extra
            redis_client,
            split_url,
        )
    password = split_url(url).password
    REDACTOR.add(*([password, unquote(password)] if password else []))
    try:
        redis_client(url, None)
    except ValueError as error:
        raise UsageError(f"--shared, or ${_SHARED}: {error}") from None
    if option and password:
        seen = "--shared contains a password, and every user of this machine can see command lines"
        remedy = (
            f"put the URL into a file, and the path of the file into {_SHARED}_FILE"
        )
        log(json.dumps({"event": "advice", "advice": f"{seen}: {remedy}"}))
    return url


@asynccontextmanager
async def open_cluster(
    url: str, environment: str, client: ContextClient
) -> AsyncIterator[JoinCluster]:
    """Join the instances that share a Redis; without a URL, the endpoint runs alone."""
    if not url:
        yield lambda alone: alone
        return
    from reconciler.features.endpoint.redis.connection import SharedRedis, redis_client  # noqa: PLC0415 - see above
    from reconciler.features.endpoint.redis.heartbeat import Heartbeat, PaceControl  # noqa: PLC0415 - see above
    from reconciler.features.endpoint.redis.stores import RedisLocks, RedisMessageIds  # noqa: PLC0415 - see above

    connection = redis_client(url, os.environ.get("CXROUTE_CA_FILE"))
    redis = SharedRedis(connection, f"cxroute:{environment}")
    locks = RedisLocks(redis, ConversationLocks(time.monotonic))
    stores = (locks, RedisMessageIds(redis))
    limiter = client.rate_limiter
    pace = PaceControl(limiter.set_share, limiter.pause, lambda: limiter.pause_seconds)
    heartbeat = Heartbeat(redis, pace, log)

    def join(alone: EndpointDependencies) -> EndpointDependencies:
        shared = _share_dependencies(
            alone, lambda: redis.is_usable, lambda: heartbeat.instances
        )
        return replace(shared, stores=stores)

    task = asyncio.create_task(heartbeat.run())
    try:
        yield join
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await heartbeat.leave()
        await redis.close()


def _share_dependencies(
    alone: EndpointDependencies,
    redis_is_usable: Callable[[], bool],
    instances: Callable[[], int],
) -> EndpointDependencies:
    """Return the dependencies of one of several instances: it is ready only with Redis, says in its
    metrics whether Redis is usable, and has its share of the rate limit.
    """

    async def ready() -> bool:
        return redis_is_usable() and await alone.ready()

    def metrics() -> Iterator[str]:
        yield from alone.metrics()
        away = "1 while Redis is unavailable, else 0."
        yield from metric("cxroute_shared_away", "gauge", away, not redis_is_usable())

    def limit_share() -> float:
        return 1 / instances()

    return replace(alone, ready=ready, metrics=metrics, limit_share=limit_share)


_KEYS: Final = "CXROUTE_API_KEYS"
_SECRETS: Final = "CXROUTE_WEBHOOK_SECRETS"


class ServeSettings(NamedTuple):
    """The endpoint's port, its shared Redis, its keys and its secrets."""

    port: int
    shared: str
    keys: tuple[str, ...]
    secrets: tuple[str, ...]


def read_settings(options: ServeOptions) -> ServeSettings:
    """Return the settings of the command line and the environment. Raises UsageError."""
    port = options.port
    if port is None:
        port = os.environ.get("PORT") or "3000"
    if not (port.isascii() and port.isdigit()) or int(port[:6]) > LAST_PORT:
        raise UsageError(f"invalid port {port[:20]!r} (0-{LAST_PORT})")
    settings = ServeSettings(
        int(port), shared_url(options.shared), _read_list(_KEYS), _read_list(_SECRETS)
    )
    if not settings.keys and not settings.secrets and not is_loopback(options.host):
        raise UsageError(
            f"--host {options.host}: without keys in ${_KEYS}, `serve` listens on loopback only"
        )
    try:
        SignatureVerifier(settings.secrets)
    except SecretError as error:
        raise UsageError(f"{_SECRETS}: {error}") from error
    return settings


def _read_list(name: str) -> tuple[str, ...]:
    text = text_of_variable(name, UsageError)
    values = tuple(
        value
        for value in map(str.strip, (text or "").replace("\n", ",").split(","))
        if value
    )
    if text is not None and not values:
        raise UsageError(f"{name}, or its file, contains only commas and spaces")
    if not all(
        value.isascii() and value.isprintable() and " " not in value for value in values
    ):
        remedy = "use letters, digits and punctuation, without spaces"
        raise UsageError(
            f"{name} contains characters that a header cannot have: {remedy}"
        )
    REDACTOR.add(*values)
    return values
