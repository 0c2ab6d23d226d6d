"""`apply` to several environments: one question for all of them, then each by itself, with its own guards.

Who is asked has seen each plan, and each is applied like a saved one: no change that it does not have (R9).
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from reconciler.cli.apply import Run, ask
from reconciler.cli.connect import reading
from reconciler.cli.fleet import Fleet
from reconciler.cli.interrupt import ending_at_once, run_interruptibly
from reconciler.cli.plan import saved_text
from reconciler.cli.plan_several import joined, tell
from reconciler.cli.several import Done, each, quiet, worst
from reconciler.errors import RefusedError
from reconciler.render.several_text import applied_row, planned_row
from reconciler.saved_plan import document, read
from reconciler.words import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.cli.interrupt import Stop
    from reconciler.cli.output import Output
    from reconciler.cli.session import Session
    from reconciler.cli.several import Told
    from reconciler.saved_plan import ReviewedPlan

    Plans = Mapping[str, ReviewedPlan | str]


def apply_several(options: argparse.Namespace, output: Output, plans: Plans) -> int:
    """Apply fresh plans, or reviewed ones (`plans`, where there are any), and print one report."""
    fleet = Fleet.of(options, output, tuple(plans) or None)
    if options.yes:
        return _ended(fleet, _apply(fleet, plans))
    seen = _look(fleet, plans)
    meant = [one for one in seen if one.done.row.state == "differs"]
    if not meant:
        return _ended(fleet, seen)
    if output.form == "text":
        tell(fleet, seen, "Plan for")
    try:
        _confirm(fleet, meant)
    except RefusedError as refused:
        return _refused(output, seen, refused)
    return _ended(fleet, _go_on(fleet, seen, meant))


def _ended(fleet: Fleet, told: Sequence[Told]) -> int:
    tell(fleet, told, "Apply to")
    return worst(one.done.code for one in told)


def _apply(fleet: Fleet, plans: Plans) -> list[Told]:
    async def applied(session: Session, stop: Stop) -> Done:
        run = await _run_of(session, fleet.options, plans)
        ended = await run.all(stop)
        return Done(ended.code, applied_row(ended.made, ended.report))

    async def all_of_them(stop: Stop) -> list[Told]:
        stop.writing = True  # each hears of a signal by itself, and one that has begun to write goes on to its end
        return await each(fleet, applied, stop)

    return run_interruptibly(all_of_them)


def _look(fleet: Fleet, plans: Plans) -> list[Told]:
    """Plan everything as apply will, and write nothing."""

    async def looked_at(session: Session, _stop: Stop) -> Done:
        run = await _run_of(session, fleet.options, plans)
        async with reading(session) as client:
            _, made = await run.look(client)
        row = planned_row(made)
        try:
            run.refuse(made)
        except RefusedError as refused:
            return Done(run.refused(made, refused).code, row)
        if session.output.form == "json":
            session.output.document({**document(made), "outcomes": [], "converged": not made.changes})
        return Done(0, row, saved_text(made, "the plan") if made.changes else "")

    return run_interruptibly(lambda stop: each(fleet, looked_at, stop))


async def _run_of(session: Session, options: argparse.Namespace, plans: Plans) -> Run:
    """Return the apply to one environment, bound to its reviewed plan where there is one. Raises RefusedError."""
    reviewed = plans.get(session.environment.name)
    if isinstance(reviewed, str):
        raise RefusedError(f"the saved plan has none of it, for that failed ({reviewed}); plan again")
    run = Run.of(session, options, reviewed)
    await session.thinking(run.session.verify)
    return run


def _confirm(fleet: Fleet, meant: Sequence[Told]) -> None:
    """Ask once for all of them. Raises RefusedError without a yes."""
    if not fleet.output.interactive:
        plans, chosen = fleet.options.plan, fleet.chosen if fleet.options.environment else fleet.share
        way_on = fleet.saved_command(plans, *chosen, "--yes") if plans else fleet.command("apply", "--yes")
        raise RefusedError(f"nobody can be asked here, and nothing was written\nTo apply these: {way_on}")
    count = str(len(meant))
    with ending_at_once():
        answer = ask(fleet.output, f"Apply this to {counted(len(meant), 'environment')}? Type their number, {count},")
    if answer != count:
        raise RefusedError("that is not how many there are; nothing was written")


def _refused(output: Output, seen: Sequence[Told], why: RefusedError) -> int:
    """Say why nothing is written; in JSON beside the plans that it is about."""
    if output.form != "json":
        raise why
    output.result(f"{joined([one.text for one in seen], why)}\n")
    return why.exit_code


def _go_on(fleet: Fleet, seen: Sequence[Told], meant: Sequence[Told]) -> list[Told]:
    """Apply just what was shown. In text nothing is told twice: of the others, the first table's line alone."""
    options = argparse.Namespace(**{**vars(fleet.options), "yes": True})
    shown = {one.done.row.environment: read(one.done.saved, "the plan shown") for one in meant}
    in_text = fleet.output.form == "text"
    output = quiet(fleet.output) if in_text else fleet.output
    some = Fleet(fleet.manifests, tuple(shown), options, output, "")
    became = {one.done.row.environment: one for one in _apply(some, shown)}
    if not in_text:
        return [became.get(one.done.row.environment, one) for one in seen]
    headed = {name: replace(one, text=f"{name}:\n{one.text}") for name, one in became.items()}
    return [headed.get(one.done.row.environment) or replace(one, text="") for one in seen]
