"""A plan as text for a terminal: what apply will refuse, what changes, what is left alone, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.affected import MOST_SHOWN, WAITING
from reconciler.render.behaviour_text import behaviour_lines
from reconciler.render.telling import telling, tests_title
from reconciler.render.told_change import place
from reconciler.words import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.findings import Finding
    from reconciler.plan import Plan
    from reconciler.render.affected import Affected
    from reconciler.render.paint import Paint
    from reconciler.render.telling import Telling
    from reconciler.render.told_change import Row, ToldChange

SYMBOLS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "adopt": (">", "blue"), "delete": ("-", "red")}


def plan_text(plan: Plan, paint: Paint, tenant: str, most: int = MOST_SHOWN) -> str:
    """Return the plan for a terminal, without what to do next; `most` is how many cases of who is affected it shows."""
    told = telling(plan, tenant, most)
    lines = [f"{paint('bold', f'Plan for {told.environment}')}   {told.tenant}", ""]
    lines += _failed_tests(told, paint)
    lines += _allowed(told, paint)
    lines += _refusals(told, paint)
    lines += _affected(told.affected, paint) if told.affected else []
    for change in (*told.changes, *told.held):
        lines += [*change_lines(change, paint), ""]
    lines += _notes(told.notes, paint)
    lines += [told.sum, *([told.order] if told.order else [])]
    return "\n".join(lines) + "\n"


def change_lines(change: ToldChange, paint: Paint) -> Iterator[str]:
    """Yield a head line and the details of one change."""
    symbol, colour = SYMBOLS[change.action]
    where = f"   {paint('dim', place(change.source))}" if change.source else ""
    yield f"  {paint(colour, f'{symbol} {change.address}')}{where}"
    yield from (f"      {line}" for line in change.lines)
    yield from _aligned(change.rows)


def finding_lines(finding: Finding, paint: Paint) -> Iterator[str]:
    """Yield a finding about rules: what, then where and what to do."""
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[finding.severity]
    about = f"{finding.address}: " if finding.address else ""
    yield f"  {paint(colour, f'{finding.severity}[{finding.code}]')} {about}{plain(finding.message)}"
    if finding.hint:
        yield f"      {plain(finding.hint)}"
    if finding.source:
        yield f"      {paint('dim', place(finding.source))}"


def _affected(who: Affected, paint: Paint) -> list[str]:
    """Say first of all who goes elsewhere."""
    waiting = [paint("dim", f"  {WAITING}")] if who.cases else []
    return [*behaviour_lines(who, paint), *waiting, ""]


def _failed_tests(told: Telling, paint: Paint) -> list[str]:
    if not told.failed_tests:
        return []
    lines = [line for finding in told.failed_tests for line in finding_lines(finding, paint)]
    return [paint("red", tests_title(told.failed_tests)), *lines, ""]


def _allowed(told: Telling, paint: Paint) -> list[str]:
    lines = [
        f"  {paint('yellow', 'allowed')} {one.name}: {one.message}\n      because: {one.because}"
        for one in told.allowed
    ]
    return [*lines, ""] if lines else []


def _refusals(told: Telling, paint: Paint) -> list[str]:
    lines = [f"  {paint('red', 'apply will refuse this:')} {one.message}" for one in told.refusals]
    for conflict in told.conflicts:
        lines += finding_lines(conflict, paint)
    return [*lines, ""] if lines else []


def _aligned(rows: Iterable[Row]) -> Iterator[str]:
    shown = list(rows)
    width = max((len(row.name) for row in shown), default=0)
    for row in shown:
        after = f" -> {row.after}" if row.after else ""
        yield f"      {row.name:<{width}}  {row.before}{after}"


def _notes(findings: Iterable[Finding], paint: Paint) -> list[str]:
    lines = [line for finding in findings for line in finding_lines(finding, paint)]
    return [*lines, ""] if lines else []
