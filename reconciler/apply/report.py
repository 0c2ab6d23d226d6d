"""The outcome of a plan, as a value and as JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.model.change import Applied, Outcome
from reconciler.plan.plan import Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyReport:
    """What became of a plan. `converged`: a read after the last write found nothing left to do."""

    outcomes: tuple[Outcome, ...]
    converged: bool
    interrupted: bool = False
    error: str = ""  # why the run ended early, if it did
    remaining: Plan | None = None  # a fresh plan from the last read
    first_write_altered: bool = False
    """The tenant did not keep the run's first write: another run of the same plan would end the same way."""
    run_id: str = ""  # under which name the journal has it, where it was written


def outcomes_to_json(report: ApplyReport) -> list[dict[str, Any]]:
    """Return the outcomes in the form of plan-json "Apply"."""
    return [
        {
            "address": str(outcome.change.address),
            "action": outcome.change.action,
            "status": outcome.status,
            "error": None if isinstance(outcome, Applied) else outcome.error,
            "attempts": outcome.attempts,
        }
        for outcome in report.outcomes
    ]
