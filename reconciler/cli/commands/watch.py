"""`cxroute watch`: the loop that looks at a tenant again and again, and with --apply heals it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import re
import signal
import socket
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from reconciler.apply.progress import ApplyReport
from reconciler.cli.arguments import missing_extra
from reconciler.cli.clients import open_reading_client, open_writing_client
from reconciler.cli.commands import drift, plan
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.execute import execute_plan
from reconciler.cli.notify import build_message, deliver_messages
from reconciler.cli.output import Output
from reconciler.cli.session import Session, open_session
from reconciler.cli.signals import Cancellation, run_interruptibly
from reconciler.cxone.client import ReadingClient, WritingClient
from reconciler.errors import CxrouteError, InterruptedRunError, ManifestError, UsageError
from reconciler.render.text.apply import report_text
from reconciler.render.text.watch import cycle_document, cycle_line
from reconciler.watch.cycle import ApiCallCounts, CycleResult, is_blocked
from reconciler.watch.loop import Interval, WatchLoop
from reconciler.watch.metrics import WatchMetrics
from reconciler.watch.notifications import NotificationKind, NotificationState, Outbox

_INTERVAL: Final = re.compile(r"([1-9][0-9]{0,5})([smh])", re.ASCII)
_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0}
_SHORTEST, _LONGEST = 10.0, 86_400.0
_LISTEN: Final = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+):([0-9]{1,5})", re.ASCII)
_LAST_PORT: Final = 65_535
_BAD: Final = ("failed", "partly", "refused")

HELP: Final = """\
Each round reads the manifests and the tenant anew. Without --apply nothing is written. With it no guard is ever lifted:
what apply would refuse, in a freeze too, is reported and left as it is. A tenant that does not keep the first rule is
written again when the manifests change, or the loop is started anew.

