"""Several environments in one process: how many at a time, and what becomes of the run as a whole.

One fails, and the others go on. Each is let go of as soon as it is told: what stays of it is a line and some text.
"""

from __future__ import annotations

import asyncio
import gc
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.cli.clients import secret
from reconciler.cli.environments.choose import choose
from reconciler.cli.output import Bar, Output, Part, error_document
from reconciler.cli.signals import Stop
from reconciler.errors import CredentialsError, CxrouteError, InterruptedRunError, RefusedError
from reconciler.render.text.environments import EnvironmentRow, EnvironmentStatus
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from reconciler.apply.settings import Result
    from reconciler.cli.environments.selection import Fleet
    from reconciler.cli.session import Session


AT_ONCE: Final = 8
"""Environments that are read or written at the same time. Each has its own pace, and may have 16 calls under way."""
WORST: Final = (130, 64, 1, 5, 4, 3, 2)
"""Exit codes, the worst first: of what failed least is known, then come half-done work, refusals, and what waits."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one environment: the exit code that it would have by itself, and its line in the table."""

    code: int
    row: EnvironmentRow
    saved: str = ""
    """Its plan in JSON, where that is to be kept."""


@dataclass(frozen=True, slots=True)
class Told:
    """What became of one environment, and what there is to print of it."""

    done: Done
    text: str


class Work(Protocol):
    """What is done with each environment; it prints into the session's output."""

    async def __call__(self, session: Session, stop: Stop, /) -> Done:
        """Do it. Raises the errors of `reconciler.errors`."""


async def each(fleet: Fleet, work: Work, stop: Stop) -> list[Told]:
    """Do the work with every environment, some at a time, in the order of their names."""
    crowd = _Crowd(fleet=fleet, work=work, stop=stop, bar=Bar(fleet.output))
    _keep_secrets(fleet)
    gc.freeze()  # the manifests stay: looking for what can be let go of passes them over, and costs next to nothing
    try:
        return await asyncio.gather(*map(crowd.one, fleet.names))
    finally:
        gc.unfreeze()
        crowd.bar.end()


def _keep_secrets(fleet: Fleet) -> None:
    """Learn the secrets of all of them first: what one tenant says must not show that of one that comes later."""
    for name in fleet.names:
        loaded = fleet.manifests.environments.get(name)
        names = loaded.document.credentials if loaded else None
        for variable in (names.client_secret_env, names.access_key_secret_env) if names else ():
            with suppress(CredentialsError):  # said when it is needed
                REDACTOR.add(secret(variable))


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of a run of several: the worst of theirs."""
    found = set(codes)
    return next((code for code in WORST if code in found), 0)


@dataclass(slots=True, kw_only=True)
class _Crowd:
    fleet: Fleet
    work: Work
    stop: Stop
    bar: Bar
    told: int = 0
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    hosts: dict[str, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    """Environments of one host take turns: they are one tenant, whose rate is stated for all who use it."""
    mind: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def one(self, name: str) -> Told:
        """Do the work with one environment; whatever goes wrong is its own."""
        part = Part.of_environment(self.fleet.output, name)
        stop = Stop(task=asyncio.current_task())
        self.stop.parts.append(stop)
        try:
            async with self.hosts[choose(self.fleet.manifests, name).host], self.gate:
                session = replace(self.fleet.session(name, part), thinking=self.think, bar=Bar(quiet(part)))
                done = await self.work(session, stop)
        except asyncio.CancelledError:
            done = _failed(part, InterruptedRunError("interrupted; nothing was written"))
        except CxrouteError as error:
            done = _failed(part, error)
        except Exception as bug:  # noqa: BLE001 - one tenant's oddity is no reason to leave the others as they are
            done = _of_error(part, part.bug(bug))
        self.told += 1
        if self.told % AT_ONCE == 0:
            gc.collect()  # what went in circles: connections, tasks
        self.bar.step("environments", self.told, len(self.fleet.names))
        return Told(done, "".join(part.kept))

    async def think(self, work: Callable[[], Result], /) -> Result:
        """Plan beside the loop, one at a time: answers that come meanwhile must not be taken for late."""
        async with self.mind:
            return await asyncio.to_thread(work)


def quiet(output: Output) -> Output:
    """Return the output that says nothing beside results and errors."""
    return replace(output, loudness="quiet")


_FAILED: Final[dict[type[CxrouteError], EnvironmentStatus]] = {
    InterruptedRunError: "interrupted",
    RefusedError: "refused",
}


def _failed(part: Part, error: CxrouteError) -> Done:
    """Say why an environment failed; that all were interrupted is seen in the table."""
    if part.form == "json" or not isinstance(error, InterruptedRunError):
        part.failed(error)
    return _of_error(part, error)


def _of_error(part: Part, error: CxrouteError) -> Done:
    state = _FAILED.get(type(error), "failed")
    said = state if state == "interrupted" else f"{state}: {str(error).splitlines()[0]}"
    saved = REDACTOR.dump_redacted({"environment": part.environment, "error": error_document(error)})
    return Done(
        error.exit_code,
        EnvironmentRow(environment=part.environment, changes="", impact="", status=state, detail=said),
        saved,
    )
