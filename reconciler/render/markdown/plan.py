"""A plan as a pull-request comment: Markdown as GitHub shows it, within its limits.

Names from outside are code spans (`escape_markdown`). The only HTML is `<details>`, `<br>`, `<sub>` and the marker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.model.finding import Finding
from reconciler.model.rule import Source
from reconciler.plan.consent import CONSENT_PLACE
from reconciler.plan.document import COUNTED_ACTIONS
from reconciler.render import summary as texts
from reconciler.render.change_summary import (
    ChangeSummary,
    common_rows,
    group_equal_edits,
    row_phrase,
    sentences,
    visible_rows,
)
from reconciler.render.escape_markdown import alert, code_block, code_span, details, escape_markdown, table_cell
from reconciler.render.finding_subject import finding_members, finding_subject, source_location
from reconciler.render.impact import OTHERS_UNCHANGED, UNKNOWN_NOTE, WAITING_NOTE, ImpactCase, ImpactSummary
from reconciler.render.provenance import Provenance, SourceLinks
from reconciler.render.replay import ReplaySummary
from reconciler.render.routing_map import Lane, drawn_lanes, render_mermaid
from reconciler.render.summary import PlanSummary
from reconciler.text.escape import join_first, pluralize, sanitize

SIGNS: Final = {
    "create": "**\\+**\u00a0create",
    "update": "**~**\u00a0update",
    "adopt": "**\\>**\u00a0adopt",
    "delete": "**−**\u00a0delete",  # noqa: RUF001 - a minus
}
_DIFF: Final = {"create": "+", "update": "!", "adopt": "!", "delete": "-"}


def rules_table(
    changes: Sequence[ChangeSummary], held_changes: Sequence[ChangeSummary], links: SourceLinks, limit: int
) -> list[str]:
    """Return a table of up to `limit` rows, equal edits as one row, and the number of omitted rules."""
    groups = [(group, "") for group in group_equal_edits(changes)]
    groups += [(group, "held") for group in group_equal_edits(held_changes)]
    if not groups[:limit]:
        return []
    lines = ["| | Rule | Change | Why | Where |", "|---|---|---|---|---|"]
    lines += [_rule(group, links, sign, limit) for group, sign in groups[:limit]]
    hidden = sum(len(group) for group, _ in groups[limit:])
    return ["\n".join(lines), *([f"and {pluralize(hidden, 'further rule')}: see the report."] if hidden else [])]


def _rule(group: Sequence[ChangeSummary], links: SourceLinks, sign: str, limit: int) -> str:
    change, rule = group[0], code_span(str(group[0].address))
    lines = [escape_markdown(line.removeprefix("not applied: ")) for line in sentences(change)]
    where = source_link(change.source, links) if change.source else "removed" if change.action == "delete" else ""
    if len(group) > 1:
        lines += [escape_markdown(row_phrase(row)) for row in common_rows(group)]
        where = f"{where} ..."
        rule = names_details(pluralize(len(group), "rule"), [str(item.address) for item in group], limit)
    else:
        for row in visible_rows(change.rows):
            colon = "" if row.name.endswith((">", "<", "=")) else ":"
            after = f" → {escape_markdown(row.after)}" if row.after else ""
            lines.append(f"{escape_markdown(row.name)}{colon} {escape_markdown(row.before)}{after}")
    cell = table_cell("<br>".join(lines))
    return f"| {sign or SIGNS[change.action]} | {rule} | {cell} | {change.cause_text} | {table_cell(where)} |"


def source_link(source: Source, links: SourceLinks) -> str:
    """Return the file and line as a code span, with a link if the URL is known."""
    link, label = links.link(source), code_span(source_location(source).rpartition("/")[2])
    return f"[{label}]({link})" if link else label


def findings_list(summary: PlanSummary, links: SourceLinks, limit: int) -> list[str]:
    """Return the warnings about changed rules, then the other warnings and the notes, collapsed."""
    near, others = texts.split_notes(summary)
    blocks = [alert("WARNING", [*finding_items(near[:limit], links, limit)])] if near and limit else []
    hidden = len(near) - limit if limit else 0
    if hidden > 0:
        blocks.append(f"and {pluralize(hidden, 'further warning')}: see the report.")
    for title, findings in others.items() if limit else ():
        blocks.append(details(title, "\n".join(finding_items(findings[:limit], links, limit)) + "\n"))
    return [*blocks, summary.acknowledged] if summary.acknowledged else blocks


def finding_items(findings: Sequence[Finding], links: SourceLinks, limit: int) -> Iterator[str]:
    """Yield findings as items of a list, each with its location, or with up to `limit` names of its rules."""
    for finding in findings:
        if finding.repeats:
            names = names_details("which", finding_members(finding), limit)
            yield f"- **{finding.code}** {finding_subject(finding)}: {finding_text(finding)} {names}"
        else:
            where = f" ({source_link(finding.source, links)})" if finding.source else ""
            yield f"- **{finding.code}** {address_prefix(finding)}{finding_text(finding)}{where}"


def finding_text(finding: Finding) -> str:
    """Return the message with the hint."""
    hint = f"; {escape_markdown(sanitize(finding.hint))}" if finding.hint else ""
    return f"{escape_markdown(sanitize(finding.message))}{hint}"


def address_prefix(finding: Finding) -> str:
    """Return the address as the start of a sentence, or an empty text."""
    return f"{code_span(str(finding.address))}: " if finding.address else ""


def names_details(title: str, names: Sequence[str], limit: int) -> str:
    """Return up to `limit` names, collapsed, for a table cell or an item of a list."""
    return f"<details><summary>{title}</summary>{join_first([code_span(name) for name in names], limit)}</details>"


def diff_lines(summary: PlanSummary) -> Iterator[str]:
    """Yield every change as lines of a diff."""
    for change in summary.changes:
        sign = _DIFF[change.action]
        where = f"  # {source_location(change.source)}" if change.source else ""
        yield f"{sign} {change.address}{where}"
        yield from (f"{sign}     {line}" for line in change.all_sentences)
        for row in change.rows:
            yield f"{'-' if row.after else '!'}     {row.name}: {row.before}"
            if row.after:
                yield f"+     {row.name}: {row.after}"


MAX_CHARACTERS: Final = 60_000  # GitHub accepts 65,536; the head of a comment may grow after the plan
MAX_BYTES: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailLevel:
    """The limits of cases, rules and findings, and the collapsed parts."""

    cases: int
    rules: int
    findings: int
    parts: frozenset[str]
    max_row: int = 10_000  # characters of an impact row; a longer row is counted, not cut: no condition is omitted


DETAIL_LEVELS: Final = (
    DetailLevel(cases=20, rules=10_000, findings=50, parts=frozenset({"map", "diff", "examples"})),
    DetailLevel(cases=20, rules=10_000, findings=20, parts=frozenset({"map", "examples"})),
    DetailLevel(cases=20, rules=200, findings=10, parts=frozenset({"map"})),
    DetailLevel(cases=20, rules=50, findings=5, parts=frozenset({"map"})),
    DetailLevel(cases=20, rules=50, findings=5, parts=frozenset()),
    DetailLevel(cases=10, rules=0, findings=5, parts=frozenset()),
    DetailLevel(cases=3, rules=0, findings=0, parts=frozenset(), max_row=2_000),
)  # duplicated or rarely read parts are dropped first: the diff, then further rules, the map, all rules


def comment_marker(environment: str) -> str:
    """Return the first line of a comment, by which the next run finds the comment (covered by SemVer)."""
    return f"<!-- cxroute:plan env={environment} -->"


def render_markdown(
    summary: PlanSummary,
    routing: Sequence[Lane],
    facts: Provenance,
    characters: int = MAX_CHARACTERS,
    size: int = MAX_BYTES,
) -> str:
    """Return the comment with as much detail as fits into `characters` and `size` bytes."""
    for level in DETAIL_LEVELS:
        text = _comment(summary, routing, facts, level)
        if len(text) <= characters and len(text.encode()) <= size:
            return text
    return text


def _comment(summary: PlanSummary, routing: Sequence[Lane], facts: Provenance, level: DetailLevel) -> str:
    blocks = [f"{comment_marker(summary.environment)}\n### Routing plan for {code_span(summary.environment)}"]
    blocks += [alert("NOTE", [escape_markdown(facts.banner)])] if facts.banner else []
    if failed := summary.failed_tests:
        limit = max(level.findings, 5)
        lines = [f"**{texts.failed_tests_title(failed)}.**", *finding_items(failed[:limit], facts.links, limit)]
        hidden = len(failed) - limit
        lines += [f"- and {pluralize(hidden, 'further test')}"] if hidden > 0 else []
        blocks.append(alert("CAUTION", lines))
    blocks += [escape_markdown(summary.endpoint_text)] if summary.endpoint_text else []
    blocks += _impact_blocks(summary.impact, level) if summary.impact else []
    blocks += _replay_blocks(summary.replay, level) if summary.replay else []
    blocks += _consent(summary, level)
    guards = ((escape_markdown(guard.message), code_span(guard.name), guard.reason) for guard in summary.lifted_guards)
    lifted = [f"- {message} ({name}). Because: {code_span(reason)}" for message, name, reason in guards]
    blocks += _refusals(summary, level)
    blocks += [alert("NOTE", ["**Allowed despite a guard:**", *lifted])] if lifted else []
    blocks += [_totals_text(summary), *_deletes(summary)]
    blocks += rules_table(summary.changes, summary.held_changes, facts.links, level.rules)
    blocks += findings_list(summary, facts.links, level.findings)
    blocks += _examples(summary.impact.cases, level) if summary.impact else []
    if "diff" in level.parts and summary.changes:
        blocks.append(details("Full diff", code_block("\n".join(diff_lines(summary)), "diff")))
    if "map" in level.parts and summary.changes and (lanes := drawn_lanes(routing)):
        title = "Routing map" + (": changed rules" if len(lanes) < len(routing) else "")
        blocks.append(details(title, code_block(render_mermaid(lanes), "mermaid")))
    return "\n\n".join([*blocks, _foot(summary, facts)]) + "\n"


def _impact_blocks(impact: ImpactSummary, level: DetailLevel) -> list[str]:
    if not impact.cases:
        basis = [escape_markdown(impact.premise)] if impact.premise else []
        return [f"**{escape_markdown(impact.title)}**", *basis, *_unknown(impact, level)]
    table, visible = _case_table(impact.cases, level)
    rest = impact.rest_text(len(impact.cases) - visible)
    after = [f"{escape_markdown(rest)}; see plan.html."] if rest else []
    after += [] if impact.unknown else [OTHERS_UNCHANGED]
    after += [escape_markdown(impact.premise)] if impact.premise else []
    balance = [f"| {' | '.join(table_cell(escape_markdown(text)) for text in item)} |" for item in impact.balance]
    balance_head = ("| Queue | Today | After this change | Change |", "|---|---:|---:|---:|")
    blocks = [f"**{impact.title}** ({escape_markdown(impact.share)})"]
    blocks += ["\n".join([*balance_head, *balance])] if balance else []
    return [*blocks, *table, " ".join([*after, WAITING_NOTE]), *_unknown(impact, level)]


def _consent(summary: PlanSummary, level: DetailLevel) -> list[str]:
    limit = max(level.findings, 5)
    pairs = ((" or ".join(map(code_span, item.queue.owners)), item.reason) for item in summary.consent[:limit])
    lines = [f"- {owners} ({escape_markdown(reason)})" for owners, reason in pairs]
    hidden = len(summary.consent) - limit
    lines += [f"- and {pluralize(hidden, 'further queue')}: see plan.json."] if hidden > 0 else []
    return [alert("NOTE", ["**Consent needed:**", *lines, "", CONSENT_PLACE])] if lines else []


def _case_table(cases: Sequence[ImpactCase], level: DetailLevel) -> tuple[list[str], int]:
    """Return the table of the cases that fit, and their number."""
    shares = any(case.share for case in cases)
    rows = [_case(case, shares) for case in cases[: level.cases]]
    visible = [row for row in rows if len(row) <= level.max_row]
    head = "| Callers | Today | After this change |" + (" Share |" if shares else "")
    rule = "|---|---|---|" + ("---:|" if shares else "")
    return ["\n".join([head, rule, *visible])] if visible else [], len(visible)


def _case(case: ImpactCase, shares: bool) -> str:  # noqa: FBT001 - the table has one column more
    callers = "<br>".join(map(escape_markdown, (case.callers, *case.exceptions)))
    origins = "<br>or ".join(map(escape_markdown, case.origins))
    share = [escape_markdown(case.share).replace(" ", "\u00a0")] if shares else []
    return f"| {' | '.join(map(table_cell, [callers, origins, escape_markdown(case.destination), *share]))} |"


def _unknown(impact: ImpactSummary, level: DetailLevel) -> list[str]:
    lines = [f"- {escape_markdown(phrase)}" for phrase in impact.unknown if len(phrase) <= level.max_row]
    lines += [f"- and {pluralize(hidden, 'further case')}"] if (hidden := len(impact.unknown) - len(lines)) else []
    return [alert("WARNING", [UNKNOWN_NOTE, *lines])] if lines else []


def _refusals(summary: PlanSummary, level: DetailLevel) -> list[str]:
    if not summary.refusals and not summary.conflicts:
        return []
    lines = ["**Apply will refuse this plan:**", *(f"- {escape_markdown(item.message)}" for item in summary.refusals)]
    limit = max(level.findings, 5)
    lines += [f"- {address_prefix(item)}{finding_text(item)}" for item in summary.conflicts[:limit]]
    hidden = len(summary.conflicts) - limit
    lines += [f"- and {pluralize(hidden, 'further rule')}"] if hidden > 0 else []
    if summary.refusals:
        allow = f"`guard.allow` of the Environment ({' '.join(code_span(item.name) for item in summary.refusals)})"
        lines += ["", f"If this is intended, allow it where it is reviewed: {allow}."]
    return [alert("CAUTION", lines)]


def _totals_text(summary: PlanSummary) -> str:
    counts = summary.counts
    if not summary.changes:
        return escape_markdown(summary.totals_text)
    words = [f"{counts[kind]:,} to {kind}" for kind in COUNTED_ACTIONS if counts[kind]]
    suffix = f", {counts['held']:,} held" if counts["held"] else ""
    changed = ", ".join(words) or "Only a clean-up after an earlier run"
    rest = f"{counts['unchanged']:,} unchanged{suffix}. Nothing has been changed yet."
    further = " ".join(filter(None, (summary.watch_text, summary.schedule_text)))
    return f"**{changed}**, {rest} {escape_markdown(further)}".rstrip()


def _deletes(summary: PlanSummary) -> list[str]:
    deletes = [change for change in summary.changes if change.action == "delete" and change.cause != "duplicate"]
    if not deletes:
        return []
    names = join_first(deletes, 10, lambda change: code_span(str(change.address)))
    will = "rule will be deleted" if len(deletes) == 1 else "rules will be deleted"
    copies = summary.counts["delete"] - len(deletes)
    note = " Another delete only removes a second copy of a rule that stays." if copies == 1 else ""
    note = f" {copies:,} others only remove second copies of rules that stay." if copies > 1 else note
    return [alert("CAUTION", [f"**{len(deletes):,} {will}:** {names}.{note}"])]


def _examples(cases: Sequence[ImpactCase], level: DetailLevel) -> list[str]:
    if "examples" not in level.parts or not cases:
        return []
    lines = []
    for case in cases:
        fields = (case.callers, case.origin, case.destination, case.example, case.rules)
        callers, origin, destination, example, rules = map(escape_markdown, fields)
        lines += [f"- {callers}: {origin} → {destination}", f"  - example: {example} ({rules})"]
    return [details("An example of each", "\n".join(lines) + "\n")]


def _replay_blocks(replay: ReplaySummary, level: DetailLevel) -> list[str]:
    table, visible = _case_table(replay.cases, level)
    hidden = len(replay.cases) - visible
    rest = [f"and {pluralize(hidden, 'more pair')} of destinations: see plan.html."] if hidden else []
    notes = map(escape_markdown, replay.notes)
    return [f"**{escape_markdown(replay.title)}**", *table, *rest, *notes, *_examples(replay.cases, level)]


def _foot(summary: PlanSummary, facts: Provenance) -> str:
    links = facts.links
    parts = [f"Plan {code_span(facts.plan_id)}"]
    parts += [f"commit {code_span(links.commit[:8])}"] if links.commit else []
    parts += [f"live rules read {escape_markdown(facts.read_at)}", escape_markdown(summary.tenant_text)]
    report = f", report and {facts.explore}" if facts.explore else " and report"
    parts += [f"[run log{report}]({links.run})"] if links.run else []
    return f"<sub>{' · '.join(parts)}</sub>"
