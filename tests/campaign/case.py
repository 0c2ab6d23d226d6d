"""A case of the campaign: a line of text that reproduces a run, first with faults and then without;
and its result.

    SCENARIO | PROFILE | SEED | FAULTS | SCHEDULE | DROPPED

FAULTS are the simulator's (reconciler/features/practice/simulator/faults) and those of `faults.py`, joined by commas;
SCHEDULE is of `schedules.py`; DROPPED are ids and addresses that the scenario omits. The last
fields may be omitted.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Self

from tests.campaign.oracle import Violation
from tests.campaign.scenario import Scenario
from tests.campaign.scenarios import scenario, without
from tests.campaign.world import ApplierResult


@dataclass(frozen=True, slots=True)
class Case:
    """The parameters of a run; `str` and `parse` convert them to a line and back."""

    scenario: str
    profile: str
    faults: str = ""
    seed: int = 1
    schedule: str = ""
    dropped: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the line."""
        parts = [
            self.scenario,
            self.profile,
            str(self.seed),
            self.faults,
            self.schedule,
            " ".join(self.dropped),
        ]
        return " | ".join(parts).rstrip(" |")

    @classmethod
    def parse(cls, line: str) -> Self:
        """Read a line. Raises ValueError."""
        parts = [part.strip() for part in line.split("|")]
        name, profile, seed, faults, schedule, dropped = [*parts, "", "", ""][:6]
        return cls(name, profile, faults, int(seed), schedule, tuple(dropped.split()))

    def built(self) -> Scenario:
        """Return its scenario, without the parts that the case omits."""
        return without(scenario(self.scenario), self.dropped)


@dataclass(slots=True)
class CaseResult:
    """The result of a case."""

    case: Case
    violations: list[Violation]
    counts: Counter[str]
    ended: list[ApplierResult | None]
    """The ends of the first phase's appliers; None for a killed one."""
    requests: int
    fired: int
    """Return how many faults and accidents occurred."""
    prints: list[tuple[object, ...]] = field(default_factory=list, repr=False)

    @property
    def same_run_converged(self) -> bool:
        """Return whether the first applier succeeded in spite of the faults."""
        return self.ended[0] is not None and self.ended[0].exit_code == 0

    def broken(self) -> frozenset[str]:
        """Return the broken promises."""
        return frozenset(violation.invariant for violation in self.violations)
