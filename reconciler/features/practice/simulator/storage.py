"""The state's file: one JSON document, and the changes since, one a line.

A change is appended, before it is acknowledged, and `close` writes a new document. FILE is then
another file, so FILE.lock is locked instead of it.
"""

import contextlib
import errno
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, cast

from reconciler.features.practice.simulator.messages import decode_json

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, flock

_LOCK_PAUSE: Final = 0.02
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)
# Before each change. No JSON document has it, because no text in JSON has a line break.
_CHANGE: Final = b"\n+"
_LEAST_ROOM: Final = 65_536  # bytes of changes that even an empty document may have


class StateError(Exception):
    """The state's file cannot be used. `str(error)` names the file, the reason and the way on."""


class StateFile:
    """The file of a state, which this process alone changes until `close`."""

    def __init__(self, path: Path, lock_timeout: float) -> None:
        """Lock the file; wait up to `lock_timeout` seconds for another process.

        Raises StateError.
        """
        self.path: Final = path
        # Bytes for changes; None before the first one of this process.
        self._room: int | None = None
        # The file as this process wrote it last: an edit replaces or resizes it.
        self._written: tuple[int, int] | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise StateError(f"{path}: cannot be opened: {error.strerror}") from error
        try:
            self._wait_for_lock(lock_timeout)
        except BaseException:
            self.close()
            raise

    def _wait_for_lock(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while sys.platform != "win32":  # which has no flock: the file is not locked
            with contextlib.suppress(OSError):
                flock(self._lock, LOCK_EX | LOCK_NB)
                return
            if time.monotonic() > deadline:
                problem = "another process uses this state; wait for it, or choose another file"
                raise StateError(f"{self.path}: {problem}")
            time.sleep(_LOCK_PAUSE)

    def add(
        self, change: dict[str, Any], document: Callable[[], dict[str, Any]]
    ) -> None:
        """Store a change; `document` returns the whole state with it.

        The first change, and one for which there is no room, replace the file: all of them
        together write a few times what the document has. After a StateError the file is as before.
        """
        line = f"+{_ENCODER.encode(change)}\n".encode()
        room = (self._room or 0) - len(line)
        if room < 0 or self._written != self._present():
            self.replace(document())
            return
        self._room = 0  # until the line is whole: the next change replaces the file
        with self._naming_failure(), self.path.open("r+b", buffering=0) as file:
            file.seek(0, os.SEEK_END)
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self._room = room
        self._written = self._present()

    def _present(self) -> tuple[int, int] | None:
        """Return which file is there, and its size."""
        with contextlib.suppress(OSError):
            status = self.path.stat()
            return status.st_ino, status.st_size
        return None

    def replace(self, document: dict[str, Any]) -> None:
        """Replace the file by a document. After a StateError the file is as before."""
        replacement = Path(f"{self.path}.new")
        text = _text_of(document).encode()
        with self._naming_failure():
            try:
                replacement.write_bytes(text)
                replacement.replace(self.path)
            except OSError:
                with contextlib.suppress(OSError):
                    replacement.unlink()
                raise
        self._room = max(len(text), _LEAST_ROOM)
        self._written = self._present()

    @contextlib.contextmanager
    def _naming_failure(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = f"cannot be written: {error.strerror}"
            raise StateError(f"{self.path}: {problem}") from error

    def close(self, document: Callable[[], dict[str, Any]] | None = None) -> None:
        """Write the changes of this process into the document, if there are any, and unlock."""
        if document is not None and self._room is not None:
            with contextlib.suppress(StateError):  # the changes stay as they are
                self.replace(document())
        os.close(self._lock)


def read_document(path: Path) -> dict[str, Any]:
    """Return queues, rules, contexts, scripts and tables, all empty without a file.

    Raises StateError.
    """
    document: object = {}
    changes: list[bytes] = []
    if path.exists():
        data, changes = _read_parts(path)
        document = _parse(path, data)
    if not isinstance(document, dict):
        raise StateError(f"{path}: must be an object with queues, rules and contexts")

    parts: dict[str, Any] = {}
    for key in ("queues", "rules"):
        parts[key] = document.get(key, [])
        _check_list(path, key, parts[key])
    for key in ("contexts", "scripts", "tables"):
        parts[key] = document.get(key, {})
        _check_objects(path, key, parts[key])
    if changes:
        _make_all(path, parts, changes)
    if not all(version.isdecimal() for version in parts["tables"]):
        raise StateError(f"{path}: tables must have their versions as names")
    return parts


def _read_parts(path: Path) -> tuple[bytes, list[bytes]]:
    """Return the document and its changes; a killed process may not have finished the last one."""
    if not path.is_file():
        raise StateError(f"{path}: is not a regular file. Choose another file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from error
    document, *changes = data.split(_CHANGE)
    if changes and not data.endswith(b"\n"):
        try:
            decode_json(changes[-1])
        except ValueError:
            changes.pop()
    return document, changes


def _parse(path: Path, data: bytes) -> object:
    try:
        return decode_json(data)
    except ValueError as error:
        remedy = "Fix the file, or delete it to start over"
        raise StateError(f"{path}: is not JSON: {error}. {remedy}") from None


def _make_all(path: Path, parts: dict[str, Any], changes: list[bytes]) -> None:
    rules = {rule["id"]: rule for rule in parts["rules"]}
    objects = {**parts, "rules": rules}
    del objects["queues"]
    for change in changes:
        _make(path, objects, _parse(path, change))
    parts["rules"] = list(rules.values())
    _check_list(path, "rules", parts["rules"])


def _make(path: Path, parts: dict[str, Any], change: object) -> None:
    """Make a change: objects by part and name, and null for one that is removed."""
    _check_objects(path, "changes", change)
    for key, objects in cast("dict[str, dict[str, Any]]", change).items():
        kept = {name: item for name, item in objects.items() if item is not None}
        _check_objects(path, key, kept)
        part = parts.setdefault(key, {})
        for name in objects.keys() - kept.keys():
            part.pop(name, None)
        part.update(kept)


def _check_list(path: Path, key: str, items: object) -> None:
    if not isinstance(items, list):
        raise StateError(f"{path}: {key} must be a list")
    ids = set()
    for index, item in enumerate(items):
        place = f"{path}: {key}[{index}]"
        has_texts = (
            isinstance(item, dict)
            and isinstance(item.get("id"), str)
            and isinstance(item.get("name"), str)
        )
        if not has_texts:
            raise StateError(f"{place} must be an object with an id and a name")
        if item["id"] in ids:
            raise StateError(f"{place}: duplicate id {item['id']}")
        ids.add(item["id"])


def _check_objects(path: Path, key: str, objects: object) -> None:
    problem = f"{path}: {key} must be an object of objects"
    if not isinstance(objects, dict):
        raise StateError(problem)
    for value in objects.values():
        if not isinstance(value, dict):
            raise StateError(problem)


def _text_of(document: dict[str, Any]) -> str:
    """Return the document with one object on a line, for people who read, edit and compare it."""
    parts = []
    for key, value in document.items():
        if isinstance(value, dict):
            items = [
                f"{_ENCODER.encode(name)}: {_ENCODER.encode(value[name])}"
                for name in value
            ]
            form = "{%s}"
        else:
            items = list(map(_ENCODER.encode, value))
            form = "[%s]"
        lines = ""
        if items:
            joined = ",\n  ".join(items)
            lines = f"\n  {joined}\n"
        parts.append(f'"{key}": {form % lines}')

    return "{" + ",\n".join(parts) + "}\n"
