"""The notifications of `cxroute watch`, each sent once, and the messages that wait for delivery."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from reconciler.watch.cycle import CycleResult

Message = dict[str, Any]
NotificationKind = Literal["drift", "refused", "applied", "failed", "recovered"]
"""drift: the tenant differs from the manifests. refused: a guard or a conflict prevented the apply. applied: changes
were made. failed: a cycle, or a part of its changes, failed. recovered: the earlier problem is over."""

REMINDER_SECONDS: Final = 6 * 3600.0  # until a failure that lasts, or recurs, is notified again
_REPEATED_CHANGE_SECONDS: Final = 3600.0  # until equal changes, which CXone's users revert repeatedly, are notified
_MAX_REMEMBERED: Final = 200
_MAX_WAITING: Final = 20


@dataclass(slots=True)
class NotificationState:
    """Remembers the notifications that were sent."""

    reported_fingerprint: str = ""  # of the differences that were notified and remain
    is_failing: bool = False  # a failure was notified, but its end was not
    _reported_at: dict[str, float] = field(default_factory=dict)

    def find_due(self, cycle: CycleResult, now: float) -> tuple[NotificationKind, ...]:
        """Return the notifications that a cycle causes; `now` is in seconds, monotonic."""
        reported = self.reported_fingerprint
        match cycle.status:
            case "failed" | "partly":
                if not self._is_due(cycle.fingerprint, now, REMINDER_SECONDS):
                    return ()
                self.is_failing = True
                return ("failed",)
            case "applied":
                is_due = self._is_due(cycle.fingerprint, now, _REPEATED_CHANGE_SECONDS)
                self.reported_fingerprint = ""
                return (*self._recovered(), *(("applied",) if is_due or reported else ()))
            case "clean":
                is_settled = reported and not self.is_failing
                self.reported_fingerprint = ""
                return self._recovered() or (("recovered",) if is_settled else ())
            case _:
                self.reported_fingerprint = cycle.fingerprint
                kind: NotificationKind = "refused" if cycle.status == "refused" else "drift"
                return (*self._recovered(), *((kind,) if self.reported_fingerprint != reported else ()))

    def _recovered(self) -> tuple[NotificationKind, ...]:
        over, self.is_failing = self.is_failing, False
        return ("recovered",) if over else ()

    def _is_due(self, key: str, now: float, seconds: float) -> bool:
        """Return whether `key` was not notified within the last `seconds`, and record it as notified now."""
        last = self._reported_at.get(key)
        if last is not None and now - last < seconds:
            return False
        self._reported_at.pop(key, None)
        self._reported_at[key] = now
        for old in list(self._reported_at)[:-_MAX_REMEMBERED]:
            del self._reported_at[old]
        return True


@dataclass(slots=True)
class Outbox:
    """Keeps undelivered messages for the next attempt; if there are too many, it drops the oldest."""

    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=_MAX_WAITING))

    def put(self, message: Message) -> None:
        """Add a message for delivery."""
        self.waiting.append(message)

    async def deliver(self, send: Callable[[Message], Awaitable[str]]) -> tuple[int, str]:
        """Deliver the waiting messages until `send` returns an error; return the number delivered and the error."""
        count = 0
        while self.waiting:
            if error := await send(self.waiting[0]):
                return count, error
            self.waiting.popleft()
            count += 1
        return count, ""
