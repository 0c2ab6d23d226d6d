"""The rate of one client: the configured one, and after 429s one that the tenant accepts (R21).

After a pause the rate is decreased once: to half, or less far towards the measured rate of accepted
calls. Then it grows linearly up to the configured rate (AIMD: Chiu and Jain, Computer Networks and
ISDN Systems 17, 1989).
"""

import math
from typing import Final

_USED_SHARE: Final = 0.995  # of the configured rate: late timers cause bursts
_DECREASE: Final = 0.5
_FULL_INCREASE_SECONDS: Final = 120.0  # from nothing to the configured rate
_MIN_RATE: Final = 1.0  # calls a second
_LIKELY_BUCKET: Final = (
    10  # calls that a tenant accepts at once after a pause, whatever its limit
)
_LIMIT_SHARE: Final = 0.9  # of the measured limit: the next 429 costs a pause


class RateControl:
    """Calls a second, learnt from responses. All times are seconds of one monotonic clock."""

    def __init__(self, configured_rate: float) -> None:
        """`configured_rate` is the environment's; the rate never exceeds it."""
        self._max_rate = configured_rate * _USED_SHARE
        self._base_rate = self._max_rate
        self._share = 1.0
        self._changed_at = -math.inf
        # A window is the time from the end of a pause to the 429 that begins the next one.
        self._window_start = -math.inf
        self._refused_at = -math.inf  # send time of the last refused call of the window
        self._accepted = 0  # calls of the window
        self._first_accepted_at = math.inf  # send time
        self.empty_windows = 0  # windows in a row without an accepted call

    def set_share(self, share: float) -> None:
        """Use this share of the configured and of the learnt rate from now on."""
        factor = share / self._share
        self._max_rate *= factor
        self._base_rate *= factor
        self._share = share

    def rate_at(self, now: float) -> float:
        """Return the rate, which grows with the time since the last decrease."""
        if self._base_rate >= self._max_rate:
            return self._max_rate
        increase = (now - self._changed_at) * self._max_rate / _FULL_INCREASE_SECONDS
        return min(self._base_rate + increase, self._max_rate)

    def on_accepted(self, sent_at: float) -> None:
        """Record an accepted call."""
        if sent_at < self._window_start:
            return
        self._accepted += 1
        self._first_accepted_at = min(self._first_accepted_at, sent_at)
        self.empty_windows = 0

    def on_throttle(self, sent_at: float) -> None:
        """Record a 429, unless its call was sent before the last pause, which had its decrease."""
        if sent_at >= self._window_start:
            self._refused_at = max(self._refused_at, sent_at)

    def resume_after_pause(self, now: float) -> None:
        """Decrease the rate once if the window ended with a 429, and begin a new window."""
        if self._refused_at == -math.inf:
            return
        if self._accepted:
            used = self.rate_at(self._refused_at)
            decreased = max(used * _DECREASE, self._measured_rate(), _MIN_RATE)
            self._base_rate = min(decreased, used)
            self._changed_at = now
        else:  # nothing was accepted, which says nothing about the rate
            self.empty_windows += 1
        self._window_start = now
        self._refused_at = -math.inf
        self._accepted = 0
        self._first_accepted_at = math.inf

    def _measured_rate(self) -> float:
        """Return a rate a little below the one that the tenant accepted for long in the window."""
        seconds = self._refused_at - self._first_accepted_at
        lasting = self._accepted - _LIKELY_BUCKET
        return lasting / seconds * _LIMIT_SHARE if seconds > 0 else 0.0
