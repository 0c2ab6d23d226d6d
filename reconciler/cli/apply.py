"""`cxroute apply`: plan, guard, ask, write, read again to prove it."""

from __future__ import annotations

import asyncio
import contextlib
import select
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.change import Applied, Unknown
from reconciler.cli import undoing
from reconciler.cli.carry_out import carry_out
from reconciler.cli.connect import writing
from reconciler.cli.fleet import are_several
from reconciler.cli.interrupt import ending_at_once, run_interruptibly
from reconciler.cli.notify import announced
from reconciler.cli.output import error_document
from reconciler.cli.plan import next_step, selectors
from reconciler.cli.reviewed import bound, read_plans, read_reviewed, refuse_unreviewed
from reconciler.cli.session import open_session
from reconciler.cli.terminal import fitted
from reconciler.errors import CxrouteError, InterruptedRunError, RefusedError, UsageError
from reconciler.guard import NAMES, refusals
from reconciler.render.apply_text import outcomes_document, report_text
from reconciler.render.plan_text import plan_text
from reconciler.saved_plan import document, set_aside, summary
from reconciler.words import counted

if TYPE_CHECKING:
    import argparse

    from reconciler.change import Outcome
    from reconciler.cli.interrupt import Stop
    from reconciler.cli.output import Output
    from reconciler.cli.session import Planner, Session
    from reconciler.cxone.client import ReadingClient
    from reconciler.plan import Live, Plan, Report
    from reconciler.saved_plan import ReviewedPlan

