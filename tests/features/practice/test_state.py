"""The simulator's state file survives a kill at any instant, and a manual edit."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.features.practice.simulator.state import TenantState, format_timestamp
from reconciler.features.practice.simulator.storage import StateError
from tests.crash.changing_process import change
from tests.support.cases import each_case
from tests.support.simulated import QUEUES, stored


def killed(path: Path, steps: str) -> None:
    """Do steps on the state in a separate process that dies without closing it."""
    code = (
        "import os, sys; from pathlib import Path; from reconciler.features.practice.simulator.state import "
        "TenantState\n"
        f"state = TenantState.load(Path(sys.argv[1]))\n{steps}\nos.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)],
        check=False,
        capture_output=True,
        text=True,
    )
    assert -9 == done.returncode, done.stderr


def reopened(path: Path) -> dict[str, Any]:
    """Return the state that a new process would read."""
    with TenantState.load(path) as state:
        return state.to_document()


def write(path: Path, **parts: Any) -> None:
    """Write a state as a manual edit would."""
    path.write_text(
        json.dumps({"queues": QUEUES, "rules": [], "contexts": {}, **parts}, indent=4)
    )


def test_a_new_state_is_empty_and_writes_no_file(tmp_path: Path) -> None:
    """Opening and closing a new state does not create FILE; its folder is created."""
    path = tmp_path / "deep" / "state.json"
    assert {"queues": [], "rules": [], "contexts": {}} == reopened(path)
    assert not path.exists()


def test_a_state_is_one_readable_file(tmp_path: Path) -> None:
    """FILE holds everything as JSON, one object a line."""
    path = tmp_path / "state.json"
    with TenantState.load(path, initial=TenantState(QUEUES)) as state:
        state.put(stored(1, name="Überweisung"))
        state.put(stored(2))
        state.merge("c1", {"a": 1})
    document = {
        "queues": QUEUES,
        "rules": [stored(1, name="Überweisung"), stored(2)],
        "contexts": {"c1": {"a": 1}},
    }
    assert document == json.loads(path.read_text(encoding="utf-8"))
    assert document == reopened(path)
    assert "Überweisung" in path.read_text(encoding="utf-8")
    assert 11 == len(path.read_text(encoding="utf-8").splitlines())


def test_acknowledged_changes_survive_a_kill(tmp_path: Path) -> None:
    """Creates, updates, deletes and contexts of a killed process are present."""
    path = tmp_path / "state.json"
    steps = f"""
for n in range(5): state.put({{**{stored(1)!r}, "id": f"r{{n}}"}})
state.put({stored(2, priority=99)!r}); state.remove("r3")
state.merge("c1", {{"a": 1}}); state.merge("c1", {{"b": 2}})
"""
    killed(path, steps)
    actual = reopened(path)
    assert ["r0", "r1", "r2", "r4"] == [rule["id"] for rule in actual["rules"]]
    assert stored(2, priority=99) == actual["rules"][2]
    assert {"c1": {"a": 1, "b": 2}} == actual["contexts"]


@pytest.mark.parametrize("seed", range(3))
def test_each_beginning_of_the_changes_is_a_state(tmp_path: Path, seed: int) -> None:
    """A file that ends in the middle of a change has all changes before it, and is written on."""
    path = tmp_path / "state.json"
    steps = f"""
