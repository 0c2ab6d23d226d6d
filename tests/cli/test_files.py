"""Files that are there whole or not at all, whoever else writes them or waits for them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.cli import files as whole_file
from reconciler.cli.files import write_all, write_text
from reconciler.errors import CxrouteError

ROUNDS = 40
SIZE = 2_000_000


def test_several_runs_that_write_one_file_leave_one_of_their_texts(tmp_path: Path) -> None:
    """Two shards with one --report, or a plan saved twice at once: the last one counts, and none is an error."""
    path = tmp_path / "plan.json"
    texts = [letter * SIZE for letter in "abcd"]

    def seen(text: str) -> Iterator[bool]:
        for _ in range(ROUNDS):
            write_text(path, text)
            yield path.read_text() in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        found = list(pool.map(lambda text: all(seen(text)), texts))
    assert [True] * len(texts) == found
    assert [path] == list(tmp_path.iterdir())


def test_a_link_beside_it_is_not_written_through(tmp_path: Path) -> None:
    """A checkout that nobody trusts can hold any file, but none that takes what is written elsewhere."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (".plan.json.tmp", ".plan.json"):
        (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "plan.json", "{}")
    assert ("mine", "{}") == (victim.read_text(), (tmp_path / "plan.json").read_text())


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_what_is_no_regular_file_is_not_replaced(tmp_path: Path, name: str) -> None:
    """As root, `--out /dev/null` would make an ordinary file of the device, for all who share the machine."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(CxrouteError, match="it is not a regular file, and would be replaced; name another file"):
        write_text(tmp_path / name, "{}")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert {"pipe", "link"} == {path.name for path in tmp_path.iterdir()}


def test_nothing_is_written_beside_devices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """There, `stdout` is a link that leads to a regular file where the output goes to one. Here a folder stands in."""
    monkeypatch.setattr(whole_file, "_DEVICES", tmp_path)
    (tmp_path / "file").write_text("output")
    (tmp_path / "stdout").symlink_to(tmp_path / "file")
    with pytest.raises(CxrouteError, match="it is not a regular file"):
        write_text(tmp_path / "stdout", "{}")
    assert (True, "output") == ((tmp_path / "stdout").is_symlink(), (tmp_path / "file").read_text())


@pytest.mark.parametrize("name", ["x" * 255, "\u5ba2" * 85], ids=["ascii", "three bytes each"])
def test_the_longest_name_can_be_written(tmp_path: Path, name: str) -> None:
    """What stands beside it for a moment has a name that is no longer."""
    write_text(tmp_path / name, "{}")
    assert "{}" == (tmp_path / name).read_text()


def test_where_one_cannot_be_written_none_is(tmp_path: Path) -> None:
    """Nothing has changed, and nothing lies around."""
    (tmp_path / "a").write_text("old")
    with pytest.raises(CxrouteError, match="cannot write"):
        write_all({tmp_path / "a": "new", tmp_path / "none" / "b": "new"})
    assert {"a": "old"} == {path.name: path.read_text() for path in tmp_path.iterdir()}
