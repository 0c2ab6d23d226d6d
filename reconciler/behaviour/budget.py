"""The bound of work of one analysis, counted in elementary comparisons: the same on every machine.

Whatever can grow faster than the number of rules draws from the budget, so that an analysis ends in bounded time. What
is left out is said: an UndecidedError means that nothing is known.
"""

from __future__ import annotations

from typing import Final

WORK: Final = 40_000_000
"""For one question, about ten seconds. Ten thousand ordinary rules need 1,000,000."""
WORK_OF_A_RULE: Final = 500
"""What each rule of a difference adds to that."""
WORK_OF_ONE_SEARCH: Final = 2_000_000
_WIDE: Final = 4_096


class UndecidedError(Exception):
    """A search was given up at its budget: nothing is known."""


class Budget:
    """How many comparisons may still be made: `left` in all, `most` in one search."""

    def __init__(self, left: int, most: int) -> None:
        self.left, self.most = left, most
        self.width = 1
        """What one comparison costs: those of very long masks cost more."""

    def widen(self, places: int) -> None:
        """Let comparisons cost what they do with masks of so many places."""
        self.width = max(self.width, 1 + places // _WIDE)

    def charge(self, comparisons: int) -> None:
        """Count comparisons that are made in any case."""
        self.left -= comparisons * self.width

    def spend(self, comparisons: int = 1) -> None:
        """Count comparisons that are about to be made. Raises UndecidedError where that is more than is left."""
        if self.left >= 0:
            self.charge(comparisons)
        if self.left < 0:
            raise UndecidedError

    def exhausted(self) -> bool:
        """Return whether nothing is left."""
        return self.left < 0
