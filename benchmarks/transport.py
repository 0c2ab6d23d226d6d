"""One way of carrying bytes, as a process of its own: GET a URL so often, 16 at a time, and read
every answer.

usage: transport.py httpx|aiohttp URL COUNT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable

AT_ONCE = 16


async def with_httpx(url: str, count: int) -> None:
    import httpx

    async with httpx.AsyncClient(verify=False, trust_env=False) as client:  # noqa: S501 - http to loopback
        await many(lambda: client.get(url), count)


async def with_aiohttp(url: str, count: int) -> None:
    import aiohttp

    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=AT_ONCE)
    ) as session:

        async def get() -> None:
            async with session.get(url) as answer:
                await answer.read()

        await many(get, count)


async def many(call: Callable[[], Awaitable[object]], count: int) -> None:
    """Make so many calls, 16 at a time."""
    places = asyncio.Semaphore(AT_ONCE)

    async def one() -> None:
        async with places:
            await call()

    await asyncio.gather(*(one() for _ in range(count)))


WAYS = {"httpx": with_httpx, "aiohttp": with_aiohttp}

if __name__ == "__main__":
    way, address, times = sys.argv[1:]
    asyncio.run(WAYS[way](address, int(times)))
