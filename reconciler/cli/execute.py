"""Executes a plan and records each change; binds an apply to a saved plan, or to a run to undo."""

import json
import re
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from reconciler.cli.advice import environment_hint
from reconciler.cli.base import NO_BASE
from reconciler.cli.command_line import user_name
from reconciler.cli.environments import is_list
from reconciler.cli.hooks import run_journal
from reconciler.cli.options import ChangeOptions
from reconciler.cli.plan_files import LARGEST_PLAN
from reconciler.cli.session import Cancellation, Session
from reconciler.core.apply.progress import ApplyReport
from reconciler.core.errors import CxrouteError, RefusedError, UsageError
from reconciler.core.model.change import Applied, UnknownOutcome
from reconciler.core.model.rule import Address
from reconciler.core.pipeline import Planner, apply_plan
from reconciler.core.plan.review import ReviewedPlan, read_saved_plan
from reconciler.core.plan.stages import Plan, PlanOptions, Scheduled
from reconciler.core.target import LiveSource
from reconciler.core.text.files import read_text
from reconciler.core.traffic.sample import TrafficSample, load_traffic

_EXTRA_SECONDS: Final = 900.0  # a run's time in addition to its calls
_CALLS: Final = 8  # the most calls that one change needs: four reads and four writes
_JOURNAL_ALONE: Final = (
    "--journal is the journal with the run of --undo, but --undo is not set"
)
# the start of a file with several plans
_SEVERAL: Final = re.compile(r'\s*\{\s*"environments"\s*:')


def last_runs(session: Session) -> Mapping[Address, str]:
    """Return the last run of each rule; none, with a warning, if the journal cannot be read."""
    try:
        return run_journal().last_runs(session.environment)
    except UsageError as error:
        session.output.warn(str(error))
        return {}


async def execute_plan(
    session: Session,
    client: LiveSource,
    planner: Planner,
    plan: Plan,
    stop: Cancellation,
    *,
    reason: str,
) -> ApplyReport:
    """Make the changes.

    Raises RefusedError and ApiError if nothing was written. `reason` is for the journal.
    """
    stop.writing = True
    client.limit_time(_longest_time(session, plan))
    user = user_name()
    progress = session.progress
    recorder = run_journal().begin(session, plan, who=user, reason=reason)
    try:
        report = await apply_plan(
            plan,
            planner,
            client,
            recorder,
            lambda: stop.requested,
            session.run_blocking,
        )
    except CxrouteError as error:
        progress.end()
        recorder.given_up(str(error))
        raise
    progress.end()
    recorder.end(report)
    return replace(report, run_id=recorder.name, who=user)


def _longest_time(session: Session, plan: Scheduled) -> float:
    """Return the seconds that the calls of a plan may take at most."""
    api = session.environment.api
    page_size = api.page_size
    if not page_size:
        page_size = session.manifests.profile(session.environment).page_size
    pages = 2 + len(plan.live.rules) / page_size
    # at most: everything is read before each step
    reads = len(plan.steps) + 1
    calls = _CALLS * len(plan.changes) + pages * reads
    return _EXTRA_SECONDS + calls / api.requests_per_second


def read_saved_plans(
    file: str, options: ChangeOptions
) -> ReviewedPlan | dict[str, ReviewedPlan | str]:
    """Return the saved plan, or plans by environment, with an error's text for a failed one.

    Raises UsageError.
    """
    path = Path(file)
    try:
        text = read_text(path, LARGEST_PLAN)
    except OSError as error:
        hint = environment_hint(file, options.manifests)
        raise UsageError(f"cannot read {path}: {error.strerror}{hint}") from error
    if _SEVERAL.match(text):
        return _read_list(text, path.name)
    reviewed = read_saved_plan(text, path.name)
    if options.all or options.shard:
        raise UsageError(
            f"{path.name} is a plan for {reviewed.environment} only: remove --all and --shard"
        )
    if options.environment and options.environment != reviewed.environment:
        raise UsageError(
            f"{path.name} is a plan for {reviewed.environment}, not for {options.environment}"
        )
    return reviewed


def _read_list(text: str, name: str) -> dict[str, ReviewedPlan | str]:
    plans: dict[str, ReviewedPlan | str] = {}
    try:
        forms = json.loads(text)["environments"]
        for form in forms:
            environment = str(form["environment"])
            error = form["error"]["message"] if "error" in form else None
            if error is None:
                plans[environment] = read_saved_plan(json.dumps(form), name)
            else:
                plans[environment] = str(error)
    except (ValueError, RecursionError, LookupError, TypeError):
        raise UsageError(
            f"{name} does not contain plans: create them with `cxroute plan --all --out {name}`"
        ) from None
    if len(plans) < len(forms) or not plans:
        raise UsageError(
            f"{name} does not contain one plan for each of its environments"
        )
    return plans


