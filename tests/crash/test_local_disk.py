"""The program needs no file on local disk: a lost, corrupt or unwritable journal is at most a
warning (F44).
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from reconciler.cli.main import main
from tests.crash.stage import CrashRun, CrashSetup

ROOT: Final = Path(__file__).parents[2]
JOURNAL: Final = Path(".cxroute/journal.jsonl")
FULL_DISK: Final = Path("/dev/full")
MIDDLE: Final = 30
"""A request in the middle of the run."""
WHOLE: Final = b'{"at":"2026-01-05T09:00:00Z","event":"start","run":"r0"}\n'


def bytes_of(seed: int, count: int) -> bytes:
    return random.Random(seed).randbytes(count)


CORRUPT: Final[dict[str, Callable[[bytes], bytes]]] = {
    "random bytes": lambda was: bytes_of(1, len(was)),
    "half a line at the end": lambda was: was[: -len(was.splitlines()[-1]) // 2],
    "lines in two halves": lambda was: was.replace(b'"event"', b'\n"event"'),
    "not UTF-8": lambda was: was.replace(b"rules/", b"rules\xff\xfe/"),
    "5 MB without an end of line": lambda was: (
        was + bytes_of(2, 5_000_000).replace(b"\n", b"")
    ),
    "brackets 100,000 deep": lambda was: was + b"[" * 100_000 + b"\n",
    "other JSON": lambda was: (
        b'{"run": [], "at": {}, "event": null}\n' + b"[1]\n7\nnull\n" + was
    ),
    "entries of wrong types": lambda was: was.replace(
        b'"address":"rules/', b'"address":["rules/"],"x":"'
    ),
    "empty": lambda _: b"",
}


class Half(NamedTuple):
    """The state after a killed run: the tenant's rules, and the journal."""

    rules: list[dict[str, Any]]
    journal: bytes


@pytest.fixture(scope="module")
def half(
    stages: Callable[[str], CrashSetup], tmp_path_factory: pytest.TempPathFactory
) -> Half:
    killed = CrashRun(stages("C"), tmp_path_factory.mktemp("half"))
    killed.killed(MIDDLE, "after")
    assert 0 < len(killed.reached()) < 30
    return Half(killed.state.rules(), (killed.folder / JOURNAL).read_bytes())


@pytest.mark.parametrize("how", CORRUPT)
def test_a_corrupt_journal_changes_nothing(
    how: str, half: Half, stages: Callable[[str], CrashSetup], tmp_path: Path
) -> None:
    """After a kill and with a corrupt journal the next run converges; history shows the readable
    lines.
    """
    trial = CrashRun(stages("C"), tmp_path, half.rules)
    path = trial.folder / JOURNAL
    path.parent.mkdir()
    spoilt = CORRUPT[how](half.journal)
    path.write_bytes(spoilt)
    assert (0, "") == (trial.here("apply", "--yes"), trial.warned)
    assert spoilt == path.read_bytes()[: len(spoilt)]
    assert trial.settled()
    assert 0 == trial.here("history"), trial.warned
    assert 0 == trial.here("history", "--format", "json"), trial.warned
    assert json.loads(trial.said)["runs"][-1]["end"]["converged"]


def test_no_folder_is_needed_between_runs(trial: CrashRun) -> None:
    """All files of a run are removed: the next run converges, and the one after it writes
    nothing.
    """
    trial.killed(MIDDLE, "before")
    shutil.rmtree(trial.folder / ".cxroute")
    trial.assert_heals()


def blocked_by_a_file(folder: Path) -> None:
    (folder / ".cxroute").write_bytes(b"")


def blocked_by_a_folder(folder: Path) -> None:
    (folder / JOURNAL).mkdir(parents=True)


def dangling(folder: Path) -> None:
    (folder / ".cxroute").symlink_to(folder / "nowhere" / "at all")


def read_only(folder: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is read-only to root")
    (folder / ".cxroute").mkdir()
    (folder / ".cxroute").chmod(0o555)


def full(folder: Path) -> None:
    if not FULL_DISK.exists():
        pytest.skip(f"this system has no {FULL_DISK}")
    (folder / ".cxroute").mkdir()
    (folder / JOURNAL).symlink_to(FULL_DISK)


def nobody_reads(folder: Path) -> None:
    """Make the journal a pipe without a reader: it takes 64 KiB, then a writer blocks forever."""
    (folder / ".cxroute").mkdir()
    os.mkfifo(folder / JOURNAL)


@pytest.mark.parametrize(
    "spoil",
    [blocked_by_a_file, blocked_by_a_folder, dangling, read_only, full, nobody_reads],
    ids=lambda item: item.__name__,
)
def test_a_journal_that_cannot_be_written_is_one_warning(
    trial: CrashRun, spoil: Callable[[Path], None]
) -> None:
    """The apply continues: exit 0, everything done, one line on stderr."""
    spoil(trial.folder)
    ended = trial.run("apply", "--yes")
    assert 0 == ended.code, ended
    (warning,) = ended.err.splitlines()
    assert warning.startswith(
        "warning: cannot write the journal .cxroute/journal.jsonl ("
    ), ended
    assert warning.endswith("); the run continues without it")
    assert trial.settled()


def test_a_disk_that_gets_full_in_the_middle_is_one_warning(trial: CrashRun) -> None:
    """The journal has the lines that fitted, and a later run with space begins on a new line."""
    if not hasattr(os, "fork"):
        pytest.skip("this system has no ulimit")
    trial.environment["PYTHONDONTWRITEBYTECODE"] = "1"
    ended = trial.run(
        "apply", "--yes", within=["sh", "-c", 'ulimit -f 8 && exec "$@"', "sh"]
    )
    assert 0 == ended.code, ended
    assert 1 == ended.err.count("warning: cannot write the journal "), ended
    path = trial.folder / JOURNAL
    assert 8 * 512 <= path.stat().st_size <= 8 * 1024
    path.write_bytes(path.read_bytes()[:-3] + WHOLE)
    assert trial.settled()
    assert 0 == trial.here("apply", "--yes")
    assert 0 == trial.here("history")


def test_the_sandbox_on_a_full_disk_fails_without_a_retry(tmp_path: Path) -> None:
    """The state cannot be written, and a retry cannot help: one failure with the reason."""
    assert 0 == main(["init", str(tmp_path / "manifests")])
    # The shell limits each file of the process to 512 or 1,024 bytes, like a full disk.
    command = (
        f'ulimit -f 1; exec "{sys.executable}" -m reconciler apply --yes --format json'
    )
    variables = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    ended = subprocess.run(
        ["sh", "-c", command],
        cwd=tmp_path,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    document = json.loads(ended.stdout)
    assert 1 == ended.returncode
    assert ["failed", "skipped", "skipped"] == sorted(
        item["status"] for item in document["outcomes"]
    )
    assert ".cxroute/sandbox.json: cannot be written: " in document["error"]["message"]
    assert "attempt" not in ended.stderr
    assert "Traceback" not in ended.stderr
