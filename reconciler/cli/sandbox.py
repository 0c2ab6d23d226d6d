"""The simulator as the command line uses it: in this process for the sandbox, with the queues that manifests name."""

from __future__ import annotations

import uuid
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Literal

import httpx

from reconciler.cli.local_files import STATE, kept_out_of_git
from reconciler.errors import CxrouteError
from reconciler.simulator.app import PROFILES, simulator
from reconciler.simulator.disk import StateError
from reconciler.simulator.state import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from reconciler.manifest.environment import Environment
    from reconciler.model import Queue

_QUEUE_IDS: Final = uuid.UUID("6c1f4a0e-9f0b-4f57-9d0e-5b8f7f0f9a10")


class _Sandbox(httpx.ASGITransport):
    """The simulator in this process: a full disk, unlike a server, does not come back while a run waits for it."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer 501, after which a run ends at once, where nothing was done because the state cannot be written."""
        response = await super().handle_async_request(request)
        if response.status_code == HTTPStatus.INSUFFICIENT_STORAGE:
            response.status_code = HTTPStatus.NOT_IMPLEMENTED
        return response


@contextmanager
def sandbox(environment: Environment, queues: Iterable[Queue]) -> Iterator[httpx.AsyncBaseTransport]:
    """Open the sandbox's state, with every queue that the manifests name, and yield a transport into it."""
    with opened(STATE) as state:
        add_queues(state, queues)
        yield _Sandbox(app=simulator(state, replace(PROFILES["A"], custom_fields=custom_fields(environment))))


@contextmanager
def opened(path: Path, start: State | None = None) -> Iterator[State]:
    """Open a state's file for this process alone; a new one begins as `start`. Raises CxrouteError."""
    try:
        with State.load(kept_out_of_git(path), start=start) as state:
            yield state
    except StateError as error:
        raise CxrouteError(str(error)) from error


def custom_fields(environment: Environment) -> dict[str, Literal["text", "number"]]:
    """Return the custom fields that the environment's endpoint writes, and as what rules see their values."""
    names = environment.attributes
    if environment.context.writer != "digital-custom-fields":
        return {}
    return dict.fromkeys((names.intent, names.confidence, names.updated_at), "text")


def add_queues(state: State, queues: Iterable[Queue]) -> None:
    """Give the simulated tenant the queues that it lacks; one without an id of its own gets one made of its name."""
    for queue in dict.fromkeys(queues):
        field, known = ("name", queue.name) if _unnumbered(queue) else ("id", queue.id)
        if all(other[field] != known for other in state.queues):
            state.queues.append(_form(queue))


def _unnumbered(queue: Queue) -> bool:
    """Say whether a manifest named the queue alone; what is assumed offline then has its name for an id."""
    return queue.id == queue.name


def _form(queue: Queue) -> dict[str, Any]:
    return {"id": str(uuid.uuid5(_QUEUE_IDS, queue.name)) if _unnumbered(queue) else queue.id, "name": queue.name}
