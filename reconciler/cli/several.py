"""Several environments in one process: which, how many at a time, and what becomes of the run as a whole.

One fails, and the others go on. Each is let go of as soon as it is told: what stays of it is a line and some text.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.environments import choose
from reconciler.cli.interrupt import Stop
from reconciler.cli.output import error_document
from reconciler.cli.part import Part
from reconciler.cli.progress import Bar
from reconciler.cli.session import session_in
from reconciler.cli.shard import INDEX, shard_of
from reconciler.errors import CxrouteError, InterruptedRunError, RefusedError, UsageError
from reconciler.manifest.environment import SANDBOX
from reconciler.manifest.load import load
from reconciler.render.several_text import Row
from reconciler.words import counted

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Sequence

    from reconciler.cli.output import Output
    from reconciler.cli.session import Result, Session
    from reconciler.manifest.load import Manifests
    from reconciler.render.several_text import State

AT_ONCE: Final = 8
"""Environments that are read or written at the same time. Each has its own pace, and may have 16 calls under way."""
WORST: Final = (130, 64, 1, 5, 4, 3, 2)
"""Exit codes, the worst first: of what failed least is known, then come half-done work, refusals, and what waits."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one environment: the exit code that it would have by itself, and its line in the table."""

    code: int
    row: Row
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


def choices(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose several environments."""
    parser.add_argument(
        "--all", action="store_true", help="every Environment but the sandbox; -e also takes several, as a,b"
    )
    parser.add_argument(
        "--shard",
        metavar="INDEX/COUNT",
        help=f"with --all: this share of them, counted from 0; /COUNT takes the index from ${INDEX}",
    )


def are_several(options: argparse.Namespace) -> bool:
    """Say whether the command line asks for several environments, be it that none or one is left of them."""
    return options.all or options.shard is not None or "," in _named(options)


def _named(options: argparse.Namespace) -> str:
    return options.environment or os.environ.get("CXROUTE_ENV") or ""


@dataclass(frozen=True, slots=True)
class Fleet:
    """The environments of one run, and what they share."""

    manifests: Manifests
    names: tuple[str, ...]
    options: argparse.Namespace
    output: Output
    nobody: str
    """Says why there is no environment, where there is none."""

    @classmethod
    def of(cls, options: argparse.Namespace, output: Output, among: Sequence[str] | None = None) -> Fleet:
        """Load the manifests and choose, of a saved plan `among` its own. Raises ManifestError and UsageError."""
        manifests = load(Path(options.manifests))
        names = _chosen(manifests, options, among)
        if options.shard is None:
            return cls(manifests, names, options, output, "")
        shard = shard_of(options.shard, os.environ)
        taken = tuple(name for name in names if shard.takes(name))
        which = f": {', '.join(taken)}" if taken else ""
        output.note(f"Shard {shard} takes {len(taken)} of {counted(len(names), 'environment')}{which}.")
        return cls(manifests, taken, options, output, f"No environment falls into shard {shard}: nothing to do.\n")

    def session(self, name: str, output: Output) -> Session:
        """Return one environment's session."""
        return session_in(self.manifests, self.options, output, name)

    def command(self, name: str, *more: str) -> str:
        """Return a command about all of these environments, as a person types it."""
        return replace(self._first, which=self.chosen).command(name, *more)

    def saved_command(self, plans: str, *more: str) -> str:
        """Return the command that applies saved plans."""
        return self._first.saved_command(plans, *more)

    @property
    def _first(self) -> Session:
        return self.session(self.names[0], self.output)

    @property
    def chosen(self) -> tuple[str, ...]:
        """Return the words that choose these environments."""
        return (*(("--all",) if self.options.all else ("-e", _named(self.options))), *self.share)

    @property
    def share(self) -> tuple[str, ...]:
        """Return the words that choose some of them."""
        return ("--shard", self.options.shard) if self.options.shard else ()


def _chosen(manifests: Manifests, options: argparse.Namespace, among: Sequence[str] | None) -> tuple[str, ...]:
    """Return the environments' names, each once. Raises UsageError."""
    if options.all and options.environment:
        raise UsageError("say --all or -e, not both")
    if among is not None and not options.environment:
        return tuple(among)
    if options.all:
        names = sorted(set(manifests.environments) - {SANDBOX})
        if not names:
            raise UsageError("--all: the manifests have no Environment beside the sandbox")
        return tuple(names)
    if "," not in _named(options) and among is None:
        raise UsageError("--shard shares out several environments: say --all, or several with -e")
    names = [name.strip() for name in _named(options).split(",")]
    if not all(names):
        raise UsageError(f"-e {_named(options)}: between two commas there is no name")
    if strange := [name for name in names if among is not None and name not in among]:
        raise UsageError(f"the saved plan has nothing for {strange[0]}; it is for {', '.join(among or ())}")
    return tuple(dict.fromkeys(choose(manifests, name).name for name in names))


async def each(fleet: Fleet, work: Work, stop: Stop) -> list[Told]:
    """Do the work with every environment, some at a time, in the order of their names."""
    crowd = _Crowd(fleet, work, stop, Bar(fleet.output))
    gc.freeze()  # the manifests stay: looking for what can be let go of passes them over, and costs next to nothing
    try:
        return await asyncio.gather(*map(crowd.one, fleet.names))
    finally:
        gc.unfreeze()
        crowd.bar.end()


def worst(codes: Iterable[int]) -> int:
    """Return the exit code of a run of several: the worst of theirs."""
    found = set(codes)
    return next((code for code in WORST if code in found), 0)


@dataclass(slots=True)
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


_FAILED: Final[dict[type[CxrouteError], State]] = {InterruptedRunError: "interrupted", RefusedError: "refused"}


def _failed(part: Part, error: CxrouteError) -> Done:
    """Say why an environment failed; that all were interrupted is seen in the table."""
    if part.form == "json" or not isinstance(error, InterruptedRunError):
        part.failed(error)
    return _of_error(part, error)


def _of_error(part: Part, error: CxrouteError) -> Done:
    state = _FAILED.get(type(error), "failed")
    said = state if state == "interrupted" else f"{state}: {str(error).splitlines()[0]}"
    saved = DISCRETION.dumped({"environment": part.environment, "error": error_document(error)})
    return Done(error.exit_code, Row(part.environment, "", "", state, said), saved)
