"""The impact on conversations as JSON (plan-json "Behaviour")."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from reconciler.core.behaviour.diff.containment import RegionClaim
from reconciler.core.behaviour.diff.effects import (
    FALLBACK,
    Effect,
    EffectRow,
    NamedRule,
)
from reconciler.core.behaviour.diff.regions import Region
from reconciler.core.behaviour.routing_entry import Destination, RoutingEntry
from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.behaviour.space.space import Example
from reconciler.core.behaviour.space.value_type import ValueType
from reconciler.core.model.finding import Document
from reconciler.core.model.rule import CANONICAL_JSON, to_api_json
from reconciler.core.plan.edits import EditedRule
from reconciler.core.plan.impact import Impact
from reconciler.core.rule_json import parse_condition

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import (
        BalanceJson,
        BehaviourJson,
        DestinationJson,
        EffectJson,
        ExampleJson,
        FallbackCauseJson,
        NamedRuleJson,
        RegionJson,
        RowJson,
        RuleCauseJson,
        ShareJson,
        TypeJson,
        UnmanagedCauseJson,
        ViolationJson,
    )
    from reconciler.core.plan.traffic_shares import EffectShare, QueueShare, ShareRange


def impact_to_json(
    impact: Impact, queue_names: Mapping[str, str], headline: str = ""
) -> "BehaviourJson":
    """Return the difference as the JSON of a plan's `behaviour`; `queue_names` are by id.

    `effects` hold the conversations of `regions` by the edit that moves them, and `rules` what
    their rows name.
    """
    behaviour = impact.behaviour
    traffic = impact.traffic
    regions = zip(
        behaviour.regions,
        traffic.regions if traffic else (None,) * len(behaviour.regions),
        strict=True,
    )
    rules = _NamedRules()
    effects = [
        _effect(effect, share, impact.edits, rules, queue_names)
        for effect, share in impact.effects
    ]
    document: BehaviourJson = {
        "changed": behaviour.changed,
        "complete": behaviour.complete,
        "headline": headline,
        "effects": effects,
        "rules": rules.document,
        "summary": {
            "balance": [
                _balance(share, queue_names)
                for share in (traffic.balance if traffic else ())
            ]
        },
        "regions": [_region(region, queue_names, share) for region, share in regions],
    }
    if behaviour.rests_on:
        document["restsOn"] = [
            type_to_json(name, value_type)
            for name, value_type in behaviour.rests_on.items()
        ]
    if behaviour.undecided:
        document["unknown"] = [
            {"where": clauses_to_json(where)} for where in behaviour.undecided
        ]
    return document


class _NamedRules:
    """The rules that rows name, by a short name each, with what a program needs to evaluate a
    row.
    """

    def __init__(self) -> None:
        self.document: dict[str, NamedRuleJson] = {}
        self._names: dict[int, str] = {}

    def name(self, rule: NamedRule) -> str:
        """Return the short name of a rule."""
        entry, when = rule
        if id(entry) not in self._names:
            name = f"r{len(self._names) + 1}"
            self._names[id(entry)] = name
            self.document[name] = {
                "address": str(entry.address) if entry.address else None,
                "name": entry.rule.name,
                "id": entry.id or None,
                "when": when,
                "conditions": [to_api_json(part) for part in entry.rule.conditions],
                "priority": entry.rule.priority,
            }
        return self._names[id(entry)]


def _effect(
    effect: Effect,
    share: "EffectShare",
    edits: Sequence[EditedRule],
    rules: _NamedRules,
    queue_names: Mapping[str, str],
) -> "EffectJson":
    return {
        "causes": [cause_to_json(edits, number) for number in effect.edits],
        "share": _share(share.total),
        "rows": [
            _row(row, part, rules, queue_names)
            for row, part in zip(effect.rows, share.rows, strict=True)
        ],
    }


def cause_to_json(
    edits: Sequence[EditedRule], number: int
) -> "RuleCauseJson | UnmanagedCauseJson | FallbackCauseJson":
    """Return an edit, or that of the endpoint's fallback."""
    edited = None if number == FALLBACK else edits[number]
    if edited is None or edited.action == "fallback":
        return {"action": "fallback"}
    entry = edited.entry
    if edited.action == "unmanaged":
        return {"action": "unmanaged", "name": entry.rule.name, "id": entry.id}
    source = None
    if edited.source:
        source = f"{edited.source.file}:{edited.source.line}"
    return {
        "address": entry.name,
        "action": edited.action,
        "fields": list(dict.fromkeys(field.name for field in edited.fields)),
        "source": source,
    }


def _row(
    row: EffectRow,
    share: "ShareRange | None",
    rules: _NamedRules,
    queue_names: Mapping[str, str],
) -> "RowJson":
    form: RowJson = {
        "kind": row.kind,
        "where": clauses_to_json(row.where),
        "earlier": [rules.name(rule) for rule in row.earlier],
        "counterpart": [rule and rules.name(rule) for rule in row.counterpart],
        "before": destination_to_json(row.before, queue_names),
        "after": destination_to_json(row.after, queue_names),
        "example": row.example.shown,
        "share": _share(share),
    }
    if row.other_type:
        form["otherType"] = list(row.other_type)
    return {**form, **example_to_json(row.example)}


