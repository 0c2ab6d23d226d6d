"""The options `--undo` and `--journal` of plan and apply."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from reconciler.apply.progress import ApplyReport
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.environments.selection import is_list
from reconciler.cli.files import journal_path
from reconciler.cli.session import Session
from reconciler.errors import UsageError
from reconciler.journal.journal import find_run, read_runs
from reconciler.journal.undo import REAPPLIED
from reconciler.journal.undo_request import UndoRequest
from reconciler.model.change import Applied, UnknownOutcome
from reconciler.plan.plan import Plan, PlanOptions
from reconciler.text.escape import sanitize


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options of plan and apply that undo a run."""
    parser.add_argument("--undo", metavar="RUN", help="undo this run, named as in `cxroute history`")
    parser.add_argument(
        "--journal", metavar="FILE", help="the journal with that run (default: as for `cxroute history`)"
    )


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for options that exclude each other."""
    if options.undo is None:
        return
    if options.adopt or options.keep_drift:
        raise UsageError("--undo selects its changes itself: remove --adopt and --keep-drift")
    if is_list(options):
        raise UsageError("--undo is for a run in one environment: set -e to its name")


def with_undo(session: Session, options: argparse.Namespace) -> Session:
    """Return the session with the run to undo, if any. Raises UsageError and RefusedError."""
    name, journal = session.options.undo, options.journal
    if name is None:
        if journal is not None:
            raise UsageError("--journal is the journal with the run of --undo, but --undo is not set")
        return session
    path = Path(journal) if journal else journal_path()
    recorded = read_runs(path)
    request = UndoRequest.of(find_run(recorded, name, path), recorded, session.environment, session.address, journal)
    request.refuse_running(utc_now())
    # The Environment's `prune: false` protects rules that are in no manifest, but the run created these.
    chosen = replace(session.options, prune=not getattr(options, "no_prune", False))
    return replace(session, options=chosen, undo_request=request)


def undo_hints(session: Session, plan: Plan, report: ApplyReport) -> Iterator[str]:
    """Yield the hints after an apply: whether the next apply reverts an undo, and how to undo this run."""
    for finding in plan.findings if session.undo_request else ():
        if finding.code == REAPPLIED:
            yield f"{finding.message[:1].upper()}{sanitize(finding.message[1:])}: {sanitize(finding.hint)}."
    if report.run_id and any(isinstance(outcome, Applied | UnknownOutcome) for outcome in report.outcomes):
        command_line = replace(session.command_line, options=PlanOptions(), undo=None)
        yield f"Undo: {command_line.command('plan', '--undo', report.run_id)}"
