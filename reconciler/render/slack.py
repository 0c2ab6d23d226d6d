"""A message to a web hook, in the form that Slack reads, and Mattermost, Rocket.Chat and Discord (`/slack`) with it.

Text that is not ours stands in code spans, where none of them finds a mention, a link or a format. Slack's own
brackets, `<!channel>`, are escaped as it asks for: &, < and > alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reconciler.model.change import Applied, Change, Create, Outcome
from reconciler.plan.drift import Drift, edited_changes
from reconciler.render.change_summary import sort_for_reading
from reconciler.render.drift_summary import counts_phrase, remaining_phrases, unaffected_text
from reconciler.render.impact import NO_IMPACT, premise
from reconciler.text.escape import pluralize, sanitize
from reconciler.watch.cycle import CycleResult, applied_outcomes

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.plan.plan import Plan
    from reconciler.watch.notifications import NotificationKind

_MAX_NAMED: Final = 10
_CAUSES: Final = {
    "manifest": "not applied yet",
    "drift": "changed in CXone",
    "both": "changed in CXone, and in the manifests",
    "duplicate": "a second copy",
}
_ACTION_PAST: Final = {"create": "created", "update": "updated", "adopt": "adopted", "delete": "deleted"}


def slack_message(kind: NotificationKind, result: CycleResult, environment: str, next_command: str) -> dict[str, Any]:
    """Return the message; `next_command` is the command that shows more."""
    lines = [line for line in _LINES[kind](result, slack_code(environment)) if line]
    return {"text": "\n".join([*lines, f"More: {slack_code(next_command)}"])}


def slack_code(text: str) -> str:
    """Return text from outside as a code span that shows it, and means nothing: on one line, of a readable length."""
    shown = sanitize(text).replace("`", "'")
    return f"`{_escaped(shown) if shown.strip() else '(empty)'}`"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _drift(one: CycleResult, name: str) -> list[str]:
    if one.plan is None:
        return []
    head = f"*{_difference_phrase(one)} in {name}*"
    return [
        head,
        *_blocking_rule_lines(one),
        *_changes(one),
        *_conflicts(one.plan),
        *_failures(one),
        _impact_sentence(one),
    ]


def _refused(one: CycleResult, name: str) -> list[str]:
    if one.plan is None:
        return []
    reasons = _bullets(f"route test: {slack_code(test.message)}" for test in one.plan.failed_tests)
    reasons += [f"• refused: {slack_code(guard.message)}" for guard in one.failed_guards]
    reasons += [f"• refused: {slack_code(one.error_text)}"] if one.error_text else []
    head = f"*{_difference_phrase(one)} in {name}, and it was not mended: nothing was written*"
    rest = [*_blocking_rule_lines(one), *_changes(one), *_failures(one), _impact_sentence(one)]
    return [head, *reasons, *_conflicts(one.plan), *rest]


def _applied(one: CycleResult, name: str) -> list[str]:
    if one.report is None or one.plan is None:
        return []
    made = applied_outcomes(one.report)
    count = len(edited_changes(one.plan))
    mended = f" ({pluralize(count, 'rule')} had been changed in CXone)" if count else ""
    head = f"*{pluralize(len(made), 'change')} applied in {name}*{mended}. Read again: {_remaining_phrase(one)}."
    lines = [*_bullets(map(_outcome, made)), *_blocking_rule_lines(one), *_failures(one)]
    return [head, *lines, _traffic_sentence(one.plan, "Conversations go to other queues now.")]


def _failed(one: CycleResult, name: str) -> list[str]:
    if one.report is None:
        return [f"*Failed in {name}: nothing was written*", f"• {slack_code(one.error_text)}"]
    made = applied_outcomes(one.report)
    left = [outcome for outcome in one.report.outcomes if not isinstance(outcome, Applied)]
    what = "Interrupted" if one.report.interrupted else "Partly failed" if made else "Failed"
    head = f"*{what} in {name}: {len(made):,} of {pluralize(len(one.report.outcomes), 'change')} applied*"
    return [head, f"• {slack_code(one.error_text)}" if one.error_text else "", *_bullets(map(_outcome, [*left, *made]))]


def _recovered(one: CycleResult, name: str) -> list[str]:
    left = one.remaining
    if left is not None and (left.changes or left.conflicts or one.has_unfixable_drift):
        return [f"*Recovered: {name} can be read again.*"]
    return [f"*Recovered: {name} matches the manifests.*"]


_LINES: Final = {"drift": _drift, "refused": _refused, "applied": _applied, "failed": _failed, "recovered": _recovered}


def _difference_phrase(one: CycleResult) -> str:
    drift = one.drift or (Drift(plan=one.plan) if one.plan is not None else None)
    return "" if drift is None else counts_phrase(drift)


def _remaining_phrase(one: CycleResult) -> str:
    remaining = remaining_phrases(one.drift) if one.drift is not None else []
    return ", ".join(remaining) or "no differences"


def _blocking_rule_lines(one: CycleResult) -> list[str]:
    return _bullets(f"{slack_code(live.rule.name)}: not managed, and in the way" for live in one.in_the_way)


def _failures(one: CycleResult) -> list[str]:
    return _bullets(f"{finding.code}: {slack_code(finding.message)}" for finding in one.failed_checks)


def _changes(one: CycleResult) -> list[str]:
    changes = sort_for_reading(one.plan.changes) if one.plan is not None else []
    return _bullets(_change(change, one.drift) for change in changes)


def _change(change: Change, drift: Drift | None) -> str:
    cause = _CAUSES[change.cause]
    if isinstance(change, Create):
        run = drift.last_runs.get(change.address) if drift is not None else None
        cause = f"deleted in CXone since {slack_code(run)}" if run is not None else "never applied, or deleted in CXone"
    return f"{change.action} {slack_code(str(change.address))}: {cause}"


def _outcome(outcome: Outcome) -> str:
    what = slack_code(str(outcome.change.address))
    if isinstance(outcome, Applied):
        return f"{_ACTION_PAST[outcome.change.action]} {what}"
    return f"{outcome.status}: {outcome.change.action} {what}: {slack_code(outcome.error)}"


def _conflicts(plan: Plan) -> list[str]:
    return _bullets(f"{slack_code(str(one.address))}: {slack_code(one.message)}" for one in plan.conflicts)


def _impact_sentence(one: CycleResult) -> str:
    if one.plan is None or one.drift is None:
        return ""
    found = one.drift.unaccepted_impact.behaviour
    if found.regions:
        return "Conversations do not go where the manifests say."
    if not found.complete or one.plan.options.only:
        return ""
    said, rests = unaffected_text(one.drift), premise(found, one.plan.labels)
    said = "Conversations go where the manifests say (proven)." if said == NO_IMPACT else said
    return f"{said} {rests}".rstrip()


def _traffic_sentence(plan: Plan, moves: str) -> str:
    found = plan.behaviour
    if found is None or not plan.changes or (found.undecided and not found.regions):
        return ""
    return moves if found.regions else f"{NO_IMPACT} {premise(found, plan.labels)}".rstrip()


def _bullets(lines: Iterable[str]) -> list[str]:
    all_of_them: Sequence[str] = list(lines)
    more = len(all_of_them) - _MAX_NAMED
    return [f"• {line}" for line in all_of_them[:_MAX_NAMED]] + ([f"• and {more:,} more"] if more > 0 else [])
