"""The journal: a record that helps and never hurts."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.journal.journal import Journal, parse_runs
from reconciler.render.text.history import run_text, runs_text

FULL = Path("/dev/full")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def journal(path: Path, run: str = "r1", warnings: list[str] | None = None) -> Journal:
    return Journal(path, run, lambda: NOW, (warnings if warnings is not None else []).append)


def recorded(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_entry_is_a_line_that_says_when_and_of_which_run(tmp_path: Path) -> None:
    """And the directory is made."""
    path = tmp_path / "deep" / "journal.jsonl"
    one = journal(path)
    one.write_entry("start", who="me", reason='odd "quotes"\nand lines')
    one.close()
    expected = {"at": "2026-11-25T12:00:00Z", "event": "start", "reason": 'odd "quotes"\nand lines', "run": "r1"}
    assert [{**expected, "who": "me"}] == recorded(path)


def test_runs_are_joined_from_what_was_intended_and_done(tmp_path: Path) -> None:
    """The last word on a change counts; a write without an answer stays unknown."""
    path = tmp_path / "journal.jsonl"
    one = journal(path)
    one.write_entry("start", environment="prod")
    one.write_entry("intend", address="a/b", action="create", before=None, after={"name": "b"})
    one.write_entry("intend", address="a/c", action="update", before={"priority": 1}, after={"priority": 2})
    one.write_entry("tried", address="a/b", action="create", status="acknowledged")
    one.write_entry("outcome", address="a/b", action="create", status="applied")
    one.close()
    with path.open() as lines:
        (run,) = parse_runs(lines)
    assert [("a/b", "applied"), ("a/c", "unknown")] == [(one["address"], one["status"]) for one in run.changes]
    assert run.end is None
    assert "priority: 1 -> 2" in run_text(run)
    assert "2 changes, no end recorded" in runs_text([run])


def test_a_torn_or_corrupt_journal_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    """Half a line, garbage and foreign JSON are passed over; the next run begins a line of its own."""
    path = tmp_path / "journal.jsonl"
    whole = b'{"run": "r0", "at": "x", "event": "start"}'
    path.write_bytes(b'\xff\xfe garbage\n[1,2]\n{"run": 7}\n' + whole + b'\n{"run": "r1", "at"')
    one = journal(path, "r2")
    one.write_entry("start")
    one.close()
    with path.open(encoding="utf-8", errors="replace") as lines:
        assert ["r0", "r2"] == [run.id for run in parse_runs(lines)]


def test_a_journal_that_cannot_be_written_is_a_warning_and_stops_nothing(tmp_path: Path) -> None:
    """It is said once."""
    (tmp_path / "file").write_text("")
    warnings: list[str] = []
    one = journal(tmp_path / "file" / "journal.jsonl", warnings=warnings)
    for _ in range(3):
        one.write_entry("start")
        one.sync()
    one.close()
    assert 1 == len(warnings)
    assert "going on without it" in warnings[0]


@pytest.mark.skipif(not FULL.exists(), reason=f"this system has no {FULL}")
def test_a_full_disk_is_a_warning_too() -> None:
    """Nothing is raised, neither at the write nor at the close."""
    warnings: list[str] = []
    one = journal(FULL, warnings=warnings)
    one.write_entry("start")
    one.write_entry("start")
    one.close()
    assert 1 == len(warnings)


def test_a_pipe_that_nobody_reads_is_a_warning_and_no_end_of_waiting(tmp_path: Path) -> None:
    """A pipe takes 64 KiB; after that a write would wait for ever."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    warnings: list[str] = []
    one = journal(path, warnings=warnings)
    for _ in range(300):
        one.write_entry("start", reason="x" * 1000)
    one.close()
    assert 1 == len(warnings)


def test_a_line_of_which_the_disk_took_a_part_is_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write may say that it wrote less than it was given; the rest follows."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    one = journal(tmp_path / "journal.jsonl")
    one.write_entry("start", who="me")
    one.close()
    assert ["start"] == [entry["event"] for entry in recorded(tmp_path / "journal.jsonl")]


def test_a_disk_that_fails_at_the_close_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Network file systems say only then that there was no room."""

    def no_room(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    warnings: list[str] = []
    one = journal(tmp_path / "journal.jsonl", warnings=warnings)
    one.write_entry("start")
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", no_room)
        one.close()
    assert 1 == len(warnings)


def test_a_warning_that_nobody_can_hear_stops_nothing_either(tmp_path: Path) -> None:
    """The reader of stderr may be gone as well."""

    def gone(_text: str) -> None:
        raise BrokenPipeError

    (tmp_path / "file").write_text("")
    one = Journal(tmp_path / "file" / "journal.jsonl", "r1", lambda: NOW, gone)
    one.write_entry("start")
    one.close()
