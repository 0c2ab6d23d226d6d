"""`cxroute plan`: the dry run. It is handed a client that cannot write."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from reconciler.cli import live_file
from reconciler.cli import undo as undoing
from reconciler.cli.ci import facts, rooted
from reconciler.cli.clients import reading
from reconciler.cli.environments.report import joined, print_list, write_table
from reconciler.cli.environments.run import EnvironmentResult, run_environments
from reconciler.cli.environments.selection import EnvironmentSelection, choices, is_list
from reconciler.cli.files import new_folder, write_whole
from reconciler.cli.session import Session
from reconciler.errors import ApiError, ManifestError, RefusedError, UsageError
from reconciler.plan.document import plan_to_json
from reconciler.plan.guards import guard_refusals
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import annotate_findings, quote_for_runner
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.routing_map import RoutingMap, build_routing_map
from reconciler.render.summary import summarize_plan
from reconciler.render.text.environments import planned_row
from reconciler.render.text.plan import brief_plan_text, plan_text
from reconciler.text.escape import pluralize
from reconciler.text.redact import REDACTOR, dump_indented

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from reconciler.cli.output import Output
    from reconciler.cli.signals import Stop
    from reconciler.plan.plan import Plan
    from reconciler.render.provenance import Provenance


PENDING = 2
REFUSED = 4


def options(parser: argparse.ArgumentParser) -> None:
    """Add plan's options."""
    selectors(parser)
    undoing.options(parser)
    live_file.options(parser)
    parser.add_argument("--out", metavar="FILE", help="save the plan, so that `cxroute apply FILE` makes just this")
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown", "html", "github"),
        default="text",
        help="form of the result: markdown for a pull request's comment, html for one page, github for annotations"
        " (default: text)",
    )
    parser.add_argument("--report", metavar="DIR", help="write plan.json, plan.md and plan.html there as well")
    parser.add_argument("--detailed-exitcode", action="store_true", help="exit 2 when there are changes")
    parser.add_argument("--fail-on-guards", action="store_true", help="exit 4 when apply would refuse")


