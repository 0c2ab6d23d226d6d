"""What a comment should say, and how that goes with the comments that are there.

The head of a comment: what became of its plan, as Markdown, and whether that is the end of it.

What a pull request's comment should say, given the comments that are there: create, edit, or leave it.

A comment's first line says whose it is, its second which run wrote it; a head may follow, which says what became of the
plan. Everything in a comment may have been edited by others: nothing but the second line is read, and of it only
whether a newer run was here, and whether the plan was applied.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.render.escape_markdown import alert, code, inline
from reconciler.render.markdown.plan import comment_marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from reconciler.github.actions import Report, Run


_MOST: Final = 10
_SENTENCE: Final = re.compile(r"(?<=[.;:]) ")
_REFUSED: Final = 4


class Head(NamedTuple):
    """Markdown; `applied` says that everything planned is done."""

    text: str
    applied: bool = False


def applied_head(form: Mapping[str, Any], run: Run, now: datetime) -> Head:
    """Say what `cxroute apply --format json` reports."""
    outcomes = [one for one in _list(form.get("outcomes")) if isinstance(one, dict)]
    error = form.get("error")
    if isinstance(error, dict) and not outcomes:
        word = "Refused" if error.get("exitCode") == _REFUSED else "Failed"
        return Head(alert("CAUTION", [f"**{word}** {_when(run, now)}", *_why(str(error.get("message", "")))]))
    done, total = Counter(str(one.get("status")) for one in outcomes)["applied"], len(outcomes)
    if form.get("converged") is True and done == total:
        what = "**Applied**" if total else "**Nothing was left to apply**"
        return Head(alert("NOTE", [f"{what} {_when(run, now)}"]), applied=True)
    missing = [one for one in outcomes if one.get("status") != "applied"]
    lines = [f"- {code(str(one.get('address')))} {_fate(one)}" for one in missing[:_MOST]]
    lines += [f"- and {len(missing) - _MOST} more"] if len(missing) > _MOST else []
    lines = lines or ["Read again, the tenant still differs from the manifests."]
    again = ["", "What is left is part of the reviewed plan: run it again to go on."]
    return Head(alert("CAUTION", [f"**Applied {done} of {total}** {_when(run, now)}", "", *lines, *again]))


def unreported_head(run: Run, now: datetime) -> Head:
    """Say that the run that applied left no report."""
    told = f"**Apply ended without a report** {_when(run, now)} What was done stands in its log and its journal."
    return Head(alert("CAUTION", [told]))


def outdated_head(why: str, run: Run, now: datetime) -> Head:
    """Say that this plan was not applied, and why; without a reason, that it is not what would be applied now."""
    what = "**Not applied**" if why.strip() else "**Out of date, not applied**"
    return Head(alert("WARNING", [f"{what} {_when(run, now)}", *_why(why)]))


def planless_head(run: Run, now: datetime) -> Head:
    """Say that a later commit has no plan: what stands below is of an earlier one."""
    told = f"**No plan for {code(run.sha[:8])}**: what is below is of an earlier commit. Why stands in the checks."
    return Head(alert("CAUTION", [f"{told} {_when(run, now)}"]))


def _why(text: str) -> list[str]:
    """Return sentences from outside as a paragraph. Each is bounded by itself, so the last ones are there too."""
    lines = [" ".join(map(inline, _SENTENCE.split(line.strip()))) for line in text.splitlines() if line.strip()]
    return ["", "<br>".join(lines[:_MOST])] if lines else []


def _fate(outcome: Mapping[str, Any]) -> str:
    words = {"failed": "failed", "skipped": "not tried", "unknown": "unknown: the next run finds out"}
    word = words.get(str(outcome.get("status")), "unknown")
    return f"{word}: {inline(str(outcome['error']))}" if outcome.get("error") else word


def _when(run: Run, now: datetime) -> str:
    return f"on {now:%Y-%m-%d at %H:%M} UTC by @{run.actor} ({run.link})."


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


LONGEST: Final = 65_536
"""Characters that GitHub takes."""
_HEAD: Final = "<!-- cxroute:head -->"
_HEAD_ENDS: Final = "<!-- cxroute:head ends -->"
_STATE: Final = re.compile(r"<!-- cxroute:state (\{[^\n]{0,400}\}) -->")
_WORD: Final = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Which run wrote a comment last, about which commit and plan, and whether that plan was applied."""

    run: int
    attempt: int
    sha: str
    plan: str
    applied: bool = False

    @property
    def line(self) -> str:
        """Return the comment's second line."""
        return f"<!-- cxroute:state {json.dumps(asdict(self), separators=(',', ':'))} -->"


