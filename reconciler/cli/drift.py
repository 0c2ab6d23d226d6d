"""`cxroute drift`: what was changed outside, or is not applied yet, in words for operations."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING

from reconciler.cli.discretion import DISCRETION
from reconciler.cli.fleet import are_several
from reconciler.cli.interrupt import run_interruptibly
from reconciler.cli.origin import facts
from reconciler.cli.plan import PENDING, read_and_plan, save, selectors
from reconciler.cli.session import open_session
from reconciler.cli.whole_file import new_folder, write_whole
from reconciler.options import Options
from reconciler.render.annotations import quoted
from reconciler.render.drift_markdown import drift_markdown
from reconciler.render.drift_text import drift_text
from reconciler.render.paint import colourless
from reconciler.render.telling import telling
from reconciler.saved_plan import document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.plan import Plan
    from reconciler.render.paint import Paint


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
    made = run_interruptibly(lambda _stop: read_and_plan(session))
    if options.report:
        write_report(session, made, Path(options.report))
    show(session, made)
    return exit_code(made)


def exit_code(made: Plan) -> int:
    """Return drift's exit code (spec.md section 6)."""
    return PENDING if made.changes or made.conflicts else 0


def write_report(session: Session, made: Plan, folder: Path) -> None:
    """Write drift.json and drift.md into a folder, which is made where there is none."""
    save(made, new_folder(folder) / "drift.json")
    write_whole(folder / "drift.md", DISCRETION.hide(_as_markdown(session, made)))


def show(session: Session, made: Plan) -> None:
    """Print what differs in the form that was asked for."""
    output = session.output
    if output.form == "json":
        output.document(document(made))
    elif output.form == "markdown":
        output.result(_as_markdown(session, made))
    elif output.form == "github":
        output.result(quoted(_as_text(session, made, colourless), token_hex(16)))
    else:
        session.introduce()
        output.result(_as_text(session, made, output.paint))


def _as_markdown(session: Session, made: Plan) -> str:
    return drift_markdown(telling(made, session.tenant), facts(made, ""), _heal(session, ()))


def _as_text(session: Session, made: Plan, paint: Paint) -> str:
    return drift_text(made, paint, lambda only: _heal(session, only), lambda only: _keep(session, only))


def _heal(session: Session, only: Sequence[str]) -> str:
    """Return the command that heals these addresses, or whatever drift was asked about."""
    chosen = replace(session.options, only=tuple(only)) if only else session.options
    return session.planning(chosen).command("apply")


def _keep(session: Session, addresses: Sequence[str]) -> str:
    """Return the command that writes what is live of these addresses, or of all that drifted, into the manifests."""
    return session.planning(Options()).command("export", *(addresses or ("--all",)), "--write")
