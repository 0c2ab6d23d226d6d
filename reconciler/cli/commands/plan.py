"""`cxroute plan`: the dry run, with a client that cannot write."""

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import Any

from reconciler.cli import environments
from reconciler.cli.ci import relative_to_root, source_links
from reconciler.cli.clients import open_source
from reconciler.cli.command_line import add_at_option
from reconciler.cli.environments import EnvironmentResult, EnvironmentSelection, is_list
from reconciler.cli.execute import add_change_options, check_undo_options, with_undo
from reconciler.cli.files import new_folder, write_text
from reconciler.cli.hooks import report_page
from reconciler.cli.options import ChangeOptions
from reconciler.cli.output import Output, error_document
from reconciler.cli.rule_sources import add_live_file_option, with_live_file
from reconciler.cli.session import Cancellation, Session
from reconciler.core.errors import (
    ApiError,
    CxrouteError,
    ManifestError,
    RefusedError,
    UsageError,
)
from reconciler.core.plan.assess import replay_plan
from reconciler.core.plan.document import (
    ERROR_FILE,
    digest_document,
    plan_id,
    plan_to_json,
)
from reconciler.core.plan.guards import guard_refusals
from reconciler.core.plan.later import later_refusals
from reconciler.core.plan.stages import Plan
from reconciler.core.text.local_time import shown_instant
from reconciler.core.text.redact import REDACTOR, dump_indented
from reconciler.core.traffic.records import RecordReader
from reconciler.render.environment_list import join_documents
from reconciler.render.plan_forms import FORMS, as_html, as_markdown
from reconciler.render.plan_view import VIEW, PlanView, build_view, view_to_json
from reconciler.render.printed_plan import PrintedPlan
from reconciler.render.provenance import Provenance
from reconciler.render.summary import summarize_plan
from reconciler.render.text.environments import planned_row

PENDING = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanCommandOptions(ChangeOptions):
    """The options of `cxroute plan`."""

    live: str | None
    out: str | None
    replay: str | None
    detailed_exitcode: bool
    fail_on_guards: bool


def options(parser: argparse.ArgumentParser) -> type[PlanCommandOptions]:
    add_plan_options(parser)
    add_change_options(parser)
    add_live_file_option(parser)
    add_at_option(parser)
    add = parser.add_argument
    add(
        "--out",
        metavar="FILE",
        help="save the plan, so that `cxroute apply FILE` applies exactly this",
    )
    purposes = [
        f"{name} for {form.purpose}" for name, form in FORMS.items() if form.purpose
    ]
    form_help = f"output format: {', '.join(purposes)} (default: text)"
    add("--format", choices=FORMS, default="text", help=form_help)
    add(
        "--replay",
        metavar="FILE",
        help="recorded conversations, CSV or JSON lines: shows which of them go elsewhere",
    )
    add(
        "--report",
        metavar="DIR",
        help="also write plan.json, plan.md, plan.html and explore.html, or error.json, to this directory",
    )
    add("--detailed-exitcode", action="store_true", help="exit 2 if there are changes")
    add("--fail-on-guards", action="store_true", help="exit 4 if apply would refuse")
    return PlanCommandOptions


def add_only_option(parser: argparse.ArgumentParser) -> None:
    """Add the option that selects rules by their addresses."""
    parser.add_argument(
        "--only",
        action="append",
        metavar="ADDRESS",
        help="only this rule, or rules such as cards/*",
    )


