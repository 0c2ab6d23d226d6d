"""`cxroute history`: the journal, as a list of runs or one run in full."""

import argparse
import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from reconciler.cli.advice import environment_hint
from reconciler.cli.command_line import CommandLine
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.parsing import add_format_option
from reconciler.core.errors import UsageError
from reconciler.core.text.escape import pluralize
from reconciler.features.journal.history import RecordedRun
from reconciler.features.journal.journal import RUN_NAME, find_run
from reconciler.features.journal.place_option import list_places, remote_advice
from reconciler.features.journal.places import JournalPlace
from reconciler.features.journal.text import run_document, run_text, runs_text


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryOptions(CommonOptions):
    """The options of `cxroute history`."""

    run: str | None
    journal: str | None


def options(parser: argparse.ArgumentParser) -> type[HistoryOptions]:
    add = parser.add_argument
    journal = "journal: a file, a directory or an address"
    journal += (
        " (default: $CXROUTE_JOURNAL, the Environment's, or .cxroute/journal.jsonl)"
    )
    add(
        "run",
        nargs="?",
        metavar="RUN",
        help="show one run with each of its changes (json: in full)",
    )
    add("--journal", metavar="FILE", help=journal)
    add_format_option(parser)
    return HistoryOptions


def run(options: HistoryOptions, output: Output) -> int:
    places = list_places(
        options.journal,
        options.manifests,
        options.environment or os.environ.get("CXROUTE_ENV"),
    )
    recorded = _read(places, output)
    names = ", ".join(place.name for place in places)
    advice = remote_advice(places)
    if options.run is not None:
        if options.run not in {run.id for run in recorded}:
            _refuse_environment(options.run, options.manifests)
        recorded_run = find_run(recorded, options.run, names, advice)
        if output.form == "json":
            output.document(run_document(recorded_run))
        else:
            output.result(run_text(recorded_run))
            undo = command(recorded_run, options.journal, options.manifests)
            output.result(f"\nUndo: {undo}\n" if undo else "")
    elif output.form == "json":
        output.document(
            {"runs": [run_document(recorded_run) for recorded_run in recorded]}
        )
    else:
        output.result(
            runs_text(recorded)
            if recorded
            else f"No run is recorded in {names}. {advice}".rstrip() + "\n"
        )
    return 0


def _read(places: Sequence[JournalPlace], output: Output) -> list[RecordedRun]:
    """Return the runs of all places, oldest first."""
    runs: list[RecordedRun] = []
    for place in places:
        runs += place.read(partial(_warn_of_lines, output, place.name))
    if len(places) > 1:
        runs.sort(key=lambda run: str(run.start.get("at")))
    return runs


def _refuse_environment(name: str, directory: str) -> None:
    """Raise UsageError for the name of an environment in place of a run."""
    hint = environment_hint(name, directory)
    if hint:
        raise UsageError(f"{name} is not a run{hint}")


def _warn_of_lines(output: Output, name: str, count: int) -> None:
    lines = pluralize(count, "line")
    output.warn(f"{lines} of {name} could not be read")


def command(run: RecordedRun, journal: str | None, manifests: str) -> str:
    """Return the command that plans to undo a run; an empty text if the run cannot be undone."""
    environment = run.start.get("environment")
    if (
        not RUN_NAME.fullmatch(run.id)
        or not isinstance(environment, str)
        or not RUN_NAME.fullmatch(environment)
    ):
        return ""
    if not any(
        change.get("status") not in ("failed", "skipped") for change in run.changes
    ):
        return ""
    words = ["--journal", journal] if journal else []
    return CommandLine(directory=manifests, selection=("-e", environment)).command(
        "plan", "--undo", run.id, *words
    )