def bind_to_review(session: Session, reviewed: ReviewedPlan) -> Session:
    """Return the session with a reviewed plan's options and traffic sample.

    Raises RefusedError if these changed.
    """
    if session.environment.owner != reviewed.owner:
        owners = (
            f"{reviewed.owner!r}, and {reviewed.environment} is now owned by "
            f"{session.environment.owner!r}"
        )
        raise RefusedError(f"the plan was made for owner {owners}. Run `plan` again")
    sample = _reviewed_sample(session, reviewed)
    base = session.manifests.base
    if base and base.problem and not base.is_default:
        raise RefusedError(
            f"who must consent is not known: {base.name} cannot be read: {base.problem}"
        )
    options = replace(reviewed.options, prune=session.options.prune)
    # of this command line, which the author of the plan cannot choose
    if session.options.base is not None:
        options = replace(
            options,
            base=session.options.base,
            base_fallback=session.options.base_fallback,
        )
    instant = session.manifests.instant
    if instant is not None:
        reviewed = reviewed.at(instant)
    return replace(session, options=options, sample=sample, reviewed=reviewed)


def _reviewed_sample(session: Session, reviewed: ReviewedPlan) -> TrafficSample | None:
    """Return the traffic sample of the plan. Raises RefusedError if it changed."""
    sample = session.sample
    if reviewed.traffic is None:
        return sample
    path = str(reviewed.traffic["file"])
    digest = reviewed.traffic["digest"]
    if sample is None or sample.digest != digest:
        environment = session.environment
        sample = load_traffic(path, environment.attributes, environment.max_sample_age)
    if sample.digest != digest:
        raise RefusedError(
            f"the traffic sample {path} changed since the plan was made. Run `plan` again"
        )
    return sample


def add_change_options(parser: ArgumentParser) -> None:
    """Add the options of plan and apply that name an earlier endpoint, and a run to undo."""
    base = (
        "the manifests before the change, a directory or a git revision: for a changed fallback, "
        "and for owners"
    )
    base += (
        f" (default: the merge base with the default branch; {NO_BASE}: no comparison)"
    )
    parser.add_argument("--base", metavar="DIR|REV", help=base)
    parser.add_argument(
        "--undo", metavar="RUN", help="undo this run, named as in `cxroute history`"
    )
    journal = "the journal with that run (default: as for `cxroute history`)"
    parser.add_argument("--journal", metavar="FILE", help=journal)


def check_undo_options(options: ChangeOptions) -> None:
    """Raise UsageError for options that exclude each other."""
    if options.undo is None:
        if options.journal is not None and not options.plan:
            raise UsageError(_JOURNAL_ALONE)
        return
    if options.adopt or options.keep_drift:
        raise UsageError(
            "--undo selects its changes itself: remove --adopt and --keep-drift"
        )
    if options.at is not None:
        raise UsageError("--undo undoes a run in the rules of now: remove --at")
    if is_list(options):
        raise UsageError("--undo is for a run in one environment: set -e to its name")


def with_undo(session: Session, options: ChangeOptions) -> Session:
    """Return the session with the run to undo, if any. Raises UsageError and RefusedError."""
    name = session.options.undo
    journal = options.journal
    if name is None:
        if journal is not None:
            raise UsageError(_JOURNAL_ALONE)
        return session
    request = run_journal().find_undo(session, name, journal)
    # The Environment's `prune: false` protects rules that are in no manifest, but the run created
    # these.
    chosen = replace(session.options, prune=not options.no_prune)
    return replace(session, options=chosen, undo_request=request)


def undo_hints(session: Session, plan: Plan, report: ApplyReport) -> Iterator[str]:
    """Yield the hints after an apply: whether the next apply reverts an undo, and how to undo this
    run.
    """
    if session.undo_request:
        yield from session.undo_request.hints(plan)
    has_written = any(
        isinstance(outcome, Applied | UnknownOutcome) for outcome in report.outcomes
    )
    # the first settings are not undone: there were none before
    changes_settings = report.has_saved_settings and plan.live.settings is not None
    if report.run_id and (has_written or changes_settings):
        command_line = replace(
            session.command_line, options=PlanOptions(), undo=None, base=None
        )
        yield f"Undo: {command_line.command('plan', '--undo', report.run_id)}"
