"""The state's file: one JSON document, replaced atomically before a change is acknowledged.

FILE is another file after each change, so FILE.lock is locked instead of it.
"""

import contextlib
import json
import os
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from reconciler.features.practice.simulator.messages import decode_json

if sys.platform != "win32":
    from fcntl import LOCK_EX, LOCK_NB, flock

_LOCK_PAUSE: Final = 0.02
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False)


class StateError(Exception):
    """The state's file cannot be used. `str(error)` names the file, the reason and the way on."""


class StoredObject(dict[str, Any]):
    """An object of the state with its JSON; it is replaced, and never changed in place."""

    @cached_property
    def text(self) -> str:
        """Return the object's JSON, which is made once: each change writes all objects."""
        return _ENCODER.encode(self)


class StateFile:
    """The file of a state, which this process alone changes until `close`."""

    def __init__(self, path: Path, lock_timeout: float) -> None:
        """Lock the file; wait up to `lock_timeout` seconds for another process.

        Raises StateError.
        """
        self.path: Final = path
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

    def replace(self, document: dict[str, Any]) -> None:
        """Replace the file's document. After a StateError the file is as before."""
        replacement = Path(f"{self.path}.new")
        try:
            replacement.write_text(_text_of(document), encoding="utf-8")
            replacement.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                replacement.unlink()
            raise StateError(
                f"{self.path}: cannot be written: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Unlock the file."""
        os.close(self._lock)


def read_document(path: Path) -> dict[str, Any]:
    """Return queues, rules, contexts, scripts and tables, all empty without a file. Raises StateError."""
    if not path.exists():
        document: object = {}
    elif not path.is_file():
        raise StateError(f"{path}: is not a regular file. Choose another file")
    else:
        document = _read_json(path)
    if not isinstance(document, dict):
        raise StateError(f"{path}: must be an object with queues, rules and contexts")

    parts: dict[str, Any] = {}
    for key in ("queues", "rules"):
        parts[key] = document.get(key, [])
        _check_list(path, key, parts[key])
    for key in ("contexts", "scripts", "tables"):
        parts[key] = document.get(key, {})
        _check_objects(path, key, parts[key])
    if not all(version.isdecimal() for version in parts["tables"]):
        raise StateError(f"{path}: tables must have their versions as names")
    return parts


def _read_json(path: Path) -> object:
    try:
        return decode_json(path.read_bytes())
    except OSError as error:
        raise StateError(f"{path}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        remedy = "Fix the file, or delete it to start over"
        raise StateError(f"{path}: is not JSON: {error}. {remedy}") from None


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
            items = [f"{_ENCODER.encode(name)}: {value[name].text}" for name in value]
            form = "{%s}"
        else:
            items = [item.text for item in value]
            form = "[%s]"
        lines = ""
        if items:
            joined = ",\n  ".join(items)
            lines = f"\n  {joined}\n"
        parts.append(f'"{key}": {form % lines}')

    return "{" + ",\n".join(parts) + "}\n"
