"""The rules of a pull-request comment: a table of changes, what the lint says, and the full diff."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.equal_edits import common_rows, equal_edits, row_phrase
from reconciler.render.finding_subject import members, subject
from reconciler.render.inline import alert, cell, code, folded, inline
from reconciler.render.telling import far_title, parted
from reconciler.render.told_change import noticed, place, says
from reconciler.words import counted, cut, plain

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
    """Return the table of changes, then of those left alone; at most so many rows, and how many are left out.

    Equal edits of several rules are one row.
    """
    groups = [(group, "") for group in equal_edits(changed)] + [(group, "left alone") for group in equal_edits(held)]
    shown = groups[:most]
    if not shown:
        return []
    lines = ["| | Rule | Change | Why | Where |", "|---|---|---|---|---|"]
    lines += [_rule(group, origin, sign, most) for group, sign in shown]
    more = sum(len(group) for group, _ in groups[most:])
    return ["\n".join(lines), *([f"and {counted(more, 'further rule')}: see the report."] if more else [])]


def _rule(group: Sequence[ToldChange], origin: Origin, sign: str, most: int) -> str:
    change, several = group[0], len(group) > 1
    said = [inline(line.removeprefix("left alone: ")) for line in says(change)]
    said += [inline(row_phrase(row)) for row in common_rows(group)] if several else map(_row, noticed(change.rows))
    where = _place(change.source, origin) if change.source else "removed" if change.action == "delete" else ""
    rule = code(str(change.address))
    if several:
        where, rule = (
            f"{where} ...",
            folded_names(counted(len(group), "rule"), [str(one.address) for one in group], most),
        )
    what = cell("<br>".join(said))
    return f"| {sign or SIGNS[change.action]} | {rule} | {what} | {change.by} | {cell(where)} |"


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
    blocks = [alert("WARNING", [*listed(near[:most], origin, most)])] if near and most else []
    more = len(near) - most if most else 0
    if more > 0:
        blocks.append(f"and {counted(more, 'further warning')}: see the report.")
    rest = [one for one in told.notes if one.severity == "info"]
    for title, findings in ((far_title(far), far), (counted(len(rest), "further note"), rest)):
        if findings and most:
            blocks.append(folded(title, "\n".join(listed(findings[:most], origin, most)) + "\n"))
    return [*blocks, told.acknowledged] if told.acknowledged else blocks


def listed(findings: Sequence[Finding], origin: Origin, most: int) -> Iterator[str]:
    """Yield findings as items of a list, each with its place; of one about several rules up to `most` are named."""
    for finding in findings:
        where = f" ({_place(finding.source, origin)})" if finding.source else ""
        about = f"{code(str(finding.address))}: " if finding.address else ""
        if finding.repeats:
            about, where = f"{subject(finding)}: ", f" {folded_names('which', members(finding), most)}"
        hint = f"; {inline(plain(finding.hint))}" if finding.hint else ""
        yield f"- **{finding.code}** {about}{inline(plain(finding.message))}{hint}{where}"


def folded_names(title: str, names: Sequence[str], most: int) -> str:
    """Return up to so many names, opened by a click, for a cell or an item of a list."""
    return f"<details><summary>{title}</summary>{cut([code(name) for name in names], most)}</details>"


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
