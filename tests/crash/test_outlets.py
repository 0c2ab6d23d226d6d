"""Nobody reads what is printed, or no letter of it can be: the apply is not harmed, its exit code is true (F45)."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from reconciler.simulator.app import Simulator
from reconciler.simulator.faults.injector import FaultInjector
from reconciler.simulator.settings import PROFILES
from tests.crash.stage import CrashRun
from tests.support.command import RunResult

ASCII: Final = {"LC_ALL": "C", "LANG": "C", "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@contextmanager
def broken_pipe() -> Iterator[int]:
    """Yield a pipe whose reader has gone."""
    ours, theirs = os.pipe()
    os.close(ours)
    try:
        yield theirs
    finally:
        os.close(theirs)


def assert_true(trial: CrashRun, ended: RunResult) -> None:
    """All was done, and 0 says so."""
    assert (0, True) == (ended.code, trial.settled()), ended
    assert [] == trial.watch.wrong()


@pytest.mark.parametrize("form", ["text", "json"])
def test_nobody_reads_stdout(trial: CrashRun, form: str) -> None:
    """As under `| head -1`: the tenant gets all 30 changes all the same."""
    with broken_pipe() as pipe:
        ended = trial.run("apply", "--yes", "--format", form, stdout=pipe)
    assert_true(trial, ended)


def test_nobody_reads_stdout_when_the_plan_is_shown(trial: CrashRun) -> None:
    """A long plan, or one without a buffer, meets the broken pipe before anything is written."""
    trial.environment["PYTHONUNBUFFERED"] = "1"
    with broken_pipe() as pipe:
        ended = trial.run("apply", "--yes", stdout=pipe)
    assert trial.settled() == (ended.code == 0), ended


def test_nobody_reads_that_it_was_done_in_part(trial: CrashRun) -> None:
    """A change is refused and nobody reads which one: the exit code is 5 nevertheless."""
    trial.app = Simulator(trial.state, PROFILES["C"], FaultInjector("POST rules:422@#3"))
    with broken_pipe() as pipe:
        ended = trial.run("apply", "--yes", stdout=pipe)
    assert 0 < len(trial.reached()) < 30
    assert 5 == ended.code


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_from_the_start(trial: CrashRun, closed: str) -> None:
    """No descriptor at all, as some schedulers start programs; no socket or file is taken for one."""
    (trial.folder / "nowhere").write_bytes(b"")
    trial.environment["CXROUTE_JOURNAL"] = str(trial.folder / "nowhere" / "journal")
    ended = trial.run("apply", "--yes", within=["sh", "-c", f'exec "$@" {closed}', "sh"])
    assert_true(trial, ended)
    assert b"" == (trial.folder / "nowhere").read_bytes()


def without_a_reader(trial: CrashRun) -> RunResult:
    """Apply, with a warning to say in the middle of the writes and nobody to say it to."""
    (trial.folder / "nowhere").write_bytes(b"")
    trial.environment["CXROUTE_JOURNAL"] = str(trial.folder / "nowhere" / "journal")
    with broken_pipe() as pipe:
        return trial.run("apply", "--yes", stderr=pipe)


def test_nobody_reads_stderr(trial: CrashRun) -> None:
    """A warning in the middle of the writes that cannot be said does not end them."""
    ended = without_a_reader(trial)
    assert trial.settled(), ended
    assert [] == trial.watch.wrong()
    assert "Applied 30 of 30" in ended.out


def test_nobody_reads_stderr_and_the_exit_code_is_true(trial: CrashRun) -> None:
    """All was done, so 0: what could not be said is left unsaid."""
    assert 0 == without_a_reader(trial).code


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")  # noqa: PTH110
def test_a_disk_without_room_for_the_output(trial: CrashRun) -> None:
    """Done is done; that it could not be printed is said, and is an error."""
    with open("/dev/full", "wb") as full:  # noqa: PTH123 - a device
        ended = trial.run("apply", "--yes", stdout=full)
    assert (1, True) == (ended.code, trial.settled())
    assert "error: the output cannot be written: No space left on device\n" == ended.err


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_locale_that_knows_no_letter_beyond_ascii(trial: CrashRun, form: str) -> None:
    """Names in emoji and from right to left are written as they are, and printed as well as may be."""
    trial.environment |= {**ASCII, "CXONE_CLIENT_SECRET": "plain-ascii"}
    ended = trial.run("-v", "apply", "--yes", "--format", form)
    assert_true(trial, ended)
    assert (ended.out + ended.err).isascii()
    if form == "json":
        after = {one["after"]["name"] for one in json.loads(ended.out)["changes"] if one["after"]}
        assert "ثم \U0001f510 after" in after
    assert 0 == trial.run("history", encoding="ascii").code


def test_a_folder_whose_name_the_locale_cannot_write(trial: CrashRun, tmp_path: Path) -> None:
    """The manifests' path is shown with every rule, and kept in the journal."""
    trial.environment |= {**ASCII, "CXONE_CLIENT_SECRET": "plain-ascii"}
    (tmp_path / "שלום\U0001f600").symlink_to(trial.stage.folder / "shall", target_is_directory=True)
    ended = trial.run("apply", "--yes", manifests="שלום\U0001f600")
    assert_true(trial, ended)
    assert ended.out.isascii()
