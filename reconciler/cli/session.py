"""A session: the manifests, the environment, the live rules and the planner; and its end by a
signal.
"""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.cli.base import fallback_before, load_base
from reconciler.cli.command_line import (
    SIMULATED,
    CommandLine,
    choose_environment,
    env_name,
    expected_queues,
    run_time,
    utc_now,
)
from reconciler.cli.conversation import failure_findings
from reconciler.cli.options import SelectionOptions, SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.terminal import ProgressBar
from reconciler.cli.undo import Undo
from reconciler.core.apply.settings import BlockingRunner, Result, run_inline
from reconciler.core.behaviour.endpoint_stage import FallbackPolicy
from reconciler.core.checks.route_tests import CheckResult, check
from reconciler.core.desired.desired import endpoint_stage
from reconciler.core.desired.server_clock import ServerClock
from reconciler.core.errors import (
    ApiError,
    CxrouteError,
    InterruptedRunError,
    ManifestError,
)
from reconciler.core.manifest.kinds.environment import SANDBOX, Environment
from reconciler.core.manifest.load import Manifests, load_environment, load_manifests
from reconciler.core.model.finding import Finding
from reconciler.core.pipeline import Planner, expand, read_live
from reconciler.core.plan.review import ReviewedPlan
from reconciler.core.plan.stages import LiveState, PlanOptions
from reconciler.core.target import form_of
from reconciler.core.traffic.sample import TrafficSample, declared_traffic, load_traffic
from reconciler.render.limits import ALL_ROWS
from reconciler.render.summary import SIMULATED_TENANT
from reconciler.render.text.plan import TextLimits

if TYPE_CHECKING:
    from reconciler.core.target import LiveSource

# whose tenant the simulator here replaces
PRACTICE: Final[ContextVar[str]] = ContextVar("practice", default=SANDBOX)


