"""`cxroute drift`: what was changed outside, or is not applied yet, in words for operations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.cli.interrupt import run_interruptibly
from reconciler.cli.origin import facts
from reconciler.cli.plan import PENDING, read_and_plan, selectors
from reconciler.cli.session import Session, open_session
from reconciler.render.drift_markdown import drift_markdown
from reconciler.render.drift_text import drift_text
from reconciler.render.telling import telling
from reconciler.saved_plan import document

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from reconciler.cli.output import Output


def options(parser: argparse.ArgumentParser) -> None:
    """Add drift's options."""
    selectors(parser)
    parser.add_argument(
        "--format",
        choices=("text", "json", "markdown"),
        default="text",
        help="form of the result; markdown for an issue (default: text)",
    )


def run(options: argparse.Namespace, output: Output) -> int:
    """Plan, and say what differs as somebody who operates the tenant sees it; exit 2 where anything does."""
    session = open_session(options, output)
    made = run_interruptibly(lambda _stop: read_and_plan(session))
    if output.form == "json":
        output.document(document(made))
    elif output.form == "markdown":
        told = telling(made, session.tenant)
        output.result(drift_markdown(told, facts(made, ""), _heal(session, ())))
    else:
        session.introduce()
        output.result(drift_text(made, output.paint, lambda only: _heal(session, only)))
    return PENDING if made.changes or made.conflicts else 0


def _heal(session: Session, only: Sequence[str]) -> str:
    """Return the command that heals these addresses, or whatever drift was asked about."""
    chosen = replace(session.options, only=tuple(only)) if only else session.options
    return session.planning(chosen).command("apply")
