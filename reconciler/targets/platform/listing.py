"""Complete reads of a list (invariants R11).

The number of distinct ids must equal the total, which must not change between pages; and no
response may name a larger total, or a link to more entries that the profile does not know.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from reconciler.core.errors import IncompleteReadError, UnexpectedResponseError
from reconciler.targets.platform.paging import ListEndpoint, Page
from reconciler.targets.platform.transport.rate_limiter import RateLimiter, TimeSource

_MAX_TRIES: Final = 3
_MAX_PARALLEL_PAGES: Final = 64  # bounds the requests for a wrong total
_MAX_ENTITIES: Final = 1_000_000
_MAX_IDLE_PAGES: Final = (
    10  # pages without a new entry in a row; a longer chain is endless
)

Entities = dict[str, dict[str, Any]]


class _InconsistentListError(Exception):
    """One reading of a list is not complete. `str(error)` says why."""


@dataclass(slots=True, kw_only=True)
class _ListReader:
    fetch_page: Callable[[str], Awaitable[object]]
    endpoint: ListEndpoint
    progress: Callable[[str, int, int], None]
    largest_total: int = 0  # under any name
    pages_read: int = 0
    pages: int = 1  # according to the first

    async def read_all(self) -> Entities:
        """Return the entries of all pages. Raises _InconsistentListError."""
        first = await self._page(self.endpoint.page_query())
        total = first.total or 0
        if self.endpoint.is_numbered:
            entities, last = await self._read_numbered(first)
        else:
            entities, last = await self._read_chain(first)

        count = len(entities)
        if last.unknown_link:
            problem = f"a response has a `{last.unknown_link}`, which the profile does not name"
            raise _InconsistentListError(f"{problem}: the list continues")
        if count != total:
            arrived = f"{count:,}" if count else "none"
            raise _InconsistentListError(f"{arrived} of {total:,} arrived")
        if self.largest_total > count:
            problem = f"{count:,} arrived, but a response has the total {self.largest_total:,}"
            raise _InconsistentListError(problem)
        return entities

    async def _page(self, query: str, first: Page | None = None) -> Page:
        payload = await self.fetch_page(query)
        page = self.endpoint.parse_page(payload, query)
        if first is None and page.entities:
            total = page.total or 0
            page_count = -(-total // len(page.entities))
            self.pages = max(1, page_count)
        response_total = self.endpoint.largest_total(payload)
        self.largest_total = max(self.largest_total, response_total)

        self.pages_read += 1
        pages = max(self.pages, self.pages_read)
        self.progress(self.endpoint.noun, self.pages_read, pages)
        if first is not None and page.total not in (None, first.total):
            raise _InconsistentListError("its total changed while it was read")
        return page

    async def _read_numbered(self, first: Page) -> tuple[Entities, Page]:
        """Return the entries of numbered pages, which are read in parallel, and the last page."""
        entities = _by_id(first)
        last = first
        length = len(first.entities)
        for start in range(1, self.pages, _MAX_PARALLEL_PAGES):
            end = min(start + _MAX_PARALLEL_PAGES, self.pages)
            indexes = range(start, end)
            queries = [self.endpoint.page_query(index, length) for index in indexes]
            batch = await _gather_pages(self._page(query, first) for query in queries)
            count_before = len(entities)
            for page in batch:
                entities |= _by_id(page)
            last = batch[-1]
            if len(entities) == count_before:
                break  # even if the total promises more
        return entities, last

    async def _read_chain(self, first: Page) -> tuple[Entities, Page]:
        """Return the entries of pages that are read token by token, and the last page."""
        entities = _by_id(first)
        page = first
        tokens: set[str] = set()
        idle_pages = 0
        while page.token and page.entities:
            # Some servers repeat one token until the end: its page has new entries.
            if page.token in tokens and idle_pages:
                problem = "links back to an earlier page"
                raise UnexpectedResponseError(
                    f"the list of {self.endpoint.noun} {problem}"
                )
            tokens.add(page.token)
            count_before = len(entities)
            page = await self._page(self.endpoint.page_query(token=page.token), first)
            entities |= _by_id(page)
            idle_pages = 0 if len(entities) > count_before else idle_pages + 1
            if idle_pages > _MAX_IDLE_PAGES or len(entities) > _MAX_ENTITIES:
                raise UnexpectedResponseError(
                    f"the list of {self.endpoint.noun} does not end"
                )
        return entities, page


async def read_complete_list(
    fetch_page: Callable[[str], Awaitable[object]],
    endpoint: ListEndpoint,
    time: TimeSource,
    limiter: RateLimiter,
    progress: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Return every entry of a list. Raises IncompleteReadError after a few incomplete readings."""

    async def read_consistently() -> Entities:
        """Read until the list is proven complete."""
        for attempt in range(1, _MAX_TRIES + 1):
            reader = _ListReader(
                fetch_page=fetch_page,
                endpoint=endpoint,
                progress=progress,
            )
            try:
                return await reader.read_all()
            except _InconsistentListError as error:
                problem = (
                    f"the list of {endpoint.noun} cannot be read completely: {error}."
                )
            if attempt < _MAX_TRIES:
                await time.sleep(limiter.backoff(attempt))
        raise IncompleteReadError(
            f"{problem} No plan was made, and nothing was written."
        )

    entries = await read_consistently()
    # a wrong empty list would cause a second copy of every rule (invariants F31)
    if not entries:
        await time.sleep(limiter.backoff(1))
        entries = await read_consistently()
    return list(entries.values())


async def _gather_pages(calls: Iterable[Awaitable[Page]]) -> list[Page]:
    """Return all pages; if one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _by_id(page: Page) -> Entities:
    return {entity["id"]: entity for entity in page.entities}
