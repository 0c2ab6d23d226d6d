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
- Floor: the last windows are a record of rates and accepted calls. If the windows of a faster rate accepted more calls
  a second, pauses included, the rate is not the cause of the 429s, and the client returns to the faster rate (the undo
  of a needless decrease: RFC 4015).
- Burst: random 429s leave permits in the bucket. So some calls follow a pause at once: as many as the tenant accepted
  of a recorded burst. If the windows with a burst accepted fewer calls a second, the bucket is too small for bursts.

The comment of a constant names the part of the table in `tests/cxone/test_rate_table.py` that fails without it.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

_USED_SHARE: Final = 0.995  # of the configured rate: late timers cause bursts
_DECREASE: Final = 0.5
_LIMIT_SHARE: Final = 0.96  # of the measured limit: the next 429 costs a pause
_MIN_RATE: Final = 1.0  # calls a second
_PROBE_RATE: Final = 4.0  # calls a second while all are refused
_MAX_EMPTY: Final = 8
_LIKELY_BUCKET: Final = 10  # permits: the guess before a window was measured

# A linear increase is too slow for a limit that rises from 10 to 40, or has too many 429s at 90 of 100 a second.
_DOUBLING_SECONDS: Final = 60.0

# Without the slope, a pause that overflows the bucket hides a part of the limit: 33 of 50 a second, bucket of 5.
_LONGER: Final = 2  # how many times the shortest window a window must accept to measure the slope

# Without the record, random 429s reduce the rate to the lowest one.
_WINDOWS: Final = 30  # fewer than 30: a bucket of 1 with random 429s is tried with bursts too often
_SAME_RATE: Final = 1.1  # windows within this factor count together: a single one shows little
_NOTICEABLE: Final = 0.1  # share of the time without pauses; 40 of 200 a second, bucket of 1: below it, slower is free
_KEPT_LENGTH: Final = 0.7  # a faster window must not be shorter: 10 of 400 a second, a bucket that a pause never fills

# A window that began with a full bucket counts as a usual one: 20 of 200 a second, bucket of 50.
_COMPARABLE: Final = _LIKELY_BUCKET + 2  # calls
_USUAL_PAUSE: Final = 1.0  # seconds

# Without bursts, 25 % random 429s with limits of 10 a second and more take more than twice the time.
_FIRST_BURST: Final = 8  # calls after the first one, until the record has a burst

# Without the end of bursts, late timers keep 40 % 429s: 40 of 50 a second, bucket of 1. A smaller factor ends useful
# bursts by chance: 25 % random 429s.
_BURST_NOISE: Final = 3.0  # standard deviations of the accepted calls


class _Window(NamedTuple):
    """A window that ended: its rate, its accepted calls, and its seconds with the pause before it."""

    rate: float
    accepted: int
    seconds: float
    burst_accepted: int | None  # None without a burst


