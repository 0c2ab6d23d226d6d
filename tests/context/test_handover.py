"""Between workers: questions and answers in frames, whoever dies or is slow; metrics as one; ids that are lost."""

from __future__ import annotations

import asyncio
import marshal
import socket
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from reconciler.context.answer import Answer, success
from reconciler.context.event import Event
from reconciler.context.handover import Link, LostError
from reconciler.context.partition import Partition
from reconciler.context.replay import Ids
from reconciler.context.totals import summed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from reconciler.context.handover import Content

NOW = datetime(2026, 11, 25, tzinfo=UTC)
WRITTEN = success("written", "written", {"id": "c"})


class Echo:
    """Answers what it is asked, but for what it is asked to keep or to stumble over."""

    def __init__(self) -> None:
        self.bugs: list[str] = []

    async def hear(self, _link: Link, kind: str, content: Content) -> Content:
        """Return what came."""
        if kind == "keep":
            await asyncio.sleep(0.2)
        if kind == "stumble":
            raise KeyError
        return content

    def fail(self, bug: Exception) -> None:
        """Remember it."""
        self.bugs.append(type(bug).__name__)

    def lose(self, _link: Link) -> None:
        """Nobody asks."""


def in_seconds(seconds: float) -> float:
    return asyncio.get_running_loop().time() + seconds


async def connected(link: Link, end: socket.socket) -> Link:
    end.settimeout(0)
    await asyncio.get_running_loop().connect_accepted_socket(lambda: link, end)
    return link


@asynccontextmanager
async def pair(one: Echo, other: Echo) -> AsyncIterator[tuple[Link, Link]]:
    """Connect two ends, each with somebody who hears what the other one says."""
    left, right = socket.socketpair()
    ends = await connected(Link(1, one), left), await connected(Link(0, other), right)
    try:
        yield ends
    finally:
        for end in ends:
            end.close()
        await asyncio.sleep(0.01)


def test_each_question_has_its_own_answer() -> None:
    """Texts, bytes, numbers and nothing, both ways at once; one that is large, too."""

    async def talk() -> list[Content]:
        async with pair(Echo(), Echo()) as (one, other):
            asked = [one.ask("say", (number, None, "ü", b"\x00"), in_seconds(5)) for number in range(50)]
            asked += [other.ask("say", (b"x" * 1_000_000,), in_seconds(5))]
            return await asyncio.gather(*asked)

    expected: list[Content] = [(number, None, "ü", b"\x00") for number in range(50)]
    assert [*expected, (b"x" * 1_000_000,)] == asyncio.run(talk())


def test_what_is_said_in_one_turn_goes_out_as_one_frame() -> None:
    """However much it is: a write to a socket costs more than what is in it. Frames that come byte by byte are read."""

    async def talk() -> tuple[int, list[Content]]:
        left, right = socket.socketpair()
        link, far = await connected(Link(1, Echo()), left), right
        asked = [asyncio.create_task(link.ask("say", (number,), in_seconds(5))) for number in range(100)]
        await asyncio.sleep(0.05)
        frame = far.recv(100_000)
        messages = marshal.loads(frame[4:])  # noqa: S302 - of the link above
        answers = marshal.dumps([(number, "", content) for number, _, content in messages])
        for byte in len(answers).to_bytes(4, "big") + answers:
            link.data_received(bytes([byte]))
        found = await asyncio.gather(*asked)
        link.close()
        far.close()
        await asyncio.sleep(0.01)
        return len(messages), found

    assert (100, [(number,) for number in range(100)]) == asyncio.run(talk())


def test_who_waits_for_a_worker_that_dies_is_told() -> None:
    """And so is who asks later; nothing waits for ever."""

    async def talk() -> list[type[BaseException]]:
        async with pair(Echo(), Echo()) as (one, other):
            waiting = [asyncio.create_task(one.ask("keep", (), in_seconds(5))) for _ in range(3)]
            await asyncio.sleep(0.05)
            other.close()
            found = await asyncio.gather(*waiting, return_exceptions=True)
            with pytest.raises(LostError):
                await one.ask("say", (), in_seconds(5))
        return [type(error) for error in found if isinstance(error, BaseException)]

    assert [LostError] * 3 == asyncio.run(talk())


