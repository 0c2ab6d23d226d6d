"""The folder `.cxroute` in the working directory: the sandbox's state, and the journal."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Final

FOLDER: Final = Path(".cxroute")
STATE: Final = FOLDER / "sandbox.json"
JOURNAL: Final = FOLDER / "journal.jsonl"


def kept_out_of_git(path: Path) -> Path:
    """Return the path; a folder `.cxroute` that it lies in gets a .gitignore, where it has none.

    The journal names users, hosts and rules, so `git add -A` must not take it. Where the folder cannot be written, the
    write of the file itself says so.
    """
    if path.parent.name == FOLDER.name:
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            with (path.parent / ".gitignore").open("x", encoding="utf-8") as file:
                file.write("*\n")
    return path