def _share(share: "ShareRange | None") -> "ShareJson | None":
    if share is None:
        return None
    return {"least": share.least, "most": share.most}


def destination_to_json(
    destination: Destination, queue_names: Mapping[str, str]
) -> "DestinationJson":
    """Return a destination: queues with their shares, no queue at all, or the tenant's default
    routing.
    """
    if destination is None:
        return {"default": True}
    return {
        "queues": [
            {
                "queueId": queue,
                "queueName": queue_names.get(queue),
                "share": float(share),
            }
            for queue, share in destination
        ]
    }


def hide_assumed_ids(destinations: Iterable["DestinationJson"]) -> None:
    """Remove the ids of queues that are known by name alone, as they are offline."""
    for destination in destinations:
        if "queues" in destination:
            for queue in destination["queues"]:
                if queue["queueId"] == queue["queueName"]:
                    queue["queueId"] = None


def _region(
    region: Region, queue_names: Mapping[str, str], share: "ShareRange | None"
) -> "RegionJson":
    form: RegionJson = {
        "where": clauses_to_json(region.where),
        "except": [clauses_to_json(clauses) for clauses in region.excepts],
        "before": destination_to_json(region.before, queue_names),
        "after": destination_to_json(region.after, queue_names),
        "witness": region.example.shown,
        "beforeRule": _name(region.before_rule),
        "afterRule": _name(region.after_rule),
        "beforeRules": [_name(entry) for entry in region.before_rules],
        "afterRules": [_name(entry) for entry in region.after_rules],
        "trafficPercent": None if share is None else share.most,
    }
    if share is not None and share.least != share.most:
        form["trafficPercentLeast"] = share.least
    return {**form, **example_to_json(region.example)}


def violation_to_json(
    region: Region, queue_names: Mapping[str, str]
) -> "ViolationJson":
    """Return conversations that break a promise: each goes to `destination` by `rule` (None: no
    rule).
    """
    return {
        "where": clauses_to_json(region.where),
        "except": [clauses_to_json(clauses) for clauses in region.excepts],
        "destination": destination_to_json(region.after, queue_names),
        "witness": region.example.shown,
        "rule": _name(region.after_rule),
        **example_to_json(region.example),
    }


def _name(entry: RoutingEntry | None) -> str | None:
    return entry.name if entry else None


def example_to_json(example: Example) -> "ExampleJson":
    """Return what an example assumes about conditions that are not understood, and why there is
    none.
    """
    form: ExampleJson = {}
    if example.reason:
        form["noExample"] = example.reason
    if example.assumed:
        form["assumed"] = [
            {"condition": json.loads(text), "holds": holds}
            for text, holds in example.assumed.items()
        ]
    return form


def type_to_json(name: str, value_type: ValueType) -> "TypeJson":
    """Return a type that the result is based on: a text, or a number within bounds; the value may
    also be missing.
    """
    if value_type.numbers is None:
        return {"attributeName": name, "type": "text"}
    return {
        "attributeName": name,
        "type": "number",
        "least": value_type.numbers[0],
        "most": value_type.numbers[1],
    }


def _balance(share: "QueueShare", queue_names: Mapping[str, str]) -> "BalanceJson":
    """Return a queue's share of the sample, in percent; without an id: the default routing, or no
    queue.
    """
    document: Document = {
        "queueId": share.queue or None,
        "queueName": queue_names.get(share.queue or ""),
    }
    if not share.queue:
        document["default"] = share.queue is None
    parts = {"before": share.before, "after": share.after, "change": share.change}
    for name, part in parts.items():
        document[name] = part.most
        if part.least != part.most:
            document[f"{name}Least"] = part.least
    return cast("BalanceJson", document)


def region_claims(document: "BehaviourJson") -> tuple[RegionClaim, ...]:
    """Return the claim of each region of a behaviour's JSON."""
    return tuple(map(_region_claim, document["regions"]))


def _region_claim(region: "RegionJson") -> RegionClaim:
    destinations = [_without_names(region["before"]), _without_names(region["after"])]
    return RegionClaim(
        _parse_clauses(region["where"]),
        tuple(map(_parse_clauses, region["except"])),
        CANONICAL_JSON.encode(destinations),
    )


def _parse_clauses(documents: Iterable[Mapping[str, Any]]) -> tuple[Clause, ...]:
    return tuple(map(_parse_clause, documents))


def _parse_clause(document: Mapping[str, Any]) -> Clause:
    payload = dict(document)
    negate = bool(payload.pop("negate", False))
    condition = parse_condition(payload)
    return Clause(condition, negate)


def _without_names(destination: "DestinationJson") -> object:
    """Return a destination without the names of queues: a renamed queue is the same queue."""
    if "queues" not in destination:
        return "default"
    return sorted(
        ([queue["queueId"], queue["share"]] for queue in destination["queues"]), key=str
    )


def clauses_to_json(clauses: Iterable[Clause]) -> list[Document]:
    """Return conditions in the API's form; `negate` is the plain complement."""
    return [
        to_api_json(condition) | ({"negate": True} if negate else {})
        for condition, negate in clauses
    ]
