"""What changes for conversations, as JSON (spec.md section 7, `behaviour`)."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from reconciler.behaviour.express import Clause
from reconciler.behaviour.within import Claim
from reconciler.canonical import COMPACT, api_form, opaque
from reconciler.model import OPERATORS, condition

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from reconciler.behaviour.difference import Behaviour
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.region import Region
    from reconciler.shares import Share

    Document = dict[str, Any]


def behaviour_document(
    behaviour: Behaviour, queue_names: Mapping[str, str], shares: Sequence[Share] | None = None
) -> Document:
    """Return the difference as the JSON of a plan's `behaviour`; `queue_names` are by id, `shares` by region."""
    document: Document = {
        "changed": behaviour.changed,
        "complete": behaviour.complete,
        "regions": [
            _region(region, queue_names) | _shared(None if shares is None else shares[place])
            for place, region in enumerate(behaviour.regions)
        ],
    }
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


def _region(region: Region, queue_names: Mapping[str, str]) -> Document:
    document: Document = {
        "where": _clauses(region.where),
        "except": [_clauses(clauses) for clauses in region.excepts],
        "before": destination_document(region.before, queue_names),
        "after": destination_document(region.after, queue_names),
        "witness": region.example.attributes,
        "beforeRule": _name(region.before_rule),
        "afterRule": _name(region.after_rule),
        "beforeRules": [_name(entry) for entry in region.before_rules],
        "afterRules": [_name(entry) for entry in region.after_rules],
    }
    if region.example.assumed:
        document["assumed"] = [
            {"condition": json.loads(text), "holds": holds} for text, holds in region.example.assumed.items()
        ]
    return document


def _shared(share: Share | None) -> Document:
    """Return a region's share of the traffic sample: the most, and the least where the sample tells no more."""
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
