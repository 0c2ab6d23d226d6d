"""A pytest plugin for the run that records the lines and the seconds of each test.

Each worker loads it before the program and writes to the folder CXROUTE_MUTATION_MAP.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Generator
from pathlib import Path
from typing import ClassVar, Final

import coverage
import pytest

from tests.mutation.modules import MODULES

_FOLDER: Final = Path(os.environ["CXROUTE_MUTATION_MAP"])
_SECONDS: Final[dict[str, float]] = {}
_FAILED: Final[set[str]] = set()


class _Apart(coverage.Coverage):
    """A separate instance from `Coverage.current`, so that a running measurement is not
    disturbed.
    """

    _instances: ClassVar[list[coverage.Coverage]] = []


_COVERAGE: Final = _Apart(
    data_file=_FOLDER / "lines",
    data_suffix=True,
    include=[str(path) for path in MODULES.values()],
    config_file=False,
)
# for a worker that runs no test of these modules
_COVERAGE.set_option("run:disable_warnings", ["no-data-collected"])
_COVERAGE.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Record the lines that this test runs, and its seconds of work."""
    _COVERAGE.switch_context(item.nodeid)
    began = time.process_time()
    try:
        return (yield)
    finally:
        _SECONDS[item.nodeid] = time.process_time() - began
        _COVERAGE.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Record a test that fails without a mutant: it cannot detect one."""
    if report.failed:
        _FAILED.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write lines and seconds of the tests that passed."""
    _COVERAGE.stop()
    _COVERAGE.save()
    (_FOLDER / f"seconds-{os.getpid()}.json").write_text(
        json.dumps(
            {test: took for test, took in _SECONDS.items() if test not in _FAILED}
        ),
        "utf-8",
    )
