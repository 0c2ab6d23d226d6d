"""Effects as Markdown: one table with each edit above its rows, or the flows of a large change."""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from reconciler.core.model.rule import Source
from reconciler.core.text.escape import pluralize
from reconciler.render.effects import (
    UNKNOWN_NOTE,
    EffectsSummary,
    EffectText,
    FlowText,
    RowText,
)
from reconciler.render.escape_markdown import (
    alert,
    code_span,
    details,
    escape_markdown,
    table_cell,
)
from reconciler.render.finding_subject import source_location
from reconciler.render.limits import MAX_MEMBERS
from reconciler.render.provenance import SourceLinks
from reconciler.render.replay import ReplaySummary


class Columns(NamedTuple):
    """The headings of the two destinations."""

    before: str
    after: str


PLAN_COLUMNS: Final = Columns("Today", "Afterwards")
DRIFT_COLUMNS: Final = Columns("Manifests", "In CXone now")
_SIGNS: Final = {"create": "\\+", "update": "~", "adopt": "\\>", "delete": "−"}  # noqa: RUF001 - a minus
_MAX_NAMED_EDITS: Final = 3
"""With more edits, a table of flows stands without them: they are in the closed part."""


class _Table(NamedTuple):
    """What all rows of a table have in common."""

    links: SourceLinks
    columns: Columns
    has_share: bool


class _Limits(NamedTuple):
    rows: int
    longest: int


def moves_blocks(
    summary: EffectsSummary,
    links: SourceLinks,
    columns: Columns = PLAN_COLUMNS,
    *,
    rows: int = 40,
    longest: int = 10_000,
) -> list[str]:
    """Return the effects; `rows` of their rows, none of which is longer than `longest`
    characters.
    """
    has_share = any(row.share for row in summary.rows)
    table = _Table(links, columns, has_share)
    effects, hidden = _effect_table(summary, table, _Limits(rows, longest))

    blocks = []
    if summary.flows:
        blocks += [*_named_edits(summary, links), _flow_table(summary, table, longest)]
    if summary.flows and effects:
        title = f"Each edit with its consequence: {pluralize(summary.count, 'effect')}"
        blocks.append(
            details(title, f"{effects}\n\n{_hidden_text(hidden)}".rstrip() + "\n")
        )
    elif effects:
        blocks += [effects, *filter(None, [_hidden_text(hidden)])]
    if summary.closing:
        blocks.append(escape_markdown(summary.closing))
    return [*blocks, *_unknown(summary, longest)]


def quiet_blocks(summary: EffectsSummary) -> list[str]:
    """Return the edits that move nobody, as a sentence; empty without any."""
    return [escape_markdown(summary.quiet)] if summary.quiet else []


def _hidden_text(hidden: int) -> str:
    return f"and {pluralize(hidden, 'more row')}: see the report." if hidden else ""


def _named_edits(summary: EffectsSummary, links: SourceLinks) -> list[str]:
    """Return a few edits, each on a line; their consequences are in the closed part."""
    if summary.count > _MAX_NAMED_EDITS:
        return []
    return ["\n".join(f"- {_edit(effect, links)}" for effect in summary.effects)]


def _flow_table(summary: EffectsSummary, table: _Table, longest: int) -> str:
    has_share = any(flow.share for flow in summary.flows)
    has_rules = summary.count > 1
    titles = [*table.columns, *["Share"] * has_share, "Intents", *["Rules"] * has_rules]
    rules = ["---", "---", *["---:"] * has_share, "---", *["---:"] * has_rules]
    lines = [f"| {' | '.join(titles)} |", f"|{'|'.join(rules)}|"]

    rows = [
        _flow_line(flow, has_share=has_share, has_rules=has_rules)
        for flow in summary.flows
    ]
    lines += [row for row in rows if len(row) <= longest]
    hidden = len(summary.flows) - (len(lines) - 2)
    if hidden:
        lines += [
            "",
            f"and {pluralize(hidden, 'flow')} with long names: see the report.",
        ]
    if summary.more_flows:
        lines += ["", summary.more_flows]
    return "\n".join(lines)


