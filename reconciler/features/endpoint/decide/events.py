"""Events of POST /api/route beside a decision service: written by the table's fallback, and answered
with the decision by the same table.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reconciler.features.endpoint.decide.live_table import LiveTable
from reconciler.features.endpoint.decide.question import Question, is_scalar
from reconciler.features.endpoint.decide.service import DecisionService
from reconciler.features.endpoint.event import Event
from reconciler.features.endpoint.handler import EventPolicy


def table_policy(
    policy: EventPolicy, live: LiveTable, service: DecisionService
) -> EventPolicy:
    """Return the policy for events with the names and the fallback of a table.

    Its `decide` returns the decision about an event as JSON.
    """

    def decide(event: Event, context: Mapping[str, Any]) -> dict[str, Any]:
        attributes = {name: item for name, item in context.items() if is_scalar(item)}
        attributes[live.names.intent] = event.intent
        attributes[live.names.confidence] = event.confidence
        decision = service.decide(live, Question(event.conversation, attributes))
        return live.decision_json(decision)

    return replace(
        policy,
        names=(live.names.intent, live.names.confidence, policy.names[2]),
        fallback=live.table.settings.fallback,
        decide=decide,
    )
