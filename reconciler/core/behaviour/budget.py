"""The work budget of one analysis, in comparisons: every analysis is bounded, with equal results on
every machine.
"""

from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

# for one question, about ten seconds. Ten thousand ordinary rules need 1,000,000
DEFAULT_WORK: Final = 40_000_000
WORK_PER_RULE: Final = 500  # the further work for each rule of a difference
WORK_PER_SEARCH: Final = 2_000_000
_WIDE_MASK_BITS: Final = 4_096
_MAX_PARTS: Final = 8  # into which the work for several questions is divided

ItemT = TypeVar("ItemT")


class UndecidedError(Exception):
    """The budget ended a search, so its result is unknown."""


class WorkBudget:
    """The comparisons that may still be made: `remaining` in total (spent below 0), `search_limit`
    in one search.
    """

    def __init__(self, remaining: int, search_limit: int) -> None:
        self.remaining = remaining
        self.search_limit = search_limit
        self.cost_per_comparison = 1

    def widen(self, mask_bits: int) -> None:
        """Raise the cost of a comparison to that of masks with so many bits."""
        self.cost_per_comparison = max(
            self.cost_per_comparison, 1 + mask_bits // _WIDE_MASK_BITS
        )

    def charge(self, comparisons: int) -> None:
        """Count comparisons that are made in any case."""
        self.remaining -= comparisons * self.cost_per_comparison

    def spend(self, comparisons: int = 1) -> None:
        """Count comparisons about to be made.

        Raises UndecidedError where they exceed the budget.
        """
        if self.remaining >= 0:
            self.charge(comparisons)
        if self.remaining < 0:
            raise UndecidedError

    def share(self, items: Sequence[ItemT], work: int) -> Iterator[ItemT]:
        """Yield the items, each with a part of the comparisons that the earlier ones leave."""
        for number, item in enumerate(items):
            share = work // min(len(items) - number, _MAX_PARTS)
            self.remaining = share
            yield item
            work -= share - self.remaining
