"""Writes one apply down: into the journal, and as it goes on to the terminal."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from reconciler.apply.attempt import Attempt, Verdict
from reconciler.apply.report import ApplyReport, outcomes_to_json
from reconciler.cli.files import JOURNAL, kept_out_of_git
from reconciler.journal.journal import Journal
from reconciler.model.change import Change, Create, Failed, PlanStep, Skipped, is_copy_removal
from reconciler.plan.document import change_to_json, plan_id
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.cli.output import Bar
    from reconciler.cli.session import Session
    from reconciler.plan.plan import Plan


_WORDS: Final = {
    Verdict.DONE: "acknowledged",
    Verdict.RETRY: "unclear",
    Verdict.ALTERED: "kept otherwise",
    Verdict.CONFLICT: "changed meanwhile",
    Verdict.FAILED: "failed",
    Verdict.ABORT: "failed",
}


def journal_path() -> Path:
    """Return where the journal is: $CXROUTE_JOURNAL, else .cxroute/journal.jsonl."""
    return Path(os.environ.get("CXROUTE_JOURNAL") or JOURNAL)


def tenant_of(session: Session) -> str:
    """Return the address of the tenant whose rules a run is about; the sandbox has none."""
    return "" if session.simulated else session.environment.address


@dataclass(frozen=True, slots=True)
class Recorder:
    """The journal of one run; `apply` calls it before and after each write."""

    plan: Plan
    journal: Journal
    bar: Bar
    done: set[str]

    @classmethod
    def begin(cls, session: Session, made: Plan, who: str, reason: str, lifted: Mapping[str, str]) -> Recorder:
        """Name the run and write down who begins what."""
        name = plan_id(made)
        run = f"{session.clock():%Y-%m-%dT%H%M%S}-{made.environment}-{name[:4]}"
        journal = Journal(kept_out_of_git(journal_path()), run, session.clock, session.output.warn)
        journal.redact = REDACTOR.redact_json
        journal.write_entry(
            "start",
            environment=made.environment,
            owner=made.owner,
            who=who,
            reason=reason,
            planId=name,
            allowed=dict(lifted),
            tenant=tenant_of(session),
            undo=made.options.undo,
            changes=sum(not is_copy_removal(change) for change in made.changes),
            process={"host": socket.gethostname(), "pid": os.getpid()},
        )
        return cls(made, journal, session.bar, set())

    def intend(self, step: PlanStep) -> None:
        """Record what is about to be written, before and after."""
        form = change_to_json(self.plan, step.change)
        fields = {name: form[name] for name in ("address", "action", "id", "cause", "before", "after")}
        self.journal.write_entry("intend", **fields, step=_kind(step))

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record what the server said."""
        said = {"status": _WORDS[result.verdict], "error": result.error, "step": _kind(step)}
        made = {"id": result.id} if result.id else {}
        self.journal.write_entry("tried", **{**_about(step.change), **said, **made})
        if result.verdict is Verdict.DONE and _kind(step) == "whole":
            self.done.add(f"{step.change.action} {step.change.address}")
        self.bar.step("changes", len(self.done), len(self.plan.changes))

    def wave(self) -> None:
        """Make it last: once for all that went on at the same time."""
        self.journal.sync()

    def end(self, report: ApplyReport) -> None:
        """Record what a last read showed of every change, and close."""
        for outcome, form in zip(report.outcomes, outcomes_to_json(report), strict=True):
            touched = {"touched": outcome.left_partial} if isinstance(outcome, Failed | Skipped) else {}
            self.journal.write_entry("outcome", **{**_about(outcome.change), **touched, **form})
        self._close(converged=report.converged, interrupted=report.interrupted, error=report.error)

    @property
    def name(self) -> str:
        """Return under which name the journal has the run; none where it could not be written."""
        return "" if self.journal.is_broken else self.journal.run_id

    def given_up(self, why: str) -> None:
        """Record why nothing was written, and close."""
        self._close(converged=False, interrupted=False, error=why, written=False)

    def _close(self, **end: object) -> None:
        self.bar.end()
        self.journal.write_entry("end", **end)
        self.journal.close()


def _kind(step: PlanStep) -> str:
    return "drop" if is_copy_removal(step.change) else step.kind


def _about(change: Change) -> dict[str, Any]:
    known = {} if isinstance(change, Create) else {"id": change.live.id}
    return {"address": str(change.address), "action": change.action, "cause": change.cause, **known}
