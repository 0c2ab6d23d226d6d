"""A plan as text for a terminal: what apply will refuse, what changes, what is left alone, what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.render.change_summary import Row, ToldChange, place
from reconciler.render.equal_edits import common_rows, equal_edits, row_phrase
from reconciler.render.impact import MOST_SHOWN, WAITING
from reconciler.render.summary import FOLDED, Telling, about, members, telling, tests_title
from reconciler.render.text.behaviour import behaviour_lines
from reconciler.text.escape import counted, cut, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.model.finding import Finding, Severity
    from reconciler.model.rule import Address, Source
    from reconciler.plan.plan import Plan
    from reconciler.render.colour import Paint


SYMBOLS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "adopt": (">", "blue"), "delete": ("-", "red")}


@dataclass(frozen=True, slots=True)
class TextLimits:
    """How much of a plan text shows: rows of its impact, and notes of these severities."""

    cases: int = MOST_SHOWN
    names: int = FOLDED
    """How many rules of a group are named."""
    severities: tuple[Severity, ...] = ("warning", "info")


def plan_text(plan: Plan, paint: Paint, tenant: str, limits: TextLimits = TextLimits()) -> str:
    """Return the plan for a terminal, without the next step."""
    summary, names = telling(plan, tenant, limits.cases), limits.names
    lines = _head(summary, paint)
    for group in (*equal_edits(summary.changes), *equal_edits(summary.held)):
        lines += [*(change_lines(group[0], paint) if len(group) == 1 else _group_lines(group, paint, names)), ""]
    notes = [note for note in summary.notes if note.severity in limits.severities]
    text = [line for note in notes for line in finding_lines(note, paint, names)]
    text += [f"  {summary.acknowledged}"] if summary.acknowledged else []
    lines += [*text, ""] if text else []
    lines += [summary.sum, *([summary.order] if summary.order else [])]
    return "\n".join(lines) + "\n"


def brief_plan_text(plan: Plan, paint: Paint, tenant: str, limits: TextLimits = TextLimits()) -> str:
    """Return the plan in brief: refusals, its impact, and counts; no list of rules, and warnings as a count."""
    summary = telling(plan, tenant, limits.cases)
    warnings = sum(finding.severity == "warning" for finding in summary.notes)
    noted = f" {counted(warnings, 'warning')}." if warnings else ""
    return "\n".join([*_head(summary, paint), f"{summary.sum}{noted}"]) + "\n"


def change_lines(change: ToldChange, paint: Paint) -> Iterator[str]:
    """Yield a head line and the details of one change."""
    symbol, colour = SYMBOLS[change.action]
    where = f"   {paint('dim', place(change.source))}" if change.source else ""
    yield f"  {paint(colour, f'{symbol} {change.address}')}{where}"
    yield from (f"      {line}" for line in change.lines)
    yield from _aligned(change.rows)


def _group_lines(group: Sequence[ToldChange], paint: Paint, most: int) -> Iterator[str]:
    """Yield equal edits of several rules: what, then which rules, up to `most` of them."""
    symbol, colour = SYMBOLS[group[0].action]
    rows = common_rows(group)
    rules, what = counted(len(group), "rule"), f": {row_phrase(rows[0])}" if len(rows) == 1 else ""
    yield f"  {paint(colour, f'{symbol} {rules}{what}')}"
    yield from (f"      {line}" for line in group[0].lines)
    yield from () if what else _aligned(rows)
    if len(group) > most:
        yield f"      {paint('dim', cut([str(change.address) for change in group], most))}"
    else:
        yield from (f"      {paint('dim', address_line(change.address, change.source))}" for change in group)


def finding_lines(finding: Finding, paint: Paint, most: int = FOLDED) -> Iterator[str]:
    """Yield a finding about rules: what, then where and what to do. Of several rules up to `most` are named."""
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[finding.severity]
    yield f"  {paint(colour, f'{finding.severity}[{finding.code}]')} {about(finding)}{plain(finding.message)}"
    if finding.hint:
        yield f"      {plain(finding.hint)}"
    if finding.repeats:
        yield from (f"      {paint('dim', line)}" for line in _members(finding, most))
    elif finding.source:
        yield f"      {paint('dim', place(finding.source))}"


def _head(summary: Telling, paint: Paint) -> list[str]:
    """Return what comes first: why apply refuses, the guards that are lifted, and the impact on conversations."""
    tests = [line for finding in summary.failed_tests for line in finding_lines(finding, paint)]
    allowed = [
        f"  {paint('yellow', 'allowed')} {guard.name}: {guard.message}\n      because: {guard.because}"
        for guard in summary.allowed
    ]
    refused = [f"  {paint('red', 'apply will refuse this:')} {guard.message}" for guard in summary.refusals]
    refused += [line for conflict in summary.conflicts for line in finding_lines(conflict, paint)]
    impact: list[str] = []
    if summary.affected:
        waiting = [paint("dim", f"  {WAITING}")] if summary.affected.cases else []
        impact = [*behaviour_lines(summary.affected, paint), *waiting]
    lines = [f"{paint('bold', f'Plan for {summary.environment}')}   {summary.tenant}", ""]
    lines += [paint("red", tests_title(summary.failed_tests)), *tests, ""] if tests else []
    for part in (allowed, refused, impact):
        lines += [*part, ""] if part else []
    return lines


def _members(finding: Finding, most: int) -> list[str]:
    """Return the rules of a finding on one line where some are left out, else each on a line with its place."""
    names = members(finding)
    if len(names) > most:
        return [cut(names, most)]
    return [address_line(one.address, one.source) for one in finding.places]


def address_line(address: Address | None, source: Source | None) -> str:
    """Return `cards/help   manifests/cards.yaml:12`."""
    return "   ".join([*([str(address)] if address else []), *([place(source)] if source else [])])


def _aligned(rows: Iterable[Row]) -> Iterator[str]:
    shown = list(rows)
    width = max((len(row.name) for row in shown), default=0)
    for row in shown:
        after = f" -> {row.after}" if row.after else ""
        yield f"      {row.name:<{width}}  {row.before}{after}"
