"""The environments of a command (-e a,b, --all, --shard, a saved plan), its work with each, and the
report.
"""

import asyncio
import gc
import os
import re
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import Any, Final, Literal

from reconciler.cli.base import announce_base
from reconciler.cli.clients import read_secret
from reconciler.cli.command_line import (
    CommandLine,
    choose_environment,
    env_name,
    split_names,
)
from reconciler.cli.files import new_folder, write_text
from reconciler.cli.options import SelectionOptions
from reconciler.cli.output import BufferedOutput, Output, error_document
from reconciler.cli.session import (
    Cancellation,
    Session,
    build_session,
    load_selected_manifests,
    run_interruptibly,
)
from reconciler.cli.terminal import ProgressBar
from reconciler.core.apply.settings import Result
from reconciler.core.errors import (
    CredentialsError,
    CxrouteError,
    InterruptedRunError,
    RefusedError,
    UsageError,
)
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.manifest.load import Manifests
from reconciler.core.plan.review import ReviewedPlan
from reconciler.core.text.escape import pluralize
from reconciler.core.text.redact import REDACTOR
from reconciler.render.environment_list import EnvironmentList, JoinEnvironments
from reconciler.render.text.environments import (
    EnvironmentRow,
    EnvironmentStatus,
    environments_markdown,
)

# by environment; the error's text of one that failed
SavedPlans = Mapping[str, ReviewedPlan | str]
# set by Kubernetes: the index of this pod in an Indexed Job, from 0
INDEX: Final = "JOB_COMPLETION_INDEX"
_SHAPE: Final = re.compile(r"([0-9]{1,6})?/([0-9]{1,6})", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]{1,6}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Shard:
    """One of `count` shares; `index` counts from 0."""

    index: int
    count: int

    def includes(self, name: str) -> bool:
        """Return whether an environment is in this share: by the digest of its name, modulo the
        count.
        """
        return (
            int.from_bytes(sha256(name.encode()).digest()[:8], "big") % self.count
            == self.index
        )

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def parse_shard(text: str, variables: Mapping[str, str]) -> Shard:
    """Read INDEX/COUNT, or /COUNT with the index in a variable. Raises UsageError."""
    parts = _SHAPE.fullmatch(text)
    if parts is None:
        raise UsageError(
            f"--shard {text[:100]!r}: must be INDEX/COUNT, such as 0/4, or /4 with the index in "
            f"${INDEX}"
        )
    index = parts[1] or variables.get(INDEX, "")
    count = int(parts[2])
    if not index:
        raise UsageError(
            f"--shard {text}: ${INDEX} has no index. Specify INDEX/COUNT, such as 0/{count}"
        )
    if not _NUMBER.fullmatch(index):
        raise UsageError(
            f"--shard {text}: ${INDEX} is {index[:100]!r}, which is not a number"
        )
    if int(index) >= count:
        raise UsageError(
            f"--shard {index}/{count}: indexes count from 0, so the last of {count} is {count - 1}"
        )
    return Shard(int(index), count)


