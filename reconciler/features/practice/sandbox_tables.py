"""The sandbox's tables for `cxroute serve -e sandbox --decide`, which follows the state's file."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from reconciler.cli.files import STATE
from reconciler.cli.hooks import OpenSandboxTables
from reconciler.core.errors import CxrouteError
from reconciler.core.target import Author
from reconciler.features.practice.sandbox import open_state, read_state
from reconciler.features.practice.simulator.decision_tables import StateTables
from reconciler.targets.decide.publication import (
    Publication,
    StoreUnavailableError,
    VersionFacts,
)
from reconciler.targets.decide.table import PublishedTable

_Stamp = tuple[int, int, int]


class SandboxTables:
    """A store of published tables (`TableStore`) in the file of the sandbox's state.

    The file is locked for a publication alone: `cxroute apply -e sandbox` can publish, too.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: tuple[_Stamp | None, StateTables | None] = (None, None)

    async def current(self) -> Publication | None:
        """Return the published table; the file is read again only if it changed."""
        return await self._read().current()

    async def publish(
        self, table: PublishedTable, expected: str | None, author: Author, now: datetime
    ) -> Publication:
        """Replace the table by compare-and-set (`TableStore.publish`)."""

        def publish_locked() -> Publication:
            with open_state(self._path) as state:
                work = StateTables(state).publish(table, expected, author, now)
                return asyncio.run(work)

        try:
            return await asyncio.to_thread(publish_locked)
        except CxrouteError as error:
            raise StoreUnavailableError(str(error)) from error

    async def versions(self) -> Sequence[VersionFacts]:
        """Return the kept versions, the newest first."""
        return await self._read().versions()

    async def version(self, number: int) -> Publication | None:
        """Return a kept version, or None."""
        return await self._read().version(number)

    def _read(self) -> StateTables:
        stamp = self._read_stamp()
        known_stamp, tables = self._known
        if tables is None or stamp != known_stamp:
            try:
                tables = StateTables(read_state(self._path))
            except CxrouteError as error:
                raise StoreUnavailableError(str(error)) from error
            self._known = (stamp, tables)
        return tables

    def _read_stamp(self) -> _Stamp | None:
        try:
            status = self._path.stat()
        except OSError:
            return None  # no file: the state is empty
        return status.st_ino, status.st_size, status.st_mtime_ns


def _open_sandbox_tables() -> SandboxTables:
    """Return the tables of the sandbox in this folder."""
    return SandboxTables(STATE)


OPEN_SANDBOX_TABLES: Final[OpenSandboxTables] = _open_sandbox_tables
