"""Copies of the package in other folders, and processes that run them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import reconciler


class CopyResult(NamedTuple):
    """The exit code and the output of a process."""

    code: int
    text: str


class PackageCopy:
    """A copy of the package below a folder; `removed` features are missing in it."""

    def __init__(self, home: Path, removed: Iterable[str] = ()) -> None:
        self.home = home
        self.package = home / "reconciler"
        source = Path(reconciler.__file__).parent
        # With the compiled modules: the times of the files stay, so Python accepts them.
        shutil.copytree(source, self.package)
        for feature in removed:
            shutil.rmtree(self.package / "features" / feature)

    def start(self, folder: Path, *arguments: str, seconds: float = 120) -> CopyResult:
        """Run Python in a folder, with the copy as the package."""
        ended = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(self.home)},
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        return CopyResult(ended.returncode, ended.stdout + ended.stderr)
