"""The state's file: a snapshot in a readable and editable form, and a log of later changes.

FILE holds the snapshot and is always replaced completely. FILE.log gets one line for each change, before the change
is acknowledged: a kill at any instant loses no acknowledged change. A line applies only to the version that it names: a
log that is read twice, or after a manual edit of the snapshot, does no harm. The log is also the process's lock.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from reconciler.simulator.messages import decode_json

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, flock

_LOCK_PAUSE: Final = 0.02
_KINDS: Final = ("rule", "context", "script")


class StateError(Exception):
    """The state's file cannot be used. `str(error)` names the file, the reason and the way on."""


class StateNotWritableError(StateError):
    """The state's folder or file cannot be written. `reason` says why."""

    def __init__(self, path: Path, problem: str, error: OSError) -> None:
        self.reason = str(error.strerror)
        super().__init__(f"{path}: {problem}: {error.strerror}")


class StateChange(NamedTuple):
    """A change of object `id` of a kind, from the version with that fingerprint to `value`; None removes it."""

    kind: str
    id: str
    previous_fingerprint: str | None
    value: Any


class StateFiles:
    """The snapshot and the log of one state, locked for this process."""

    def __init__(self, path: Path, lock_timeout: float | None, read: Callable[[Path], bytes]) -> None:
        """Lock the state; wait up to `lock_timeout` seconds for another process; None only reads. Raises StateError."""
        self._path, self._read = path, read
        if lock_timeout is None:
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._log = os.open(f"{path}.log", os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError as error:
            raise StateNotWritableError(path, "cannot be opened", error) from error
        try:
            self._lock(lock_timeout)
        except BaseException:
            os.close(self._log)
            raise

    def _lock(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while sys.platform != "win32":  # which has no flock: the state is not locked
            with contextlib.suppress(OSError):
                flock(self._log, LOCK_EX | LOCK_NB)
                return
            if time.monotonic() > deadline:
                raise StateError(f"{self._path}: another process uses this state; wait for it, or choose another file")
            time.sleep(_LOCK_PAUSE)

    def is_new(self) -> bool:
        """Return whether the snapshot is absent and the log is empty."""
        return not self._path.exists() and not os.fstat(self._log).st_size

    def snapshot(self) -> dict[str, Any]:
        """Return the snapshot's queues, rules and contexts, all empty without a file. Raises StateError."""
        try:
            document = decode_json(self._read(self._path))
        except FileNotFoundError:
            return {"queues": [], "rules": [], "contexts": {}}
        except OSError as error:
            raise StateError(f"{self._path}: cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise StateError(f"{self._path}: is not JSON: {error}. Fix the file, or delete it to start over") from None
        if not isinstance(document, dict):
            raise StateError(f"{self._path}: must be an object with queues, rules and contexts")
        objects = {key: document.get(key, {}) for key in ("contexts", "scripts")}
        for key, values in objects.items():
            if not isinstance(values, dict) or not all(isinstance(value, dict) for value in values.values()):
                raise StateError(f"{self._path}: {key} must be an object of objects")
        parts = {key: document.get(key, []) for key in ("queues", "rules")}
        for key, items in parts.items():
            _check_list(self._path, key, items)
        return {**parts, **objects}

    def changes(self) -> Iterator[StateChange]:
        """Return the log's changes, without an incomplete last line, which was not acknowledged. Raises StateError."""
        try:
            lines = self._read(Path(f"{self._path}.log")).split(b"\n")
        except FileNotFoundError:  # of a state that is only read
            return
        except OSError as error:
            raise StateError(f"{self._path}.log: cannot be read: {error.strerror}") from error
        for number, line in enumerate(lines[:-1], 1):
            change = _parse_change(line)
            if change is None:
                remedy = f"Delete the log to continue from {self._path} alone"
                raise StateError(f"{self._path}.log:{number}: is not an entry. {remedy}")
            yield change

    def append(self, change: StateChange) -> None:
        """Write one change to the log. After a StateError nothing is written."""
        line = json.dumps(change, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        size = os.fstat(self._log).st_size
        try:
            if os.write(self._log, line) == len(line):
                return
            reason = "the disk is full"
        except OSError as error:
            reason = str(error.strerror)
        with contextlib.suppress(OSError):
            os.ftruncate(self._log, size)
        raise StateError(f"{self._path}.log: cannot be written: {reason}")

    def compact(self, document: Callable[[], dict[str, Any]]) -> None:
        """Fold the log into the snapshot, unless the log is empty. Raises StateError."""
        if os.fstat(self._log).st_size:
            self.replace(document())

    def replace(self, document: dict[str, Any]) -> None:
        """Replace the snapshot by the complete state and empty the log. Raises StateError."""
        replacement = Path(f"{self._path}.new")
        try:
            with replacement.open("w", encoding="utf-8") as file:
                file.write(_format_snapshot(document))
                file.flush()
                os.fsync(file.fileno())
            replacement.replace(self._path)
            os.ftruncate(self._log, 0)
        except OSError as error:
            raise StateNotWritableError(self._path, "cannot be written", error) from error

    def close(self) -> None:
        """Unlock the state."""
        os.close(self._log)


def _format_snapshot(document: dict[str, Any]) -> str:
    """Return the snapshot's text with one object per line, for reading, editing and comparing."""
    parts = []
    for key, value in document.items():
        if isinstance(value, dict):
            lines = [f"{json.dumps(name)}: {json.dumps(item, ensure_ascii=False)}" for name, item in value.items()]
        else:
            lines = [json.dumps(item, ensure_ascii=False) for item in value]
        left, right = "{}" if isinstance(value, dict) else "[]"
        parts.append(f'"{key}": {left}' + ("\n  " + ",\n  ".join(lines) + "\n" if lines else "") + right)
    return "{" + ",\n".join(parts) + "}\n"


def _parse_change(line: bytes) -> StateChange | None:
    """Return the change in a line of the log, or None for another text."""
    try:
        kind, identity, fingerprint, value = decode_json(line)
    except (ValueError, TypeError):
        return None
    is_object = _has_identity(value) if kind == "rule" else isinstance(value, dict)
    if kind not in _KINDS or not isinstance(identity, str) or not (is_object or value is None):
        return None
    return StateChange(kind, identity, fingerprint, value)


def _check_list(path: Path, key: str, items: object) -> None:
    if not isinstance(items, list):
        raise StateError(f"{path}: {key} must be a list")
    ids = set()
    for index, item in enumerate(items):
        if not _has_identity(item):
            raise StateError(f"{path}: {key}[{index}] must be an object with an id and a name")
        if item["id"] in ids:
            raise StateError(f"{path}: {key}[{index}]: duplicate id {item['id']}")
        ids.add(item["id"])


def _has_identity(item: object) -> bool:
    return isinstance(item, dict) and isinstance(item.get("id"), str) and isinstance(item.get("name"), str)
