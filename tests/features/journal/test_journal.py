"""The journal: it records a run and never stops one."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.features.journal.journal import Journal, parse_runs
from reconciler.features.journal.sinks import FileSink
from reconciler.features.journal.text import run_text, runs_text

FULL = Path("/dev/full")
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


def journal(path: Path, run: str = "r1", warnings: list[str] | None = None) -> Journal:
    return Journal(
        FileSink(path),
        run,
        lambda: NOW,
        (warnings if warnings is not None else []).append,
    )


def recorded(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_each_entry_is_a_line_with_its_time_and_run(tmp_path: Path) -> None:
    """The directory is created."""
    path = tmp_path / "deep" / "journal.jsonl"
    item = journal(path)
    item.write_entry("start", who="me", reason='odd "quotes"\nand lines')
    item.close()
    expected = {
        "at": "2026-11-25T12:00:00Z",
        "event": "start",
        "reason": 'odd "quotes"\nand lines',
        "run": "r1",
    }
    assert [{**expected, "who": "me"}] == recorded(path)


def test_a_run_joins_intended_changes_with_their_results(tmp_path: Path) -> None:
    """The last result of a change counts; a write without a response stays unknown."""
    path = tmp_path / "journal.jsonl"
    item = journal(path)
    item.write_entry("start", environment="prod")
    item.write_entry(
        "intend", address="a/b", action="create", before=None, after={"name": "b"}
    )
    rule = {
        "name": "c",
        "enabled": True,
        "conditions": [],
        "targets": [{"queueId": "q"}],
    }
    before, after = ({**rule, "priority": priority} for priority in (1, 2))
    item.write_entry(
        "intend", address="a/c", action="update", before=before, after=after
    )
    item.write_entry("tried", address="a/b", action="create", status="acknowledged")
    item.write_entry("outcome", address="a/b", action="create", status="applied")
    item.close()
    with path.open() as lines:
        (run,) = parse_runs(lines)
    assert [("a/b", "applied"), ("a/c", "unknown")] == [
        (change["address"], change["status"]) for change in run.changes
    ]
    assert run.end is None
    assert "priority: 1 -> 2" in run_text(run)
    assert "2 changes, no end recorded" in runs_text([run])


def test_unreadable_lines_of_a_journal_are_skipped(tmp_path: Path) -> None:
    """An incomplete line, garbage and other JSON are skipped; the next run starts a new line."""
    path = tmp_path / "journal.jsonl"
    complete = b'{"run": "r0", "at": "x", "event": "start"}'
    path.write_bytes(
        b'\xff\xfe garbage\n[1,2]\n{"run": 7}\n' + complete + b'\n{"run": "r1", "at"'
    )
    item = journal(path, "r2")
    item.write_entry("start")
    item.close()
    with path.open(encoding="utf-8", errors="replace") as lines:
        assert ["r0", "r2"] == [run.id for run in parse_runs(lines)]


def test_a_journal_that_cannot_be_written_causes_one_warning(tmp_path: Path) -> None:
    """The run continues."""
    (tmp_path / "file").write_text("")
    warnings: list[str] = []
    item = journal(tmp_path / "file" / "journal.jsonl", warnings=warnings)
    for _ in range(3):
        item.write_entry("start")
        item.sync()
    item.close()
    assert 1 == len(warnings)
    assert "the run continues without it" in warnings[0]


@pytest.mark.skipif(not FULL.exists(), reason=f"this system has no {FULL}")
def test_a_full_disk_causes_a_warning() -> None:
    """Neither the write nor the close raises an error."""
    warnings: list[str] = []
    item = journal(FULL, warnings=warnings)
    item.write_entry("start")
    item.write_entry("start")
    item.close()
    assert 1 == len(warnings)


def test_a_pipe_without_a_reader_causes_a_warning(tmp_path: Path) -> None:
    """A pipe takes 64 KiB; a blocking write would wait forever after that."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    warnings: list[str] = []
    item = journal(path, warnings=warnings)
    for _ in range(300):
        item.write_entry("start", reason="x" * 1000)
    item.close()
    assert 1 == len(warnings)


def test_a_partly_written_line_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write may take only a part of the data; the rest follows."""
    real = os.write
    monkeypatch.setattr(os, "write", lambda file, data: real(file, data[:7]))
    item = journal(tmp_path / "journal.jsonl")
    item.write_entry("start", who="me")
    item.close()
    assert ["start"] == [
        entry["event"] for entry in recorded(tmp_path / "journal.jsonl")
    ]


def test_a_disk_that_fails_at_the_close_causes_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Network file systems report a full disk only then."""

    def no_room(_file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    warnings: list[str] = []
    item = journal(tmp_path / "journal.jsonl", warnings=warnings)
    item.write_entry("start")
    with monkeypatch.context() as patched:
        patched.setattr(os, "close", no_room)
        item.close()
    assert 1 == len(warnings)


def test_a_warning_without_a_reader_is_ignored(tmp_path: Path) -> None:
    """The reader of stderr may have closed it as well."""

    def gone(_text: str) -> None:
        raise BrokenPipeError

    (tmp_path / "file").write_text("")
    item = Journal(
        FileSink(tmp_path / "file" / "journal.jsonl"), "r1", lambda: NOW, gone
    )
    item.write_entry("start")
    item.close()
