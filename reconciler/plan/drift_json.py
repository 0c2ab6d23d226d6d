"""Drift as a JSON document: a plan document with the rules in the way, and the manifests compared with all live rules.

The form is that of a plan (plan-json), with the fields that are of `drift` only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from reconciler.model.change import Create
from reconciler.model.finding import finding_to_json
from reconciler.model.live import LiveRule, marker_digest
from reconciler.plan.behaviour_json import behaviour_to_json
from reconciler.plan.document import DRIFT_REPORT, live_rule_to_json, plan_to_json, with_plan_id
from reconciler.plan.drift import Drift, edited_changes, missing_rules, unapplied_changes

if TYPE_CHECKING:
    from reconciler.plan.plan import Plan

    Document = dict[str, Any]


def drift_to_json(drift: Drift) -> Document:
    """Return the document; the same drift gives the same document."""
    plan, alone = drift.plan, drift.full_impact
    form = plan_to_json(plan)
    since = {str(address): run for address, run in drift.last_runs.items()}
    form["changes"] = [
        *(_add_drift_fields(change, since) for change in form["changes"]),
        *(interfering_rule_to_json(plan, live) for live in drift.in_the_way),
    ]
    return with_plan_id(
        {
            **form,
            "report": DRIFT_REPORT,
            "summary": {**form["summary"], **count_sections(drift)},
            "behaviour": behaviour_to_json(alone.behaviour, plan.queue_names, alone.traffic_impact),
            "findings": [*form["findings"], *(finding_to_json(one) for one in (*drift.failed_checks, *drift.notes))],
        }
    )


def count_sections(drift: Drift) -> dict[str, int]:
    """Count the rules of each section, and those that are accepted."""
    plan = drift.plan
    return {
        "changed": len(edited_changes(plan)),
        "missing": len(missing_rules(plan)),
        "inTheWay": len(drift.in_the_way),
        "notApplied": len(unapplied_changes(plan)),
        "accepted": len(drift.accepted),
    }


def interfering_rule_to_json(plan: Plan, live: LiveRule) -> Document:
    """Return the entry of `changes` for a rule that apply does not write, with what accepts it."""
    return {
        "action": "none",
        "address": None,
        "id": live.id,
        "name": live.rule.name,
        "cause": "unmanaged",
        "accept": {"name": live.rule.name, "digest": marker_digest(live.rule)},
        "steps": [],
        "before": live_rule_to_json(live, plan.queue_names),
        "after": None,
        "fields": [],
        "source": None,
    }


def _add_drift_fields(change: Document, since: dict[str, str]) -> Document:
    if change["action"] != Create.action:
        return change
    return {**change, "cause": "missing", "since": since.get(change["address"])}
