"""`cxroute github TASK`: steps of a GitHub workflow other than plan and apply (docs/github.md)."""

import argparse
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import httpx

from reconciler.cli.clients import ca_file
from reconciler.cli.command_line import require_single
from reconciler.cli.files import write_text
from reconciler.cli.output import Output
from reconciler.cxone.transport.tls import load_tls_context, parse_proxy
from reconciler.errors import RefusedError, UsageError
from reconciler.github import actions, drift_issue, reviewed_plan
from reconciler.github import plan_comment as statement
from reconciler.github.api import GitHub, GitHubError, fetch_login
from reconciler.github.plan_comment import CommentRequest, list_comments, write_comment
from reconciler.text.files import MIB, read_text
from reconciler.text.redact import REDACTOR

TASKS: Final = ("outputs", "comment", "reviewed-plan", "drift-issue")
_SECONDS: Final = 15.0
_LONGEST_NUMBER: Final = 12


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("task", choices=TASKS, help="the task; the variable GITHUB_TOKEN holds the token")
    parser.add_argument("--author", metavar="LOGIN", help="login of the token's owner (default: as GitHub reports)")
    plan = parser.add_argument_group("outputs, comment")
    plan.add_argument("--report", metavar="DIR", help="directory that `cxroute plan --report DIR` wrote")
    comment = parser.add_argument_group("comment")
    comment.add_argument("--applied", metavar="FILE", help="report the result: the output of `apply --format json`")
    comment.add_argument("--outdated", metavar="WHY", nargs="?", const="", help="mark the plan as out of date")
    comment.add_argument("--pull-request", metavar="NUMBER", help="the pull request (default: from the event)")
    reviewed = parser.add_argument_group("reviewed-plan")
    reviewed.add_argument("--out", metavar="FILE", help="file for the reviewed plan")
    workflow = "file name of the plan workflow (default: routing-plan.yml)"
    reviewed.add_argument("--workflow", metavar="FILE", default="routing-plan.yml", help=workflow)
    drift = parser.add_argument_group("drift-issue")
    drift.add_argument("--plan", metavar="FILE", help="output of `cxroute drift --format json`")
    drift.add_argument("--body", metavar="FILE", help="output of `cxroute drift --format markdown`")


def run(options: argparse.Namespace, output: Output) -> int:
    REDACTOR.add(os.environ.get("GITHUB_TOKEN"))
    step = actions.StepFiles.from_variables(os.environ)
    match options.task:
        case "outputs":
            directory = Path(_required(options.report, "--report DIR"))
            if report := actions.read_plan_report(directory):
                step.write_outputs({"has-changes": "true" if report.has_changes else "false", **report.counts})
                step.write_outputs({"plan-file": directory / "plan.json", "plan-id": report.plan_id})
                step.add_summary(report.text.partition("\n")[2])
        case "comment":
            _publish_comment(options, output, step)
        case "reviewed-plan":
            _write_reviewed_plan(options, output, step)
        case _:
            _update_issue(options, output, step)
    return 0


def _publish_comment(options: argparse.Namespace, output: Output, step: actions.StepFiles) -> None:
    this = _current_run(options)
    request = _build_request(options, this)
    if options.report is None:
        step.add_summary(request.desired.text)
    if this.pull_request is None:
        output.note("There is no pull request for the comment. Its text is in the job summary.")
        return
    try:
        with _open_github(this) as github:
            comments = list_comments(github, this.pull_request)
            author = options.author or fetch_login(github)
            decision = request.decide(comments, replace(request.desired, author=author))
            output.result(f"{write_comment(github, this.pull_request, decision)}\n")
    except (GitHubError, UsageError) as error:
        output.warn(f"{error}; the text of the comment is in the job summary")
        if options.report is not None:
            step.add_summary(request.desired.text)


def _build_request(options: argparse.Namespace, this: actions.WorkflowRun) -> CommentRequest:
    if [options.report, options.applied, options.outdated].count(None) != 2:  # noqa: PLR2004 - of three
        raise UsageError("specify exactly one of --report DIR, --applied FILE and --outdated [WHY]")
    if options.report is not None and (report := actions.read_plan_report(Path(options.report))):
        return statement.request_plan(report, this)
    environment, now = _environment(options), datetime.now(UTC)
    if options.report is not None:
        return statement.request_planless(environment, this, now)
    if options.applied is not None:
        return statement.request_applied(environment, actions.read_json_object(Path(options.applied)), this, now)
    return statement.request_outdated(environment, options.outdated, this, now)