def test_who_is_late_is_given_up_at_that_moment() -> None:
    """Each at its own, also where a later question has an earlier end; the answer that comes then does no harm."""

    async def talk() -> tuple[list[float], Content]:
        waits = []

        async def wait(one: Link, seconds: float) -> None:
            before = time.monotonic()
            with pytest.raises(TimeoutError):
                await one.ask("keep", (), in_seconds(seconds))
            waits.append(time.monotonic() - before)

        async with pair(Echo(), Echo()) as (one, _):
            await asyncio.gather(wait(one, 0.15), wait(one, 0.05), wait(one, 0.1))
            await asyncio.sleep(0.2)
            return waits, await one.ask("say", ("still",), in_seconds(5))

    waits, last = asyncio.run(talk())
    assert [True] * 3 == [
        earliest <= found + 0.01 < earliest + 0.2 for earliest, found in zip((0.05, 0.1, 0.15), waits, strict=True)
    ]
    assert ("still",) == last


def test_a_worker_that_stumbles_says_so() -> None:
    """Its bug is noted where it is, and who asked does not wait for the end."""

    async def talk() -> list[str]:
        stumbling = Echo()
        async with pair(Echo(), stumbling) as (one, _):
            with pytest.raises(LostError):
                await one.ask("stumble", (), in_seconds(5))
        return stumbling.bugs

    assert ["KeyError"] == asyncio.run(talk())


@asynccontextmanager
async def two_workers() -> AsyncIterator[tuple[Partition, Partition]]:
    """Connect two partitions whose workers have written whatever they are asked."""
    found = [Partition(own, 2, Ids(time.monotonic), lambda _line: None) for own in range(2)]
    for end, one in zip(socket.socketpair(), found, strict=True):
        await connected(one.link(1 - found.index(one)), end)

    async def take(*_: Any) -> Answer:
        return WRITTEN

    for one in found:
        one.over(take)
    try:
        yield found[0], found[1]
    finally:
        for link in (*found[0]._links.values(), *found[1]._links.values()):
            link.close()
        await asyncio.sleep(0.01)


def of(partition: Partition, own: int) -> str:
    """Return a name that one of the two owns."""
    return next(name for name in map(str, range(100)) if partition._owner(name) == own)


def test_a_name_has_the_same_owner_everywhere_and_always() -> None:
    """Whichever process asks, and also in a worker that was started again: it is no matter of Python's own hashes."""
    owners = [Partition(own, 3, Ids(time.monotonic), lambda _line: None)._owner for own in range(3)]
    assert [2, 0, 0, 1] == [owners[0](name) for name in ("c-1", "c-2", "c-3", "c-8")]
    assert {True} == {len({owner(str(name)) for owner in owners}) == 1 for name in range(100)}


def test_an_id_that_a_dead_worker_was_to_process_may_come_again() -> None:
    """Who waited for it is told to come again, and the next one processes it."""

    async def claims() -> tuple[Answer | None, Answer | None, Answer | None]:
        async with two_workers() as (one, other):
            name = of(one, 0)
            first = await other.claim(name, b"d", in_seconds(5))
            waiting = asyncio.create_task(one.claim(name, b"d", in_seconds(5)))
            await asyncio.sleep(0.05)
            other._links[0].close()
            return first, await waiting, await one.claim(name, b"d", in_seconds(5))

    first, waited, again = asyncio.run(claims())
    assert (None, None) == (first, again)
    assert waited is not None
    assert 503 == waited.status


def test_what_cannot_be_handed_over_is_to_come_again() -> None:
    """Nothing was written: 503 with Retry-After; what this worker owns goes on."""

    async def takes() -> list[Answer]:
        async with two_workers() as (one, other):
            events = [Event(of(one, own), "billing", 0.5) for own in range(2)]
            before = [await one.take(event, "", NOW, in_seconds(5)) for event in events]
            other._links[0].close()
            await asyncio.sleep(0.05)
            return before + [await one.take(event, "", NOW, in_seconds(5)) for event in events]

    answers = asyncio.run(takes())
    assert [200, 200, 200, 503] == [answer.status for answer in answers]
    assert (b"retry-after", b"1") in answers[3].headers


def test_metrics_of_several_are_summed() -> None:
    """Sample by sample, each family once; what only one of them has stands in its family; whole numbers stay whole."""
    one = b'# HELP a How many.\n# TYPE a counter\na{s="200"} 1234567\na{s="400"} 1\n# TYPE g gauge\ng 0.25\n'
    other = b'# HELP a How many.\n# TYPE a counter\na{s="200"} 3\na{s="503"} 2\n# TYPE g gauge\ng 0.5\n'
    expected = (
        b"# HELP a How many.\n# TYPE a counter\n"
        b'a{s="200"} 1234570\na{s="400"} 1\na{s="503"} 2\n# TYPE g gauge\ng 0.75\n'
    )
    assert expected == summed([one, other])
