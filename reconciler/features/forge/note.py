"""A pull request's comment on a plan: its text, and whether to create it, edit it, or leave it.

The first line names the environment, the second the run that wrote it; a header on the plan's
outcome may follow. Comments may have been edited: only the second line is read, for a newer run and
for an applied plan.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple

from reconciler.core.errors import RefusedError
from reconciler.core.model.live import normalize_line_ends
from reconciler.core.text.escape import pluralize
from reconciler.core.text.json_values import list_objects
from reconciler.features.forge.comment import (
    STATE_LINE,
    CommentDecision,
    CommentState,
    Skip,
    WriteComment,
    belongs_to,
    parse_state,
)
from reconciler.features.forge.forge import PipelineRun, Post
from reconciler.features.forge.merge_part import join_part, split_part
from reconciler.features.forge.plan_report import FailedPlan, PlacedError, PlanReport
from reconciler.render.escape_markdown import alert, code_span, escape_markdown
from reconciler.render.markdown.plan import comment_marker

CommentKind = Literal["plan", "refresh", "planless", "header"]
"""plan: a plan that needs a comment. refresh: a plan without news, which only edits a comment.
planless: a commit without a plan. header: the outcome of a plan, which only edits a comment."""
_UNCHANGED: Final[Mapping[CommentKind, str]] = {
    "refresh": "there is nothing to report, and no comment to update",
    "header": "there is no comment to update",
}
"""Why there is no comment after a kind that creates none."""

_MAX_LISTED: Final = 10
_MAX_ERRORS: Final = 3  # of a commit without a plan
_EARLIER: Final = "The text below is about the plan of an earlier commit."
_SENTENCE: Final = re.compile(r"(?<=[.;:]) ")


class CommentHeader(NamedTuple):
    """Markdown; `applied` means that the full plan is applied."""

    text: str
    applied: bool = False


def applied_header(
    report: Mapping[str, Any],
    run: PipelineRun,
    now: datetime,
) -> CommentHeader:
    """Return a header for the report of `cxroute apply --format json`."""
    when = _when(run, now)
    outcomes = list_objects(report, "outcomes")
    error = report.get("error")
    if isinstance(error, dict) and not outcomes:
        is_refused = error.get("exitCode") == RefusedError.exit_code
        word = "Refused" if is_refused else "Failed"
        reason = _reason_lines(str(error.get("message", "")))
        return _header("CAUTION", f"**{word}** {when}", *reason)

    missing = [outcome for outcome in outcomes if outcome.get("status") != "applied"]
    total = len(outcomes)
    if report.get("converged") is True and not missing:
        text = "**Applied**" if total else "**Nothing was left to apply**"
        return _header("NOTE", f"{text} {when}")._replace(applied=True)

    title = f"**Applied {total - len(missing)} of {total}** {when}"
    advice = (
        "The remaining changes are part of the reviewed plan: run it again to continue."
    )
    return _header("CAUTION", title, "", *_missing_lines(missing), "", advice)


def _missing_lines(missing: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the changes that were not applied as lines of a list."""
    if not missing:
        return ["After another read, the tenant still differs from the manifests."]
    lines = [f"- {_outcome_text(outcome)}" for outcome in missing[:_MAX_LISTED]]
    hidden = len(missing) - _MAX_LISTED
    if hidden > 0:
        lines.append(f"- and {hidden} more")
    return lines


def _header(kind: str, *lines: str) -> CommentHeader:
    return CommentHeader(alert(kind, lines))


def _reason_lines(text: str) -> list[str]:
    """Return sentences from outside as a paragraph.

    Each line is bounded by itself, to keep the last ones.
    """
    stripped = [line.strip() for line in text.splitlines() if line.strip()]
    lines = [" ".join(map(escape_markdown, _SENTENCE.split(line))) for line in stripped]
    return ["", "<br>".join(lines[:_MAX_LISTED])] if lines else []


def _outcome_text(outcome: Mapping[str, Any]) -> str:
    words = {
        "failed": "failed",
        "skipped": "not tried",
        "unknown": "unknown: the next run checks",
    }
    address = code_span(str(outcome.get("address")))
    status = words.get(str(outcome.get("status")), "unknown")
    text = f"{address} {status}"
    if outcome.get("error"):
        text += f": {escape_markdown(str(outcome['error']))}"
    return text


def _when(run: PipelineRun, now: datetime) -> str:
    time = f"{now:%Y-%m-%d at %H:%M} UTC"
    return f"on {time} by @{run.actor} ({run.link})."


_HEAD: Final = "<!-- cxroute:head -->"
_HEAD_ENDS: Final = "<!-- cxroute:head ends -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class DesiredComment:
    """A comment on the plan of one environment, written by one run."""

    environment: str
    state: CommentState
    text: str  # a plan in Markdown, or only a header
    kind: CommentKind = "plan"
    author: str = ""  # the token's login
    limit: int = 65_536  # characters of a note


def compose_comment(desired: DesiredComment) -> str:
    """Return the comment of a plan: its Markdown, with the state under its first line."""
    text = normalize_line_ends(desired.text)
    first = comment_marker(desired.environment)
    if belongs_to(desired.environment, text):
        text = text[len(first) :].lstrip("\n")
    body = f"{first}\n{desired.state.marker_line}\n{text.rstrip()}\n"
    return _bounded(body, desired.limit)


