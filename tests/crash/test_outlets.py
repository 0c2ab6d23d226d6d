"""Output that has no reader or no encoding does not harm the apply, and the exit code is correct
(F45).
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from reconciler.features.practice.simulator.app import Simulator
from reconciler.features.practice.simulator.faults.injector import FaultInjector
from reconciler.features.practice.simulator.settings import PROFILES
from tests.crash.stage import CrashRun
from tests.support.command import RunResult

ASCII: Final = {
    "LC_ALL": "C",
    "LANG": "C",
    "PYTHONIOENCODING": "ascii",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
}


@contextmanager
def broken_pipe() -> Iterator[int]:
    """Yield a pipe whose reader is closed."""
    own_side, foreign_side = os.pipe()
    os.close(own_side)
    try:
        yield foreign_side
    finally:
        os.close(foreign_side)


def assert_true(trial: CrashRun, ended: RunResult) -> None:
    """Assert that all was done, with exit code 0."""
    assert (0, True) == (ended.code, trial.settled()), ended
    assert [] == trial.watch.wrong()


@pytest.mark.parametrize("form", ["text", "json"])
def test_stdout_without_a_reader(trial: CrashRun, form: str) -> None:
    """As with `| head -1`: the tenant still gets all 30 changes."""
    with broken_pipe() as pipe:
        ended = trial.run("apply", "--yes", "--format", form, stdout=pipe)
    assert_true(trial, ended)


def test_stdout_without_a_reader_when_the_plan_is_printed(trial: CrashRun) -> None:
    """A long plan, or one without a buffer, meets the broken pipe before the first write."""
    trial.environment["PYTHONUNBUFFERED"] = "1"
    with broken_pipe() as pipe:
        ended = trial.run("apply", "--yes", stdout=pipe)
    assert trial.settled() == (ended.code == 0), ended


def test_stdout_without_a_reader_after_a_partial_apply(trial: CrashRun) -> None:
    """A change is refused and its report has no reader: the exit code is still 5."""
    trial.app = Simulator(
        trial.state, PROFILES["C"], FaultInjector("POST rules:422@#3")
    )
    with broken_pipe() as pipe:
        ended = trial.run("apply", "--yes", stdout=pipe)
    assert 0 < len(trial.reached()) < 30
    assert 5 == ended.code


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_output_closed_from_the_start(trial: CrashRun, closed: str) -> None:
    """Some schedulers start programs without these descriptors; no socket or file is used in their
    place.
    """
    (trial.folder / "nowhere").write_bytes(b"")
    trial.environment["CXROUTE_JOURNAL"] = str(trial.folder / "nowhere" / "journal")
    ended = trial.run(
        "apply", "--yes", within=["sh", "-c", f'exec "$@" {closed}', "sh"]
    )
    assert trial.settled(), ended
    assert [] == trial.watch.wrong()
    # a report that was lost is an error
    assert (0 if closed == "2>&-" else 1) == ended.code
    assert b"" == (trial.folder / "nowhere").read_bytes()


def without_a_reader(trial: CrashRun) -> RunResult:
    """Apply, with a warning during the writes and no reader for it."""
    (trial.folder / "nowhere").write_bytes(b"")
    trial.environment["CXROUTE_JOURNAL"] = str(trial.folder / "nowhere" / "journal")
    with broken_pipe() as pipe:
        return trial.run("apply", "--yes", stderr=pipe)


def test_stderr_without_a_reader(trial: CrashRun) -> None:
    """A warning during the writes that cannot be printed does not end them."""
    ended = without_a_reader(trial)
    assert trial.settled(), ended
    assert [] == trial.watch.wrong()
    assert "Applied 30 of 30" in ended.out


def test_stderr_without_a_reader_keeps_the_exit_code(trial: CrashRun) -> None:
    """All was done, so the exit code is 0, although the warning was not printed."""
    assert 0 == without_a_reader(trial).code


@pytest.mark.skipif(
    not Path("/dev/full").exists(),
    reason="this system has no /dev/full",
)
def test_a_full_disk_for_the_output(trial: CrashRun) -> None:
    """The changes are made, and the output that could not be written is reported as an error."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ended = trial.run("apply", "--yes", stdout=full)
    assert (1, True) == (ended.code, trial.settled())
    assert "error: cannot write the output: No space left on device\n" == ended.err


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_locale_with_ascii_only(trial: CrashRun, form: str) -> None:
    """Names with emoji and from right to left are written unchanged, and printed with
    replacements.
    """
    trial.environment |= {**ASCII, "CXONE_CLIENT_SECRET": "plain-ascii"}
    ended = trial.run("-v", "apply", "--yes", "--format", form)
    assert_true(trial, ended)
    assert (ended.out + ended.err).isascii()
    if form == "json":
        after = {
            load["after"]["name"]
            for load in json.loads(ended.out)["changes"]
            if load["after"]
        }
        assert "ثم \U0001f510 after" in after
    assert 0 == trial.run("history", encoding="ascii").code


def test_a_folder_name_that_the_locale_cannot_encode(
    trial: CrashRun, tmp_path: Path
) -> None:
    """The path of the manifests is printed with every rule, and kept in the journal."""
    trial.environment |= {**ASCII, "CXONE_CLIENT_SECRET": "plain-ascii"}
    (tmp_path / "שלום\U0001f600").symlink_to(
        trial.stage.folder / "shall", target_is_directory=True
    )
    ended = trial.run("apply", "--yes", manifests="שלום\U0001f600")
    assert_true(trial, ended)
    assert ended.out.isascii()
