"""Two lists of rules -> the conversations that they route differently, in reading order."""

from typing import NamedTuple

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.behaviour.endpoint_stage import EndpointStage, common_types
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    order_entries,
)
from reconciler.core.plan.edits import edits_of_lists
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.traffic_shares import convert_sample, measure_traffic
from reconciler.core.plan.words import order_effects
from reconciler.core.text.phrases import Labels
from reconciler.core.traffic.sample import TrafficSample


class ListSide(NamedTuple):
    """A list of rules, and the endpoint before it. Endpoints that differ know each other
    (`EndpointStage.compared_with`).
    """

    entries: tuple[RoutingEntry, ...]
    endpoint: EndpointStage

    def events(self, evaluation: Evaluation) -> tuple[RoutingEntry, ...]:
        """Return the rules on events, in the order of evaluation."""
        return order_entries(self.endpoint.pull_back(self.entries), evaluation)


def impact_of_lists(
    before: ListSide,
    after: ListSide,
    evaluation: Evaluation,
    labels: Labels,
    sample: TrafficSample | None = None,
) -> Impact:
    """Return the effects of the edits from one list to another; with a sample, their shares."""
    edits = edits_of_lists(before.entries, after.entries, labels, words="plan")
    middle = None
    if before.endpoint.fallback.settings != after.endpoint.fallback.settings:
        middle = after.endpoint.pull_back(before.entries)

    old = before.events(evaluation)
    new = after.events(evaluation)
    difference = compare_behaviour(
        old,
        new,
        evaluation,
        types=common_types([before.endpoint, after.endpoint]),
        edited=EditSet([each.edit for each in edits], middle),
    )
    traffic = None
    if sample:
        converted = convert_sample(after.endpoint.types, sample)
        traffic = measure_traffic(difference, old, new, converted)
    return order_effects(Impact(difference, edits, traffic), labels)
