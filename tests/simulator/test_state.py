"""The simulator's state file survives a kill at any instant, and a manual edit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.simulator.state import TenantState, format_timestamp
from reconciler.simulator.storage import StateError
from tests.support.simulated import QUEUES, stored


def killed(path: Path, steps: str) -> None:
    """Do steps on the state in a separate process that dies without closing it."""
    code = (
        "import os, sys; from pathlib import Path; from reconciler.simulator.state import TenantState\n"
        f"state = TenantState.load(Path(sys.argv[1]))\n{steps}\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False, capture_output=True, text=True)
    assert -9 == done.returncode, done.stderr


def reopened(path: Path) -> dict[str, Any]:
    """Return the state that a new process would read."""
    with TenantState.load(path) as state:
        return state.to_document()


def write(path: Path, **parts: Any) -> None:
    """Write a snapshot as a manual edit would."""
    path.write_text(json.dumps({"queues": QUEUES, "rules": [], "contexts": {}, **parts}, indent=4))


def test_a_new_state_is_empty_and_writes_no_snapshot(tmp_path: Path) -> None:
    """Opening and closing a new state does not create FILE; its folder is created."""
    path = tmp_path / "deep" / "state.json"
    assert {"queues": [], "rules": [], "contexts": {}} == reopened(path)
    assert not path.exists()


def test_a_closed_state_is_one_readable_file(tmp_path: Path) -> None:
    """After close FILE holds everything as JSON, one object a line, and the log is empty."""
    path = tmp_path / "state.json"
    with TenantState.load(path, initial=TenantState(QUEUES)) as state:
        state.put(stored(1, name="Überweisung"))
        state.put(stored(2))
        state.merge("c1", {"a": 1})
    document = {"queues": QUEUES, "rules": [stored(1, name="Überweisung"), stored(2)], "contexts": {"c1": {"a": 1}}}
    assert document == json.loads(path.read_text(encoding="utf-8"))
    assert document == reopened(path)
    assert 0 == Path(f"{path}.log").stat().st_size
    assert "Überweisung" in path.read_text(encoding="utf-8")
    assert 11 == len(path.read_text(encoding="utf-8").splitlines())


def test_acknowledged_changes_survive_a_kill(tmp_path: Path) -> None:
    """Creates, updates, deletes and contexts of a killed process are present, although FILE was never written."""
    path = tmp_path / "state.json"
    steps = f"""
for n in range(5): state.put({{**{stored(1)!r}, "id": f"r{{n}}"}})
state.put({stored(2, priority=99)!r}); state.remove("r3")
state.merge("c1", {{"a": 1}}); state.merge("c1", {{"b": 2}})
"""
    killed(path, steps)
    assert not path.exists()
    found = reopened(path)
    assert ["r0", "r1", "r2", "r4"] == [rule["id"] for rule in found["rules"]]
    assert stored(2, priority=99) == found["rules"][2]
    assert {"c1": {"a": 1, "b": 2}} == found["contexts"]


@pytest.mark.parametrize("torn", [b"[", b'["rule","r9",null,{"id":"r9","na', b'["rule","r9",null,null]'])
def test_a_torn_last_line_is_dropped(tmp_path: Path, torn: bytes) -> None:
    """A line without its end was not acknowledged: it is dropped, and later lines are not appended to it."""
    path = tmp_path / "state.json"
    killed(path, f"state.put({stored(1)!r})")
    with Path(f"{path}.log").open("ab") as log:
        log.write(torn)
    with TenantState.load(path) as state:
        state.put(stored(2))
    assert [stored(1), stored(2)] == reopened(path)["rules"]


def test_a_kill_between_snapshot_and_log_does_no_harm(tmp_path: Path) -> None:
    """Reading a log again over a snapshot that already contains it changes nothing, for any content."""
    path = tmp_path / "state.json"
    steps = f"""
