"""Executes a plan and records each change, for `apply` and `watch`; binds an apply to a saved plan."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.apply.progress import ApplyReport
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.files import ignored_by_git, journal_path
from reconciler.cli.session import Session
from reconciler.cli.signals import Cancellation
from reconciler.errors import CxrouteError, RefusedError, UsageError
from reconciler.journal.journal import Journal, Recorder, run_name
from reconciler.pipeline import Planner, apply_plan
from reconciler.plan.document import ReviewedPlan, read_saved_plan
from reconciler.plan.plan import Plan
from reconciler.text.files import MIB, read_text
from reconciler.text.redact import REDACTOR
from reconciler.traffic.sample import load_traffic

if TYPE_CHECKING:
    from reconciler.cxone.client import WritingClient

_EXTRA_SECONDS: Final = 900.0  # a run's time in addition to its calls
_CALLS: Final = 8  # the most calls that one change needs: four reads and four writes
_LARGEST: Final = 128 * MIB
# The start of a file with the plans of several environments.
_SEVERAL: Final = re.compile(r'\s*\{\s*"environments"\s*:')


async def execute_plan(
    session: Session, client: WritingClient, planner: Planner, plan: Plan, stop: Cancellation, *, reason: str = ""
) -> ApplyReport:
    """Make the changes. Raises RefusedError and ApiError if nothing was written. `reason` is for the journal."""
    stop.writing = True
    api = session.environment.api
    pages = 2 + len(plan.live.rules) / (api.page_size or session.manifests.profile(session.environment).page_size)
    calls = _CALLS * len(plan.changes) + pages * (len(plan.steps) + 1)  # at most: everything is read before each step
    client.rate_limiter.restart_time_limit(_EXTRA_SECONDS + calls / api.requests_per_second)
    try:
        user = os.environ.get("GITHUB_ACTOR") or getpass.getuser()
    except (KeyError, OSError):
        user = "unknown"
    path, name = ignored_by_git(journal_path()), run_name(plan, utc_now())
    journal = Journal(path, name, utc_now, session.output.warn, REDACTOR.redact_json)
    terminal, address = session.terminal, session.address
    recorder = Recorder.begin(journal, plan, who=user, reason=reason, tenant=address, progress=terminal.progress.step)
    try:
        report = await apply_plan(plan, planner, client, recorder, lambda: stop.requested, terminal.run_blocking)
    except CxrouteError as error:
        terminal.progress.end()
        recorder.given_up(str(error))
        session.output.note("Nothing was written.")
        raise
    terminal.progress.end()
    recorder.end(report)
    return replace(report, run_id=recorder.name)


def read_saved_plans(options: argparse.Namespace) -> ReviewedPlan | dict[str, ReviewedPlan | str]:
    """Return the saved plan, or plans by environment, with an error's text for a failed one. Raises UsageError."""
    path = Path(options.plan)
    try:
        text = read_text(path, _LARGEST)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if _SEVERAL.match(text):
        return _plans(text, path.name)
    reviewed = read_saved_plan(text, path.name)
    if options.all or options.shard:
        raise UsageError(f"{path.name} is a plan for {reviewed.environment} only: remove --all and --shard")
    if options.environment and options.environment != reviewed.environment:
        raise UsageError(f"{path.name} is a plan for {reviewed.environment}, not for {options.environment}")
    return reviewed


def _plans(text: str, name: str) -> dict[str, ReviewedPlan | str]:
    try:
        forms = json.loads(text)["environments"]
        plans = {str(form["environment"]): _read_plan(form, name) for form in forms}
    except (ValueError, RecursionError, LookupError, TypeError):
        raise UsageError(f"{name} does not contain plans: create them with `cxroute plan --all --out {name}`") from None
    if len(plans) < len(forms) or not plans:
        raise UsageError(f"{name} does not contain one plan for each of its environments")
    return plans


def _read_plan(form: Any, name: str) -> ReviewedPlan | str:  # noqa: ANN401 - any JSON
    return str(form["error"]["message"]) if "error" in form else read_saved_plan(json.dumps(form), name)


def bind_to_review(session: Session, reviewed: ReviewedPlan) -> Session:
    """Return the session with a reviewed plan's options and traffic sample. Raises RefusedError if these changed."""
    if session.environment.owner != reviewed.owner:
        owners = f"{reviewed.owner!r}, and {reviewed.environment} is now owned by {session.environment.owner!r}"
        raise RefusedError(f"the plan was made for owner {owners}. Run `plan` again")
    sample = session.sample
    if reviewed.traffic is not None:
        path, digest = str(reviewed.traffic["file"]), reviewed.traffic["digest"]
        if sample is None or sample.digest != digest:
            sample = load_traffic(path, session.environment.attributes)
        if sample.digest != digest:
            raise RefusedError(f"the traffic sample {path} changed since the plan was made. Run `plan` again")
    return replace(session, options=replace(reviewed.options, prune=session.options.prune), sample=sample)
