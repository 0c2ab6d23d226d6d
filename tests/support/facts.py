"""Facts about a list of rules, from the entries alone."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.core.behaviour.budget import DEFAULT_WORK
from reconciler.core.behaviour.facts.rule_facts import RuleFacts, analyze_slices
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    order_entries,
)
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Space


def analyze_rules(
    entries: Iterable[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    work: int = DEFAULT_WORK,
) -> RuleFacts:
    """Return the facts about a list of rules."""
    ordered = order_entries(entries, evaluation)
    space = Space((ordered,))
    space.budget.remaining = work
    return analyze_slices(PivotSlices(space, ordered))
