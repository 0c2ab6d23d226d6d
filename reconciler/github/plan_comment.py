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

from reconciler.render.escape_markdown import alert, code_span, escape_markdown
from reconciler.render.markdown.plan import comment_marker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from reconciler.github.actions import PlanReport, WorkflowRun


_MAX_LISTED: Final = 10
_SENTENCE: Final = re.compile(r"(?<=[.;:]) ")
_REFUSED_EXIT_CODE: Final = 4


class CommentHeader(NamedTuple):
    """Markdown; `applied` says that everything planned is done."""

    text: str
    applied: bool = False


def applied_header(report: Mapping[str, Any], run: WorkflowRun, now: datetime) -> CommentHeader:
    """Say what `cxroute apply --format json` reports."""
    outcomes = [one for one in _list(report.get("outcomes")) if isinstance(one, dict)]
    error = report.get("error")
    if isinstance(error, dict) and not outcomes:
        word = "Refused" if error.get("exitCode") == _REFUSED_EXIT_CODE else "Failed"
        return CommentHeader(
            alert("CAUTION", [f"**{word}** {_when(run, now)}", *_reason_lines(str(error.get("message", "")))])
        )
    done, total = Counter(str(one.get("status")) for one in outcomes)["applied"], len(outcomes)
    if report.get("converged") is True and done == total:
        what = "**Applied**" if total else "**Nothing was left to apply**"
        return CommentHeader(alert("NOTE", [f"{what} {_when(run, now)}"]), applied=True)
    missing = [one for one in outcomes if one.get("status") != "applied"]
    lines = [f"- {code_span(str(one.get('address')))} {_outcome_text(one)}" for one in missing[:_MAX_LISTED]]
    lines += [f"- and {len(missing) - _MAX_LISTED} more"] if len(missing) > _MAX_LISTED else []
    lines = lines or ["Read again, the tenant still differs from the manifests."]
    again = ["", "What is left is part of the reviewed plan: run it again to go on."]
    return CommentHeader(alert("CAUTION", [f"**Applied {done} of {total}** {_when(run, now)}", "", *lines, *again]))


def unreported_header(run: WorkflowRun, now: datetime) -> CommentHeader:
    """Say that the run that applied left no report."""
    told = f"**Apply ended without a report** {_when(run, now)} What was done stands in its log and its journal."
    return CommentHeader(alert("CAUTION", [told]))


def outdated_header(reason: str, run: WorkflowRun, now: datetime) -> CommentHeader:
    """Say that this plan was not applied, and why; without a reason, that it is not what would be applied now."""
    what = "**Not applied**" if reason.strip() else "**Out of date, not applied**"
    return CommentHeader(alert("WARNING", [f"{what} {_when(run, now)}", *_reason_lines(reason)]))


def planless_header(run: WorkflowRun, now: datetime) -> CommentHeader:
    """Say that a later commit has no plan: what stands below is of an earlier one."""
    told = f"**No plan for {code_span(run.sha[:8])}**: what is below is of an earlier commit. Why stands in the checks."
    return CommentHeader(alert("CAUTION", [f"{told} {_when(run, now)}"]))


def _reason_lines(text: str) -> list[str]:
    """Return sentences from outside as a paragraph. Each is bounded by itself, so the last ones are there too."""
    lines = [
        " ".join(map(escape_markdown, _SENTENCE.split(line.strip()))) for line in text.splitlines() if line.strip()
    ]
    return ["", "<br>".join(lines[:_MAX_LISTED])] if lines else []


def _outcome_text(outcome: Mapping[str, Any]) -> str:
    words = {"failed": "failed", "skipped": "not tried", "unknown": "unknown: the next run finds out"}
    word = words.get(str(outcome.get("status")), "unknown")
    return f"{word}: {escape_markdown(str(outcome['error']))}" if outcome.get("error") else word


def _when(run: WorkflowRun, now: datetime) -> str:
    return f"on {now:%Y-%m-%d at %H:%M} UTC by @{run.actor} ({run.link})."


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


