"""The settings of `serve`, checked, and the endpoint over an environment's client, with Redis or without."""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import unquote

from reconciler.behaviour.evaluate import canonical_attributes
from reconciler.checks.explain import explain
from reconciler.cli.arguments import missing_extra
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.files import text_of_variable
from reconciler.cli.server_log import log
from reconciler.cli.session import Session
from reconciler.cxone.context_writers import ignored_conversations
from reconciler.desired.desired import convert_endpoint_values, desire_offline
from reconciler.endpoint.app import ContextApp, EndpointDependencies, Limits, Stores
from reconciler.endpoint.auth import SecretError
from reconciler.endpoint.conversations import ConversationLocks
from reconciler.endpoint.handler import AttributeNames, EventPolicy, FallbackPolicy
from reconciler.errors import UndefinedFieldsError, UsageError
from reconciler.plan.routing_table import desired_entries
from reconciler.render.text.explain import DisplayNames as RuleNames
from reconciler.render.text.explain import explain_document
from reconciler.text.hosts import is_loopback
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    from reconciler.cxone.context_client import ContextClient
Among = Callable[[EndpointDependencies], EndpointDependencies]
"""Makes of the surroundings of one process those of one of several."""

DEADLINE: Final = 5.0  # seconds for a request; the bot's platform gives up after eight
_ONCE: Final = 60.0  # seconds between two advices
_WAITING: Final = (16, 1000)  # Requests under way at the least and at the most


def build_endpoint(
    options: argparse.Namespace,
    session: Session,
    settings: ServeSettings,
    client: ContextClient,
    join_cluster: Callable[[EndpointDependencies], EndpointDependencies],
) -> ContextApp:
    """Return the endpoint over a client. `among` makes of the surroundings of one process those of one of several."""

    async def write(conversation: str, attributes: Mapping[str, Any], seconds: float) -> Any:  # noqa: ANN401 - any JSON
        try:
            return REDACTOR.redact_json(await client.write(conversation, attributes, seconds))
        except UndefinedFieldsError as error:
            advise(str(error))
            raise

    advise = Advice(log, time.monotonic)

    def gauges() -> dict[str, float]:
        pacer, circuit = client.rate_limiter, client.circuit
        return {
            "cxroute_upstream_requests": pacer.requests,
            "cxroute_upstream_retries": pacer.retries,
            "cxroute_upstream_away": circuit.is_open,
            "cxroute_upstream_outages": circuit.opened,
        }

    log_label = hash_conversation if options.hash_conversations else str
    surroundings = EndpointDependencies(now=utc_now, ready=client.is_ready, log=log, log_label=log_label, gauges=gauges)
    limits = Limits(max_waiting(session.environment.api.requests_per_second), DEADLINE)
    return ContextApp(
        write, settings.keys, settings.secrets, event_policy(options, session), join_cluster(surroundings), limits
    )


def max_waiting(rate: float) -> int:
    """Return how many requests may be under way: what fits into the deadline at the tenant's rate."""
    least, most = _WAITING
    return int(min(max(rate * DEADLINE * 0.8, least), most))


def max_calls(rate: float) -> int:
    """Return how many calls may be under way by default: those of 0.8 seconds (W10, W11)."""
    least, most = _WAITING
    return int(min(max(rate * 0.8, least), most))


def event_policy(options: argparse.Namespace, session: Session) -> EventPolicy:
    """Return the environment's policy for events."""
    names, context = session.environment.attributes, session.environment.context
    return EventPolicy(
        names=AttributeNames(names.intent, names.confidence, names.updated_at),
        fallback=FallbackPolicy(context.below.intent, context.min_confidence or 0) if context.below else None,
        known_intents=frozenset(intent for loaded in session.manifests.intents for intent in loaded.document.intents),
        explain=route_explainer(session) if options.explain else None,
        ignored_conversations=ignored_conversations(session.environment),
    )


def route_explainer(session: Session) -> Callable[[Mapping[str, Any]], Any]:
    """Return a function that names the rule and queue for attributes, as `cxroute explain` does."""
    desired, queues = desire_offline(session.manifests, session.environment)
    where = f"the manifests of {session.environment.name}"
    entries, names = desired_entries(desired), RuleNames(where, queues.names, desired.labels)

    def route(attributes: Mapping[str, Any]) -> dict[str, Any]:
        scalars = {name: item for name, item in attributes.items() if isinstance(item, str | int | float)}
        canonical = canonical_attributes(scalars)
        explanation = explain(entries, convert_endpoint_values(desired.types, canonical), session.environment)
        document = explain_document(explanation, names)
        places = ((key, document[key]) for key in ("destination", "otherwise") if key in document)
        return {"rule": document["winner"], **dict(places)}

    return route


class Advice:
    """Logs advice for the operator, at most once a minute."""

    def __init__(self, log: Callable[[str], object], clock: Callable[[], float]) -> None:
        self._log, self._clock = log, clock
        self._next = clock()

    def __call__(self, text: str) -> None:
        """Log the advice, unless one was logged within the minute."""
        if self._clock() >= self._next:
            self._next = self._clock() + _ONCE
            self._log(json.dumps({"event": "advice", "advice": text}))