@dataclass(slots=True, kw_only=True)
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
        self._calls = _Calls(start=-math.inf, burst=0)
        self._shortest = (_LIKELY_BUCKET, 0.0)  # accepted calls and seconds of the shortest window
        self._recent: deque[_Window] = deque(maxlen=_WINDOWS)
        self._emptied_at: float | None = None  # last 429 of the window before; None if the bucket was full
        self._pause_before: float | None = None
        self._bursts_hurt = False
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
        """Return how many late calls the tenant's bucket likely accepts at once.

        The shortest window accepted the bucket, and likely one permit that arrived meanwhile.
        """
        accepted, _ = self._shortest
        return max(accepted - 2, self.burst)

    def on_idle(self, seconds: float, now: float) -> None:
        """Record a time without calls; if it filled the tenant's bucket, a new window begins."""
        calls = self._calls
        refill = seconds * self.rate_at(now) / 2
        if not calls.is_refused and refill >= min(calls.accepted, _LIKELY_BUCKET):
            self._emptied_at = None
            self._pause_before = None
            self._calls = _Calls(start=now, burst=0)

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
        calls_at_once = self.burst + 1 if self.burst else 0
        self._calls = _Calls(start=now, burst=calls_at_once)
        return True

    def _adjusted(self, used: float, now: float) -> float:
        """Return the rate after a window with the rate `used`."""
        calls = self._calls
        pause = now - calls.paused_at
        self._recent.append(self._measured(used, pause))
        rate = self._next_rate(used)
        self._shortest = min(self._shortest, (calls.accepted, calls.seconds))
        self._emptied_at = calls.last_refused
        self._pause_before = pause
        return min(max(rate, _MIN_RATE), self._max_rate)

    def _measured(self, used: float, pause: float) -> _Window:
        """Return the window that ends. A full bucket says little: its calls are limited, and the pause is a guess."""
        calls = self._calls
        accepted = calls.accepted
        before = self._pause_before
        if before is None:
            accepted = min(accepted, _COMPARABLE)
            before = max(pause, _USUAL_PAUSE)
        burst_accepted = calls.burst_accepted if calls.burst else None
        seconds = max(accepted / used, calls.seconds)
        return _Window(used, accepted, seconds + before, burst_accepted)

    def _better_rate(self, used: float) -> float | None:
        """Return the fastest rate whose windows accepted clearly more calls a second than those of this rate."""
        slow = self._windows_like(used)
        accepted = sum(one.accepted for one in slow)
        seconds = sum(one.seconds for one in slow)
        if accepted / used <= seconds * _NOTICEABLE:
            return None
        noise = 1 + 1 / math.sqrt(accepted)
        least_per_second = accepted / seconds * noise
        least_accepted = accepted / len(slow) * _KEPT_LENGTH
        better = []
        for window in self._recent:
            if window.rate <= used * _SAME_RATE:
                continue
            fast = self._windows_like(window.rate)
            mean = sum(one.accepted for one in fast) / len(fast)
            if _per_second(fast) > least_per_second and mean > least_accepted:
                better.append(window.rate)
        return max(better, default=None)

    def _windows_like(self, rate: float) -> list[_Window]:
        """Return the recorded windows of about this rate."""
        return [one for one in self._recent if rate / _SAME_RATE < one.rate < rate * _SAME_RATE]

    def _next_rate(self, used: float) -> float:
        """Return the rate that follows the recorded windows, and choose the burst after the pause."""
        had_burst = self._calls.burst > 0
        if had_burst and not self._bursts_help():
            self._forget_bursts()
            return used  # the burst was refused, which says nothing about the rate

        better = self._better_rate(used)
        is_by_chance = had_burst or better is not None
        self.burst = self._accepted_burst() if is_by_chance and not self._bursts_hurt else 0
        return self._decreased(used) if better is None else better

    def _bursts_help(self) -> bool:
        """Return whether the windows with a burst accepted about as many calls a second as the others, or more."""
        bursts = [one for one in self._recent if one.burst_accepted is not None]
        others = self._windows_without_burst()
        if not others:
            return True
        accepted = sum(one.accepted for one in bursts)
        noise = 1 + _BURST_NOISE / math.sqrt(max(accepted, 1))
        return _per_second(bursts) * noise >= _per_second(others)

    def _forget_bursts(self) -> None:
        """Send no bursts any more: the tenant's bucket is too small."""
        self._bursts_hurt = True
        self.burst = 0
        self._recent = deque(self._windows_without_burst(), maxlen=_WINDOWS)

    def _windows_without_burst(self) -> list[_Window]:
        return [one for one in self._recent if one.burst_accepted is None]

    def _accepted_burst(self) -> int:
        """Return how many calls may follow the first one at once: a bucket of one permit accepts none of them."""
        bursts = [one.burst_accepted for one in self._recent if one.burst_accepted is not None]
        if not bursts:
            return _FIRST_BURST
        return max(max(bursts) - 1, 0)

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
        if self._emptied_at is not None:
            limit = calls.accepted / (calls.last_refused - self._emptied_at)
        accepted, seconds = self._shortest
        if calls.accepted >= _LONGER * accepted and calls.seconds > seconds:
            slope = (calls.accepted - accepted) / (calls.seconds - seconds)
            limit = max(limit, slope)
        return limit


def _per_second(windows: list[_Window]) -> float:
    """Return the accepted calls a second, pauses included."""
    return sum(one.accepted for one in windows) / sum(one.seconds for one in windows)
