"""`apply` to several environments: one question for all of them, then each by itself, with its own guards.

Who is asked has seen each plan, and each is applied like a saved one: no change that it does not have (R9).

`cxroute apply`: plan, guard, ask, write, read again to prove it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import select
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from reconciler.apply.report import ApplyReport, outcomes_to_json
from reconciler.cli import undo as undoing
from reconciler.cli.clients import reading, writing
from reconciler.cli.commands.plan import next_step, saved_text, selectors
from reconciler.cli.environments.run import Done, Told, each, quiet, worst
from reconciler.cli.environments.selection import Fleet, are_several
from reconciler.cli.execute import carry_out
from reconciler.cli.notify import announced
from reconciler.cli.output import Output, error_document
from reconciler.cli.plan_several import joined, tell
from reconciler.cli.review import bound, read_plans, read_reviewed, refuse_unreviewed
from reconciler.cli.session import Planner, Session, open_session
from reconciler.cli.signals import Stop, ending_at_once, run_interruptibly
from reconciler.cli.stdio import fitted
from reconciler.errors import CxrouteError, InterruptedRunError, RefusedError, UsageError
from reconciler.model.change import Applied, Outcome, UnknownOutcome
from reconciler.plan.document import ReviewedPlan, count_changes, hold_unreviewed_edits, plan_to_json, read_saved_plan
from reconciler.plan.guards import GUARD_NAMES, refusals
from reconciler.render.text.apply import report_text
from reconciler.render.text.environments import applied_row, planned_row
from reconciler.render.text.plan import plan_text
from reconciler.text.escape import pluralize

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.cxone.client import ReadingClient
    from reconciler.plan.plan import LiveState, Plan

    Plans = Mapping[str, ReviewedPlan | str]


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
        "--allow", action="append", metavar="NAME", default=[], help=f"lift a guard: {', '.join(GUARD_NAMES)}"
    )
    parser.add_argument("--reason", metavar="TEXT", default="", help="why, for the journal; needed with --allow")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Apply a fresh plan, or a reviewed one."""
    check(options)
    plans = read_plans(options) if options.plan else None
    if plans or (are_several(options) and not options.plan):
        return apply_several(options, output, plans or {})
    reviewed = read_reviewed(options) if options.plan else None
    named = (reviewed.environment, reviewed.options.undo) if reviewed else ()
    session = open_session(options, output, *named)
    run = Run.of(session, options, reviewed)
    run.session.verify()
    return run_interruptibly(run.all).code


def check(options: argparse.Namespace) -> None:
    """Refuse what makes no sense together. Raises UsageError."""
    unknown = [name for name in options.allow if name not in GUARD_NAMES]
    if unknown:
        raise UsageError(f"--allow {unknown[0]}: there is no such guard; there are {', '.join(GUARD_NAMES)}")
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
    report: ApplyReport | None = None


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

    def planned(self, live: LiveState) -> tuple[Planner, Plan]:
        """Plan, with the guards lifted that are to be."""
        planner, reviewed = self.session.planner(live, tuple(self.options.allow), self.options.reason), self.reviewed
        if reviewed:
            bare = planner.bare
            planner = planner._replace(bare=lambda rules: hold_unreviewed_edits(bare(rules), reviewed))
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
        counts = count_changes(made)
        words = [pluralize(counts[kind], kind) for kind in ("create", "update", "adopt", "delete") if counts[kind]]
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
        self.session.output.document({**plan_to_json(made), **left})
        return Ended(why.exit_code, made)

    def finish(self, made: Plan, report: ApplyReport | None, seconds: float) -> Ended:
        """Print what became of it."""
        output = self.session.output
        if output.form == "json":
            outcomes = outcomes_to_json(report) if report else []
            converged = report.converged if report else True
            stopped = {"error": _stopped(report)} if report and report.error and not converged else {}
            run = {"run": report.run_id} if report and report.run_id else {}
            output.document({**plan_to_json(made), "outcomes": outcomes, "converged": converged, **run, **stopped})
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


def _stopped(report: ApplyReport) -> dict[str, object]:
    """Say in JSON why a run ended early."""
    return {"kind": "Stopped", "message": report.error, "exitCode": exit_code(report)}


def exit_code(report: ApplyReport | None) -> int:
    """Return apply's exit code (exit-codes): 0 only when a read after the last write shows no difference."""
    if report is None or report.converged:
        return 0
    if report.interrupted:
        return InterruptedRunError.exit_code
    return PARTLY if any(map(_is_partly, report.outcomes)) else CxrouteError.exit_code


def _is_partly(outcome: Outcome) -> bool:
    """Say whether something was done of a change, or may have been."""
    return isinstance(outcome, Applied | UnknownOutcome) or outcome.left_partial


