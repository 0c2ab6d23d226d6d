"""Effects as Markdown: one table with each edit above its rows, or the flows of a large change."""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.model.rule import Source
from reconciler.render.effects import UNKNOWN_NOTE, EffectsSummary, EffectText, FlowText, RowText
from reconciler.render.escape_markdown import alert, code_span, details, escape_markdown, table_cell
from reconciler.render.finding_subject import source_location
from reconciler.render.provenance import SourceLinks
from reconciler.render.replay import ReplaySummary
from reconciler.text.escape import join_first, pluralize


class Columns(NamedTuple):
    """The headings of the two destinations."""

    before: str
    after: str


PLAN_COLUMNS: Final = Columns("Today", "After this change")
DRIFT_COLUMNS: Final = Columns("Manifests", "In CXone now")
_SIGNS: Final = {"create": "\\+", "update": "~", "adopt": "\\>", "delete": "−"}  # noqa: RUF001 - a minus
_MAX_MEMBERS: Final = 3


def effects_blocks(
    summary: EffectsSummary,
    links: SourceLinks,
    columns: Columns = PLAN_COLUMNS,
    *,
    rows: int = 40,
    longest: int = 10_000,
) -> list[str]:
    """Return the effects; `rows` of them, none of which is longer than `longest` characters."""
    blocks = []
    if summary.flows:
        blocks.append(_flow_table(summary, columns))
    table, hidden = _effect_table(summary, links, columns, _Limits(rows, longest))
    if summary.flows and table:
        blocks.append(details("Each edit with its consequence", f"{table}\n{_hidden_text(hidden)}"))
    elif table:
        blocks += [table, *filter(None, [_hidden_text(hidden)])]
    blocks += [escape_markdown(text) for text in (summary.closing, summary.quiet) if text]
    return [*blocks, *_unknown(summary, longest)]


class _Limits(NamedTuple):
    rows: int
    longest: int


def _hidden_text(hidden: int) -> str:
    return f"and {pluralize(hidden, 'more row')}: see the report." if hidden else ""


def _flow_table(summary: EffectsSummary, columns: Columns) -> str:
    has_share = any(flow.share for flow in summary.flows)
    share = ("| Share ", "|---:") if has_share else ("", "")
    lines = [f"| {columns.before} | {columns.after} {share[0]}| Intents | Rules |", f"|---|---{share[1]}|---|---:|"]
    lines += [_flow_line(flow, has_share=has_share) for flow in summary.flows]
    if summary.more_flows:
        lines += ["", summary.more_flows]
    return "\n".join(lines)


def _flow_line(flow: FlowText, *, has_share: bool) -> str:
    share = [_share(flow.share)] if has_share else []
    cells = [
        escape_markdown(flow.before),
        escape_markdown(flow.after),
        *share,
        escape_markdown(flow.intents),
        flow.rules,
    ]
    return f"| {' | '.join(map(table_cell, cells))} |"


def _effect_table(summary: EffectsSummary, links: SourceLinks, columns: Columns, limits: _Limits) -> tuple[str, int]:
    """Return the table, and the number of rows that it does not have."""
    has_share = any(row.share for row in summary.rows)
    head = f"| Callers | {columns.before} | {columns.after} |" + (" Share |" if has_share else "")
    lines = [head, "|---|---|---|" + ("---:|" if has_share else "")]
    shown = 0
    for effect in summary.effects:
        if shown >= limits.rows:
            break
        rows = [_row(row, has_share=has_share) for row in effect.rows]
        visible = [line for line in rows if len(line) <= limits.longest][: limits.rows - shown]
        shown += len(visible)
        lines += [_cause(effect, links, has_share=has_share), *visible]
    hidden = len(summary.rows) - shown
    return ("\n".join(lines) if shown else ""), hidden


