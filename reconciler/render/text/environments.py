"""A table of several environments, one line each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.model.change import Applied
from reconciler.core.plan.document import COUNTED_ACTIONS, count_changes
from reconciler.core.plan.drift import Drift
from reconciler.core.plan.guards import guard_refusals
from reconciler.core.plan.impact import Impact
from reconciler.core.plan.stages import Plan
from reconciler.core.plan.words import total_share_phrase
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.render.colour import Style
from reconciler.render.drift_summary import counts_phrase
from reconciler.render.escape_markdown import code_span, escape_markdown, table_cell
from reconciler.render.summary import failed_tests_title
from reconciler.render.text.wrap import align_columns

EnvironmentStatus = Literal[
    "same", "differs", "refused", "failed", "partly", "applied", "interrupted"
]

# The colour of all others is red.
_COLOURS: Final[dict[EnvironmentStatus, str]] = {
    "same": "dim",
    "differs": "yellow",
    "applied": "green",
}
_STATUS_PHRASES: Final[dict[EnvironmentStatus, str]] = {
    "applied": "applied",
    "differs": "with changes",
    "same": "with nothing to do",
    "partly": "not fully applied",
    "refused": "refused",
    "failed": "failed",
    "interrupted": "interrupted",
}
_HEAD: Final = ("environment", "changes", "who is affected")
_MARKDOWN_HEAD: Final = (
    "| Environment | Changes | Who is affected | |",
    "|---|---|---|---|",
)
_MAX_WIDTH: Final = 70


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentRow:
    """The line of one environment: `changes` is `2 update, 1 delete`, `detail` a short status
    text.
    """

    environment: str
    changes: str
    impact: str
    status: EnvironmentStatus
    detail: str = ""


def planned_row(plan: Plan) -> EnvironmentRow:
    """Return the line of a plan that is not applied."""
    if plan.failed_tests:
        return _row(plan, "refused", failed_tests_title(plan.failed_tests))
    reasons = (
        [f"{pluralize(len(plan.conflicts), 'rule')} in the way"]
        if plan.conflicts
        else []
    )
    reasons += [result.name for result in guard_refusals(plan)]
    if reasons:
        return _row(plan, "refused", f"apply will refuse this: {', '.join(reasons)}")
    differs = plan.has_work or plan.changes_endpoint
    return _row(plan, "differs" if differs else "same")


def drift_row(drift: Drift) -> EnvironmentRow:
    """Return the line of an environment's drift."""
    plan = drift.plan
    impact = drift.unaccepted_impact
    words = [counts_phrase(drift)] if drift.has_drift else []
    words += [f"{len(plan.held):,} held"] if plan.held else []
    if not drift.has_drift and drift.due.expected:
        words.append(f"{len(drift.due.expected):,} due by a date")
    return EnvironmentRow(
        environment=plan.environment,
        changes=", ".join(words) or "none",
        impact=_impact_phrase(impact),
        status="differs" if drift.has_drift else "same",
    )


def applied_row(plan: Plan, report: ApplyReport | None) -> EnvironmentRow:
    """Return the line of an applied plan; without a report there was nothing to do."""
    if report is None:
        return _row(plan, "same")
    done = sum(isinstance(outcome, Applied) for outcome in report.outcomes)
    detail = (
        f"applied {done:,} of "
        f"{len(report.outcomes):,}{f'; {report.error}' if report.error else ''}"
    )
    return _row(
        plan,
        "applied"
        if report.converged
        else "interrupted"
        if report.interrupted
        else "partly",
        detail,
    )


def _row(plan: Plan, status: EnvironmentStatus, detail: str = "") -> EnvironmentRow:
    counts = count_changes(plan)
    moves = plan.changes or plan.changes_endpoint
    words = [f"{counts[kind]:,} {kind}" for kind in COUNTED_ACTIONS if counts[kind]]
    words = words or ["clean-up"] * bool(plan.changes)
    if plan.changes_endpoint:
        words.append("endpoint")
    elif plan.changes_settings:
        words.append("settings")
    words += [f"{counts['held']:,} held"] if counts["held"] else []
    impact = _impact_phrase(plan.impact) if moves else "none"
    return EnvironmentRow(
        environment=plan.environment,
        changes=", ".join(words) or "none",
        impact=impact,
        status=status,
        detail=detail,
    )


def _impact_phrase(impact: Impact) -> str:
    effects = impact.behaviour.effects
    if not effects:
        return "none" if impact.behaviour.complete else "not known"
    share = f", {total_share_phrase(impact)} of callers" if impact.traffic else ""
    return f"{pluralize(len(effects), 'effect')}{share}"


def environments_text(rows: Sequence[EnvironmentRow], title: str, style: Style) -> str:
    """Return the table for a terminal; `title` is the text before the number of environments: `Plan
    for`.
    """
    head, *lines = align_columns(
        [_HEAD, *((row.environment, row.changes, row.impact) for row in rows)]
    )
    table = [
        style("bold", f"{title} {status_totals(rows)}"),
        "",
        f"  {style('dim', head.rstrip())}",
    ]
    for line, row in zip(lines, rows, strict=True):
        table.append(
            f"  {line}  {style(_COLOURS.get(row.status, 'red'), _state(row))}".rstrip()
        )
    return "\n".join(table) + "\n"


def environments_markdown(rows: Sequence[EnvironmentRow], title: str) -> str:
    """Return the table in Markdown."""
    lines = [f"### {title} {status_totals(rows)}", "", *_MARKDOWN_HEAD]
    for row in rows:
        cells = (
            code_span(row.environment),
            row.changes,
            escape_markdown(row.impact),
            escape_markdown(_state(row)),
        )
        lines.append(f"| {' | '.join(map(table_cell, cells))} |")
    return "\n".join(lines) + "\n"


def status_totals(rows: Sequence[EnvironmentRow]) -> str:
    """Return `3 environments: 1 with changes, 2 with nothing to do`."""
    states = Counter(row.status for row in rows)
    parts = [
        f"{states[state]:,} {words}"
        for state, words in _STATUS_PHRASES.items()
        if states[state]
    ]
    return (
        f"{pluralize(len(rows), 'environment')}: {', '.join(parts)}"
        if parts
        else pluralize(0, "environment")
    )


def _state(row: EnvironmentRow) -> str:
    text = sanitize(
        row.detail
        or {"same": "nothing to do", "differs": ""}.get(row.status, row.status)
    )
    return text if len(text) <= _MAX_WIDTH else f"{text[: _MAX_WIDTH - 3]}..."