def _flow_line(flow: FlowText, *, has_share: bool, has_rules: bool) -> str:
    cells = [escape_markdown(flow.before), escape_markdown(flow.after)]
    if has_share:
        cells.append(_share(flow.share))
    cells.append(escape_markdown(flow.few_intents))
    if has_rules:
        cells.append(flow.rules)
    return f"| {' | '.join(map(table_cell, cells))} |"


def _effect_table(
    summary: EffectsSummary,
    table: _Table,
    limits: _Limits,
) -> tuple[str, int]:
    """Return the table, and the number of rows that it does not have."""
    lines = _head(table)
    common = _common_notes(summary, limits.longest)
    shown = 0
    for effect in summary.effects:
        if shown >= limits.rows:
            break
        visible = [*_rows(effect, table, limits.longest)][: limits.rows - shown]
        shown += len(visible)
        notes = [note for note in effect.notes if note not in common]
        lines += [_cause(effect, notes, table, limits.longest), *visible]
    hidden = len(summary.rows) - shown
    # Of an effect without rows a note says all, such as that of values of another type.
    if not shown and all(effect.rows for effect in summary.effects):
        return "", hidden
    return "\n\n".join(["\n".join(lines), *map(_small, common)]), hidden


def _head(table: _Table) -> list[str]:
    """Return the first two lines of the table."""
    before, after = table.columns
    head = f"| Callers | {before} | {after} |"
    rule = "|---|---|---|"
    if table.has_share:
        head += " Share |"
        rule += "---:|"
    return [head, rule]


def _common_notes(summary: EffectsSummary, longest: int) -> list[str]:
    """Return the notes that stand once, below the table; one that is too long stays in it."""
    return [note for note in summary.common_notes if len(_small(note)) <= longest]


def _cause(
    effect: EffectText, notes: Iterable[str], table: _Table, longest: int
) -> str:
    """Return the row of an edit: what was edited, and its notes about earlier rules."""
    parts = [_edit(effect, table.links), *map(_small, notes)]
    cell = table_cell("<br>".join(parts))
    empty = " |" * (3 if table.has_share else 2)
    line = f"| {cell} |{empty}"
    if len(line) <= longest:
        return line
    return f"| **{_SIGNS[effect.sign]}** an edit whose text is too long for this table |{empty}"


def _small(note: str) -> str:
    return f"<sub>{escape_markdown(note)}</sub>"


def _edit(effect: EffectText, links: SourceLinks) -> str:
    """Return an edit on one line.

    The name of a rule is the link to its line; that of many leads to the first.
    """
    members = [
        linked_code(member.name, member.source, links) for member in effect.members
    ]
    first = effect.members[0].source if effect.members else None
    link = links.link(first) if first else ""
    if 0 < len(members) <= MAX_MEMBERS:
        subject = ", ".join(members)
    else:
        subject = f"**{escape_markdown(effect.subject)}**"
        subject = f"[{subject}]({link})" if link else subject
    edits = f" {escape_markdown(', '.join(effect.short_edits))}" if effect.edits else ""
    return f"**{_SIGNS[effect.sign]}** {subject}{edits}"


def linked_code(name: str, source: Source | None, links: SourceLinks) -> str:
    """Return a name that is a link to its line; without a URL, the name and the place."""
    if source is None:
        return code_span(name)
    link = links.link(source)
    return (
        f"[{code_span(name)}]({link})"
        if link
        else f"{code_span(name)} {source_link(source, links)}"
    )


def _rows(effect: EffectText, table: _Table, longest: int) -> Iterator[str]:
    """Yield the rows up to the first one that is too long: rows are read from the top."""
    for row in effect.rows:
        line = _row(row, has_share=table.has_share)
        if len(line) > longest:
            return
        yield line