@dataclass(slots=True)
class Cancellation:
    """The state of a run's cancellation: signalled or not, and past the first write or not."""

    requested: bool = False
    writing: bool = False
    task: asyncio.Task[object] | None = None
    # runs within the run, which get each signal too
    children: "list[Cancellation]" = field(default_factory=list)

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

    before = {
        number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run_interruptibly(command: Callable[[Cancellation], Awaitable[Result]]) -> Result:
    """Run a command's coroutine.

    Raises InterruptedRunError if a signal arrives before the first write.
    """

    async def guarded() -> Result:
        stop = Cancellation(task=asyncio.current_task())
        for number in (signal.SIGINT, signal.SIGTERM):
            # Windows does not have these handlers; there, Ctrl-C ends the run immediately.
            with contextlib.suppress(NotImplementedError):
                asyncio.get_running_loop().add_signal_handler(number, stop.request)
        try:
            return await command(stop)
        except asyncio.CancelledError:
            raise InterruptedRunError("interrupted; nothing was written") from None

    return asyncio.run(guarded())


class LiveFile(NamedTuple):
    """Live rules and queues from a file instead of the tenant."""

    name: str
    live: LiveState


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One environment of a command: its manifests, its options for planning, its output and its
    progress bar.
    """

    manifests: Manifests
    directory: str  # the directory of the manifests, as in the command line
    environment: Environment
    options: PlanOptions
    output: Output
    progress: ProgressBar
    run_blocking: BlockingRunner = run_inline
    sample: TrafficSample | None = (
        None  # the traffic sample for shares of conversations
    )
    live_file: LiveFile | None = None
    # about the options and the file in place of the tenant
    findings: tuple[Finding, ...] = ()
    undo_request: Undo | None = None
    reviewed: ReviewedPlan | None = None  # the saved plan to apply
    # the route tests that fail offline, for the plan to show
    failed_tests: tuple[Finding, ...] = ()
    tests: tuple[CheckResult, ...] = ()  # the results of all route tests, offline
    base_option: str | None = None  # --base, as in the command line
    # what the responses of the tenant say about its clock
    server_clock: ServerClock = field(default_factory=ServerClock)

    @property
    def simulated(self) -> bool:
        """Return whether the session uses the sandbox and contacts no tenant."""
        return self.environment.name in (SANDBOX, PRACTICE.get())

    @property
    def address(self) -> str:
        """Return the address of the tenant; empty for the sandbox."""
        return "" if self.simulated else self.environment.address

    @property
    def tenant(self) -> str:
        """Return the description of the tenant for messages."""
        if self.live_file:
            return f"live rules from {self.live_file.name}"
        return (
            SIMULATED_TENANT
            if self.simulated
            else f"tenant {self.environment.tenant or self.environment.host}"
        )

    @property
    def banner(self) -> str:
        """Return the line above a result if no tenant was contacted; otherwise an empty text."""
        if self.live_file:
            return f"No tenant was contacted: the live rules come from {self.live_file.name}.\n"
        return SIMULATED if self.simulated else ""

    def print_banner(self) -> None:
        """Print the line above a text result."""
        if self.output.form == "text":
            self.output.result(self.banner)

    @property
    def limits(self) -> TextLimits:
        """Return the limits for the text of a plan; -v has none."""
        if self.output.loudness == "verbose":
            return TextLimits(
                values=ALL_ROWS, rows=ALL_ROWS, names=ALL_ROWS, verbose=True
            )
        return TextLimits()

    @property
    def command_line(self) -> CommandLine:
        """Return the words that a further command about this environment repeats."""
        return CommandLine(
            directory=self.directory,
            selection=("-e", self.environment.name),
            options=self.options,
            undo=self.undo_request,
            base=self.base_option,
        )

    def with_test_results(self) -> "Session":
        """Return the session with the results of the route tests; an undo runs none.

        Raises ManifestError.
        """
        if self.options.undo is not None or not any(
            loaded.document.tests for loaded in self.manifests.route_tests
        ):
            return self
        checked = check(self.manifests, self.environment)
        if errors := [
            finding for finding in checked.findings if finding.severity == "error"
        ]:
            raise ManifestError(errors)
        return replace(
            self,
            failed_tests=tuple(failure_findings([checked], self.directory)),
            tests=checked.tried,
        )

    def planner(
        self, live: LiveState, allowed: tuple[str, ...] = (), reason: str = ""
    ) -> Planner:
        """Return the planner for a tenant whose queues are those of `live`.

        Raises ManifestError and UsageError.
        """
        inputs = (self.manifests, self.environment)
        if self.undo_request:
            desired, advise = self.undo_request.target(*inputs, self.options, live)
        else:
            desired = expand(*inputs, live, self.options)
            advise = None
        return Planner(
            manifests=self.manifests,
            environment=self.environment,
            desired=desired,
            options=self.options,
            sample=self.sample,
            clock=utc_now,
            allowed=allowed,
            reason=reason,
            reviewed=self.reviewed,
            advise=advise,
            findings=self.findings,
            failed_tests=self.failed_tests,
            tests=self.tests,
        )

    def check_clock(self, planner: Planner) -> None:
        """Raise CxrouteError if a date lies between the tenant's clock and the one here."""
        problem = self.server_clock.problem(planner.desired.calendar, utc_now())
        if problem:
            raise CxrouteError(f"nothing was written: {problem}")

    async def read(self, client: "LiveSource") -> LiveState:
        """Read every rule and queue. If that fails, an error in the manifests comes first."""
        try:
            live = await read_live(client)
        except ApiError:
            expected_queues(self.manifests, self.environment.name)
            raise
        finally:
            self.progress.end()
        counts = client.call_counts()
        requests = f"{counts.requests} requests, {counts.retries} of them repeated"
        self.output.detail(
            f"Read {len(live.rules):,} rules and {len(live.queues):,} queues: {requests}."
        )
        return live


def load_selected_manifests(
    options: SelectionOptions, environment: str | None, undo: str | None = None
) -> Manifests:
    """Load the manifests (for an undo the Environment alone) and their base.

    Raises ManifestError and UsageError.
    """
    try:
        manifests = load_manifests(Path(options.manifests), run_time(options))
    except ManifestError:
        if undo is None and options.undo is None:
            raise
        only = load_environment(Path(options.manifests), env_name(environment))
        manifests = replace(only, instant=run_time(options))
    return replace(manifests, base=load_base(options, manifests))


def open_session(
    options: SessionOptions, output: Output, environment: str | None = None
) -> Session:
    """Load the manifests and choose the environment. Raises ManifestError and UsageError."""
    manifests = load_manifests(Path(options.manifests), run_time(options))
    name = environment or options.environment
    return build_session(manifests, options, output, name)


def build_session(
    manifests: Manifests,
    options: SessionOptions,
    output: Output,
    environment: str | None,
) -> Session:
    """Choose the environment. Raises ManifestError and UsageError."""
    chosen = choose_environment(manifests, environment)
    instant = manifests.instant_in(chosen)
    manifests = replace(manifests.at(instant), labelled=output.loudness != "verbose")
    sample = _load_sample(manifests, options, chosen)
    before = None
    # a fallback that is kept beside the rules is compared with the live one
    if manifests.base and not form_of(chosen).keeps_settings:
        before = fallback_before(manifests.base, chosen)
    base_name, base_fallback = _base_options(manifests, chosen, before)
    planning = PlanOptions(
        only=tuple(options.only or ()),
        due=options.due,
        adopt=options.adopt,
        keep_drift=options.keep_drift,
        prune=chosen.prune and not options.no_prune,
        traffic=options.traffic,
        undo=options.undo,
        base=base_name,
        base_fallback=base_fallback,
        at=None if options.at is None else instant,
    )
    return Session(
        manifests=manifests,
        directory=options.manifests,
        environment=chosen,
        options=planning,
        output=output,
        progress=ProgressBar(output),
        sample=sample,
        findings=(before,) if isinstance(before, Finding) else (),
        base_option=options.base,
    )


def _load_sample(
    manifests: Manifests, options: SessionOptions, environment: Environment
) -> TrafficSample | None:
    """Return the sample of --traffic, or the one of the Environment."""
    if options.traffic:
        return load_traffic(
            options.traffic, environment.attributes, environment.max_sample_age
        )
    loaded = manifests.environments.get(environment.name)
    if loaded is None or not options.has_traffic:
        return None
    return declared_traffic(loaded, Path(options.manifests))


def _base_options(
    manifests: Manifests,
    environment: Environment,
    before: FallbackPolicy | Finding | None,
) -> tuple[str | None, FallbackPolicy | None]:
    """Return the base for a plan's document and its fallback.

    The default base counts if it differs.
    """
    base = manifests.base
    if base is None or not isinstance(before, FallbackPolicy):
        return None, None
    same = before.settings == endpoint_stage(manifests, environment).fallback.settings
    return (None, None) if base.is_default and same else (base.revision, before)
