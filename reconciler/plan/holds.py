"""Which changes are left alone for now, and why: held, not pruned, drift that is kept, names not free yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.change import Change, Create, Delete, HeldChange, Update

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from reconciler.desired.desired import DesiredState
    from reconciler.model.rule import Address
    from reconciler.plan.options import PlanOptions
    from reconciler.plan.ownership import LiveRulesByOwner


def split_held_changes(
    changes: Iterable[Change], desired: DesiredState, by_owner: LiveRulesByOwner, options: PlanOptions, now: datetime
) -> tuple[list[Change], list[HeldChange]]:
    """Part the changes that are left alone for now from the others; `now` decides which holds still stand."""
    cloned = frozenset(live.marker.address for live in by_owner.edited_copies if live.marker and not live.marker.copy)
    active, held = [], []
    for change in changes:
        reason = _blocked_by_copy(change, cloned) or _hold_reason(change, desired, options, now)
        if reason:
            held.append(HeldChange(change, reason))
        else:
            active.append(change)
    while waiting := _blocked_by_name(active, by_owner):
        held += waiting
        stay = {id(one.change) for one in waiting}
        active = [change for change in active if id(change) not in stay]
    return active, held


def _blocked_by_name(active: Sequence[Change], by_owner: LiveRulesByOwner) -> list[HeldChange]:
    """Return the changes that need a name which one of our rules has and keeps, since it is left alone itself."""
    left = {change.live.id for change in active if not isinstance(change, Create)}
    kept = {live.rule.name: address for address, live in by_owner.managed.items() if live.id not in left}
    return [
        HeldChange(change, f"its name is still that of {kept[change.after.name]}, which is left alone")
        for change in active
        if not isinstance(change, Delete)
        and change.after.name in kept
        and (isinstance(change, Create) or change.live.rule.name != change.after.name)
    ]


def _blocked_by_copy(change: Change, copied_addresses: frozenset[Address]) -> str:
    """Return why a rule does not leave its address yet: an edited copy there, not ours to write, would count as it."""
    leaves = isinstance(change, Delete) and change.cause != "duplicate"
    moves = (
        isinstance(change, Update) and change.live.marker is not None and change.live.marker.address != change.address
    )
    before = change.live.marker if not isinstance(change, Create) else None
    if not (leaves or moves) or before is None or before.address not in copied_addresses:
        return ""
    return (
        f"somebody made an edited copy of it, which would then count as {before.address} and be deleted:"
        " delete the copy, or take the last line out of its description"
    )


def _hold_reason(change: Change, desired: DesiredState, options: PlanOptions, now: datetime) -> str:
    wanted = desired.rules.get(change.address)
    if isinstance(change, Delete) and change.cause == "duplicate":
        return ""
    if change.address in desired.skipped:
        return desired.skipped[change.address]
    if wanted is not None and wanted.hold is not None and now < wanted.hold.until:
        return f"held until {wanted.hold.until.isoformat()}: {wanted.hold.reason}"
    if isinstance(change, Delete) and not options.prune:
        return "nothing is to be deleted" if options.undo else "prune is off: rules that no manifest names stay"
    if options.keep_drift and change.cause in ("drift", "both"):
        return "changed outside, and changes made outside are kept"
    return ""
