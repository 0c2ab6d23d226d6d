"""What changes for conversations, as JSON (plan-json "Behaviour")."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reconciler.behaviour.diff.containment import Claim
from reconciler.behaviour.space.clauses import Clause
from reconciler.model.rule import COMPACT, OPERATORS, api_form, condition, opaque

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.behaviour.diff.difference import Behaviour
    from reconciler.behaviour.diff.regions import Region
    from reconciler.behaviour.diff.rows import Row
    from reconciler.behaviour.routing_entry import Destination, Entry
    from reconciler.behaviour.space.space import Example
    from reconciler.behaviour.space.value_type import ValueType
    from reconciler.plan.traffic_shares import Moved, QueueShare, Share

    Document = dict[str, Any]


def behaviour_document(behaviour: Behaviour, queue_names: Mapping[str, str], moved: Moved | None = None) -> Document:
    """Return the difference as the JSON of a plan's `behaviour`; `queue_names` are by id.

    `summary` holds the same conversations in fewer rows, and what each queue gets of the sample (semantics "Rows").
    """
    nothing = (None,) * max(len(behaviour.regions), len(behaviour.rows))
    document: Document = {
        "changed": behaviour.changed,
        "complete": behaviour.complete,
        "summary": {
            "rows": [
                _row(row, queue_names) | _shared(share)
                for row, share in zip(behaviour.rows, moved.rows if moved else nothing, strict=False)
            ],
            "balance": [_balance(one, queue_names) for one in (moved.balance if moved else ())],
        },
        "regions": [
            _region(region, queue_names) | _shared(share)
            for region, share in zip(behaviour.regions, moved.regions if moved else nothing, strict=False)
        ],
    }
    if behaviour.rests_on:
        document["restsOn"] = [_type(name, known) for name, known in behaviour.rests_on.items()]
    if behaviour.unknown:
        document["unknown"] = [{"where": _clauses(where)} for where in behaviour.unknown]
    return document


def destination_document(destination: Destination, queue_names: Mapping[str, str]) -> Document:
    """Return a destination: queues with their shares, no queue at all, or the tenant's default routing."""
    if destination is None:
        return {"default": True}
    return {
        "queues": [
            {"queueId": queue, "queueName": queue_names.get(queue), "share": float(share)}
            for queue, share in destination
        ]
    }


def _row(row: Row, queue_names: Mapping[str, str]) -> Document:
    return {
        "where": _clauses(row.where),
        "except": [_clauses(clauses) for clauses in row.excepts],
        "before": [destination_document(before, queue_names) for before in row.befores],
        "after": destination_document(row.after, queue_names),
        "example": row.example.attributes,
        "beforeRules": [_name(entry) for entry in row.before_rules],
        "afterRules": [_name(entry) for entry in row.after_rules],
        **({"otherType": list(row.unlikely)} if row.unlikely else {}),
        **_assumed(row.example),
    }


def _type(name: str, known: ValueType) -> Document:
    """Return a type that the answer rests on: a text, or a number within bounds, where it is not missing."""
    if known.numbers is None:
        return {"attributeName": name, "type": "text"}
    return {"attributeName": name, "type": "number", "least": known.numbers[0], "most": known.numbers[1]}


def _balance(share: QueueShare, queue_names: Mapping[str, str]) -> Document:
    """Return what a queue gets of the sample, in percent; without an id it is the default routing, or no queue."""
    document: Document = {"queueId": share.queue or None, "queueName": queue_names.get(share.queue or "")}
    document |= {} if share.queue else {"default": share.queue is None}
    for name, one in (("before", share.before), ("after", share.after), ("change", share.change)):
        document[name] = one.most
        document |= {} if one.least == one.most else {f"{name}Least": one.least}
    return document


def _region(region: Region, queue_names: Mapping[str, str]) -> Document:
    return {
        "where": _clauses(region.where),
        "except": [_clauses(clauses) for clauses in region.excepts],
        "before": destination_document(region.before, queue_names),
        "after": destination_document(region.after, queue_names),
        "witness": region.example.attributes,
        "beforeRule": _name(region.before_rule),
        "afterRule": _name(region.after_rule),
        "beforeRules": [_name(entry) for entry in region.before_rules],
        "afterRules": [_name(entry) for entry in region.after_rules],
        **_assumed(region.example),
    }


def _assumed(example: Example) -> Document:
    """Return what an example takes to hold of conditions that are not understood, where there are any."""
    found = [{"condition": json.loads(text), "holds": holds} for text, holds in example.assumed.items()]
    return {"assumed": found} if found else {}


def _shared(share: Share | None) -> Document:
    """Return a share of the traffic sample: the most, and the least where the sample tells no more."""
    if share is None:
        return {"trafficPercent": None}
    least = {} if share.least == share.most else {"trafficPercentLeast": share.least}
    return {"trafficPercent": share.most, **least}


def claims(document: Mapping[str, Any]) -> tuple[Claim, ...]:
    """Return what each region of a behaviour's JSON says, to hold it against others. Raises KeyError and the like."""
    return tuple(
        Claim(
            _clauses_of(region["where"]),
            tuple(_clauses_of(clauses) for clauses in region["except"]),
            COMPACT.encode([_lasting(region["before"]), _lasting(region["after"])]),
        )
        for region in document["regions"]
    )


def _clauses_of(forms: Iterable[Mapping[str, Any]]) -> tuple[Clause, ...]:
    return tuple(_clause_of(dict(form)) for form in forms)


def _clause_of(form: dict[str, Any]) -> Clause:
    negate = bool(form.pop("negate", False))
    known = form.get("type") == "attribute" and form.get("operator") in OPERATORS
    if known and isinstance(form.get("attributeName"), str):
        with suppress(ValueError):  # an operator that is known, with a value that it cannot have: not understood
            return Clause(condition(form["attributeName"], form["operator"], form.get("value")), negate)
    return Clause(opaque(form), negate)


def _lasting(destination: Mapping[str, Any]) -> object:
    """Leave the queues' names out: a queue that was renamed is the same queue."""
    queues = destination.get("queues")
    return "default" if queues is None else sorted([queue["queueId"], queue["share"]] for queue in queues)


def _clauses(clauses: Iterable[Clause]) -> list[Document]:
    return [api_form(one) | ({"negate": True} if negate else {}) for one, negate in clauses]


def _name(entry: Entry | None) -> str | None:
    return None if entry is None else entry.name
