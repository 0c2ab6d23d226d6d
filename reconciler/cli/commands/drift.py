"""`cxroute drift`: do conversations go where the manifests say, and are managed rules as they were last applied?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from reconciler.cli.ci import facts
from reconciler.cli.commands.history import read
from reconciler.cli.commands.plan import PENDING, read_and_plan, selectors
from reconciler.cli.environments.selection import are_several
from reconciler.cli.files import new_folder, write_whole
from reconciler.cli.recorder import journal_path
from reconciler.cli.route_tests import check_live, failures
from reconciler.cli.session import Session, open_session
from reconciler.cli.signals import run_interruptibly
from reconciler.errors import UsageError
from reconciler.journal.history import find_last_runs
from reconciler.plan.drift import Acceptance, Drift, find_drift
from reconciler.plan.drift_json import drift_to_json
from reconciler.plan.options import PlanOptions
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import quote_for_runner
from reconciler.render.markdown.drift import drift_markdown
from reconciler.render.text.drift import DriftCommands, drift_brief, drift_text
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping, Sequence

    from reconciler.cli.output import Output
    from reconciler.model.finding import Finding
    from reconciler.model.rule import Address
    from reconciler.plan.plan import Plan
    from reconciler.render.colour import Style


def options(parser: argparse.ArgumentParser) -> None:
    """Add drift's options."""
    selectors(parser)
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown", "github"),
        default="text",
        help="form of the result: markdown for an issue, github for a workflow's log (default: text)",
    )
    parser.add_argument("--report", metavar="DIR", help="write drift.json and drift.md there as well")


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan, and say what differs as somebody who operates the tenant sees it; exit 2 where anything does."""
    if are_several(options):
        from reconciler.cli.plan_several import drift_several  # noqa: PLC0415 - which builds on this module

        return drift_several(options, output)
    session = open_session(options, output)
    drift = run_interruptibly(lambda _stop: read_and_compare(session))
    if options.report:
        write_report(session, drift, Path(options.report))
    show(session, drift)
    return exit_code(drift)


async def read_and_compare(session: Session) -> Drift:
    """Read the tenant with a client that cannot write, and compare it with the manifests."""
    made = await read_and_plan(session)
    return await session.thinking(lambda: drift_of(session, made))


def drift_of(session: Session, made: Plan) -> Drift:
    """Return a plan's drift, with what the journal and the route tests say of it."""
    loaded = session.manifests.environments.get(session.environment.name)
    accept = [
        Acceptance(one.name, one.digest, loaded.source_of("unmanaged", "accept", place) if loaded else None)
        for place, one in enumerate(session.environment.unmanaged.accept)
    ]
    drift = find_drift(made, accept, session.sample)
    wrong = (*drift.failed_checks, *_failing_tests(session, made))
    return replace(drift, last_runs=_last_written(session), failed_checks=wrong)


def _failing_tests(session: Session, made: Plan) -> Sequence[Finding]:
    checked = check_live(session.manifests, session.environment, made.desired, made.live)
    return failures([checked], session.directory)


def _last_written(session: Session) -> Mapping[Address, str]:
    """Return the run that last wrote each rule; nothing without a journal that can be read."""
    try:
        return find_last_runs(read(journal_path()), session.environment.name, session.environment.owner)
    except UsageError as error:
        session.output.warn(str(error))
        return {}


def exit_code(drift: Drift) -> int:
    """Return drift's exit code (exit-codes)."""
    return PENDING if drift.has_drift else 0


def write_report(session: Session, drift: Drift, folder: Path) -> None:
    """Write drift.json and drift.md into a folder, which is made where there is none."""
    write_whole(new_folder(folder) / "drift.json", f"{REDACTOR.dump_redacted(drift_to_json(drift))}\n")
    write_whole(folder / "drift.md", REDACTOR.redact(_as_markdown(session, drift)))


def show(session: Session, drift: Drift) -> None:
    """Print what differs in the form that was asked for."""
    output = session.output
    if output.form == "json":
        output.document(drift_to_json(drift))
    elif output.form == "markdown":
        output.result(_as_markdown(session, drift))
    elif output.form == "github":
        output.result(quote_for_runner(_as_text(session, drift, no_style), token_hex(16)))
    else:
        session.introduce()
        output.result(_as_text(session, drift, output.paint))


def _as_markdown(session: Session, drift: Drift) -> str:
    return drift_markdown(drift, session.tenant, facts(drift.plan, ""), _heal(session, ()))


def _as_text(session: Session, drift: Drift, paint: Style) -> str:
    if session.output.loudness == "quiet":
        return drift_brief(drift, paint)
    commands = DriftCommands(lambda only: _heal(session, only), lambda only: _keep(session, only))
    return drift_text(drift, paint, commands, session.most)


def _heal(session: Session, only: Sequence[str]) -> str:
    """Return the command that makes these rules as the manifests say, or all that drift was asked about."""
    chosen = replace(session.options, only=tuple(only)) if only else session.options
    return session.planning(chosen).command("apply")


def _keep(session: Session, addresses: Sequence[str]) -> str:
    """Return the command that writes what is live of these addresses, or of all that drifted, into the manifests."""
    return session.planning(PlanOptions()).command("export", *(addresses or ("--all",)), "--write")
