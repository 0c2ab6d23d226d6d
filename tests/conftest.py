"""Fixtures of several tests, and the look for secrets in whatever any test makes the program
say.
"""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Callable, Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.hostile.command import Workspace
from tests.support import canary_secrets as canary
from tests.support import surroundings
from tests.support.measure import measure_children
from tests.support.program import NO_BACKOFF, Program
from tests.tiers import (
    choose_tier,
    drop_further_cases,
    has_no_case,
    has_no_test,
    mark_slow,
)

TESTS = Path(__file__).parent


@pytest.fixture
def room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty `manifests` directory, as a person sees it from the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "manifests").mkdir()
    return Path("manifests")


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A separate folder, with canaries for secrets."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXONE_CLIENT_SECRET", canary.SECRET)
    monkeypatch.setenv("CXONE_ACCESS_KEY_SECRET", canary.KEY_SECRET)
    monkeypatch.setenv("CXROUTE_PROXY", canary.proxy("127.0.0.1:9"))
    monkeypatch.setattr("reconciler.cli.clients.REAL_TIME", NO_BACKOFF)
    return tmp_path


@pytest.fixture
def cxroute(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program, typed in that folder."""
    del elsewhere
    return Program(capsys)


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    """A folder, and the command."""
    return Workspace(tmp_path, {})


class Lookout:
    """Sees what processes print and what tests read of the captured output; keeps where a secret
    was.
    """

    def __init__(self) -> None:
        self.leaks: list[str] = []

    def see(self, where: str, *texts: object) -> None:
        """Look at texts, whatever their type."""
        for text in texts:
            if text and isinstance(text, str | bytes):
                self.leaks += [
                    f"{which}, {encoding}, in {where}"
                    for which, encoding in canary.find_leaks(text)
                ]

    def through(self, function: Callable[..., Any], where: str) -> Callable[..., Any]:
        """Return the function, with its pair of outputs looked at."""

        def looking(*arguments: Any, **options: Any) -> Any:
            pair = function(*arguments, **options)
            self.see(where, *pair)
            return pair

        return looking

    def taken(self) -> list[str]:
        """Return what was found since the last time."""
        leaks, self.leaks = self.leaks, []
        return leaks


_LOOKOUT = Lookout()


def pytest_configure(config: pytest.Config) -> None:
    """Set the surroundings of the suite, before pytest-xdist starts its workers with them; look at
    what every process prints, and at what is captured in this one.
    """
    surroundings.settle()
    choose_tier(config.option.markexpr)
    gc.disable()  # until all tests are collected: they stay
    subprocess.Popen.communicate = _LOOKOUT.through(  # type: ignore[method-assign]
        subprocess.Popen.communicate, "a process"
    )
    reading = _LOOKOUT.through(pytest.CaptureFixture.readouterr, "the output")
    pytest.CaptureFixture.readouterr = reading  # type: ignore[method-assign]
    measure_children()
    # jsonschema builds 39 grammars at its import if this is there: two seconds in each worker, for
    # formats of IRIs. No schema of this project has one.
    sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files alone of which the chosen tier has no test: to import them all takes seconds in
    each worker.
    """
    if not collection_path.is_relative_to(TESTS):
        return None
    return has_no_test(_below_tests(collection_path), config.option.markexpr) or None


@cache
def _below_tests(path: Path) -> Path:
    return path.relative_to(TESTS) if path.is_relative_to(TESTS) else path


def pytest_pycollect_makeitem(
    collector: pytest.Collector, obj: object
) -> list[pytest.Item] | None:
    """Make no item of a test of which the chosen tier has no case."""
    return [] if has_no_case(obj, collector.config.option.markexpr) else None


@pytest.hookimpl(trylast=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Drop the cases that are not in the chosen tier, after each decorator has added its cases."""
    drop_further_cases(metafunc, metafunc.config.option.markexpr)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Mark the tests that are slow, and leave some to the campaign, before anything else orders or
    chooses them.
    """
    remaining = {*mark_slow((_below_tests(item.path), item) for item in items)}
    config.hook.pytest_deselected(items=[*remaining])
    items[:] = [item for item in items if item not in remaining]


def pytest_collection_finish() -> None:
    """Leave what was imported and collected to itself: it stays, and to look through it takes a
    third of a second.
    """
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fail a test that let a secret out: in output, log or traceback, or in a file that it
    leaves.
    """
    report = yield
    for title, text in report.sections:
        _LOOKOUT.see(title, text)
    _LOOKOUT.see("the report", report.longreprtext)
    leaks = _LOOKOUT.taken()
    folder = getattr(item, "funcargs", {}).get("tmp_path")
    if report.when == "call" and folder is not None:
        leaks += canary.leaks_in(folder)
    if leaks and "secret" not in getattr(report, "wasxfail", ""):
        printed = "\n".join(f"SECRET: {leak}" for leak in dict.fromkeys(leaks))
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} let a secret out:\n{printed}"
        report.sections = []
    return report


@pytest.fixture
def access(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of its own with the credentials of a tenant on this machine, and no proxy before
    it.
    """
    del elsewhere
    monkeypatch.setenv("CXONE_CLIENT_ID", canary.CLIENT)
    monkeypatch.delenv("CXROUTE_PROXY", raising=False)
