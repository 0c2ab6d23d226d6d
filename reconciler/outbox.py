"""What is still to be told: in order, a little of it, for as long as nobody takes it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    Message = dict[str, Any]

_MOST_KEPT: Final = 20


@dataclass(slots=True)
class Outbox:
    """Keeps what could not be delivered for the next time; of too much the oldest is given up."""

    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=_MOST_KEPT))

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
