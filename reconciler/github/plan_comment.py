"""A pull request's comment on a plan: its text, and whether to create it, edit it, or leave it.

The first line names the environment, the second the run that wrote it; a header on the plan's outcome may follow.
Comments may have been edited: only the second line is read, for a newer run and for an applied plan.
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
    """Markdown; `applied` means that the full plan is applied."""

    text: str
    applied: bool = False


def applied_header(report: Mapping[str, Any], run: WorkflowRun, now: datetime) -> CommentHeader:
    """Return a header for the report of `cxroute apply --format json`."""
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
    """Return a header for an apply without a report."""
    told = f"**Apply ended without a report** {_when(run, now)} What was done stands in its log and its journal."
    return CommentHeader(alert("CAUTION", [told]))


def outdated_header(reason: str, run: WorkflowRun, now: datetime) -> CommentHeader:
    """Return a header for a plan that was not applied; without a reason, one that is out of date."""
    what = "**Not applied**" if reason.strip() else "**Out of date, not applied**"
    return CommentHeader(alert("WARNING", [f"{what} {_when(run, now)}", *_reason_lines(reason)]))


def planless_header(run: WorkflowRun, now: datetime) -> CommentHeader:
    """Return a header for a later commit without a plan."""
    told = f"**No plan for {code_span(run.sha[:8])}**: what is below is of an earlier commit. Why stands in the checks."
    return CommentHeader(alert("CAUTION", [f"{told} {_when(run, now)}"]))


def _reason_lines(text: str) -> list[str]:
    """Return sentences from outside as a paragraph. Each line is bounded by itself, to keep the last ones."""
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


MAX_COMMENT: Final = 65_536  # characters that GitHub takes
_HEAD: Final = "<!-- cxroute:head -->"
_HEAD_ENDS: Final = "<!-- cxroute:head ends -->"
_STATE: Final = re.compile(r"<!-- cxroute:state (\{[^\n]{0,400}\}) -->")
_HEX_PATTERN: Final = re.compile(r"[0-9a-f]{0,64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommentState:
    """The run that wrote a comment last, its commit and plan, and whether that plan was applied."""

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
    """One comment."""

    id: int
    author: str
    body: str


class CreateComment(NamedTuple):
    """Write a new comment."""

    body: str


class EditComment(NamedTuple):
    """Change a comment."""

    id: int
    body: str


class SkipComment(NamedTuple):
    """Do nothing, for a reason."""

    reason: str


CommentDecision = CreateComment | EditComment | SkipComment


@dataclass(frozen=True, slots=True)
class DesiredComment:
    """A comment on the plan of one environment, written by one run. `author` is the token's login."""

    environment: str
    author: str
    state: CommentState
    text: str  # A whole plan in Markdown, or the head alone


def compose_comment(desired: DesiredComment) -> str:
    """Return the comment of a plan: its Markdown, with the state under its first line."""
    text = _normalize_lines(desired.text)
    first = comment_marker(desired.environment)
    rest = text[len(first) :].lstrip("\n") if _belongs_to(desired.environment, text) else text
    return f"{first}\n{desired.state.marker_line}\n{rest.rstrip()}\n"


def decide_plan(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide on a plan that needs a comment."""
    return _decide(comments, desired, _plan_body, CreateComment(compose_comment(desired)))


def decide_refresh(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide on a plan without changes: it edits a comment, but does not create one."""
    return _decide(
        comments, desired, _plan_body, SkipComment("there is nothing to say, and no comment that says otherwise")
    )


def decide_header(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide on a new header over an existing comment: the outcome of its plan."""
    return _decide(comments, desired, _headed_body, SkipComment("there is no comment that this could stand in"))


def decide_outdated(comments: Iterable[Comment], desired: DesiredComment) -> CommentDecision:
    """Decide on the header of a newer commit without a plan; an older run does not overwrite a newer one."""
    return _decide(comments, desired, _outdated_body, SkipComment("there is no comment that could be out of date"))


def parse_state(body: str) -> CommentState | None:
    """Return the state in a comment's second line; None if it does not hold one."""
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
    return None if _is_newer(parse_state(comment.body), wanted.state) else compose_comment(wanted)


def _outdated_body(comment: Comment, wanted: DesiredComment) -> str | None:
    there = parse_state(comment.body)
    return None if _is_newer(there, wanted.state) else _replace_header(comment, wanted.state, wanted.text)


def _headed_body(comment: Comment, wanted: DesiredComment) -> str | None:
    """Return the comment under a new header. Its state stays that of the plan: a later plan may replace it."""
    there = parse_state(comment.body)
    if there and there.applied and not wanted.state.applied:
        return None
    return _replace_header(comment, replace(there or wanted.state, applied=wanted.state.applied), wanted.text)


def _is_newer(there: CommentState | None, ours: CommentState) -> bool:
    return there is not None and (there.applied or (there.run, there.attempt) > (ours.run, ours.attempt))


def _replace_header(comment: Comment, state: CommentState, head: str) -> str:
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
    return text.replace("\r\n", "\n")


class CommentRequest(NamedTuple):
    """A desired comment, and the function that decides on it, given the existing comments."""

    desired: DesiredComment
    decide: Callable[[Iterable[Comment], DesiredComment], CommentDecision]


def request_plan(report: PlanReport, run: WorkflowRun) -> CommentRequest:
    """Return the request for a plan. One without changes edits a comment, but does not create one."""
    wanted = DesiredComment(
        report.environment,
        "",
        CommentState(run=run.id, attempt=run.attempt, sha=run.sha, plan=report.plan_id),
        report.text,
    )
    return CommentRequest(wanted, decide_plan if report.needs_comment else decide_refresh)


def request_planless(environment: str, run: WorkflowRun, now: datetime) -> CommentRequest:
    """Return the request for a commit without a plan."""
    return _request_header(environment, run, planless_header(run, now), decide_outdated)


def request_applied(environment: str, report: Mapping[str, Any], run: WorkflowRun, now: datetime) -> CommentRequest:
    """Return the request for the outcome of a plan; an empty report stands for a missing one."""
    return _request_header(
        environment, run, applied_header(report, run, now) if report else unreported_header(run, now), decide_header
    )


def request_outdated(environment: str, reason: str, run: WorkflowRun, now: datetime) -> CommentRequest:
    """Return the request for a plan that is out of date."""
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
