"""The hook `journal`: records runs in the journal of an Environment, and finds recorded ones."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from reconciler.cli.command_line import utc_now
from reconciler.cli.git_manifests import committed_manifests
from reconciler.cli.hooks import FirstRun, RunJournal
from reconciler.cli.session import Session
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.rule import Address
from reconciler.core.plan.stages import Plan
from reconciler.core.text.json_values import as_text
from reconciler.core.text.redact import REDACTOR
from reconciler.features.journal.history import find_first_run, find_last_runs
from reconciler.features.journal.journal import (
    Journal,
    Recorder,
    RunFacts,
    find_run,
    run_name,
)
from reconciler.features.journal.place_option import (
    journal_place,
    prepared_place,
    remote_advice,
)
from reconciler.features.journal.undo_request import UndoRequest


class _JournalHook:
    """Implements `RunJournal`."""

    def begin(self, session: Session, plan: Plan, *, who: str, reason: str) -> Recorder:
        """Record the start of a run, and return its recorder."""
        place = prepared_place(session.environment)
        name = place.reserve(run_name(plan, utc_now()))
        journal = Journal(
            place.sink(name),
            name,
            utc_now,
            session.output.warn,
            REDACTOR.redact_json,
        )
        facts = RunFacts(
            who=who,
            reason=reason,
            tenant=session.address,
            commit=_planned_commit(session, plan),
        )
        return Recorder.begin(
            journal, plan, facts=facts, progress=session.progress.step
        )

    def find_undo(self, session: Session, run: str, journal: str | None) -> UndoRequest:
        """Return the request to undo a run. Raises UsageError and RefusedError."""
        place = journal_place(journal, session.environment)
        recorded = place.read()
        recorded_run = find_run(recorded, run, place.name, remote_advice([place]))
        request = UndoRequest.of(
            recorded_run,
            recorded,
            session.environment,
            session.address,
            journal,
        )
        request.refuse_running(utc_now())
        return request

    def last_runs(self, environment: Environment) -> Mapping[Address, str]:
        """Return the last run of each rule. Raises UsageError."""
        recorded = journal_place(None, environment).read()
        return find_last_runs(recorded, environment.name, environment.owner)

    def first_run(
        self, environment: Environment, commits: Collection[str]
    ) -> FirstRun | None:
        """Return the first run that made one of the commits live. Raises UsageError."""
        recorded = journal_place(None, environment).read()
        run = find_first_run(recorded, environment.name, environment.owner, commits)
        if run is None:
            return None
        at = as_text(run.start.get("at"))
        return FirstRun(run.id, at, as_text(run.start.get("who")))

    def run_names(self) -> Sequence[str]:
        """Return the names of the runs in the journal here. Raises UsageError."""
        return [run.id for run in journal_place(None).read()]


def _planned_commit(session: Session, plan: Plan) -> str:
    """Return the commit whose manifests a plan makes live; empty for a part of them, or an
    undo.
    """
    if plan.options.is_partial or plan.options.undo is not None:
        return ""
    return committed_manifests(session.directory)


JOURNAL: Final[RunJournal] = _JournalHook()
