"""`cxroute history`: the journal, as a list of runs or one run in full."""

from __future__ import annotations

import io
import re
import shlex
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

from reconciler.cli.recorder import journal_path
from reconciler.errors import UsageError
from reconciler.journal.journal import RecordedRun, read_runs
from reconciler.render.text.history import run_document, run_text, runs_text
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.files import MIB, read_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    from reconciler.cli.output import Output


NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
"""What cxroute calls a run; anything else in a journal is nobody's run, and no word of a command."""

LARGEST: Final = 256 * MIB
"""Bytes of a journal that is read: some hundred thousand changes."""


def options(parser: argparse.ArgumentParser) -> None:
    """Add history's options."""
    parser.add_argument("run", nargs="?", metavar="RUN", help="one run, and each change in words (json: in full)")
    parser.add_argument("--journal", metavar="FILE", help="default: $CXROUTE_JOURNAL, else .cxroute/journal.jsonl")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="form of the result (default: text)")


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the runs of the journal, or one of them."""
    path = Path(options.journal) if options.journal else journal_path()
    recorded = read(path, lambda count: output.warn(f"{pluralize(count, 'line')} of {path} could not be read"))
    if options.run is not None:
        found = one(recorded, options.run, path)
        if output.form == "json":
            output.document(run_document(found))
        else:
            output.result(run_text(found))
            undo = command(found, options.journal, options.manifests)
            output.result(f"\nUndo: {shlex.join(undo)}\n" if undo else "")
    elif output.form == "json":
        output.document({"runs": [run_document(found) for found in recorded]})
    else:
        output.result(runs_text(recorded))
    return 0


def read(path: Path, passed_over: Callable[[int], object] = lambda _: None) -> Sequence[RecordedRun]:
    """Read the journal; one that is not there holds no runs. `passed_over` is told how many lines are no entries."""
    try:
        data = read_file(path, LARGEST)
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise UsageError(f"cannot read the journal {path}: {error.strerror}") from error
    return read_runs(io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="replace"), passed_over)


def command(run: RecordedRun, journal: str | None, manifests: str) -> list[str]:
    """Return the words of the command that plans to undo a run; none where nothing can be made of it."""
    environment = run.start.get("environment")
    if not NAME.fullmatch(run.id) or not isinstance(environment, str) or not NAME.fullmatch(environment):
        return []
    if not any(change.get("status") not in ("failed", "skipped") for change in run.changes):
        return []
    directory = [] if manifests == "manifests" else ["-m", manifests]
    more = ["--journal", journal] if journal else []
    return ["cxroute", *directory, "plan", "-e", environment, "--undo", run.id, *more]


def one(recorded: Sequence[RecordedRun], name: str, path: Path) -> RecordedRun:
    """Return the run of that name. Raises UsageError with the nearest known one."""
    for found in recorded:
        if found.id == name:
            return found
    near = get_close_matches(name[:100], [found.id for found in recorded], n=1)
    hint = f" Did you mean {sanitize(near[0])}?" if near else " --journal FILE names another journal." * (not recorded)
    raise UsageError(f"the journal {path} has no run {name!r}.{hint}")