MAX_COMMENT: Final = 65_536
"""Characters that GitHub takes."""
_HEAD: Final = "<!-- cxroute:head -->"
_HEAD_ENDS: Final = "<!-- cxroute:head ends -->"
_STATE: Final = re.compile(r"<!-- cxroute:state (\{[^\n]{0,400}\}) -->")
_HEX_PATTERN: Final = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentState:
    """Which run wrote a comment last, about which commit and plan, and whether that plan was applied."""

    run: int
    attempt: int
    sha: str
    plan: str
    applied: bool = False

    @property
    def marker_line(self) -> str:
        """Return the comment's second line."""
        return f"<!-- cxroute:state {json.dumps(asdict(self), separators=(',', ':'))} -->"


class Comment(NamedTuple):
    """One comment as GitHub lists it."""

    id: int
    author: str
    body: str


class CreateComment(NamedTuple):
    """Write a new comment."""

    body: str


class EditComment(NamedTuple):
    """Change one."""

    id: int
    body: str


class SkipComment(NamedTuple):
    """Do nothing, for a reason."""

    reason: str


CommentDecision = CreateComment | EditComment | SkipComment


@dataclass(frozen=True, slots=True)
class DesiredComment:
    """A comment on the plan of one environment, written by one run. `author` is who the token belongs to."""

    environment: str
    author: str
    state: CommentState
    text: str
    """A whole plan in Markdown, or the head alone."""


def compose_comment(desired: DesiredComment) -> str:
    """Return the comment of a plan: its Markdown, with the state under its first line."""
    text = _normalize_lines(desired.text)
    first = comment_marker(desired.environment)
    rest = text[len(first) :].lstrip("\n") if _belongs_to(desired.environment, text) else text
    return f"{first}\n{desired.state.marker_line}\n{rest.rstrip()}\n"


