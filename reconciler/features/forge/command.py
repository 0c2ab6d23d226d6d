"""`cxroute github|gitlab|azure|bitbucket TASK`: steps of a pipeline other than plan and apply
(docs/forges.md).
"""

import argparse
import json
import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.core.errors import RefusedError, UsageError
from reconciler.core.plan.consent import describe_consent
from reconciler.core.plan.document import COUNTED_ACTIONS
from reconciler.core.text.files import MIB, read_text
from reconciler.core.text.json_values import parse_object
from reconciler.core.text.redact import REDACTOR
from reconciler.features.forge import consent, drift_issue, note, reviewed_plan
from reconciler.features.forge.comment import write_note
from reconciler.features.forge.consent import MEMBERS_TOKEN
from reconciler.features.forge.forge import PLAN_FILE, Forge, ForgeModule, PipelineRun
from reconciler.features.forge.merge_task import check_merges
from reconciler.features.forge.plan_report import (
    read_failure,
    read_json_object,
    read_plan_report,
)
from reconciler.features.forge.step import StepFiles
from reconciler.features.forge.task import Step, StepOptions, required
from reconciler.rest.client import RestClock, RestError

# seconds before each attempt
_PLAN_PAUSES: Final = (
    0.0,
    10.0,
    20.0,
    40.0,
    80.0,
    160.0,
)
_NOTES: Final = ("comment", "note")


class ForgeOptions(NamedTuple):
    """The tasks of one forge, and its words in the help of its command."""

    tasks: tuple[str, ...]
    pipeline: str  # the default of --workflow
    # its value, and its meaning
    pipeline_help: tuple[str, str] = (
        "FILE",
        "file name of the plan workflow",
    )


_COMMON: Final = ("note", "merge-check", "consent", "reviewed-plan")
FORGES: Final = {
    "github": ForgeOptions(
        (
            "outputs",
            "comment",
            "merge-check",
            "consent",
            "reviewed-plan",
            "drift-issue",
        ),
        "routing-plan.yml",
    ),
    "gitlab": ForgeOptions(
        ("widget", *_COMMON, "drift-issue"),
        "cxroute-plan",
        pipeline_help=("JOB", "name of the job that plans"),
    ),
    "azure": ForgeOptions(
        (*_COMMON, "drift-issue"), ".azure-pipelines/routing-plan.yml"
    ),
    "bitbucket": ForgeOptions(
        _COMMON, "bitbucket-pipelines.yml"
    ),  # Bitbucket has no issues
}
_REPORTING: Final = ("outputs", "widget", *_NOTES, "consent")  # tasks with --report


def options(parser: argparse.ArgumentParser) -> type[StepOptions]:
    name = parser.prog.rpartition(" ")[2]  # the command is the name of the forge
    forge = FORGES[name]
    token_variable = _load_forge(name).DIALECT.token_variable
    parser.set_defaults(forge=name)
    parser.add_argument(
        "task",
        choices=forge.tasks,
        help=f"the task; the variable {token_variable} holds the token",
    )
    parser.add_argument(
        "--author",
        metavar="LOGIN",
        help="login of the token's owner (default: as the forge reports)",
    )
    reporting = ", ".join(task for task in forge.tasks if task in _REPORTING)
    parser.add_argument_group(reporting).add_argument(
        "--report",
        metavar="DIR",
        help="directory that `cxroute plan --report DIR` wrote",
    )
    _add_note_options(parser, forge)
    _add_review_options(parser, forge)
    if "drift-issue" in forge.tasks:
        drift = parser.add_argument_group("drift-issue")
        drift.add_argument(
            "--plan", metavar="FILE", help="output of `cxroute drift --format json`"
        )
        drift.add_argument(
            "--body", metavar="FILE", help="output of `cxroute drift --format markdown`"
        )
    return StepOptions


def _add_note_options(parser: argparse.ArgumentParser, forge: ForgeOptions) -> None:
    task = next(task for task in forge.tasks if task in _NOTES)
    comment = parser.add_argument_group(task)
    comment.add_argument(
        "--applied",
        metavar="FILE",
        help="report the result: the output of `apply --format json`",
    )
    comment.add_argument(
        "--outdated",
        metavar="WHY",
        nargs="?",
        const="",
        help="mark the plan as out of date",
    )
    comment.add_argument(
        "--pull-request",
        metavar="NUMBER",
        help="the pull request (default: from the event)",
    )


