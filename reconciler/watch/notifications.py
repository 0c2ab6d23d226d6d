"""What is still to be told: in order, a little of it, for as long as nobody takes it.

What of a round is worth telling people who look at something else: each state once, and again when it is another.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from reconciler.watch.cycle import Round

    Message = dict[str, Any]


Kind = Literal["drift", "refused", "applied", "failed", "recovered"]
"""drift: the tenant differs from the manifests. refused: and it was not healed, because a guard or a conflict stood in
the way. applied: changes were made. failed: a round, or a part of its changes. recovered: none of that any more."""

REMIND: Final = 6 * 3600.0
"""Seconds after which a failure that lasts, or comes again and again, is told once more."""
_SAME_WRITES: Final = 3600.0
"""Likewise for the same changes, made again and again: somebody, or something, keeps undoing them."""
_MOST_KEPT: Final = 200


@dataclass(slots=True)
class News:
    """Remembers what was told."""

    state: str = ""
    """By what the differences are known that were told last and are still there."""
    failing: bool = False
    """A failure was told, and not yet that it is over."""
    _told: dict[str, float] = field(default_factory=dict)

    def of(self, one: Round, now: float) -> tuple[Kind, ...]:
        """Return what to tell of a round; `now` is seconds, monotonic."""
        match one.result:
            case "failed" | "partly":
                if not self._is_due(one.known_by, now, REMIND):
                    return ()
                self.failing = True
                return ("failed",)
            case "applied":
                due, open_state = self._is_due(one.known_by, now, _SAME_WRITES), self.state
                self.state = ""
                return (*self._recovered(), *(("applied",) if due or open_state else ()))
            case "clean":
                settled = self.state and not self.failing
                self.state = ""
                return self._recovered() or (("recovered",) if settled else ())
            case _:
                before, self.state = self.state, one.known_by
                kind: Kind = "refused" if one.result == "refused" else "drift"
                return (*self._recovered(), *((kind,) if self.state != before else ()))

    def _recovered(self) -> tuple[Kind, ...]:
        over, self.failing = self.failing, False
        return ("recovered",) if over else ()

    def _is_due(self, key: str, now: float, seconds: float) -> bool:
        """Say whether this was not told for so long, and take note that it is told now."""
        last = self._told.get(key)
        if last is not None and now - last < seconds:
            return False
        self._told.pop(key, None)
        self._told[key] = now
        for old in list(self._told)[:-_MOST_KEPT]:
            del self._told[old]
        return True


_OUTBOX_MOST_KEPT: Final = 20


@dataclass(slots=True)
class Outbox:
    """Keeps what could not be delivered for the next time; of too much the oldest is given up."""

    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=_OUTBOX_MOST_KEPT))

    def put(self, message: Message) -> None:
        """Take a message to be delivered."""
        self.waiting.append(message)

    async def deliver(self, send: Callable[[Message], Awaitable[str]]) -> tuple[int, str]:
        """Deliver what waits, until `send` says why one cannot be; return how many were, and why no more."""
        sent = 0
        while self.waiting:
            why = await send(self.waiting[0])
            if why:
                return sent, why
            self.waiting.popleft()
            sent += 1
        return sent, ""
