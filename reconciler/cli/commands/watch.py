"""`cxroute watch`: the loop that looks at a tenant again and again, and with --apply heals it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import re
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from reconciler.cli.arguments import missing_extra
from reconciler.cli.clients import reading, writing
from reconciler.cli.commands import drift, plan
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.execute import carry_out
from reconciler.cli.notify import deliver, message
from reconciler.cli.session import Session, open_session
from reconciler.cli.signals import Stop, run_interruptibly
from reconciler.cxone.client import ReadingClient, WritingClient
from reconciler.errors import CxrouteError, InterruptedRunError, ManifestError, UsageError
from reconciler.render.text.apply import report_text
from reconciler.render.text.watch import cycle_document, cycle_line
from reconciler.watch.cycle import ApiCallCounts, CycleResult, is_blocked
from reconciler.watch.loop import Interval, WatchLoop
from reconciler.watch.metrics import WatchMetrics
from reconciler.watch.notifications import NotificationKind, NotificationState, Outbox

if TYPE_CHECKING:
    import argparse
    import socket

    from reconciler.apply.report import ApplyReport
    from reconciler.cli.output import Output
    from reconciler.plan.plan import Plan


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
    parser.add_argument("--every", metavar="TIME", default="5m", help="from round to round: 30s, 5m, 1h (default: 5m)")
    parser.add_argument("--apply", action="store_true", help="make what differs as the manifests say, each time")
    parser.add_argument(
        "--listen", metavar="HOST:PORT", help="serve /metrics and /health there, such as 127.0.0.1:9090"
    )
    parser.add_argument("--only", action="append", metavar="ADDRESS", help="only this rule, or rules like cards/*")
    parser.add_argument("--keep-drift", action="store_true", help="leave alone what was changed outside")
    parser.add_argument("--no-prune", action="store_true", help="delete nothing")
    parser.add_argument("--traffic", metavar="FILE", help="a sample for the guard `traffic`, CSV of intent,...,count")
    parser.epilog = HELP


def run(options: argparse.Namespace, output: Output) -> int:
    """Watch until SIGINT or SIGTERM."""
    rhythm = Interval(interval(options.every))
    listener = listening(options.listen) if options.listen else None
    try:
        session = open_session(options, output)
        session.terminal.print_banner(session.banner)
        watch = _Watch(options=options, output=output, session=session, rhythm=rhythm)
        return run_interruptibly(lambda stop: watch.all(stop, listener))
    finally:
        if listener is not None:
            listener.close()


def interval(said: str) -> float:
    """Return the seconds of a time such as 30s, 5m or 1h. Raises UsageError."""
    found = _INTERVAL.fullmatch(said)
    if found is None:
        raise UsageError(f"--every {said[:20]}: say a whole number of seconds, minutes or hours, such as 30s, 5m or 1h")
    seconds = int(found[1]) * _UNITS[found[2]]
    if not _SHORTEST <= seconds <= _LONGEST:
        raise UsageError(f"--every {said}: at least {_SHORTEST:.0f}s, so that the tenant is not worn, and at most 24h")
    return seconds


def listening(said: str) -> socket.socket:
    """Return a socket that listens. Raises UsageError, and CxrouteError where it cannot be had."""
    found = _LISTEN.fullmatch(said)
    if found is None or int(found[2]) > _LAST_PORT:
        raise UsageError(f"--listen {said[:100]}: say a host and a port, such as 127.0.0.1:9090")
    try:
        from reconciler.endpoint.server import open_listener  # noqa: PLC0415 - an extra that only this option needs
    except ImportError as error:
        raise missing_extra("--listen") from error
    try:
        return open_listener(found[1].strip("[]"), int(found[2]))
    except OSError as error:
        raise CxrouteError(f"cannot listen on {said}: {error.strerror or error}") from error


@dataclass(slots=True, kw_only=True)
class _Watch:
    options: argparse.Namespace
    output: Output
    session: Session
    """The newest one that could be opened."""
    rhythm: Interval
    loop: WatchLoop = field(init=False)
    round: CycleResult = field(init=False)
    """The one under way, as far as it has come."""
    hurried: asyncio.Event = field(default_factory=asyncio.Event)
    """Somebody wants the next round now."""
    metrics: WatchMetrics = field(default_factory=WatchMetrics)
    news: NotificationState = field(default_factory=NotificationState)
    outbox: Outbox = field(default_factory=Outbox)
    unkept: tuple[str, ApplyReport] | None = None
    """What the manifests wanted, and how the round ended, when the tenant did not keep the first rule."""

    def __post_init__(self) -> None:
        self.loop = WatchLoop(interval=self.rhythm, clock=time.monotonic, sleep=self.rest, random=random.random)

    async def all(self, stop: Stop, listener: socket.socket | None) -> int:
        """Make rounds until a signal comes; return the exit code."""
        async with AsyncExitStack() as stack:
            if listener is not None:
                from reconciler.cli.health_server import probes  # noqa: PLC0415 - an extra that only --listen needs

                await stack.enter_async_context(probes(listener, self.metrics.format_text, lambda: self.loop.is_alive))
            # Windows has no such signal, and no such handlers.
            with contextlib.suppress(NotImplementedError, AttributeError):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self.hurried.set)
            self.announce(listener)
            try:
                last = await self.loop.run(lambda: self.one(stop), self.tell, lambda: stop.requested)
            except asyncio.CancelledError:
                if not stop.requested:
                    raise
                return 0
        cut = last.report is not None and last.report.interrupted and not last.report.converged
        return InterruptedRunError.exit_code if cut else 0

    def announce(self, listener: socket.socket | None) -> None:
        """Say that it begins, at once: whoever started it may be waiting for this line."""
        does = "Healing" if self.options.apply else "Watching"
        where = "" if listener is None else f", with /metrics and /health on {_url(listener)}"
        name = self.session.environment.name
        self.output.result(f"{does} {name} every {self.options.every}{where}   (stop it with Ctrl-C)\n")
        self.output.flush()

    async def rest(self, seconds: float) -> None:
        """Wait for so many seconds, or until somebody wants the next round."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.hurried.wait()
        self.hurried.clear()

    async def one(self, stop: Stop) -> CycleResult:
        """Make one round; whatever goes wrong is what it came to."""
        started, self.round = time.monotonic(), CycleResult(started_at=utc_now(), may_write=self.options.apply)
        try:
            self.session = open_session(self.options, self.output).tested()
            terminal = replace(self.session.terminal, run_blocking=asyncio.to_thread)
            self.session = replace(self.session, terminal=terminal)
            async with writing(self.session) if self.options.apply else reading(self.session) as client:
                try:
                    await self.look(client, stop)
                finally:
                    pacer = client.rate_limiter
                    self.note(calls=ApiCallCounts(pacer.requests, pacer.retries, pacer.throttled))
        except CxrouteError as error:
            self.note(error=error)
        except Exception as bug:  # noqa: BLE001 - the next round may do better, and a person is told
            self.note(error=self.output.bug(bug))
        finally:
            stop.writing = False
        self.note(seconds=time.monotonic() - started)
        return self.round

    def note(self, **fields: Any) -> None:  # noqa: ANN401 - any of a round's
        """Add to the round under way."""
        self.round = replace(self.round, **fields)

    async def look(self, client: ReadingClient, stop: Stop) -> None:
        """Read and plan, and heal where that may be."""
        session, run_blocking = self.session, self.session.terminal.run_blocking
        live = await session.read(client)
        planner = await run_blocking(lambda: session.planner(live))
        made = await run_blocking(lambda: planner.build(live))
        self.note(plan=made)
        self.note(drift=await run_blocking(lambda: drift.drift_of(session, made)))
        if isinstance(client, WritingClient) and made.changes and not is_blocked(made) and not stop.requested:
            report = self.as_before(made) or await carry_out(session, client, planner, made, stop, reason="watch")
            self.note(report=report)
            self.unkept = (made.manifest_digest, report) if report.first_write_altered else None
            left = report.remaining
            self.note(drift=None if left is None else await run_blocking(lambda: drift.drift_of(session, left)))

    def as_before(self, made: Plan) -> ApplyReport | None:
        """Return how a round ended whose first rule was not kept: while nothing is new, no rule is tried again."""
        if self.unkept is None or made.managed or made.manifest_digest != self.unkept[0]:
            return None
        return self.unkept[1]

    async def tell(self, one: CycleResult, following: float) -> None:
        """Say what a round came to: in the log and the metrics, and where it is news, in full and to the web hook."""
        self.metrics.record_cycle(one, self.loop.failures)
        level = "warning" if one.status in _BAD else "info"
        name = self.session.environment.name
        self.output.event(level, cycle_line(one, following), cycle_document(one, name, following))
        for kind in self.news.find_due(one, self.loop.clock()):
            self.outbox.put(message(self.session, kind, one))
            self.show(kind, one)
        sent, failed = await deliver(self.session, self.outbox)
        self.metrics.notifications.update(sent=sent, failed=failed)

    def show(self, kind: NotificationKind, one: CycleResult) -> None:
        """Print what differs, or was done."""
        session, output = self.session, self.output
        if one.report is not None and kind in ("applied", "failed"):
            output.result(report_text(one.report, output.paint, session.command_line.command("plan"), one.seconds))
        elif one.plan is not None and kind == "refused":
            plan.show(session, one.plan)
            plan.print_next_step(session, one.plan, None)
        elif one.drift is not None and kind == "drift":
            drift.show(session, one.drift)
        elif isinstance(one.error, ManifestError) and output.log_format == "text":
            output.failed(one.error)
        output.flush()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