def add_plan_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that plan, apply and drift share."""
    add = parser.add_argument
    add_only_option(parser)
    add(
        "--adopt",
        action="store_true",
        help="adopt rules made by hand that have the name of a rule in the manifests",
    )
    add(
        "--keep-drift",
        action="store_true",
        help="do not change rules that were edited in CXone",
    )
    add(
        "--traffic",
        metavar="FILE",
        help="traffic sample, CSV of intent,...,count: shows the rerouted share",
    )
    add(
        "--all",
        action="store_true",
        help="every Environment except the sandbox; -e also takes several",
    )
    shard = (
        f"with --all: only this share, counted from 0; /COUNT takes the index from "
        f"${environments.INDEX}"
    )
    add("--shard", metavar="INDEX/COUNT", help=shard)


def run(options: PlanCommandOptions, output: Output) -> int:
    """Plan, print, and save the plan if requested.

    An error is also written into the folder of --report.
    """
    try:
        return _run(options, output)
    except CxrouteError as error:
        if options.report:
            with suppress(CxrouteError):  # the error itself is reported
                _write_error(Path(options.report), error_document(error))
        raise


def _write_error(folder: Path, error: Mapping[str, Any]) -> None:
    redacted = REDACTOR.redact_json({"error": error})
    text = dump_indented(redacted)
    path = new_folder(folder) / ERROR_FILE
    write_text(path, f"{text}\n")


def _run(options: PlanCommandOptions, output: Output) -> int:
    check_undo_options(options)
    if is_list(options):
        _check_list(options, output)
    selection = EnvironmentSelection.of(options, output)

    async def work(session: Session, _stop: Cancellation) -> EnvironmentResult:
        plan = await _with_replay(session, await read_and_plan(session), options.replay)
        return _finish_plan(selection, options, session, plan)

    def prepare(session: Session) -> Session:
        if not selection.listed:
            session = with_live_file(with_undo(session, options), options.live)
        return session.with_test_results()

    code, reports = environments.run_environments(selection, work, prepare)
    if selection.listed:
        _finish_list(selection, options, reports)
    return code


def _finish_plan(
    selection: EnvironmentSelection,
    options: PlanCommandOptions,
    session: Session,
    plan: Plan,
) -> EnvironmentResult:
    """Write and print the plan of one environment."""
    saved = ""
    if options.out:
        path = Path(options.out)
        saved = plan_file_text(session, plan, path.name, options.out)
        if not selection.listed:
            write_text(path, f"{saved}\n")
    if options.report:
        folder = selection.folder(options.report, plan.environment)
        write_report(session, plan, folder)
    print_plan(session, plan)

    code = exit_code(plan, options)
    if not selection.listed:
        print_next_command(session, plan, options.out)
        return EnvironmentResult(code=code)
    is_refused = plan.failed_tests or plan.conflicts or guard_refusals(plan)
    if session.output.form == "text" and is_refused:
        session.output.result(f"{next_command(session, plan, None)}\n")
    return EnvironmentResult(code=code, row=planned_row(plan), saved=saved)


def _finish_list(
    selection: EnvironmentSelection,
    options: PlanCommandOptions,
    reports: Sequence[EnvironmentResult],
) -> None:
    """Write and print what concerns all environments of a list."""
    output = selection.output
    if options.out:
        text = join_documents([report.saved for report in reports])
        write_text(Path(options.out), f"{text}\n")
    for report in reports:
        if report.error and options.report:
            folder = selection.folder(options.report, report.row.environment)
            _write_error(folder, report.error)
    join = FORMS[output.form].join
    if join:  # a form without it was refused
        environments.print_list(selection, reports, "Plan for", join)
    is_different = any(report.row.status == "differs" for report in reports)
    if output.form == "text" and is_different:
        command_line = selection.command_line
        command = command_line.command("apply")
        if options.out:
            command = command_line.apply_saved(options.out)
        plans = "exactly these plans" if options.out else "these"
        output.result(f"\nNothing was changed. To apply {plans}: {command}\n")


async def read_and_plan(session: Session) -> Plan:
    """Read the tenant, or the file in its place, and plan.

    Raises ManifestError if reading and route tests fail.
    """
    if session.live_file:
        live = session.live_file.live
    else:
        try:
            async with open_source(session, "read") as client:
                live = await session.read(client)
        except ApiError:
            if session.failed_tests:
                raise ManifestError(session.failed_tests) from None
            raise
    return await session.run_blocking(lambda: session.planner(live).build(live))


def _check_list(options: PlanCommandOptions, output: Output) -> None:
    """Refuse options that are for one environment. Raises UsageError."""
    if options.live is not None:
        raise UsageError(
            "--live is for one tenant: set -e to the name of one environment"
        )
    if FORMS[output.form].join is None:
        raise UsageError(
            f"--format {output.form} shows one environment: use --report DIR for one page per "
            "environment"
        )
    # the environments are read at the same time: each would have some of the rows
    if options.replay == "-":
        raise UsageError(
            "--replay - reads stdin for one environment: set -e to its name, or name a file"
        )


async def _with_replay(session: Session, plan: Plan, path: str | None) -> Plan:
    if path is None:
        return plan
    reader = RecordReader.open(path, session.environment.attributes)
    return replace(
        plan, replay=await session.run_blocking(lambda: replay_plan(plan, reader))
    )


def plan_file_text(session: Session, plan: Plan, name: str, saved: str | None) -> str:
    """Return the plan as text for a file with this name.

    Raises RefusedError for a plan with a secret.
    """
    form = plan_to_json(plan)
    redacted = REDACTOR.redact_json(form)
    # Labels stand in texts alone, which apply does not read: a secret there is removed from the
    # file.
    if digest_document(redacted) != form["planId"]:
        cause = (
            "a rule or a manifest contains a secret of this run, and a plan without it could not "
            "be applied"
        )
        remedy = "Remove the secret from there, and replace it with a new one"
        raise RefusedError(f"{name} was not written: {cause}. {remedy}")

    has_next = plan.has_work or plan.conflicts or plan.failed_tests
    following = next_command(session, plan, saved) if has_next else ""
    view = build_view(
        plan, session.tenant, plan_provenance(plan, session.banner), following
    )
    return dump_indented(
        {**redacted, VIEW: view_to_json(view, form["planId"], REDACTOR.redact_json)}
    )


def print_plan(session: Session, plan: Plan) -> None:
    print_form(plan_report(session, plan), session.output)


def print_form(report: PrintedPlan, output: Output) -> None:
    """Print a plan in the form that the user chose."""
    output.form_result(FORMS[output.form].write(report))


def plan_report(session: Session, plan: Plan, explore: str = "") -> PrintedPlan:
    """Return a plan for its forms; `explore` is the name of the page beside the report."""

    def view() -> PlanView:
        # its provenance has the plan's id, for which the whole plan becomes JSON
        provenance = plan_provenance(plan, session.banner, explore)
        return build_view(plan, session.tenant, provenance, "")

    return PrintedPlan(
        banner=lambda: session.banner,
        style=session.output.paint,
        limits=session.limits,
        length="brief" if session.output.loudness == "quiet" else "usual",
        token=token_hex(16),
        document=lambda: dict(plan_to_json(plan)),
        summary=lambda values, extent: summarize_plan(
            plan, session.tenant, values, extent
        ),
        view=view,
        findings=lambda: relative_to_root((*plan.failed_tests, *plan.findings)),
    )


def print_next_command(session: Session, plan: Plan, saved: str | None) -> None:
    """Print the next command below a plan in text."""
    output = session.output
    if output.form != "text":
        return
    if plan.has_work or plan.conflicts or plan.failed_tests:
        output.result(f"{next_command(session, plan, saved)}\n")


def next_command(
    session: Session, plan: Plan, saved: str | None, lifted: tuple[str, ...] = ()
) -> str:
    """Return the next step, as the exact command where there is one; `lifted` guards stay
    lifted.
    """
    if plan.failed_tests:
        return "Correct the rules or the route tests, then plan again."
    if plan.options.at is not None:
        at = shown_instant(plan.options.at)
        return f"This plan is for {at} (--at), and for reading only. To apply one, plan without --at."
    if plan.conflicts:
        return "Resolve the conflicts in the manifests, then plan again."
    refused = tuple(result.name for result in guard_refusals(plan))
    allowed = [word for name in (*lifted, *refused) for word in ("--allow", name)]
    words = session.command_line
    command = (
        words.apply_saved(saved, *allowed)
        if saved
        else words.command("apply", *allowed)
    )
    reason = ' --reason "why"' if allowed else ""
    meant = (
        "If this is intended"
        if refused
        else "To apply exactly this plan"
        if saved
        else "To apply"
    )
    return f"{meant}: {command}{reason}"


def exit_code(plan: Plan, options: PlanCommandOptions) -> int:
    """Return plan's exit code (exit-codes): a failed route test has priority."""
    if plan.failed_tests:
        return ManifestError.exit_code
    refused = (*guard_refusals(plan), *plan.conflicts, *later_refusals(plan))
    if options.fail_on_guards and refused:
        return RefusedError.exit_code
    return (
        PENDING
        if options.detailed_exitcode
        and (plan.has_work or plan.changes_endpoint or plan.conflicts)
        else 0
    )


def write_report(session: Session, plan: Plan, folder: Path) -> None:
    """Write plan.json, plan.md, plan.html and the page beside them into a folder, which is created
    if it does not exist.
    """
    (new_folder(folder) / ERROR_FILE).unlink(missing_ok=True)  # of an earlier run
    write_text(
        folder / "plan.json", f"{plan_file_text(session, plan, 'plan.json', None)}\n"
    )
    page = report_page(session, plan)
    explore = page.name if page else ""
    report = plan_report(session, plan, explore)
    write_text(folder / "plan.md", REDACTOR.redact(as_markdown(report)))
    write_text(folder / "plan.html", REDACTOR.redact(as_html(report)))
    if page:
        write_text(folder / page.name, REDACTOR.redact(page.text))


def plan_provenance(plan: Plan, banner: str, explore: str = "") -> Provenance:
    """Return the provenance that is printed with a plan."""
    read_at = plan.generated_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return Provenance(
        plan_id=plan_id(plan),
        read_at=read_at,
        links=source_links(),
        banner=banner.strip(),
        explore=explore,
    )
