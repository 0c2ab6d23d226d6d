"""The impact of one list of rules after another, with its effects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet, EffectRow
from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import Evaluation, RoutingEntry
from reconciler.core.behaviour.space.value_type import ValueType
from reconciler.core.plan.edits import edits_of_lists
from reconciler.core.plan.impact import Impact
from reconciler.core.text.phrases import Labels
from tests.support.brute_force import Json

LABELS = Labels({"intent": "intent", "conf": "confidence"})


def compare_lists(
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
    evaluation: Evaluation = "lowest-first",
    work: int | None = None,
    types: Mapping[str, ValueType] | None = None,
) -> Impact:
    """Return the difference of two lists, with the edits between them."""
    edits = edits_of_lists(before, after, LABELS, words="plan")
    edited = EditSet([each.edit for each in edits])
    return Impact(
        compare_behaviour(before, after, evaluation, work, types, edited), edits
    )


def compare_behind(
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
    stages: tuple[EndpointStage, EndpointStage],
    evaluation: Evaluation = "lowest-first",
) -> Impact:
    """Return the difference of two lists, each behind its endpoint."""
    first, second = stages
    edits = edits_of_lists(before, after, LABELS, words="plan")
    changes_fallback = first.fallback.settings != second.fallback.settings
    middle = second.pull_back(before) if changes_fallback else None
    edited = EditSet([each.edit for each in edits], middle)
    lists = first.pull_back(before), second.pull_back(after)
    return Impact(
        compare_behaviour(*lists, evaluation, types=second.sent_types, edited=edited),
        edits,
    )


def effect_rows(impact: Impact) -> list[EffectRow]:
    """Return the rows of all effects."""
    return [row for effect in impact.behaviour.effects for row in effect.rows]


def rows_of_document(document: Json) -> list[Json]:
    """Return the rows of all effects of a document; `except` has the conditions of each earlier
    rule.
    """
    rules = document["rules"]
    rows = [row for effect in document["effects"] for row in effect["rows"]]
    return [
        {**row, "except": [rules[name]["conditions"] for name in row["earlier"]]}
        for row in rows
    ]
