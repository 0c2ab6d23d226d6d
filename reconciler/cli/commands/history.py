"""`cxroute history`: the journal, as a list of runs or one run in full."""

import argparse

from reconciler.cli.command_line import CommandLine
from reconciler.cli.files import journal_path
from reconciler.cli.output import Output
from reconciler.journal.history import RecordedRun
from reconciler.journal.journal import RUN_NAME, find_run, read_runs
from reconciler.render.text.history import run_document, run_text, runs_text
from reconciler.text.escape import pluralize


def options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("run", nargs="?", metavar="RUN", help="show one run with each of its changes (json: in full)")
    add("--journal", metavar="FILE", help="journal file (default: $CXROUTE_JOURNAL, or .cxroute/journal.jsonl)")
    add("--format", choices=("text", "json"), default="text", help="output format (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    path = journal_path(options.journal)
    recorded = read_runs(path, lambda count: output.warn(f"{pluralize(count, 'line')} of {path} could not be read"))
    if options.run is not None:
        recorded_run = find_run(recorded, options.run, path)
        if output.form == "json":
            output.document(run_document(recorded_run))
        else:
            output.result(run_text(recorded_run))
            undo = command(recorded_run, options.journal, options.manifests)
            output.result(f"\nUndo: {undo}\n" if undo else "")
    elif output.form == "json":
        output.document({"runs": [run_document(recorded_run) for recorded_run in recorded]})
    else:
        output.result(runs_text(recorded))
    return 0


def command(run: RecordedRun, journal: str | None, manifests: str) -> str:
    """Return the command that plans to undo a run; an empty text if the run cannot be undone."""
    environment = run.start.get("environment")
    if not RUN_NAME.fullmatch(run.id) or not isinstance(environment, str) or not RUN_NAME.fullmatch(environment):
        return ""
    if not any(change.get("status") not in ("failed", "skipped") for change in run.changes):
        return ""
    words = ["--journal", journal] if journal else []
    return CommandLine(directory=manifests, selection=("-e", environment)).command("plan", "--undo", run.id, *words)