class Comment(NamedTuple):
    """One comment as GitHub lists it."""

    id: int
    author: str
    body: str


class Create(NamedTuple):
    """Write a new comment."""

    body: str


class Edit(NamedTuple):
    """Change one."""

    id: int
    body: str


class Leave(NamedTuple):
    """Do nothing, for a reason."""

    why: str


Decision = Create | Edit | Leave


@dataclass(frozen=True, slots=True)
class Wanted:
    """A comment on the plan of one environment, written by one run. `author` is who the token belongs to."""

    environment: str
    author: str
    state: State
    text: str
    """A whole plan in Markdown, or the head alone."""


def composed(wanted: Wanted) -> str:
    """Return the comment of a plan: its Markdown, with the state under its first line."""
    text = _normal(wanted.text)
    first = comment_marker(wanted.environment)
    rest = text[len(first) :].lstrip("\n") if _is_of(wanted.environment, text) else text
    return f"{first}\n{wanted.state.line}\n{rest.rstrip()}\n"


def posted(comments: Iterable[Comment], wanted: Wanted) -> Decision:
    """Decide about a plan that has something to say: it is written where there is no comment yet."""
    return _decided(comments, wanted, _planned, Create(composed(wanted)))


def refreshed(comments: Iterable[Comment], wanted: Wanted) -> Decision:
    """Decide about a plan without changes: it is worth an edit, and no comment of its own."""
    return _decided(comments, wanted, _planned, Leave("there is nothing to say, and no comment that says otherwise"))


def headed(comments: Iterable[Comment], wanted: Wanted) -> Decision:
    """Decide about a new head over a comment that is there: what became of its plan."""
    return _decided(comments, wanted, _under_a_head, Leave("there is no comment that this could stand in"))


def overtaken(comments: Iterable[Comment], wanted: Wanted) -> Decision:
    """Decide about a head that says that a newer commit has no plan; an older run does not come after it."""
    return _decided(comments, wanted, _overtaken, Leave("there is no comment that could be out of date"))


def state_of(body: str) -> State | None:
    """Return what a comment's second line says; None where it says nothing that could be meant so."""
    lines = _normal(body).split("\n", 2)
    found = _STATE.fullmatch(lines[1]) if len(lines) > 1 else None
    try:
        form = json.loads(found.group(1)) if found else None
    except (ValueError, RecursionError):
        return None
    if not isinstance(form, dict):
        return None
    numbers = [form.get(name) for name in ("run", "attempt")]
    words = [form.get(name) for name in ("sha", "plan")]
    if any(type(one) is not int for one in numbers):
        return None
    if not all(isinstance(one, str) and _WORD.fullmatch(one) for one in words):
        return None
    return State(
        run=form["run"],
        attempt=form["attempt"],
        sha=form["sha"],
        plan=form["plan"],
        applied=form.get("applied") is True,
    )


