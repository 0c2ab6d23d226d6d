"""`cxroute apply`: plan, check guards, confirm, write, and read again; several environments with
one confirmation.
"""

import argparse
import asyncio
import contextlib
import os
import select
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from reconciler.cli import environments, execute
from reconciler.cli.clients import open_source
from reconciler.cli.commands.plan import add_plan_options, next_command, plan_file_text
from reconciler.cli.environments import (
    EnvironmentResult,
    EnvironmentSelection,
    SavedPlans,
)
from reconciler.cli.hooks import ApplyEnd, after_apply
from reconciler.cli.options import ChangeOptions
from reconciler.cli.output import Output, error_document
from reconciler.cli.parsing import add_format_option
from reconciler.cli.session import Cancellation, Session, abort_on_signal
from reconciler.cli.stdio import wrap_for
from reconciler.cli.step_conditions import ask_conditions
from reconciler.core.apply.progress import ApplyReport, outcomes_to_json
from reconciler.core.errors import (
    ApiError,
    CredentialsError,
    CxrouteError,
    InterruptedRunError,
    ManifestError,
    RefusedError,
    ScopeError,
    UnexpectedResponseError,
    UnsupportedCallError,
    UsageError,
)
from reconciler.core.model.change import Applied, UnknownOutcome
from reconciler.core.pipeline import Planner
from reconciler.core.plan.consent import describe_consent
from reconciler.core.plan.document import count_changes, plan_to_json
from reconciler.core.plan.guards import GUARD_NAMES, guard_refusals
from reconciler.core.plan.review import ReviewedPlan, read_saved_plan, refuse_unreviewed
from reconciler.core.plan.stages import Plan
from reconciler.core.target import LiveSource
from reconciler.core.text.escape import pluralize
from reconciler.core.text.redact import REDACTOR
from reconciler.render.environment_list import (
    JoinEnvironments,
    join_as_json,
    join_documents,
    join_for_terminal,
)
from reconciler.render.text.apply import report_text
from reconciler.render.text.environments import applied_row, planned_row
from reconciler.render.text.plan import plan_text

# the exit code, the plan, and the report if the apply started
Ended = tuple[int, Plan, ApplyReport | None]

