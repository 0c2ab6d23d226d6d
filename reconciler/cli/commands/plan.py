"""`cxroute plan`: the dry run. It is handed a client that cannot write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.cli import live_file
from reconciler.cli import undo as undoing
from reconciler.cli.clients import reading
from reconciler.cli.environments.selection import are_several, choices
from reconciler.cli.files import new_folder, write_whole
from reconciler.cli.plan_forms import FORMS, report
from reconciler.cli.session import Session, open_session
from reconciler.cli.signals import run_interruptibly
from reconciler.errors import ApiError, ManifestError, RefusedError
from reconciler.plan.document import plan_to_json
from reconciler.plan.guards import refusals
from reconciler.render.text.plan import brief_plan_text, plan_text
from reconciler.text.escape import pluralize
from reconciler.text.redact import REDACTOR, dump_indented

if TYPE_CHECKING:
    import argparse

    from reconciler.cli.output import Output
    from reconciler.plan.plan import Plan


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
    if are_several(options):
        live_file.check(options)
        from reconciler.cli.plan_several import plan_several  # noqa: PLC0415 - which builds on this module

        return plan_several(options, output)
    session = live_file.with_live(undoing.undone(open_session(options, output), options), options.live).tested()
    made = run_interruptibly(lambda _stop: read_and_plan(session))
    if options.out:
        save(made, Path(options.out))
    if options.report:
        write_report(session, made, Path(options.report))
    show(session, made, options.out)
    return exit_code(made, options)


async def read_and_plan(session: Session) -> Plan:
    """Read the tenant with a client that cannot write, or the file in its place, and plan.

    Raises ManifestError where the tenant cannot be read and route tests fail: those are known without it.
    """
    if session.file:
        live = session.file.live
    else:
        try:
            async with reading(session) as client:
                live = await session.read(client)
        except ApiError:
            if session.failed_tests:
                raise ManifestError(session.failed_tests) from None
            raise
    return await session.thinking(lambda: session.planner(live).plan(live.rules))


def write_report(session: Session, made: Plan, folder: Path) -> None:
    """Write plan.json, plan.md and plan.html into a folder, which is made where there is none."""
    save(made, new_folder(folder) / "plan.json")
    report(session, made, folder)


def save(made: Plan, path: Path) -> None:
    """Write the plan to a file, whole or not at all. Raises RefusedError for one that could not be applied as saved."""
    write_whole(path, saved_text(made, path.name) + "\n")


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


def show(session: Session, made: Plan, saved: str | None) -> None:
    """Print the plan in the form that was asked for."""
    if session.output.form == "json":
        session.output.document(plan_to_json(made))
        return
    if session.output.form in FORMS:
        session.output.result(FORMS[session.output.form](session, made))
        return
    session.introduce()
    session.output.result(plan_in_words(session, made))
    if session.output.loudness != "quiet":
        say_left_out(session, made)
    if made.changes or made.conflicts or made.failed_tests:
        session.output.result(f"Nothing was changed. {next_step(session, made, saved)}\n")


def plan_in_words(session: Session, made: Plan) -> str:
    """Return the plan for a terminal, in brief where -q was given."""
    shape = brief_plan_text if session.output.loudness == "quiet" else plan_text
    return shape(session.brief(made), session.output.paint, session.tenant, session.most)


def say_left_out(session: Session, made: Plan) -> None:
    """Say how many notes only -v shows."""
    left_out = len(made.findings) - len(session.brief(made).findings)
    if left_out:
        session.output.result(
            f"{pluralize(left_out, 'note')} left out; -v shows {'it' if left_out == 1 else 'them'}.\n"
        )


def next_step(session: Session, made: Plan, saved: str | None, lifted: tuple[str, ...] = ()) -> str:
    """Say what to do next, as the exact command where there is one; `lifted` guards stay so."""
    if made.failed_tests:
        return "Correct the rules or the route tests, then plan again."
    if made.conflicts:
        return "Solve what stands in the way in the manifests, then plan again."
    refused = tuple(result.name for result in refusals(made))
    allowed = [word for name in (*lifted, *refused) for word in ("--allow", name)]
    command = session.saved_command(saved, *allowed) if saved else session.command("apply", *allowed)
    reason = ' --reason "why"' if allowed else ""
    return f"{_meant(saved) if not refused else 'If that is meant'}: {command}{reason}"


def _meant(saved: str | None) -> str:
    return "To apply exactly this plan" if saved else "To apply this"


def exit_code(made: Plan, options: argparse.Namespace) -> int:
    """Return plan's exit code (exit-codes): a route test that fails comes before all else."""
    if made.failed_tests:
        return ManifestError.exit_code
    if options.fail_on_guards and (refusals(made) or made.conflicts):
        return REFUSED
    return PENDING if options.detailed_exitcode and (made.changes or made.conflicts) else 0
