"""Makes a plan's changes with a client that writes, and writes each of them down: for `apply` and for `watch`."""

from __future__ import annotations

import getpass
import os
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.apply.progress import ApplyReport
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.files import ignored_by_git, journal_path
from reconciler.cli.session import Session
from reconciler.cli.signals import Cancellation
from reconciler.errors import CxrouteError
from reconciler.journal.journal import Journal
from reconciler.journal.recorder import Recorder, run_name
from reconciler.pipeline import Planner, apply_plan
from reconciler.plan.plan import Plan
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    from reconciler.cxone.client import WritingClient

_PATIENCE = 900.0  # seconds that a run may take beside the calls that its changes need
_CALLS = 8  # calls that one change may need at the worst: read and written, four times


async def execute_plan(
    session: Session, client: WritingClient, planner: Planner, plan: Plan, stop: Cancellation, *, reason: str = ""
) -> ApplyReport:
    """Make the changes. Raises RefusedError and ApiError where nothing was written. `reason` is for the journal."""
    stop.writing = True
    api = session.environment.api
    pages = 2 + len(plan.live.rules) / (api.page_size or session.manifests.profile(session.environment).page_size)
    calls = _CALLS * len(plan.changes) + pages * (len(plan.steps) + 1)  # at the worst: all is read before each step
    client.rate_limiter.restart_time_limit(_PATIENCE + calls / api.requests_per_second)
    try:
        user = os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    path, name = ignored_by_git(journal_path()), run_name(plan, utc_now())
    journal = Journal(path, name, utc_now, session.output.warn, REDACTOR.redact_json)
    progress, address = session.terminal.progress.step, session.address
    recorder = Recorder.begin(journal, plan, who=user, reason=reason, tenant=address, progress=progress)
    run_blocking = session.terminal.run_blocking
    try:
        report = await apply_plan(plan, planner, client, recorder, lambda: stop.requested, run_blocking)
    except CxrouteError as error:
        session.terminal.progress.end()
        recorder.given_up(str(error))
        session.output.note("Nothing was written.")
        raise
    session.terminal.progress.end()
    recorder.end(report)
    return replace(report, run_id=recorder.name)