stdout says what differs, or was done, when that is news; stderr has one line a round (--log-format json: as JSON).
After failures rounds are further apart, up to 15 minutes. SIGHUP begins the next round at once. SIGTERM ends the loop:
with exit code 0, or 130 where it came between two writes and something was left undone. The web hook that the
Environment names (`notify:`) is told what is news."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add watch's options."""
    add = parser.add_argument
    add("--every", metavar="TIME", default="5m", help="from round to round: 30s, 5m, 1h (default: 5m)")
    add("--apply", action="store_true", help="make what differs as the manifests say, each time")
    add("--listen", metavar="HOST:PORT", help="serve /metrics and /health there, such as 127.0.0.1:9090")
    add("--only", action="append", metavar="ADDRESS", help="only this rule, or rules like cards/*")
    add("--keep-drift", action="store_true", help="leave alone what was changed outside")
    add("--no-prune", action="store_true", help="delete nothing")
    add("--traffic", metavar="FILE", help="a sample for the guard `traffic`, CSV of intent,...,count")
    parser.epilog = HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Watch until SIGINT or SIGTERM."""
    rhythm = Interval(parse_interval(options.every))
    listener = open_health_listener(options.listen) if options.listen else None
    try:
        session = open_session(options, output)
        session.terminal.print_banner(session.banner)
        watch = _Watch(options=options, output=output, session=session, interval=rhythm)
        return run_interruptibly(lambda stop: watch.run(stop, listener))
    finally:
        if listener is not None:
            listener.close()


def parse_interval(text: str) -> float:
    """Return the seconds of a time such as 30s, 5m or 1h. Raises UsageError."""
    match = _INTERVAL.fullmatch(text)
    if match is None:
        raise UsageError(f"--every {text[:20]}: say a whole number of seconds, minutes or hours, such as 30s, 5m or 1h")
    seconds = int(match[1]) * _UNITS[match[2]]
    if not _SHORTEST <= seconds <= _LONGEST:
        raise UsageError(f"--every {text}: at least {_SHORTEST:.0f}s, so that the tenant is not worn, and at most 24h")
    return seconds


def open_health_listener(address: str) -> socket.socket:
    """Return a socket that listens. Raises UsageError, and CxrouteError where it cannot be had."""
    match = _LISTEN.fullmatch(address)
    if match is None or int(match[2]) > _LAST_PORT:
        raise UsageError(f"--listen {address[:100]}: say a host and a port, such as 127.0.0.1:9090")
    try:
        from reconciler.endpoint.server import open_listener  # noqa: PLC0415 - an extra that only this option needs
    except ImportError as error:
        raise missing_extra("--listen") from error
    try:
        return open_listener(match[1].strip("[]"), int(match[2]))
    except OSError as error:
        raise CxrouteError(f"cannot listen on {address}: {error.strerror or error}") from error


@dataclass(slots=True, kw_only=True)
class _Watch:
    options: argparse.Namespace
    output: Output
    session: Session  # the newest one that could be opened
    interval: Interval
    loop: WatchLoop = field(init=False)
    cycle: CycleResult = field(init=False)  # the one under way, as far as it has come
    wake: asyncio.Event = field(default_factory=asyncio.Event)  # Somebody wants the next round now
    metrics: WatchMetrics = field(default_factory=WatchMetrics)
    news: NotificationState = field(default_factory=NotificationState)
    outbox: Outbox = field(default_factory=Outbox)
    unkept: tuple[str, ApplyReport] | None = None
    """What the manifests wanted, and how the round ended, when the tenant did not keep the first rule."""

    def __post_init__(self) -> None:
        self.loop = WatchLoop(interval=self.interval, clock=time.monotonic, sleep=self.wait, random=random.random)

    async def run(self, stop: Cancellation, listener: socket.socket | None) -> int:
        async with AsyncExitStack() as stack:
            if listener is not None:
                from reconciler.cli.health_server import serve_health  # noqa: PLC0415 - an extra that only --listen needs

                server = serve_health(listener, self.metrics.format_text, lambda: self.loop.is_alive)
                await stack.enter_async_context(server)
            # Windows has no such signal, and no such handlers.
            with contextlib.suppress(NotImplementedError, AttributeError):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.wake.set)
            self.print_start(listener)
            try:
                last = await self.loop.run(lambda: self.run_cycle(stop), self.report, lambda: stop.requested)
            except asyncio.CancelledError:
                if not stop.requested:
                    raise
                return 0
        cut = last.report is not None and last.report.interrupted and not last.report.converged
        return InterruptedRunError.exit_code if cut else 0

    def print_start(self, listener: socket.socket | None) -> None:
        does = "Healing" if self.options.apply else "Watching"
        where = ""
        if listener is not None:
            host, port = listener.getsockname()[:2]
            where = f", with /metrics and /health on http://{f'[{host}]' if ':' in host else host}:{port}"
        name = self.session.environment.name
        self.output.result(f"{does} {name} every {self.options.every}{where}   (stop it with Ctrl-C)\n")
        self.output.flush()

    async def wait(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.wake.wait()
        self.wake.clear()

    async def run_cycle(self, stop: Cancellation) -> CycleResult:
        started, self.cycle = time.monotonic(), CycleResult(started_at=utc_now(), may_write=self.options.apply)
        try:
            self.session = open_session(self.options, self.output).with_test_results()
            terminal = replace(self.session.terminal, run_blocking=asyncio.to_thread)
            self.session = replace(self.session, terminal=terminal)
            connect = open_writing_client if self.options.apply else open_reading_client
            async with connect(self.session) as client:
                try:
                    await self.plan_and_heal(client, stop)
                finally:
                    pacer = client.rate_limiter
                    self.record(calls=ApiCallCounts(pacer.requests, pacer.retries, pacer.throttled))
        except CxrouteError as error:
            self.record(error=error)
        except Exception as bug:  # noqa: BLE001 - the next round may do better, and a person is told
            self.record(error=self.output.bug(bug))
        finally:
            stop.writing = False
        self.record(seconds=time.monotonic() - started)
        return self.cycle

    def record(self, **fields: Any) -> None:  # noqa: ANN401 - any of a round's
        self.cycle = replace(self.cycle, **fields)

    async def plan_and_heal(self, client: ReadingClient, stop: Cancellation) -> None:
        session, run_blocking = self.session, self.session.terminal.run_blocking
        live = await session.read(client)
        planner = await run_blocking(lambda: session.planner(live))
        plan = await run_blocking(lambda: planner.build(live))
        self.record(plan=plan)
        self.record(drift=await run_blocking(lambda: drift.compute_drift(session, plan)))
        if isinstance(client, WritingClient) and plan.changes and not is_blocked(plan) and not stop.requested:
            # While nothing is new after a cycle whose first rule was not kept, no rule is tried again.
            digest, report = self.unkept or ("", None)
            report = None if plan.managed or plan.manifest_digest != digest else report
            report = report or await execute_plan(session, client, planner, plan, stop, reason="watch")
            self.record(report=report)
            self.unkept = (plan.manifest_digest, report) if report.first_write_altered else None
            remaining = report.remaining
            work = partial(drift.compute_drift, session)
            self.record(drift=None if remaining is None else await run_blocking(lambda: work(remaining)))

    async def report(self, cycle: CycleResult, following: float) -> None:
        self.metrics.record_cycle(cycle, self.loop.failures)
        level = "warning" if cycle.status in _BAD else "info"
        name = self.session.environment.name
        self.output.event(level, cycle_line(cycle, following), cycle_document(cycle, name, following))
        for kind in self.news.find_due(cycle, self.loop.clock()):
            self.outbox.put(build_message(self.session, kind, cycle))
            self.print_news(kind, cycle)
        delivered, failed = await deliver_messages(self.session, self.outbox)
        self.metrics.notifications.update(sent=delivered, failed=failed)

    def print_news(self, kind: NotificationKind, cycle: CycleResult) -> None:
        session, output = self.session, self.output
        if cycle.report is not None and kind in ("applied", "failed"):
            output.result(report_text(cycle.report, output.paint, session.command_line.command("plan"), cycle.seconds))
        elif cycle.plan is not None and kind == "refused":
            plan.print_plan(session, cycle.plan)
            plan.print_next_command(session, cycle.plan, None)
        elif cycle.drift is not None and kind == "drift":
            drift.print_drift(session, cycle.drift)
        elif isinstance(cycle.error, ManifestError) and output.log_format == "text":
            output.failed(cycle.error)
        output.flush()