def decide_plan(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide about a plan that has something to say: it is written where there is no comment yet."""
    return _decide(comments, desired, _plan_body, CreateComment(compose_comment(desired)))


def decide_refresh(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide about a plan without changes: it is worth an edit, and no comment of its own."""
    return _decide(
        comments, desired, _plan_body, SkipComment("there is nothing to say, and no comment that says otherwise")
    )


def decide_header(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide about a new head over a comment that is there: what became of its plan."""
    return _decide(comments, desired, _headed_body, SkipComment("there is no comment that this could stand in"))


def decide_outdated(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide about a head that says that a newer commit has no plan; an older run does not come after it."""
    return _decide(comments, desired, _outdated_body, SkipComment("there is no comment that could be out of date"))


def parse_state(body: str) -> CommentState | None:
    """Return what a comment's second line says; None where it says nothing that could be meant so."""
    lines = _normalize_lines(body).split("\n", 2)
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
    if not all(isinstance(one, str) and _HEX_PATTERN.fullmatch(one) for one in words):
        return None
    return CommentState(
        run=form["run"],
        attempt=form["attempt"],
        sha=form["sha"],
        plan=form["plan"],
        applied=form.get("applied") is True,
    )


def _decide(
    comments: Iterable[Comment],
    wanted: DesiredComment,
    body: Callable[[Comment, DesiredComment], str | None],
    otherwise: CommentDecision,
) -> CommentDecision:
    mine = (
        one
        for one in comments
        if one.author == wanted.author and _belongs_to(wanted.environment, _normalize_lines(one.body))
    )
    comment = next(mine, None)
    if comment is None:
        return otherwise
    text = body(comment, wanted)
    if text is None:
        return SkipComment("a newer run was here, or the plan was applied since")
    return (
        SkipComment("it says that already")
        if text.strip() == _normalize_lines(comment.body).strip()
        else EditComment(comment.id, text)
    )


def _plan_body(comment: Comment, wanted: DesiredComment) -> str | None:
    """Return the plan's text, unless a newer run wrote there, or what was planned is done."""
    return None if _is_newer(parse_state(comment.body), wanted.state) else compose_comment(wanted)


def _outdated_body(comment: Comment, wanted: DesiredComment) -> str | None:
    """Return the comment under the head of a run that has no plan, and from now on as that run's."""
    there = parse_state(comment.body)
    return None if _is_newer(there, wanted.state) else _replace_header(comment, wanted.state, wanted.text)


def _headed_body(comment: Comment, wanted: DesiredComment) -> str | None:
    """Return the comment under a new head. Its state stays that of the plan: a later plan may replace it all."""
    there = parse_state(comment.body)
    if there and there.applied and not wanted.state.applied:
        return None
    return _replace_header(comment, replace(there or wanted.state, applied=wanted.state.applied), wanted.text)


def _is_newer(there: CommentState | None, ours: CommentState) -> bool:
    """Say whether a comment is not ours to write: a newer run did, or what was planned is done."""
    return there is not None and (there.applied or (there.run, there.attempt) > (ours.run, ours.attempt))


def _replace_header(comment: Comment, state: CommentState, head: str) -> str:
    """Return a comment with that state and head in place of those that it has."""
    first, *lines = _normalize_lines(comment.body).split("\n")
    rest = "\n".join(lines[1:] if lines and _STATE.fullmatch(lines[0]) else lines)
    if rest.startswith(_HEAD + "\n"):
        rest = rest.partition(_HEAD_ENDS)[2]
    said = head.strip().replace("<!--", "<!-")  # where it ends is told by us alone
    above = f"{first}\n{state.marker_line}\n{_HEAD}\n\n{said}\n\n{_HEAD_ENDS}\n\n"
    return (above + rest.lstrip("\n"))[: MAX_COMMENT - 1].rstrip() + "\n"


def _belongs_to(environment: str, text: str) -> bool:
    return text.split("\n", 1)[0] == comment_marker(environment)


def _normalize_lines(text: str) -> str:
    """Return text with the line ends that we write: a browser that edits a comment sends others."""
    return text.replace("\r\n", "\n")


class CommentRequest(NamedTuple):
    """What is to be said of an environment, and what decides whether it is written, given the comments."""

    desired: DesiredComment
    decide: Callable[[Iterable[Comment], DesiredComment], CommentDecision]


def request_plan(report: PlanReport, run: WorkflowRun) -> CommentRequest:
    """State a plan. One without changes is worth an edit, and no comment of its own."""
    wanted = DesiredComment(
        report.environment,
        "",
        CommentState(run=run.id, attempt=run.attempt, sha=run.sha, plan=report.plan_id),
        report.text,
    )
    return CommentRequest(wanted, decide_plan if report.needs_comment else decide_refresh)


def request_planless(environment: str, run: WorkflowRun, now: datetime) -> CommentRequest:
    """State that this commit has no plan."""
    return _request_header(environment, run, planless_header(run, now), decide_outdated)


def request_applied(environment: str, report: Mapping[str, Any], run: WorkflowRun, now: datetime) -> CommentRequest:
    """State what became of a plan; an empty form where nobody knows."""
    return _request_header(
        environment, run, applied_header(report, run, now) if report else unreported_header(run, now), decide_header
    )


def request_outdated(environment: str, reason: str, run: WorkflowRun, now: datetime) -> CommentRequest:
    """State that a plan is not what would be applied now."""
    return _request_header(environment, run, outdated_header(reason, run, now), decide_header)


def _request_header(
    environment: str,
    run: WorkflowRun,
    head: CommentHeader,
    decide: Callable[[Iterable[Comment], DesiredComment], CommentDecision],
) -> CommentRequest:
    return CommentRequest(
        DesiredComment(
            environment,
            "",
            CommentState(run=run.id, attempt=run.attempt, sha=run.sha, plan="", applied=head.applied),
            head.text,
        ),
        decide,
    )