def _add_review_options(parser: argparse.ArgumentParser, forge: ForgeOptions) -> None:
    reviewed = parser.add_argument_group("reviewed-plan")
    reviewed.add_argument("--out", metavar="FILE", help="file for the reviewed plan")
    parser.add_argument_group("consent").add_argument(
        "--unchanged",
        action="store_true",
        help="no manifest is changed: no consent is needed",
    )
    metavar, meaning = forge.pipeline_help
    planned = parser.add_argument_group("consent (without --report), reviewed-plan")
    planned.add_argument(
        "--workflow",
        metavar=metavar,
        default=forge.pipeline,
        help=f"{meaning} (default: {forge.pipeline})",
    )


def run(options: StepOptions, output: Output) -> int:
    module = _load_forge(options.forge)
    for variable in (module.DIALECT.token_variable, MEMBERS_TOKEN):
        REDACTOR.add(os.environ.get(variable))
    files = StepFiles.from_variables(os.environ)
    _TASKS[options.task](Step(options, output, module, files))
    return 0


def _load_forge(name: str) -> ForgeModule:
    """Import the adapter of a forge: "github"."""
    return cast("ForgeModule", import_module(f"reconciler.features.forge.{name}"))


def _write_outputs(step: Step) -> None:
    directory = Path(required(step.options.report, "--report DIR"))
    if report := read_plan_report(directory):
        step.files.write_outputs(
            {"has-changes": "true" if report.has_changes else "false", **report.counts}
        )
        step.files.write_outputs(
            {"plan-file": directory / "plan.json", "plan-id": report.plan_id}
        )
        step.files.add_summary(report.text.partition("\n")[2])


def _write_widget(step: Step) -> None:
    """Write the counts of a plan beside it, in the form of GitLab's report for Terraform."""
    directory = Path(required(step.options.report, "--report DIR"))
    report = read_plan_report(directory)
    if report:
        create, update, adopt, delete = (
            report.counts[action] for action in COUNTED_ACTIONS
        )
        counts = {"create": create, "update": update + adopt, "delete": delete}
        write_text(directory / "tfplan.json", json.dumps(counts))


def _publish_note(step: Step) -> None:
    run = step.read_run()
    options = step.options
    comment = _build_comment(step, run)
    if options.report is None:
        step.files.add_summary(comment.text)
    if run.pull_request is None:
        place = " Its text is in the job summary." if step.files.summary else ""
        step.output.note(f"There is no pull request for the comment.{place}")
        return
    try:
        with step.connect(run) as forge:
            notes = forge.list_notes(run.pull_request)
            desired = replace(comment, author=step.author(forge), limit=forge.max_text)
            decision = note.decide(notes, desired)
            description = write_note(forge, run.pull_request, decision)
            step.output.result(f"{description}\n")
    except (RestError, UsageError) as error:
        place = ""
        if step.files.summary:
            place = "; the text of the comment is in the job summary"
        step.output.warn(f"{error}{place}")
        if options.report is not None:
            step.files.add_summary(comment.text)


def _build_comment(step: Step, run: PipelineRun) -> note.DesiredComment:
    options = step.options
    if [options.report, options.applied, options.outdated].count(None) != 2:  # noqa: PLR2004 - of three
        raise UsageError(
            "specify exactly one of --report DIR, --applied FILE and --outdated [WHY]"
        )
    if options.report is not None:
        return _request_report(step, run, Path(options.report))
    environment = step.environment
    now = datetime.now(UTC)
    if options.applied is not None:
        report = read_json_object(Path(options.applied))
        return note.request_applied(environment, report, run, now)
    return note.request_outdated(environment, options.outdated or "", run, now)


def _request_report(step: Step, run: PipelineRun, folder: Path) -> note.DesiredComment:
    failure = read_failure(folder)
    report = None if failure else read_plan_report(folder)
    if report is not None:
        return note.request_plan(report, run)
    now = datetime.now(UTC)
    return note.request_planless(step.environment, run, now, failure)


