"""What the manifests make of a run that was undone: whatever they still ask for, the next apply makes again."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from reconciler.model.change import Change, Create, Delete, Update, is_unadoption
from reconciler.model.finding import Finding
from reconciler.model.live import LiveRule, Marker, marker_digest
from reconciler.plan.plan import Plan, draft_plan

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.desired.desired import DesiredState
    from reconciler.model.rule import Address
    from reconciler.plan.options import PlanOptions


REAPPLIED: Final = "CXR310"
_HOLD_TIME: Final = timedelta(days=8)  # how long the hold is that is given to write: a week, and the day that has begun


def warn_reapplied_changes(plan: Plan, manifests: DesiredState, options: PlanOptions) -> tuple[Finding, ...]:
    """Return a warning for each change of an undo that the next apply would make again; all say the same."""
    # `options` are those of that apply. Each says where the manifests ask for it, and what to write there to wait.
    found = _reapplied_changes(plan, manifests, options)
    count = f"{len(found)} of these changes" if len(found) > 1 else "one of these changes"
    message = f"the manifests still say otherwise: the next apply, or a scheduled one, would make {count} again"
    hint = _hint(plan, found)
    return tuple(
        Finding(
            code=REAPPLIED, severity="warning", message=message, source=change.source, address=change.address, hint=hint
        )
        for change in found
    )


def unknown_outcome_warning(error: Exception) -> Finding:
    """Return the warning that nobody knows what the next apply does, since the manifests are wrong."""
    message = f"what the next apply would make of it is not known: {error}"
    return Finding(
        code=REAPPLIED,
        severity="warning",
        message=message,
        hint="`cxroute validate` lists them; they did not matter here",
    )


def _reapplied_changes(plan: Plan, manifests: DesiredState, options: PlanOptions) -> list[Change]:
    then = draft_plan(manifests, replace(plan.live, rules=tuple(_rules_after(plan))), options, plan.generated_at)
    touched = {address for change in plan.changes for address in _addresses(change)}
    return [one for one in then.changes if one.cause != "duplicate" and touched.intersection(_addresses(one))]


def _rules_after(plan: Plan) -> Iterator[LiveRule]:
    changed = {change.live.id: change for change in plan.changes if not isinstance(change, Create)}
    for live in plan.live.rules:
        change = changed.get(live.id)
        if not isinstance(change, Delete):
            yield live if change is None else _rule_after(plan, change, live.id)
    yield from (_rule_after(plan, one, f"new {one.address}") for one in plan.changes if isinstance(one, Create))


def _rule_after(plan: Plan, change: Change, rule_id: str) -> LiveRule:
    rule = change.live.rule if isinstance(change, Delete) else change.after
    marker = None if is_unadoption(change) else Marker(plan.owner, change.address, marker_digest(rule))
    return LiveRule(rule_id, rule, marker, {"id": rule_id})


def _addresses(change: Change) -> Iterator[Address]:
    yield change.address
    if isinstance(change, Update) and change.live.marker is not None:
        yield change.live.marker.address


def _hint(plan: Plan, changes: Sequence[Change]) -> str:
    """Say how to keep the next apply from it. A rule that stands in no manifest has no entry to write a hold into."""
    ways = ["revert the commit that asked for it"]
    if not all(isinstance(change, Delete) for change in changes):
        ways.append(f"write `{_hold_line(plan)}` into each rule")
    if any(isinstance(change, Delete) for change in changes):
        ways.append("set `prune: false` for rules that stand in no manifest")
    return ", or ".join(ways)


def _hold_line(plan: Plan) -> str:
    until: datetime = plan.generated_at + _HOLD_TIME
    return f"hold: {{until: {until:%Y-%m-%d}T00:00:00Z, reason: undo of {plan.options.undo}}}"
