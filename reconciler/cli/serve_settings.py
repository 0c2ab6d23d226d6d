"""What several machines share for `serve`: where its Redis is, and the endpoint's memory there.

The endpoint over an environment's client: what the manifests say of events, and what is counted.

Who may reach the endpoint, and where: what `serve` is told on its command line and in the environment, checked.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
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
from reconciler.cxone.context_writers import ignored_conversations
from reconciler.desired.desired import convert_endpoint_values, desire_offline
from reconciler.endpoint.app import ContextApp, EndpointDependencies, Limits, Stores, build_context_app
from reconciler.endpoint.auth import SecretError
from reconciler.endpoint.conversations import ConversationLocks
from reconciler.endpoint.handler import AttributeNames, EventPolicy
from reconciler.endpoint.policy import FallbackPolicy
from reconciler.errors import UndefinedFieldsError, UsageError
from reconciler.plan.routing_table import desired_entries
from reconciler.render.text.explain import DisplayNames as RuleNames
from reconciler.render.text.explain import explain_document
from reconciler.text.hosts import is_loopback
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    import argparse
    from collections.abc import AsyncIterator, Callable, Mapping

    from reconciler.cli.session import Session
    from reconciler.cxone.context_client import ContextClient

    Among = Callable[[EndpointDependencies], EndpointDependencies]
    """Makes of the surroundings of one process those of one of several."""


DEADLINE: Final = 5.0
"""Seconds for a request; the bot's platform gives up after eight."""
_ONCE: Final = 60.0
"""Seconds between two advices."""
_WAITING: Final = (16, 1000)
"""Requests under way at the least and at the most."""


