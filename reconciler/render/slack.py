"""A webhook message for Slack, Mattermost, Rocket.Chat and Discord (`/slack`).

Text from outside is in code spans, without mentions, links or formats; &, < and > are escaped, as Slack requires.
"""

from collections.abc import Iterable
from html import escape
from typing import Any, Final

from reconciler.apply.progress import ApplyReport
from reconciler.model.change import Applied, Create, Outcome
from reconciler.plan.drift import Drift, edited_changes
from reconciler.plan.headline import headline
from reconciler.plan.plan import Plan
from reconciler.plan.words import NO_IMPACT
from reconciler.render.change_summary import ACTION_PAST, sort_for_reading
from reconciler.render.drift_summary import counts_phrase, remaining_phrases, unaffected_text
from reconciler.text.escape import pluralize, sanitize
from reconciler.watch.cycle import CycleResult, NotificationKind, applied_outcomes

_MAX_NAMED: Final = 10
_CAUSES: Final = {
    "manifest": "not applied yet",
    "drift": "changed in CXone",
    "both": "changed in CXone, and in the manifests",
    "duplicate": "a second copy",
}


def slack_message(kind: NotificationKind, result: CycleResult, environment: str, next_command: str) -> dict[str, Any]:
    """Return the message; `next_command` is the command that shows more."""
    lines = [line for line in _LINES[kind](result, slack_code(environment)) if line]
    return {"text": "\n".join([*lines, f"More: {slack_code(next_command)}"])}


def slack_code(text: str) -> str:
    """Return text from outside as a code span without effect, on one line of a readable length."""
    content = sanitize(text).replace("`", "'")
    return f"`{escape(content, quote=False) if content.strip() else '(empty)'}`"


def _drift(result: CycleResult, name: str) -> list[str]:
    return _differences(result, f"in {name}", [])


def _refused(result: CycleResult, name: str) -> list[str]:
    tests = result.plan.failed_tests if result.plan else ()
    reasons = _bullets(f"route test: {slack_code(test.message)}" for test in tests)
    refusals = [*(guard.message for guard in result.failed_guards), *filter(None, [result.error_text])]
    reasons += [f"• refused: {slack_code(text)}" for text in refusals]
    return _differences(result, f"in {name}; not fixed: nothing was written", reasons)


def _differences(result: CycleResult, place: str, reasons: Iterable[str]) -> list[str]:
    if result.plan is None:
        return []
    drift = result.drift or Drift(plan=result.plan)
    head = f"*{counts_phrase(drift)} {place}*"
    rest = [*_conflicts(result.plan), *_changes(result.plan, drift), *_unfixable(drift)]
    return [head, _impact_sentence(result), *reasons, *rest]


def _applied(result: CycleResult, name: str) -> list[str]:
    if result.report is None or result.plan is None:
        return []
    applied = applied_outcomes(result.report)
    behaviour = result.plan.behaviour
    count = len(edited_changes(result.plan))
    edited = f" ({pluralize(count, 'rule')} had been changed in CXone)" if count else ""
    drift = result.drift or Drift(plan=result.plan)
    remaining = remaining_phrases(drift)
    head = f"*{pluralize(len(applied), 'change')} applied in {name}*{edited}{_author(result.report)}."
    head += f" Read again: {', '.join(remaining) or 'no differences'}."
    lines = [*_bullets(map(_outcome, applied)), *_unfixable(drift)]
    if behaviour is None or not result.plan.changes or (behaviour.undecided and not behaviour.regions):
        return [head, *lines]
    return [head, _headline(result.plan), *lines]


def _author(report: ApplyReport) -> str:
    """Return who made the run, and its name."""
    who = f" by {slack_code(report.who)}" if report.who else ""
    return f"{who}, run {slack_code(report.run_id)}" if report.run_id else who


def _headline(plan: Plan) -> str:
    """Return what the change did to conversations, as the plan's first sentence says it."""
    if not plan.impact or not plan.impact.behaviour.regions:
        return NO_IMPACT
    return slack_code(headline(plan.impact, plan.queue_names, plan.labels))


def _failed(result: CycleResult, name: str) -> list[str]:
    if result.report is None:
        return [f"*Failed in {name}: nothing was written*", f"• {slack_code(result.error_text)}"]
    applied = applied_outcomes(result.report)
    unapplied = [outcome for outcome in result.report.outcomes if not isinstance(outcome, Applied)]
    verb = "Interrupted" if result.report.interrupted else "Partly failed" if applied else "Failed"
    head = f"*{verb} in {name}: {len(applied):,} of {pluralize(len(result.report.outcomes), 'change')} applied*"
    head += _author(result.report)
    error = f"• {slack_code(result.error_text)}" if result.error_text else ""
    return [head, error, *_bullets(map(_outcome, [*unapplied, *applied]))]


def _recovered(result: CycleResult, name: str) -> list[str]:
    rest = result.remaining
    differs = rest is not None and (result.drift or Drift(plan=rest)).has_drift
    return [f"*Recovered: {name} {'can be read again' if differs else 'matches the manifests'}.*"]


_LINES: Final = {"drift": _drift, "refused": _refused, "applied": _applied, "failed": _failed, "recovered": _recovered}


def _unfixable(drift: Drift) -> list[str]:
    """Return the rules in the way and the failed checks."""
    rules = _bullets(f"{slack_code(live.rule.name)}: not managed, and in the way" for live in drift.in_the_way)
    return [*rules, *_bullets(f"{finding.code}: {slack_code(finding.message)}" for finding in drift.failed_checks)]


def _changes(plan: Plan, drift: Drift) -> list[str]:
    lines = []
    for change in sort_for_reading(plan.changes):
        cause = _CAUSES[change.cause]
        run = drift.last_runs.get(change.address)
        if isinstance(change, Create):
            cause = "never applied, or deleted in CXone" if run is None else f"deleted in CXone since {slack_code(run)}"
        lines.append(f"{change.action} {slack_code(str(change.address))}: {cause}")
    return _bullets(lines)


def _outcome(outcome: Outcome) -> str:
    address = slack_code(str(outcome.change.address))
    if isinstance(outcome, Applied):
        return f"{ACTION_PAST[outcome.change.action]} {address}"
    return f"{outcome.status}: {outcome.change.action} {address}: {slack_code(outcome.error)}"


def _conflicts(plan: Plan) -> list[str]:
    return _bullets(f"{slack_code(str(finding.address))}: {slack_code(finding.message)}" for finding in plan.conflicts)


def _impact_sentence(result: CycleResult) -> str:
    if result.plan is None or result.drift is None:
        return ""
    impact = result.drift.unaccepted_impact
    plan = result.plan
    if impact.behaviour.regions:
        sentence = slack_code(headline(impact, plan.queue_names, plan.labels))
        return f"Conversations do not go where the manifests say: {sentence}"
    if not impact.behaviour.complete or plan.options.only:
        return ""
    text = unaffected_text(result.drift)
    return "Conversations go where the manifests say (proven)." if text == NO_IMPACT else text


def _bullets(lines: Iterable[str]) -> list[str]:
    items = [f"• {line}" for line in lines]
    hidden = len(items) - _MAX_NAMED
    return [*items[:_MAX_NAMED], f"• and {hidden:,} more"] if hidden > 0 else items
