"""The endpoint over an environment's client: what the manifests say of events, and what is counted."""

from __future__ import annotations

import hashlib
import json
import time
from typing import TYPE_CHECKING, Any, Final

from reconciler.catalogue import AssumedCatalogue, aliases
from reconciler.cli.discretion import DISCRETION
from reconciler.cli.environments import utc_now
from reconciler.cli.log import log
from reconciler.context.app import ContextApp, Limits, Surroundings, context_app
from reconciler.context.fallback import Fallback
from reconciler.context.relay import Names, Policy
from reconciler.cxone.writers import skipped_by
from reconciler.desired import as_written, desire
from reconciler.entries import desired_entries
from reconciler.errors import UndefinedFieldsError
from reconciler.explain import explain
from reconciler.render.explain_text import Names as RuleNames
from reconciler.render.explain_text import explain_document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping

    from reconciler.cli.admitted import Admitted
    from reconciler.cli.session import Session
    from reconciler.cxone.context import ContextClient

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
    among: Callable[[Surroundings], Surroundings],
) -> ContextApp:
    """Return the endpoint over a client. `among` makes of the surroundings of one process those of one of several."""

    async def write(conversation: str, attributes: Mapping[str, Any], seconds: float) -> Any:  # noqa: ANN401 - any JSON
        try:
            return DISCRETION.within(await client.write(conversation, attributes, seconds))
        except UndefinedFieldsError as error:
            advise(str(error))
            raise

    advise = Advice(log, time.monotonic)

    def gauges() -> dict[str, float]:
        pacer, breaker = client.pacer, client.breaker
        return {
            "cxroute_upstream_requests": pacer.requests,
            "cxroute_upstream_retries": pacer.retries,
            "cxroute_upstream_away": breaker.away,
            "cxroute_upstream_outages": breaker.opened,
        }

    surroundings = Surroundings(
        now=utc_now, ready=client.ready, log=log, label=hashed if options.hash_conversations else str, gauges=gauges
    )
    limits = Limits(most_waiting(session.environment.api.requests_per_second), DEADLINE)
    return context_app(write, admitted.keys, admitted.secrets, policy(options, session), among(surroundings), limits)


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


def policy(options: argparse.Namespace, session: Session) -> Policy:
    """Return what the environment says of events."""
    names, context = session.environment.attributes, session.environment.context
    return Policy(
        Names(names.intent, names.confidence, names.updated_at),
        Fallback(context.below.intent, context.min_confidence or 0) if context.below else None,
        frozenset(intent for loaded in session.manifests.intents for intent in loaded.document.intents),
        explaining(session) if options.explain else None,
        skipped_by(session.environment),
    )


def explaining(session: Session) -> Callable[[Mapping[str, Any]], Any]:
    """Return what says which rule and queue the manifests choose: the evaluation of `cxroute explain`."""
    name = session.environment.name
    catalogue = AssumedCatalogue(name, aliases(session.manifests, name))
    desired = desire(session.manifests, session.environment, catalogue)
    queues = {queue.id: queue.name for queue in catalogue.assumed.values()}
    entries, names = desired_entries(desired), RuleNames(f"the manifests of {name}", queues, desired.labels)

    def route(attributes: Mapping[str, Any]) -> dict[str, Any]:
        given = {name: _value(value) for name, value in attributes.items() if isinstance(value, str | int | float)}
        found = explain_document(explain(entries, as_written(desired.types, given), session.environment), names)
        return {"rule": found["winner"], **{key: found[key] for key in ("destination", "otherwise") if key in found}}

    return route


def _value(value: str | float) -> str | int | float:
    """Return an attribute as rules compare it: true and false are texts."""
    return str(value).lower() if isinstance(value, bool) else value


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
