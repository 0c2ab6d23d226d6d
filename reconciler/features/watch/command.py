"""`cxroute watch`: a loop that compares a tenant with the manifests, and with --apply corrects
it.
"""

import argparse
import asyncio
import contextlib
import random
import re
import signal
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from http import HTTPStatus
from itertools import chain
from typing import Any, Final, NamedTuple

from reconciler.cli.arguments import requires_extra
from reconciler.cli.clients import open_source
from reconciler.cli.command_line import utc_now
from reconciler.cli.commands import drift, plan
from reconciler.cli.execute import execute_plan
from reconciler.cli.options import SessionOptions
from reconciler.cli.output import Output
from reconciler.cli.process_metrics import process_metrics
from reconciler.cli.session import (
    Cancellation,
    Session,
    open_session,
    run_interruptibly,
)
from reconciler.cli.step_conditions import ask_conditions
from reconciler.core.apply.progress import ApplyReport
from reconciler.core.errors import (
    CxrouteError,
    InterruptedRunError,
    ManifestError,
    UsageError,
)
from reconciler.core.plan.drift import Drift
from reconciler.core.plan.stages import Changes
from reconciler.core.target import Access, LiveSource
from reconciler.core.text.hosts import LAST_PORT, url_of
from reconciler.core.text.prometheus import CONTENT_TYPE, exposition
from reconciler.features.watch import cycle as cycles
from reconciler.features.watch.cycle import (
    MAX_WAITING,
    CycleResult,
    Message,
    NotificationKind,
    NotificationState,
    WatchLoop,
    WatchMetrics,
)
from reconciler.features.watch.dates import (
    boundaries_of,
    next_boundary,
    waiting_sentence,
)
from reconciler.features.watch.notify import build_message, deliver_messages
from reconciler.features.watch.text import cycle_document, cycle_line
from reconciler.render.text.apply import report_text

_INTERVAL: Final = re.compile(r"([1-9][0-9]{0,5})([smh])", re.ASCII)
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SHORTEST: Final = 10.0
_LONGEST: Final = 86_400.0
_LISTEN: Final = re.compile(
    r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", re.ASCII
)
_BAD: Final = ("failed", "partly", "refused")

