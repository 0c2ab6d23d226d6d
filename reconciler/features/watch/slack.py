"""A webhook message for Slack, Mattermost, Rocket.Chat and Discord (`/slack`).

Text from outside is in code spans, without mentions, links or formats; &, < and > are escaped, as
Slack requires.
"""

from collections.abc import Iterable
from html import escape
from typing import Any, Final

from reconciler.core.apply.progress import ApplyReport
from reconciler.core.model.change import (
    Applied,
    Create,
    Failed,
    Skipped,
    UnknownOutcome,
)
from reconciler.core.plan.drift import Drift, edited_changes
from reconciler.core.plan.headline import headline
from reconciler.core.plan.stages import Assessed
from reconciler.core.plan.words import NO_IMPACT
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.features.watch.cycle import (
    CycleResult,
    NotificationKind,
    applied_outcomes,
)
from reconciler.features.watch.dates import waiting_sentence
from reconciler.render.change_summary import sort_for_reading
from reconciler.render.drift_summary import (
    counts_phrase,
    due_phrase,
    remaining_phrases,
    unaffected_text,
)

_MAX_NAMED: Final = 10
_CAUSES: Final = {
    "manifest": "not applied yet",
    "drift": "changed in CXone",
    "both": "changed in CXone, and in the manifests",
    "duplicate": "a second copy",
}


def slack_message(
    kind: NotificationKind,
    result: CycleResult,
    environment: str,
    next_command: str,
) -> dict[str, Any]:
    """Return the message; `next_command` is the command that shows more."""
    lines = list(filter(None, _LINES[kind](result, slack_code(environment))))
    lines.append(f"More: {slack_code(next_command)}")
    return {"text": "\n".join(lines)}


def slack_code(text: str) -> str:
    """Return text from outside as a code span without effect, on one line of a readable length."""
    content = sanitize(text).replace("`", "'")
    return f"`{escape(content, quote=False) if content.strip() else '(empty)'}`"


def _drift(result: CycleResult, name: str) -> list[str]:
    if result.plan is None:
        return []
    drift = result.differences(result.plan)
    head = f"*{counts_phrase(drift)} in {name}*"
    return [head, _impact_sentence(result), *_rule_lines(drift)]


def _refused(result: CycleResult, name: str) -> list[str]:
    if result.plan is None:
        return []
    drift = result.differences(result.plan)
    head = f"*{counts_phrase(drift)} in {name}; not fixed: nothing was written*"
    reasons = [
        f"route test: {slack_code(test.message)}" for test in result.plan.failed_tests
    ]
    refusals = [guard.message for guard in result.failed_guards]
    if result.error_text:
        refusals.append(result.error_text)
    reasons += [f"refused: {slack_code(refusal)}" for refusal in refusals]
    sentence = _impact_sentence(result)
    return [head, sentence, *_bullets(reasons), *_rule_lines(drift)]


def _applied(result: CycleResult, name: str) -> list[str]:
    if result.report is None or result.plan is None:
        return []
    applied = applied_outcomes(result.report)
    count = len(edited_changes(result.plan))
    edited = f" ({pluralize(count, 'rule')} had been changed in CXone)" if count else ""
    remaining = remaining_phrases(result.differences(result.plan))
    head = (
        f"*{pluralize(len(applied), 'change')} applied in "
        f"{name}*{edited}{_author(result.report)}."
    )
    head += f" Read again: {', '.join(remaining) or 'no differences'}."
    behaviour = result.plan.behaviour
    if not result.plan.changes or (behaviour.undecided and not behaviour.regions):
        return [head]
    return [head, _headline(result.plan)]


def _author(report: ApplyReport) -> str:
    """Return who made the run, and its name."""
    author = f" by {slack_code(report.who)}" if report.who else ""
    if report.run_id:
        author += f", run {slack_code(report.run_id)}"
    return author


def _headline(plan: Assessed) -> str:
    """Return what the change did to conversations, as the plan's first sentence says it."""
    if not plan.behaviour.regions:
        return NO_IMPACT
    return slack_code(headline(plan.impact, plan.queue_names, plan.labels))


def _failed(result: CycleResult, name: str) -> list[str]:
    if result.report is None:
        return [
            f"*Failed in {name}: nothing was written*",
            f"• {slack_code(result.error_text)}",
        ]
    applied = applied_outcomes(result.report)
    unapplied = [
        outcome
        for outcome in result.report.outcomes
        if not isinstance(outcome, Applied)
    ]
    verb = (
        "Interrupted"
        if result.report.interrupted
        else "Partly failed"
        if applied
        else "Failed"
    )
    head = (
        f"*{verb} in {name}: {len(applied):,} of "
        f"{pluralize(len(result.report.outcomes), 'change')} applied*"
    )
    head += _author(result.report)
    error = f"• {slack_code(result.error_text)}" if result.error_text else ""
    return [head, error, *_bullets(map(_outcome, unapplied))]


def _recovered(result: CycleResult, name: str) -> list[str]:
    differs = False
    if result.plan is not None and result.remaining is not None:
        differs = result.differences(result.plan).has_drift
    return [
        f"*Recovered: {name} {'can be read again' if differs else 'matches the manifests'}.*"
    ]


def _waiting(result: CycleResult, name: str) -> list[str]:
    remaining = result.remaining
    if remaining is None or not remaining.waiting:
        return []
    count = len(remaining.waiting)
    verb = "waits" if count == 1 else "wait"
    lines = [
        slack_code(waiting_sentence(each, remaining)) for each in remaining.waiting
    ]
    head = f"*{pluralize(count, 'step')} {verb} in {name}*"
    return [head, *_bullets(lines)]


_LINES: Final = {
    "waiting": _waiting,
    "drift": _drift,
    "refused": _refused,
    "applied": _applied,
    "failed": _failed,
    "recovered": _recovered,
}


def _rule_lines(drift: Drift) -> list[str]:
    """Return a line for each rule in the way, and for each change that apply would make."""
    names = [slack_code(live.rule.name) for live in drift.in_the_way]
    blocking = [f"{name}: not managed, and in the way" for name in names]
    changes = []
    for change in sort_for_reading(drift.plan.changes):
        is_missing = isinstance(change, Create)
        cause = "missing in CXone" if is_missing else _CAUSES[change.cause]
        address = slack_code(str(change.address))
        cause = due_phrase(drift, change) or cause
        changes.append(f"{change.action} {address}: {cause}")
    return [*_bullets(blocking), *_bullets(changes)]


def _outcome(outcome: Failed | Skipped | UnknownOutcome) -> str:
    change = outcome.change
    address = slack_code(str(change.address))
    error = slack_code(outcome.error)
    return f"{outcome.status}: {change.action} {address}: {error}"


def _impact_sentence(result: CycleResult) -> str:
    if result.plan is None or result.drift is None:
        return ""
    impact = result.drift.unaccepted_impact
    plan = result.plan
    if impact.behaviour.regions:
        sentence = slack_code(headline(impact, plan.queue_names, plan.labels))
        return f"Conversations do not go where the manifests say: {sentence}"
    if not impact.behaviour.complete or plan.options.is_partial:
        return ""
    text = unaffected_text(result.drift)
    if text == NO_IMPACT:
        return "Conversations go where the manifests say (proven)."
    return text


def _bullets(lines: Iterable[str]) -> list[str]:
    items = [f"• {line}" for line in lines]
    hidden = len(items) - _MAX_NAMED
    if hidden > 0:
        items[_MAX_NAMED:] = [f"• and {hidden:,} more"]
    return items
