"""A plugin of pytest for the process of a mutant: the tests that may notice it, the fastest first, each within bounds.

CXROUTE_MUTATION_TESTS names a file that says how long each of these tests takes otherwise, CXROUTE_MUTATION_FAILED one
that is told which test failed.
"""

from __future__ import annotations

import json
import os
import resource
import signal
from pathlib import Path
from typing import Final

import pytest

_FAILED: Final = Path(os.environ["CXROUTE_MUTATION_FAILED"])
_SECONDS: Final[dict[str, float]] = json.loads(Path(os.environ["CXROUTE_MUTATION_TESTS"]).read_text("utf-8"))
_LEAST: Final = 2
"""Seconds of work that any test may take; an import, several times that."""
_TIMES: Final = 10
"""How often as long as otherwise a test may take beyond that."""
_MEMORY: Final = 4 << 30

# A mutant that never ends is ended by the system, be it in C, and before it has all memory.
resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
signal.setitimer(signal.ITIMER_PROF, 25 * _LEAST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that were chosen."""
    items[:] = sorted((item for item in items if item.nodeid in _SECONDS), key=lambda item: _SECONDS[item.nodeid])


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Give each test its time anew."""
    signal.setitimer(signal.ITIMER_PROF, _LEAST + _TIMES * _SECONDS[item.nodeid])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down which test failed; it is the last one."""
    if report.failed:
        _FAILED.write_text(report.nodeid, "utf-8")