from random import Random
from tests.crash.changing_process import change
draw = Random({seed})
state.queues.append({{"id": "q1", "name": "Überweisung"}})
for n in range(40): change(state, n, draw)
"""
    killed(path, steps)
    data = path.read_bytes()
    document, *changes = data.split(b"\n+")
    assert 39 == len(changes)

    model = TenantState([{"id": "q1", "name": "Überweisung"}])
    draw = Random(seed)
    expected = []
    for number in range(40):
        change(model, number, draw)
        expected.append(json.dumps(model.to_document()))
    ends = {len(document), len(data), len(data) - 1}
    for place in range(len(data)):
        if data[place - 1 : place + 1] == b"\n+":
            ends |= {place - 2, place - 1, place, place + 1, place + 2}
    ends |= {draw.randrange(len(document), len(data)) for _ in range(50)}
    for end in sorted(end for end in ends if end >= len(document)):
        path.write_bytes(data[:end])
        complete = data[:end].count(b"\n") - document.count(b"\n")
        complete += data[end : end + 1] == b"\n"  # its line end alone is missing
        actual = json.dumps(TenantState.read(path).to_document())
        assert expected[max(complete - 1, 0)] == actual
    path.write_bytes(data[:-1])
    with TenantState.load(path) as state:
        state.put(stored(100))
        names = [rule["name"] for rule in state.rules()]
        for name in names:
            same = {rule["id"] for rule in state.rules() if rule["name"] == name}
            assert same == state.ids_named(name)
    assert json.loads(path.read_text("utf-8")) == reopened(path)


@pytest.mark.skipif(sys.platform != "linux", reason="it reads /proc")
def test_twice_as_many_changes_write_twice_as_much(tmp_path: Path) -> None:
    """Creates, and changes of one conversation, of which the file has only the last one."""

    def create(state: TenantState, number: int) -> None:
        state.put(stored(number))

    def merge(state: TenantState, number: int) -> None:
        state.merge("c", {"number": number, "text": "x" * 200})

    for make in (create, merge):
        few = written(tmp_path / f"{make.__name__}-few.json", partial(make), 2_000)
        many = written(tmp_path / f"{make.__name__}-many.json", partial(make), 4_000)
        assert few < many < 2.5 * few


def written(path: Path, make: Callable[[TenantState, int], object], count: int) -> int:
    """Return the bytes that so many changes write; the file is not larger than twice its
    document and 64 KiB.
    """
    before = bytes_written()
    with TenantState.load(path, initial=TenantState(QUEUES)) as state:
        for number in range(count):
            make(state, number)
        largest = path.stat().st_size
    assert largest <= 2 * path.stat().st_size + 65_536
    return bytes_written() - before


def bytes_written() -> int:
    """Return how many bytes this process has written to files."""
    (line,) = (
        line
        for line in Path("/proc/self/io").read_text().splitlines()
        if line.startswith("wchar")
    )
    return int(line.split()[1])


@each_case("edit", ["deleted", "no line end", "emptied", "an older copy"])
def test_an_edit_while_a_state_is_open_loses_no_later_change(
    tmp_path: Path, edit: str
) -> None:
    """Of a process that is killed: all that it answered is there."""
    path = tmp_path / "state.json"
    write(path)
    older = path.read_bytes()
    steps = f"""
from tests.support.simulated import stored
path = Path(sys.argv[1])
state.put(stored(1))
state.put(stored(2))
written = path.read_bytes().rstrip()
path.unlink()
texts = {{"no line end": written, "emptied": b"", "an older copy": {older!r}}}
if {edit!r} in texts: path.write_bytes(texts[{edit!r}])
state.put(stored(3))
"""
    killed(path, steps)
    assert [stored(1), stored(2), stored(3)] == TenantState.read(path).rules()


def test_a_queue_is_stored_with_the_next_change(tmp_path: Path) -> None:
    """Also by a process that is killed."""
    path = tmp_path / "state.json"
    queue = {"id": "q9", "name": "New"}
    steps = f"""
state.put({stored(1)!r}); state.put({stored(2)!r})
state.queues.append({queue!r}); state.put({stored(3)!r}); state.put({stored(4)!r})
"""
    killed(path, steps)
    actual = reopened(path)
    assert [queue] == actual["queues"]
    assert ["r1", "r2", "r3", "r4"] == [rule["id"] for rule in actual["rules"]]


@pytest.mark.parametrize("rest", [b"", b'{"queues": [', b"[]"])
def test_a_kill_while_the_file_is_replaced_does_no_harm(
    tmp_path: Path, rest: bytes
) -> None:
    """The document that was not finished is ignored, and replaced by the next one."""
    path = tmp_path / "state.json"
    killed(path, f"state.put({stored(1)!r})")
    Path(f"{path}.new").write_bytes(rest)
    with TenantState.load(path) as state:
        state.put(stored(2))
    assert [stored(1), stored(2)] == reopened(path)["rules"]
    assert {"state.json", "state.json.lock"} == {
        each.name for each in tmp_path.iterdir()
    }


def test_a_state_is_read_without_a_lock(tmp_path: Path) -> None:
    """Another process may have it open; changes of the copy stay in memory, and nothing is
    written.
    """
    path = tmp_path / "state.json"
    with TenantState.load(path, initial=TenantState(QUEUES, [stored(1)])):
        copy = TenantState.read(path)
        copy.put(stored(2))
    assert [stored(1)] == reopened(path)["rules"]
    assert [] == TenantState.read(tmp_path / "none" / "state.json").rules()
    assert not (tmp_path / "none").exists()


def test_a_manual_edit_counts(tmp_path: Path) -> None:
    """The next run has the changes, additions and deletions made in FILE between two runs."""
    path = tmp_path / "state.json"
    with TenantState.load(path, initial=TenantState(QUEUES)) as state:
        for n in (1, 2):
            state.put(stored(n))
    write(path, rules=[stored(1, priority=7), stored(3)])
    assert [stored(1, priority=7), stored(3)] == reopened(path)["rules"]


def test_an_initial_tenant_is_used_once(tmp_path: Path) -> None:
    """`initial` fills a new state immediately, and never an existing one."""
    path = tmp_path / "state.json"
    start = TenantState(QUEUES, [stored(1)])
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
    (
        '{"queues": [{"id": "a", "name": "A"}, {"id": "a", "name": "B"}]}',
        "queues[1]: duplicate id a",
    ),
    ('{"contexts": {"c": 1}}', "contexts must be an object of objects"),
    ("[" * 100_000, "is not JSON"),
    ('{"rules": [{"id": "r1", "name": "x", "priority": NaN}]}', "is not JSON"),
    ('{"rules": [{"id": "r1", "name": "\\ud800"}]}', "is not JSON"),
    ('{}\n+{"rules"\n', "is not JSON"),
    ("{}\n+[]\n", "changes must be an object of objects"),
    ('{}\n+{"rules": 1}\n', "changes must be an object of objects"),
    ('{}\n+{"contexts": {"c": 1}}\n', "contexts must be an object of objects"),
    ('{}\n+{"rules": {"r1": {}}}\n', "rules[0] must be an object with an id"),
    ('{}\n+{"tables": {"x": {}}}\n', "tables must have their versions as names"),
]


@each_case("text, reason", BROKEN)
def test_a_broken_file_is_a_clear_error(tmp_path: Path, text: str, reason: str) -> None:
    """The error names the file and the problem; nothing is written, and the state is not left
    locked.
    """
    path = tmp_path / "state.json"
    path.write_text(text, encoding="utf-8")
    for _ in range(2):
        with pytest.raises(StateError) as caught:
            TenantState.load(path, lock_timeout=0)
        assert str(path) in str(caught.value)
        assert reason in str(caught.value)
    assert text == path.read_text(encoding="utf-8")


def test_another_kind_of_file_is_a_clear_error(tmp_path: Path) -> None:
    """A pipe would be read forever."""
    path = tmp_path / "state.json"
    os.mkfifo(path)
    with pytest.raises(StateError, match="is not a regular file"):
        TenantState.load(path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    """An open state is refused to a second process after its timeout, and is free again after the
    close.
    """
    path = tmp_path / "state.json"
    with (
        TenantState.load(path),
        pytest.raises(StateError, match="another process uses this state"),
    ):
        TenantState.load(path, lock_timeout=0.05)
    TenantState.load(path, lock_timeout=0).close()


def test_a_folder_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    """If a file is in the place of the folder, the error says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StateError, match="cannot be opened"):
        TenantState.load(tmp_path / "file" / "state.json")


