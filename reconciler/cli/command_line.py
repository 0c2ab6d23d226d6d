"""Suggested commands, with the manifests, environments and options of the current command."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import Final

from reconciler.journal.undo_request import UndoRequest
from reconciler.plan.plan import PlanOptions

DIRECTORY: Final = "manifests"  # the default of -m


def program(directory: str) -> list[str]:
    """Return the first words of a command: the program, and -m if it is not the default."""
    return ["cxroute", *([] if directory == DIRECTORY else ["-m", directory])]


@dataclass(frozen=True, slots=True)
class CommandLine:
    """The words of this command line that a further command repeats."""

    directory: str  # the directory of the manifests, as in the command line
    selection: tuple[str, ...]  # the options that select the environments, such as `-e prod`
    options: PlanOptions = field(default_factory=PlanOptions)
    undo: UndoRequest | None = None

    def command(self, name: str, *words: str) -> str:
        """Return a command for the same manifests, environments and options."""
        options = self.options
        start = [*program(self.directory), name, *self.selection]
        start += [word for address in options.only for word in ("--only", address)]
        start += ["--adopt"] * options.adopt + ["--keep-drift"] * options.keep_drift
        start += ["--traffic", options.traffic] if options.traffic else []
        return shlex.join([*start, *(self.undo.words if self.undo else ()), *words])

    def apply_saved(self, plan: str, *words: str) -> str:
        """Return the command that applies a saved plan, which contains the environments and the options."""
        journal = self.undo.journal if self.undo else None
        journal_words = ["--journal", journal] if journal else []
        return shlex.join([*program(self.directory), "apply", plan, *journal_words, *words])
