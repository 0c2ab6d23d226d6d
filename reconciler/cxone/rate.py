"""How many requests a second a tenant takes: as stated, until its 429s show that it is fewer.

A tenant is taken for a bucket of permits that fills at its limit: a request takes one, or is refused. So at a refusal
the bucket is empty, and everything that was accepted since it was last full, less the bucket itself, by the seconds
that it took is the limit. How large the bucket is nobody says; where that matters, in
the first second, the figure is held within what those show that were under way at the first refusal. After that the
rate creeps up again, slowly, for each 429 costs a second, which is the least that Retry-After can say.
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final

_BUCKET: Final = 10
"""Requests that a tenant is guessed to let in at once."""
_SHY: Final = 0.995
"""Of the stated rate: timers are late by milliseconds, and what is late comes at once."""
_JITTER: Final = 3
"""Permits of a tenant's bucket that are left alone."""
_BELOW: Final = 0.99
"""Of the limit that was found."""
_CREEP: Final = 0.001
"""How much is added each second, as part of the rate that was found."""
_DEEPEST: Final = 0.5
"""Of the rate before, that is left where nothing else shows: a 429 can also come of a moment when all was late."""
_LEAST: Final = 0.2
"""Requests a second that are always tried."""
_REMEMBERED: Final = 1024


class Rate:
    """Requests a second, and what they are learnt from. All times are seconds of one monotonic clock."""

    def __init__(self, stated: float) -> None:
        """`stated` is what the environment says; it is never gone beyond."""
        self._most = self._base = stated * _SHY
        self._since = -math.inf
        self._from = -math.inf
        self._count = 0
        self._recent: deque[float] = deque(maxlen=_REMEMBERED)
        self._refused: list[float] = []
        self.spare = 0
        """Requests that the tenant is known to let in at once after a wait, with some left for jitter."""
        self._part = 1.0

    def part(self, part: float) -> None:
        """Take this part of what is stated, and of what was found, from now on."""
        self._most *= part / self._part
        self._base *= part / self._part
        self._part = part

    def at(self, now: float) -> float:
        """Return the rate of now."""
        if self._base == self._most:
            return self._most
        return min(self._most, self._base * (1 + _CREEP * (now - self._since)))

    def idle(self, seconds: float, now: float) -> None:
        """Note that nothing was sent for so long: where that filled the bucket, what is counted begins anew.

        No more was taken from it than was sent, and it fills at half the rate at the least.
        """
        if not self._refused and seconds * self.at(now) * _DEEPEST >= min(self._count, _BUCKET):
            self._begin(now)

    def accepted(self, sent: float) -> None:
        """Note a request that was not refused."""
        if sent >= self._from:
            if not self._count:
                self._from = sent
            self._count += 1
            self._recent.append(sent)

    def refused(self, sent: float) -> None:
        """Note a 429. One that was sent before the last wait says nothing of the rate since."""
        if sent >= self._since:
            self._refused.append(sent)

    def resumed(self, now: float) -> bool:
        """Say whether this is the end of a wait after 429s; if so, there is a new rate from here on."""
        if not self._refused:
            return False
        count, seconds = self._counted()
        limit = self._limit(count, seconds, self.at(min(self._refused)))
        self.spare = max(int(count - limit * seconds) - _JITTER, 0)
        self._base, self._since = max(limit * _BELOW, _LEAST), now
        self._begin(now)
        return True

    def _begin(self, now: float) -> None:
        self._from, self._count = now, 0
        self._recent.clear()
        self._refused.clear()

    def _counted(self) -> tuple[int, float]:
        """Return how many were let in until the last refusal, that one too, and in how many seconds."""
        last = max(self._refused)
        return self._count - sum(sent > last for sent in self._recent) + 1, last - self._from

    def _limit(self, count: int, seconds: float, used: float) -> float:
        """Return the limit that shows at the rate `used`: by the count, within what those under way allow."""
        first, last = min(self._refused), max(self._refused)
        later = [sent for sent in self._recent if sent > first]
        counted = (count - _BUCKET) / seconds if seconds > 0 else 0.0
        # What was accepted after the bucket was empty had to come in by then, and no more than that until it was again.
        low = (len(later) - 1) / (max(later) - first) if later else 0.0
        high = (sum(sent < last for sent in later) + 1) / (last - first) if last > first else used
        return min(max(counted, low, used * _DEEPEST), high, used)
