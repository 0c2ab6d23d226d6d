"""The rules of a pull-request comment: a table of changes, what the lint says, and the full diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.inline import alert, cell, code, folded, inline
from reconciler.render.told_change import place
from reconciler.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.model import Source
    from reconciler.render.origin import Origin
    from reconciler.render.telling import Telling
    from reconciler.render.told_change import Row, ToldChange

SIGNS: Final = {
    "create": "**\\+** create",
    "update": "**~** update",
    "adopt": "**\\>** adopt",
    "delete": "**−** delete",  # noqa: RUF001 - a minus
}
_DIFF: Final = {"create": "+", "update": "!", "adopt": "!", "delete": "-"}


def rules_table(changed: Sequence[ToldChange], held: Sequence[ToldChange], origin: Origin, most: int) -> list[str]:
    """Return the table of changes, then of those left alone; at most so many rows, and how many are left out."""
    changes = (*changed, *held)
    shown = changes[:most]
    if not shown:
        return []
    lines = ["| | Rule | Change | Why | Where |", "|---|---|---|---|---|"]
    lines += [_rule(change, origin, change in held) for change in shown]
    more = len(changes) - len(shown)
    return ["\n".join(lines), *([f"and {counted(more, 'further rule')}: see the report."] if more else [])]


def _rule(change: ToldChange, origin: Origin, held: bool) -> str:  # noqa: FBT001 - a column says so
    said = [inline(line) for line in says(change)] + [_row(row) for row in change.rows]
    sign = "left alone" if held else SIGNS[change.action]
    where = _place(change.source, origin) if change.source else "removed" if change.action == "delete" else ""
    what, why = cell("<br>".join(said)), cell(inline(because(change)))
    return f"| {sign} | {code(str(change.address))} | {what} | {why} | {cell(where)} |"


def says(change: ToldChange) -> tuple[str, ...]:
    """Return what is said of a change in sentences, but for why it is made."""
    return tuple(line for line in change.lines if line != change.why or change.action == "adopt")


def because(change: ToldChange) -> str:
    """Return who made the difference, or why the change is made."""
    if change.cause != "manifest":
        return change.why
    return f"your change: {change.why}" if change.why and change.action == "delete" else "your change"


def _row(row: Row) -> str:
    after = f" → {inline(row.after)}" if row.after else ""
    return f"{inline(row.name)}: {inline(row.before)}{after}"


def _place(source: Source, origin: Origin) -> str:
    link, shown = origin.link(source), code(place(source).rpartition("/")[2])
    return f"[{shown}]({link})" if link else shown


def findings_list(told: Telling, origin: Origin, most: int) -> list[str]:
    """Show warnings openly, and fold what is merely worth knowing."""
    warnings = [one for one in told.notes if one.severity == "warning"]
    rest = [one for one in told.notes if one.severity == "info"]
    blocks = []
    if warnings and most:
        blocks.append(alert("WARNING", [*_listed(warnings[:most], origin)]))
    more = len(warnings) - most if most else 0
    if more > 0:
        blocks.append(f"and {counted(more, 'further warning')}: see the report.")
    if rest and most:
        title = counted(len(rest), "further note")
        blocks.append(folded(title, "\n".join(_listed(rest[:most], origin)) + "\n"))
    return blocks


def _listed(findings: Sequence[Finding], origin: Origin) -> Iterator[str]:
    for finding in findings:
        where = f" ({_place(finding.source, origin)})" if finding.source else ""
        about = f"{code(str(finding.address))}: " if finding.address else ""
        hint = f"; {inline(plain(finding.hint))}" if finding.hint else ""
        yield f"- **{finding.code}** {about}{inline(plain(finding.message))}{hint}{where}"


def diff_lines(told: Telling) -> Iterator[str]:
    """Yield every change as lines of a diff."""
    for change in told.changes:
        sign = _DIFF[change.action]
        where = f"  # {place(change.source)}" if change.source else ""
        yield f"{sign} {change.address}{where}"
        yield from (f"{sign}     {line}" for line in change.lines)
        for row in change.rows:
            yield f"{'-' if row.after else '!'}     {row.name}: {row.before}"
            if row.after:
                yield f"+     {row.name}: {row.after}"