def _decided(
    comments: Iterable[Comment], wanted: Wanted, body: Callable[[Comment, Wanted], str | None], otherwise: Decision
) -> Decision:
    mine = (one for one in comments if one.author == wanted.author and _is_of(wanted.environment, _normal(one.body)))
    comment = next(mine, None)
    if comment is None:
        return otherwise
    text = body(comment, wanted)
    if text is None:
        return Leave("a newer run was here, or the plan was applied since")
    return Leave("it says that already") if text.strip() == _normal(comment.body).strip() else Edit(comment.id, text)


def _planned(comment: Comment, wanted: Wanted) -> str | None:
    """Return the plan's text, unless a newer run wrote there, or what was planned is done."""
    return None if _is_newer(state_of(comment.body), wanted.state) else composed(wanted)


def _overtaken(comment: Comment, wanted: Wanted) -> str | None:
    """Return the comment under the head of a run that has no plan, and from now on as that run's."""
    there = state_of(comment.body)
    return None if _is_newer(there, wanted.state) else _with_head(comment, wanted.state, wanted.text)


def _under_a_head(comment: Comment, wanted: Wanted) -> str | None:
    """Return the comment under a new head. Its state stays that of the plan: a later plan may replace it all."""
    there = state_of(comment.body)
    if there and there.applied and not wanted.state.applied:
        return None
    return _with_head(comment, replace(there or wanted.state, applied=wanted.state.applied), wanted.text)


def _is_newer(there: State | None, ours: State) -> bool:
    """Say whether a comment is not ours to write: a newer run did, or what was planned is done."""
    return there is not None and (there.applied or (there.run, there.attempt) > (ours.run, ours.attempt))


def _with_head(comment: Comment, state: State, head: str) -> str:
    """Return a comment with that state and head in place of those that it has."""
    first, *lines = _normal(comment.body).split("\n")
    rest = "\n".join(lines[1:] if lines and _STATE.fullmatch(lines[0]) else lines)
    if rest.startswith(_HEAD + "\n"):
        rest = rest.partition(_HEAD_ENDS)[2]
    said = head.strip().replace("<!--", "<!-")  # where it ends is told by us alone
    above = f"{first}\n{state.line}\n{_HEAD}\n\n{said}\n\n{_HEAD_ENDS}\n\n"
    return (above + rest.lstrip("\n"))[: LONGEST - 1].rstrip() + "\n"


def _is_of(environment: str, text: str) -> bool:
    return text.split("\n", 1)[0] == comment_marker(environment)


def _normal(text: str) -> str:
    """Return text with the line ends that we write: a browser that edits a comment sends others."""
    return text.replace("\r\n", "\n")


class Statement(NamedTuple):
    """What is to be said of an environment, and what decides whether it is written, given the comments."""

    wanted: Wanted
    decide: Callable[[Iterable[Comment], Wanted], Decision]


def planned(report: Report, run: Run) -> Statement:
    """State a plan. One without changes is worth an edit, and no comment of its own."""
    wanted = Wanted(
        report.environment, "", State(run=run.id, attempt=run.attempt, sha=run.sha, plan=report.plan_id), report.text
    )
    return Statement(wanted, posted if report.speaks else refreshed)


def unplanned(environment: str, run: Run, now: datetime) -> Statement:
    """State that this commit has no plan."""
    return _under(environment, run, planless_head(run, now), overtaken)


def applied(environment: str, form: Mapping[str, Any], run: Run, now: datetime) -> Statement:
    """State what became of a plan; an empty form where nobody knows."""
    return _under(environment, run, applied_head(form, run, now) if form else unreported_head(run, now), headed)


def outdated(environment: str, why: str, run: Run, now: datetime) -> Statement:
    """State that a plan is not what would be applied now."""
    return _under(environment, run, outdated_head(why, run, now), headed)


def _under(
    environment: str, run: Run, head: Head, decide: Callable[[Iterable[Comment], Wanted], Decision]
) -> Statement:
    return Statement(
        Wanted(
            environment,
            "",
            State(run=run.id, attempt=run.attempt, sha=run.sha, plan="", applied=head.applied),
            head.text,
        ),
        decide,
    )