def decide(comments: Iterable[Post], desired: DesiredComment) -> CommentDecision:
    """Return the decision on the author's comment of the environment."""
    for comment in comments:
        body = normalize_line_ends(comment.body)
        if comment.author == desired.author and belongs_to(desired.environment, body):
            text = _new_body(comment, desired)
            if text is None:
                return Skip("a newer run wrote it, or the plan was applied since")
            if text.strip() == body.strip():
                return Skip("it is up to date")
            return WriteComment(text, comment.id)
    if desired.kind in _UNCHANGED:
        return Skip(_UNCHANGED[desired.kind])
    empty = Post(0, desired.author, comment_marker(desired.environment))
    return WriteComment(str(_new_body(empty, desired)))


def _new_body(comment: Post, desired: DesiredComment) -> str | None:
    """Return the new text of a comment; None if it is newer than the desired one.

    The part about merges stays if it is about the same commit. The outcome of a plan keeps it.
    """
    rest, part = split_part(comment.body)
    if desired.kind != "header" and part and part.sha != desired.state.sha:
        part = None
    text = _new_text(comment._replace(body=rest), desired)
    return None if text is None else join_part(text, part, desired.limit)


def _new_text(comment: Post, desired: DesiredComment) -> str | None:
    """Return the new text of a comment without its part about merges; None if it is newer."""
    state = parse_state(comment.body)
    own = desired.state
    if desired.kind == "header":
        if state and state.applied and not own.applied:
            return None
        # The state stays that of the plan: a later plan may replace it.
        return _replace_header(
            comment,
            replace(state or own, applied=own.applied),
            desired,
        )

    if state and (state.applied or (state.run, state.attempt) > (own.run, own.attempt)):
        return None
    if desired.kind == "planless":
        return _replace_header(comment, own, desired, _EARLIER)
    return compose_comment(desired)


def _replace_header(
    comment: Post,
    state: CommentState,
    desired: DesiredComment,
    remark: str = "",
) -> str:
    """Return a comment under a new header; `remark` stands between the header and the rest, if
    there is a rest.
    """
    first, *lines = normalize_line_ends(comment.body).split("\n")
    rest = "\n".join(lines[1:] if lines and STATE_LINE.fullmatch(lines[0]) else lines)
    if rest.startswith(_HEAD + "\n"):
        rest = rest.partition(_HEAD_ENDS)[2]
    rest = rest.lstrip("\n")
    # only this function marks the header's end
    text = desired.text.strip().replace("<!--", "<!-")
    if remark and rest:
        text += f"\n\n{remark}"
    above = f"{first}\n{state.marker_line}\n{_HEAD}\n\n{text}\n\n{_HEAD_ENDS}\n\n"
    return _bounded(above + rest, desired.limit)


def _bounded(text: str, limit: int) -> str:
    return text[: limit - 1].rstrip() + "\n"


def request_plan(report: PlanReport, run: PipelineRun) -> DesiredComment:
    """Return the request for a plan.

    One without changes, now and later, edits a comment, but does not create one.
    """
    is_reported = report.has_changes or report.changes_later or report.is_refused
    kind: CommentKind = "plan" if is_reported else "refresh"
    return _request(
        report.environment,
        run,
        CommentHeader(report.text),
        kind,
        report.plan_id,
    )


def request_planless(
    environment: str,
    run: PipelineRun,
    now: datetime,
    failure: FailedPlan | None = None,
) -> DesiredComment:
    """Return the request for a commit without a plan, with its first errors.

    It creates a comment if there is none.
    """
    reason = "its step ended without a report, and the log of the run shows why"
    lines: list[str] = []
    if failure and failure.errors:
        reason = f"the manifests have {pluralize(len(failure.errors), 'error')}"
        lines = ["", *map(_error_line, failure.errors[:_MAX_ERRORS])]
        hidden = len(failure.errors) - _MAX_ERRORS
        if hidden > 0:
            lines.append(f"- and {hidden} more, which the log of the run lists")
    elif failure:
        reason = "it failed with this error"
        lines = _reason_lines(failure.message)
    where = f"run of {now:%Y-%m-%d at %H:%M} UTC by @{run.actor}, {run.link}"
    title = f"**No plan for {code_span(run.sha[:8])}**: {reason} ({where})."
    return _request(environment, run, _header("CAUTION", title, *lines), "planless")


def _error_line(error: PlacedError) -> str:
    message = escape_markdown(" ".join(error.message.split()))
    if error.place:
        return f"- {code_span(error.place)}: {message}"
    return f"- {message}"


def request_applied(
    environment: str,
    report: Mapping[str, Any],
    run: PipelineRun,
    now: datetime,
) -> DesiredComment:
    """Return the request for the outcome of a plan; an empty report means a missing one."""
    text = (
        f"**Apply ended without a report** {_when(run, now)} Its log and its journal show what was "
        f"done."
    )
    header = applied_header(report, run, now) if report else _header("CAUTION", text)
    return _request(environment, run, header, "header")


def request_outdated(
    environment: str,
    reason: str,
    run: PipelineRun,
    now: datetime,
) -> DesiredComment:
    """Return the request for a plan that was not applied; without a reason, for one that is out of
    date.
    """
    text = "**Not applied**" if reason.strip() else "**Out of date, not applied**"
    header = _header("WARNING", f"{text} {_when(run, now)}", *_reason_lines(reason))
    return _request(environment, run, header, "header")


def _request(
    environment: str,
    run: PipelineRun,
    header: CommentHeader,
    kind: CommentKind,
    plan: str = "",
) -> DesiredComment:
    state = CommentState(
        run=run.id,
        attempt=run.attempt,
        sha=run.sha,
        plan=plan,
        applied=header.applied,
    )
    return DesiredComment(
        environment=environment,
        state=state,
        text=header.text,
        kind=kind,
    )
