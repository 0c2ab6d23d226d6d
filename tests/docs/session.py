"""Takes the steps of a page in a separate folder, as a reader would, and returns the output.

`cxroute ...` alone runs in this process; a line with shell syntax runs in a shell, and a command
that keeps running in a process. Free ports replace the page's ports, and a future day replaces the
day on which holds end.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from unittest.mock import patch

from reconciler.cli.main import main
from tests.docs.page import GAP, ROOT, Edit, Run, Step, Told, Write
from tests.support.command import Command
from tests.support.ports import free_ports
from tests.support.surroundings import suite_variables

PORTS: Final = ("8099", "8098", "8097", "3000", "9090")
LATER: Final = "2026-12-01"
"""The day in pages that a future day replaces."""
_RUN: Final = re.compile(r"\b\d{4}-\d\d-\d\dT\d{6}-[a-z0-9-]+-[0-9a-f]{4}\b")
_VARYING: Final = (
    (re.compile(r"in [\d.]+ s\b"), "in N s"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "UUID"),
    (re.compile(r"planId: [0-9a-f]{12}"), "planId: ID"),
    (re.compile(r"\bcommit [0-9a-f]{8}\b"), "commit ID"),
    (re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(?= UTC|Z|\b)"), "TIME"),
    (re.compile(r"TIME [+-]\d\d:\d\d"), "TIME"),
    (_RUN, "RUN"),
)
_FURTHER_LINES: Final = 10.0  # seconds for the lines after the awaited words
_SHELL: Final = re.compile(r"[|;&<>$*]|^(?!cxroute )")


@dataclass
class Session:
    """One reader's folder and processes."""

    folder: Path
    names: dict[str, str] = field(default_factory=dict)
    """The names of the page, and the actual names."""
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def take(self, step: Step) -> str:
        """Take a step; return its output in the page's words.

        Raises AssertionError for another exit code.
        """
        match step:
            case Write(path=path, text=text):
                Path(path).parent.mkdir(parents=True, exist_ok=True)
                Path(path).write_text(self._true(text), encoding="utf-8")
            case Edit(path=path, before=before, after=after):
                text = Path(path).read_text(encoding="utf-8")
                assert text.count(self._true(before)) == 1, (
                    f"{path} has not once:\n{before}"
                )
                Path(path).write_text(
                    text.replace(self._true(before), self._true(after)),
                    encoding="utf-8",
                )
            case Run():
                return self._run(step)
            case Told():
                pass
        return ""

    def _run(self, step: Run) -> str:
        command = self._true(step.command)
        if step.background:
            return self._start(command, step.background, len(step.shown))
        if command.startswith("export "):
            os.environ.update(
                word.partition("=")[::2] for word in shlex.split(command)[1:]
            )
            return ""
        code, printed = _in_shell(command) if _SHELL.search(command) else _here(command)
        assert step.code == code, f"`{command}` ended with {code}:\n{printed}"
        return self._told(printed)

    def _start(self, command: str, words: str, lines: int) -> str:
        """Return the output of a process with these words, and with as many lines as the page shows,
        if it prints them within some seconds.
        """
        log = self.folder / f".{len(self.processes)}.log"
        with log.open("wb") as out:
            self.processes.append(
                Command(*shlex.split(command)[1:], stdout=out, stderr=out)
            )
        while words not in log.read_text(encoding="utf-8"):
            assert self.processes[-1].poll() is None, (
                f"`{command}` ended:\n{log.read_text(encoding='utf-8')}"
            )
            time.sleep(0.05)
        end = time.monotonic() + _FURTHER_LINES
        while len(log.read_bytes().splitlines()) < lines and time.monotonic() < end:
            time.sleep(0.05)
        return self._told(log.read_text(encoding="utf-8"))

    def learn(self, shown: str, printed: str) -> None:
        """Store the actual name of a run on the page."""
        pair = _RUN.findall(shown), _RUN.findall(printed)
        if len(pair[0]) == len(pair[1]):
            self.names = dict(zip(*pair, strict=True)) | self.names

    def _true(self, text: str) -> str:
        return _exchanged(text, self.names)

    def _told(self, text: str) -> str:
        text = _exchanged(text, {truth: paper for paper, truth in self.names.items()})
        return "\n".join(line.rstrip() for line in text.strip("\n").splitlines())


@contextlib.contextmanager
def session(folder: Path) -> Iterator[Session]:
    """Return a reader's folder and free ports, in the environment of the suite."""
    retained = suite_variables(os.environ)
    script = Path(sys.executable).parent
    paths = {
        "PATH": f"{script}{os.pathsep}{retained['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_ACTOR": "anna",
    }
    later = f"{datetime.now(UTC) + timedelta(days=6):%Y-%m-%d}"
    reader = Session(
        folder, {**dict(zip(PORTS, free_ports(len(PORTS)), strict=True)), LATER: later}
    )
    with contextlib.chdir(folder), patch.dict(os.environ, retained | paths, clear=True):
        try:
            yield reader
        finally:
            for process in reader.processes:
                process.kill()
                process.wait()


def alike(shown: str, printed: str) -> bool:
    """Return whether the outputs are equal, except for values that are new in every run, and
    `...`.
    """
    pattern = "".join(
        r"(?:.*\n)*?" if line == GAP else f"{re.escape(line)}\n"
        for line in _normal(shown).splitlines()
    )
    return re.fullmatch(pattern, _normal(printed) + "\n" if printed else "") is not None


def _normal(text: str) -> str:
    for pattern, name in _VARYING:
        text = pattern.sub(name, text)
    return text


def _exchanged(text: str, names: dict[str, str]) -> str:
    """Return the text with one name replaced by another, where it is a separate word, or the day of
    a time.
    """
    return re.sub(
        r"\b(?:" + "|".join(map(re.escape, names)) + r")(?=\b|T\d)",
        lambda actual: names[actual[0]],
        text,
    )


def _here(command: str) -> tuple[int, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        code = main(shlex.split(command)[1:])
    return code, out.getvalue()


def _in_shell(command: str) -> tuple[int, str]:
    done = subprocess.run(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8")
