"""A message to a web hook, in the form that Slack reads, and Mattermost, Rocket.Chat and Discord (`/slack`) with it.

Text that is not ours stands in code spans, where none of them finds a mention, a link or a format. Slack's own
brackets, `<!channel>`, are escaped as it asks for: &, < and > alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from reconciler.change import Applied
from reconciler.render.affected import NOBODY
from reconciler.render.told_change import acts, in_reading_order
from reconciler.rounds import done, pending
from reconciler.saved_plan import action
from reconciler.words import counted, failing, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.change import Change, Outcome
    from reconciler.news import Kind
    from reconciler.plan import Plan
    from reconciler.rounds import Round

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
    shown = plain(text).replace("`", "'")
    return f"`{_escaped(shown) if shown.strip() else '(empty)'}`"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _drift(one: Round, name: str) -> list[str]:
    if one.plan is None:
        return []
    return [f"*{_difference(one.plan)} in {name}*", *_changes(one.plan), *_conflicts(one.plan), _affected(one.plan)]


def _refused(one: Round, name: str) -> list[str]:
    if one.plan is None:
        return []
    reasons = _named(f"route test: {span(test.message)}" for test in one.plan.failed_tests)
    reasons += [f"• refused: {span(guard.message)}" for guard in one.refused]
    reasons += [f"• refused: {span(one.why)}"] if one.why else []
    head = f"*{_difference(one.plan)} in {name}, and it was not mended: nothing was written*"
    return [head, *reasons, *_conflicts(one.plan), *_changes(one.plan), _affected(one.plan)]


def _applied(one: Round, name: str) -> list[str]:
    if one.report is None or one.plan is None:
        return []
    made = done(one.report)
    count = _outside(one.plan)
    mended = f" ({counted(count, 'rule')} had been changed in CXone)" if count else ""
    head = f"*{counted(len(made), 'change')} applied in {name}*{mended}. Read again: no differences."
    return [head, *_named(map(_outcome, made)), _affected(one.plan, "Conversations go to other queues now.")]


def _failed(one: Round, name: str) -> list[str]:
    if one.report is None:
        return [f"*Failed in {name}: nothing was written*", f"• {span(one.why)}"]
    made = done(one.report)
    left = [outcome for outcome in one.report.outcomes if not isinstance(outcome, Applied)]
    what = "Interrupted" if one.report.interrupted else "Partly failed" if made else "Failed"
    head = f"*{what} in {name}: {len(made):,} of {counted(len(one.report.outcomes), 'change')} applied*"
    return [head, f"• {span(one.why)}" if one.why else "", *_named(map(_outcome, [*left, *made]))]


def _recovered(one: Round, name: str) -> list[str]:
    left = one.left
    if left is not None and (left.changes or left.conflicts):
        return [f"*Recovered: {name} can be read again.*"]
    return [f"*Recovered: {name} matches the manifests.*"]


_LINES: Final = {
    "drift": _drift,
    "refused": _refused,
    "applied": _applied,
    "failed": _failed,
    "recovered": _recovered,
}


def _difference(plan: Plan) -> str:
    """Say how many rules differ, and how many of them because of somebody in CXone."""
    outside = _outside(plan)
    said = [f"{counted(outside, 'rule')} changed in CXone"] if outside else []
    rest = pending(plan) - outside
    said += [f"{counted(rest, 'change')} not applied"] if rest else []
    said += [f"{counted(len(plan.conflicts), 'rule')} in conflict"] if plan.conflicts else []
    said += [failing(len(plan.failed_tests))] if plan.failed_tests else []
    return ", ".join(said) or "A clean-up left to do"


def _changes(plan: Plan) -> list[str]:
    return _named(_change(change) for change in in_reading_order(plan.changes))


def _change(change: Change) -> str:
    return f"{acts(change)} {span(str(change.address))}: {_CAUSES[change.cause]}"


def _outcome(outcome: Outcome) -> str:
    what = span(str(outcome.change.address))
    if isinstance(outcome, Applied):
        return f"{_DONE[action(outcome.change)]} {what}"
    return f"{type(outcome).__name__.lower()}: {action(outcome.change)} {what}: {span(outcome.error)}"


def _conflicts(plan: Plan) -> list[str]:
    return _named(f"{span(str(one.address))}: {span(one.message)}" for one in plan.conflicts)


def _affected(plan: Plan, moves: str = "Applying it moves conversations to other queues.") -> str:
    """Say whether what is applied moves conversations."""
    found = plan.behaviour
    if found is None or not plan.changes or (found.unknown and not found.regions):
        return ""
    return moves if found.regions else NOBODY


def _outside(plan: Plan) -> int:
    return sum(change.cause in ("drift", "both") for change in plan.changes)


def _named(lines: Iterable[str]) -> list[str]:
    all_of_them: Sequence[str] = list(lines)
    more = len(all_of_them) - _MOST_NAMED
    return [f"• {line}" for line in all_of_them[:_MOST_NAMED]] + ([f"• and {more:,} more"] if more > 0 else [])
