"""Events of conversations that are not written: a bot's test chat has no counterpart in the tenant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.context.answer import success

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet
    from datetime import datetime

    from reconciler.context.answer import Answer
    from reconciler.context.event import Event
    from reconciler.context.relay import Take


def skipping(take: Take, skipped: AbstractSet[str]) -> Take:
    """Return what takes events as `take` does, but for those of some conversations: these it answers and counts."""
    if not skipped:
        return take

    async def taken(event: Event, message: str, now: datetime, end: float) -> Answer:
        if event.conversation in skipped:
            return success("skipped", "a test chat; nothing was written", None, skipped="test-chat")
        return await take(event, message, now, end)

    return taken
