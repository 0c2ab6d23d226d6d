"""What changes for conversations, as JSON (spec.md section 7, `behaviour`)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from reconciler.canonical import api_form

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from reconciler.behaviour.difference import Behaviour
    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.express import Clause
    from reconciler.behaviour.region import Region

    Document = dict[str, Any]


def behaviour_document(behaviour: Behaviour, queue_names: Mapping[str, str]) -> Document:
    """Return the difference as the JSON of a plan's `behaviour`; `queue_names` are by id."""
    document: Document = {
        "changed": behaviour.changed,
        "complete": behaviour.complete,
        "regions": [_region(region, queue_names) for region in behaviour.regions],
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
        "trafficPercent": None,
    }
    if region.example.assumed:
        document["assumed"] = [
            {"condition": json.loads(text), "holds": holds} for text, holds in region.example.assumed.items()
        ]
    return document


def _clauses(clauses: Iterable[Clause]) -> list[Document]:
    return [api_form(one) | ({"negate": True} if negate else {}) for one, negate in clauses]


def _name(entry: Entry | None) -> str | None:
    return None if entry is None else entry.name
