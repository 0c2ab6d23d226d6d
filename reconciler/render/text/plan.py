"""A plan as text for a terminal: refusals, changes, held changes, notes and totals."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reconciler.core.model.finding import Finding
from reconciler.core.plan.clauses import FEW_VALUES
from reconciler.core.plan.stages import Plan
from reconciler.core.text.escape import join_first, pluralize, sanitize_message
from reconciler.render import summary as texts
from reconciler.render.change_summary import ChangeSummary, FieldRow
from reconciler.render.colour import SEVERITY_COLOURS, Style
from reconciler.render.edited_dates import (
    DATES_TITLE,
    FEW_DATES,
    MAX_DATES,
    EditedDatesSummary,
)
from reconciler.render.effects import Extent
from reconciler.render.finding_subject import (
    MAX_NAMED,
    finding_members,
    source_location,
    subject_prefix,
)
from reconciler.render.later import LATER_TITLE, LaterSummary
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN
from reconciler.render.summary import PlanSummary
from reconciler.render.text.effects import (
    SYMBOLS,
    effects_lines,
    headline_lines,
    replay_lines,
)

_MAX_TESTS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class TextLimits:
    """How much is shown: values of a list, rule names of a group, warnings in full, and with
    `verbose` all.
    """

    values: int = FEW_VALUES
    rows: int = MAX_SHOWN
    names: int = MAX_NAMED
    warnings: int = 3
    verbose: bool = False

    @property
    def extent(self) -> Extent:
        """Return what is written about a large change."""
        return "all" if self.verbose else "flows"

    @property
    def has_all_warnings(self) -> bool:
        """Return whether every warning is shown."""
        return self.warnings >= ALL_ROWS


def plan_text(
    plan: Plan,
    style: Style,
    tenant: str,
    limits: TextLimits = TextLimits(),
) -> str:
    """Return the plan for a terminal, without the next step."""
    summary = texts.summarize_plan(plan, tenant, limits.values, limits.extent)
    return summary_text(summary, style, limits)


def summary_text(summary: PlanSummary, style: Style, limits: TextLimits) -> str:
    """Return a summarized plan for a terminal: the verdict, the effects, what else changes, and the
    totals.
    """
    lines = _head(summary, style, is_verbose=limits.verbose)
    for part in (
        _effects(summary, style, limits),
        _changes(summary, style, limits),
        _notes(summary, style, limits),
        list(edited_dates_lines(summary.edited_dates, style, limits)),
        list(later_lines(summary.later, style, limits)),
    ):
        lines += [*part, ""] if part else []
    order = (
        f"{summary.schedule_text} {texts.SAFE_ORDER_NOTE}"
        if summary.schedule_text
        else ""
    )
    lines += filter(None, (summary.totals_text, order if limits.verbose else ""))
    return "\n".join(lines) + "\n"


def _effects(summary: PlanSummary, style: Style, limits: TextLimits) -> list[str]:
    lines = (
        list(effects_lines(summary.effects, style, verbose=limits.verbose))
        if summary.effects
        else []
    )
    lines += replay_lines(summary.replay, style) if summary.replay else []
    if summary.effects and summary.effects.flows and not limits.verbose:
        count = pluralize(summary.effects.count, "effect")
        lines.append(
            style(
                "dim",
                f"All edits and their consequences ({count}): -v, or the page of --report.",
            )
        )
    return lines


def _changes(summary: PlanSummary, style: Style, limits: TextLimits) -> list[str]:
    """Return the changes that effects do not tell: held ones, and all fields with `verbose`."""
    shown = summary.changes
    if not limits.verbose:
        shown = tuple(change for change in summary.changes if change.note)
    return [
        line
        for change in (*shown, *summary.held_changes)
        for line in change_lines(change, style)
    ]


def edited_dates_lines(
    edited: EditedDatesSummary | None, style: Style, limits: TextLimits
) -> Iterator[str]:
    """Yield the dates that a change of manifests edits."""
    if edited is None:
        return
    compared = style("dim", f"(compared with {edited.compared_with})")
    yield f"{style('bold', DATES_TITLE)} {compared}:"
    most = MAX_DATES if limits.verbose else FEW_DATES
    shown = [(f"{date.rule} {date.event}", date.times) for date in edited.dates[:most]]
    width = max(len(name) for name, _ in shown)
    yield from (f"  {name:<{width}}   {times}" for name, times in shown)
    hidden = edited.hidden_phrase(most)
    if hidden:
        yield f"  {hidden}"


def later_lines(
    later: LaterSummary | None, style: Style, limits: TextLimits
) -> Iterator[str]:
    """Yield what changes at later times."""
    if later is None:
        return
    yield style("bold", f"{LATER_TITLE}:")
    for change in later.changes:
        yield f"  {style('bold', change.when)}   {change.effects.headline}"
        yield from (f"    {note}" for note in (change.delay,) if note)
        for line in effects_lines(change.effects, style, verbose=limits.verbose):
            yield f"    {line}"
        for refusal in change.refusals:
            yield f"    {style('red', 'apply will refuse this:')} {refusal}"
    yield from (f"  {text}" for text in (later.closing, later.more) if text)


def _notes(summary: PlanSummary, style: Style, limits: TextLimits) -> list[str]:
    """Return the first warnings about changed rules, and the number of all other notes."""
    has_changes = bool(summary.changes_text or summary.changes or summary.held_changes)
    is_full = limits.verbose or limits.has_all_warnings or not has_changes
    visible = list(summary.notes)
    if not limits.verbose:
        near, _ = texts.split_notes(summary)
        warnings = [note for note in summary.notes if note.severity == "warning"]
        visible = list(warnings if is_full else near)[: limits.warnings]
    lines: list[str] = []
    for note in visible:
        lines += _note_lines(note, style, limits.names, is_full=is_full)
    visible_ids = set(map(id, visible))
    hidden = [note for note in summary.notes if id(note) not in visible_ids]
    if hidden:
        lines.append(f"  {_hidden_notes(hidden, is_rest=bool(visible))}")
    if summary.acknowledged:
        lines.append(f"  {summary.acknowledged}")
    return lines


def _note_lines(note: Finding, style: Style, names: int, *, is_full: bool) -> list[str]:
    """Return a warning: its message, and with `is_full` its hint and its places."""
    lines = list(finding_lines(note, style, names))
    return lines if is_full else lines[:1]


def _hidden_notes(notes: Sequence[Finding], *, is_rest: bool) -> str:
    """Return `2 further warnings (CXR202, 3 of CXR203), 1 note: see -v`."""
    parts: list[str] = []
    for severity, noun in (("warning", "warning"), ("info", "note")):
        codes = Counter(note.code for note in notes if note.severity == severity)
        if codes:
            counts = [
                code if count == 1 else f"{count} of {code}"
                for code, count in codes.items()
            ]
            total = pluralize(
                codes.total(), f"further {noun}" if is_rest and not parts else noun
            )
            parts.append(f"{total} ({', '.join(counts)})")
    return f"{', '.join(parts)}: see -v"


def brief_summary_text(
    summary: PlanSummary,
    style: Style,
    _limits: TextLimits = TextLimits(),
) -> str:
    """Return a summarized plan in brief."""
    totals = [summary.totals_text] if summary.totals_text else []
    warnings = sum(finding.severity == "warning" for finding in summary.notes)
    if warnings:
        totals.append(f"{pluralize(warnings, 'warning')}.")
    lines = [*_head(summary, style), " ".join(totals)]
    return "\n".join(lines) + "\n"


def change_lines(change: ChangeSummary, style: Style) -> Iterator[str]:
    """Yield a head line and the details of one change."""
    symbol, colour = SYMBOLS[change.action]
    head = style(colour, f"{symbol} {change.address}")
    if change.source:
        place = style("dim", source_location(change.source))
        head = f"{head}   {place}"
    yield f"  {head}"
    for sentence in change.sentences:
        yield f"      {sentence}"
    yield from _align_rows(change.rows)


def finding_lines(
    finding: Finding,
    style: Style,
    limit: int = MAX_NAMED,
) -> Iterator[str]:
    """Yield a finding: message, hint and place, or up to `limit` of its rules."""
    head = style(
        SEVERITY_COLOURS[finding.severity], f"{finding.severity}[{finding.code}]"
    )
    yield f"  {head} {subject_prefix(finding)}{sanitize_message(finding.message)}"
    if finding.hint:
        yield f"      {sanitize_message(finding.hint)}"
    if finding.repeats:
        yield from _place_lines(finding, style, limit)
    elif finding.source:
        yield f"      {style('dim', source_location(finding.source))}"


def _head(summary: PlanSummary, style: Style, *, is_verbose: bool = False) -> list[str]:
    """Return the environment, the headline, and what apply will refuse."""
    # The line above says that a tenant is simulated.
    tenant = (
        "" if summary.tenant_text == texts.SIMULATED_TENANT else summary.tenant_text
    )
    rules = summary.rules_text if is_verbose else ""
    about = ", ".join(filter(None, (tenant, rules)))
    title = style("bold", f"Plan for {summary.environment}")
    lines = [f"{title}   {about}" if about else title, ""]
    headline = list(headline_lines(summary.effects, style)) if summary.effects else []
    endpoint = [f"  {summary.endpoint_text}"] if summary.endpoint_text else []
    consent = [f"  {summary.consent_text}"] if summary.consent else []
    parts = (
        headline,
        _failed_tests(summary, style),
        _guards(summary, style),
        endpoint,
        consent,
    )
    for part in parts:
        lines += [*part, ""] if part else []
    return lines


def _failed_tests(summary: PlanSummary, style: Style) -> list[str]:
    failed = summary.failed_tests
    if not failed:
        return []
    lines = [style("red", texts.failed_tests_title(failed))]
    for finding in failed[:_MAX_TESTS]:
        lines += finding_lines(finding, style)
    hidden = len(failed) - _MAX_TESTS
    return (
        [*lines, f"  and {pluralize(hidden, 'more test')}: cxroute test"]
        if hidden > 0
        else lines
    )


def _guards(summary: PlanSummary, style: Style) -> list[str]:
    label = style("yellow", "allowed")
    lines = [
        f"  {label} {item.name}: {item.message}\n      because: {item.reason}"
        for item in summary.lifted_guards
    ]
    lines += [
        f"  {style('red', 'apply will refuse this:')} {guard.message}"
        for guard in summary.refusals
    ]
    for conflict in summary.conflicts:
        lines += finding_lines(conflict, style)
    return lines


def _place_lines(finding: Finding, style: Style, limit: int) -> Iterator[str]:
    """Yield `cards/help   manifests/cards.yaml:12` for each rule; up to `limit` names on one line
    for more rules.
    """
    names = finding_members(finding)
    lines = [join_first(names, limit)]
    if len(names) <= limit:
        places = [
            (item.address, item.source and source_location(item.source))
            for item in finding.occurrences
        ]
        lines = ["   ".join(str(part) for part in place if part) for place in places]
    yield from (f"      {style('dim', line)}" for line in lines)


def _align_rows(rows: Sequence[FieldRow]) -> Iterator[str]:
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        yield f"      {row.name:<{width}}  {row.before} -> {row.after}"