def _write_reviewed_plan(options: argparse.Namespace, output: Output, step: actions.StepFiles) -> None:
    """Write the plan that was reviewed for this commit. Pull request and reason of a failure are step outputs."""
    environment, out = _environment(options), Path(_required(options.out, "--out FILE"))
    this = _current_run(options)
    try:
        with _open_github(this) as github:
            tip = reviewed_plan.fetch_branch_tip(github)
            by_hand = this.event == actions.MANUAL_EVENT
            source = None if by_hand else reviewed_plan.find_merged_pull_request(github, this, tip)
            step.write_outputs({"pull-request": source.number if source else ""})
            reviewed_plan.check_is_tip(this, tip)
            plan = reviewed_plan.fetch_reviewed_plan(github, this, environment, options.workflow, source)
    except RefusedError as refused:
        step.write_outputs({"reason": refused})
        raise
    write_text(out, plan)
    where = f"pull request {source.number}" if source else "this run"
    output.result(f"wrote the reviewed plan of {where}: {out}\n")


def _update_issue(options: argparse.Namespace, output: Output, step: actions.StepFiles) -> None:
    environment = _environment(options)
    plan = actions.read_json_object(Path(_required(options.plan, "--plan FILE")))
    if plan.get("environment") != environment or "changes" not in plan:
        remedy = "Write it with `cxroute drift --format json`"
        raise UsageError(f"{options.plan} does not contain the drift of {environment}. {remedy}")
    body = Path(_required(options.body, "--body FILE"))
    try:
        text = read_text(body, 16 * MIB)
    except OSError as error:
        raise UsageError(f"cannot read {body}: {error.strerror}") from error
    this = _current_run(options)
    step.add_summary(text)
    when = f"{datetime.now(UTC):%Y-%m-%d at %H:%M} UTC ({this.link})"
    difference = drift_issue.difference_digest(plan)
    with _open_github(this) as github:
        author = options.author or fetch_login(github)
        drift = drift_issue.DriftObservation(
            environment=environment, author=author, difference=difference, text=text, when=when
        )
        for decision in drift_issue.decide_issues(drift_issue.list_open_issues(github), drift):
            output.result(f"{drift_issue.write_issue(github, decision)}\n")


def _current_run(options: argparse.Namespace) -> actions.WorkflowRun:
    path = os.environ.get("GITHUB_EVENT_PATH")
    this = actions.read_workflow_run(os.environ, actions.read_json_object(Path(path)) if path else {})
    number = options.pull_request
    if not number:
        return this
    if not (number.isascii() and number.isdecimal() and len(number) < _LONGEST_NUMBER):
        raise UsageError(f"--pull-request {number}: not a number")
    return replace(this, pull_request=int(number))


@contextmanager
def _open_github(this: actions.WorkflowRun) -> Iterator[GitHub]:
    """Connect with the token of the step, which is sent only to the API. Raises UsageError without a token."""
    token = os.environ.get("GITHUB_TOKEN", "").strip()
    if not token or not token.isascii() or not token.isprintable():
        raise UsageError("GITHUB_TOKEN is not set or not valid. Set it for this step only")
    proxy = os.environ.get("CXROUTE_PROXY")
    transport = httpx.HTTPTransport(verify=load_tls_context(ca_file()), proxy=parse_proxy(proxy) if proxy else None)
    # The client reads no netrc and no other proxy variables, and follows redirects only where one is expected.
    with httpx.Client(transport=transport, trust_env=False, follow_redirects=False, timeout=_SECONDS) as http:
        yield GitHub(http=http, base=this.api, repository=this.repository, token=token)


def _required(value: str | None, option: str) -> str:
    if not value:
        raise UsageError(f"{option} is required")
    return value


def _environment(options: argparse.Namespace) -> str:
    return require_single(_required(options.environment, "-e ENV"))