def is_list(options: SelectionOptions) -> bool:
    """Return whether the options request a list of environments, even if the shard leaves none or
    one.
    """
    return (
        options.all or options.shard is not None or "," in env_name(options.environment)
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentSelection:
    """The environments of one command, and the values that they share.

    One environment is the usual case.
    """

    manifests: Manifests
    names: tuple[str, ...]
    options: SelectionOptions
    output: Output
    listed: bool = False
    """The report is a list, with a table and a part for each environment, even for one environment
    or none."""
    nothing: str = ""  # why the list is empty

    @classmethod
    def of(
        cls, options: SelectionOptions, output: Output, saved: SavedPlans | None = None
    ) -> "EnvironmentSelection":
        """Load the manifests and choose environments, or those of saved plans.

        Raises ManifestError and UsageError.
        """
        if saved is None and not is_list(options):
            return cls.single(options, output, options.environment, None)
        manifests = load_selected_manifests(options, options.environment)
        announce_base(manifests, output)
        names = _chosen(manifests, options, None if saved is None else tuple(saved))
        nothing = ""
        if options.shard is not None:
            shard = parse_shard(options.shard, os.environ)
            total = pluralize(len(names), "environment")
            names = tuple(filter(shard.includes, names))
            note = f"Shard {shard} takes {len(names)} of {total}"
            if names:
                note += f": {', '.join(names)}"
            output.note(f"{note}.")
            nothing = f"Shard {shard} has no environments: nothing to do.\n"
        return cls(
            manifests=manifests,
            names=names,
            options=options,
            output=output,
            listed=True,
            nothing=nothing,
        )

    @classmethod
    def single(
        cls,
        options: SelectionOptions,
        output: Output,
        name: str | None,
        undo: str | None,
    ) -> "EnvironmentSelection":
        """Load the manifests and choose one environment. Raises ManifestError and UsageError."""
        manifests = load_selected_manifests(options, name, undo)
        announce_base(manifests, output)
        names = (choose_environment(manifests, name).name,)
        return cls(manifests=manifests, names=names, options=options, output=output)

    def session(self, name: str, output: Output) -> Session:
        """Return one environment's session."""
        return build_session(self.manifests, self.options, output, name)

    def folder(self, path: str, name: str) -> Path:
        """Return the folder of one environment's report.

        In a list, each environment has its own.
        """
        return Path(path) / name if self.listed else Path(path)

    @property
    def command_line(self) -> CommandLine:
        """Return the words that a further command about these environments repeats."""
        command_line = self.session(self.names[0], self.output).command_line
        if self.listed:
            command_line = replace(command_line, selection=self.words)
        return command_line

    @property
    def words(self) -> tuple[str, ...]:
        """Return the words that choose the environments of a list."""
        if self.options.all:
            return ("--all", *self.share)
        return ("-e", env_name(self.options.environment), *self.share)

    @property
    def share(self) -> tuple[str, ...]:
        """Return the words that choose a share of the environments."""
        if not self.options.shard:
            return ()
        return ("--shard", self.options.shard)


def _chosen(
    manifests: Manifests, options: SelectionOptions, among: Sequence[str] | None
) -> tuple[str, ...]:
    if options.all and options.environment:
        raise UsageError("specify --all or -e, not both")
    if among is not None and not options.environment:
        return tuple(among)
    if options.all:
        defined = sorted(set(manifests.environments) - {SANDBOX})
        if not defined:
            raise UsageError(
                "--all: the manifests define no Environment except the sandbox"
            )
        return tuple(defined)
    if "," not in env_name(options.environment) and among is None:
        raise UsageError(
            "--shard divides several environments: specify --all, or several with -e"
        )
    names = split_names(env_name(options.environment))
    if strange := [name for name in names if among is not None and name not in among]:
        raise UsageError(
            f"the saved plan does not contain {strange[0]}; it contains {', '.join(among or ())}"
        )
    return tuple(choose_environment(manifests, name).name for name in names)


AT_ONCE: Final = 8
"""Environments that are read or written concurrently.

Each has its own rate limit and up to 16 calls in progress.
"""
WORST: Final = (130, 64, 1, 5, 4, 3, 2)
"""Exit codes, the worst first: unknown results, then partly applied changes, refusals, and pending
changes."""


_NO_ROW: Final = EnvironmentRow(environment="", changes="", impact="", status="same")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentResult:
    """The result for one environment: the exit code that it would have alone, and its row of the
    table.
    """

    code: int
    row: EnvironmentRow = _NO_ROW  # only a list has a table
    saved: str = ""  # its plan in JSON, where a list saves it
    text: str = ""  # its part of a list's output
    error: Mapping[str, Any] | None = None  # the error that ended it, as a document


# it prints into the session's output
Work = Callable[[Session, Cancellation], Awaitable[EnvironmentResult]]
OnSignal = Literal["end all", "tell each"]
# completes a session before the tenant is read; CPU-bound, may take long
Prepare = Callable[[Session], Session]


def run_environments(
    selection: EnvironmentSelection,
    work: Work,
    prepare: Prepare | None = None,
    on_signal: OnSignal = "end all",
) -> tuple[int, list[EnvironmentResult]]:
    """Do the work with every selected environment; return the exit code, and the reports of a
    list.
    """
    if not selection.listed:
        session = selection.session(selection.names[0], selection.output)
        session = prepare(session) if prepare else session
        return run_interruptibly(lambda stop: work(session, stop)).code, []

    async def run_all(stop: Cancellation) -> list[EnvironmentResult]:
        # an environment that has started to write finishes
        stop.writing = on_signal == "tell each"
        return await run_list(selection, work, stop, prepare)

    reports = run_interruptibly(run_all)
    return worst_exit_code(report.code for report in reports), reports


async def run_list(
    selection: EnvironmentSelection,
    work: Work,
    stop: Cancellation,
    prepare: Prepare | None = None,
) -> list[EnvironmentResult]:
    """Do the work with every environment of a list, some at a time; return the reports in the order
    of the names.
    """
    # All secrets are registered first, so that no tenant's response can show the secret of a later
    # one.
    for name in selection.names:
        loaded = selection.manifests.environments.get(name)
        names = loaded.document.credentials if loaded else None
        for variable in (
            (names.client_secret_env, names.access_key_secret_env) if names else ()
        ):
            with suppress(CredentialsError):  # reported when the secret is needed
                REDACTOR.add(read_secret(variable))
    bar = ProgressBar(selection.output)
    runner = _EnvironmentRunner(
        selection=selection, work=work, stop=stop, prepare=prepare, bar=bar
    )
    # the manifests stay in memory: the collector skips them, which makes a collection cheap
    gc.freeze()
    try:
        return await asyncio.gather(*map(runner.run, selection.names))
    finally:
        gc.unfreeze()
        bar.end()


@dataclass(slots=True, kw_only=True)
class _EnvironmentRunner:
    selection: EnvironmentSelection
    work: Work
    stop: Cancellation
    prepare: Prepare | None
    bar: ProgressBar
    finished: int = 0
    gate: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))
    hosts: dict[str, asyncio.Lock] = field(
        default_factory=lambda: defaultdict(asyncio.Lock)
    )
    """Environments with the same host take turns: they are one tenant, with one rate limit for all
    clients."""
    cpu: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def run(self, name: str) -> EnvironmentResult:
        shared = {
            field.name: getattr(self.selection.output, field.name)
            for field in fields(Output)
        }
        part = BufferedOutput(**{**shared, "asks": False}, environment=name)
        try:
            result = await self.run_in_turn(name, part)
        except (asyncio.CancelledError, CxrouteError) as failure:
            interrupted = InterruptedRunError("interrupted; nothing was written")
            error = failure if isinstance(failure, CxrouteError) else interrupted
            if part.form == "json" or not isinstance(error, InterruptedRunError):
                part.failed(error)
            result = _of_error(part, error)
        except Exception as bug:  # noqa: BLE001 - a bug with one tenant must not stop the others
            result = _of_error(part, part.bug(bug))
        self.finished += 1
        if self.finished % AT_ONCE == 0:
            gc.collect()  # reference cycles of connections and tasks
        self.bar.step("environments", self.finished, len(self.selection.names))
        return replace(result, text="".join(part.buffer))

    async def run_in_turn(self, name: str, part: BufferedOutput) -> EnvironmentResult:
        """Do the work for one environment when it is the turn of its host."""
        stop = Cancellation(task=asyncio.current_task())
        self.stop.children.append(stop)
        environment = choose_environment(self.selection.manifests, name)
        async with self.hosts[environment.host], self.gate:
            hidden = ProgressBar(replace(part, loudness="quiet"))
            session = self.selection.session(name, part)
            session = replace(session, progress=hidden, run_blocking=self.run_blocking)
            if self.prepare:
                session = await self.run_blocking(partial(self.prepare, session))
            return await self.work(session, stop)

    async def run_blocking(self, work: Callable[[], Result], /) -> Result:
        """Run work in a thread, one piece at a time: responses that arrive during the work must not
        count as late.
        """
        async with self.cpu:
            return await asyncio.to_thread(work)


