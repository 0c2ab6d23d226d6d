"""A tenant that can be reset to its first state, and the program as a separate process on it."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, Final
from unittest import mock

from reconciler.cli.main import main
from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.messages import SimRequest
from reconciler.features.practice.simulator.settings import PROFILES
from reconciler.features.practice.simulator.state import TenantState
from tests.crash import scene
from tests.crash.killer import Killer, RequestTimes, Side
from tests.crash.oracle import Watch, Ways, by_address, reached, ways
from tests.support.command import Command, RunResult, process_environment
from tests.support.loopback_server import LoopbackServer

ROOT: Final = Path(__file__).resolve().parents[2]
LONGEST: Final = 60


class CrashSetup:
    """A profile's tenant before the 30 changes, and the measures of an undisturbed apply."""

    def __init__(self, served: LoopbackServer, folder: Path, profile: str) -> None:
        self.served, self.folder, self.profile = served, folder, profile
        unique = PROFILES[profile].names_unique
        for name, rules in (("was", scene.before()), ("shall", scene.after())):
            scene.write_manifests(folder / name, rules, served.url, unique=unique)
        self.start: list[dict[str, Any]] = []
        self.wanted: Ways = []
        created = CrashRun(self, folder)
        assert 0 == created.here("apply", "--yes", manifests="was"), created.warned
        self.start = [*created.state.rules(), *scene.others()]
        undisturbed = CrashRun(self, folder)
        undisturbed.app = clock = RequestTimes(undisturbed.app)
        ended = undisturbed.run("apply", "--yes")
        self.seconds = clock.last - clock.first
        """The time from the first request of an apply to the last one."""
        assert 0 == ended.code, ended
        self.goal = undisturbed.state.rules()
        self.wanted = ways(undisturbed.state.stored_rules.values())
        self.requests = undisturbed.state.requests


class CrashRun:
    """The tenant in its first state, watched, and a working directory for the program."""

    def __init__(
        self, stage: CrashSetup, folder: Path, rules: Sequence[scene.Rule] | None = None
    ) -> None:
        self.stage, self.folder = stage, folder
        self.state = TenantState(
            scene.QUEUES, deepcopy(stage.start if rules is None else rules)
        )
        self.watch = Watch(self.state, stage.wanted)
        self.app: Any = Simulator(self.state, PROFILES[stage.profile])
        self.environment = process_environment(PYTHONPATH=str(ROOT))
        self.said = self.warned = ""
        """The stdout and stderr of the last command in this process."""

    @contextlib.contextmanager
    def start(
        self,
        *arguments: str,
        manifests: str = "shall",
        within: Sequence[str] = (),
        **options: Any,
    ) -> Iterator[subprocess.Popen[str]]:
        """Start a command, `within` another; after the block the process has ended and its requests
        are done.
        """
        self.stage.served.app = self.app
        pipes = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        options = {
            **pipes,
            "cwd": self.folder,
            "env": self.environment,
            "encoding": "utf-8",
            **options,
        }
        command = [*self._where(manifests), *arguments]
        inside = [*within, sys.executable, "-m", "reconciler", *command]
        with (
            subprocess.Popen(inside, **options)
            if within
            else Command(*command, **options) as process
        ):
            try:
                yield process
            finally:
                process.kill()
        self.stage.served.settle()

    def run(
        self,
        *arguments: str,
        manifests: str = "shall",
        within: Sequence[str] = (),
        **options: Any,
    ) -> RunResult:
        """Run a command to its end."""
        with self.start(
            *arguments, manifests=manifests, within=within, **options
        ) as process:
            return finish(process)

    def here(self, *arguments: str, manifests: str = "shall") -> int:
        """Run a command in this process, and keep its output; return its exit code."""
        self.stage.served.app = self.app
        text = io.StringIO()
        warned = io.StringIO()
        with (
            contextlib.chdir(self.folder),
            mock.patch.dict(os.environ, self.environment, clear=True),
            contextlib.redirect_stdout(text),
            contextlib.redirect_stderr(warned),
        ):
            code = main([*self._where(manifests), *arguments])
        self.said, self.warned = text.getvalue(), warned.getvalue()
        return code

    def _where(self, manifests: str) -> list[str]:
        own = self.folder / manifests
        return [
            "-m",
            str(own if own.is_dir() else self.stage.folder / manifests),
            "-e",
            "live",
        ]

    def killed(self, at: int, side: Side) -> RunResult:
        """Apply, and be killed at that request."""
        self.app = killer = Killer(self.app, at, side)
        with self.start("apply", "--yes") as process:
            killer.victim = process.pid
            ended = finish(process)
        self.app = killer.app
        return ended

    def killed_after(self, seconds: float) -> RunResult:
        """Apply, and be killed so many seconds after the first request."""
        self.app = clock = RequestTimes(self.app)
        with self.start("apply", "--yes") as process:
            assert clock.started.wait(LONGEST)
            time.sleep(seconds)
            process.kill()
            ended = finish(process)
        self.app = clock.app
        return ended

    def writes(self) -> list[SimRequest]:
        """Return the writes that were requested so far."""
        return [
            request
            for request in self.state.requests
            if request.method != "GET" and not request.path.endswith("/token")
        ]

    def reached(self) -> set[str]:
        """Return the addresses of the completed changes."""
        return reached(self.stage.start, self.stage.goal, self.state.rules())

    def settled(self) -> bool:
        """Return whether all rules are as desired."""
        return by_address(self.stage.goal) == by_address(self.state.rules())

    def assert_heals(self) -> None:
        """One more run converges, the next run writes nothing, and no state on the way was
        wrong.
        """
        healed = self.run("apply", "--yes")
        assert (0, True) == (healed.code, self.settled()), healed
        self.assert_stays()

    def assert_heals_here(self) -> None:
        """The same in this process, for tests about the runs before."""
        assert (0, True) == (self.here("apply", "--yes"), self.settled()), self.warned
        self.assert_stays()

    def assert_stays(self) -> None:
        """A run writes nothing, and no state so far was wrong."""
        before = len(self.writes())
        assert (0, before) == (self.here("apply", "--yes"), len(self.writes())), (
            self.warned
        )
        assert [] == self.watch.wrong()


def finish(process: subprocess.Popen[str]) -> RunResult:
    """Wait for the end of the process, which prints no traceback."""
    out, err = process.communicate(timeout=LONGEST)
    ended = RunResult(process.returncode, out or "", err or "")
    assert "Traceback" not in ended.out + ended.err, ended
    return ended
