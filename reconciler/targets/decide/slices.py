"""Work on a whole table in slices of a millisecond, between which an event loop answers.

A thread would delay the answers more. It shares the interpreter's lock with the event loop, which
would wait for that lock after each call that reads or writes a socket.
"""

import asyncio
import time
from collections.abc import Generator
from typing import Final, TypeVar

_Result = TypeVar("_Result")

Steps = Generator[None, None, _Result]
"""Work that stops after each short step, and returns its result at the end."""

_SLICE_SECONDS: Final = 0.001


def finish(steps: Steps[_Result]) -> _Result:
    """Do the work without a stop, and return its result."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result


async def in_slices(steps: Steps[_Result]) -> _Result:
    """Do the work in slices, and return its result. The event loop runs between two slices."""
    slice_end = time.monotonic() + _SLICE_SECONDS
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: _Result = end.value
            return result
        if time.monotonic() >= slice_end:
            await asyncio.sleep(0)
            slice_end = time.monotonic() + _SLICE_SECONDS
