"""Equivalent mutants: no test can notice them, and equal.toml gives the reasons."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from tests.mutation.mutants import Mutant


@dataclass(frozen=True, slots=True, kw_only=True)
class Equal:
    """An equivalent mutant, identified by its texts, because line numbers change."""

    module: str
    function: str
    old: str
    new: str
    reason: str

    def is_of(self, module: str, mutant: Mutant) -> bool:
        """Return whether a mutant is this one."""
        return (self.module, self.function, self.old, self.new) == (
            module,
            mutant.function,
            mutant.old,
            mutant.new,
        )


def known() -> list[Equal]:
    """Return all equivalent mutants."""
    entries = tomllib.loads(Path(__file__).with_name("equal.toml").read_text("utf-8"))
    return [Equal(**entry) for entry in entries.get("equal", ())]
