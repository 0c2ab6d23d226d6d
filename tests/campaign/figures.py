"""The counts of a campaign: runs, requests, checks, convergence in the same run, and every broken
promise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from tests.campaign.cases import Case, CaseResult, repeated, run_case
from tests.campaign.exhaustive import is_transient, kind
from tests.campaign.scenarios import is_refused, scenario

MOST_KEPT: Final = 200
"""Maximum of violations that one batch stores; the others are counted."""

REPEATED: Final = 50
"""One case in so many is run twice (R22)."""


@dataclass(slots=True)
class Figures:
    """Sums over cases. `tried` and `converged` are by kind of fault, of single transient ones."""

    runs: Counter[str] = field(default_factory=Counter)
    requests: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    converged: Counter[str] = field(default_factory=Counter)
    broken: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[str, str, str]] = field(default_factory=list)
    """Invariant, case and message."""
    missed: list[str] = field(default_factory=list)
    """Cases of a single transient fault whose run did not succeed."""

    def add(self, part: str, result: CaseResult) -> None:
        """Add the result of a case."""
        case = result.case
        self.runs[part] += 1
        self.requests[part] += result.requests
        self.checks.update(result.counts)
        for violation in result.violations:
            self.broken[violation.invariant] += 1
            self.violations.append((violation.invariant, str(case), violation.message))
        if (
            part == "singles"
            and result.fired
            and is_transient(case)
            and not is_refused(scenario(case.scenario))
        ):
            self.tried[kind(case)] += 1
            self.converged[kind(case)] += result.same_run_converged
            if not result.same_run_converged:
                self.missed.append(str(case))

    def merge(self, other: Figures) -> None:
        """Add the sums of another batch."""
        for name in ("runs", "requests", "checks", "tried", "converged", "broken"):
            getattr(self, name).update(getattr(other, name))
        self.violations = (self.violations + other.violations)[:MOST_KEPT]
        self.missed = (self.missed + other.missed)[:MOST_KEPT]

    @property
    def convergence(self) -> float:
        """Return the share of runs with one transient fault that still converged."""
        return sum(self.converged.values()) / (sum(self.tried.values()) or 1)


def batch(part: str, cases: Iterable[Case]) -> Figures:
    """Run cases and sum them up; some run twice."""
    actual = Figures()
    for number, case in enumerate(cases):
        actual.add(part, repeated(case) if number % REPEATED == 0 else run_case(case))
    return actual
