"""SIGINT and SIGTERM: before the first write, a command ends immediately; after it, no new write starts."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from reconciler.errors import InterruptedRunError

Result = TypeVar("Result")


@dataclass(slots=True)
class Cancellation:
    """The state of a run's cancellation: signalled or not, and past the first write or not."""

    requested: bool = False
    writing: bool = False
    task: asyncio.Task[object] | None = None
    children: list[Cancellation] = field(default_factory=list)  # runs within the run, which get each signal too

    def request(self) -> None:
        """Record a signal; cancel the run if nothing was written."""
        self.requested = True
        for part in self.children:
            part.request()
        if not self.writing and self.task is not None:
            self.task.cancel()


@contextlib.contextmanager
def abort_on_signal() -> Iterator[None]:
    """End a prompt on a signal, because the event loop is blocked."""

    def end(_number: int, _frame: object) -> None:
        raise InterruptedRunError("interrupted; nothing was written")

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_interruptibly(command: Callable[[Cancellation], Awaitable[Result]]) -> Result:
    """Run a command's coroutine. Raises InterruptedRunError if a signal arrives before the first write."""

    async def guarded() -> Result:
        stop = Cancellation(task=asyncio.current_task())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows does not have these handlers; there, Ctrl-C ends the run immediately.
            with contextlib.suppress(NotImplementedError):
                loop.add_signal_handler(number, stop.request)
        try:
            return await command(stop)
        except asyncio.CancelledError:
            raise InterruptedRunError("interrupted; nothing was written") from None

    return asyncio.run(guarded())