def test_a_change_that_cannot_be_stored_is_not_made(tmp_path: Path) -> None:
    """With a full disk put, remove and merge raise; the state does not change, and later changes
    are stored.
    """
    path = tmp_path / "state.json"
    large = stored(2, description="x" * 10_000)
    with TenantState.load(path) as state:
        state.put(stored(1))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        try:
            for change in (
                lambda: state.put(large),
                lambda: state.remove("r1"),
                lambda: state.merge("c", {}),
            ):
                with pytest.raises(StateError, match="cannot be written"):
                    change()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert ([stored(1)], {}, 1) == (state.rules(), state.contexts, state.revision)
        assert [stored(1)] == TenantState.read(path).rules()
        state.put(large)
    assert [stored(1), large] == reopened(path)["rules"]


@pytest.mark.parametrize("room", [1, 5, 100])
def test_a_change_that_is_stored_in_part_is_not_made(tmp_path: Path, room: int) -> None:
    """If the disk gets full within a change, the file is as before it, and a process that is
    killed then leaves it so.
    """
    path = tmp_path / "state.json"
    steps = f"""
import resource
from reconciler.features.practice.simulator.storage import StateError
state.put({stored(1)!r}); state.put({stored(2)!r})
before = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (Path(sys.argv[1]).stat().st_size + {room}, before[1]))
for _ in range(2):
    try: state.put({stored(3)!r})
    except StateError: pass
    else: raise AssertionError
if {room} == 5: resource.setrlimit(resource.RLIMIT_FSIZE, before); state.put({stored(4)!r})
"""
    killed(path, steps)
    expected = ["r1", "r2", "r4"] if room == 5 else ["r1", "r2"]
    assert expected == [rule["id"] for rule in TenantState.read(path).rules()]
    assert (room != 5) == (not path.read_bytes().endswith(b"\n"))
    with TenantState.load(path) as state:
        state.put(stored(5))
    assert [*expected, "r5"] == [rule["id"] for rule in reopened(path)["rules"]]


def test_an_edit_in_the_ui_is_one_change() -> None:
    """edit() changes the fields, raises the version and dates the change; watchers see it."""
    state = TenantState(QUEUES, [stored(1, division={"id": "d"})])
    observed = []
    state.watchers.append(lambda watched: observed.append(watched.revision))
    state.edit("r1", 0.0, priority=3)
    expected = stored(
        1,
        division={"id": "d"},
        priority=3,
        version=2,
        dateModified="1970-01-01T00:00:00.000Z",
    )
    assert ([expected], [1]) == (state.rules(), observed)
    with pytest.raises(KeyError):
        state.edit("r9", priority=3)


def test_times_are_written_as_the_api_does() -> None:
    """Milliseconds and Z, rounded down."""
    assert "2026-02-01T09:00:00.125Z" == format_timestamp(1_769_936_400.1259)
