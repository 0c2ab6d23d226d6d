"""How fast the simulator lets itself be asked: a token bucket, and 429 with Retry-After."""

from __future__ import annotations

import math
from email.utils import formatdate
from typing import TYPE_CHECKING

from reconciler.simulator.exchange import Answer, Problem, refusal

if TYPE_CHECKING:
    from reconciler.simulator.settings import Settings


class Bucket:
    """Holds up to `burst` permits and gains `rate` a second."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._permits = float(settings.burst)
        self._at = settings.clock()

    def refusal(self) -> Answer | None:
        """Take a permit and return None, or the 429 that says when to come again."""
        rate = self._settings.rate
        if rate is None:
            return None
        now = self._settings.clock()
        gained = max(now - self._at, 0.0) * rate
        self._permits, self._at = min(self._settings.burst, self._permits + gained), now
        if self._permits >= 1:
            self._permits -= 1
            return None
        wait = max(math.ceil((1 - self._permits) / rate), 1)
        after = str(wait) if self._settings.retry_after == "seconds" else formatdate(now + wait, usegmt=True)
        return refusal(429, Problem("Rate limit exceeded", "too.many.requests"), headers=(("retry-after", after),))
