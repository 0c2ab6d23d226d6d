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
from contextlib import AsyncExitStack, asynccontextmanager, closing
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from reconciler.cli.arguments import requires_extra
from reconciler.cli.clients import open_context_client
from reconciler.cli.command_line import expected_queues, utc_now
from reconciler.cli.files import FOLDER, ignored_by_git, text_of_variable
from reconciler.cli.hooks import open_sandbox_tables
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
from reconciler.features.endpoint.auth import (
    ApiKeys,
    SecretError,
    SignatureVerifier,
)
from reconciler.features.endpoint.conversations import ConversationLocks
from reconciler.features.endpoint.decide.collector import paused_collector
from reconciler.features.endpoint.decide.live_table import Follower
from reconciler.features.endpoint.decide.service import (
    DecisionService,
    RouteKeys,
    ServiceSurroundings,
)
from reconciler.features.endpoint.handler import EventPolicy, WriteAttributes
from reconciler.features.endpoint.server_log import log
from reconciler.render.text.explain import explain_document
from reconciler.targets.decide.file_tables import FileTables
from reconciler.targets.decide.publication import TableStore
from reconciler.targets.platform.context_client import (
    ContextClient,
    ignored_conversations,
)

if TYPE_CHECKING:  # an optional extra
    from reconciler.features.endpoint.redis.heartbeat import PaceControl

