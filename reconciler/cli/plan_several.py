"""`plan` and `drift` of several environments: each told by itself, below one table of all of them."""

from __future__ import annotations

from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from reconciler.cli.commands import drift, plan
from reconciler.cli.commands.plan import next_step, read_and_plan, saved_text
from reconciler.cli.environments.run import Done, Told, Work, each, worst
from reconciler.cli.environments.selection import Fleet
from reconciler.cli.files import new_folder, write_whole
from reconciler.cli.output import Output, error_document
from reconciler.cli.plan_forms import FORMS
from reconciler.cli.signals import Stop, run_interruptibly
from reconciler.errors import CxrouteError, UsageError
from reconciler.plan.document import plan_to_json
from reconciler.plan.guards import refusals
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import quote_for_runner
from reconciler.render.markdown.plan import MAX_CHARACTERS
from reconciler.render.text.environments import drift_row, environments_markdown, environments_text, planned_row
from reconciler.text.escape import pluralize
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from reconciler.cli.session import Session
    from reconciler.plan.plan import Plan


SUMMARY: Final = "environments.md"
"""What `--report` calls the table beside the folders, one for each environment."""


def plan_several(options: argparse.Namespace, output: Output) -> int:
    """Plan every environment, print one report, and save where asked."""
    if output.form == "html":
        raise UsageError("--format html is a page about one environment: --report DIR writes one for each")
    fleet = Fleet.of(options, output)

    async def planned(session: Session, _stop: Stop) -> Done:
        made = await read_and_plan(await session.thinking(session.tested))
        if options.report:
            plan.write_report(session, made, Path(options.report) / made.environment)
        show(session, made)
        saved = saved_text(made, Path(options.out).name) if options.out else ""
        return Done(plan.exit_code(made, options), planned_row(made), saved)

    told = _told(fleet, planned, "Plan for")
    if options.out:
        write_whole(Path(options.out), f"{joined([one.done.saved for one in told])}\n")
    tell(fleet, told, "Plan for")
    if output.form == "text" and any(one.done.row.status == "differs" for one in told):
        way_on = fleet.saved_command(options.out) if options.out else fleet.command("apply")
        exactly = "exactly these plans" if options.out else "these"
        output.result(f"\nNothing was changed. To apply {exactly}: {way_on}\n")
    return worst(one.done.code for one in told)


def drift_several(options: argparse.Namespace, output: Output) -> int:
    """Say of every environment what was changed outside."""
    fleet = Fleet.of(options, output)

    async def looked_at(session: Session, _stop: Stop) -> Done:
        found = await drift.read_and_compare(session)
        if options.report:
            drift.write_report(session, found, Path(options.report) / found.plan.environment)
        drift.show(session, found)
        return Done(drift.exit_code(found), drift_row(found))

    told = _told(fleet, looked_at, "Drift in")
    tell(fleet, told, "Drift in")
    return worst(one.done.code for one in told)


def _told(fleet: Fleet, work: Work, title: str) -> list[Told]:
    told = run_interruptibly(lambda stop: each(fleet, work, stop))
    if fleet.options.report:
        table = environments_markdown([one.done.row for one in told], title)
        write_whole(new_folder(Path(fleet.options.report)) / SUMMARY, REDACTOR.redact(table))
    return told


def show(session: Session, made: Plan) -> None:
    """Print one environment's plan in the form that was asked for."""
    output = session.output
    if output.form == "json":
        output.document(plan_to_json(made))
    elif output.form in FORMS:
        output.result(FORMS[output.form](session, made))
    else:
        session.introduce()
        output.result(plan.plan_in_words(session, made))
        if made.failed_tests or made.conflicts or refusals(made):
            output.result(f"{next_step(session, made, None)}\n")


def tell(fleet: Fleet, told: Sequence[Told], title: str) -> None:
    """Print the one report: the table, then whatever there is to say of single environments."""
    output, rows = fleet.output, [one.done.row for one in told]
    if output.form == "json":
        output.result(f"{joined([one.text for one in told])}\n")
        return
    if not told:
        output.result(fleet.nobody)
        return
    worth = [one.text for one in told if one.text and (one.done.row.status != "same" or output.loudness == "verbose")]
    if output.form == "markdown":
        output.result(_within_a_comment(environments_markdown(rows, title), worth))
    elif output.form == "github":
        output.result(quote_for_runner(environments_text(rows, title, no_style), token_hex(16)) + "".join(worth))
    else:
        output.result("\n".join([environments_text(rows, title, output.paint), *worth]))


def joined(documents: Sequence[str], error: CxrouteError | None = None) -> str:
    """Return the JSON document of all environments and what stopped them (plan-json "Several environments")."""
    stopped = f',\n"error": {REDACTOR.dump_redacted(error_document(error))}' if error else ""
    return '{"environments": [\n' + ",\n".join(documents) + f"\n]{stopped}}}"


def _within_a_comment(table: str, parts: Sequence[str]) -> str:
    """Return as many parts below the table as one comment holds, and say how many it does not."""
    shown, length = [table], len(table)
    for part in parts:
        if length + len(part) > MAX_CHARACTERS:
            break
        shown.append(part)
        length += len(part)
    left_out = len(parts) - len(shown) + 1
    if left_out:
        shown.append(f"{pluralize(left_out, 'further plan')} would be too long here: see each environment's own.\n")
    return "\n".join(shown)
