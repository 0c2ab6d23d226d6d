"""An oracle's report: its checks, and the violations that they found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise of invariants "The reconciler"."""

    invariant: str
    message: str


@dataclass(slots=True)
class Verdicts:
    """The checks made so far, by invariant, and the violations among them."""

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)

    def check(self, invariant: str, holds: object, message: str) -> None:
        """Count a check; if it fails, record it with the details that are needed to find it."""
        self.counts[invariant] += 1
        if not holds:
            self.violations.append(Violation(invariant, message))
