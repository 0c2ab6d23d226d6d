"""Records one apply in the journal, and reports its progress."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from reconciler.apply.attempt import Attempt, Verdict
from reconciler.apply.progress import ApplyReport, outcomes_to_json
from reconciler.journal.journal import Journal
from reconciler.model.change import Change, Create, Failed, PlanStep, Skipped, is_copy_removal
from reconciler.plan.document import change_to_json, plan_id
from reconciler.plan.plan import Plan

_WORDS: Final = {
    Verdict.DONE: "acknowledged",
    Verdict.RETRY: "unclear",
    Verdict.ALTERED: "kept otherwise",
    Verdict.CONFLICT: "changed meanwhile",
    Verdict.FAILED: "failed",
    Verdict.ABORT: "failed",
}


Progress = Callable[[str, int, int], None]  # reports that so many of the named things are done, of how many


def run_name(plan: Plan, now: datetime) -> str:
    """Return the name of a run that begins now."""
    return f"{now:%Y-%m-%dT%H%M%S}-{plan.environment}-{plan_id(plan)[:4]}"


@dataclass(frozen=True, slots=True)
class Recorder:
    """The journal of one run; `apply` calls it before and after each write."""

    plan: Plan
    journal: Journal
    progress: Progress
    done: set[str] = field(default_factory=set)

    @classmethod
    def begin(cls, journal: Journal, plan: Plan, *, who: str, reason: str, tenant: str, progress: Progress) -> Recorder:
        """Record who starts the run, and why; `tenant` is the address of the tenant, empty for the sandbox."""
        journal.write_entry(
            "start",
            environment=plan.environment,
            owner=plan.owner,
            who=who,
            reason=reason,
            planId=plan_id(plan),
            allowed={result.name: result.allowed for result in plan.guards if result.allowed},
            tenant=tenant,
            undo=plan.options.undo,
            changes=sum(not is_copy_removal(change) for change in plan.changes),
            process={"host": socket.gethostname(), "pid": os.getpid()},
        )
        return cls(plan, journal, progress)

    def intend(self, step: PlanStep) -> None:
        """Record what is about to be written, before and after."""
        form = change_to_json(self.plan, step.change)
        fields = {name: form[name] for name in ("address", "action", "id", "cause", "before", "after")}
        self.journal.write_entry("intend", **fields, step=_kind(step))

    def tried(self, step: PlanStep, result: Attempt) -> None:
        """Record the result of the call."""
        fields = {"status": _WORDS[result.verdict], "error": result.error, "step": _kind(step)}
        fields |= {"id": result.id} if result.id else {}
        self.journal.write_entry("tried", **{**_change_fields(step.change), **fields})
        if result.verdict is Verdict.DONE and _kind(step) == "whole":
            self.done.add(f"{step.change.action} {step.change.address}")
        self.progress("changes", len(self.done), len(self.plan.changes))

    def wave(self) -> None:
        """Make it last: once for all that went on at the same time."""
        self.journal.sync()

    def end(self, report: ApplyReport) -> None:
        """Record the outcome of every change, and close."""
        for outcome, fields in zip(report.outcomes, outcomes_to_json(report), strict=True):
            touched = {"touched": outcome.left_partial} if isinstance(outcome, Failed | Skipped) else {}
            self.journal.write_entry("outcome", **{**_change_fields(outcome.change), **touched, **fields})
        self._close(converged=report.converged, interrupted=report.interrupted, error=report.error)

    @property
    def name(self) -> str:
        """Return under which name the journal has the run; none where it could not be written."""
        return "" if self.journal.is_broken else self.journal.run_id

    def given_up(self, why: str) -> None:
        """Record why nothing was written, and close."""
        self._close(converged=False, interrupted=False, error=why, written=False)

    def _close(self, **end: object) -> None:
        self.journal.write_entry("end", **end)
        self.journal.close()


def _kind(step: PlanStep) -> str:
    return "drop" if is_copy_removal(step.change) else step.kind


def _change_fields(change: Change) -> dict[str, Any]:
    rule_id = {} if isinstance(change, Create) else {"id": change.live.id}
    return {"address": str(change.address), "action": change.action, "cause": change.cause, **rule_id}
