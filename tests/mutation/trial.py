"""The trial of one mutant: the tests that run its line, in a process with the mutant instead of the
module.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import pytest

from tests.mutation.hook import install
from tests.mutation.lines import OPTIONS, ROOT

_FIRST: Final = 10.0
"""Seconds of tests in the first process of a mutant; most mutants need only this one."""
_MOST: Final = 60.0
"""Seconds of tests in the second."""
_PRELOADED: Final = (
    "aiohttp",
    "deepdiff",
    "httpx",
    "jinja2",
    "pydantic",
    "rich.console",
    "yaml",
)
_STATUS: Final = {0: "survived", 1: "caught", 2: "caught", 4: "caught"}
"""By pytest's exit code: tests fail, cannot be collected, or the module cannot be imported before
all tests."""
_BROKEN: Final = 70


def tried(module: str, code: bytes, tests: Mapping[str, float]) -> tuple[str, int]:
    """Return the status of a mutant, and the number of tests that were run; `code` is the mutated
    module.
    """
    # Raises AssertionError if the failed test fails without the mutant, too: it proves nothing.
    count = 0
    status = "not run"
    for portion in portions(tests):
        count += len(portion)
        status, failing = _tried((module, code), portion)
        # if the collection fails, no test is named
        failing = failing or next(iter(portion))
        if status == "caught" and not _passes(failing):
            raise AssertionError(f"{failing} fails without a mutant")
        if status != "survived":
            break
    return status, count


@cache
def _passes(test: str) -> bool:
    """Return whether a test passes in a process like that of a mutant."""
    return _tried(None, {test: _FIRST})[0] == "survived"


def portions(tests: Mapping[str, float]) -> list[dict[str, float]]:
    """Return the tests in the order of trial: first some of the two files with most of them, then
    others.
    """
    files = Counter(test.split("::")[0] for test in tests)
    likely = {file for file, _ in files.most_common(2)}
    first = _within(
        {test: took for test, took in tests.items() if test.split("::")[0] in likely},
        _FIRST,
    )
    remaining_items = _within(
        {test: took for test, took in tests.items() if test not in first}, _MOST
    )
    return [portion for portion in (first, remaining_items) if portion]


def _within(tests: Mapping[str, float], most: float) -> dict[str, float]:
    """Return the tests that fit into the time, but at least the first one."""
    chosen: dict[str, float] = {}
    for test, took in tests.items():
        if chosen and sum(chosen.values()) + took > most:
            break
        chosen[test] = took
    return chosen


def preload() -> None:
    """Import the modules that every mutant's process needs and that are not mutated."""
    for name in _PRELOADED:
        importlib.import_module(name)


def _tried(
    mutant: tuple[str, bytes] | None, tests: Mapping[str, float]
) -> tuple[str, str]:
    """Return the result of a mutant, and the failed test, if any."""
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder, "tests.json")
        failed = Path(folder, "failed")
        chosen.write_text(json.dumps(tests), "utf-8")
        environment = {
            "CXROUTE_MUTATION_TESTS": str(chosen),
            "CXROUTE_MUTATION_FAILED": str(failed),
        }
        files = dict.fromkeys(test.split("::")[0] for test in tests)
        options = (
            *OPTIONS,
            "-x",
            "--tb=no",
            "-p",
            "no:xdist",
            "-p",
            "tests.mutation.selection",
            f"--basetemp={folder}/tests",
        )
        exit_code = _exit_code(
            mutant, environment, [*options, *files], 60 + 10 * sum(tests.values())
        )
        failing = failed.read_text("utf-8") if failed.exists() else ""
    if exit_code < 0:
        return "endless", failing
    if exit_code not in _STATUS:
        raise AssertionError(
            f"pytest ended with {exit_code} for {len(tests)} tests: {next(iter(tests))}"
        )
    return _STATUS[exit_code], failing


def _exit_code(
    mutant: tuple[str, bytes] | None,
    environment: Mapping[str, str],
    arguments: list[str],
    seconds: float,
) -> int:
    """Run pytest in a process and end all that it started; return its exit code, negative after a
    signal.
    """
    process = os.fork()
    if not process:
        os._exit(_run(mutant, environment, arguments))
    end = time.monotonic() + seconds
    actual = 0
    status = 0
    while not actual and time.monotonic() < end:
        time.sleep(0.02)
        actual, status = os.waitpid(process, os.WNOHANG)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process, signal.SIGKILL)
    if not actual:
        _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _run(
    mutant: tuple[str, bytes] | None,
    environment: Mapping[str, str],
    arguments: list[str],
) -> int:
    """Run pytest in this process, in a separate session, with a mutant instead of its module."""
    try:
        os.setsid()
        os.chdir(ROOT)
        os.environ.update(environment)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(nowhere, stream)
        if mutant:
            install(*mutant)
        return pytest.main(arguments)
    except BaseException:  # noqa: BLE001 - the process ends here after any error
        return _BROKEN
