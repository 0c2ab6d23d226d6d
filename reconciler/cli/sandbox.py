"""The sandbox: a simulated CXone in this process, its state in .cxroute/sandbox.json."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import httpx

from reconciler.simulator.app import Settings, simulator
from reconciler.simulator.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.model import Queue

STATE: Final = Path(".cxroute/sandbox.json")
URL: Final = "http://localhost"
_QUEUE_IDS: Final = uuid.UUID("6c1f4a0e-9f0b-4f57-9d0e-5b8f7f0f9a10")


@contextmanager
def sandbox(queues: Iterable[Queue]) -> Iterator[httpx.AsyncBaseTransport]:
    """Open the sandbox's state, with every queue that the manifests name, and yield a transport into it."""
    state = State.load(STATE, queues=simulated_queues(queues))
    try:
        yield httpx.ASGITransport(app=simulator(state, Settings()))
    finally:
        state.close()


def simulated_queues(queues: Iterable[Queue]) -> list[dict[str, Any]]:
    """Return queues in the simulator's form; one that no manifest gives an id has one made of its name."""
    return [
        {"id": queue.id if queue.id != queue.name else str(uuid.uuid5(_QUEUE_IDS, queue.name)), "name": queue.name}
        for queue in queues
    ]
