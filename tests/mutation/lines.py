"""Which tests run a line: recorded by one run of the fast tests, and kept until the program or the
tests change.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final

import pytest
from coverage import CoverageData

from tests.mutation.modules import MODULES
from tests.mutation.mutants import Mutant
from tests.tiers import FAST

ROOT: Final = Path(__file__).parents[2]
OPTIONS: Final = ("-q", "-p", "no:cacheprovider", "-m", FAST)
"""The fast tests must notice a mutant."""
_KEPT: Final = ROOT / ".mutation"


class Lines:
    """The tests that run each line of the modules, and the seconds of each test."""

    def __init__(self, folder: Path) -> None:
        self.seconds: dict[str, float] = {}
        for path in folder.glob("seconds-*.json"):
            self.seconds |= json.loads(path.read_text("utf-8"))
        self._tests: dict[str, dict[int, set[str]]] = {
            name: defaultdict(set) for name in MODULES
        }
        for path in folder.glob("lines.*"):
            data = CoverageData(path)
            data.read()
            for name, file in MODULES.items():
                for line, tests in data.contexts_by_lineno(str(file)).items():
                    self._tests[name][line].update(tests)

    def tests(self, module: str, mutant: Mutant) -> Mapping[str, float]:
        """Return the tests that may notice a mutant, with their seconds, the fastest first."""
        # A line that runs at import belongs to no test, so all tests of the module are returned.
        lines = self._tests[module]
        running = set().union(
            *(lines[line] for line in (mutant.lines if mutant.called else tuple(lines)))
        )
        return {
            test: self.seconds[test]
            for test in sorted(
                running & self.seconds.keys(), key=self.seconds.__getitem__
            )
        }


def current(workers: int) -> Lines:
    """Return the map of the current program and tests; records it again after a change."""
    digest = sha256()
    for path in sorted([*ROOT.glob("reconciler/**/*.py"), *ROOT.glob("tests/**/*.py")]):
        digest.update(path.read_bytes())
    folder = _KEPT / digest.hexdigest()[:16]
    if not folder.exists():
        making = _KEPT / f"making-{os.getpid()}"
        making.mkdir(parents=True)
        _record(making, workers)
        making.rename(folder)
    return Lines(folder)


def _record(folder: Path, workers: int) -> None:
    parallel = ("-n", str(workers), "--dist", "worksteal")
    command = (
        sys.executable,
        "-m",
        "pytest",
        *OPTIONS,
        "-p",
        "tests.mutation.recording",
        *parallel,
        "tests",
    )
    environment = {
        **os.environ,
        "CXROUTE_MUTATION_MAP": str(folder),
        "PYTHONPATH": str(ROOT),
    }
    code = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        sys.exit(f"the tests were not run to their end (exit code {code})")
