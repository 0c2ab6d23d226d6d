"""Complete reads of a list (invariants R11).

With a total, the number of distinct ids must equal it, and it must not change between pages. Without one, the list must
end without a repeated id, and a second reading must show the same ids. No answer may name a larger total than arrived.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from reconciler.cxone.paging import ListEndpoint, Page
from reconciler.cxone.transport.rate_limiter import RateLimiter, TimeSource
from reconciler.errors import IncompleteReadError, UnexpectedResponseError

_MAX_TRIES: Final = 3
_MAX_PARALLEL_PAGES: Final = 64  # bounds the requests for a wrong total
_MAX_ENTITIES: Final = 1_000_000
_MAX_IDLE_PAGES: Final = 10  # pages without a new entry in a row; a longer chain is endless
_TOTAL_CHANGED: Final = "its total changed while it was read"

Entities = dict[str, dict[str, Any]]
_ReadResult = tuple[Entities, str]  # entries of one reading of all pages, and the reason why they are incomplete


@dataclass(slots=True, kw_only=True)
class _ListReader:
    fetch_page: Callable[[str], Awaitable[object]]
    endpoint: ListEndpoint
    progress: Callable[[str, int, int], None]
    received: int = 0
    largest_total: int = 0  # under any name
    pages_read: int = 0
    pages: int = 1  # according to the first

    async def read_all(self) -> _ReadResult:
        first = await self._page(self.endpoint.page_query())
        entities, reason = await (self._read_numbered(first) if self.endpoint.is_numbered else self._read_chain(first))
        return entities, reason or self._missing_reason(first, entities)

    async def _page(self, query: str) -> Page:
        payload = await self.fetch_page(query)
        page = self.endpoint.parse_page(payload, query)
        if not self.pages_read and page.entities:
            self.pages = max(1, -(-(page.total or 0) // len(page.entities)))
        self.received += len(page.entities)
        self.largest_total = max(self.largest_total, self.endpoint.largest_total(payload))
        self.pages_read += 1
        self.progress(self.endpoint.noun, self.pages_read, max(self.pages, self.pages_read))
        return page

    async def _read_numbered(self, first: Page) -> _ReadResult:
        entities, length, last = _by_id(first), len(first.entities), first
        for start in range(1, self.pages, _MAX_PARALLEL_PAGES):
            indexes = range(start, min(start + _MAX_PARALLEL_PAGES, self.pages))
            batch = await _gather_pages(self._page(self.endpoint.page_query(index, length)) for index in indexes)
            if any(page.total not in (None, first.total) for page in batch):
                return {}, _TOTAL_CHANGED
            before, last = len(entities), batch[-1]
            for page in batch:
                entities |= _by_id(page)
            if len(entities) == before:
                break  # even if the total promises more
        return entities, _unknown_link_reason(last)

    async def _read_chain(self, first: Page) -> _ReadResult:
        entities, page, queries, idle = _by_id(first), first, {self.endpoint.page_query()}, 0
        while page.next_query and not (page.token and not page.entities):
            query, before = page.next_query, len(entities)
            if query in queries and (idle or not page.token):
                raise UnexpectedResponseError(f"the list of {self.endpoint.noun} links back to an earlier page")
            queries.add(query)
            page = await self._page(query)
            if page.total not in (None, first.total):
                return {}, _TOTAL_CHANGED
            entities |= _by_id(page)
            idle = 0 if len(entities) > before else idle + 1
            if idle > _MAX_IDLE_PAGES or len(entities) > _MAX_ENTITIES:
                raise UnexpectedResponseError(f"the list of {self.endpoint.noun} does not end")
        return entities, _unknown_link_reason(page)

    def _missing_reason(self, first: Page, entities: Entities) -> str:
        total, count = first.total or 0, len(entities)
        if self.endpoint.has_total and count != total:
            return f"{f'{count:,}' if entities else 'none'} of {total:,} arrived"
        if not self.endpoint.has_total and self.received != count:
            return "an entry arrived twice"
        if self.largest_total > count:
            return f"{count:,} arrived, but a response has the total {self.largest_total:,}"
        return ""


async def read_complete_list(
    fetch_page: Callable[[str], Awaitable[object]],
    endpoint: ListEndpoint,
    time: TimeSource,
    limiter: RateLimiter,
    progress: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Return every entry of a list. Raises IncompleteReadError after a few inconsistent readings."""

    async def read_consistently() -> list[dict[str, Any]]:
        """Read until the list is proven complete; without a total, until two readings in a row have the same ids."""
        before: Entities | None = None
        failures = 0
        while True:
            entities, reason = await _ListReader(fetch_page=fetch_page, endpoint=endpoint, progress=progress).read_all()
            is_first = before is None and not reason
            if not reason and (endpoint.has_total or (before is not None and before.keys() == entities.keys())):
                return list(entities.values())
            before = None if reason else entities
            if is_first:
                continue
            failures += 1
            if failures == _MAX_TRIES:
                reason = reason or "two consecutive reads do not show the same entries"
                text = f"the list of {endpoint.noun} cannot be read completely: {reason}."
                raise IncompleteReadError(f"{text} No plan was made, and nothing was written.")
            await time.sleep(limiter.backoff(failures))

    entries = await read_consistently()
    if not entries:  # a wrong empty list would cause a second copy of every rule (invariants F31)
        await time.sleep(limiter.backoff(1))
        entries = await read_consistently()
    return entries


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


def _unknown_link_reason(last: Page) -> str:
    link = last.unknown_link
    return f"a response has a `{link}`, which the profile does not name: the list continues" if link else ""
