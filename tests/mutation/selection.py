"""A pytest plugin for the process of a mutant: the tests that may notice it, the fastest first,
each with a time limit.

CXROUTE_MUTATION_TESTS names a file with the usual seconds of these tests; the plugin writes the
failed test to the file CXROUTE_MUTATION_FAILED.
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
_SECONDS: Final[dict[str, float]] = json.loads(
    Path(os.environ["CXROUTE_MUTATION_TESTS"]).read_text("utf-8")
)
_LEAST: Final = 2
"""Seconds of work that each test may take; an import may take several times as long."""
_TIMES: Final = 10
"""Further time of a test, as a multiple of its usual time."""
_MEMORY: Final = 4 << 30

# The system ends an endless mutant, also in C code, and one that takes all memory.
resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
signal.setitimer(signal.ITIMER_PROF, 25 * _LEAST)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the selected tests."""
    items[:] = sorted(
        (item for item in items if item.nodeid in _SECONDS),
        key=lambda item: _SECONDS[item.nodeid],
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Start the time limit of a test."""
    signal.setitimer(signal.ITIMER_PROF, _LEAST + _TIMES * _SECONDS[item.nodeid])


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record the failed test, which is the last one."""
    if report.failed:
        _FAILED.write_text(report.nodeid, "utf-8")
