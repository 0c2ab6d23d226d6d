"""Warnings that the manifests still ask for changes that an undo reverts: the next apply would make them again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from reconciler.desired.desired import DesiredState
from reconciler.model.change import Change, Create, Delete, Update, is_unadoption
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, Marker, marker_digest
from reconciler.model.rule import Address
from reconciler.plan.plan import Plan, PlanOptions, draft_plan

REAPPLIED: Final = "CXR310"
_HOLD_TIME: Final = timedelta(days=8)  # how long the hold is that is given to write: a week, and the day that has begun


def warn_reapplied_changes(plan: Plan, manifests: DesiredState, options: PlanOptions) -> tuple[Finding, ...]:
    """Return a warning for each change of an undo that the next apply, with `options`, would make again."""
    rules = tuple(_rules_after(plan))
    then = draft_plan(manifests, replace(plan.live, rules=rules), options, plan.generated_at)
    touched = {address for change in plan.changes for address in _addresses(change)}
    changes = [change for change in then.changes if change.cause != "duplicate"]
    changes = [change for change in changes if touched.intersection(_addresses(change))]
    count = f"{len(changes)} of these changes" if len(changes) > 1 else "one of these changes"
    message = f"the manifests still say otherwise: the next apply, or a scheduled one, would make {count} again"
    finding = Finding(code=REAPPLIED, severity="warning", message=message, hint=_hint(plan, changes))
    return tuple(replace(finding, source=change.source, address=change.address) for change in changes)


def unknown_outcome_warning(error: Exception) -> Finding:
    """Return the warning that the effect of the next apply is unknown, because the manifests are wrong."""
    message = f"what the next apply would make of it is not known: {error}"
    hint = "`cxroute validate` lists them; they did not matter here"
    return Finding(code=REAPPLIED, severity="warning", message=message, hint=hint)


def _rules_after(plan: Plan) -> Iterator[LiveRule]:
    changes = {change.live.id: change for change in plan.changes if not isinstance(change, Create)}
    for live in plan.live.rules:
        change = changes.get(live.id)
        if not isinstance(change, Delete):
            yield live if change is None else _rule_after(plan, change, live.id)
    creates = (change for change in plan.changes if isinstance(change, Create))
    yield from (_rule_after(plan, create, f"new {create.address}") for create in creates)


def _rule_after(plan: Plan, change: Change, rule_id: str) -> LiveRule:
    rule = change.live.rule if isinstance(change, Delete) else change.after
    marker = None if is_unadoption(change) else Marker(plan.owner, change.address, marker_digest(rule))
    return LiveRule(rule_id, rule, marker, {"id": rule_id})


def _addresses(change: Change) -> Iterator[Address]:
    yield change.address
    if isinstance(change, Update) and change.live.marker is not None:
        yield change.live.marker.address


def _hint(plan: Plan, changes: Sequence[Change]) -> str:
    """Return how to prevent it. A rule that is in no manifest has no entry for a hold."""
    ways = ["revert the commit that asked for it"]
    if not all(isinstance(change, Delete) for change in changes):
        until: datetime = plan.generated_at + _HOLD_TIME
        hold = f"hold: {{until: {until:%Y-%m-%d}T00:00:00Z, reason: undo of {plan.options.undo}}}"
        ways.append(f"write `{hold}` into each rule")
    if any(isinstance(change, Delete) for change in changes):
        ways.append("set `prune: false` for rules that stand in no manifest")
    return ", or ".join(ways)
