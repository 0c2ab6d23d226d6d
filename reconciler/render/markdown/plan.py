"""A plan as a pull-request comment: Markdown as GitHub shows it, within its limits.

Names from outside are code spans (`escape_markdown`). The only HTML is `<details>`, `<br>`, `<sub>`
and the marker.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.plan.consent import CONSENT_PLACE
from reconciler.core.plan.words import MANY_ROWS
from reconciler.core.text.escape import pluralize
from reconciler.render import summary as texts
from reconciler.render.change_summary import YOUR_CHANGE, ChangeSummary, row_phrase
from reconciler.render.escape_markdown import (
    alert,
    code_block,
    code_span,
    details,
    escape_markdown,
    table_cell,
)
from reconciler.render.finding_subject import source_location
from reconciler.render.markdown.effects import (
    examples_part,
    moves_blocks,
    queues_part,
    quiet_blocks,
    replay_blocks,
    replay_examples,
    source_link,
)
from reconciler.render.markdown.findings import finding_items
from reconciler.render.markdown.later import (
    edited_dates_blocks,
    later_part,
    later_refusals,
)
from reconciler.render.markdown.refusals import refusal_blocks
from reconciler.render.provenance import Provenance, SourceLinks
from reconciler.render.refusals import next_step
from reconciler.render.routing_map import Lane, drawn_lanes, render_mermaid
from reconciler.render.summary import PlanSummary

SIGNS: Final = {
    "create": "**\\+**\u00a0create",
    "update": "**~**\u00a0update",
    "adopt": "**\\>**\u00a0adopt",
    "delete": "**−**\u00a0delete",  # noqa: RUF001 - a minus
}
_DIFF: Final = {"create": "+", "update": "!", "adopt": "!", "delete": "-"}


def rules_table(
    changes: Sequence[ChangeSummary],
    held_changes: Sequence[ChangeSummary],
    links: SourceLinks,
    limit: int,
) -> list[str]:
    """Return a table of up to `limit` rules, and the number of omitted ones."""
    rules = [(change, SIGNS[change.action]) for change in changes]
    rules += [(change, "held") for change in held_changes]
    if not rules[:limit]:
        return []
    lines = ["| | Rule | Change | Why | Where |", "|---|---|---|---|---|"]
    lines += [_rule(change, links, sign) for change, sign in rules[:limit]]
    blocks = ["\n".join(lines)]
    hidden = len(rules[limit:])
    if hidden:
        blocks.append(f"and {pluralize(hidden, 'further rule')}: see the report.")
    return blocks


def _rule(change: ChangeSummary, links: SourceLinks, sign: str) -> str:
    note = change.note.removeprefix("not applied: ")
    sentences = [note, change.rule_text, *map(row_phrase, change.rows)]
    lines = [escape_markdown(text) for text in sentences if text]
    where = ""
    if change.source:
        where = source_link(change.source, links)
    elif change.action == "delete":
        where = "removed"
    reason = escape_markdown(change.reason or YOUR_CHANGE)
    cells = " | ".join(map(table_cell, ("<br>".join(lines), reason, where)))
    address = code_span(str(change.address))
    return f"| {sign} | {address} | {cells} |"


def findings_list(summary: PlanSummary, links: SourceLinks, limit: int) -> list[str]:
    """Return the warnings about changed rules, the other warnings and the notes, in one closed
    part.
    """
    near, others = texts.split_notes(summary)
    near_title = f"{pluralize(len(near), 'warning')} about changed rules"
    groups = {near_title: near, **others} if near else others
    if not groups or not limit:
        return []
    lines: list[str] = []
    for title, findings in groups.items():
        lines += [f"**{title}**", "", *finding_items(findings[:limit], links, limit)]
        hidden = len(findings) - limit
        if hidden > 0:
            lines.append(f"- and {pluralize(hidden, 'further one')}: see the report.")
        lines.append("")
    return [details(", ".join(groups), "\n".join(lines))]


def diff_lines(summary: PlanSummary) -> Iterator[str]:
    """Yield every change as lines of a diff."""
    for change in summary.changes:
        sign = _DIFF[change.action]
        head = f"{sign} {change.address}"
        if change.source:
            head += f"  # {source_location(change.source)}"
        yield head
        for sentence in change.sentences:
            yield f"{sign}     {sentence}"
        for row in change.rows:
            yield f"-     {row.name}: {row.before}"
            yield f"+     {row.name}: {row.after}"


# GitHub accepts 65,536; the head of a comment may grow after the plan
MAX_CHARACTERS: Final = 60_000
MAX_BYTES: Final = 200_000
WANTED_BYTES: Final = 12_000  # of a comment that is read, and not scrolled


@dataclass(frozen=True, slots=True, kw_only=True)
class DetailLevel:
    """The limits of effect rows, rules and findings, and the collapsed parts."""

    rows: int
    findings: int
    parts: frozenset[str]
    # characters of a row; a longer row is counted, not cut: no condition is omitted
    max_row: int = 10_000
    wanted: int = WANTED_BYTES  # a longer comment has the next level


# duplicated or rarely read parts are dropped first: the map, the diff, the examples, the queues
DETAIL_LEVELS: Final = (
    DetailLevel(
        rows=40,
        findings=50,
        parts=frozenset({"map", "diff", "examples", "queues"}),
    ),
    DetailLevel(rows=40, findings=20, parts=frozenset({"diff", "examples", "queues"})),
    DetailLevel(rows=40, findings=10, parts=frozenset({"examples", "queues"})),
    DetailLevel(rows=40, findings=5, parts=frozenset({"queues"})),
    DetailLevel(rows=20, findings=5, parts=frozenset({"queues"})),
    DetailLevel(rows=MANY_ROWS, findings=5, parts=frozenset()),
    DetailLevel(
        rows=MANY_ROWS,
        findings=3,
        parts=frozenset(),
        max_row=3_000,
        wanted=MAX_CHARACTERS // 2,
    ),
    DetailLevel(rows=5, findings=0, parts=frozenset(), max_row=2_000),
)


def comment_marker(environment: str) -> str:
    """Return the first line of a comment, by which the next run finds the comment (covered by
    SemVer).
    """
    return f"<!-- cxroute:plan env={environment} -->"


def render_markdown(
    summary: PlanSummary,
    routing: Sequence[Lane],
    facts: Provenance,
    characters: int = MAX_CHARACTERS,
    size: int = MAX_BYTES,
) -> str:
    """Return the comment with as much detail as each level wants, and as fits into `characters` and
    `size` bytes.
    """
    for level in DETAIL_LEVELS:
        text = _comment(summary, routing, facts, level)
        length = len(text.encode())
        if len(text) <= characters and length <= min(size, level.wanted):
            return text
    return text


def _comment(
    summary: PlanSummary,
    routing: Sequence[Lane],
    facts: Provenance,
    level: DetailLevel,
) -> str:
    """Return the verdict, the refusals, the effects, what else changes, how to go on, and the
    closed parts.
    """
    parts = (
        _verdict(summary, facts),
        refusal_blocks(summary, facts.links),
        _effects(summary, facts, level),
        edited_dates_blocks(summary.edited_dates),
        _others(summary, facts, level),
        _ways_on(summary, level),
        _closed_parts(summary, routing, facts, level),
        [_foot(summary, facts)],
    )
    return "\n\n".join(block for blocks in parts for block in blocks) + "\n"


def _verdict(summary: PlanSummary, facts: Provenance) -> list[str]:
    title = f"### Routing plan for {code_span(summary.environment)}"
    if facts.banner:
        title += f" ({escape_markdown(summary.tenant_text)})"
    blocks = [f"{comment_marker(summary.environment)}\n{title}"]
    if summary.effects:
        blocks.append(f"**{escape_markdown(summary.effects.headline)}**")
    return blocks


def _effects(summary: PlanSummary, facts: Provenance, level: DetailLevel) -> list[str]:
    blocks = []
    if summary.effects:
        blocks += moves_blocks(
            summary.effects,
            facts.links,
            rows=level.rows,
            longest=level.max_row,
        )
    if summary.replay:
        blocks += replay_blocks(summary.replay, level.rows, level.max_row)
    return blocks


def _others(summary: PlanSummary, facts: Provenance, level: DetailLevel) -> list[str]:
    """Return what changes besides the effects: quiet edits, the fallback, lifted guards, held
    changes.
    """
    blocks = quiet_blocks(summary.effects) if summary.effects else []
    if summary.endpoint_text:
        blocks.append(escape_markdown(summary.endpoint_text))
    noted = [change for change in summary.changes if change.note]
    blocks += _lifted_guards(summary)
    blocks += later_refusals(summary.later)
    return [
        *blocks,
        *rules_table(noted, summary.held_changes, facts.links, level.findings),
    ]


def _lifted_guards(summary: PlanSummary) -> list[str]:
    guards = (
        (escape_markdown(guard.message), code_span(guard.name), guard.reason)
        for guard in summary.lifted_guards
    )
    lifted = [
        f"- {message} ({name}). Because: {code_span(reason)}"
        for message, name, reason in guards
    ]
    return [alert("NOTE", ["**Allowed despite a guard:**", *lifted])] if lifted else []


def _ways_on(summary: PlanSummary, level: DetailLevel) -> list[str]:
    """Return whose consent is needed, and one line with the totals and the next step."""
    step = escape_markdown(next_step(summary))
    line = f"{_totals_text(summary)} {step}"
    return [*_consent(summary, level), line.rstrip()]


def _consent(summary: PlanSummary, level: DetailLevel) -> list[str]:
    limit = max(level.findings, 5)
    pairs = (
        (" or ".join(map(code_span, item.queue.owners)), item.reason)
        for item in summary.consent[:limit]
    )
    lines = [f"- {owners} ({escape_markdown(reason)})" for owners, reason in pairs]
    hidden = len(summary.consent) - limit
    lines += (
        [f"- and {pluralize(hidden, 'further queue')}: see plan.json."]
        if hidden > 0
        else []
    )
    return (
        [alert("NOTE", ["**Consent needed:**", *lines, "", CONSENT_PLACE])]
        if lines
        else []
    )


def _totals_text(summary: PlanSummary) -> str:
    if not summary.changes:
        return escape_markdown(summary.totals_text)
    phrases = []
    if summary.changes_text:
        phrases.append(summary.changes_text)
    held = summary.counts["held"]
    if held:
        phrases.append(f"{held:,} held")
    text = escape_markdown(", ".join(phrases))
    return f"**{text or 'Only a clean-up after an earlier run'}.**"


def _closed_parts(
    summary: PlanSummary,
    routing: Sequence[Lane],
    facts: Provenance,
    level: DetailLevel,
) -> Iterator[str]:
    effects = summary.effects
    later_rows = level.rows if "queues" in level.parts else 0
    yield from later_part(summary.later, facts.links, later_rows, level.max_row)
    if effects and "examples" in level.parts:
        yield from examples_part(effects, level.rows)
    if summary.replay and "examples" in level.parts:
        yield from replay_examples(summary.replay, level.rows)
    if effects and "queues" in level.parts:
        yield from queues_part(effects)
    yield from findings_list(summary, facts.links, level.findings)
    yield from _notes(summary)
    if summary.changes and "diff" in level.parts:
        yield details(
            "All changed fields", code_block("\n".join(diff_lines(summary)), "diff")
        )
    if summary.changes and "map" in level.parts:
        yield from _map(routing)


def _notes(summary: PlanSummary) -> list[str]:
    """Return what the analysis rests on and the order of the steps, in a closed part."""
    premise = summary.effects.premise if summary.effects else ""
    order = (
        f"{summary.schedule_text} {texts.SAFE_ORDER_NOTE}"
        if summary.schedule_text
        else ""
    )
    sentences = [premise, order, summary.acknowledged]
    lines = [f"- {escape_markdown(text)}" for text in sentences if text]
    return [details("Premises and order", "\n".join(lines) + "\n")] if lines else []


def _map(routing: Sequence[Lane]) -> list[str]:
    lanes = drawn_lanes(routing)
    if not lanes:
        return []
    title = "Routing map"
    if len(lanes) < len(routing):
        title += ": changed rules"
    return [details(title, code_block(render_mermaid(lanes), "mermaid"))]


def _foot(summary: PlanSummary, facts: Provenance) -> str:
    links = facts.links
    parts = []
    if facts.banner:
        parts.append(escape_markdown(facts.banner))
    parts.append(f"Plan {code_span(facts.plan_id)}")
    if links.commit:
        parts.append(f"commit {code_span(links.commit[:8])}")
    parts.append(f"live rules read {escape_markdown(facts.read_at)}")
    parts.append(escape_markdown(f"{summary.tenant_text}, {summary.rules_text}"))
    if summary.changes:
        parts.append(f"{summary.counts['unchanged']:,} unchanged")
    if links.run:
        report = f", report and {facts.explore}" if facts.explore else " and report"
        parts.append(f"[run log{report}]({links.run})")
    return f"<sub>{' · '.join(parts)}</sub>"
