"""Which changes are left alone for now, and why: held, not pruned, drift that is kept, names not free yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from reconciler.desired.desired import DesiredState
from reconciler.model.change import Change, Create, Delete, HeldChange, Update
from reconciler.model.rule import Address
from reconciler.plan.options import PlanOptions
from reconciler.plan.ownership import LiveRulesByOwner


def split_held_changes(
    changes: Iterable[Change], desired: DesiredState, by_owner: LiveRulesByOwner, options: PlanOptions, now: datetime
) -> tuple[list[Change], list[HeldChange]]:
    """Return the changes to make, and those that are left alone; `now` decides which holds are in force."""
    copied = frozenset(live.marker.address for live in by_owner.edited_copies if live.marker and not live.marker.copy)
    active, holds = [], []
    for change in changes:
        reason = _blocked_by_copy(change, copied) or _hold_reason(change, desired, options, now)
        if reason:
            holds.append(HeldChange(change, reason))
        else:
            active.append(change)
    while waiting := _blocked_by_name(active, by_owner):
        holds += waiting
        waiting_ids = {id(hold.change) for hold in waiting}
        active = [change for change in active if id(change) not in waiting_ids]
    return active, holds


def _blocked_by_name(active: Sequence[Change], by_owner: LiveRulesByOwner) -> list[HeldChange]:
    """Return the changes that need the name of a managed rule that keeps it, because it is left alone."""
    changed = {change.live.id for change in active if not isinstance(change, Create)}
    names = {live.rule.name: address for address, live in by_owner.managed.items() if live.id not in changed}
    return [
        HeldChange(change, f"its name is still that of {names[change.after.name]}, which is left alone")
        for change in active
        if not isinstance(change, Delete)
        and change.after.name in names
        and (isinstance(change, Create) or change.live.rule.name != change.after.name)
    ]


def _blocked_by_copy(change: Change, copied_addresses: frozenset[Address]) -> str:
    """Return why a rule does not leave its address yet: an edited copy at that address would count as the rule."""
    before = change.live.marker if not isinstance(change, Create) else None
    leaves = isinstance(change, Delete) and change.cause != "duplicate"
    moves = isinstance(change, Update) and before is not None and before.address != change.address
    if not (leaves or moves) or before is None or before.address not in copied_addresses:
        return ""
    return (
        f"somebody made an edited copy of it, which would then count as {before.address} and be deleted:"
        " delete the copy, or take the last line out of its description"
    )


def _hold_reason(change: Change, desired: DesiredState, options: PlanOptions, now: datetime) -> str:
    rule = desired.rules.get(change.address)
    if isinstance(change, Delete) and change.cause == "duplicate":
        return ""
    if change.address in desired.skipped:
        return desired.skipped[change.address]
    if rule is not None and rule.hold is not None and now < rule.hold.until:
        return f"held until {rule.hold.until.isoformat()}: {rule.hold.reason}"
    if isinstance(change, Delete) and not options.prune:
        return "nothing is to be deleted" if options.undo else "prune is off: rules that no manifest names stay"
    if options.keep_drift and change.cause in ("drift", "both"):
        return "changed outside, and changes made outside are kept"
    return ""
