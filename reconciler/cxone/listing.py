"""Complete reads: a listing is believed only when its distinct ids are as many as its total says (contract.md)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlencode, urlsplit

from reconciler.errors import IncompleteReadError, UnexpectedAnswerError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from reconciler.cxone.pace import Pacer, Time

    Page = Callable[[int], Awaitable[object]]

_TRIES: Final = 3
_AT_ONCE: Final = 64
"""Pages that are asked for together: a total that is a lie does not make a million requests."""
_MOST: Final = 1_000_000
_DIGITS: Final = 18


@dataclass(frozen=True, slots=True)
class _Page:
    entities: list[dict[str, Any]]
    total: int
    pages: int


def page_query(number: int, size: int) -> str:
    """Return how a page of a list is asked for."""
    return urlencode({"pageNumber": number, "pageSize": size})


def first_page(form: object, what: str) -> tuple[list[dict[str, Any]], int]:
    """Return the entries of a first page, and how many there are in all. Raises UnexpectedAnswerError."""
    page = _parse(form, what, 1)
    return page.entities, page.total


async def complete(
    page: Page, what: str, time: Time, pacer: Pacer, progress: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    """Return every entity of a listing. Raises IncompleteReadError after a few tries that do not add up.

    An empty one is read once more: to believe it wrongly would be to create everything anew (reliability.md F31).
    """
    read = partial(_whole, page, what, time, pacer, progress)
    found = await read()
    if found:
        return found
    await time.sleep(pacer.backoff(1))
    return await read()


async def _whole(
    page: Page, what: str, time: Time, pacer: Pacer, progress: Callable[[str, int, int], None]
) -> list[dict[str, Any]]:
    reason = ""
    for attempt in range(1, _TRIES + 1):
        found, reason = await _attempt(page, what, progress)
        if not reason:
            return found
        if attempt < _TRIES:
            await time.sleep(pacer.backoff(attempt))
    raise IncompleteReadError(
        f"the list of {what} cannot be read completely: {reason}. No plan was made, and nothing was written."
    )


async def _attempt(
    page: Page, what: str, progress: Callable[[str, int, int], None]
) -> tuple[list[dict[str, Any]], str]:
    """Read every page once, the later ones at the same time; return the entities, and why they are not all."""
    first = _parse(await page(1), what, 1)
    done = 1
    progress(what, done, first.pages)

    async def later(number: int) -> _Page:
        nonlocal done
        read = _parse(await page(number), what, number)
        done += 1
        progress(what, done, first.pages)
        return read

    entities = {entity["id"]: entity for entity in first.entities}
    for start in range(2, first.pages + 1, _AT_ONCE):
        pages = await _all([later(number) for number in range(start, min(start + _AT_ONCE, first.pages + 1))])
        if any(read.total != first.total for read in pages):
            return [], "its total changed while it was read"
        before = len(entities)
        entities |= {entity["id"]: entity for read in pages for entity in read.entities}
        if len(entities) == before:
            break  # however many more there are said to be
    if len(entities) != first.total:
        came = f"{len(entities):,}" if entities else "none"
        return [], f"{came} of {first.total:,} came"
    return list(entities.values()), ""


async def _all(calls: Iterable[Any]) -> list[_Page]:
    """Wait for all; when one fails the others are dropped, and its error is raised."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _parse(form: object, what: str, number: int) -> _Page:
    """Read the shape of a page of that number. Raises UnexpectedAnswerError, naming what is wrong with it."""
    if not isinstance(form, dict) or not isinstance(form.get("entities"), list):
        raise UnexpectedAnswerError(f"a page of {what} has no list `entities`")
    entities, total = form["entities"], form.get("total")
    if not isinstance(total, int) or isinstance(total, bool) or not 0 <= total <= _MOST:
        raise UnexpectedAnswerError(f"a page of {what} has no usable `total`")
    for entity in entities:
        if not isinstance(entity, dict) or not isinstance(entity.get("id"), str):
            raise UnexpectedAnswerError(f"a page of {what} has an entry without a text `id`")
    _check_next(form.get("nextUri"), what, number)
    pages = -(-total // len(entities)) if entities else 1  # an empty page does not tell how many there are
    return _Page(entities, total, max(1, pages))


def _check_next(uri: object, what: str, number: int) -> None:
    """The link to the next page is never followed; one that leads elsewhere, or back, says that this is no CXone."""
    if not isinstance(uri, str):
        return
    try:
        parts = urlsplit(uri)
    except ValueError:
        raise UnexpectedAnswerError(f"a page of {what} has a `nextUri` that is none") from None
    if parts.netloc:
        raise UnexpectedAnswerError(f"a page of {what} links to another host for the next one")
    numbers = parse_qs(parts.query).get("pageNumber", [])
    if any(text.isascii() and text.isdigit() and len(text) <= _DIGITS and int(text) <= number for text in numbers):
        raise UnexpectedAnswerError(f"page {number} of {what} links back to page {numbers[0]} for the next one")