def selectors(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose what a plan looks at; apply has them too."""
    parser.add_argument("--only", action="append", metavar="ADDRESS", help="only this rule, or rules like cards/*")
    parser.add_argument("--adopt", action="store_true", help="take over rules made by hand that have a desired name")
    parser.add_argument("--keep-drift", action="store_true", help="leave alone what was changed outside")
    parser.add_argument(
        "--traffic", metavar="FILE", help="a sample, CSV of intent,...,count: whose share goes elsewhere"
    )
    choices(parser)


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan, print, and save where asked."""
    undoing.check(options)
    if is_list(options):
        live_file.check(options)
        if output.form == "html":
            raise UsageError("--format html is a page about one environment: --report DIR writes one for each")
    selection = EnvironmentSelection.of(options, output)

    async def work(session: Session, _stop: Stop) -> EnvironmentResult:
        made = await read_and_plan(session)
        saved = saved_text(made, Path(options.out).name) if options.out else ""
        if saved and not selection.listed:
            write_whole(Path(options.out), f"{saved}\n")
        if options.report:
            write_report(session, made, selection.folder(options.report, made.environment))
        show(session, made)
        if not selection.listed:
            print_next_step(session, made, options.out)
        elif session.output.form == "text" and (made.failed_tests or made.conflicts or guard_refusals(made)):
            session.output.result(f"{next_step(session, made, None)}\n")
        return EnvironmentResult(exit_code(made, options), lambda: planned_row(made), saved)

    prepare = Session.tested if selection.listed else partial(_prepared, options)
    code, reports = run_environments(selection, work, prepare)
    write_table(selection, reports, "Plan for")
    if selection.listed and options.out:
        write_whole(Path(options.out), f"{joined([report.saved for report in reports])}\n")
    print_list(selection, reports, "Plan for")
    if output.form == "text" and any(report.row.status == "differs" for report in reports):
        again = selection.command_line
        command = again.apply_saved(options.out) if options.out else again.command("apply")
        output.result(
            f"\nNothing was changed. To apply {'exactly these plans' if options.out else 'these'}: {command}\n"
        )
    return code


def _prepared(options: argparse.Namespace, session: Session) -> Session:
    return live_file.with_live(undoing.undone(session, options), options.live).tested()


async def read_and_plan(session: Session) -> Plan:
    """Read the tenant with a client that cannot write, or the file in its place, and plan.

    Raises ManifestError where the tenant cannot be read and route tests fail: those are known without it.
    """
    if session.live_file:
        live = session.live_file.live
    else:
        try:
            async with reading(session) as client:
                live = await session.read(client)
        except ApiError:
            if session.failed_tests:
                raise ManifestError(session.failed_tests) from None
            raise
    return await session.terminal.run_blocking(lambda: session.planner(live).build(live))


def saved_text(made: Plan, name: str) -> str:
    """Return the plan as a file of that name holds it. Raises as `save` does."""
    form = plan_to_json(made)
    text = dump_indented(form)
    if REDACTOR.redact_json(form, text) != form:
        raise RefusedError(
            f"{name} is not written: a rule or a manifest contains one of the secrets that this run was given, and"
            " without it the plan could not be applied. Take it out of there, and change the secret"
        )
    return text


def show(session: Session, made: Plan) -> None:
    """Print the plan in the form that was asked for."""
    output = session.output
    if output.form == "json":
        output.document(plan_to_json(made))
    elif output.form in FORMS:
        output.result(FORMS[output.form](session, made))
    else:
        session.terminal.print_banner(session.banner)
        shape = brief_plan_text if output.loudness == "quiet" else plan_text
        output.result(shape(made, output.paint, session.tenant, session.terminal.limits))


def print_next_step(session: Session, made: Plan, saved: str | None) -> None:
    """Print below a plan in text how many notes need -v, and what to do next."""
    output = session.output
    if output.form != "text":
        return
    infos = len(made.findings) - len(output.brief(made.findings))
    if infos and output.loudness != "quiet":
        output.result(f"{pluralize(infos, 'note')} left out; -v shows {'it' if infos == 1 else 'them'}.\n")
    if made.changes or made.conflicts or made.failed_tests:
        output.result(f"Nothing was changed. {next_step(session, made, saved)}\n")


def next_step(session: Session, made: Plan, saved: str | None, lifted: tuple[str, ...] = ()) -> str:
    """Say what to do next, as the exact command where there is one; `lifted` guards stay so."""
    if made.failed_tests:
        return "Correct the rules or the route tests, then plan again."
    if made.conflicts:
        return "Solve what stands in the way in the manifests, then plan again."
    refused = tuple(result.name for result in guard_refusals(made))
    allowed = [word for name in (*lifted, *refused) for word in ("--allow", name)]
    command = (
        session.command_line.apply_saved(saved, *allowed) if saved else session.command_line.command("apply", *allowed)
    )
    reason = ' --reason "why"' if allowed else ""
    meant = "If that is meant" if refused else "To apply exactly this plan" if saved else "To apply this"
    return f"{meant}: {command}{reason}"


def exit_code(made: Plan, options: argparse.Namespace) -> int:
    """Return plan's exit code (exit-codes): a route test that fails comes before all else."""
    if made.failed_tests:
        return ManifestError.exit_code
    if options.fail_on_guards and (guard_refusals(made) or made.conflicts):
        return REFUSED
    return PENDING if options.detailed_exitcode and (made.changes or made.conflicts) else 0


_MOST_CASES: Final = 1_000
"""Of who is affected, in a page: it folds what nobody reads at once."""


def as_markdown(session: Session, made: Plan) -> str:
    """Return the plan as a pull-request comment."""
    return render_markdown(summarize_plan(made, session.tenant), build_routing_map(made), facts(made, session.banner))


def as_html(session: Session, made: Plan) -> str:
    """Return the plan as one page that needs nothing else."""
    return _page(session, made, build_routing_map(made), facts(made, session.banner))


def _page(session: Session, made: Plan, routing: RoutingMap, known: Provenance) -> str:
    from reconciler.render.html import render_html  # noqa: PLC0415 - jinja2 is slow to import, and as good as never needed

    return render_html(summarize_plan(made, session.tenant, _MOST_CASES), routing, known)


def as_github(session: Session, made: Plan) -> str:
    """Return the plan for a workflow's log, where no name is taken for a command, and its findings as annotations."""
    text = plan_text(made, no_style, session.tenant, session.terminal.limits)
    return (
        session.banner
        + quote_for_runner(text, token_hex(16))
        + annotate_findings(rooted((*made.failed_tests, *made.findings)), "listed above")
    )


FORMS: Final[dict[str, Callable[[Session, Plan], str]]] = {
    "markdown": as_markdown,
    "html": as_html,
    "github": as_github,
}


def write_report(session: Session, made: Plan, folder: Path) -> None:
    """Write plan.json, plan.md and plan.html into a folder, which is made where there is none."""
    write_whole(new_folder(folder) / "plan.json", f"{saved_text(made, 'plan.json')}\n")
    routing, known = build_routing_map(made), facts(made, session.banner)
    comment = render_markdown(summarize_plan(made, session.tenant), routing, known)
    write_whole(folder / "plan.md", REDACTOR.redact(comment))
    write_whole(folder / "plan.html", REDACTOR.redact(_page(session, made, routing, known)))
