"""The rate of one client: the configured one, and after 429s one that the tenant accepts (invariants R21).

The model of a tenant is a token bucket (ITU-T I.371): it gains permits at the tenant's limit, holds some of them, and
refuses a call without one. The client knows neither number. The controller is AIMD (Chiu and Jain, Computer Networks
and ISDN Systems 17, 1989): additive increase, one multiplicative decrease after each pause.

A window is the time from the first call after a pause to the 429 that begins the next one.

- Decrease: at most to half. Less if the accepted calls show more: their number divided by the time from the last 429
  to this one is a lower bound of the limit; the slope between a short and a long window is its estimate, whatever the
  bucket holds (TCP Westwood: Mascolo et al., MobiCom 2001, decreases to the measured rate in the same way).
- Increase: with the time since the decrease, at first slowly, because each 429 costs a pause (H-TCP: Leith and Shorten,
  PFLDnet 2004). A minute doubles the rate.
- Floor: a slower client is refused no earlier, if its rate is the cause. If a faster window of the last ones accepted
  more calls, and more of them a second, chance or another client is the cause: the client returns to the faster rate
  (the undo of a needless decrease: RFC 4015), and sends some of the waiting calls at once after the pause.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

_USED_SHARE: Final = 0.995  # of the configured rate: late timers cause bursts
_DECREASE: Final = 0.5
_LIMIT_SHARE: Final = 0.96  # of the measured limit: the next 429 costs a pause
_DOUBLING_SECONDS: Final = 60.0
_MIN_RATE: Final = 1.0  # calls a second
_LIKELY_BUCKET: Final = 10  # permits: the guess before a window was measured
_LONGER_AFTER_FULL: Final = 2  # how many times the shortest window a window must accept to measure the limit
_LONGER: Final = 3
_WINDOWS: Final = 12
_COMPARABLE: Final = _LIKELY_BUCKET + 2  # calls of a window that began with a full bucket
_USUAL_PAUSE: Final = 1.0  # seconds
_FASTER: Final = 1.01
_NOISE: Final = 2  # calls by which windows of one rate differ
_BURST: Final = 8  # calls that are sent at once after a pause, if the rate is not the cause of 429s
_SMALL_BUCKET: Final = 2  # of a burst, so many accepted calls show that the rate is the cause
_KEPT_BURST: Final = 0.7  # share of a burst that must be accepted
_LONG: Final = 2  # pauses: longer windows need no burst
_PROBE_RATE: Final = 4.0  # calls a second while all are refused
_MAX_EMPTY: Final = 8


class _Window(NamedTuple):
    """A window that ended: its rate, its accepted calls, and those a second with the pause before it."""

    rate: float
    accepted: int
    per_second: float


@dataclass(slots=True)
class _Calls:
    """The calls of the present window."""

    start: float
    burst: int  # number of calls that were sent at once
    sent: int = 0
    accepted: int = 0
    burst_end: float = -math.inf
    burst_accepted: int = 0
    last_refused: float = -math.inf  # send time
    paused_at: float = math.inf  # arrival of the first 429
    sent_before_pause: int = 0

    @property
    def is_refused(self) -> bool:
        """Return whether a call was refused."""
        return self.last_refused > -math.inf

    @property
    def seconds(self) -> float:
        """Return the time from the first call to the last refused one."""
        return self.last_refused - self.start


class RateControl:
    """Calls a second, learnt from responses. All times are seconds of one monotonic clock."""

    def __init__(self, configured_rate: float) -> None:
        """`configured_rate` is the environment's; the rate never exceeds it."""
        self._max_rate = configured_rate * _USED_SHARE
        self._base_rate = self._max_rate
        self._share = 1.0
        self._changed_at = -math.inf
        self._calls = _Calls(-math.inf, 0)
        self._shortest = (_LIKELY_BUCKET, 0.0)  # accepted calls and seconds of the shortest window
        self._recent: deque[_Window] = deque(maxlen=_WINDOWS)
        self._emptied_at: float | None = None  # last 429 of the window before; None if the bucket was full
        self._pause_before: float | None = None
        self.burst = 0  # calls that may be sent at once after a pause
        self.empty_windows = 0  # windows in a row without an accepted call

    def set_share(self, share: float) -> None:
        """Use this share of the configured and of the learnt rate from now on."""
        factor = share / self._share
        self._max_rate *= factor
        self._base_rate *= factor
        self._share = share
        self._recent.clear()

    def rate_at(self, now: float) -> float:
        """Return the current rate."""
        rate = self._grown_rate(now)
        if not self.empty_windows:
            return rate
        return max(math.ldexp(rate, -self.empty_windows), min(rate, _PROBE_RATE))

    def _grown_rate(self, now: float) -> float:
        if self._base_rate >= self._max_rate:
            return self._max_rate
        doublings = (now - self._changed_at) / _DOUBLING_SECONDS
        return min(self._max_rate, self._base_rate * (1 + doublings * doublings))

    @property
    def late_calls(self) -> int:
        """Return how many late calls the tenant's bucket likely accepts at once."""
        accepted, _ = self._shortest
        return max(accepted - 1, self.burst)

    def on_idle(self, seconds: float, now: float) -> None:
        """Record a time without calls; if it filled the tenant's bucket, a new window begins."""
        calls = self._calls
        refill = seconds * self.rate_at(now) / 2
        if not calls.is_refused and refill >= min(calls.accepted, _LIKELY_BUCKET):
            self._emptied_at = None
            self._pause_before = None
            self._calls = _Calls(now, 0)

    def on_sent(self, now: float) -> None:
        """Record a call."""
        calls = self._calls
        if calls.start == -math.inf:
            calls.start = now
        calls.sent += 1
        if calls.sent <= calls.burst:
            calls.burst_end = now

    def on_accepted(self, sent_at: float) -> None:
        """Record an accepted call."""
        calls = self._calls
        if sent_at < calls.start:
            return
        if self.empty_windows:  # the calls before this one were slow on purpose
            self.empty_windows = 0
            calls.start = sent_at
            calls.sent = 1
        calls.accepted += 1
        calls.burst_accepted += sent_at <= calls.burst_end

    def on_throttle(self, sent_at: float, now: float) -> None:
        """Record a 429, unless its call was sent before the last pause: that one has had its decrease."""
        calls = self._calls
        if sent_at < calls.start:
            return
        if not calls.is_refused:
            calls.paused_at = now
            calls.sent_before_pause = calls.sent
        calls.last_refused = max(calls.last_refused, sent_at)

    def resume_after_pause(self, now: float) -> bool:
        """Return whether a pause after 429s ends now; if so, set a new rate."""
        calls = self._calls
        if not calls.is_refused:
            return False
        used = self._grown_rate(calls.last_refused)
        if calls.accepted:
            self._base_rate = self._adjusted(used, now)
        else:  # the pause was too short, or all is refused: neither shows anything about the rate
            self._base_rate = used
            self.empty_windows = min(self.empty_windows + 1, _MAX_EMPTY)
        self._changed_at = now
        burst = self.burst if self.empty_windows <= 1 else 0
        self._calls = _Calls(now, burst)
        return True

    def _adjusted(self, used: float, now: float) -> float:
        """Return the rate after a window with the rate `used`."""
        calls = self._calls
        pause = now - calls.paused_at
        window = self._measured(used, pause)
        if calls.burst == _BURST and calls.burst_accepted < _SMALL_BUCKET:
            self._recent.clear()
            self.burst = 0
        better = [one.rate for one in self._recent if _is_better(one, window)]
        if better:
            rate = max(better)
            self.burst = _BURST
        else:
            rate = self._decreased(used)
            self.burst = self._shortened_burst(pause)
        self._recent.append(window)
        self._shortest = min(self._shortest, (calls.accepted, calls.seconds))
        self._emptied_at = calls.last_refused
        self._pause_before = pause
        return min(max(rate, _MIN_RATE), self._max_rate)

    def _measured(self, used: float, pause: float) -> _Window:
        """Return the window that ends. A full bucket says little: its calls are limited, and the pause is a guess."""
        accepted = self._calls.accepted
        before = self._pause_before
        if before is None:
            accepted = min(accepted, _COMPARABLE)
            before = max(pause, _USUAL_PAUSE)
        return _Window(used, accepted, accepted / (accepted / used + before))

    def _decreased(self, used: float) -> float:
        """Return the rate after one decrease, from the rate of the calls that were really sent."""
        calls = self._calls
        until_pause = calls.paused_at - calls.start
        if until_pause > 0:
            used = min(used, calls.sent_before_pause / until_pause)
        limit = min(self._measured_limit(), used)
        return max(used * _DECREASE, limit * _LIMIT_SHARE)

    def _measured_limit(self) -> float:
        """Return the tenant's limit as the accepted calls show it; 0 if they show nothing."""
        calls = self._calls
        limit = 0.0
        longer = _LONGER_AFTER_FULL
        if self._emptied_at is not None:
            since_empty = calls.last_refused - self._emptied_at
            limit = calls.accepted / since_empty
            longer = _LONGER
        accepted, seconds = self._shortest
        if calls.accepted >= longer * accepted and calls.seconds > seconds:
            slope = (calls.accepted - accepted) / (calls.seconds - seconds)
            limit = max(limit, slope)
        return limit

    def _shortened_burst(self, pause: float) -> int:
        """Return the burst after a decrease: what the tenant did not accept becomes shorter."""
        calls = self._calls
        if calls.seconds > _LONG * pause:
            return 0
        if calls.burst_accepted >= _KEPT_BURST * calls.burst:
            return self.burst
        return self.burst // 2


def _is_better(faster: _Window, window: _Window) -> bool:
    """Return whether a faster window accepted more: then the rate is not the cause of the 429s."""
    if faster.rate <= window.rate * _FASTER:
        return False
    noise = 1 + _NOISE / window.accepted
    return faster.accepted > window.accepted and faster.per_second > window.per_second * noise