HELP: Final = """\
Each round reads the manifests and the tenant again. Without --apply, nothing is written. With --apply, no guard is
lifted: changes that apply would refuse, also during a freeze, are reported and not made. If a tenant does not keep the
first rule, the loop writes again only after the manifests change or the loop restarts.

stdout shows new differences and changes; stderr has one line per round (--log-format json: as JSON). After failures,
rounds are further apart, up to 15 minutes. A round also starts at each date of a rule. SIGHUP starts the next round
immediately. SIGTERM ends the loop with exit code 0, or 130 if it arrives between two writes and changes remain. The
webhook of the Environment (`notify:`) receives the same messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchOptions(SessionOptions):
    """The options of `cxroute watch`."""

    has_traffic = True
    every: str
    apply: bool
    listen: str | None


def options(parser: argparse.ArgumentParser) -> type[WatchOptions]:
    add = parser.add_argument
    add(
        "--every",
        metavar="TIME",
        default="5m",
        help="time between rounds: 30s, 5m, 1h (default: 5m)",
    )
    add("--apply", action="store_true", help="apply the differences in each round")
    add(
        "--listen",
        metavar="HOST:PORT",
        help="serve /metrics and /health on this address, such as 127.0.0.1:9090",
    )
    plan.add_only_option(parser)
    add(
        "--keep-drift",
        action="store_true",
        help="do not change rules that were edited in CXone",
    )
    add("--no-prune", action="store_true", help="do not delete rules")
    add(
        "--traffic",
        metavar="FILE",
        help="traffic sample for the guard `traffic`, CSV of intent,...,count",
    )
    parser.epilog = HELP
    return WatchOptions


def run(options: WatchOptions, output: Output) -> int:
    """Watch until SIGINT or SIGTERM."""
    interval = _parse_interval(options.every)
    listener = _open_health_listener(options.listen) if options.listen else None
    with listener or contextlib.nullcontext():
        session = open_session(options, output)
        session.print_banner()
        watch = _Watch(
            options=options, output=output, session=session, interval=interval
        )
        return run_interruptibly(lambda stop: watch.run(stop, listener))


def _parse_interval(text: str) -> float:
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise UsageError(
            f"--every {text[:20]}: must be a whole number of seconds, minutes or hours: 30s, 5m, 1h"
        )
    seconds = int(match[1]) * _UNITS[match[2]]
    if not _SHORTEST <= seconds <= _LONGEST:
        raise UsageError(
            f"--every {text}: must be at least {_SHORTEST:.0f}s, to limit the API calls, and at "
            f"most 24h"
        )
    return seconds


def _open_health_listener(address: str) -> socket.socket:
    match = _LISTEN.fullmatch(address)
    if match is None or int(match[2]) > LAST_PORT:
        raise UsageError(
            f"--listen {address[:100]}: must be a host and a port, such as 127.0.0.1:9090"
        )
    with requires_extra("serve", "--listen"):
        from reconciler.cli.http_server import open_listener  # noqa: PLC0415 - an extra that only this option needs
    return open_listener(match[1], int(match[2]))


@dataclass(slots=True, kw_only=True)
class _Watch:
    options: WatchOptions
    output: Output
    session: Session  # the latest session that could be opened
    interval: float  # seconds
    loop: WatchLoop = field(init=False)
    cycle: CycleResult = field(init=False)  # the current cycle so far
    # starts the next round now
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    metrics: WatchMetrics = field(default_factory=WatchMetrics)
    news: NotificationState = field(default_factory=NotificationState)
    waiting: deque[Message] = field(default_factory=lambda: deque(maxlen=MAX_WAITING))
    # manifests and report of a round whose first rule was not kept
    unkept: tuple[str, ApplyReport] | None = None
    # when rules change by their dates, as of the last plan
    boundaries: tuple[datetime, ...] = ()

    async def run(self, stop: Cancellation, listener: socket.socket | None) -> int:
        self.loop = WatchLoop(
            interval=self.interval,
            clock=time.monotonic,
            sleep=self.wait,
            random=random.random,
            until_boundary=self.until_boundary,
        )
        async with AsyncExitStack() as stack:
            pages = ""
            if listener is not None:
                server = serve_health(
                    listener,
                    self.metrics_page,
                    lambda: self.loop.is_alive,
                    self.log_refusal,
                )
                await stack.enter_async_context(server)
                pages = f", with /metrics and /health on {url_of(listener)}"
            # Windows has neither this signal nor signal handlers of a loop.
            with contextlib.suppress(NotImplementedError, AttributeError):
                asyncio.get_running_loop().add_signal_handler(
                    signal.SIGHUP, self.wake.set
                )
            self.print_start(pages)
            try:
                last = await self.loop.run(
                    lambda: self.run_cycle(stop), self.report, lambda: stop.requested
                )
            except asyncio.CancelledError:
                if not stop.requested:
                    raise
                return 0
        report = last.report
        if report is not None and report.interrupted and not report.converged:
            return InterruptedRunError.exit_code
        return 0

    def print_start(self, pages: str) -> None:
        action = "Reconciling" if self.options.apply else "Watching"
        name = self.session.environment.name
        self.output.result(
            f"{action} {name} every {self.options.every}{pages}   (stop it with Ctrl-C)\n"
        )
        self.output.flush()

    def metrics_page(self) -> str:
        return exposition(chain(self.metrics.lines(), process_metrics()))

    def log_refusal(self, status: HTTPStatus | None, reason: str) -> None:
        fields = {"event": "refused", "status": status, "reason": reason}
        self.output.event(
            "warning", f"a request to --listen was refused: {reason}", fields
        )

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        self.wake.clear()

    async def run_cycle(self, stop: Cancellation) -> CycleResult:
        started = time.monotonic()
        self.cycle = CycleResult(started_at=utc_now(), may_write=self.options.apply)
        try:
            session = open_session(self.options, self.output).with_test_results()
            self.session = replace(session, run_blocking=asyncio.to_thread)
            access: Access = "write" if self.options.apply else "read"
            async with open_source(self.session, access) as client:
                try:
                    await self.plan_and_heal(client, stop)
                finally:
                    self.record(calls=client.call_counts())
        except CxrouteError as error:
            self.record(error=error)
        except Exception as bug:  # noqa: BLE001 - the bug is reported, and the next round may succeed
            self.record(error=self.output.bug(bug))
        finally:
            stop.writing = False
        self.record(seconds=time.monotonic() - started)
        return self.cycle

    def record(self, **fields: Any) -> None:  # noqa: ANN401 - any field of a cycle
        self.cycle = replace(self.cycle, **fields)

    async def plan_and_heal(self, client: LiveSource, stop: Cancellation) -> None:
        session = self.session
        live = await session.read(client)
        planner = await session.run_blocking(partial(session.planner, live))
        if self.options.apply:
            session.check_clock(planner)
            planner = await ask_conditions(planner, live)
        plan = await session.run_blocking(partial(planner.build, live))
        self.record(plan=plan)
        self.record(drift=await self.compute_drift(plan))
        if (
            self.options.apply
            and plan.has_work
            and not cycles.is_blocked(plan)
            and not stop.requested
        ):
            report = self.last_unkept(plan) or await execute_plan(
                session, client, planner, plan, stop, reason="watch"
            )
            self.record(report=report)
            self.unkept = None
            if report.first_write_altered:
                self.unkept = (plan.manifest_digest, report)
            remaining = report.remaining
            self.record(drift=remaining and await self.compute_drift(remaining))

    def until_boundary(self, cycle: CycleResult) -> float | None:
        """Return the seconds from now to the first date after a cycle began; below 0 if it is over,
        None without one.
        """
        if cycle.plan is not None:
            self.boundaries = boundaries_of(cycle.plan)
        boundary = next_boundary(self.boundaries, cycle.started_at)
        if boundary is None:
            return None
        return (boundary - utc_now()).total_seconds()

    async def compute_drift(self, plan: Changes) -> Drift:
        work = partial(drift.compute_drift, self.session, plan)
        return await self.session.run_blocking(work)

    def last_unkept(self, plan: Changes) -> ApplyReport | None:
        """Return the report of a round whose first rule was not kept, while the manifests are the
        same: nothing is written again then.
        """
        if self.unkept is None:
            return None
        digest, report = self.unkept
        if plan.managed or plan.manifest_digest != digest:
            return None
        return report

    async def report(self, cycle: CycleResult, following: float) -> None:
        """Count and log a round, print its news, and deliver all waiting messages."""
        self.metrics.record_cycle(cycle, self.loop.failures)
        self.log_cycle(cycle, following)

        now = self.loop.clock()
        for kind in self.news.find_due(cycle, now):
            message = build_message(self.session, kind, cycle)
            self.waiting.append(message)
            self.print_news(kind, cycle)

        delivered, failed = await deliver_messages(self.session, self.waiting)
        self.metrics.notifications.update(sent=delivered, failed=failed)

    def log_cycle(self, cycle: CycleResult, following: float) -> None:
        """Write the line of a round; `following` is the seconds until the next one."""
        level = "warning" if cycle.status in _BAD else "info"
        name = self.session.environment.name
        line = cycle_line(cycle, following)
        document = cycle_document(cycle, name, following)
        self.output.event(level, line, document)

    def print_news(self, kind: NotificationKind, cycle: CycleResult) -> None:
        session = self.session
        output = self.output
        if cycle.report is not None and kind in ("applied", "failed"):
            command = session.command_line.command("plan")
            text = report_text(cycle.report, output.paint, command, cycle.seconds)
            output.result(text)
        elif cycle.plan is not None and kind == "refused":
            plan.print_plan(session, cycle.plan)
            plan.print_next_command(session, cycle.plan, None)
        elif cycle.plan is not None and cycle.drift is not None and kind == "drift":
            drift.print_drift(session, cycle.drift, cycle.plan)
        elif cycle.remaining is not None and kind == "waiting":
            for each in cycle.remaining.waiting:
                output.result(f"{waiting_sentence(each, cycle.remaining)}\n")
        elif isinstance(cycle.error, ManifestError) and output.log_format == "text":
            output.failed(cycle.error)
        output.flush()


class _Answer(NamedTuple):
    status: int
    text: str
    media: bytes = b"text/plain; charset=utf-8"


def _answer(
    scope: Mapping[str, Any], metrics: Callable[[], str], alive: Callable[[], bool]
) -> _Answer:
    """Return the answer to a request for a page."""
    if scope["method"] not in ("GET", "HEAD"):
        return _Answer(405, "GET only\n")
    if scope["path"] == "/metrics":
        return _Answer(200, metrics(), CONTENT_TYPE)
    if scope["path"] != "/health":
        return _Answer(404, "not found: use /metrics or /health\n")
    if alive():
        return _Answer(200, "ok\n")
    return _Answer(503, "no round has started for too long\n")


@asynccontextmanager
async def serve_health(
    listener: socket.socket,
    metrics: Callable[[], str],
    alive: Callable[[], bool],
    on_refusal: Callable[[HTTPStatus | None, str], object] = lambda _status, _reason: (
        None
    ),
) -> AsyncIterator[None]:
    """Serve `/metrics` and `/health` on a listening socket while the block runs.

    Requires the extra `serve`.
    """
    from reconciler.cli.http_server import serve_in_background  # noqa: PLC0415 - an extra that only --listen needs

    async def app(
        scope: dict[str, Any],
        _receive: object,
        send: Callable[[dict[str, Any]], Awaitable[None]],
    ) -> None:
        status, text, media = _answer(scope, metrics, alive)
        body = text.encode()
        headers = [
            (b"content-type", media),
            (b"content-length", str(len(body)).encode()),
        ]
        await send(
            {"type": "http.response.start", "status": status, "headers": headers}
        )
        await send({"type": "http.response.body", "body": body})

    async with serve_in_background(app, listener, on_refusal):
        yield
