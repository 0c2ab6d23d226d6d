"""The bank's manifests as a clone: two commits, and an edit that is not committed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.fallback_project import git

FLOOR: Final = """  - intent: lost_or_stolen_card
    queue: fraud
    minConfidence: 0.4
"""
HIGHER_FLOOR: Final = FLOOR.replace("0.4", "0.7")
PENDING: Final = "  - intent: pending_transfer\n    queue: payments\n"
SUBJECT: Final = "Take stolen cards from 0.4 on (#57)"


@dataclass(frozen=True, slots=True)
class BankHistory:
    """A clone: its folder, and its commits, oldest first."""

    folder: Path
    commits: tuple[str, str]

    @classmethod
    def begin(cls, folder: Path) -> BankHistory:
        """Commit the bank in the folder with another floor, then as it is; edit it once more.

        The folder is the current one.
        """
        git("init", "-q", "-b", "main")
        history = cls(folder, ("", ""))
        history.edit("fraud.yaml", FLOOR, HIGHER_FLOOR)
        first = _commit("Begin", "Ann <ann@example.com>")
        history.edit("fraud.yaml", HIGHER_FLOOR, FLOOR)
        second = _commit(SUBJECT, "Bob <bob@example.com>")
        history.edit("transfers.yaml", PENDING, PENDING.replace("payments", "general"))
        return cls(folder, (first, second))

    def edit(self, name: str, before: str, after: str) -> None:
        """Replace a text that occurs once in a manifest."""
        path = self.folder / "manifests" / name
        text = path.read_text(encoding="utf-8")
        assert 1 == text.count(before), (name, before)
        path.write_text(text.replace(before, after), encoding="utf-8")


def _commit(subject: str, author: str) -> str:
    git("add", "-A")
    git("commit", "-q", "-m", subject, f"--author={author}")
    return git("rev-parse", "HEAD")