def _cause(effect: EffectText, links: SourceLinks, *, has_share: bool) -> str:
    sign = _SIGNS[effect.sign]
    subject = code_span(effect.subject) if len(effect.members) == 1 else f"**{escape_markdown(effect.subject)}**"
    edits = f" {escape_markdown(', '.join(effect.edits))}" if effect.edits else ""
    where = f" {source_link(effect.source, links)}" if effect.source else ""
    names = [code_span(member.name) for member in effect.members]
    members = f"<br><sub>{join_first(names, _MAX_MEMBERS)}</sub>" if len(names) > 1 else ""
    notes = "".join(f"<br><sub>{escape_markdown(note)}</sub>" for note in effect.notes)
    empty = " |" * (3 if has_share else 2)
    return f"| {table_cell(f'**{sign}** {subject}{edits}{where}{members}{notes}')} |{empty}"


def _row(row: RowText, *, has_share: bool) -> str:
    by = f"<br><sub>{escape_markdown(row.by)}</sub>" if row.by else ""
    is_takeover = row.by.startswith("from ")
    before = f"{escape_markdown(row.before)}{by if is_takeover else ''}"
    after = f"{escape_markdown(row.after)}{'' if is_takeover else by}"
    share = [_share(row.share)] if has_share else []
    return f"| {' | '.join(map(table_cell, [escape_markdown(row.short_callers), before, after, *share]))} |"


def _share(text: str) -> str:
    return escape_markdown(text).replace(" ", "\u00a0")


def _unknown(summary: EffectsSummary, longest: int) -> list[str]:
    lines = [f"- {escape_markdown(phrase)}" for phrase in summary.unknown if len(phrase) <= longest]
    hidden = len(summary.unknown) - len(lines)
    lines += [f"- and {pluralize(hidden, 'further case')}"] if hidden else []
    return [alert("WARNING", [UNKNOWN_NOTE, *lines])] if lines else []


def queues_part(summary: EffectsSummary) -> list[str]:
    """Return the table of queues, and what the result depends on, in a closed part; empty without a sample."""
    if not summary.balance and not summary.balance_note:
        return []
    lines = ["| Queue | Today | After this change | Change |", "|---|---:|---:|---:|"]
    for item in summary.balance:
        cells = (item.queue, item.before, item.after, item.change)
        lines.append(f"| {' | '.join(table_cell(escape_markdown(text)) for text in cells)} |")
    table = "\n".join(lines) if summary.balance else ""
    notes = [escape_markdown(text) for text in (summary.balance_note, summary.premise) if text]
    return [details("Queues, today and afterwards", "\n\n".join(filter(None, [table, *notes])) + "\n")]


def replay_blocks(replay: ReplaySummary, limit: int, longest: int) -> list[str]:
    """Return recorded conversations that go elsewhere."""
    lines = [line for line in _replay_lines(replay) if len(line) <= longest][:limit]
    hidden = len(replay.cases) - len(lines)
    rest = [f"and {pluralize(hidden, 'more pair')} of destinations: see plan.html."] if hidden else []
    head = ["| Callers | Today | After this change |", "|---|---|---|"]
    table = ["\n".join([*head, *lines])] if lines else []
    examples = [f"- {escape_markdown(f'{case.example} ({case.rules})')}" for case in replay.cases[:limit]]
    closed = [details("An example of each", "\n".join(examples) + "\n")] if examples else []
    return [f"**{escape_markdown(replay.title)}**", *table, *rest, *map(escape_markdown, replay.notes), *closed]


def _replay_lines(replay: ReplaySummary) -> Iterator[str]:
    for case in replay.cases:
        cells: Sequence[str] = (case.callers, case.before, case.after)
        yield f"| {' | '.join(table_cell(escape_markdown(text)) for text in cells)} |"


def source_link(source: Source, links: SourceLinks) -> str:
    """Return the file and line as a code span, with a link if the URL is known."""
    link = links.link(source)
    label = code_span(source_location(source).rpartition("/")[2])
    return f"[{label}]({link})" if link else label
