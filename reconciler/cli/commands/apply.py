"""`cxroute apply`: plan, guard, ask, write, read again to prove it; several environments with one question."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import select
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from reconciler.apply.progress import ApplyReport, outcomes_to_json
from reconciler.cli import undo as undoing
from reconciler.cli.clients import open_reading_client, open_writing_client
from reconciler.cli.commands.plan import add_plan_options, next_command, plan_file_text
from reconciler.cli.environments.choose import utc_now
from reconciler.cli.environments.report import join_documents, print_list
from reconciler.cli.environments.run import (
    EnvironmentReport,
    EnvironmentResult,
    quiet,
    run_environments,
    worst_exit_code,
)
from reconciler.cli.environments.selection import EnvironmentSelection
from reconciler.cli.execute import execute_plan
from reconciler.cli.notify import notify
from reconciler.cli.output import Output, error_document
from reconciler.cli.review import bind_to_review, read_saved_plans
from reconciler.cli.session import Session
from reconciler.cli.signals import Cancellation, abort_on_signal
from reconciler.cli.stdio import wrap_for
from reconciler.cxone.client import ReadingClient
from reconciler.errors import ApiError, CxrouteError, InterruptedRunError, ManifestError, RefusedError, UsageError
from reconciler.model.change import Applied, UnknownOutcome
from reconciler.pipeline import Planner
from reconciler.plan.document import ReviewedPlan, count_changes, plan_to_json, read_saved_plan, refuse_unreviewed
from reconciler.plan.guards import GUARD_NAMES, guard_refusals
from reconciler.plan.plan import Plan
from reconciler.render.text.apply import report_text
from reconciler.render.text.environments import applied_row, planned_row
from reconciler.render.text.plan import plan_text
from reconciler.text.escape import pluralize
from reconciler.watch.cycle import CycleResult

Plans = Mapping[str, ReviewedPlan | str]

PARTLY = 5
_LONGEST_ANSWER: Final = 1000
_LOOK: Final = 0.2  # seconds after which somebody who waits for an answer looks at signals


def options(parser: argparse.ArgumentParser) -> None:
    """Add apply's options."""
    add = parser.add_argument
    add("plan", nargs="?", metavar="PLAN", help="a plan saved by `cxroute plan --out`: make just that")
    add_plan_options(parser)
    undoing.options(parser)
    add("--yes", action="store_true", help="do not ask")
    add("--no-prune", action="store_true", help="delete nothing")
    add("--allow", action="append", metavar="NAME", default=[], help=f"lift a guard: {', '.join(GUARD_NAMES)}")
    add("--reason", metavar="TEXT", default="", help="why, for the journal; needed with --allow")
    add("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Apply fresh plans, or reviewed ones."""
    check(options)
    saved = read_saved_plans(options) if options.plan else None
    if isinstance(saved, ReviewedPlan):
        selection = EnvironmentSelection.single(options, output, saved.environment, saved.options.undo)
        saved = {saved.environment: saved}
    else:
        selection = EnvironmentSelection.of(options, output, saved)
    if selection.listed and not options.yes:
        return _apply_confirmed(selection, saved or {})
    code, reports = _apply(selection, saved or {})
    print_list(selection, reports, "Apply to")
    return code


def check(options: argparse.Namespace) -> None:
    """Raise UsageError for options that exclude each other."""
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
class ApplyResult:
    """The end of an apply: exit code, plan, and the report if anything was begun."""

    code: int
    plan: Plan
    report: ApplyReport | None = None


@dataclass(frozen=True, slots=True)
class ApplyRun:
    """An apply to one environment."""

    session: Session
    options: argparse.Namespace
    reviewed: ReviewedPlan | None

    async def run_and_notify(self, stop: Cancellation) -> ApplyResult:
        """Apply, and notify the web hook of the changes or of the tenant's failure."""
        try:
            ended = await self.run(stop)
        except ApiError as error:
            await notify(self.session, CycleResult(started_at=utc_now(), error=error, may_write=True))
            raise
        if report := ended.report:
            cycle = CycleResult(started_at=utc_now(), plan=ended.plan, report=report, may_write=True)
            await notify(self.session, cycle)
        return ended

    async def run(self, stop: Cancellation) -> ApplyResult:
        """Read, plan, check, confirm, write, and read again."""
        session = self.session
        async with open_writing_client(session) as client:
            planner, plan = await self.read_and_plan(client)
            try:
                self.refuse(plan)
                if not plan.changes:
                    return self.finish(plan, None, 0.0)
                await self.confirm(plan)
            except RefusedError as refused:
                return self.refused(plan, refused)
            if stop.requested:
                raise InterruptedRunError("interrupted; nothing was written")
            started = time.monotonic()
            report = await execute_plan(session, client, planner, plan, stop, reason=self.options.reason)
        return self.finish(plan, report, time.monotonic() - started)

    async def read_and_plan(self, client: ReadingClient) -> tuple[Planner, Plan]:
        """Read, plan, compare with the reviewed plan, and print. Raises RefusedError."""
        session = self.session
        live = await session.read(client)

        def build() -> tuple[Planner, Plan]:
            fresh = session.planner(live, tuple(self.options.allow), self.options.reason)
            planner = replace(fresh, reviewed=self.reviewed)
            return planner, planner.build(live)

        planner, plan = await session.terminal.run_blocking(build)
        session.terminal.print_banner(session.banner)
        if self.reviewed:
            refuse_unreviewed(plan, self.reviewed, session.command_line.command("plan", "--out", "FILE"))
            made_at = f"Plan {self.reviewed.plan_id}, made {self.reviewed.generated_at}"
            session.output.note(f"{made_at}. Everything was read again: there is nothing that it does not have.")
        output = session.output
        if output.form == "text" and output.loudness != "quiet":
            output.result(plan_text(plan, output.paint, session.tenant, session.terminal.limits))
        return planner, plan

    def refuse(self, plan: Plan) -> None:
        """Raise RefusedError for a conflict with an unmanaged rule, or for a guard."""
        reasons = [f"{finding.address}: {finding.message}; {finding.hint}" for finding in plan.conflicts]
        reasons += [result.message for result in guard_refusals(plan)]
        if reasons:
            command = next_command(self.session, plan, self.options.plan, tuple(self.options.allow))
            raise RefusedError("refused, and nothing was written: " + "\n  ".join(reasons) + f"\n{command}")

    async def confirm(self, plan: Plan) -> None:
        """Ask a person to type the environment's name. Raises RefusedError without a yes."""
        if self.options.yes:
            return
        if not self.session.output.interactive:
            command = next_command(self.session, plan, self.options.plan, tuple(self.options.allow))
            raise RefusedError(f"nobody can be asked here, and nothing was written\n{command} --yes")
        counts = count_changes(plan)
        words = [pluralize(counts[kind], kind) for kind in ("create", "update", "adopt", "delete") if counts[kind]]
        words = words or ["the clean-up of what an earlier run left"]
        name = plan.environment
        with abort_on_signal():
            await asyncio.sleep(0)  # a signal that came just before is heard here
            await asyncio.sleep(0)
            answer = ask(self.session.output, f"Apply {', '.join(words)} to {name}? Type the environment's name")
        if answer != name:
            raise RefusedError("that is not the environment's name; nothing was written")

    def refused(self, plan: Plan, error: RefusedError) -> ApplyResult:
        """Report the refusal; in JSON together with the plan."""
        if self.session.output.form != "json":
            raise error
        document = plan_to_json(plan) | {"outcomes": [], "converged": False, "error": error_document(error)}
        self.session.output.document(document)
        return ApplyResult(error.exit_code, plan)

    def finish(self, plan: Plan, report: ApplyReport | None, seconds: float) -> ApplyResult:
        """Print the outcome and return the result."""
        output = self.session.output
        if output.form == "json":
            document = {**plan_to_json(plan), "outcomes": [], "converged": True}
            if report:
                document |= {"outcomes": outcomes_to_json(report), "converged": report.converged}
                document |= {"run": report.run_id} if report.run_id else {}
                if report.error and not report.converged:
                    document["error"] = {"kind": "Stopped", "message": report.error, "exitCode": exit_code(report)}
            output.document(document)
        elif report:
            output.result("\n" + report_text(report, output.paint, self.session.command_line.command("plan"), seconds))
            output.result("".join(f"{line}\n" for line in undoing.undo_hints(self.session, plan, report)))
        return ApplyResult(exit_code(report), plan, report)


def ask(output: Output, question: str) -> str:
    """Ask a person at the terminal."""
    output.flush()
    sys.stderr.write(wrap_for(f"{question} to go on: ", sys.stderr))
    sys.stderr.flush()
    # A blocking read would notice a signal that came just before it only afterwards.
    with contextlib.suppress(OSError, ValueError):  # stdin is no file, or (Windows) none that can be waited for
        while not select.select([sys.stdin], [], [], _LOOK)[0]:
            pass
    return sys.stdin.readline(_LONGEST_ANSWER).strip()


def exit_code(report: ApplyReport | None) -> int:
    """Return apply's exit code (exit-codes): 0 only when a read after the last write shows no difference."""
    if report is None or report.converged:
        return 0
    if report.interrupted:
        return InterruptedRunError.exit_code
    wrote = any(isinstance(outcome, Applied | UnknownOutcome) or outcome.left_partial for outcome in report.outcomes)
    return PARTLY if wrote else CxrouteError.exit_code


def _prepared(options: argparse.Namespace, plans: Plans, session: Session) -> Session:
    reviewed = plans.get(session.environment.name)
    if isinstance(reviewed, str):
        raise RefusedError(f"the saved plan has none of it, for that failed ({reviewed}); plan again")
    session = undoing.with_undo(bind_to_review(session, reviewed) if reviewed else session, options)
    if failed := session.with_test_results().failed_tests:
        raise ManifestError(failed)
    return session


def _run(session: Session, options: argparse.Namespace, plans: Plans) -> ApplyRun:
    reviewed = plans.get(session.environment.name)
    return ApplyRun(session, options, reviewed if isinstance(reviewed, ReviewedPlan) else None)


def _apply(selection: EnvironmentSelection, plans: Plans) -> tuple[int, list[EnvironmentReport]]:
    async def work(session: Session, stop: Cancellation) -> EnvironmentResult:
        ended = await _run(session, selection.options, plans).run_and_notify(stop)
        return EnvironmentResult(ended.code, lambda: applied_row(ended.plan, ended.report))

    prepare = partial(_prepared, selection.options, plans)
    return run_environments(selection, work, prepare, on_signal="tell each")


def _apply_confirmed(selection: EnvironmentSelection, plans: Plans) -> int:
    output = selection.output
    code, reports = _plan(selection, plans)
    differing = [report for report in reports if report.row.status == "differs"]
    if differing:
        if output.form == "text":
            print_list(selection, reports, "Plan for")
        try:
            _confirm(selection, len(differing))
        except RefusedError as refused:
            if output.form != "json":
                raise
            output.result(f"{join_documents([report.text for report in reports], refused)}\n")
            return refused.exit_code
        reports = _apply_shown(selection, reports, differing)
        code = worst_exit_code(report.code for report in reports)
    print_list(selection, reports, "Apply to")
    return code


def _plan(selection: EnvironmentSelection, plans: Plans) -> tuple[int, list[EnvironmentReport]]:
    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        run = _run(session, selection.options, plans)
        async with open_reading_client(session) as client:
            _, plan = await run.read_and_plan(client)
        row = partial(planned_row, plan)
        try:
            run.refuse(plan)
        except RefusedError as refused:
            return EnvironmentResult(run.refused(plan, refused).code, row)
        if session.output.form == "json":
            session.output.document({**plan_to_json(plan), "outcomes": [], "converged": not plan.changes})
        return EnvironmentResult(0, row, plan_file_text(plan, "the plan") if plan.changes else "")

    return run_environments(selection, work, partial(_prepared, selection.options, plans))


def _confirm(selection: EnvironmentSelection, number: int) -> None:
    if not selection.output.interactive:
        plans, again = selection.options.plan, selection.command_line
        words = selection.words if selection.options.environment else selection.share
        way_on = again.apply_saved(plans, *words, "--yes") if plans else again.command("apply", "--yes")
        raise RefusedError(f"nobody can be asked here, and nothing was written\nTo apply these: {way_on}")
    with abort_on_signal():
        question = f"Apply this to {pluralize(number, 'environment')}? Type their number, {number},"
        answer = ask(selection.output, question)
    if answer != str(number):
        raise RefusedError("that is not how many there are; nothing was written")


def _apply_shown(
    selection: EnvironmentSelection, planned: Sequence[EnvironmentReport], differing: Sequence[EnvironmentReport]
) -> list[EnvironmentReport]:
    """Apply exactly the plans that were shown. Text does not repeat the other environments' reports."""
    plans = {report.row.environment: read_saved_plan(report.saved, "the plan shown") for report in differing}
    in_text = selection.output.form == "text"
    output = quiet(selection.output) if in_text else selection.output
    options = argparse.Namespace(**{**vars(selection.options), "yes": True})
    _, reports = _apply(replace(selection, names=tuple(plans), options=options, output=output), plans)
    if in_text:
        planned = [replace(report, text="") for report in planned]
        reports = [replace(report, text=f"{report.row.environment}:\n{report.text}") for report in reports]
    applied = {report.row.environment: report for report in reports}
    return [applied.get(report.row.environment, report) for report in planned]
