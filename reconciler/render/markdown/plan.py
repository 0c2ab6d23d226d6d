"""A plan as a pull-request comment: Markdown as GitHub shows it, within its limits.

Names from outside are code spans (`escape_markdown`). The only HTML is `<details>`, `<br>`, `<sub>` and the marker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.model.finding import Finding
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
from reconciler.render.markdown.effects import effects_blocks, queues_part, replay_blocks, source_link
from reconciler.render.provenance import Provenance, SourceLinks
from reconciler.render.routing_map import Lane, drawn_lanes, render_mermaid
from reconciler.render.summary import PlanSummary
from reconciler.text.escape import join_first, pluralize, sanitize

SIGNS: Final = {
    "create": "**\\+**\u00a0create",
    "update": "**~**\u00a0update",
    "adopt": "**\\>**\u00a0adopt",
    "delete": "**−**\u00a0delete",  # noqa: RUF001 - a minus
}
_MAX_TESTS: Final = 3
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


def findings_list(summary: PlanSummary, links: SourceLinks, limit: int) -> list[str]:
    """Return the warnings about changed rules, the other warnings and the notes, each collapsed."""
    near, others = texts.split_notes(summary)
    near_title = f"{pluralize(len(near), 'warning')} about changed rules"
    parts = {near_title: near, **others} if near else others
    blocks = []
    for title, findings in parts.items() if limit else ():
        items = [*finding_items(findings[:limit], links, limit)]
        hidden = len(findings) - limit
        items += [f"- and {pluralize(hidden, 'further one')}: see the report."] if hidden > 0 else []
        blocks.append(details(title, "\n".join(items) + "\n"))
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
    """The limits of effect rows, rules and findings, and the collapsed parts."""

    rows: int
    findings: int
    parts: frozenset[str]
    max_row: int = 10_000  # characters of a row; a longer row is counted, not cut: no condition is omitted


DETAIL_LEVELS: Final = (
    DetailLevel(rows=40, findings=50, parts=frozenset({"map", "diff", "queues"})),
    DetailLevel(rows=40, findings=20, parts=frozenset({"map", "queues"})),
    DetailLevel(rows=40, findings=10, parts=frozenset({"queues"})),
    DetailLevel(rows=20, findings=5, parts=frozenset()),
    DetailLevel(rows=5, findings=0, parts=frozenset(), max_row=2_000),
)  # duplicated or rarely read parts are dropped first: the diff, then the map, the queues


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
    blocks += [f"**{escape_markdown(summary.effects.headline)}**"] if summary.effects else []
    blocks += _failed_tests(summary, facts.links)
    blocks += _refusals(summary, level)
    blocks += (
        effects_blocks(summary.effects, facts.links, rows=level.rows, longest=level.max_row) if summary.effects else []
    )
    blocks += [escape_markdown(summary.endpoint_text)] if summary.endpoint_text else []
    blocks += replay_blocks(summary.replay, level.rows, level.max_row) if summary.replay else []
    blocks += _consent(summary, level)
    blocks += _lifted_guards(summary)
    blocks += _held(summary, facts.links, level)
    blocks += [_totals_text(summary)]
    blocks += findings_list(summary, facts.links, level.findings)
    blocks += queues_part(summary.effects) if summary.effects and "queues" in level.parts else []
    if "diff" in level.parts and summary.changes:
        blocks.append(details("All changed fields", code_block("\n".join(diff_lines(summary)), "diff")))
    if "map" in level.parts and summary.changes and (lanes := drawn_lanes(routing)):
        title = "Routing map" + (": changed rules" if len(lanes) < len(routing) else "")
        blocks.append(details(title, code_block(render_mermaid(lanes), "mermaid")))
    return "\n\n".join([*blocks, _foot(summary, facts)]) + "\n"


def _failed_tests(summary: PlanSummary, links: SourceLinks) -> list[str]:
    failed = summary.failed_tests
    if not failed:
        return []
    lines = [f"**{texts.failed_tests_title(failed)}.**", *finding_items(failed[:_MAX_TESTS], links, _MAX_TESTS)]
    hidden = len(failed) - _MAX_TESTS
    lines += [f"- and {pluralize(hidden, 'further test')}"] if hidden > 0 else []
    return [alert("CAUTION", lines)]


def _lifted_guards(summary: PlanSummary) -> list[str]:
    guards = ((escape_markdown(guard.message), code_span(guard.name), guard.reason) for guard in summary.lifted_guards)
    lifted = [f"- {message} ({name}). Because: {code_span(reason)}" for message, name, reason in guards]
    return [alert("NOTE", ["**Allowed despite a guard:**", *lifted])] if lifted else []


def _held(summary: PlanSummary, links: SourceLinks, level: DetailLevel) -> list[str]:
    """Return the changes that are held, and those with a note of their own."""
    noted = [change for change in summary.changes if change.note]
    return rules_table(noted, summary.held_changes, links, level.findings)


def _consent(summary: PlanSummary, level: DetailLevel) -> list[str]:
    limit = max(level.findings, 5)
    pairs = ((" or ".join(map(code_span, item.queue.owners)), item.reason) for item in summary.consent[:limit])
    lines = [f"- {owners} ({escape_markdown(reason)})" for owners, reason in pairs]
    hidden = len(summary.consent) - limit
    lines += [f"- and {pluralize(hidden, 'further queue')}: see plan.json."] if hidden > 0 else []
    return [alert("NOTE", ["**Consent needed:**", *lines, "", CONSENT_PLACE])] if lines else []


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
    order = f"{summary.schedule_text} {texts.SAFE_ORDER_NOTE}" if summary.schedule_text else ""
    further = " ".join(filter(None, (summary.watch_text, order)))
    return f"**{changed}**, {rest} {escape_markdown(further)}".rstrip()


def _foot(summary: PlanSummary, facts: Provenance) -> str:
    links = facts.links
    parts = [f"Plan {code_span(facts.plan_id)}"]
    parts += [f"commit {code_span(links.commit[:8])}"] if links.commit else []
    parts += [f"live rules read {escape_markdown(facts.read_at)}", escape_markdown(summary.tenant_text)]
    report = f", report and {facts.explore}" if facts.explore else " and report"
    parts += [f"[run log{report}]({links.run})"] if links.run else []
    return f"<sub>{' · '.join(parts)}</sub>"
