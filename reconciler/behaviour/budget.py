"""The bound of work of one analysis, counted in elementary comparisons: the same on every machine.

Whatever can grow faster than the number of rules draws from the budget, so that an analysis ends in bounded time. What
is left out is said: an UndecidedError means that nothing is known.
"""

from __future__ import annotations

from typing import Final

DEFAULT_WORK: Final = 40_000_000
"""For one question, about ten seconds. Ten thousand ordinary rules need 1,000,000."""
WORK_PER_RULE: Final = 500
"""What each rule of a difference adds to that."""
WORK_PER_SEARCH: Final = 2_000_000
_WIDE_MASK_BITS: Final = 4_096


class UndecidedError(Exception):
    """A search was given up at its budget: nothing is known."""


class WorkBudget:
    """How many comparisons may still be made: `left` in all, `most` in one search."""

    def __init__(self, remaining: int, search_limit: int) -> None:
        self.remaining, self.search_limit = remaining, search_limit
        self.cost_per_comparison = 1
        """What one comparison costs: those of very long masks cost more."""

    def widen(self, mask_bits: int) -> None:
        """Let comparisons cost what they do with masks of so many places."""
        self.cost_per_comparison = max(self.cost_per_comparison, 1 + mask_bits // _WIDE_MASK_BITS)

    def charge(self, comparisons: int) -> None:
        """Count comparisons that are made in any case."""
        self.remaining -= comparisons * self.cost_per_comparison

    def spend(self, comparisons: int = 1) -> None:
        """Count comparisons that are about to be made. Raises UndecidedError where that is more than is left."""
        if self.remaining >= 0:
            self.charge(comparisons)
        if self.remaining < 0:
            raise UndecidedError

    def is_exhausted(self) -> bool:
        """Return whether nothing is left."""
        return self.remaining < 0
