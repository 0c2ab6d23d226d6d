"""A plugin of pytest for the run that says which test runs which line, and how much work each test is.

It is loaded before the program is, in each worker; CXROUTE_MUTATION_MAP names the folder that each writes to.
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
    """Not the one that `Coverage.current` returns: the one that measures is not disturbed."""

    _instances: ClassVar[list[coverage.Coverage]] = []


_COVERAGE: Final = _Apart(
    data_file=_FOLDER / "lines", data_suffix=True, include=[str(path) for path in MODULES.values()], config_file=False
)
_COVERAGE.set_option("run:disable_warnings", ["no-data-collected"])  # where others run the tests
_COVERAGE.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Note each line, from here to the end of the test, as one that this test runs, and the seconds of work."""
    _COVERAGE.switch_context(item.nodeid)
    began = time.process_time()
    try:
        return (yield)
    finally:
        _SECONDS[item.nodeid] = time.process_time() - began
        _COVERAGE.switch_context("")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note a test that fails although nothing is changed: it cannot tell anything."""
    if report.failed:
        _FAILED.add(report.nodeid)


def pytest_sessionfinish() -> None:
    """Write both down, but for tests that failed."""
    _COVERAGE.stop()
    _COVERAGE.save()
    (_FOLDER / f"seconds-{os.getpid()}.json").write_text(
        json.dumps({test: took for test, took in _SECONDS.items() if test not in _FAILED}), "utf-8"
    )
