"""A message to a web hook, in the form that Slack reads, and Mattermost, Rocket.Chat and Discord (`/slack`) with it.

Text that is not ours stands in code spans, where none of them finds a mention, a link or a format. Slack's own
brackets, `<!channel>`, are escaped as it asks for: &, < and > alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reconciler.model.change import Applied, Change, Create, Outcome
from reconciler.plan.drift import Drift, changed
from reconciler.render.change_summary import in_reading_order
from reconciler.render.drift_summary import counts_phrase, nobody, remaining_phrases
from reconciler.render.impact import NOBODY, premise
from reconciler.text.escape import pluralize, sanitize
from reconciler.watch.cycle import Round, done

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.plan.plan import Plan
    from reconciler.watch.notifications import Kind


_MOST_NAMED: Final = 10
_CAUSES: Final = {
    "manifest": "not applied yet",
    "drift": "changed in CXone",
    "both": "changed in CXone, and in the manifests",
    "duplicate": "a second copy",
}
_DONE: Final = {"create": "created", "update": "updated", "adopt": "adopted", "delete": "deleted"}


def notification(kind: Kind, one: Round, environment: str, way_on: str) -> dict[str, Any]:
    """Return the message; `way_on` is the command that shows more."""
    lines = [line for line in _LINES[kind](one, span(environment)) if line]
    return {"text": "\n".join([*lines, f"More: {span(way_on)}"])}


def span(text: str) -> str:
    """Return text from outside as a code span that shows it, and means nothing: on one line, of a readable length."""
    shown = sanitize(text).replace("`", "'")
    return f"`{_escaped(shown) if shown.strip() else '(empty)'}`"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _drift(one: Round, name: str) -> list[str]:
    if one.plan is None:
        return []
    head = f"*{_difference(one)} in {name}*"
    return [head, *_in_the_way(one), *_changes(one), *_conflicts(one.plan), *_failures(one), _affected(one)]


def _refused(one: Round, name: str) -> list[str]:
    if one.plan is None:
        return []
    reasons = _named(f"route test: {span(test.message)}" for test in one.plan.failed_tests)
    reasons += [f"• refused: {span(guard.message)}" for guard in one.refused]
    reasons += [f"• refused: {span(one.why)}"] if one.why else []
    head = f"*{_difference(one)} in {name}, and it was not mended: nothing was written*"
    rest = [*_in_the_way(one), *_changes(one), *_failures(one), _affected(one)]
    return [head, *reasons, *_conflicts(one.plan), *rest]


def _applied(one: Round, name: str) -> list[str]:
    if one.report is None or one.plan is None:
        return []
    made = done(one.report)
    count = len(changed(one.plan))
    mended = f" ({pluralize(count, 'rule')} had been changed in CXone)" if count else ""
    head = f"*{pluralize(len(made), 'change')} applied in {name}*{mended}. Read again: {_left(one)}."
    lines = [*_named(map(_outcome, made)), *_in_the_way(one), *_failures(one)]
    return [head, *lines, _moved(one.plan, "Conversations go to other queues now.")]


def _failed(one: Round, name: str) -> list[str]:
    if one.report is None:
        return [f"*Failed in {name}: nothing was written*", f"• {span(one.why)}"]
    made = done(one.report)
    left = [outcome for outcome in one.report.outcomes if not isinstance(outcome, Applied)]
    what = "Interrupted" if one.report.interrupted else "Partly failed" if made else "Failed"
    head = f"*{what} in {name}: {len(made):,} of {pluralize(len(one.report.outcomes), 'change')} applied*"
    return [head, f"• {span(one.why)}" if one.why else "", *_named(map(_outcome, [*left, *made]))]


def _recovered(one: Round, name: str) -> list[str]:
    left = one.left
    if left is not None and (left.changes or left.conflicts or one.remains):
        return [f"*Recovered: {name} can be read again.*"]
    return [f"*Recovered: {name} matches the manifests.*"]


_LINES: Final = {
    "drift": _drift,
    "refused": _refused,
    "applied": _applied,
    "failed": _failed,
    "recovered": _recovered,
}


def _difference(one: Round) -> str:
    """Say how many rules differ: by section."""
    drift = one.drift or (Drift(plan=one.plan) if one.plan is not None else None)
    return "" if drift is None else counts_phrase(drift)


def _left(one: Round) -> str:
    remaining = remaining_phrases(one.drift) if one.drift is not None else []
    return ", ".join(remaining) or "no differences"


def _in_the_way(one: Round) -> list[str]:
    return _named(f"{span(live.rule.name)}: not managed, and in the way" for live in one.in_the_way)


def _failures(one: Round) -> list[str]:
    return _named(f"{finding.code}: {span(finding.message)}" for finding in one.failures)


def _changes(one: Round) -> list[str]:
    changes = in_reading_order(one.plan.changes) if one.plan is not None else []
    return _named(_change(change, one.drift) for change in changes)


def _change(change: Change, drift: Drift | None) -> str:
    cause = _CAUSES[change.cause]
    if isinstance(change, Create):
        run = drift.since.get(change.address) if drift is not None else None
        cause = f"deleted in CXone since {span(run)}" if run is not None else "never applied, or deleted in CXone"
    return f"{change.action} {span(str(change.address))}: {cause}"


def _outcome(outcome: Outcome) -> str:
    what = span(str(outcome.change.address))
    if isinstance(outcome, Applied):
        return f"{_DONE[outcome.change.action]} {what}"
    return f"{outcome.status}: {outcome.change.action} {what}: {span(outcome.error)}"


def _conflicts(plan: Plan) -> list[str]:
    return _named(f"{span(str(one.address))}: {span(one.message)}" for one in plan.conflicts)


def _affected(one: Round) -> str:
    """Say whether conversations go elsewhere than the manifests say."""
    if one.plan is None or one.drift is None:
        return ""
    found = one.drift.unwanted.behaviour
    if found.regions:
        return "Conversations do not go where the manifests say."
    if not found.complete or one.plan.options.only:
        return ""
    said, rests = nobody(one.drift), premise(found, one.plan.labels)
    said = "Conversations go where the manifests say (proven)." if said == NOBODY else said
    return f"{said} {rests}".rstrip()


def _moved(plan: Plan, moves: str) -> str:
    """Say whether what was applied moves conversations."""
    found = plan.behaviour
    if found is None or not plan.changes or (found.unknown and not found.regions):
        return ""
    return moves if found.regions else f"{NOBODY} {premise(found, plan.labels)}".rstrip()


def _named(lines: Iterable[str]) -> list[str]:
    all_of_them: Sequence[str] = list(lines)
    more = len(all_of_them) - _MOST_NAMED
    return [f"• {line}" for line in all_of_them[:_MOST_NAMED]] + ([f"• and {more:,} more"] if more > 0 else [])
