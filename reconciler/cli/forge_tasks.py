"""The tasks of `cxroute github|gitlab|azure|bitbucket`: steps of a pipeline other than plan and apply."""

import argparse
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Final, NamedTuple, Protocol, cast

import httpx

from reconciler.cli.clients import open_rest_http
from reconciler.cli.command_line import require_single
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.errors import RefusedError, UsageError
from reconciler.forge import drift_issue, note, reviewed_plan
from reconciler.forge.forge import Forge, PipelineRun
from reconciler.forge.plan_report import read_json_object, read_plan_report
from reconciler.forge.step_files import StepFiles
from reconciler.rest.client import RestClock, RestDialect, RestError
from reconciler.text.files import MIB, read_text
from reconciler.text.redact import REDACTOR

_LONGEST_NUMBER: Final = 12
_NOTES: Final = ("comment", "note")


class ForgeModule(Protocol):
    """A module of reconciler.forge with the adapter of one forge."""

    DIALECT: RestDialect

    def read_run(self, variables: Mapping[str, str]) -> PipelineRun:
        """Return the run of a step, from its variables. Raises UsageError outside of a pipeline."""
        ...

    def connect(self, http: httpx.Client, run: PipelineRun, token: str) -> Forge:
        """Connect to the repository of a run."""
        ...


class Step(NamedTuple):
    """A step of a pipeline: its options, its output, the forge, and the files that the forge reads."""

    options: argparse.Namespace
    output: Output
    module: ForgeModule
    files: StepFiles

    def required(self, name: str, option: str) -> str:
        """Return the value of an option. Raises UsageError."""
        value = getattr(self.options, name)
        if not value:
            raise UsageError(f"{option} is required")
        return str(value)

    @property
    def environment(self) -> str:
        """Return the environment. Raises UsageError without one, and for several."""
        return require_single(self.required("environment", "-e ENV"))

    def read_run(self) -> PipelineRun:
        """Return the run of this step, with the pull request of --pull-request. Raises UsageError."""
        run, number = self.module.read_run(os.environ), self.options.pull_request
        if not number:
            return run
        if not (number.isascii() and number.isdecimal() and len(number) < _LONGEST_NUMBER):
            raise UsageError(f"--pull-request {number}: not a number")
        return replace(run, pull_request=int(number))

    @contextmanager
    def connect(self, run: PipelineRun) -> Iterator[Forge]:
        """Connect with the token of the step, which is sent only to the API. Raises UsageError without a token."""
        variable = self.module.DIALECT.token_variable
        token = os.environ.get(variable, "").strip()
        if not token or not token.isascii() or not token.isprintable():
            raise UsageError(f"{variable} is not set or not valid. Set it for this step only")
        with open_rest_http() as http:
            yield self.module.connect(http, run, token)

    def author(self, forge: Forge) -> str:
        """Return the login of --author, or of the token: only notes by that login are edited."""
        return self.options.author or forge.fetch_login()


class ForgeOptions(NamedTuple):
    """The words of one forge in the help of its command."""

    tasks: tuple[str, ...]
    token_variable: str
    pipeline: str  # the default of --workflow


def add_options(parser: argparse.ArgumentParser, forge: ForgeOptions) -> None:
    """Add the options of all tasks."""
    parser.add_argument(
        "task", choices=forge.tasks, help=f"the task; the variable {forge.token_variable} holds the token"
    )
    parser.add_argument("--author", metavar="LOGIN", help="login of the token's owner (default: as the forge reports)")
    plan = parser.add_argument_group(", ".join(task for task in forge.tasks if task in ("outputs", *_NOTES)))
    plan.add_argument("--report", metavar="DIR", help="directory that `cxroute plan --report DIR` wrote")
    comment = parser.add_argument_group(next(task for task in forge.tasks if task in _NOTES))
    comment.add_argument("--applied", metavar="FILE", help="report the result: the output of `apply --format json`")
    comment.add_argument("--outdated", metavar="WHY", nargs="?", const="", help="mark the plan as out of date")
    comment.add_argument("--pull-request", metavar="NUMBER", help="the pull request (default: from the event)")
    reviewed = parser.add_argument_group("reviewed-plan")
    reviewed.add_argument("--out", metavar="FILE", help="file for the reviewed plan")
    workflow = f"file name of the plan workflow (default: {forge.pipeline})"
    reviewed.add_argument("--workflow", metavar="FILE", default=forge.pipeline, help=workflow)
    drift = parser.add_argument_group("drift-issue")
    drift.add_argument("--plan", metavar="FILE", help="output of `cxroute drift --format json`")
    drift.add_argument("--body", metavar="FILE", help="output of `cxroute drift --format markdown`")


