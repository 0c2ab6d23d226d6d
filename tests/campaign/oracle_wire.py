"""How an applier sends requests: tokens (R20), and repeats (R21)."""

from __future__ import annotations

import math
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.campaign.oracle_facts import call_of

if TYPE_CHECKING:
    from tests.campaign.oracle_facts import Heard
    from tests.campaign.oracle_verdict import Verdicts
    from tests.campaign.world import Event

MOST: Final = 4
_FREE: Final = 20
_FINAL: Final = frozenset({400, 403, 405, 413, 414, 422, 431})
_UNTIL_READ: Final = frozenset({404, 409, 410, 412})
_SHORT: Final = 120.0
_PATIENCE: Final = 90.0


@dataclass(slots=True)
class Wire:
    """The requests of one run of an applier, by content."""

    verdicts: Verdicts
    failures: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """How often a request failed in a row, without 429s: they are waited out."""
    throttled: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """How often it got 429 since its last other response."""
    given_up: set[tuple[str, ...]] = field(default_factory=set)
    """Requests that got only 429, with waits too long for a repeat."""
    repeated: set[tuple[str, ...]] = field(default_factory=set)
    """Requests that failed last time, without 429s."""
    refusing: float = math.inf
    """The start of an uninterrupted series of 429s."""
    refused: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """How often it got 401 in a row."""
    final: dict[tuple[str, ...], int] = field(default_factory=dict)
    """Which of them got a final response, and which."""
    recent: deque[bool] = field(default_factory=lambda: deque(maxlen=MOST))
    retries: int = 0
    requests: int = 0
    token: str = ""
    token_spent: bool = True
    token_until: float = 0.0
    expired: int = 0

    @property
    def away(self) -> bool:
        """Return whether the server was silent lately: then single requests probe it."""
        return len(self.recent) == MOST and all(self.recent)

    def sends(self, event: Event, now: float) -> None:
        """Check a request before it is done."""
        subject = _identity(event)
        call = call_of(event.request)
        where = (
            f"{event.actor}'s request {event.number}, {event.request.method} "
            f"{event.request.path}"
        )
        self.requests += 1
        if call == "token":
            spent = self.token_spent or now >= self.token_until
            self.verdicts.check(
                "R20",
                spent,
                f"{where}: the current token was not refused and not near its end",
            )
        if self.away:
            return
        self.verdicts.check(
            "R21",
            self.failures[subject] < MOST,
            f"{where}: sent again after {MOST} failures in a row",
        )
        self.verdicts.check(
            "R20", self.refused[subject] < 2, f"{where}: sent again after two 401"
        )
        status = self.final.get(subject)
        self.verdicts.check(
            "R21", status is None, f"{where}: sent again although answered {status}"
        )
        self.verdicts.check(
            "R21",
            subject not in self.given_up,
            f"{where}: sent again after 429s for {_PATIENCE:g} s",
        )
        self.retries += subject in self.repeated
        most = _FREE + self.requests // 10
        self.verdicts.check(
            "R21",
            self.retries <= most,
            f"{where}: {self.retries} retries in {self.requests} requests",
        )

    def hears(self, event: Event, what: Heard, now: float) -> None:
        """Record a response."""
        requested = _identity(event)
        call = call_of(event.request)
        attempt = not self.away  # a probe of an unavailable server is not an attempt
        self.recent.append(what.failed and what.status != 429)
        if what.status == 429:
            self._throttle(requested, now)
        else:
            self._answered(requested, call, what, attempt)
        if self.away:
            self._anew()  # all wait
        self.refused[requested] = (
            self.refused[requested] + 1 if what.status == 401 else 0
        )
        if (
            what.status == 401
            and event.request.headers.get("authorization") == f"Bearer {self.token}"
        ):
            self.token_spent = True
        if what.status in _FINAL or (
            what.status in _UNTIL_READ and call not in ("list", "get", "queues")
        ):
            self.final[requested] = what.status
        if call == "token":
            self._token(what, now)

    def listed(self) -> None:
        """Record that all rules were read: later requests are new decisions, but wrong ones stay
        wrong.
        """
        self._anew()
        lasting = [
            subject
            for subject, status in self.final.items()
            if status in _FINAL and not _is_single(subject)
        ]
        self.final = {subject: self.final[subject] for subject in lasting}

    def _anew(self) -> None:
        for counted in (self.failures, self.throttled, self.given_up, self.repeated):
            counted.clear()

    def _throttle(self, asked: tuple[str, ...], now: float) -> None:
        self.repeated.discard(asked)
        self.throttled[asked] += 1
        self.refusing = min(self.refusing, now)
        if self.throttled[asked] >= MOST and now - self.refusing >= _PATIENCE:
            self.given_up.add(asked)

    def _answered(
        self,
        asked: tuple[str, ...],
        call: str,
        what: Heard,
        attempt: bool,  # noqa: FBT001
    ) -> None:
        self.failures[asked] = (
            self.failures[asked] + 1 if what.failed and attempt else 0
        )
        (self.repeated.add if self.failures[asked] else self.repeated.discard)(asked)
        if not what.failed:
            self.throttled[asked] = 0
            if call != "token":
                self.refusing = math.inf

    def _token(self, what: Heard, now: float) -> None:
        token = what.form.get("access_token") if isinstance(what.form, dict) else None
        if not what.good or not isinstance(token, str):
            return
        life = what.form.get("expires_in")
        sane = isinstance(life, int | float) and life > _SHORT
        self.token, self.token_spent = token, False
        self.token_until = now + life / 2 if sane else now


def _identity(event: Event) -> tuple[str, ...]:
    request = event.request
    return (request.method, request.path, request.query, request.body.decode("latin-1"))


def _is_single(what: tuple[str, ...]) -> bool:
    """Return whether it is a read of one rule: after a list that is another request."""
    return what[0] == "GET" and not what[2]
