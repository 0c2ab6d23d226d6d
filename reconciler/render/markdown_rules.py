"""The rules of a pull-request comment: a table of changes, what the lint says, and the full diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.inline import alert, cell, code, folded, inline
from reconciler.render.telling import far_title, parted
from reconciler.render.told_change import noticed, place, says
from reconciler.words import counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.findings import Finding
    from reconciler.model import Source
    from reconciler.render.origin import Origin
    from reconciler.render.telling import Telling
    from reconciler.render.told_change import Row, ToldChange

SIGNS: Final = {
    "create": "**\\+**\u00a0create",
    "update": "**~**\u00a0update",
    "adopt": "**\\>**\u00a0adopt",
    "delete": "**−**\u00a0delete",  # noqa: RUF001 - a minus
}
_DIFF: Final = {"create": "+", "update": "!", "adopt": "!", "delete": "-"}


def rules_table(changed: Sequence[ToldChange], held: Sequence[ToldChange], origin: Origin, most: int) -> list[str]:
    """Return the table of changes, then of those left alone; at most so many rows, and how many are left out."""
    changes = (*changed, *held)
    shown = changes[:most]
    if not shown:
        return []
    lines = ["| | Rule | Change | Why | Where |", "|---|---|---|---|---|"]
    lines += [_rule(change, origin, number >= len(changed)) for number, change in enumerate(shown)]
    more = len(changes) - len(shown)
    return ["\n".join(lines), *([f"and {counted(more, 'further rule')}: see the report."] if more else [])]


def _rule(change: ToldChange, origin: Origin, held: bool) -> str:  # noqa: FBT001 - a column says so
    said = [inline(line.removeprefix("left alone: ")) for line in says(change)]
    said += [_row(row) for row in noticed(change.rows)]
    sign = "left alone" if held else SIGNS[change.action]
    where = _place(change.source, origin) if change.source else "removed" if change.action == "delete" else ""
    what = cell("<br>".join(said))
    return f"| {sign} | {code(str(change.address))} | {what} | {change.by} | {cell(where)} |"


def _row(row: Row) -> str:
    after = f" → {inline(row.after)}" if row.after else ""
    colon = "" if row.name.endswith((">", "<", "=")) else ":"
    return f"{inline(row.name)}{colon} {inline(row.before)}{after}"


def _place(source: Source, origin: Origin) -> str:
    link, shown = origin.link(source), code(place(source).rpartition("/")[2])
    return f"[{shown}]({link})" if link else shown


def findings_list(told: Telling, origin: Origin, most: int) -> list[str]:
    """Show warnings about what changes openly, and fold those about other rules, and what is merely worth knowing."""
    near, far = parted(told)
    blocks = [alert("WARNING", [*listed(near[:most], origin)])] if near and most else []
    more = len(near) - most if most else 0
    if more > 0:
        blocks.append(f"and {counted(more, 'further warning')}: see the report.")
    rest = [one for one in told.notes if one.severity == "info"]
    for title, findings in ((far_title(far), far), (counted(len(rest), "further note"), rest)):
        if findings and most:
            blocks.append(folded(title, "\n".join(listed(findings[:most], origin)) + "\n"))
    return blocks


def listed(findings: Sequence[Finding], origin: Origin) -> Iterator[str]:
    """Yield findings as items of a list, each with its place."""
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
