"""What a worker does beside serving: meets the others, follows its parent, and leaves when nobody needs it any more."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.context.workers import READY

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.context.partition import Partition
    from reconciler.context.workers import Worker

_LONGEST_LEAVE: Final = 10.0
"""Seconds for what others accepted and handed over; no request takes longer than half of that."""


class Serving(Protocol):
    """Serves until a signal, or until it is to end; then it finishes what it accepted."""

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve what connects to these."""

    def end(self) -> None:
        """Begin to end."""


async def work(worker: Worker, partition: Partition, server: Callable[[Callable[[], object]], Serving]) -> None:
    """Serve until the parent ends it, or has gone, then finish what was accepted here and elsewhere.

    `server` is given what to call once it serves.
    """
    serving = server(lambda: _tell(worker.parent))
    parent = asyncio.create_task(_follow(worker.parent, partition, serving))
    for other, pair in worker.others.items():
        await _meet(partition, other, pair)
    await serving.serve(sockets=[worker.listener])
    parent.cancel()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LONGEST_LEAVE):
            await partition.leave()


def _tell(parent: socket.socket) -> None:
    """Say that this worker serves; where the parent has gone, that is seen in a moment."""
    with contextlib.suppress(OSError):
        parent.send(READY)


async def _follow(parent: socket.socket, partition: Partition, serving: Serving) -> None:
    """Meet each worker that the parent started later; end when it says so by closing, or has gone."""
    loop, heard = asyncio.get_running_loop(), asyncio.Event()
    parent.settimeout(0)
    loop.add_reader(parent, heard.set)
    try:
        while True:
            await heard.wait()
            heard.clear()
            while (found := _received(parent)) is not None:
                if not found:
                    serving.end()
                    return
                await _meet(partition, *found)
    finally:
        loop.remove_reader(parent)


def _received(parent: socket.socket) -> tuple[int, socket.socket] | tuple[()] | None:
    """Return a worker's number and the way to it; nothing when the parent has closed, None where it says nothing."""
    try:
        said, files, _, _ = socket.recv_fds(parent, 1, 1)
    except BlockingIOError:
        return None
    except OSError:
        return ()
    return (said[0], socket.socket(fileno=files[0])) if said else ()


async def _meet(partition: Partition, other: int, pair: socket.socket) -> None:
    pair.settimeout(0)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: partition.link(other), pair)
