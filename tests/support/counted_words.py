"""How many words people read about a change, and the goals for that."""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Goal:
    """Words: the median and the 90th percentile."""

    median: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:,.0f} / {self.high:,.0f}"

    def is_met_by(self, actual: Goal) -> bool:
        """Return whether there are no more words."""
        return actual.median <= self.median and actual.high <= self.high


def measured(words: Sequence[int]) -> Goal:
    """Return the median and the 90th percentile of some numbers of words."""
    high = statistics.quantiles(words, n=10, method="inclusive")[-1]
    return Goal(statistics.median(words), high)


def first_part(comment: str) -> str:
    """Return a comment before its first closed part.

    Its title says that the tenant is simulated: a pull request has the plan of a tenant.
    """
    return comment.replace(" (simulated)", "", 1).partition("<details>")[0]


def count_shown_words(markdown: str) -> int:
    """Count the words of Markdown that a reader sees: without comments, tags, addresses and signs
    of the syntax.
    """
    printed = re.sub(r"<!--.*?-->", " ", markdown, flags=re.DOTALL)
    printed = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", printed)
    printed = re.sub(r"<[^>]+>|[|*`\\]", " ", printed)
    signs = re.compile(r"[-+>#/!.,:;()\[\]]+")
    return sum(not signs.fullmatch(word) for word in printed.split())
