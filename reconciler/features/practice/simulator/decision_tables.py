"""The decision service's tables in the state of a simulated tenant."""

from collections.abc import Sequence
from datetime import datetime

from reconciler.core.target import Author
from reconciler.features.practice.simulator.state import TenantState
from reconciler.features.practice.simulator.storage import StateError
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


class StateTables:
    """A store of published tables (`TableStore`) in a tenant's state."""

    def __init__(self, state: TenantState) -> None:
        self._state = state

    async def current(self) -> Publication | None:
        """Return the published table; None before the first publication."""
        newest = max(map(int, self._state.tables), default=0)
        return self._find(newest)

    async def publish(
        self, table: PublishedTable, expected: str | None, author: Author, now: datetime
    ) -> Publication:
        """Replace the table by compare-and-set (`TableStore.publish`)."""
        current = await self.current()
        publication = next_publication(current, table, expected, author, now)
        try:
            self._state.publish_table(
                publication.facts.version, publication.to_json(), KEPT_VERSIONS
            )
        except StateError as error:
            raise StoreUnavailableError(str(error)) from error
        return publication

    async def versions(self) -> Sequence[VersionFacts]:
        """Return the kept versions, the newest first."""
        numbers = sorted(map(int, self._state.tables), reverse=True)
        return [parse_facts(self._state.tables[str(number)]) for number in numbers]

    async def version(self, number: int) -> Publication | None:
        """Return a kept version, or None."""
        return self._find(number)

    def _find(self, number: int) -> Publication | None:
        stored = self._state.tables.get(str(number))
        if stored is None:
            return None
        try:
            return parse_publication(dict(stored))
        except TableError as error:
            raise StoreUnavailableError(f"the table cannot be read: {error}") from error
