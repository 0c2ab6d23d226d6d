"""A plan as text for a terminal: what apply will refuse, what changes, what is left alone, what to do next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.change_summary import Row, ToldChange, place
from reconciler.render.equal_edits import common_rows, equal_edits, row_phrase
from reconciler.render.impact import EVERYTHING, MOST_SHOWN, WAITING, Affected
from reconciler.render.summary import FOLDED, Telling, about, members, telling, tests_title
from reconciler.render.text.behaviour import behaviour_lines
from reconciler.text.escape import join_first, pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.model.finding import Finding
    from reconciler.model.rule import Address, Source
    from reconciler.plan.plan import Plan
    from reconciler.render.colour import Paint


SYMBOLS: Final = {"create": ("+", "green"), "update": ("~", "yellow"), "adopt": (">", "blue"), "delete": ("-", "red")}


def plan_text(plan: Plan, paint: Paint, tenant: str, most: int = MOST_SHOWN) -> str:
    """Return the plan for a terminal, without what to do next; `most` is how many cases of who is affected it shows."""
    told = telling(plan, tenant, most)
    lines = _head(told, paint)
    named = EVERYTHING if most == EVERYTHING else FOLDED
    for group in (*equal_edits(told.changes), *equal_edits(told.held)):
        lines += [*(change_lines(group[0], paint) if len(group) == 1 else _group_lines(group, paint, named)), ""]
    lines += _notes(told, paint, named)
    lines += [told.sum, *([told.order] if told.order else [])]
    return "\n".join(lines) + "\n"


def brief_plan_text(plan: Plan, paint: Paint, tenant: str, most: int = MOST_SHOWN) -> str:
    """Return the plan in brief: refusals, who is affected, and counts; no list of rules, and warnings as a count."""
    told = telling(plan, tenant, most)
    warnings = sum(finding.severity == "warning" for finding in told.notes)
    noted = f" {pluralize(warnings, 'warning')}." if warnings else ""
    return "\n".join([*_head(told, paint), f"{told.sum}{noted}"]) + "\n"


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
    rules, what = pluralize(len(group), "rule"), f": {row_phrase(rows[0])}" if len(rows) == 1 else ""
    yield f"  {paint(colour, f'{symbol} {rules}{what}')}"
    yield from (f"      {line}" for line in group[0].lines)
    yield from () if what else _aligned(rows)
    if len(group) > most:
        yield f"      {paint('dim', join_first([str(change.address) for change in group], most))}"
    else:
        yield from (f"      {paint('dim', address_line(change.address, change.source))}" for change in group)


def finding_lines(finding: Finding, paint: Paint, most: int = FOLDED) -> Iterator[str]:
    """Yield a finding about rules: what, then where and what to do. Of several rules up to `most` are named."""
    colour = {"error": "red", "warning": "yellow", "info": "dim"}[finding.severity]
    yield f"  {paint(colour, f'{finding.severity}[{finding.code}]')} {about(finding)}{sanitize(finding.message)}"
    if finding.hint:
        yield f"      {sanitize(finding.hint)}"
    if finding.repeats:
        yield from (f"      {paint('dim', line)}" for line in _members(finding, most))
    elif finding.source:
        yield f"      {paint('dim', place(finding.source))}"


def _head(told: Telling, paint: Paint) -> list[str]:
    lines = [f"{paint('bold', f'Plan for {told.environment}')}   {told.tenant}", ""]
    lines += [*_failed_tests(told, paint), *_allowed(told, paint), *_refusals(told, paint)]
    return lines + (_affected(told.affected, paint) if told.affected else [])


def _members(finding: Finding, most: int) -> list[str]:
    """Return the rules of a finding on one line where some are left out, else each on a line with its place."""
    names = members(finding)
    if len(names) > most:
        return [join_first(names, most)]
    return [address_line(one.address, one.source) for one in finding.places]


def address_line(address: Address | None, source: Source | None) -> str:
    """Return `cards/help   manifests/cards.yaml:12`."""
    return "   ".join([*([str(address)] if address else []), *([place(source)] if source else [])])


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


def _notes(told: Telling, paint: Paint, most: int) -> list[str]:
    lines = [line for finding in told.notes for line in finding_lines(finding, paint, most)]
    lines += [f"  {told.acknowledged}"] if told.acknowledged else []
    return [*lines, ""] if lines else []
