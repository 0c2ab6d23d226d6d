"""A plan as text for a terminal: what apply will refuse, what changes, what is left alone, what to do next."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, Final

from reconciler.change import Adopt, Create, Delete, Update, is_copy
from reconciler.model import Condition
from reconciler.render.behaviour_text import MOST_SHOWN, behaviour_lines
from reconciler.saved_plan import action, summary
from reconciler.words import (
    condition_phrase,
    counted,
    plain,
    queue_phrase,
    queues_phrase,
    rule_phrase,
    subject_phrase,
    target_phrase,
    value,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from reconciler.change import Change, FieldChange
    from reconciler.findings import Finding
    from reconciler.model import Source
    from reconciler.plan import Plan
    from reconciler.render.paint import Paint

SYMBOLS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "adopt": (">", "blue"), "delete": ("-", "red")}
_READING: Final = ("delete", "update", "adopt", "create")
_DETOURS: Final = {
    "copy": "in three steps: a temporary copy takes its conversations first, and goes when the rule itself is changed",
    "aside": "in two steps: another rule has its new name until then, so it takes the name last",
}
_INDEXED: Final = re.compile(r"(conditions|targets)\[(\d+)\]")


def plan_text(plan: Plan, paint: Paint, tenant: str, most: int = MOST_SHOWN) -> str:
    """Return the plan for a terminal, without what to do next; `most` is how many cases of who is affected it shows."""
    lines = [f"{paint('bold', f'Plan for {plan.environment}')}   {_tenant(plan, tenant)}", ""]
    lines += _allowed(plan, paint)
    lines += _refusals(plan, paint)
    lines += _affected(plan, paint, most)
    detours = _detours(plan)
    for change in in_reading_order(plan.changes):
        lines += [*change_lines(plan, change, paint, note=detours.get(id(change), "")), ""]
    for held in plan.held:
        lines += [*change_lines(plan, held.change, paint, note=f"left alone: {plain(held.reason)}"), ""]
    lines += _notes(plan.findings, paint)
    lines += [_sum(plan), *_order(plan)]
    return "\n".join(lines) + "\n"


def in_reading_order(changes: Iterable[Change]) -> list[Change]:
    """Return changes as people read them: deletes, updates, adoptions, creates; then by priority and address."""
    return sorted(changes, key=lambda change: (_READING.index(action(change)), _priority(change), change.address))


def change_lines(plan: Plan, change: Change, paint: Paint, note: str = "") -> Iterator[str]:
    """Yield a head line and the details of one change."""
    symbol, colour = SYMBOLS[action(change)]
    where = f"   {paint('dim', place(change.source))}" if change.source else ""
    yield f"  {paint(colour, f'{symbol} {change.address}')}{where}"
    if note:
        yield f"      {note}"
    if isinstance(change, Create):
        yield f"      {rule_phrase(change.after, plan.queue_names, plan.labels)}"
        return
    why = _why(change)
    if why:
        yield f"      {why}"
    if isinstance(change, Delete):
        yield f"      {rule_phrase(change.live.rule, plan.queue_names, plan.labels)}"
        return
    yield from _aligned(list(_rows(plan, change)))


def place(source: Source) -> str:
    """Return `manifests/cards.yaml:12`."""
    return f"{plain(source.file)}:{source.line}"


def finding_lines(finding: Finding, paint: Paint) -> Iterator[str]:
    """Yield a finding about rules: what, then where and what to do."""
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[finding.severity]
    about = f"{finding.address}: " if finding.address else ""
    yield f"  {paint(colour, f'{finding.severity}[{finding.code}]')} {about}{plain(finding.message)}"
    if finding.hint:
        yield f"      {plain(finding.hint)}"
    if finding.source:
        yield f"      {paint('dim', place(finding.source))}"


def _affected(plan: Plan, paint: Paint, most: int) -> list[str]:
    """Say first of all who goes elsewhere."""
    if plan.behaviour is None or not plan.changes:
        return []
    lines = list(behaviour_lines(plan.behaviour, plan.queue_names, plan.labels, paint, plan.moved, most))
    if plan.behaviour.changed:
        waiting = "Whether conversations that already wait are routed again depends on the tenant's settings."
        lines.append(paint("dim", f"  {waiting}"))
    return [*lines, ""]


def _detours(plan: Plan) -> dict[int, str]:
    """Say of the changes that need calls beside their own, by id, which and why."""
    return {id(step.change): _DETOURS[step.kind] for wave in plan.steps for step in wave if step.kind in _DETOURS}


def _order(plan: Plan) -> list[str]:
    """Say in how many steps it is made, and what is proven of them."""
    if not plan.changes or plan.unproven or not plan.steps:
        return []
    steps = counted(len(plan.steps), "step")
    return [f"Made in {steps}; after every single call each conversation goes to its old or its new queue (proven)."]


def _tenant(plan: Plan, tenant: str) -> str:
    return f"{plain(tenant)}, {counted(len(plan.managed), 'managed rule')} live, {plan.unmanaged:,} not managed"


def _allowed(plan: Plan, paint: Paint) -> list[str]:
    lines = [
        f"  {paint('yellow', 'allowed')} {result.name}: {plain(result.message)}\n      because: {plain(result.allowed)}"
        for result in plan.guards
        if result.allowed is not None
    ]
    return [*lines, ""] if lines else []


def _refusals(plan: Plan, paint: Paint) -> list[str]:
    lines = [
        f"  {paint('red', 'apply will refuse this:')} {plain(result.message)}"
        for result in plan.guards
        if not result.ok
    ]
    for conflict in plan.conflicts:
        lines += finding_lines(conflict, paint)
    return [*lines, ""] if lines else []


def _why(change: Change) -> str:
    """Say who made the difference, where it was not just the manifest."""
    if is_copy(change):
        return "a temporary copy that an earlier run left; it goes"
    if change.cause == "duplicate":
        return "a second copy of this rule, left by a lost answer or two runs at once; the other one stays"
    if isinstance(change, Adopt):
        return f"takes over the rule made by hand, {value(change.live.rule.name)}"
    if change.cause == "drift":
        return "changed in CXone since the last apply"
    if change.cause == "both":
        return "changed in CXone since the last apply, and in the manifests"
    return "no manifest asks for it here any more" if isinstance(change, Delete) else ""


def _rows(plan: Plan, change: Update | Adopt) -> Iterator[tuple[str, str]]:
    """Yield each changed field: its name, and `before -> after`; the parts of one condition are one row."""
    for (part, _), fields in groupby(change.fields, key=_about):
        found = _INDEXED.fullmatch(part)
        leaves = {field.path.removeprefix(part).lstrip("."): field for field in fields}
        if found is None:
            yield from (_plain_row(field) for field in leaves.values())
        elif found.group(1) == "conditions":
            yield _condition_row(plan.labels, change, int(found.group(2)), leaves)
        else:
            yield from _target_rows(plan.queue_names, change, int(found.group(2)), leaves)


def _about(field: FieldChange) -> tuple[str, bool]:
    """Group the leaves of one part; a part that came and one that went are two, even at one place."""
    part, _, leaf = field.path.partition("].")
    return (f"{part}]" if leaf else part), not leaf and field.before is None


def _plain_row(field: FieldChange) -> tuple[str, str]:
    if field.path == "marker":
        return "bookkeeping", "the rule is as desired; only the note of who wrote it is renewed"
    if field.path == "address":
        return "moved", f"{field.before} -> {field.after}"
    return field.path, f"{value(field.before)} -> {value(field.after)}"


def _condition_row(
    labels: Mapping[str, str], change: Update | Adopt, index: int, leaves: Mapping[str, FieldChange]
) -> tuple[str, str]:
    """Say a condition that came, went, or asks something else now."""
    if "" in leaves:
        came = leaves[""].before is None
        rule = change.after if came else change.live.rule
        return f"condition {'added' if came else 'removed'}", condition_phrase(rule.conditions[index], labels)
    after = change.after.conditions[index]
    if not isinstance(after, Condition):
        return "condition", condition_phrase(after, labels)
    if leaves.keys() == {"value"}:
        return subject_phrase(after, labels), f"{value(leaves['value'].before)} -> {value(leaves['value'].after)}"
    operator = leaves["operator"].before if "operator" in leaves else after.operator
    written = leaves["value"].before if "value" in leaves else after.written
    before = Condition(after.attribute, operator, None, tuple(written) if isinstance(written, list) else written)
    return "condition", f"{condition_phrase(before, labels)} -> {condition_phrase(after, labels)}"


def _target_rows(
    names: Mapping[str, str], change: Update | Adopt, index: int, leaves: Mapping[str, FieldChange]
) -> Iterator[tuple[str, str]]:
    for leaf, field in leaves.items():
        if leaf == "queueId":
            yield "queue", f"{queue_phrase(field.before, names)} -> {queue_phrase(field.after, names)}"
        elif leaf == "weight":
            target = queues_phrase(change.after.targets[index : index + 1], names)
            yield f"weight of {target}", f"{value(field.before)} -> {value(field.after)}"
        elif leaf:
            yield f"target {leaf}", f"{value(field.before)} -> {value(field.after)}"
        else:
            came = field.before is None
            targets = (change.after if came else change.live.rule).targets
            yield f"queue {'added' if came else 'removed'}", target_phrase(targets[index], names)


def _aligned(rows: list[tuple[str, str]]) -> Iterator[str]:
    width = max((len(name) for name, _ in rows), default=0)
    for name, shown in rows:
        yield f"      {name:<{width}}  {shown}"


def _notes(findings: Iterable[Finding], paint: Paint) -> list[str]:
    lines = [line for finding in findings if finding.severity != "error" for line in finding_lines(finding, paint)]
    return [*lines, ""] if lines else []


def _sum(plan: Plan) -> str:
    counts = summary(plan)
    if not plan.changes:
        match = "matches" if counts["unchanged"] == 1 else "match"
        same = f"{counted(counts['unchanged'], 'rule')} in {plan.environment} {match} the manifests."
        blocked = f" {counted(len(plan.conflicts), 'rule')} cannot be made live." if plan.conflicts else ""
        held = f" {counts['held']} left alone." if plan.held else ""
        return f"{'Nothing else to change' if blocked else 'No changes'}. {same}{blocked}{held}"
    words = [f"{counts[kind]:,} to {kind}" for kind in ("create", "update", "adopt", "delete") if counts[kind]]
    held = f", {counts['held']} left alone" if counts["held"] else ""
    return f"Plan: {', '.join(words)}, {counts['unchanged']:,} unchanged{held}."


def _priority(change: Change) -> float:
    return change.live.rule.priority if isinstance(change, Delete) else change.after.priority
