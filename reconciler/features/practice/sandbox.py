"""The sandbox: the simulator in this process, with the queues that the manifests name."""

import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Final, Literal

import httpx

from reconciler.cli.files import STATE, ignored_by_git
from reconciler.cli.hooks import OpenSandbox
from reconciler.core.errors import CxrouteError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.rule import Queue
from reconciler.core.target import Access, target_of
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState
from reconciler.features.practice.simulator.storage import StateError
from reconciler.targets.platform.transport.httpx_transport import transport_over
from reconciler.targets.platform.transport.request import Transport

_QUEUE_IDS: Final = uuid.UUID("6c1f4a0e-9f0b-4f57-9d0e-5b8f7f0f9a10")


class _Sandbox(httpx.ASGITransport):
    """The simulator in this process. A run must not retry on a full disk."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Return 501, which ends a run immediately, if the state cannot be written."""
        response = await super().handle_async_request(request)
        if response.status_code == HTTPStatus.INSUFFICIENT_STORAGE:
            response.status_code = HTTPStatus.NOT_IMPLEMENTED
        return response


@contextmanager
def _open_sandbox(
    environment: Environment,
    queues: Iterable[Queue],
    access: Access,
) -> Iterator[Transport]:
    """Open the sandbox's state, with every queue in the manifests, and yield a transport to it."""
    opened = open_state(STATE) if access == "write" else nullcontext(read_state(STATE))
    with opened as state:
        add_queues(
            state,
            queues,
            "number" if environment.api.queues == "acd-skills" else "text",
        )
        target_of(environment).prepare(environment, state)
        settings = replace(PROFILES["A"], custom_fields=custom_fields(environment))
        yield transport_over(_Sandbox(app=Simulator(state, settings)))


OPEN_SANDBOX: Final[OpenSandbox] = _open_sandbox


@contextmanager
def open_state(path: Path, start: TenantState | None = None) -> Iterator[TenantState]:
    """Open a state's file for this process only; a new file starts with `start`.

    Raises CxrouteError.
    """
    try:
        with TenantState.load(ignored_by_git(path), initial=start) as state:
            yield state
    except StateError as error:
        raise CxrouteError(str(error)) from error


def read_state(path: Path) -> TenantState:
    """Return the state of a file in memory; nothing is locked or written. Raises CxrouteError."""
    try:
        return TenantState.read(path)
    except StateError as error:
        raise CxrouteError(str(error)) from error


def custom_fields(environment: Environment) -> tuple[str, ...]:
    """Return the custom fields that the environment's endpoint writes."""
    names = environment.attributes
    if environment.context.writer != "digital-custom-fields":
        return ()
    return (names.intent, names.confidence, names.updated_at)


def add_queues(
    state: TenantState,
    queues: Iterable[Queue],
    ids: Literal["text", "number"] = "text",
) -> None:
    """Add the missing queues.

    One without an id in the manifests gets a hash of its name, or the next number.
    """
    # A queue in a manifest has its name as its id. Queues with another id come first: no new number
    # may repeat one.
    for queue in sorted(
        dict.fromkeys(queues), key=lambda queue: queue.id == queue.name
    ):
        has_id = queue.id != queue.name and (ids == "text" or queue.id.isdecimal())
        field, value = ("id", queue.id) if has_id else ("name", queue.name)
        if all(entry[field] != value for entry in state.queues):
            numbers = (
                int(entry["id"])
                for entry in state.queues
                if str(entry["id"]).isdecimal()
            )
            new_id = (
                max(numbers, default=4000) + 1
                if ids == "number"
                else uuid.uuid5(_QUEUE_IDS, queue.name)
            )
            state.queues.append(
                {"id": queue.id if has_id else str(new_id), "name": queue.name}
            )
