"""This checkout as a repository of one commit, whatever the developer has committed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).resolve().parents[2]


def commit_checkout(repository: Path) -> Path:
    """Write all tracked files, as they are now, into a new folder, commit them there, and return
    the folder.
    """
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=_ROOT, capture_output=True, text=True, check=True
    ).stdout
    for source in map(_ROOT.joinpath, names.split("\0")[:-1]):
        if source.is_file():
            target = repository / source.relative_to(_ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())
            target.chmod(source.stat().st_mode)
    author = {
        f"GIT_{role}_{part}": "a@b.example"
        for role in ("AUTHOR", "COMMITTER")
        for part in ("NAME", "EMAIL")
    }
    for command in (
        ["init", "--quiet"],
        ["add", "--all", "--force"],
        ["commit", "--quiet", "-m", "all"],
    ):
        subprocess.run(
            ["git", *command], cwd=repository, env={**os.environ, **author}, check=True
        )
    return repository
