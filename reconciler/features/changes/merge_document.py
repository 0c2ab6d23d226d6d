"""What a merge does to conversations, as JSON."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from reconciler.core.model.rule import to_api_json
from reconciler.core.plan.behaviour_json import (
    clauses_to_json,
    destination_to_json,
    example_to_json,
    hide_assumed_ids,
    type_to_json,
)
from reconciler.core.plan.interval_json import interval_to_json
from reconciler.features.changes.merge_behaviour import (
    EarlierRule,
    MergeBehaviour,
    MergeRow,
)
from reconciler.features.changes.merge_check import MergedEnvironment, MergeTime
from reconciler.features.changes.merge_ties import MergedTie

if TYPE_CHECKING:
    from reconciler.features.changes.merge_json import (
        MergedEnvironmentJson,
        MergedTieJson,
        MergeLaterJson,
        MergeRowJson,
        MergeRuleJson,
        MergeTimeJson,
    )


def environment_to_json(environment: MergedEnvironment) -> "MergedEnvironmentJson":
    """Return the report of one Environment: that of now, and with dates, those of later."""
    now, *later = environment.times
    form = _with_ties(now, environment)
    document = cast("MergedEnvironmentJson", form)
    if later:
        document["later"] = [_later_to_json(each, environment) for each in later]
    return document


def _later_to_json(time: MergeTime, environment: MergedEnvironment) -> "MergeLaterJson":
    form = _with_ties(time, environment)
    document = cast("MergeLaterJson", form)
    document["interval"] = interval_to_json(time.interval)
    return document


def _with_ties(time: MergeTime, environment: MergedEnvironment) -> "MergeTimeJson":
    document = time_to_json(time.behaviour, environment.queues)
    if time.ties:
        document["ties"] = [_tie(tie) for tie in time.ties]
    return document


def time_to_json(
    behaviour: MergeBehaviour, queue_names: Mapping[str, str]
) -> "MergeTimeJson":
    """Return what a merge does at one time; `queue_names` are by id.

    `rules` holds what the rows name, so that a program can evaluate a row by itself.
    """
    rules = _RulesOfRows()
    document: MergeTimeJson = {
        "complete": behaviour.complete,
        "unknown": [{"where": clauses_to_json(where)} for where in behaviour.undecided],
        "surprises": [_row(row, rules, queue_names) for row in behaviour.surprises],
        "conflicts": [_row(row, rules, queue_names) for row in behaviour.conflicts],
        "rules": rules.document,
    }
    if behaviour.rests_on:
        document["restsOn"] = [
            type_to_json(*known) for known in behaviour.rests_on.items()
        ]
    return document


def _tie(tie: MergedTie) -> "MergedTieJson":
    """Return two rules of equal priority."""
    form: MergedTieJson = {
        "rules": [tie.first.name, tie.second.name],
        "example": tie.example.shown if tie.example else None,
    }
    if tie.example and tie.example.reason:
        form["noExample"] = tie.example.reason
    return form


class _RulesOfRows:
    """The rules that rows name, by a short name each."""

    def __init__(self) -> None:
        self.document: dict[str, MergeRuleJson] = {}
        self._names: dict[int, str] = {}

    def name(self, rule: EarlierRule) -> str:
        """Return the short name of a rule."""
        entry, versions = rule
        if id(entry) not in self._names:
            name = f"r{len(self._names) + 1}"
            self._names[id(entry)] = name
            self.document[name] = {
                "address": entry.name,
                "name": entry.rule.name,
                "versions": list(versions),
                "conditions": [to_api_json(part) for part in entry.rule.conditions],
                "priority": entry.rule.priority,
            }
        return self._names[id(entry)]


def _row(
    row: MergeRow, rules: _RulesOfRows, queue_names: Mapping[str, str]
) -> "MergeRowJson":
    base, ours, theirs, merged = (
        destination_to_json(destination, queue_names)
        for destination in row.destinations
    )
    expected = None
    if row.expected:
        expected = destination_to_json(row.expected.destination, queue_names)
    hide_assumed_ids(filter(None, (base, ours, theirs, merged, expected)))
    names = [rule.name if rule else None for rule in row.rules]
    form: MergeRowJson = {
        "where": clauses_to_json(row.where),
        "earlier": [rules.name(rule) for rule in row.earlier],
        "base": base,
        "ours": ours,
        "theirs": theirs,
        "merged": merged,
        "expected": expected,
        "example": row.example.shown,
        "rules": {
            "base": names[0],
            "ours": names[1],
            "theirs": names[2],
            "merged": names[3],
        },
    }
    return {**form, **example_to_json(row.example)}