TABLE: Final = FOLDER / "table.json"
HELP: Final = """\
$CXROUTE_API_KEYS holds the API keys, separated by commas so that keys can be rotated. $CXROUTE_WEBHOOK_SECRETS holds
the secrets for signatures by Standard Webhooks. Each can be in a file: $CXROUTE_API_KEYS_FILE. Without keys and
secrets, the endpoint listens on loopback only.

With --decide it answers where a conversation goes, by the published table: POST /decide, POST /exchange (a script),
GET and PUT /rules. $CXROUTE_API_KEYS ask for decisions, $CXROUTE_READ_KEYS read the table, $CXROUTE_ADMIN_KEYS publish.

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
    decide: bool
    table: str | None


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
    add(
        "--decide",
        action="store_true",
        help="decide by the published table: /decide, /exchange and /rules",
    )
    add(
        "--table",
        metavar="FILE",
        help=f"file of the published table (default: {TABLE}; with --shared it is in Redis)",
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
            f"{service} of {name} on {address}   (stop it with Ctrl-C)\n"
        )
        session.output.flush()

    name = session.environment.name
    service = "Decision service" if options.decide else "Context endpoint"
    async with AsyncExitStack() as stack:
        client = None
        if serves_events(options, session):
            context_client = open_context_client(session, DEADLINE)
            client = await stack.enter_async_context(context_client)
        joining = open_cluster(settings.shared, name, client)
        cluster = await stack.enter_async_context(joining)
        decisions = None
        if options.decide:
            store = open_tables(options, session, cluster)
            decisions = decision_service(store, settings)
            await stack.enter_async_context(following(decisions.follower))
        app = build_endpoint(options, session, settings, client, cluster, decisions)
        await serve(app, listener, print_address, app.record_refusal, app.drain)


def serves_events(options: ServeOptions, session: Session) -> bool:
    """Return whether events are taken.

    A decision service takes none without a tenant. Nor does it in the sandbox: its state stays free
    for `cxroute apply`.
    """
    if not options.decide:
        return True
    return session.environment.has_tenant and not session.simulated


class Cluster(NamedTuple):
    """The instances that share a Redis, or one process alone, without tables."""

    join: Callable[[EndpointDependencies], EndpointDependencies]
    tables: TableStore | None = None


def open_tables(
    options: ServeOptions, session: Session, cluster: Cluster
) -> TableStore:
    """Return the store of the published tables: that of the cluster, the named file, the sandbox's
    state, or the default file.
    """
    if cluster.tables is not None:
        return cluster.tables
    if options.table is None and session.simulated:
        return open_sandbox_tables()
    path = Path(options.table) if options.table else ignored_by_git(TABLE)
    return FileTables(path)


def decision_service(store: TableStore, settings: "ServeSettings") -> DecisionService:
    """Return the decision service of a store, with its keys."""
    keys = RouteKeys(
        decide=ApiKeys(settings.keys),
        read=ApiKeys(settings.read_keys),
        publish=ApiKeys(settings.admin_keys),
        signatures=SignatureVerifier(settings.secrets),
    )
    surroundings = ServiceSurroundings(
        now=utc_now,
        clock=time.monotonic,
        log=log,
        pause=paused_collector,
    )
    return DecisionService(store, keys, surroundings)


@asynccontextmanager
async def following(follower: Follower) -> AsyncIterator[None]:
    """Follow the store of tables while the block runs; the first look is done before it."""
    await follower.look()
    task = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


_ADVICE_INTERVAL: Final = 60.0  # seconds
_CALL_SECONDS: Final = 0.8  # a slow call (W10, W11)


def build_endpoint(
    options: ServeOptions,
    session: Session,
    settings: "ServeSettings",
    client: ContextClient | None,
    cluster: Cluster,
    decisions: DecisionService | None = None,
) -> ContextApp:
    """Return the endpoint; without a client it takes no events."""

    def metrics() -> Iterator[str]:
        if client is not None:
            yield from upstream_metrics(client)
        yield from process_metrics()

    rate = session.environment.api.requests_per_second
    alone = EndpointDependencies(
        now=utc_now,
        log=log,
        log_label=_hash_conversation if options.hash_conversations else str,
        metrics=metrics,
        max_waiting=max_calls(rate * DEADLINE),
        decisions=decisions,
    )
    if client is not None:
        alone = replace(alone, ready=client.is_ready)
    explain_route = _route_explainer(session) if options.explain else None
    policy = _event_policy(session, explain_route)
    write = _context_writer(session, client) if client is not None else None
    shared = cluster.join(alone)
    return ContextApp(write, settings.keys, settings.secrets, policy, shared)


def _context_writer(session: Session, client: ContextClient) -> WriteAttributes:
    """Return the function that writes to conversations, and advises the operator after errors."""
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

    return write


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
    url: str, environment: str, client: ContextClient | None
) -> AsyncIterator[Cluster]:
    """Join the instances that share a Redis; without a URL, the endpoint runs alone."""
    if not url:
        yield Cluster(lambda alone: alone)
        return
    from reconciler.features.endpoint.redis.connection import SharedRedis, redis_client  # noqa: PLC0415 - see above
    from reconciler.features.endpoint.redis.heartbeat import Heartbeat  # noqa: PLC0415 - see above
    from reconciler.features.endpoint.redis.stores import RedisLocks, RedisMessageIds  # noqa: PLC0415 - see above
    from reconciler.features.endpoint.redis.tables import RedisTables  # noqa: PLC0415 - see above

    connection = redis_client(url, os.environ.get("CXROUTE_CA_FILE"))
    redis = SharedRedis(connection, f"cxroute:{environment}")
    locks = RedisLocks(redis, ConversationLocks(time.monotonic))
    stores = (locks, RedisMessageIds(redis))
    heartbeat = Heartbeat(redis, _pace_control(client), log)

    def join(alone: EndpointDependencies) -> EndpointDependencies:
        shared = _share_dependencies(
            alone, lambda: redis.is_usable, lambda: heartbeat.instances
        )
        return replace(shared, stores=stores)

    task = asyncio.create_task(heartbeat.run())
    try:
        yield Cluster(join, RedisTables(redis))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await heartbeat.leave()
        await redis.close()


def _pace_control(client: ContextClient | None) -> "PaceControl":
    """Return how the instances share the rate of calls to the tenant; without one, not at all."""
    from reconciler.features.endpoint.redis.heartbeat import PaceControl  # noqa: PLC0415 - see above

    if client is None:
        return PaceControl(lambda _share: None, lambda _seconds: None, lambda: 0.0)
    limiter = client.rate_limiter
    return PaceControl(limiter.set_share, limiter.pause, lambda: limiter.pause_seconds)


def _share_dependencies(
    alone: EndpointDependencies,
    redis_is_usable: Callable[[], bool],
    instances: Callable[[], int],
) -> EndpointDependencies:
    """Return the dependencies of one of several instances: it is ready only with Redis, says in its
    metrics whether Redis is usable, and has its share of the rate limit.

    A decision service decides without Redis, by the table that it has: it stays ready.
    """
    decides = alone.decisions is not None

    async def ready() -> bool:
        return (decides or redis_is_usable()) and await alone.ready()

    def metrics() -> Iterator[str]:
        yield from alone.metrics()
        away = "1 while Redis is unavailable, else 0."
        yield from metric("cxroute_shared_away", "gauge", away, not redis_is_usable())

    def limit_share() -> float:
        return 1 / instances()

    return replace(alone, ready=ready, metrics=metrics, limit_share=limit_share)


_KEYS: Final = "CXROUTE_API_KEYS"
_SECRETS: Final = "CXROUTE_WEBHOOK_SECRETS"
_READ_KEYS: Final = "CXROUTE_READ_KEYS"
_ADMIN_KEYS: Final = "CXROUTE_ADMIN_KEYS"


class ServeSettings(NamedTuple):
    """The endpoint's port, its shared Redis, its keys and its secrets; with a decision service, the
    keys to read and to publish its table.
    """

    port: int
    shared: str
    keys: tuple[str, ...]
    secrets: tuple[str, ...]
    read_keys: tuple[str, ...] = ()
    admin_keys: tuple[str, ...] = ()

    @property
    def is_open(self) -> bool:
        """Return whether no key and no secret is set."""
        return not (self.keys or self.secrets or self.read_keys or self.admin_keys)


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
    settings = _add_decide_settings(settings, options)
    if settings.is_open and not is_loopback(options.host):
        raise UsageError(
            f"--host {options.host}: without keys in ${_KEYS}, `serve` listens on loopback only"
        )
    try:
        SignatureVerifier(settings.secrets)
    except SecretError as error:
        raise UsageError(f"{_SECRETS}: {error}") from error
    return settings


def _add_decide_settings(
    settings: ServeSettings, options: ServeOptions
) -> ServeSettings:
    """Return the settings with the keys of a decision service. Raises UsageError."""
    if options.table is not None and not options.decide:
        raise UsageError("--table needs --decide")
    if options.table is not None and settings.shared:
        raise UsageError(
            "--table and --shared exclude each other: the instances keep the table in Redis"
        )
    if not options.decide:
        return settings
    settings = settings._replace(
        read_keys=_read_list(_READ_KEYS), admin_keys=_read_list(_ADMIN_KEYS)
    )
    classes = {
        _KEYS: settings.keys,
        _READ_KEYS: settings.read_keys,
        _ADMIN_KEYS: settings.admin_keys,
    }
    for first, second in combinations(classes, 2):
        if set(classes[first]) & set(classes[second]):
            raise UsageError(
                f"{first} and {second} have a key in common: a key has one purpose"
            )
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
