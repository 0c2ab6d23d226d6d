"""Drift as a JSON document: a plan (plan-json) with the rules in the way, compared with all live rules."""

from __future__ import annotations

from typing import Any

from reconciler.model.change import Create
from reconciler.model.finding import finding_to_json
from reconciler.model.live import LiveRule, marker_digest
from reconciler.plan.behaviour_json import behaviour_to_json
from reconciler.plan.document import DRIFT_REPORT, live_rule_to_json, plan_to_json, with_plan_id
from reconciler.plan.drift import Drift, edited_changes, missing_rules, unapplied_changes
from reconciler.plan.plan import Plan

Document = dict[str, Any]


def drift_to_json(drift: Drift) -> Document:
    """Return the document; the same drift gives the same document."""
    plan, impact = drift.plan, drift.full_impact
    document = plan_to_json(plan)
    since = {str(address): run for address, run in drift.last_runs.items()}
    changes = [
        {**change, "cause": "missing", "since": since.get(change["address"])}
        if change["action"] == Create.action
        else change
        for change in document["changes"]
    ]
    findings = [finding_to_json(finding) for finding in (*drift.failed_checks, *drift.notes)]
    return with_plan_id(
        {
            **document,
            "changes": changes + [_interfering_rule_to_json(plan, live) for live in drift.in_the_way],
            "report": DRIFT_REPORT,
            "summary": {**document["summary"], **count_sections(drift)},
            "behaviour": behaviour_to_json(impact.behaviour, plan.queue_names, impact.traffic_impact),
            "findings": document["findings"] + findings,
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


def _interfering_rule_to_json(plan: Plan, live: LiveRule) -> Document:
    """Return the entry of `changes` for a rule that apply does not write, with the entry that accepts it."""
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