PARTLY = 5
_LONGEST_ANSWER: Final = 1000
_LOOK: Final = 0.2
"""Seconds after which somebody who waits for an answer looks at signals."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add apply's options."""
    parser.add_argument("plan", nargs="?", metavar="PLAN", help="a plan saved by `cxroute plan --out`: make just that")
    selectors(parser)
    undoing.options(parser)
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument("--no-prune", action="store_true", help="delete nothing")
    parser.add_argument(
        "--allow", action="append", metavar="NAME", default=[], help=f"lift a guard: {', '.join(NAMES)}"
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the journal; needed with --allow")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Apply a fresh plan, or a reviewed one."""
    check(options)
    plans = read_plans(options) if options.plan else None
    if plans or (are_several(options) and not options.plan):
        from reconciler.cli.apply_several import apply_several  # noqa: PLC0415 - which builds on this module

        return apply_several(options, output, plans or {})
    reviewed = read_reviewed(options) if options.plan else None
    named = (reviewed.environment, reviewed.options.undo) if reviewed else ()
    session = open_session(options, output, *named)
    run = Run.of(session, options, reviewed)
    run.session.verify()
    return run_interruptibly(run.all).code


def check(options: argparse.Namespace) -> None:
    """Refuse what makes no sense together. Raises UsageError."""
    unknown = [name for name in options.allow if name not in NAMES]
    if unknown:
        raise UsageError(f"--allow {unknown[0]}: there is no such guard; there are {', '.join(NAMES)}")
    if options.allow and not options.reason.strip():
        raise UsageError("--allow needs --reason TEXT: it is kept in the journal")
    undoing.check(options)
    if options.plan and (options.only or options.adopt or options.keep_drift or options.traffic or options.undo):
        chosen = "--only, --adopt, --keep-drift, --traffic and --undo"
        raise UsageError(f"a saved plan already says what it is about: leave out {chosen}")


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: its exit code, what was planned, and what became of it where anything was begun."""

    code: int
    made: Plan
    report: Report | None = None


@dataclass(frozen=True, slots=True)
class Run:
    """An apply to one environment."""

    session: Session
    options: argparse.Namespace
    reviewed: ReviewedPlan | None

    @classmethod
    def of(cls, session: Session, options: argparse.Namespace, reviewed: ReviewedPlan | None) -> Run:
        """Return the apply, bound to the reviewed plan where there is one. Raises RefusedError."""
        session = bound(session, reviewed) if reviewed else session
        return cls(undoing.undone(session, options), options, reviewed)

    async def all(self, stop: Stop) -> Ended:
        """Go from the first read to the last, and tell the web hook what became of it."""
        return await announced(self.session, self.through(stop))

    async def through(self, stop: Stop) -> Ended:
        """Go from the first read to the last."""
        session = self.session
        async with writing(session) as client:
            planner, made = await self.look(client)
            try:
                self.refuse(made)
                if not made.changes:
                    return self.finish(made, None, 0.0)
                await self.confirm(made)
            except RefusedError as refused:
                return self.refused(made, refused)
            if stop.requested:
                raise InterruptedRunError("interrupted; nothing was written")
            started = time.monotonic()
            reason, reviewed = self.options.reason, self.reviewed
            report = await carry_out(session, client, planner, made, stop, reason=reason, reviewed=reviewed)
        return self.finish(made, report, time.monotonic() - started)

    async def look(self, client: ReadingClient) -> tuple[Planner, Plan]:
        """Read and plan, hold that against what was reviewed, and show it. Raises RefusedError."""
        session = self.session
        live = await session.read(client)
        planner, made = await session.thinking(lambda: self.planned(live))
        session.introduce()
        if self.reviewed:
            refuse_unreviewed(made, self.reviewed, session.command("plan", "--out", "FILE"))
            made_at = f"Plan {self.reviewed.plan_id}, made {self.reviewed.generated_at}"
            session.output.note(f"{made_at}. Everything was read again: there is nothing that it does not have.")
        self.show(made)
        return planner, made

    def planned(self, live: Live) -> tuple[Planner, Plan]:
        """Plan, with the guards lifted that are to be."""
        planner, reviewed = self.session.planner(live, tuple(self.options.allow), self.options.reason), self.reviewed
        if reviewed:
            bare = planner.bare
            planner = planner._replace(bare=lambda rules: set_aside(bare(rules), reviewed))
        return planner, planner.plan(live.rules)

    def refuse(self, made: Plan) -> None:
        """Raise RefusedError when a rule that is not ours stands in the way, or a guard refuses."""
        reasons = [f"{finding.address}: {finding.message}; {finding.hint}" for finding in made.conflicts]
        reasons += [result.message for result in refusals(made)]
        if reasons:
            way_on = next_step(self.session, made, self.options.plan, tuple(self.options.allow))
            raise RefusedError("refused, and nothing was written: " + "\n  ".join(reasons) + f"\n{way_on}")

    async def confirm(self, made: Plan) -> None:
        """Ask a person to type the environment's name. Raises RefusedError without a yes."""
        if self.options.yes:
            return
        if not self.session.output.interactive:
            way_on = next_step(self.session, made, self.options.plan, tuple(self.options.allow))
            raise RefusedError(f"nobody can be asked here, and nothing was written\n{way_on} --yes")
        counts = summary(made)
        words = [counted(counts[kind], kind) for kind in ("create", "update", "adopt", "delete") if counts[kind]]
        words = words or ["the clean-up of what an earlier run left"]
        name = made.environment
        with ending_at_once():
            await asyncio.sleep(0)  # a signal that came just before is heard here
            await asyncio.sleep(0)
            answer = ask(self.session.output, f"Apply {', '.join(words)} to {name}? Type the environment's name")
        if answer != name:
            raise RefusedError("that is not the environment's name; nothing was written")

    def show(self, made: Plan) -> None:
        """Print what is about to be done."""
        output = self.session.output
        if output.form == "text" and output.loudness != "quiet":
            output.result(plan_text(self.session.brief(made), output.paint, self.session.tenant, self.session.most))

    def refused(self, made: Plan, why: RefusedError) -> Ended:
        """Say why nothing is written; in JSON beside the plan that it is about."""
        if self.session.output.form != "json":
            raise why
        left = {"outcomes": [], "converged": False, "error": error_document(why)}
        self.session.output.document({**document(made), **left})
        return Ended(why.exit_code, made)

    def finish(self, made: Plan, report: Report | None, seconds: float) -> Ended:
        """Print what became of it."""
        output = self.session.output
        if output.form == "json":
            outcomes = outcomes_document(report) if report else []
            converged = report.converged if report else True
            stopped = {"error": _stopped(report)} if report and report.error and not converged else {}
            run = {"run": report.run} if report and report.run else {}
            output.document({**document(made), "outcomes": outcomes, "converged": converged, **run, **stopped})
        elif report:
            output.result("\n" + report_text(report, output.paint, self.session.command("plan"), seconds))
            output.result("".join(f"{line}\n" for line in undoing.way_back(self.session, made, report)))
        return Ended(exit_code(report), made, report)


def ask(output: Output, question: str) -> str:
    """Ask a person at the terminal."""
    output.flush()
    sys.stderr.write(fitted(f"{question} to go on: ", sys.stderr))
    sys.stderr.flush()
    _wait_for_answer()
    return sys.stdin.readline(_LONGEST_ANSWER).strip()


def _wait_for_answer() -> None:
    """Wait until something was typed; a signal that comes just before a blocking read would be noticed after it."""
    with contextlib.suppress(OSError, ValueError):  # stdin is no file, or (Windows) none that can be waited for
        while not select.select([sys.stdin], [], [], _LOOK)[0]:
            pass


def _stopped(report: Report) -> dict[str, object]:
    """Say in JSON why a run ended early."""
    return {"kind": "Stopped", "message": report.error, "exitCode": exit_code(report)}


def exit_code(report: Report | None) -> int:
    """Return apply's exit code (exit-codes): 0 only when a read after the last write shows no difference."""
    if report is None or report.converged:
        return 0
    if report.interrupted:
        return InterruptedRunError.exit_code
    return PARTLY if any(map(_is_partly, report.outcomes)) else CxrouteError.exit_code


def _is_partly(outcome: Outcome) -> bool:
    """Say whether something was done of a change, or may have been."""
    return isinstance(outcome, Applied | Unknown) or outcome.touched