def endpoint(
    options: argparse.Namespace,
    session: Session,
    admitted: Admitted,
    client: ContextClient,
    among: Callable[[EndpointDependencies], EndpointDependencies],
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

    surroundings = EndpointDependencies(
        now=utc_now,
        ready=client.is_ready,
        log=log,
        log_label=hashed if options.hash_conversations else str,
        gauges=gauges,
    )
    limits = Limits(most_waiting(session.environment.api.requests_per_second), DEADLINE)
    return build_context_app(
        write, admitted.keys, admitted.secrets, policy(options, session), among(surroundings), limits
    )


def most_waiting(rate: float) -> int:
    """Return how many requests may be under way: what fits into the deadline at the tenant's rate."""
    least, most = _WAITING
    return int(min(max(rate * DEADLINE * 0.8, least), most))


def most_calls(rate: float) -> int:
    """Return how many calls may be under way, where nobody said it: what goes out in 0.8 seconds.

    Enough that some slow conversations do not keep the others waiting (W10); so few that a tenant that falls silent
    gets no more than 60 at 50 a second until that is noticed, probes among them (W11).
    """
    least, most = _WAITING
    return int(min(max(rate * 0.8, least), most))


def policy(options: argparse.Namespace, session: Session) -> EventPolicy:
    """Return what the environment says of events."""
    names, context = session.environment.attributes, session.environment.context
    return EventPolicy(
        names=AttributeNames(names.intent, names.confidence, names.updated_at),
        fallback=FallbackPolicy(context.below.intent, context.min_confidence or 0) if context.below else None,
        known_intents=frozenset(intent for loaded in session.manifests.intents for intent in loaded.document.intents),
        explain=explaining(session) if options.explain else None,
        ignored_conversations=ignored_conversations(session.environment),
    )


def explaining(session: Session) -> Callable[[Mapping[str, Any]], Any]:
    """Return what says which rule and queue the manifests choose: the evaluation of `cxroute explain`."""
    desired, queues = desire_offline(session.manifests, session.environment)
    where = f"the manifests of {session.environment.name}"
    entries, names = desired_entries(desired), RuleNames(where, queues.names, desired.labels)

    def route(attributes: Mapping[str, Any]) -> dict[str, Any]:
        given = canonical_attributes(
            {name: item for name, item in attributes.items() if isinstance(item, str | int | float)}
        )
        found = explain_document(
            explain(entries, convert_endpoint_values(desired.types, given), session.environment), names
        )
        return {"rule": found["winner"], **{key: found[key] for key in ("destination", "otherwise") if key in found}}

    return route


class Advice:
    """Says in the log what an operator has to do, once a minute at most."""

    def __init__(self, log: Callable[[str], object], clock: Callable[[], float]) -> None:
        """`clock` is monotonic."""
        self._log, self._clock = log, clock
        self._next = clock()

    def __call__(self, text: str) -> None:
        """Say it, unless it was said a moment ago."""
        if self._clock() >= self._next:
            self._next = self._clock() + _ONCE
            self._log(json.dumps({"event": "advice", "advice": text}))


def hashed(conversation: str) -> str:
    """Return a name for a conversation that does not say which it is, and is the same every time."""
    return hashlib.sha256(conversation.encode()).hexdigest()[:16]


_SHARED: Final = "CXROUTE_SHARED"
_SEEN: Final = (
    "--shared holds a password, and everybody on this machine can see its command lines: put the URL into a file, and"
    f" the file's name into {_SHARED}_FILE"
)


def shared_url(option: str | None) -> str:
    """Return the URL of --shared, or of its variable, or of the file that names; "" where nothing is shared.

    Raises UsageError, which repeats none of it: it may hold a password.
    """
    said = option if option is not None else os.environ.get(_SHARED, "") or _filed()
    if not said:
        return ""
    REDACTOR.add(said)
    try:
        from reconciler.endpoint.redis.connection import connection_factory, split_url  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise missing_extra("--shared") from error
    password = split_url(said).password
    REDACTOR.add(*([password, unquote(password)] if password else []))
    try:
        connection_factory(said, None)
    except ValueError as error:
        raise UsageError(f"--shared, or ${_SHARED}: {error}") from None
    if option and password:
        log(json.dumps({"event": "advice", "advice": _SEEN}))
    return said


def _filed() -> str:
    url = text_of_variable(_SHARED, UsageError)
    if url == "":
        raise UsageError(f"the file that {_SHARED}_FILE names is empty")
    return url or ""


@asynccontextmanager
async def sharing(url: str, environment: str, client: ContextClient) -> AsyncIterator[Among]:
    """Take part in what the machines of an environment share; without a URL nothing is shared."""
    if not url:
        yield lambda alone: alone
        return
    from reconciler.endpoint.redis.connection import RedisConnection, connection_factory  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.locks import RedisLocks  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.membership import ClusterMembership, PaceControl  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.message_ids import RedisMessageIds  # noqa: PLC0415 - see above
    from reconciler.endpoint.redis.state import RedisState  # noqa: PLC0415 - see above

    connect = connection_factory(url, os.environ.get("CXROUTE_CA_FILE"))
    shared = RedisState(lambda broken: RedisConnection(connect, broken), f"cxroute:{environment}")
    turns, ids = RedisLocks(shared, ConversationLocks(time.monotonic)), RedisMessageIds(shared, time.monotonic)
    keeper = ClusterMembership(
        shared,
        turns,
        ids,
        PaceControl(
            client.rate_limiter.set_share, client.rate_limiter.pause, lambda: client.rate_limiter.pause_seconds
        ),
        log,
    )

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


class Admitted(NamedTuple):
    """Where the endpoint listens, what it shares with other machines, and what opens it."""

    port: int
    shared: str
    keys: tuple[str, ...]
    secrets: tuple[str, ...]


def checked(options: argparse.Namespace) -> Admitted:
    """Return what the command line and the environment say. Raises UsageError, also where it makes no sense."""
    admitted = Admitted(_port(options.port), shared_url(options.shared), _listed(_KEYS), _listed(_SECRETS))
    if not admitted.keys and not admitted.secrets and not is_loopback(options.host):
        raise UsageError(f"--host {options.host}: without keys in ${_KEYS} it listens on loopback only")
    try:
        build_context_app(_nowhere, admitted.keys, admitted.secrets)
    except SecretError as error:
        raise UsageError(f"{_SECRETS}: {error}") from error
    return admitted


def _port(option: str | None) -> int:
    said = option if option is not None else os.environ.get("PORT") or "3000"
    if not (said.isascii() and said.isdigit()) or int(said[:6]) > _LAST_PORT:
        raise UsageError(f"port {said[:20]!r}: there are ports 0 to {_LAST_PORT}")
    return int(said)


async def _nowhere(_conversation: str, _attributes: Mapping[str, Any], _seconds: float) -> Any:  # noqa: ANN401 - any JSON
    await asyncio.sleep(0)


def _listed(name: str) -> tuple[str, ...]:
    """Read a variable, or the file that it names, as a list. Raises UsageError, which repeats none of it."""
    text = os.environ.get(name) or text_of_variable(name, UsageError)
    found = tuple(one for one in map(str.strip, (text or "").replace("\n", ",").split(",")) if one)
    if text is not None and not found:
        raise UsageError(f"{name}, or its file, holds nothing but commas and spaces")
    if not all(one.isascii() and one.isprintable() and " " not in one for one in found):
        raise UsageError(f"{name} holds what no header can: use letters, digits and signs without spaces")
    REDACTOR.add(*found)
    return found
