"""Drift as a JSON document: a plan document with the rules in the way, and the manifests compared with all live rules.

The form is that of a plan (plan-json), with the fields that are of `drift` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model.change import Create
from reconciler.model.finding import finding_document
from reconciler.model.live import LiveRule, digest
from reconciler.plan.behaviour_json import behaviour_document
from reconciler.plan.document import DRIFT, document, identified, live_form
from reconciler.plan.drift import Drift, changed, missing, not_applied

if TYPE_CHECKING:
    from reconciler.plan.plan import Plan

    Document = dict[str, Any]


def drift_document(drift: Drift) -> Document:
    """Return the document; the same drift gives the same document."""
    plan, alone = drift.plan, drift.alone
    form = document(plan)
    since = {str(address): run for address, run in drift.since.items()}
    form["changes"] = [
        *(_change(change, since) for change in form["changes"]),
        *(rule_in_the_way(plan, live) for live in drift.in_the_way),
    ]
    return identified(
        {
            **form,
            "report": DRIFT,
            "summary": {**form["summary"], **counts(drift)},
            "behaviour": behaviour_document(alone.behaviour, plan.queue_names, alone.moved),
            "findings": [*form["findings"], *(finding_document(one) for one in (*drift.failures, *drift.notes))],
        }
    )


def counts(drift: Drift) -> dict[str, int]:
    """Count the rules of each section, and those that are accepted."""
    plan = drift.plan
    return {
        "changed": len(changed(plan)),
        "missing": len(missing(plan)),
        "inTheWay": len(drift.in_the_way),
        "notApplied": len(not_applied(plan)),
        "accepted": len(drift.accepted),
    }


def rule_in_the_way(plan: Plan, live: LiveRule) -> Document:
    """Return the entry of `changes` for a rule that apply does not write, with what accepts it."""
    return {
        "action": "none",
        "address": None,
        "id": live.id,
        "name": live.rule.name,
        "cause": "unmanaged",
        "accept": {"name": live.rule.name, "digest": digest(live.rule)},
        "steps": [],
        "before": live_form(live, plan.queue_names),
        "after": None,
        "fields": [],
        "source": None,
    }


def _change(change: Document, since: dict[str, str]) -> Document:
    if change["action"] != Create.action:
        return change
    return {**change, "cause": "missing", "since": since.get(change["address"])}
