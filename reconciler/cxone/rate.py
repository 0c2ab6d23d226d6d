"""How many requests a second a tenant takes: as stated, until its 429s show that it is fewer.

A tenant is taken for a bucket of permits that fills at its limit: a request takes one, or is refused. But other clients
take permits as well, so a 429 need not come of this client's rate. The scheme is that of TCP congestion control, with
a request for a packet, a 429 for a loss, and the time between two Retry-After waits (a window) for a round trip:

- At most one decrease per Retry-After, however many 429s led to it (one per congestion event: RFC 9438, section 4.6).
- A decrease goes to the measured limit, not to a fixed part of the rate (TCP Westwood: Mascolo et al., MobiCom 2001).
  The measured limit is the highest that one of the last windows shows (BBR: Cardwell et al., ACM Queue 14(5), 2016).
- A 429 that this limit does not explain is no congestion (BBR, too): where most windows end earlier than the limit
  would have ended them, the rate doubles instead, up to what is stated.
- From a decrease on the rate grows with the cube of the time (CUBIC, RFC 9438, section 4.2): hardly at first, for each
  429 costs a Retry-After; twofold after a minute, for the tenant's other clients may have gone.
- A window without one accepted request says nothing of the limit. It halves the rate, down to a floor, and each
  accepted request doubles it again (slow start: RFC 5681, section 3.1).
"""

from __future__ import annotations

import math
from collections import deque
from typing import Final, NamedTuple

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
_TWOFOLD: Final = 60.0
"""Seconds after which the cube alone has doubled that rate."""
_DEEPEST: Final = 0.25
"""Of the rate before, that one decrease leaves: a window that is too short shows less than there is."""
_LEAST: Final = 1.0
"""Requests a second that are always tried."""
_FLOOR: Final = 4.0
"""Requests a second below which slow start does not begin."""
_WINDOWS: Final = 8
_ALIKE: Final = 0.95
"""Of the highest limit: windows that show as much agree with it."""
_ENOUGH: Final = 3
"""Windows that have to agree where none was long enough to empty the bucket."""
_REMEMBERED: Final = 1024


class _Window(NamedTuple):
    """What was accepted between two waits, and the lowest limit, a second, at which a tenant accepts as much."""

    accepted: int
    limit: float


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
        self._windows: deque[_Window] = deque(maxlen=_WINDOWS)
        self._waited = math.inf
        """Seconds of the wait before this window: what came into the bucket meanwhile."""
        self._lowered = False
        self.fruitless = 0
        """Windows in a row in which nothing was accepted, less what was accepted since."""
        self.spare = 0
        """Requests that the tenant is likely to let in at once after a wait, with some left for jitter."""
        self._part = 1.0

    def part(self, part: float) -> None:
        """Take this part of what is stated, and of what was found, from now on."""
        self._most *= part / self._part
        self._base *= part / self._part
        self._part = part

    def at(self, now: float) -> float:
        """Return the rate of now."""
        rate = self._grown(now)
        return max(rate / 2**self.fruitless, min(rate, _FLOOR)) if self.fruitless else rate

    def _grown(self, now: float) -> float:
        if self._base == self._most:
            return self._most
        seconds = now - self._since
        return min(self._most, self._base * (1 + _CREEP * seconds + (seconds / _TWOFOLD) ** 3))

    def idle(self, seconds: float, now: float) -> None:
        """Note that nothing was sent for so long: where that filled the bucket, what is counted begins anew.

        No more was taken from it than was sent, and it fills at half the rate at the least.
        """
        if not self._refused and seconds * self.at(now) / 2 >= min(self._count, _BUCKET):
            self._begin(now)

    def accepted(self, sent: float) -> None:
        """Note a request that was not refused."""
        if self.fruitless:  # at so slow a rate the bucket stays full: what is counted begins anew
            self.fruitless -= 1
            self._count = 0
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
        used = self._grown(max(self._refused))
        if self._count:
            self._learn(used)
        else:
            self._base, self.spare = used, self.spare // 2
            self.fruitless = min(self.fruitless + 1, _WINDOWS)
        self._waited, self._since = now - max(self._refused), now
        self._begin(now)
        return True

    def _begin(self, now: float) -> None:
        self._from, self._count = now, 0
        self._recent.clear()
        self._refused.clear()

    def _learn(self, used: float) -> None:
        """Set the rate after `used`: to the limit that most windows show; where most show none, to twice as much."""
        count, seconds = self._counted()
        self._windows.append(_Window(count - 1, self._shown(count, seconds)))
        highest = max(window.limit for window in self._windows)
        agreeing = [window.limit for window in self._windows if window.limit >= highest * _ALIKE]
        enough = count > _BUCKET or len(agreeing) >= _ENOUGH
        before, self._lowered = self._lowered, enough and 2 * len(agreeing) > len(self._windows)
        if self._lowered:
            limit = min(max(agreeing[-1], used * _DEEPEST), used)
            self._base = max(limit * _BELOW, min(_LEAST, self._most))
            self.spare = max(int(count - limit * seconds) - _JITTER, 0)
        elif before and count <= _BUCKET:  # it was the requests at once that were too many
            self._base, self.spare = used, 0
        else:
            self._base = min(2 * used, self._most)
            short = sum(window.accepted for window in self._windows) < _BUCKET * len(self._windows)
            self.spare = min(self.spare + 2, _BUCKET - _JITTER) if short else 0

    def _counted(self) -> tuple[int, float]:
        """Return how many were let in until the last refusal, that one too, and in how many seconds."""
        last = max(self._refused)
        return self._count - sum(sent > last for sent in self._recent) + 1, last - self._from

    def _shown(self, count: int, seconds: float) -> float:
        """Return the lowest limit at which so many are let in: by a full bucket, or by what the last wait filled."""
        full = (count - _BUCKET) / seconds if seconds > 0 else 0.0
        return max(full, count / (self._waited + seconds) if self._waited + seconds > 0 else 0.0)
