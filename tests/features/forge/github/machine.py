"""The machine of steps: bash, a Python that only pretends to install, and the command."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.command import CLIENT, server_socket

ROOT: Final = Path(__file__).resolve().parents[4]
_PYTHON: Final = """\
#!/bin/bash
# The calls of the action: an environment, packages, and a module in isolation mode. Each call is logged.
printf '%s\\n' "$*" >> '{log}'
home="$(dirname "$(dirname "$0")")"
case "$1 $2" in
  '-m venv') mkdir -p "${{@: -1}}/bin" && cp "$0" "${{@: -1}}/bin/python" ;;
  '-m pip') [ -f "${{@: -1}}" ] ;;
  '-I -c') mkdir -p "$home/site" && echo "$home/site" ;;
  '-I -m') [ "$(cat "$home/site/cxroute.pth")" = '{root}' ] && [ "$3" = reconciler ] || exit 98
           exec '{python}' -I -S '{client}' '{socket}' "${{@:4}}" ;;
  *) exit 97 ;;
esac
"""


@dataclass
class Machine:
    """A machine for steps. `log` has the calls of Python."""

    path: Path

    @property
    def log(self) -> list[str]:
        """Return the calls of Python."""
        file = self.path / "log"
        return file.read_text(encoding="utf-8").splitlines() if file.exists() else []

    def cxroute(
        self, cwd: Path, variables: Mapping[str, str], *arguments: str
    ) -> tuple[int, str]:
        """Run the command as a user does; return its exit code and output."""
        command = [
            sys.executable,
            "-I",
            "-S",
            str(self.path / "client.py"),
            server_socket(),
            *arguments,
        ]
        return self._ended(command, cwd, variables)

    def bash(
        self, script: str, cwd: Path, variables: Mapping[str, str]
    ) -> tuple[int, str]:
        """Run a step's script as Actions does under `shell: bash`; return its exit code and log."""
        file = self.path / "step.sh"
        file.write_text(script, encoding="utf-8")
        command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", str(file)]
        declared = {
            "PATH": f"{self.path / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.path),
            "LANG": "C.UTF-8",
        }
        return self._ended(command, cwd, {**declared, **variables})

    def _ended(
        self, command: list[str], cwd: Path, variables: Mapping[str, str]
    ) -> tuple[int, str]:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout


@contextlib.contextmanager
def machine() -> Iterator[Machine]:
    """Put the parts of a machine into a folder."""
    with tempfile.TemporaryDirectory(prefix="cx") as folder:
        path = Path(folder)
        (path / "bin").mkdir()
        (path / "client.py").write_text(CLIENT, encoding="utf-8")
        python = path / "bin" / "python"
        parts = {
            "log": path / "log",
            "root": ROOT,
            "client": path / "client.py",
            "socket": server_socket(),
        }
        python.write_text(
            _PYTHON.format(python=sys.executable, **parts), encoding="utf-8"
        )
        python.chmod(0o755)
        yield Machine(path)
