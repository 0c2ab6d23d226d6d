"""Files that are written completely or not at all, also with other writers and readers."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.cli import files as whole_file
from reconciler.cli.files import write_all, write_text
from reconciler.core.errors import CxrouteError

ROUNDS = 40
SIZE = 2_000_000


@pytest.mark.slow
def test_several_runs_that_write_one_file_leave_one_of_their_texts(
    tmp_path: Path,
) -> None:
    """Two shards with one --report, or one plan saved twice: the last one counts, and none is an
    error.
    """
    path = tmp_path / "plan.json"
    texts = [letter * SIZE for letter in "abcd"]

    def seen(text: str) -> Iterator[bool]:
        for _ in range(ROUNDS):
            write_text(path, text)
            yield path.read_text() in texts

    with ThreadPoolExecutor(len(texts)) as pool:
        actual = list(pool.map(lambda text: all(seen(text)), texts))
    assert [True] * len(texts) == actual
    assert [path] == list(tmp_path.iterdir())


def test_a_link_next_to_a_file_is_not_followed(tmp_path: Path) -> None:
    """An untrusted checkout can contain any file, but cannot redirect a write."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in (".plan.json.tmp", ".plan.json"):
        (tmp_path / name).symlink_to(victim)
    write_text(tmp_path / "plan.json", "{}")
    assert ("mine", "{}") == (victim.read_text(), (tmp_path / "plan.json").read_text())


@pytest.mark.parametrize("name", ["pipe", "link"])
def test_a_file_that_is_not_regular_is_not_replaced(tmp_path: Path, name: str) -> None:
    """As root, `--out /dev/null` would replace the device by a file, for all users of the
    machine.
    """
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(
        CxrouteError,
        match="it is not a regular file, and would be replaced; name another file",
    ):
        write_text(tmp_path / name, "{}")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
    assert {"pipe", "link"} == {path.name for path in tmp_path.iterdir()}


def test_no_file_is_written_next_to_devices(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There, `stdout` is a link to a regular file if the output goes to one.

    Here a folder replaces /dev.
    """
    monkeypatch.setattr(whole_file, "_DEVICES", tmp_path)
    (tmp_path / "file").write_text("output")
    (tmp_path / "stdout").symlink_to(tmp_path / "file")
    with pytest.raises(CxrouteError, match="it is not a regular file"):
        write_text(tmp_path / "stdout", "{}")
    assert (True, "output") == (
        (tmp_path / "stdout").is_symlink(),
        (tmp_path / "file").read_text(),
    )


@pytest.mark.parametrize(
    "name", ["x" * 255, "\u5ba2" * 85], ids=["ascii", "three bytes each"]
)
def test_the_longest_name_can_be_written(tmp_path: Path, name: str) -> None:
    """The temporary file next to it does not have a longer name."""
    write_text(tmp_path / name, "{}")
    assert "{}" == (tmp_path / name).read_text()


def test_if_one_file_cannot_be_written_none_is(tmp_path: Path) -> None:
    """Nothing has changed, and no temporary file remains."""
    (tmp_path / "a").write_text("old")
    with pytest.raises(CxrouteError, match="cannot write"):
        write_all({tmp_path / "a": "new", tmp_path / "none" / "b": "new"})
    assert {"a": "old"} == {path.name: path.read_text() for path in tmp_path.iterdir()}
