"""Makes a plan's changes with a client that writes, and writes each of them down: for `apply` and for `watch`."""

from __future__ import annotations

import asyncio
import getpass
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.apply.admission import matches_intent, matches_review
from reconciler.apply.loop import apply_plan
from reconciler.apply.settings import ApplySettings
from reconciler.cli.recorder import Recorder
from reconciler.errors import CxrouteError
from reconciler.plan.document import ReviewedPlan, unreviewed_impact
from reconciler.plan.schedule import predict_impact

if TYPE_CHECKING:
    from reconciler.apply.report import ApplyReport
    from reconciler.cli.session import Planner, Session
    from reconciler.cli.signals import Stop
    from reconciler.cxone.client import WritingClient
    from reconciler.plan.plan import Plan


_PATIENCE = 900.0
"""Seconds that a run may take beside the calls that its changes need."""
_CALLS = 8
"""Calls that one change may need at the worst: read and written, four times."""


async def carry_out(  # noqa: PLR0913 - whatever a write depends on
    session: Session,
    client: WritingClient,
    planner: Planner,
    made: Plan,
    stop: Stop,
    *,
    reason: str = "",
    reviewed: ReviewedPlan | None = None,
) -> ApplyReport:
    """Make the changes; from here on a signal ends the run only between two writes.

    Raises RefusedError and ApiError where nothing was written. `reason` is for the journal.
    """
    stop.writing = True
    client.rate_limiter.restart_time_limit(
        _PATIENCE + _calls(session, made) / session.environment.api.requests_per_second
    )
    lifted = {result.name: result.allowed for result in made.guards if result.allowed}
    recorder = Recorder.begin(session, made, who(), reason, lifted)
    conduct = ApplySettings(
        accepts=matches_review if reviewed else matches_intent,
        sleep=asyncio.sleep,
        should_stop=lambda: stop.requested,
        concurrency=session.environment.api.concurrency,
        lag=session.environment.api.list_lag_seconds,
        names_unique=session.environment.api.names_unique,
        assess=planner.guarded,
        is_within_review=(lambda plan: not unreviewed_impact(predict_impact(plan), reviewed)) if reviewed else None,
        freeze_reason=planner.frozen,
        run_blocking=session.thinking,
    )
    try:
        report = await apply_plan(made, client, planner.bare, recorder, conduct)
    except CxrouteError as error:
        recorder.given_up(str(error))
        session.output.note("Nothing was written.")
        raise
    recorder.end(report)
    return replace(report, run_id=recorder.name)


def _calls(session: Session, made: Plan) -> float:
    """Return how many calls the run may need at the worst: for its changes, and to read all before each step."""
    size = session.environment.api.page_size or session.manifests.profile(session.environment).page_size
    pages = 2 + len(made.live.rules) / size
    return _CALLS * len(made.changes) + pages * (len(made.steps) + 1)


def who() -> str:
    """Return who runs this: the actor of the workflow, else the user of this machine."""
    try:
        return os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