def hash_conversation(conversation: str) -> str:
    """Return a stable hash in place of a conversation's id."""
    return hashlib.sha256(conversation.encode()).hexdigest()[:16]


_SHARED: Final = "CXROUTE_SHARED"
_SEEN: Final = (
    "--shared holds a password, and everybody on this machine can see its command lines: put the URL into a file, and"
    f" the file's name into {_SHARED}_FILE"
)


def shared_url(option: str | None) -> str:
    """Return the URL of --shared or its variable, or "". Raises UsageError, which repeats none of it."""
    url = option if option is not None else os.environ.get(_SHARED, "") or text_of_variable(_SHARED, UsageError)
    if url == "" and option is None:
        raise UsageError(f"the file that {_SHARED}_FILE names is empty")
    if not url:
        return ""
    REDACTOR.add(url)
    try:
        from reconciler.endpoint.redis.connection import connection_factory, split_url  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise missing_extra("--shared") from error
    password = split_url(url).password
    REDACTOR.add(*([password, unquote(password)] if password else []))
    try:
        connection_factory(url, None)
    except ValueError as error:
        raise UsageError(f"--shared, or ${_SHARED}: {error}") from None
    if option and password:
        log(json.dumps({"event": "advice", "advice": _SEEN}))
    return url


@asynccontextmanager
async def open_cluster(url: str, environment: str, client: ContextClient) -> AsyncIterator[Among]:
    """Join the instances that share a Redis; without a URL nothing is shared."""
    if not url:
        yield lambda alone: alone
        return
    from reconciler.endpoint.redis.connection import RedisConnection, connection_factory  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.membership import ClusterMembership, PaceControl  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.state import RedisState  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.stores import RedisLocks, RedisMessageIds  # noqa: PLC0415 - see above

    connect = connection_factory(url, os.environ.get("CXROUTE_CA_FILE"))
    shared = RedisState(lambda broken: RedisConnection(connect, broken), f"cxroute:{environment}")
    turns, ids = RedisLocks(shared, ConversationLocks(time.monotonic)), RedisMessageIds(shared, time.monotonic)
    limiter = client.rate_limiter
    pace = PaceControl(limiter.set_share, limiter.pause, lambda: limiter.pause_seconds)
    keeper = ClusterMembership(shared, turns, ids, pace, log)

    def among(alone: EndpointDependencies) -> EndpointDependencies:
        async def ready() -> bool:
            return shared.is_usable and await alone.ready()

        def gauges() -> dict[str, float]:
            return {**alone.gauges(), "cxroute_shared_away": not shared.is_usable}

        memory = Stores(turns, ids)
        return replace(alone, stores=memory, ready=ready, gauges=gauges, limit_share=lambda: 1 / keeper.instances)

    keeping = asyncio.create_task(keeper.run())
    try:
        yield among
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        await keeper.leave()


_KEYS, _SECRETS = "CXROUTE_API_KEYS", "CXROUTE_WEBHOOK_SECRETS"
_LAST_PORT: Final = 65_535


class ServeSettings(NamedTuple):
    """The endpoint's port, its shared Redis, its keys and its secrets."""

    port: int
    shared: str
    keys: tuple[str, ...]
    secrets: tuple[str, ...]


def read_settings(options: argparse.Namespace) -> ServeSettings:
    """Return the settings of the command line and the environment. Raises UsageError."""
    settings = ServeSettings(_port(options.port), shared_url(options.shared), _read_list(_KEYS), _read_list(_SECRETS))
    if not settings.keys and not settings.secrets and not is_loopback(options.host):
        raise UsageError(f"--host {options.host}: without keys in ${_KEYS} it listens on loopback only")
    try:
        ContextApp(_discard, settings.keys, settings.secrets)
    except SecretError as error:
        raise UsageError(f"{_SECRETS}: {error}") from error
    return settings


def _port(option: str | None) -> int:
    text = option if option is not None else os.environ.get("PORT") or "3000"
    if not (text.isascii() and text.isdigit()) or int(text[:6]) > _LAST_PORT:
        raise UsageError(f"port {text[:20]!r}: there are ports 0 to {_LAST_PORT}")
    return int(text)


async def _discard(_conversation: str, _attributes: Mapping[str, Any], _seconds: float) -> Any:  # noqa: ANN401 - any JSON
    await asyncio.sleep(0)


def _read_list(name: str) -> tuple[str, ...]:
    text = os.environ.get(name) or text_of_variable(name, UsageError)
    values = tuple(value for value in map(str.strip, (text or "").replace("\n", ",").split(",")) if value)
    if text is not None and not values:
        raise UsageError(f"{name}, or its file, holds nothing but commas and spaces")
    if not all(value.isascii() and value.isprintable() and " " not in value for value in values):
        raise UsageError(f"{name} holds what no header can: use letters, digits and signs without spaces")
    REDACTOR.add(*values)
    return values