def _of_error(part: BufferedOutput, error: CxrouteError) -> EnvironmentResult:
    states: dict[type, EnvironmentStatus] = {
        InterruptedRunError: "interrupted",
        RefusedError: "refused",
    }
    state = states.get(type(error), "failed")
    detail: str = state
    if state != "interrupted":
        detail = f"{state}: {str(error).splitlines()[0]}"
    document = error_document(error)
    saved = REDACTOR.dump_redacted({"environment": part.environment, "error": document})
    row = EnvironmentRow(
        environment=part.environment, changes="", impact="", status=state, detail=detail
    )
    return EnvironmentResult(code=error.exit_code, row=row, saved=saved, error=document)


def worst_exit_code(codes: Iterable[int]) -> int:
    """Return the exit code of a list: the worst of its environments'."""
    distinct = set(codes)
    return next((code for code in WORST if code in distinct), 0)


def print_list(
    selection: EnvironmentSelection,
    reports: Sequence[EnvironmentResult],
    title: str,
    join: JoinEnvironments,
) -> None:
    """Print a list in one form; write its table into the folder of `--report`, if there is one."""
    if not selection.listed:
        return  # a single environment has printed its own result
    output = selection.output
    rows = [report.row for report in reports]
    folder = selection.options.report
    if folder:
        path = new_folder(Path(folder)) / "environments.md"
        markdown = environments_markdown(rows, title)
        write_text(path, REDACTOR.redact(markdown))

    is_verbose = output.loudness == "verbose"
    printed = EnvironmentList(
        title=title,
        rows=rows,
        texts=[report.text for report in reports],
        nothing=selection.nothing,
        extent="every environment" if is_verbose else "differences",
        style=output.paint,
        token=token_hex(16),
    )
    output.result(join(printed))
