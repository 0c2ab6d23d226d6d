"""A plan as a pull-request comment: Markdown as GitHub shows it, within its limits.

The same telling as everywhere: who is affected first, then what apply will refuse, then which rules change, then the
detail. Names from outside are code spans (`inline`); the only HTML is `<details>`, `<br>`, `<sub>` and our own marker.

The rules of a pull-request comment: a table of changes, what the lint says, and the full diff.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.render.change_summary import Row, ToldChange, noticed, place, says
from reconciler.render.equal_edits import common_rows, equal_edits, row_phrase
from reconciler.render.escape_markdown import alert, cell, code, fenced, folded, inline
from reconciler.render.impact import NOT_KNOWN, OTHERS, WAITING, Affected, Case
from reconciler.render.markdown.mermaid import drawn, mermaid
from reconciler.render.summary import Telling, far_title, members, parted, subject, tests_title
from reconciler.text.escape import join_first, pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.model.finding import Finding
    from reconciler.model.rule import Source
    from reconciler.render.provenance import Facts, Origin
    from reconciler.render.routing_map import RoutingMap


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
    return ["\n".join(lines), *([f"and {pluralize(more, 'further rule')}: see the report."] if more else [])]


def _rule(group: Sequence[ToldChange], origin: Origin, sign: str, most: int) -> str:
    change, several = group[0], len(group) > 1
    said = [inline(line.removeprefix("left alone: ")) for line in says(change)]
    said += [inline(row_phrase(row)) for row in common_rows(group)] if several else map(_row, noticed(change.rows))
    where = _place(change.source, origin) if change.source else "removed" if change.action == "delete" else ""
    rule = code(str(change.address))
    if several:
        where, rule = (
            f"{where} ...",
            folded_names(pluralize(len(group), "rule"), [str(one.address) for one in group], most),
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
        blocks.append(f"and {pluralize(more, 'further warning')}: see the report.")
    rest = [one for one in told.notes if one.severity == "info"]
    for title, findings in ((far_title(far), far), (pluralize(len(rest), "further note"), rest)):
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
        hint = f"; {inline(sanitize(finding.hint))}" if finding.hint else ""
        yield f"- **{finding.code}** {about}{inline(sanitize(finding.message))}{hint}{where}"


def folded_names(title: str, names: Sequence[str], most: int) -> str:
    """Return up to so many names, opened by a click, for a cell or an item of a list."""
    return f"<details><summary>{title}</summary>{join_first([code(name) for name in names], most)}</details>"


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


CHARACTERS: Final = 60_000
"""GitHub takes 65,536 in a comment; the head of one may be edited after the plan."""
BYTES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """How much detail is shown: cases, rules and findings at the most, and which folded parts."""

    cases: int
    rules: int
    findings: int
    parts: frozenset[str]
    sentence: int = 10_000
    """Characters of a row of who is affected: a longer one is counted, not cut, for no condition may be left out."""


LEVELS: Final = (
    Level(cases=20, rules=10_000, findings=50, parts=frozenset({"map", "diff", "examples"})),
    Level(cases=20, rules=10_000, findings=20, parts=frozenset({"map", "examples"})),
    Level(cases=20, rules=200, findings=10, parts=frozenset({"map"})),
    Level(cases=20, rules=50, findings=5, parts=frozenset({"map"})),
    Level(cases=20, rules=50, findings=5, parts=frozenset()),
    Level(cases=10, rules=0, findings=5, parts=frozenset()),
    Level(cases=3, rules=0, findings=0, parts=frozenset(), sentence=2_000),
)
"""What goes first stands twice, or is looked at least: the diff; then further rules, the map, all rules."""


def comment_marker(environment: str) -> str:
    """Return the first line of a comment, by which the next run finds it (covered by SemVer)."""
    return f"<!-- cxroute:plan env={environment} -->"


def markdown(told: Telling, routing: RoutingMap, facts: Facts, characters: int = CHARACTERS, size: int = BYTES) -> str:
    """Return the comment with as much detail as fits in so many characters and bytes."""
    for level in LEVELS:
        text = _comment(told, routing, facts, level)
        if len(text) <= characters and len(text.encode()) <= size:
            return text
    return text


def _comment(told: Telling, routing: RoutingMap, facts: Facts, level: Level) -> str:
    blocks = [f"{comment_marker(told.environment)}\n### Routing plan for {code(told.environment)}"]
    blocks += [alert("NOTE", [inline(facts.banner)])] if facts.banner else []
    blocks += _failed_tests(told, facts, level)
    blocks += _affected(told.affected, level) if told.affected else []
    blocks += _refusals(told, level)
    blocks += _allowed(told)
    blocks.append(_sum(told))
    blocks += _deletes(told)
    blocks += rules_table(told.changes, told.held, facts.origin, level.rules)
    blocks += findings_list(told, facts.origin, level.findings)
    blocks += _examples(told.affected, level) if told.affected else []
    if "diff" in level.parts and told.changes:
        blocks.append(folded("Full diff", fenced("\n".join(diff_lines(told)), "diff")))
    if "map" in level.parts and told.changes and drawn(routing):
        blocks.append(folded(_map_title(routing), fenced(mermaid(routing), "mermaid")))
    return "\n\n".join([*blocks, _foot(told, facts)]) + "\n"


def _failed_tests(told: Telling, facts: Facts, level: Level) -> list[str]:
    if not told.failed_tests:
        return []
    most = max(level.findings, 5)
    more = len(told.failed_tests) - most
    lines = [f"**{tests_title(told.failed_tests)}.**", *listed(told.failed_tests[:most], facts.origin, most)]
    return [alert("CAUTION", [*lines, *([f"- and {pluralize(more, 'further test')}"] if more > 0 else [])])]


def _allowed(told: Telling) -> list[str]:
    lines = [f"- {inline(one.message)} ({code(one.name)}). Because: {code(one.because)}" for one in told.allowed]
    return [alert("NOTE", ["**Allowed, although a guard speaks against it:**", *lines])] if lines else []


def _affected(who: Affected, level: Level) -> list[str]:
    """Say who goes elsewhere: what each queue gets, then a table that is read aloud row by row."""
    if not who.cases:
        return [f"**{inline(who.head)}**", *([inline(who.premise)] if who.premise else []), *_unknown(who, level)]
    shares = any(case.share for case in who.cases)
    rows = [_case(case, shares) for case in who.cases[: level.cases]]
    shown = [row for row in rows if len(row) <= level.sentence]
    head = "| Callers | Today | After this change |" + (" Share |" if shares else "")
    rule = "|---|---|---|" + ("---:|" if shares else "")
    rest = who.rest(len(who.cases) - len(shown))
    after = [
        f"{inline(rest)}; see plan.html." if rest else "",
        OTHERS if who.complete else "",
        inline(who.premise),
        WAITING,
    ]
    return [
        f"**{who.head}** ({inline(who.share)})",
        *_balance(who),
        *(["\n".join([head, rule, *shown])] if shown else []),
        " ".join(one for one in after if one),
        *_unknown(who, level),
    ]


def _balance(who: Affected) -> list[str]:
    """Return what each queue gets of the sample as a table; nothing without a sample."""
    told = ((one.queue, one.before, one.after, one.change) for one in who.balance)
    lines = [f"| {' | '.join(cell(inline(text)) for text in row)} |" for row in told]
    return (
        ["\n".join(["| Queue | Today | After this change | Change |", "|---|---:|---:|---:|", *lines])] if lines else []
    )


def _case(case: Case, shares: bool) -> str:  # noqa: FBT001 - the table has one column more
    who = "<br>".join(map(inline, (case.who, *case.excepts)))
    befores = "<br>or ".join(map(inline, case.befores))
    share = [inline(case.share).replace(" ", "\u00a0")] if shares else []
    return f"| {' | '.join(map(cell, [who, befores, inline(case.after), *share]))} |"


def _unknown(who: Affected, level: Level) -> list[str]:
    lines = [f"- {inline(one)}" for one in who.unknown if len(one) <= level.sentence]
    lines += [f"- and {pluralize(more, 'further case')}"] if (more := len(who.unknown) - len(lines)) else []
    return [alert("WARNING", [NOT_KNOWN, *lines])] if lines else []


def _refusals(told: Telling, level: Level) -> list[str]:
    if not told.blocked:
        return []
    lines = ["**Apply will refuse this plan:**", *(f"- {inline(one.message)}" for one in told.refusals)]
    lines += [_conflict(one) for one in told.conflicts[: max(level.findings, 5)]]
    more = len(told.conflicts) - max(level.findings, 5)
    lines += [f"- and {pluralize(more, 'further rule')}"] if more > 0 else []
    if told.refusals:
        names = " ".join(code(one.name) for one in told.refusals)
        lines += ["", f"If that is meant, lift it where it is reviewed: `guard.allow` of the Environment ({names})."]
    return [alert("CAUTION", lines)]


def _conflict(finding: Finding) -> str:
    about = f"{code(str(finding.address))}: " if finding.address else ""
    return f"- {about}{inline(sanitize(finding.message))}; {inline(sanitize(finding.hint))}"


def _sum(told: Telling) -> str:
    counts = told.counts
    if not told.changes:
        return inline(told.sum)
    words = [f"{counts[kind]:,} to {kind}" for kind in ("create", "update", "adopt", "delete") if counts[kind]]
    held = f", {counts['held']:,} left alone" if counts["held"] else ""
    changed = ", ".join(words) or "Only what an earlier run left is cleared away"
    rest = f"{counts['unchanged']:,} unchanged{held}. Nothing has been changed yet."
    return f"**{changed}**, {rest} {inline(told.order)}".rstrip()


def _deletes(told: Telling) -> list[str]:
    gone = [change for change in told.changes if change.action == "delete" and change.cause != "duplicate"]
    if not gone:
        return []
    named = join_first(gone, 10, lambda change: code(str(change.address)))
    will = "rule will be deleted" if len(gone) == 1 else "rules will be deleted"
    others = told.counts["delete"] - len(gone)
    twins = " Another delete only clears away a second copy of a rule that stays." if others == 1 else ""
    twins = f" {others:,} others only clear away second copies of rules that stay." if others > 1 else twins
    return [alert("CAUTION", [f"**{len(gone):,} {will}:** {named}.{twins}"])]


def _examples(who: Affected, level: Level) -> list[str]:
    if "examples" not in level.parts or not who.cases:
        return []
    lines = []
    for case in who.cases:
        lines.append(f"- {inline(case.who)}: {inline(case.before)} → {inline(case.after)}")
        lines.append(f"  - example: {inline(case.example)} ({inline(case.rules)})")
    return [folded("An example of each", "\n".join(lines) + "\n")]


def _map_title(routing: RoutingMap) -> str:
    cut = len(drawn(routing)) < len(routing.lanes)
    return "Routing map" + (": what changes" if cut else "")


def _foot(told: Telling, facts: Facts) -> str:
    origin = facts.origin
    parts = [f"Plan {code(facts.plan_id)}"]
    parts += [f"commit {code(origin.commit[:8])}"] if origin.commit else []
    parts += [f"live rules read {inline(facts.read_at)}", inline(told.tenant)]
    parts += [f"[run log and report]({origin.run})"] if origin.run else []
    return f"<sub>{' · '.join(parts)}</sub>"
