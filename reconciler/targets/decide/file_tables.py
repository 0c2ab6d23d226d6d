"""A store of published tables in files: the current one, and a folder with those before it.

The current table is replaced by a rename after it is on the disk: after a crash at any moment, the
file has the old table or the new one.
"""

import asyncio
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

from reconciler.core.target import Author
from reconciler.core.text.files import read_file, read_start
from reconciler.targets.decide.publication import (
    KEPT_VERSIONS,
    MAX_STORED_BYTES,
    Publication,
    StoreUnavailableError,
    VersionFacts,
    decode_facts,
    decoding_steps,
    encode_publication,
    next_publication,
    table_text_steps,
)
from reconciler.targets.decide.slices import finish, in_slices
from reconciler.targets.decide.table import PublishedTable, TableError

if sys.platform != "win32":  # which has no flock: one service has the file there
    from fcntl import LOCK_EX, flock

_DRAFT = ".new"
_MAX_FACTS_BYTES = 8 * 1024  # the first line of a stored publication
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
        stamp = self._read_stamp()
        known_stamp, publication = self._known
        if stamp is None:
            return None
        if stamp != known_stamp:
            publication = await self._read_file(self._path)
            self._known = (stamp, publication)
        return publication

    def _read_locked(self) -> Publication | None:
        """Return the published table, as `current` does, in the thread that publishes."""
        stamp = self._read_stamp()
        known_stamp, publication = self._known
        if stamp is None or stamp == known_stamp:
            return publication if stamp is not None else None
        # another process has published since this one looked
        content = self._read_content(self._path)
        try:
            return finish(decoding_steps(content))
        except TableError as error:
            raise self._unavailable("read", error) from error

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
        table_text = await in_slices(table_text_steps(table))

        def publish_locked() -> Publication:
            with self._locked():
                current = self._read_locked()
                publication = next_publication(current, table, expected, author, now)
                self._write_publication(publication, table_text)
            return publication

        return await asyncio.to_thread(publish_locked)

    def _write_publication(self, publication: Publication, table_text: str) -> None:
        content = encode_publication(publication.facts, table_text)
        try:
            self._versions.mkdir(exist_ok=True)
            self._remove_drafts()
            _write(self._version_path(publication.facts.version), content)
            _write(self._path, content)
            self._forget_old(publication.facts.version)
        except OSError as error:
            raise self._unavailable("written", error) from error
        # under the lock: the file is this publication's
        self._known = (self._read_stamp(), publication)

    async def versions(self) -> Sequence[VersionFacts]:
        """Return the kept versions, the newest first."""
        current = await self.current()
        if current is None:
            return ()
        newest = current.facts.version
        numbers = range(newest, max(newest - KEPT_VERSIONS, 0), -1)
        return await asyncio.to_thread(self._read_versions, numbers)

    def _read_versions(self, numbers: range) -> Sequence[VersionFacts]:
        found = map(self._read_facts, numbers)
        return [facts for facts in found if facts is not None]

    def _read_facts(self, number: int) -> VersionFacts | None:
        path = self._version_path(number)
        try:
            first_line, _end, _rest = read_start(path, _MAX_FACTS_BYTES).partition(
                b"\n"
            )
            return decode_facts(first_line)
        except FileNotFoundError:
            return None
        except (TableError, OSError) as error:
            raise self._unavailable("read", error) from error

    async def version(self, number: int) -> Publication | None:
        """Return a kept version, or None."""
        current = await self.current()
        if current is None or number > current.facts.version:
            # a version beyond the current one was never published completely
            return None
        path = self._version_path(number)
        return await self._read_file(path) if path.exists() else None

    async def _read_file(self, path: Path) -> Publication:
        content = await asyncio.to_thread(self._read_content, path)
        try:
            return await in_slices(decoding_steps(content))
        except TableError as error:
            raise self._unavailable("read", error) from error

    def _read_content(self, path: Path) -> bytes:
        try:
            return read_file(path, MAX_STORED_BYTES)
        except OSError as error:
            raise self._unavailable("read", error) from error

    def _version_path(self, number: int) -> Path:
        return self._versions / f"{number}.json"

    def _forget_old(self, newest: int) -> None:
        with suppress(FileNotFoundError):
            self._version_path(newest - KEPT_VERSIONS).unlink()

    def _remove_drafts(self) -> None:
        """Remove what publishers left that were killed; the caller has the lock."""
        for folder in (self._path.parent, self._versions):
            for draft in folder.glob(f"*{_DRAFT}"):
                is_own = folder == self._versions or draft.name.startswith(
                    f"{self._path.name}."
                )
                if is_own:
                    draft.unlink(missing_ok=True)

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


def _write(path: Path, content: bytes) -> None:
    """Write a file that is complete or absent after a crash."""
    draft = path.with_name(f"{path.name}.{os.getpid()}-{time.monotonic_ns()}{_DRAFT}")
    try:
        with draft.open("xb") as file:
            file.write(content)
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