def run_task(forge: str, options: argparse.Namespace, output: Output) -> int:
    """Run a task on a forge: "github"."""
    module = cast("ForgeModule", import_module(f"reconciler.forge.{forge}"))
    REDACTOR.add(os.environ.get(module.DIALECT.token_variable))
    TASKS[options.task](Step(options, output, module, StepFiles.from_variables(os.environ)))
    return 0


def _write_outputs(step: Step) -> None:
    directory = Path(step.required("report", "--report DIR"))
    if report := read_plan_report(directory):
        step.files.write_outputs({"has-changes": "true" if report.has_changes else "false", **report.counts})
        step.files.write_outputs({"plan-file": directory / "plan.json", "plan-id": report.plan_id})
        step.files.add_summary(report.text.partition("\n")[2])


def _publish_note(step: Step) -> None:
    run, options = step.read_run(), step.options
    request = _build_request(step, run)
    if options.report is None:
        step.files.add_summary(request.desired.text)
    if run.pull_request is None:
        step.output.note("There is no pull request for the comment. Its text is in the job summary.")
        return
    try:
        with step.connect(run) as forge:
            notes = forge.list_notes(run.pull_request)
            desired = replace(request.desired, author=step.author(forge), limit=forge.max_text)
            decision = request.decide(notes, desired)
            step.output.result(f"{note.write_note(forge, run.pull_request, decision)}\n")
    except (RestError, UsageError) as error:
        step.output.warn(f"{error}; the text of the comment is in the job summary")
        if options.report is not None:
            step.files.add_summary(request.desired.text)


def _build_request(step: Step, run: PipelineRun) -> note.CommentRequest:
    options = step.options
    if [options.report, options.applied, options.outdated].count(None) != 2:  # noqa: PLR2004 - of three
        raise UsageError("specify exactly one of --report DIR, --applied FILE and --outdated [WHY]")
    if options.report is not None and (report := read_plan_report(Path(options.report))):
        return note.request_plan(report, run)
    environment, now = step.environment, datetime.now(UTC)
    if options.report is not None:
        return note.request_planless(environment, run, now)
    if options.applied is not None:
        return note.request_applied(environment, read_json_object(Path(options.applied)), run, now)
    return note.request_outdated(environment, options.outdated, run, now)


def _write_reviewed_plan(step: Step) -> None:
    """Write the plan that was reviewed for this commit. Pull request and reason of a failure are step outputs."""
    environment, out = step.environment, Path(step.required("out", "--out FILE"))
    run = step.read_run()
    try:
        with step.connect(run) as forge:
            tip = forge.fetch_branch_tip()
            sleep = RestClock().sleep
            source = None if run.is_manual else reviewed_plan.find_merged_request(forge, run, tip, sleep)
            step.files.write_outputs({"pull-request": source.number if source else ""})
            reviewed_plan.check_is_tip(run, tip)
            plan = reviewed_plan.fetch_reviewed_plan(forge, run, environment, step.options.workflow, source)
    except RefusedError as refused:
        step.files.write_outputs({"reason": refused})
        raise
    write_text(out, plan)
    where = f"{forge.request} {source.number}" if source else "this run"
    step.output.result(f"wrote the reviewed plan of {where}: {out}\n")


def _update_issue(step: Step) -> None:
    environment, plan_file = step.environment, step.required("plan", "--plan FILE")
    plan = read_json_object(Path(plan_file))
    if plan.get("environment") != environment or "changes" not in plan:
        remedy = "Write it with `cxroute drift --format json`"
        raise UsageError(f"{plan_file} does not contain the drift of {environment}. {remedy}")
    body = Path(step.required("body", "--body FILE"))
    try:
        text = read_text(body, 16 * MIB)
    except OSError as error:
        raise UsageError(f"cannot read {body}: {error.strerror}") from error
    run = step.read_run()
    step.files.add_summary(text)
    when = f"{datetime.now(UTC):%Y-%m-%d at %H:%M} UTC ({run.link})"
    with step.connect(run) as forge:
        drift = drift_issue.DriftObservation(
            environment=environment,
            author=step.author(forge),
            difference=drift_issue.difference_digest(plan),
            text=text,
            when=when,
            limit=forge.max_text,
        )
        for decision in drift_issue.decide_issues(forge.list_drift_issues(), drift):
            step.output.result(f"{drift_issue.write_issue(forge, decision)}\n")


TASKS: Final[dict[str, Callable[[Step], None]]] = {
    "outputs": _write_outputs,
    "comment": _publish_note,
    "note": _publish_note,
    "reviewed-plan": _write_reviewed_plan,
    "drift-issue": _update_issue,
}