def apply_several(options: argparse.Namespace, output: Output, plans: Plans) -> int:
    """Apply fresh plans, or reviewed ones (`plans`, where there are any), and print one report."""
    fleet = Fleet.of(options, output, tuple(plans) or None)
    if options.yes:
        return _ended(fleet, _apply(fleet, plans))
    seen = _look(fleet, plans)
    meant = [one for one in seen if one.done.row.status == "differs"]
    if not meant:
        return _ended(fleet, seen)
    if output.form == "text":
        tell(fleet, seen, "Plan for")
    try:
        _confirm(fleet, meant)
    except RefusedError as refused:
        return _refused(output, seen, refused)
    return _ended(fleet, _go_on(fleet, seen, meant))


def _ended(fleet: Fleet, told: Sequence[Told]) -> int:
    tell(fleet, told, "Apply to")
    return worst(one.done.code for one in told)


def _apply(fleet: Fleet, plans: Plans) -> list[Told]:
    async def applied(session: Session, stop: Stop) -> Done:
        run = await _run_of(session, fleet.options, plans)
        ended = await run.all(stop)
        return Done(ended.code, applied_row(ended.made, ended.report))

    async def all_of_them(stop: Stop) -> list[Told]:
        stop.writing = True  # each hears of a signal by itself, and one that has begun to write goes on to its end
        return await each(fleet, applied, stop)

    return run_interruptibly(all_of_them)


def _look(fleet: Fleet, plans: Plans) -> list[Told]:
    """Plan everything as apply will, and write nothing."""

    async def looked_at(session: Session, _stop: Stop) -> Done:
        run = await _run_of(session, fleet.options, plans)
        async with reading(session) as client:
            _, made = await run.look(client)
        row = planned_row(made)
        try:
            run.refuse(made)
        except RefusedError as refused:
            return Done(run.refused(made, refused).code, row)
        if session.output.form == "json":
            session.output.document({**plan_to_json(made), "outcomes": [], "converged": not made.changes})
        return Done(0, row, saved_text(made, "the plan") if made.changes else "")

    return run_interruptibly(lambda stop: each(fleet, looked_at, stop))


async def _run_of(session: Session, options: argparse.Namespace, plans: Plans) -> Run:
    """Return the apply to one environment, bound to its reviewed plan where there is one. Raises RefusedError."""
    reviewed = plans.get(session.environment.name)
    if isinstance(reviewed, str):
        raise RefusedError(f"the saved plan has none of it, for that failed ({reviewed}); plan again")
    run = Run.of(session, options, reviewed)
    await session.thinking(run.session.verify)
    return run


def _confirm(fleet: Fleet, meant: Sequence[Told]) -> None:
    """Ask once for all of them. Raises RefusedError without a yes."""
    if not fleet.output.interactive:
        plans, chosen = fleet.options.plan, fleet.chosen if fleet.options.environment else fleet.share
        way_on = fleet.saved_command(plans, *chosen, "--yes") if plans else fleet.command("apply", "--yes")
        raise RefusedError(f"nobody can be asked here, and nothing was written\nTo apply these: {way_on}")
    count = str(len(meant))
    with ending_at_once():
        answer = ask(fleet.output, f"Apply this to {pluralize(len(meant), 'environment')}? Type their number, {count},")
    if answer != count:
        raise RefusedError("that is not how many there are; nothing was written")


def _refused(output: Output, seen: Sequence[Told], why: RefusedError) -> int:
    """Say why nothing is written; in JSON beside the plans that it is about."""
    if output.form != "json":
        raise why
    output.result(f"{joined([one.text for one in seen], why)}\n")
    return why.exit_code


def _go_on(fleet: Fleet, seen: Sequence[Told], meant: Sequence[Told]) -> list[Told]:
    """Apply just what was shown. In text nothing is told twice: of the others, the first table's line alone."""
    options = argparse.Namespace(**{**vars(fleet.options), "yes": True})
    shown = {one.done.row.environment: read_saved_plan(one.done.saved, "the plan shown") for one in meant}
    in_text = fleet.output.form == "text"
    output = quiet(fleet.output) if in_text else fleet.output
    some = Fleet(manifests=fleet.manifests, names=tuple(shown), options=options, output=output, nobody="")
    became = {one.done.row.environment: one for one in _apply(some, shown)}
    if not in_text:
        return [became.get(one.done.row.environment, one) for one in seen]
    headed = {name: replace(one, text=f"{name}:\n{one.text}") for name, one in became.items()}
    return [headed.get(one.done.row.environment) or replace(one, text="") for one in seen]
