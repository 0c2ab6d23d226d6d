"""Complete reads (invariants R11): when a list of a tenant is believed.

Where answers tell how many there are in all, the distinct ids must be as many, and no page may tell another number.
Where none does, the list must have come to its end without an id twice, and a second reading must show the same ids.
However it comes, no answer may tell of more than came, under any name that lists are known to use for that.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.errors import IncompleteReadError, UnexpectedResponseError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from reconciler.cxone.paging import Book, Page
    from reconciler.cxone.transport.rate_limiter import Pacer, Time

    Ask = Callable[[str], Awaitable[object]]


_TRIES: Final = 3
_AT_ONCE: Final = 64
"""Pages that are asked for together: a total that is a lie does not make a million requests."""
_MOST: Final = 1_000_000
_IDLE: Final = 10
"""Pages in a row of a chain that bring nothing new: longer, and it is taken for endless."""

Entities = dict[str, dict[str, Any]]


class _Reading(NamedTuple):
    """What one reading of all pages gave, and why that is not all."""

    entities: Entities
    reason: str = ""


@dataclass(slots=True)
class _Count:
    """What the pages of one reading said of how many there are."""

    came: int = 0
    most: int = 0
    """The largest number, under any name."""
    done: int = 0


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads one list, page by page."""

    ask: Ask
    book: Book
    progress: Callable[[str, int, int], None]
    count: _Count = field(default_factory=_Count)

    async def whole(self) -> _Reading:
        """Read every page once; return the entries, and why they are not all."""
        first = await self._page(self.book.query())
        self._show(_pages(first))
        chained = not self.book.numbered
        reading = await (self._chain(first) if chained else self._rest(first))
        return reading if reading.reason else _Reading(reading.entities, self._lacks(first, reading.entities))

    async def _page(self, query: str) -> Page:
        form = await self.ask(query)
        page = self.book.read(form, query)
        self.count.came += len(page.entities)
        self.count.most = max(self.count.most, self.book.totals(form))
        self.count.done += 1
        return page

    def _show(self, pages: int) -> None:
        self.progress(self.book.what, self.count.done, max(pages, self.count.done))

    async def _rest(self, first: Page) -> _Reading:
        """Read the pages behind the first, many at the same time: each can be asked for by its place."""
        entities, length, pages = _by_id(first), len(first.entities), _pages(first)

        async def later(index: int) -> Page:
            page = await self._page(self.book.query(index, length))
            self._show(pages)
            return page

        last = first
        for start in range(1, pages, _AT_ONCE):
            found = await _all([later(index) for index in range(start, min(start + _AT_ONCE, pages))])
            if any(page.total not in (None, first.total) for page in found):
                return _Reading({}, "its total changed while it was read")
            before, last = len(entities), found[-1]
            for page in found:
                entities |= _by_id(page)
            if len(entities) == before:
                break  # however many more there are said to be
        return _Reading(entities, _unknown(last))

    async def _chain(self, first: Page) -> _Reading:
        """Follow each page to the next, to the end."""
        entities, page, seen, idle = _by_id(first), first, {self.book.query()}, 0
        while page.following and not (page.token and not page.entities):
            asked, before = page.following, len(entities)
            if asked in seen and (idle or not page.token):
                raise UnexpectedResponseError(f"the list of {self.book.what} leads in a circle")
            seen.add(asked)
            page = await self._page(asked)
            self._show(_pages(first))
            if page.total not in (None, first.total):
                return _Reading({}, "its total changed while it was read")
            entities |= _by_id(page)
            idle = 0 if len(entities) > before else idle + 1
            if idle > _IDLE or len(entities) > _MOST:
                raise UnexpectedResponseError(f"the list of {self.book.what} has no end")
        return _Reading(entities, _unknown(page))

    def _lacks(self, first: Page, entities: Entities) -> str:
        """Return why what came cannot be all."""
        if self.book.counted:
            total = first.total or 0
            if len(entities) != total:
                return f"{f'{len(entities):,}' if entities else 'none'} of {total:,} came"
        elif self.count.came != len(entities):
            return "an entry came twice"
        if self.count.most > len(entities):
            return f"{len(entities):,} came, and an answer tells of {self.count.most:,}"
        return ""


async def complete(
    ask: Ask, book: Book, time: Time, pacer: Pacer, progress: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    """Return every entry of a list. Raises IncompleteReadError after a few tries that do not add up.

    An empty one is read once more: to believe it wrongly would be to create everything anew (invariants F31).
    """

    async def read() -> list[dict[str, Any]]:
        return await _proven(lambda: _Reader(ask, book, progress).whole(), book, time, pacer)

    found = await read()
    if found:
        return found
    await time.sleep(pacer.backoff(1))
    return await read()


async def _proven(
    read: Callable[[], Awaitable[_Reading]], book: Book, time: Time, pacer: Pacer
) -> list[dict[str, Any]]:
    """Read until it adds up: where nobody counts, until two readings in a row show the same ids."""
    before: Entities | None = None
    reason, failed = "", 0
    while failed < _TRIES:
        reading = await read()
        reason = reading.reason
        if not reason:
            if book.counted or (before is not None and before.keys() == reading.entities.keys()):
                return list(reading.entities.values())
            first, before = before is None, reading.entities
            if first:
                continue
            reason = "two readings in a row do not show the same entries"
        else:
            before = None
        failed += 1
        if failed < _TRIES:
            await time.sleep(pacer.backoff(failed))
    raise IncompleteReadError(
        f"the list of {book.what} cannot be read completely: {reason}. No plan was made, and nothing was written."
    )


async def _all(calls: Iterable[Any]) -> list[Page]:
    """Wait for all; when one fails the others are dropped, and its error is raised."""
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
    """Return how many pages there are; an empty one does not tell."""
    return max(1, -(-(first.total or 0) // len(first.entities))) if first.entities else 1


def _unknown(last: Page) -> str:
    """Return why a last page cannot be the last, where the profile says nothing of what it tells."""
    return f"an answer has a `{last.more}`, of which the profile says nothing: there is more" if last.more else ""