def _write_reviewed_plan(step: Step) -> None:
    """Write the plan that was reviewed for this commit.

    Pull request and reason of a failure are step outputs.
    """
    environment = step.environment
    out = Path(required(step.options.out, "--out FILE"))
    run = step.read_run()
    try:
        with step.connect(run) as forge:
            tip = forge.fetch_branch_tip()
            source = None
            if not run.is_manual:
                sleep = RestClock().sleep
                source = reviewed_plan.find_merged_request(forge, run, tip, sleep)
            step.files.write_outputs({"pull-request": source.number if source else ""})
            reviewed_plan.check_is_tip(run, tip)
            plan = reviewed_plan.fetch_reviewed_plan(
                forge, run, environment, step.options.workflow, source
            )
            if source:
                with step.connect_voters(
                    run, forge, source.number, source.head
                ) as voters:
                    consent.refuse_missing(voters, plan, environment)
    except RefusedError as refused:
        step.files.write_outputs({"reason": refused})
        raise
    write_text(out, plan)
    where = f"{forge.request} {source.number}" if source else "this run"
    step.output.result(f"wrote the reviewed plan of {where}: {out}\n")


def _update_consent(step: Step) -> None:
    """Set the status of the consent of a pull request's head.

    Raises RefusedError if consent is missing.
    """
    environment = step.environment
    run = step.read_run()
    if run.pull_request is None:
        raise UsageError("there is no pull request whose consent could be read")
    with step.connect(run) as forge:
        if step.options.unchanged:
            text = "No manifest is changed: no consent is needed"
            status = consent.make_status(environment, "success", text)
            forge.set_status(run.sha, status)
            step.output.result("no manifest is changed: no consent is needed\n")
            return
        plan = _fetch_planned(step, forge, run)
        if plan is None:
            step.output.result(
                f"there is no plan of {run.sha[:8]} yet: the run that plans it sets the status\n"
            )
            return
        _check_consent(step, forge, run, run.pull_request, plan)


def _check_consent(
    step: Step,
    forge: Forge,
    run: PipelineRun,
    pull_request: int,
    plan: Mapping[str, Any],
) -> None:
    """Set the status by the approvals of the pull request.

    Raises RefusedError if consent is missing.
    """
    environment = step.environment

    def report(state: Literal["pending", "success", "failure"], text: str) -> None:
        forge.set_status(run.sha, consent.make_status(environment, state, text))

    # in place of an earlier success, should this fail
    report("pending", "Reading the approvals")
    try:
        needed = consent.list_needed(plan, environment)
        with step.connect_voters(run, forge, pull_request, run.sha) as voters:
            missing = consent.find_missing(voters, needed)
    except (RestError, RefusedError, UsageError):
        with suppress(RestError):
            report("failure", "The consent could not be read: see the run")
        raise
    if missing:
        owners = describe_consent(missing)
        report("failure", f"Consent is missing: {owners}")
        raise RefusedError(f"an approval of {run.sha[:8]} is missing of {owners}")
    text = "No consent is needed: no queue with owners gains or loses callers"
    if needed:
        text = f"Consent is given: {describe_consent(needed)}"
    report("success", text)
    step.output.result(f"{text}\n")


def _fetch_planned(step: Step, forge: Forge, run: PipelineRun) -> dict[str, Any] | None:
    """Return the plan of --report, or the one that the plan's run stored for this commit; None
    without such a run.
    """
    if step.options.report is not None:
        return read_json_object(Path(step.options.report, PLAN_FILE))
    for pause in _PLAN_PAUSES:  # a review may come while its commit is planned
        RestClock().sleep(pause)
        plan_run = forge.find_plan_run(run.sha, step.options.workflow)
        if plan_run:
            content = forge.fetch_plan(plan_run.id, step.environment)
            return parse_object(content) if content else None
    return None


def _update_issue(step: Step) -> None:
    environment = step.environment
    plan_file = required(step.options.plan, "--plan FILE")
    plan = read_json_object(Path(plan_file))
    if plan.get("environment") != environment or "changes" not in plan:
        remedy = "Write it with `cxroute drift --format json`"
        raise UsageError(
            f"{plan_file} does not contain the drift of {environment}. {remedy}"
        )
    body = Path(required(step.options.body, "--body FILE"))
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
            headline=drift_issue.drift_headline(plan),
            text=text,
            when=when,
        )
        for done in drift_issue.update_issues(forge, drift):
            step.output.result(f"{done}\n")


_TASKS: Final[dict[str, Callable[[Step], None]]] = {
    "outputs": _write_outputs,
    "widget": _write_widget,
    "comment": _publish_note,
    "note": _publish_note,
    "merge-check": check_merges,
    "consent": _update_consent,
    "reviewed-plan": _write_reviewed_plan,
    "drift-issue": _update_issue,
}