state.put({stored(1)!r}); state.put({stored(1, priority=2)!r}); state.put({stored(1)!r})
state.put({stored(2)!r}); state.remove("r2"); state.put({stored(3)!r})
state.merge("c", {{"a": 1}}); state.merge("c", {{"a": 2}}); state.merge("c", {{"a": 1}})
"""
    killed(path, steps)
    log = Path(f"{path}.log").read_bytes()
    before = reopened(path)
    Path(f"{path}.log").write_bytes(log)
    assert before == reopened(path)
    assert [stored(1), stored(3)] == before["rules"]


def test_a_manual_edit_counts(tmp_path: Path) -> None:
    """The next run has the changes, additions and deletions made in FILE between two runs."""
    path = tmp_path / "state.json"
    with TenantState.load(path, initial=TenantState(QUEUES)) as state:
        for n in (1, 2):
            state.put(stored(n))
    write(path, rules=[stored(1, priority=7), stored(3)])
    assert [stored(1, priority=7), stored(3)] == reopened(path)["rules"]


def test_a_manual_edit_wins_over_the_log_of_a_killed_run(tmp_path: Path) -> None:
    """A rule that was edited or removed after a kill stays so; other changes of the killed run remain."""
    path = tmp_path / "state.json"
    write(path, rules=[stored(1), stored(2), stored(3)])
    killed(
        path, f"state.put({stored(1, priority=1)!r}); state.put({stored(2, priority=2)!r}); state.put({stored(4)!r})"
    )
    write(path, rules=[stored(1, priority=7), stored(2)])
    assert [stored(1, priority=7), stored(2, priority=2), stored(4)] == reopened(path)["rules"]


def test_an_initial_tenant_is_used_once(tmp_path: Path) -> None:
    """`initial` fills a new state immediately, and never an existing one."""
    path, start = tmp_path / "state.json", TenantState(QUEUES, [stored(1)])
    with TenantState.load(path, initial=start):
        assert [stored(1)] == json.loads(path.read_text())["rules"]
    with TenantState.load(path, initial=start) as state:
        state.remove("r1")
    with TenantState.load(path, initial=start) as state:
        assert [] == state.rules()
    assert [stored(1)] == start.rules()


BROKEN = [
    ("{", "is not JSON"),
    ("\ufffe", "is not JSON"),
    ("[]", "must be an object"),
    ('{"rules": {}}', "rules must be a list"),
    ('{"rules": [{"id": "r1"}]}', "rules[0] must be an object with an id and a name"),
    ('{"queues": ["x"]}', "queues[0] must be an object with an id and a name"),
    ('{"queues": [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}]}', "queues[1]: duplicate id a"),
    ('{"contexts": {"c": 1}}', "contexts must be an object of objects"),
    ("[" * 100_000, "is not JSON"),
    ('{"rules": [{"id": "r1", "name": "x", "priority": NaN}]}', "is not JSON"),
    ('{"rules": [{"id": "r1", "name": "\\ud800"}]}', "is not JSON"),
]


@pytest.mark.parametrize(("text", "reason"), BROKEN, ids=lambda value: value[:30])
def test_a_broken_snapshot_is_a_clear_error(tmp_path: Path, text: str, reason: str) -> None:
    """The error names the file and the problem; nothing is written, and the state is not left locked."""
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(StateError) as caught:
            TenantState.load(path, lock_timeout=0)
        assert str(path) in str(caught.value)
        assert reason in str(caught.value)
    assert text == path.read_text(encoding="utf-8")


NO_ENTRIES = [
    *("rubbish", "5", "[]", "[" * 100_000, '["queue", "x", null, {}]', '[["rule"], "x", null, null]'),
    *('["rule", "x", null, {}]', '["rule", "x", null, 5]', '["rule", ["x"], null, null]'),
    *('["rule", "x", null, {"id": "x", "name": "\\ud800"}]', '["context", "c", null, {"a": NaN}]'),
    *('["context", "c", null, [1]]', '["script", "s", null, "text"]'),
]


@pytest.mark.parametrize("line", NO_ENTRIES, ids=lambda value: value[:30])
def test_a_broken_log_is_a_clear_error(tmp_path: Path, line: str) -> None:
    """A line in the middle that is not an entry is named with its number; it is not skipped silently."""
    path = tmp_path / "state.json"
    killed(path, f"state.put({stored(1)!r})")
    log = Path(f"{path}.log")
    log.write_bytes(f"{line}\n".encode() + log.read_bytes())
    with pytest.raises(StateError, match=r"state\.json\.log:1: is not an entry"):
        TenantState.load(path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """An open state is refused to a second process after its timeout, and is free again after the close."""
    path = tmp_path / "state.json"
    with TenantState.load(path), pytest.raises(StateError, match="another process uses this state"):
        TenantState.load(path, lock_timeout=0.05)
    TenantState.load(path, lock_timeout=0).close()


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """If a file is in the place of the folder, the error says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be opened"):
        TenantState.load(tmp_path / "file" / "state.json")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_change_that_cannot_be_stored_is_not_made(tmp_path: Path) -> None:
    """With a full disk put, remove and merge raise, and the state in memory does not change."""
    with TenantState.load(tmp_path / "state.json") as state:
        state.put(stored(1))
        kept = os.dup(state._files._log) if state._files else -1
        os.dup2(os.open("/dev/full", os.O_WRONLY), state._files._log if state._files else -1)
        for change in (lambda: state.put(stored(2)), lambda: state.remove("r1"), lambda: state.merge("c", {})):
            with pytest.raises(StateError, match="cannot be written"):
                change()
        assert ([stored(1)], {}, 1) == (state.rules(), state.contexts, state.revision)
        os.dup2(kept, state._files._log if state._files else -1)


def test_a_thousand_creates_do_not_rewrite_the_file(tmp_path: Path) -> None:
    """Creates do not touch FILE; the log grows by one line each."""
    path = tmp_path / "state.json"
    write(path)
    before = path.stat().st_mtime_ns
    with TenantState.load(path) as state:
        for n in range(1_000):
            state.put(stored(n))
        assert before == path.stat().st_mtime_ns
        assert 1_000 == len(Path(f"{path}.log").read_bytes().splitlines())
    assert 1_000 == len(reopened(path)["rules"])


def test_an_edit_in_the_ui_is_one_change() -> None:
    """edit() changes the fields, raises the version and dates the change; watchers see it."""
    state, seen = TenantState(QUEUES, [stored(1, division={"id": "d"})]), []
    state.watchers.append(lambda watched: seen.append(watched.revision))
    state.edit("r1", 0.0, priority=3)
    expected = stored(1, division={"id": "d"}, priority=3, version=2, dateModified="1970-01-01T00:00:00.000Z")
    assert ([expected], [1]) == (state.rules(), seen)
    with pytest.raises(KeyError):
        state.edit("r9", priority=3)


def test_times_are_written_as_the_api_does() -> None:
    """Milliseconds and Z, rounded down."""
    assert "2026-02-01T09:00:00.125Z" == format_timestamp(1_769_936_400.1259)
