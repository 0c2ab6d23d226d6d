"""What a comment should say, and how that goes with the comments that are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from reconciler.github.comment import State, Wanted, headed, overtaken, posted, refreshed
from reconciler.github.head import applied_head, outdated_head, planless_head, unreported_head

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime
    from typing import Any

    from reconciler.github.comment import Comment, Decision
    from reconciler.github.head import Head
    from reconciler.github.report import Report
    from reconciler.github.run import Run


class Statement(NamedTuple):
    """What is to be said of an environment, and what decides whether it is written, given the comments."""

    wanted: Wanted
    decide: Callable[[Iterable[Comment], Wanted], Decision]


def planned(report: Report, run: Run) -> Statement:
    """State a plan. One without changes is worth an edit, and no comment of its own."""
    wanted = Wanted(report.environment, "", State(run.id, run.attempt, run.sha, report.plan_id), report.text)
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
    return Statement(Wanted(environment, "", State(run.id, run.attempt, run.sha, "", head.applied), head.text), decide)