PARTLY = 5
_JOINS: Final[Mapping[str, JoinEnvironments]] = {
    "text": join_for_terminal,
    "json": join_as_json,
}
"""The report of several environments, by the value of `--format`."""
_LONGEST_ANSWER: Final = 1000
_LOOK: Final = (
    0.2  # seconds between two checks for signals while a question waits for its answer
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyOptions(ChangeOptions):
    """The options of `cxroute apply`."""

    yes: bool
    allow: Sequence[str]
    reason: str


def options(parser: argparse.ArgumentParser) -> type[ApplyOptions]:
    add = parser.add_argument
    add(
        "plan",
        nargs="?",
        metavar="PLAN",
        help="apply exactly this plan, saved by `cxroute plan --out`",
    )
    add_plan_options(parser)
    execute.add_change_options(parser)
    add(
        "--due",
        action="store_true",
        help="make only the changes that are due by a date of a rule",
    )
    add("--yes", action="store_true", help="do not ask for confirmation")
    add("--no-prune", action="store_true", help="do not delete rules")
    add(
        "--allow",
        action="append",
        metavar="NAME",
        default=[],
        help=f"lift a guard: {', '.join(GUARD_NAMES)}",
    )
    add(
        "--reason",
        metavar="TEXT",
        default="",
        help="the reason, for the journal; required with --allow",
    )
    add_format_option(parser)
    return ApplyOptions


def run(options: ApplyOptions, output: Output) -> int:
    _check_options(options)
    saved = None
    if options.plan:
        saved = execute.read_saved_plans(options.plan, options)
    if isinstance(saved, ReviewedPlan):
        selection = EnvironmentSelection.single(
            options, output, saved.environment, saved.options.undo
        )
        saved = {saved.environment: saved}
    else:
        selection = EnvironmentSelection.of(options, output, saved)
    if selection.listed and not options.yes:
        return _apply_confirmed(selection, options, saved or {})
    code, reports = _apply(selection, options, saved or {})
    environments.print_list(selection, reports, "Apply to", _JOINS[output.form])
    return code


def _check_options(options: ApplyOptions) -> None:
    """Raise UsageError for options that do not go together."""
    unknown = [name for name in options.allow if name not in GUARD_NAMES]
    if unknown:
        raise UsageError(
            f"--allow {unknown[0]}: unknown guard. The guards are {', '.join(GUARD_NAMES)}"
        )
    if options.allow and not options.reason.strip():
        raise UsageError("--allow requires --reason TEXT, which the journal records")
    execute.check_undo_options(options)
    options_of_plan = (
        options.only,
        options.adopt,
        options.keep_drift,
        options.traffic,
        options.undo,
    )
    if options.plan and any(options_of_plan):
        names = "--only, --adopt, --keep-drift, --traffic and --undo"
        raise UsageError(f"a saved plan contains its options: remove {names}")
    if options.due and (options.plan or options.only or options.undo):
        raise UsageError(
            "--due chooses the changes itself: remove PLAN, --only and --undo"
        )


def _nothing_due(planner: Planner) -> str:
    """Return why a run with --due has nothing to do."""
    frozen = planner.freeze()
    if frozen:
        return f"{frozen}. What a date requires is made after the freeze."
    return "No change is due by a date of a rule."


@dataclass(frozen=True, slots=True)
class _ApplyCommand:
    session: Session
    options: ApplyOptions

    async def run_and_notify(self, stop: Cancellation) -> EnvironmentResult:
        """Apply, and tell features of the changes or of the tenant's failure."""
        try:
            code, plan, report = await self.run(stop)
        except ApiError as error:
            error.args = (f"{error}. {_after_failure(error)}", *error.args[1:])
            await after_apply(self.session, ApplyEnd(error=error))
            raise
        if report:
            await after_apply(self.session, ApplyEnd(plan, report))
        return EnvironmentResult(code=code, row=applied_row(plan, report))

    async def run(self, stop: Cancellation) -> Ended:
        """Apply. Raises RefusedError and ApiError if nothing was written."""
        session = self.session
        async with open_source(session, "write") as client:
            planner, plan = await self.read_and_plan(client)
            try:
                if plan.has_work or not self.options.due:
                    self.refuse(plan)
                if not plan.has_work:
                    return self.finish(plan, None, 0.0)
                await self.confirm(plan)
            except RefusedError as refused:
                return self.refused(plan, refused), plan, None
            if stop.requested:
                raise InterruptedRunError("interrupted; nothing was written")
            self.warn_of_consent(plan)
            started = time.monotonic()
            report = await execute.execute_plan(
                session, client, planner, plan, stop, reason=self.options.reason
            )
        return self.finish(plan, report, time.monotonic() - started)

    async def read_and_plan(self, client: LiveSource) -> tuple[Planner, Plan]:
        """Read, plan, compare with the reviewed plan, and print. Raises RefusedError."""
        session = self.session
        output = session.output
        live = await session.read(client)

        planner = await session.run_blocking(
            lambda: session.planner(
                live, tuple(self.options.allow), self.options.reason
            )
        )
        if self.options.due:
            planner = replace(planner, written=execute.last_runs(session))
        session.check_clock(planner)
        asked = await ask_conditions(planner, live)
        plan = await session.run_blocking(lambda: asked.build(live))
        session.print_banner()
        if reviewed := session.reviewed:
            refuse_unreviewed(
                plan, reviewed, session.command_line.command("plan", "--out", "FILE")
            )
            made_at = f"Plan {reviewed.plan_id}, made {reviewed.generated_at}"
            output.note(
                f"{made_at}. The tenant was read again: the plan still covers every change."
            )
        self.print_plan(asked, plan)
        return asked, plan

    def print_plan(self, planner: Planner, plan: Plan) -> None:
        """Print the plan as text, or why nothing is due."""
        session = self.session
        output = session.output
        if self.options.due and not plan.options.only:
            output.note(_nothing_due(planner))
        elif output.form == "text" and output.loudness != "quiet":
            output.result(plan_text(plan, output.paint, session.tenant, session.limits))

    def refuse(self, plan: Plan) -> None:
        """Raise RefusedError for a conflict with an unmanaged rule, or for a guard that blocks."""
        named = [
            (f"{finding.address}: " if finding.address else "", finding)
            for finding in plan.conflicts
        ]
        reasons = [
            f"{address}{finding.message}; {finding.hint}" for address, finding in named
        ]
        reasons += [result.message for result in guard_refusals(plan)]
        if reasons:
            raise RefusedError(
                "refused, and nothing was written: "
                + "\n  ".join(reasons)
                + f"\n{self.again(plan)}"
            )

    def warn_of_consent(self, plan: Plan) -> None:
        """Warn that the consent of owners is not checked outside of a pipeline."""
        if plan.consent and not os.environ.get("CI"):
            needed = (
                f"the consent of {describe_consent(plan.consent)} is not checked here"
            )
            self.session.output.warn(
                f"{needed}: only the pipeline checks it, before it applies a reviewed plan"
            )

    def again(self, plan: Plan) -> str:
        return next_command(
            self.session, plan, self.options.plan, tuple(self.options.allow)
        )

    async def confirm(self, plan: Plan) -> None:
        """Ask the user to type the environment's name. Raises RefusedError without confirmation."""
        if self.options.yes:
            return
        if not self.session.output.interactive:
            raise RefusedError(
                f"cannot ask for confirmation here; nothing was written\n{self.again(plan)} --yes"
            )
        counts = count_changes(plan)
        words = [
            pluralize(counts[kind], kind)
            for kind in ("create", "update", "adopt", "delete")
            if counts[kind]
        ]
        if plan.changes_settings:
            words.append("the settings beside the rules")
        words = words or ["the clean-up after an earlier run"]
        name = plan.environment
        with abort_on_signal():
            await asyncio.sleep(0)  # the loop handles a signal that is already pending
            await asyncio.sleep(0)
            question = (
                f"Apply {', '.join(words)} to {name}? Type the environment's name"
            )
            _ask(self.session.output, question, name, "the environment's name")

    def refused(self, plan: Plan, error: RefusedError) -> int:
        """Print a refusal as JSON, with the plan, and return its exit code.

        In other formats, raise it.
        """
        if self.session.output.form != "json":
            raise error
        document = plan_to_json(plan) | {
            "outcomes": [],
            "converged": False,
            "error": error_document(error),
        }
        self.session.output.document(document)
        return error.exit_code

    def finish(self, plan: Plan, report: ApplyReport | None, seconds: float) -> Ended:
        output = self.session.output
        if output.form == "json":
            document = {**plan_to_json(plan), "outcomes": [], "converged": True}
            if report:
                document |= {
                    "outcomes": outcomes_to_json(report),
                    "converged": report.converged,
                }
                document |= {"run": report.run_id} if report.run_id else {}
                document |= {"notes": [*report.notes]} if report.notes else {}
                if report.error and not report.converged:
                    document["error"] = {
                        "kind": "Stopped",
                        "message": report.error,
                        "exitCode": exit_code(report),
                    }
            output.document(document)
        elif report:
            output.result(
                "\n"
                + report_text(
                    report,
                    output.paint,
                    self.session.command_line.command("plan"),
                    seconds,
                )
            )
            output.result(
                "".join(
                    f"{line}\n"
                    for line in execute.undo_hints(self.session, plan, report)
                )
            )
        return exit_code(report), plan, report


def _after_failure(error: ApiError) -> str:
    """Return what a failure means for the tenant, and the next step."""
    # Only a failure before the first write is an error; after it, the report says what was written.
    lasts = isinstance(
        error,
        CredentialsError | ScopeError | UnsupportedCallError | UnexpectedResponseError,
    )
    return "Nothing was written" if lasts else "Nothing was written: run it again"


def _ask(output: Output, question: str, answer: str, meaning: str) -> None:
    output.flush()
    sys.stderr.write(wrap_for(f"{question} to continue: ", sys.stderr))
    sys.stderr.flush()
    # A blocking read would delay the handling of an earlier signal.
    # stdin is not a file, or select() does not support it (Windows)
    with contextlib.suppress(OSError, ValueError):
        while not select.select([sys.stdin], [], [], _LOOK)[0]:
            pass
    if sys.stdin.readline(_LONGEST_ANSWER).strip() != answer:
        raise RefusedError(f"that is not {meaning}; nothing was written")


def exit_code(report: ApplyReport | None) -> int:
    """Return apply's exit code (exit-codes): 0 only when a read after the last write shows no
    difference.
    """
    if report is None or report.converged:
        return 0
    if report.interrupted:
        return InterruptedRunError.exit_code
    wrote = any(
        isinstance(outcome, Applied | UnknownOutcome) or outcome.left_partial
        for outcome in report.outcomes
    )
    return PARTLY if wrote else CxrouteError.exit_code


def _prepared(options: ApplyOptions, plans: SavedPlans, session: Session) -> Session:
    reviewed = plans.get(session.environment.name)
    if isinstance(reviewed, str):
        raise RefusedError(
            f"the saved plan does not contain this environment, which failed ({reviewed}); plan "
            f"again"
        )
    session = execute.with_undo(
        execute.bind_to_review(session, reviewed) if reviewed else session, options
    )
    session = session.with_test_results()
    if session.failed_tests:
        raise ManifestError(session.failed_tests)
    return session


def _apply(
    selection: EnvironmentSelection, options: ApplyOptions, plans: SavedPlans
) -> tuple[int, list[EnvironmentResult]]:
    async def work(session: Session, stop: Cancellation) -> EnvironmentResult:
        command = _ApplyCommand(session, options)
        return await command.run_and_notify(stop)

    prepare = partial(_prepared, options, plans)
    return environments.run_environments(
        selection, work, prepare, on_signal="tell each"
    )


def _apply_confirmed(
    selection: EnvironmentSelection, options: ApplyOptions, plans: SavedPlans
) -> int:
    output = selection.output
    code, reports = _plan(selection, options, plans)
    differing = [report for report in reports if report.row.status == "differs"]
    if differing:
        if output.form == "text":
            environments.print_list(selection, reports, "Plan for", join_for_terminal)
        try:
            _confirm(selection, len(differing))
        except RefusedError as refused:
            if output.form != "json":
                raise
            documents = [report.text for report in reports]
            error = REDACTOR.dump_redacted(error_document(refused))
            output.result(f"{join_documents(documents, error)}\n")
            return refused.exit_code
        reports = _apply_shown(selection, options, reports, differing)
        code = environments.worst_exit_code(report.code for report in reports)
    environments.print_list(selection, reports, "Apply to", _JOINS[output.form])
    return code


def _plan(
    selection: EnvironmentSelection, options: ApplyOptions, plans: SavedPlans
) -> tuple[int, list[EnvironmentResult]]:
    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        run = _ApplyCommand(session, options)
        async with open_source(session, "read") as client:
            _, plan = await run.read_and_plan(client)
        try:
            run.refuse(plan)
        except RefusedError as refused:
            return EnvironmentResult(
                code=run.refused(plan, refused), row=planned_row(plan)
            )
        if session.output.form == "json":
            session.output.document(
                {**plan_to_json(plan), "outcomes": [], "converged": not plan.has_work}
            )
        saved = plan_file_text(session, plan, "the plan", None) if plan.has_work else ""
        return EnvironmentResult(code=0, row=planned_row(plan), saved=saved)

    prepare = partial(_prepared, options, plans)
    return environments.run_environments(selection, work, prepare)


def _confirm(selection: EnvironmentSelection, number: int) -> None:
    if not selection.output.interactive:
        plans = selection.options.plan
        words = selection.words if selection.options.environment else selection.share
        command_line = selection.command_line
        command = command_line.command("apply", "--yes")
        if plans:
            command = command_line.apply_saved(plans, *words, "--yes")
        raise RefusedError(
            f"cannot ask for confirmation here; nothing was written\nTo apply these: {command}"
        )
    with abort_on_signal():
        question = (
            f"Apply this to {pluralize(number, 'environment')}? Type the number of environments, "
            f"{number},"
        )
        _ask(selection.output, question, str(number), "the number of environments")


def _apply_shown(
    selection: EnvironmentSelection,
    options: ApplyOptions,
    planned: Sequence[EnvironmentResult],
    differing: Sequence[EnvironmentResult],
) -> list[EnvironmentResult]:
    """Apply exactly the plans that were displayed.

    Text does not repeat the reports of the other environments.
    """
    plans = {
        report.row.environment: read_saved_plan(report.saved, "the displayed plan")
        for report in differing
    }
    in_text = selection.output.form == "text"
    output = (
        replace(selection.output, loudness="quiet") if in_text else selection.output
    )
    confirmed = replace(options, yes=True)
    accepted = replace(selection, names=tuple(plans), output=output)
    _, reports = _apply(accepted, confirmed, plans)
    if in_text:
        planned = [replace(report, text="") for report in planned]
        reports = [
            replace(report, text=f"{report.row.environment}:\n{report.text}")
            for report in reports
        ]
    applied = {report.row.environment: report for report in reports}
    return [applied.get(report.row.environment, report) for report in planned]