def _row(row: RowText, *, has_share: bool) -> str:
    by = f"<br><sub>{escape_markdown(row.by)}</sub>" if row.by else ""
    is_takeover = row.by.startswith("from ")
    before = (
        f"{escape_markdown(row.short_before or row.before)}{by if is_takeover else ''}"
    )
    after = (
        f"{escape_markdown(row.short_after or row.after)}{'' if is_takeover else by}"
    )
    cells = [escape_markdown(row.short_callers), before, after]
    if has_share:
        cells.append(_share(row.share))
    return f"| {' | '.join(map(table_cell, cells))} |"


def _share(text: str) -> str:
    return escape_markdown(text).replace(" ", "\u00a0")


def _unknown(summary: EffectsSummary, longest: int) -> list[str]:
    lines = [
        f"- {escape_markdown(phrase)}"
        for phrase in summary.unknown
        if len(phrase) <= longest
    ]
    hidden = len(summary.unknown) - len(lines)
    lines += [f"- and {pluralize(hidden, 'further case')}"] if hidden else []
    return [alert("WARNING", [UNKNOWN_NOTE, *lines])] if lines else []


def examples_part(summary: EffectsSummary, limit: int) -> list[str]:
    """Return the rules of each edit of many, an example of each row, and the lists that it
    shortens, closed.
    """
    lines = []
    for effect in summary.effects:
        if len(effect.members) > MAX_MEMBERS:
            names = ", ".join(code_span(member.name) for member in effect.members)
            lines.append(f"- {escape_markdown(effect.subject)}: {names}")
        for row in effect.rows:
            callers = row.all_callers or row.callers
            example = f"for example {row.example}" if row.example else row.no_example
            lines.append(f"- {escape_markdown(f'{callers}: {example}')}")
    return (
        [details("Examples, and full lists", "\n".join(lines[:limit]) + "\n")]
        if lines
        else []
    )


def queues_part(summary: EffectsSummary) -> list[str]:
    """Return the table of queues in a closed part; empty without a sample."""
    if not summary.balance and not summary.balance_note:
        return []
    lines = ["| Queue | Today | Afterwards | Change |", "|---|---:|---:|---:|"]
    for item in summary.balance:
        cells = (item.queue, item.before, item.after, item.change)
        lines.append(
            f"| {' | '.join(table_cell(escape_markdown(text)) for text in cells)} |"
        )
    table = "\n".join(lines) if summary.balance else ""
    note = escape_markdown(summary.balance_note)
    return [
        details(
            "Queues, today and afterwards",
            "\n\n".join(filter(None, [table, note])) + "\n",
        )
    ]


def replay_blocks(replay: ReplaySummary, limit: int, longest: int) -> list[str]:
    """Return recorded conversations that go elsewhere."""
    lines = [line for line in _replay_lines(replay) if len(line) <= longest][:limit]
    hidden = len(replay.cases) - len(lines)
    rest = (
        [f"and {pluralize(hidden, 'more pair')} of destinations: see plan.html."]
        if hidden
        else []
    )
    head = ["| Callers | Today | Afterwards |", "|---|---|---|"]
    table = ["\n".join([*head, *lines])] if lines else []
    return [
        f"**{escape_markdown(replay.title)}**",
        *table,
        *rest,
        *map(escape_markdown, replay.notes),
    ]


def replay_examples(replay: ReplaySummary, limit: int) -> list[str]:
    """Return an example of each pair of destinations of recorded conversations, in a closed
    part.
    """
    examples = [
        f"- {escape_markdown(f'{case.example} ({case.rules})')}"
        for case in replay.cases[:limit]
    ]
    return (
        [details("Examples of recorded conversations", "\n".join(examples) + "\n")]
        if examples
        else []
    )


def _replay_lines(replay: ReplaySummary) -> Iterator[str]:
    for case in replay.cases:
        texts = (case.callers, case.before, case.after)
        cells = [table_cell(escape_markdown(text)) for text in texts]
        yield f"| {' | '.join(cells)} |"


def source_link(source: Source, links: SourceLinks) -> str:
    """Return the file and line as a code span, with a link if the URL is known."""
    _, _, name = source_location(source).rpartition("/")
    label = code_span(name)
    link = links.link(source)
    if not link:
        return label
    return f"[{label}]({link})"
