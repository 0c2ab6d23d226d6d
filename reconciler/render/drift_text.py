"""A plan worded for operations: first what somebody changed in CXone, then what is not applied yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.change import Update
from reconciler.render.plan_text import change_lines, finding_lines
from reconciler.render.told_change import in_reading_order, told_change
from reconciler.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reconciler.change import Change
    from reconciler.plan import Plan
    from reconciler.render.paint import Paint

    Command = Callable[[Sequence[str]], str]


_MOST_NAMED = 5


def drift_text(plan: Plan, paint: Paint, heal: Command, keep: Command) -> str:
    """Return what differs between the manifests and the tenant.

    `heal` and `keep` give the commands that undo what was changed in CXone, and that write it into the manifests: for
    some addresses, or for all.
    """
    outside = [change for change in plan.changes if change.cause != "manifest"]
    ours = [change for change in plan.changes if change.cause == "manifest"]
    rules = counted(len(plan.changes) + plan.unchanged, "rule")
    differ = "differs" if len(plan.changes) == 1 else "differ"
    lines = [f"{len(plan.changes):,} of {rules} {differ} from the manifests in {plan.environment}.", ""]
    lines += _section(plan, outside, "Changed in CXone:", paint)
    lines += _section(plan, ours, "Not applied yet:", paint)
    for held in plan.held:
        lines += [*change_lines(told_change(plan, held.change, f"left alone: {plain(held.reason)}"), paint), ""]
    for conflict in plan.conflicts:
        lines += [*finding_lines(conflict, paint), ""]
    lines += _ways_out("heal it", outside, heal)
    lines += _ways_out("keep it", [change for change in outside if isinstance(change, Update)], keep)
    if not plan.changes and not plan.conflicts:
        match = "matches" if plan.unchanged == 1 else "match"
        return f"No drift. {counted(plan.unchanged, 'rule')} in {plan.environment} {match} the manifests.\n"
    return "\n".join(lines).rstrip() + "\n"


def _ways_out(what: str, changes: Sequence[Change], command: Command) -> list[str]:
    addresses = sorted({str(change.address) for change in changes})
    return [f"  {what}   {command(addresses if len(addresses) <= _MOST_NAMED else ())}"] if addresses else []


def _section(plan: Plan, changes: Sequence[Change], title: str, paint: Paint) -> list[str]:
    if not changes:
        return []
    lines = [paint("bold", title), ""]
    for change in in_reading_order(changes):
        lines += [*change_lines(told_change(plan, change), paint), ""]
    return lines
