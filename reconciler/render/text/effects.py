"""Effects and replayed conversations as text for a terminal."""

from collections.abc import Iterator, Sequence
from typing import Final

from reconciler.render.colour import Style
from reconciler.render.effects import (
    UNKNOWN_NOTE,
    EffectsSummary,
    EffectText,
    FlowText,
    RowText,
)
from reconciler.render.finding_subject import source_location
from reconciler.render.replay import ReplayCase, ReplaySummary

SYMBOLS: Final = {
    "create": ("+", "green"),
    "update": ("~", "yellow"),
    "adopt": (">", "blue"),
    "delete": ("-", "red"),
}
_MAX_CALLERS: Final = 70
"""Characters of callers in the first column; longer ones stand on a line of their own."""
_MAX_ROUTE: Final = 60
_MAX_MEMBERS: Final = 3


def headline_lines(summary: EffectsSummary, style: Style) -> Iterator[str]:
    """Yield the headline."""
    yield style("bold", summary.headline)


def effects_lines(
    summary: EffectsSummary,
    style: Style,
    *,
    verbose: bool = False,
) -> Iterator[str]:
    """Yield the effects, or the flows of a large change; with `verbose` both, with examples and
    queues.
    """
    if summary.flows:
        yield from _flow_lines(summary.flows)
        if summary.more_flows:
            yield f"  {summary.more_flows}"
    if verbose or not summary.flows:
        common = summary.common_notes
        for effect in summary.effects:
            yield from _effect_lines(effect, style, verbose=verbose)
            yield from (f"    {note}" for note in effect.notes if note not in common)
        yield from common
    if summary.closing:
        yield summary.closing
    if summary.quiet:
        yield summary.quiet
    if summary.unknown:
        yield style("yellow", UNKNOWN_NOTE)
        yield from (f"  {item}" for item in summary.unknown)
    if verbose:
        yield from _verbose_lines(summary)


def _verbose_lines(summary: EffectsSummary) -> Iterator[str]:
    if summary.premise:
        yield summary.premise
    for item in summary.balance:
        yield f"  {item.queue} gets {item.before} today, {item.after} afterwards: {item.change}"
    if summary.balance_note:
        yield f"  {summary.balance_note}"


def _effect_lines(
    effect: EffectText,
    style: Style,
    *,
    verbose: bool = False,
) -> Iterator[str]:
    """Yield an edit and its rows."""
    symbol, colour = SYMBOLS[effect.sign]
    members = [member.name for member in effect.members]
    is_listed = 1 < len(members) <= _MAX_MEMBERS
    subject = ", ".join(members) if is_listed else effect.subject
    parts = [style(colour, f"{symbol} {subject}")]
    if effect.edits:
        parts.append(", ".join(effect.line_edits))
    if effect.source:
        parts.append(style("dim", source_location(effect.source)))
    yield "   ".join(parts)
    if verbose and len(members) > _MAX_MEMBERS:
        yield style("dim", f"    {', '.join(members)}")
    yield from _row_lines(effect, style, verbose=verbose)


def _row_lines(
    effect: EffectText,
    style: Style,
    *,
    verbose: bool,
) -> Iterator[str]:
    """Yield the rows, each with its route unless the line of the edit says it."""
    rows = effect.rows
    routes = ["" if effect.says_route else row.short_route for row in rows]
    short = [row for row in rows if _fits(row)]
    callers_width = max((len(row.short_callers) for row in short), default=0)
    route_width = max(
        (len(route) for route in routes if len(route) <= _MAX_ROUTE),
        default=0,
    )
    for row, route in zip(rows, routes, strict=True):
        cells = [
            style("yellow", route) + " " * (route_width - len(route)) if route else "",
            row.share,
            row.by,
        ]
        rest = "   ".join(filter(None, cells)).rstrip()
        if _fits(row) or not rest:
            yield f"    {row.short_callers:<{callers_width}}   {rest}".rstrip()
        else:
            yield f"    {row.short_callers}"
            yield f"        {rest}"
        if verbose:
            yield style("dim", f"        {_example_of(row)}")


def _example_of(row: RowText) -> str:
    return f"example: {row.example}" if row.example else row.no_example


def _fits(row: RowText) -> bool:
    return len(row.short_callers) <= _MAX_CALLERS


def _flow_lines(flows: Sequence[FlowText]) -> Iterator[str]:
    cells = [
        (f"{flow.before} -> {flow.after}", flow.share, flow.intents, flow.rules)
        for flow in flows
    ]
    widths = [
        max(len(row[column]) for row in cells) for column in range(len(cells[0]) - 1)
    ]
    for *columns, last in cells:
        padded = (
            f"{text:<{width}}"
            for text, width in zip(columns, widths, strict=True)
            if width
        )
        yield f"  {'   '.join([*padded, last])}"


def replay_lines(replay: ReplaySummary, style: Style) -> Iterator[str]:
    """Yield the title, the cases and the notes of replayed conversations."""
    yield style("bold", replay.title)
    for case in replay.cases:
        yield from _replay_case(case, style)
    yield from (f"  {note}" for note in replay.notes)


def _replay_case(case: ReplayCase, style: Style) -> Iterator[str]:
    route = style("yellow", case.route)
    yield f"  {case.callers}: {route}"
    example = f"      example: {case.example}   ({case.rules})"
    yield style("dim", example)
