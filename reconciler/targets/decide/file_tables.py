"""A store of published tables in files: the current one, and a folder with those before it.

The current table is replaced by a rename after it is on the disk: after a crash at any moment, the
file has the old table or the new one.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler.core.target import Author
from reconciler.core.text.files import read_file
from reconciler.core.text.json_values import STRICT_DECODER
from reconciler.targets.decide.publication import (
    KEPT_VERSIONS,
    Publication,
    StoreUnavailableError,
    VersionFacts,
    next_publication,
    parse_facts,
    parse_publication,
)
from reconciler.targets.decide.table import PublishedTable, TableError

if sys.platform != "win32":  # which has no flock: one service has the file there
    from fcntl import LOCK_EX, flock

_MAX_BYTES: Final = 32 * 1024 * 1024
_Stamp = tuple[int, int, int]


class FileTables:
    """The tables of a file. Several processes may publish; each sees the newest one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._versions = path.with_name(f"{path.name}.versions")
        # one value: the event loop and a thread that publishes may read at the same time
        self._known: tuple[_Stamp | None, Publication | None] = (None, None)

    async def current(self) -> Publication | None:
        """Return the published table; the file is read again only if it changed."""
        return self.read()

    def read(self) -> Publication | None:
        """Return the published table, as `current` does. Raises StoreUnavailableError."""
        stamp = self._read_stamp()
        known_stamp, publication = self._known
        if stamp is None:
            return None
        if stamp != known_stamp:
            publication = self._read_file(self._path)
            self._known = (stamp, publication)
        return publication

    def _read_stamp(self) -> _Stamp | None:
        try:
            status = self._path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._unavailable("read", error) from error
        return status.st_ino, status.st_size, status.st_mtime_ns

    async def publish(
        self, table: PublishedTable, expected: str | None, author: Author, now: datetime
    ) -> Publication:
        """Replace the table by compare-and-set (`TableStore.publish`)."""
        return await asyncio.to_thread(self._publish, table, expected, author, now)

    def _publish(
        self, table: PublishedTable, expected: str | None, author: Author, now: datetime
    ) -> Publication:
        with self._locked():
            self._known = (None, None)
            current = self.read()
            publication = next_publication(current, table, expected, author, now)
            try:
                self._versions.mkdir(exist_ok=True)
                _write(self._version_path(publication.facts.version), publication)
                _write(self._path, publication)
                self._forget_old(publication.facts.version)
            except OSError as error:
                raise self._unavailable("written", error) from error
        return publication

    async def versions(self) -> Sequence[VersionFacts]:
        """Return the kept versions, the newest first."""
        current = self.read()
        if current is None:
            return ()
        newest = current.facts.version
        numbers = range(newest, max(newest - KEPT_VERSIONS, 0), -1)
        found = map(self._read_facts, numbers)
        return [facts for facts in found if facts is not None]

    def _read_facts(self, number: int) -> VersionFacts | None:
        path = self._version_path(number)
        with suppress(FileNotFoundError):
            return parse_facts(self._decode(path))
        return None

    async def version(self, number: int) -> Publication | None:
        """Return a kept version, or None."""
        current = self.read()
        if current is None or number > current.facts.version:
            return (
                None  # a version beyond the current one was never published completely
            )
        path = self._version_path(number)
        return self._read_file(path) if path.exists() else None

    def _read_file(self, path: Path) -> Publication:
        try:
            return parse_publication(self._decode(path))
        except (TableError, OSError) as error:
            raise self._unavailable("read", error) from error

    def _decode(self, path: Path) -> dict[str, object]:
        try:
            data = STRICT_DECODER.decode(read_file(path, _MAX_BYTES).decode())
        except ValueError as error:
            raise TableError("it is not valid JSON") from error
        if not isinstance(data, dict):
            raise TableError("it is not a JSON object")
        return data

    def _version_path(self, number: int) -> Path:
        return self._versions / f"{number}.json"

    def _forget_old(self, newest: int) -> None:
        with suppress(FileNotFoundError):
            self._version_path(newest - KEPT_VERSIONS).unlink()

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of all publishers on this machine."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(f"{self._path}.lock", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise self._unavailable("locked", error) from error
        try:
            if sys.platform != "win32":
                flock(lock, LOCK_EX)
            yield
        finally:
            os.close(lock)

    def _unavailable(self, verb: str, error: Exception) -> StoreUnavailableError:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return StoreUnavailableError(
            f"the table {self._path.name} cannot be {verb}: {reason}"
        )


def _write(path: Path, publication: Publication) -> None:
    """Write a file that is complete or absent after a crash."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{time.monotonic_ns()}.new")
    text = json.dumps(publication.to_json(), ensure_ascii=False)
    try:
        with draft.open("xb") as file:
            file.write(text.encode("utf-8", "surrogatepass"))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    if sys.platform != "win32":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
