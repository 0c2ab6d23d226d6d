"""Complete reads of a list (invariants R11).

With a total, the number of distinct ids must equal it, and it must not change between pages. Without one, the list must
end without a repeated id, and a second reading must show the same ids. No answer may name a larger total than arrived.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.cxone.paging import ListEndpoint, Page
from reconciler.errors import IncompleteReadError, UnexpectedResponseError

if TYPE_CHECKING:
    from reconciler.cxone.transport.rate_limiter import RateLimiter, TimeSource
FetchPage = Callable[[str], Awaitable[object]]

_MAX_TRIES: Final = 3
_MAX_PARALLEL_PAGES: Final = 64  # bounds the requests for a wrong total
_MAX_ENTITIES: Final = 1_000_000
_MAX_IDLE_PAGES: Final = 10  # pages without a new entry in a row; a longer chain is endless

Entities = dict[str, dict[str, Any]]


class _ReadResult(NamedTuple):
    """Entries of one reading of all pages, and the reason why they are incomplete."""

    entities: Entities
    reason: str = ""


@dataclass(slots=True)
class _PageCounts:
    received: int = 0
    largest_total: int = 0  # under any name
    pages_read: int = 0


@dataclass(frozen=True, slots=True)
class _ListReader:
    fetch_page: FetchPage
    endpoint: ListEndpoint
    progress: Callable[[str, int, int], None]
    count: _PageCounts = field(default_factory=_PageCounts)

    async def read_all(self) -> _ReadResult:
        """Read every page once; return the entries, and the reason why they are incomplete."""
        first = await self._page(self.endpoint.page_query())
        self._report_progress(_page_count(first))
        result = await (self._read_numbered(first) if self.endpoint.is_numbered else self._read_chain(first))
        return result if result.reason else _ReadResult(result.entities, self._missing_reason(first, result.entities))

    async def _page(self, query: str) -> Page:
        payload = await self.fetch_page(query)
        page = self.endpoint.parse_page(payload, query)
        self.count.received += len(page.entities)
        self.count.largest_total = max(self.count.largest_total, self.endpoint.largest_total(payload))
        self.count.pages_read += 1
        return page

    def _report_progress(self, pages: int) -> None:
        self.progress(self.endpoint.noun, self.count.pages_read, max(pages, self.count.pages_read))

    async def _read_numbered(self, first: Page) -> _ReadResult:
        entities, length, pages, last = _by_id(first), len(first.entities), _page_count(first), first

        async def read(index: int) -> Page:
            page = await self._page(self.endpoint.page_query(index, length))
            self._report_progress(pages)
            return page

        for start in range(1, pages, _MAX_PARALLEL_PAGES):
            batch = await _gather_pages(map(read, range(start, min(start + _MAX_PARALLEL_PAGES, pages))))
            if any(page.total not in (None, first.total) for page in batch):
                return _ReadResult({}, "its total changed while it was read")
            before, last = len(entities), batch[-1]
            for page in batch:
                entities |= _by_id(page)
            if len(entities) == before:
                break  # whatever the total is
        return _ReadResult(entities, _unknown_link_reason(last))

    async def _read_chain(self, first: Page) -> _ReadResult:
        entities, page, queries, idle = _by_id(first), first, {self.endpoint.page_query()}, 0
        while page.next_query and not (page.token and not page.entities):
            query, before = page.next_query, len(entities)
            if query in queries and (idle or not page.token):
                raise UnexpectedResponseError(f"the list of {self.endpoint.noun} leads in a circle")
            queries.add(query)
            page = await self._page(query)
            self._report_progress(_page_count(first))
            if page.total not in (None, first.total):
                return _ReadResult({}, "its total changed while it was read")
            entities |= _by_id(page)
            idle = 0 if len(entities) > before else idle + 1
            if idle > _MAX_IDLE_PAGES or len(entities) > _MAX_ENTITIES:
                raise UnexpectedResponseError(f"the list of {self.endpoint.noun} has no end")
        return _ReadResult(entities, _unknown_link_reason(page))

    def _missing_reason(self, first: Page, entities: Entities) -> str:
        if self.endpoint.has_total:
            total = first.total or 0
            if len(entities) != total:
                return f"{f'{len(entities):,}' if entities else 'none'} of {total:,} came"
        elif self.count.received != len(entities):
            return "an entry came twice"
        if self.count.largest_total > len(entities):
            return f"{len(entities):,} came, and an answer tells of {self.count.largest_total:,}"
        return ""


async def read_complete_list(
    fetch_page: FetchPage,
    endpoint: ListEndpoint,
    time: TimeSource,
    limiter: RateLimiter,
    progress: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Return every entry of a list. Raises IncompleteReadError after a few inconsistent readings."""

    async def read() -> _ReadResult:
        return await _ListReader(fetch_page, endpoint, progress).read_all()

    entries = await _read_consistently(read, endpoint, time, limiter)
    if not entries:  # to believe that wrongly would be to create everything anew (invariants F31)
        await time.sleep(limiter.backoff(1))
        entries = await _read_consistently(read, endpoint, time, limiter)
    return entries


async def _read_consistently(
    read: Callable[[], Awaitable[_ReadResult]], endpoint: ListEndpoint, time: TimeSource, limiter: RateLimiter
) -> list[dict[str, Any]]:
    """Read until the list is proven complete; without a total, until two readings in a row have the same ids."""
    before: Entities | None = None
    reason, failures = "", 0
    while failures < _MAX_TRIES:
        entities, reason = await read()
        if not reason:
            if endpoint.has_total or (before is not None and before.keys() == entities.keys()):
                return list(entities.values())
            is_first, before = before is None, entities
            if is_first:
                continue
            reason = "two readings in a row do not show the same entries"
        else:
            before = None
        failures += 1
        if failures < _MAX_TRIES:
            await time.sleep(limiter.backoff(failures))
    raise IncompleteReadError(
        f"the list of {endpoint.noun} cannot be read completely: {reason}. No plan was made, and nothing was written."
    )


async def _gather_pages(calls: Iterable[Any]) -> list[Page]:
    """Return all pages; if one fails, cancel the others and raise its error."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _by_id(page: Page) -> Entities:
    return {entity["id"]: entity for entity in page.entities}


def _page_count(first: Page) -> int:
    return max(1, -(-(first.total or 0) // len(first.entities))) if first.entities else 1


def _unknown_link_reason(last: Page) -> str:
    link = last.unknown_link
    return f"an answer has a `{link}`, of which the profile says nothing: there is more" if link else ""
