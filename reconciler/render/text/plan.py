"""A plan as text for a terminal: what apply will refuse, what changes, what is left alone, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.change_summary import ChangeSummary, FieldRow, source_location
from reconciler.render.equal_edits import common_rows, group_equal_edits, row_phrase
from reconciler.render.impact import ALL_ROWS, MAX_SHOWN, WAITING_NOTE, ImpactSummary
from reconciler.render.summary import (
    MAX_NAMED,
    PlanSummary,
    failed_tests_title,
    finding_members,
    subject_prefix,
    summarize_plan,
)
from reconciler.render.text.behaviour import impact_lines
from reconciler.text.escape import join_first, pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.model.finding import Finding
    from reconciler.model.rule import Address, Source
    from reconciler.plan.plan import Plan
    from reconciler.render.colour import Style


SYMBOLS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "adopt": (">", "blue"), "delete": ("-", "red")}


def plan_text(plan: Plan, style: Style, tenant: str, limit: int = MAX_SHOWN) -> str:
    """Return the plan for a terminal, without what to do next; `most` is how many cases of who is affected it shows."""
    told = summarize_plan(plan, tenant, limit)
    lines = _head(told, style)
    named = ALL_ROWS if limit == ALL_ROWS else MAX_NAMED
    for group in (*group_equal_edits(told.changes), *group_equal_edits(told.held_changes)):
        lines += [*(change_lines(group[0], style) if len(group) == 1 else _group_lines(group, style, named)), ""]
    lines += _notes(told, style, named)
    lines += [told.totals_text, *([told.schedule_text] if told.schedule_text else [])]
    return "\n".join(lines) + "\n"


def brief_plan_text(plan: Plan, style: Style, tenant: str, limit: int = MAX_SHOWN) -> str:
    """Return the plan in brief: refusals, who is affected, and counts; no list of rules, and warnings as a count."""
    told = summarize_plan(plan, tenant, limit)
    warnings = sum(finding.severity == "warning" for finding in told.notes)
    noted = f" {pluralize(warnings, 'warning')}." if warnings else ""
    return "\n".join([*_head(told, style), f"{told.totals_text}{noted}"]) + "\n"


def change_lines(change: ChangeSummary, style: Style) -> Iterator[str]:
    """Yield a head line and the details of one change."""
    symbol, colour = SYMBOLS[change.action]
    where = f"   {style('dim', source_location(change.source))}" if change.source else ""
    yield f"  {style(colour, f'{symbol} {change.address}')}{where}"
    yield from (f"      {line}" for line in change.all_sentences)
    yield from _align_rows(change.rows)


def _group_lines(group: Sequence[ChangeSummary], paint: Style, most: int) -> Iterator[str]:
    """Yield equal edits of several rules: what, then which rules, up to `most` of them."""
    symbol, colour = SYMBOLS[group[0].action]
    rows = common_rows(group)
    rules, what = pluralize(len(group), "rule"), f": {row_phrase(rows[0])}" if len(rows) == 1 else ""
    yield f"  {paint(colour, f'{symbol} {rules}{what}')}"
    yield from (f"      {line}" for line in group[0].all_sentences)
    yield from () if what else _align_rows(rows)
    if len(group) > most:
        yield f"      {paint('dim', join_first([str(change.address) for change in group], most))}"
    else:
        yield from (f"      {paint('dim', address_line(change.address, change.source))}" for change in group)


def finding_lines(finding: Finding, style: Style, limit: int = MAX_NAMED) -> Iterator[str]:
    """Yield a finding about rules: what, then where and what to do. Of several rules up to `most` are named."""
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[finding.severity]
    yield f"  {style(colour, f'{finding.severity}[{finding.code}]')} {subject_prefix(finding)}{sanitize(finding.message)}"
    if finding.hint:
        yield f"      {sanitize(finding.hint)}"
    if finding.repeats:
        yield from (f"      {style('dim', line)}" for line in _member_lines(finding, limit))
    elif finding.source:
        yield f"      {style('dim', source_location(finding.source))}"


def _head(told: PlanSummary, paint: Style) -> list[str]:
    lines = [f"{paint('bold', f'Plan for {told.environment}')}   {told.tenant_text}", ""]
    lines += [*_failed_tests(told, paint), *_lifted_guard_lines(told, paint), *_refusals(told, paint)]
    return lines + (_impact_lines(told.impact, paint) if told.impact else [])


def _member_lines(finding: Finding, most: int) -> list[str]:
    """Return the rules of a finding on one line where some are left out, else each on a line with its place."""
    names = finding_members(finding)
    if len(names) > most:
        return [join_first(names, most)]
    return [address_line(one.address, one.source) for one in finding.occurrences]


def address_line(address: Address | None, source: Source | None) -> str:
    """Return `cards/help   manifests/cards.yaml:12`."""
    return "   ".join([*([str(address)] if address else []), *([source_location(source)] if source else [])])


def _impact_lines(who: ImpactSummary, paint: Style) -> list[str]:
    """Say first of all who goes elsewhere."""
    waiting = [paint("dim", f"  {WAITING_NOTE}")] if who.cases else []
    return [*impact_lines(who, paint), *waiting, ""]


def _failed_tests(told: PlanSummary, paint: Style) -> list[str]:
    if not told.failed_tests:
        return []
    lines = [line for finding in told.failed_tests for line in finding_lines(finding, paint)]
    return [paint("red", failed_tests_title(told.failed_tests)), *lines, ""]


def _lifted_guard_lines(told: PlanSummary, paint: Style) -> list[str]:
    lines = [
        f"  {paint('yellow', 'allowed')} {one.name}: {one.message}\n      because: {one.reason}"
        for one in told.lifted_guards
    ]
    return [*lines, ""] if lines else []


def _refusals(told: PlanSummary, paint: Style) -> list[str]:
    lines = [f"  {paint('red', 'apply will refuse this:')} {one.message}" for one in told.refusals]
    for conflict in told.conflicts:
        lines += finding_lines(conflict, paint)
    return [*lines, ""] if lines else []


def _align_rows(rows: Iterable[FieldRow]) -> Iterator[str]:
    shown = list(rows)
    width = max((len(row.name) for row in shown), default=0)
    for row in shown:
        after = f" -> {row.after}" if row.after else ""
        yield f"      {row.name:<{width}}  {row.before}{after}"


def _notes(told: PlanSummary, paint: Style, most: int) -> list[str]:
    lines = [line for finding in told.notes for line in finding_lines(finding, paint, most)]
    lines += [f"  {told.acknowledged}"] if told.acknowledged else []
    return [*lines, ""] if lines else []
