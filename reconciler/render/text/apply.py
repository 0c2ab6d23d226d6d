"""The outcomes of an apply as text: one line per change, the totals, and the next step."""

from collections.abc import Sequence
from typing import Final

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.model.change import (
    Applied,
    Failed,
    Outcome,
    Skipped,
    UnknownOutcome,
)
from reconciler.core.plan.stages import Changes
from reconciler.core.plan.stored_texts import TEXT_ALTERED
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.render.change_summary import ACTION_PAST
from reconciler.render.colour import Style
from reconciler.render.text.effects import SYMBOLS


def outcome_line(outcome: Outcome, style: Style, width: int) -> str:
    """Return `  + cards/card-help   created   id 91aa03f2`; `width` is the length of the longest
    address.
    """
    symbol, colour = SYMBOLS[outcome.change.action]
    head = f"  {style(colour, symbol)} {outcome.change.address!s:<{width}}  "
    match outcome:
        case Applied():
            suffix = (
                f"   id {sanitize(outcome.id)}"
                if outcome.change.action == "create" and outcome.id
                else ""
            )
            return f"{head}{ACTION_PAST[outcome.change.action]}{suffix}"
        case Failed():
            return f"{head}{style('red', 'failed')}    {sanitize(outcome.error)}"
        case Skipped():
            return (
                f"{head}{'not finished' if outcome.left_partial else 'not tried'}: "
                f"{sanitize(outcome.error)}"
            )
        case UnknownOutcome():
            return f"{head}{style('red', 'unknown')}   {sanitize(outcome.error)}"


def report_text(
    report: ApplyReport,
    style: Style,
    next_command: str,
    seconds: float,
) -> str:
    """Return every outcome and the totals; `next_command` shows the remaining differences."""
    width = max(
        (len(str(outcome.change.address)) for outcome in report.outcomes), default=0
    )
    lines = [outcome_line(outcome, style, width) for outcome in report.outcomes]
    return "\n".join([*lines, "", *_totals_lines(report, next_command, seconds)]) + "\n"


_OTHER_RULES: Final = "Other rules changed during the apply, so the tenant still differs from the manifests."


def _totals_lines(report: ApplyReport, next_command: str, seconds: float) -> list[str]:
    done = sum(isinstance(outcome, Applied) for outcome in report.outcomes)
    total = len(report.outcomes)
    if not total and report.converged:
        return [f"{_unlisted_work(report)} Read again: no differences."]
    digits = 2 if seconds < 1 else 1
    lines = [f"Applied {done:,} of {total:,} in {seconds:.{digits}f} s."]
    lines += map(sanitize, report.notes)
    again = f"Read again: {_reread_phrase(report.remaining)}."
    if done == total and report.converged:
        return [f"{lines[0]} {again}", *lines[1:]]
    lines += _early_end_lines(report)
    if done == total and not report.error:
        lines.append(_OTHER_RULES)
    else:
        lines += _unapplied_lines(report.outcomes)
    lines.append(
        again if report.converged else f"Remaining differences: {next_command}"
    )
    return lines


def _early_end_lines(report: ApplyReport) -> list[str]:
    lines = [f"Stopped: {sanitize(report.error)}"] if report.error else []
    if report.interrupted:
        lines.append(
            "Interrupted: no new write was started, and running writes were finished."
        )
    return lines


def _unlisted_work(report: ApplyReport) -> str:
    """Return what a run without an outcome did."""
    if report.has_saved_settings:
        return "Settings saved."
    return "The leftovers of an earlier run are removed."


def _reread_phrase(remaining: Changes | None) -> str:
    if remaining is None:
        return "no differences"
    text = (
        "no differences"
        if remaining.options.undo is None
        else f"run {remaining.options.undo} is undone"
    )
    altered = sum(
        len(finding.occurrences)
        for finding in remaining.findings
        if finding.code == TEXT_ALTERED
    )
    exceptions = (
        [f"{pluralize(altered, 'text')} that the tenant stores differently"]
        if altered
        else []
    )
    exceptions += (
        [f"{pluralize(len(remaining.held), 'held change')}"] if remaining.held else []
    )
    return f"{text}, except {' and '.join(exceptions)}" if exceptions else text


def _unapplied_lines(outcomes: Sequence[Outcome]) -> list[str]:
    unknown = [
        str(outcome.change.address)
        for outcome in outcomes
        if isinstance(outcome, UnknownOutcome)
    ]
    unapplied = [
        outcome for outcome in outcomes if isinstance(outcome, Failed | Skipped)
    ]
    between = [
        str(outcome.change.address) for outcome in unapplied if outcome.left_partial
    ]
    same = len(unapplied) - len(between)
    lines = (
        [f"{same:,} not applied: {'it is' if same == 1 else 'they are'} as before."]
        if same
        else []
    )
    if between:
        lines.append(
            f"Partly applied, neither as before nor as planned: {', '.join(between)}."
        )
    if unknown:
        lines.append(
            f"Unknown whether these were written: {', '.join(unknown)}. The next run checks."
        )
    return lines
