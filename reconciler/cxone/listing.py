"""Complete reads of a list (invariants R11).

With a total, the number of distinct ids must equal it, and it must not change between pages. Without one, the list must
end without a repeated id, and a second reading must show the same ids. No answer may name a larger total than arrived.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.errors import IncompleteReadError, UnexpectedResponseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from reconciler.cxone.paging import ListEndpoint, Page
    from reconciler.cxone.transport.rate_limiter import RateLimiter, TimeSource

    FetchPage = Callable[[str], Awaitable[object]]

_MAX_TRIES: Final = 3
_MAX_PARALLEL_PAGES: Final = 64
"""Pages that are asked for together: a total that is a lie does not make a million requests."""
_MAX_ENTITIES: Final = 1_000_000
_MAX_IDLE_PAGES: Final = 10  # pages in a row of a chain that bring nothing new: longer, and it is taken for endless

Entities = dict[str, dict[str, Any]]


class _ReadResult(NamedTuple):
    """Entries of one reading of all pages, and the reason why they are incomplete."""

    entities: Entities
    reason: str = ""


@dataclass(slots=True)
class _PageCounts:
    received: int = 0
    largest_total: int = 0  # the largest number, under any name
    pages_read: int = 0


@dataclass(frozen=True, slots=True)
class _ListReader:
    fetch_page: FetchPage
    endpoint: ListEndpoint
    progress: Callable[[str, int, int], None]
    count: _PageCounts = field(default_factory=_PageCounts)

    async def read_all(self) -> _ReadResult:
        first = await self._page(self.endpoint.page_query())
        self._report_progress(_pages(first))
        chained = not self.endpoint.is_numbered
        reading = await (self._read_chain(first) if chained else self._read_numbered(first))
        return (
            reading if reading.reason else _ReadResult(reading.entities, self._missing_reason(first, reading.entities))
        )

    async def _page(self, query: str) -> Page:
        form = await self.fetch_page(query)
        page = self.endpoint.parse_page(form, query)
        self.count.received += len(page.entities)
        self.count.largest_total = max(self.count.largest_total, self.endpoint.largest_total(form))
        self.count.pages_read += 1
        return page

    def _report_progress(self, pages: int) -> None:
        self.progress(self.endpoint.noun, self.count.pages_read, max(pages, self.count.pages_read))

    async def _read_numbered(self, first: Page) -> _ReadResult:
        entities, length, pages = _by_id(first), len(first.entities), _pages(first)

        async def later(index: int) -> Page:
            page = await self._page(self.endpoint.page_query(index, length))
            self._report_progress(pages)
            return page

        last = first
        for start in range(1, pages, _MAX_PARALLEL_PAGES):
            found = await _gather_pages(
                [later(index) for index in range(start, min(start + _MAX_PARALLEL_PAGES, pages))]
            )
            if any(page.total not in (None, first.total) for page in found):
                return _ReadResult({}, "its total changed while it was read")
            before, last = len(entities), found[-1]
            for page in found:
                entities |= _by_id(page)
            if len(entities) == before:
                break  # however many more there are said to be
        return _ReadResult(entities, _unknown_link_reason(last))

    async def _read_chain(self, first: Page) -> _ReadResult:
        entities, page, seen, idle = _by_id(first), first, {self.endpoint.page_query()}, 0
        while page.next_query and not (page.token and not page.entities):
            asked, before = page.next_query, len(entities)
            if asked in seen and (idle or not page.token):
                raise UnexpectedResponseError(f"the list of {self.endpoint.noun} leads in a circle")
            seen.add(asked)
            page = await self._page(asked)
            self._report_progress(_pages(first))
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
    rate_limiter: RateLimiter,
    progress: Callable[[str, int, int], None],
) -> list[dict[str, Any]]:
    """Return every entry of a list. Raises IncompleteReadError after a few inconsistent readings."""

    async def read() -> list[dict[str, Any]]:
        return await _read_consistently(
            lambda: _ListReader(fetch_page, endpoint, progress).read_all(), endpoint, time, rate_limiter
        )

    found = await read()
    if found:
        return found
    await time.sleep(rate_limiter.backoff(1))
    return await read()


async def _read_consistently(
    read: Callable[[], Awaitable[_ReadResult]], book: ListEndpoint, time: TimeSource, pacer: RateLimiter
) -> list[dict[str, Any]]:
    """Read until the list is proven complete; without a total, until two readings in a row have the same ids."""
    before: Entities | None = None
    reason, failed = "", 0
    while failed < _MAX_TRIES:
        reading = await read()
        reason = reading.reason
        if not reason:
            if book.has_total or (before is not None and before.keys() == reading.entities.keys()):
                return list(reading.entities.values())
            first, before = before is None, reading.entities
            if first:
                continue
            reason = "two readings in a row do not show the same entries"
        else:
            before = None
        failed += 1
        if failed < _MAX_TRIES:
            await time.sleep(pacer.backoff(failed))
    raise IncompleteReadError(
        f"the list of {book.noun} cannot be read completely: {reason}. No plan was made, and nothing was written."
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


def _pages(first: Page) -> int:
    return max(1, -(-(first.total or 0) // len(first.entities))) if first.entities else 1


def _unknown_link_reason(last: Page) -> str:
    return (
        f"an answer has a `{last.unknown_link}`, of which the profile says nothing: there is more"
        if last.unknown_link
        else ""
    )
