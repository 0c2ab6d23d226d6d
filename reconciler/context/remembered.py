"""What is remembered of conversations: the newest event of each, and its answer, for an hour or two and in little room.

A hundred thousand of them as objects would take 110 MB, and the garbage collector would look at each again and again;
one piece of bytes each, and most of an answer made anew, takes a third of that (benchmarks/README.md, "endpoint").
"""

from __future__ import annotations

import marshal
from typing import TYPE_CHECKING, NamedTuple

from reconciler.context.answer import Answer, beginning
from reconciler.context.event import Event
from reconciler.context.moment import Moment, moment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Place(NamedTuple):
    """Where an event stands among those of its conversation."""

    moment: Moment
    id: str = ""


class Written(NamedTuple):
    """The newest event that was written, and how it was answered."""

    place: Place
    event: Event
    answer: Answer


class Remembered:
    """The conversations that were heard of lately, in two generations: a young one that is full or old becomes the old.

    So each is remembered for `seconds` at the least, unless half of `most` others were heard of since.
    """

    def __init__(self, clock: Callable[[], float], most: int, seconds: float) -> None:
        """`clock` is monotonic."""
        self._clock, self._half, self._seconds = clock, max(most // 2, 1), seconds
        self._young: dict[str, bytes] = {}
        self._old: dict[str, bytes] = {}
        self._since = clock()

    def __len__(self) -> int:
        return len(self._young) + len(self._old)

    def find(self, conversation: str) -> Written | None:
        """Return the newest event of a conversation, if it is known."""
        packed = self._young.get(conversation) or self._old.get(conversation)
        return _written(conversation, packed) if packed is not None else None

    def keep(self, conversation: str, written: Written) -> None:
        """Keep the newest event of a conversation that was heard of just now."""
        age = self._clock() - self._since
        if age >= self._seconds or len(self._young) >= self._half:
            self._old = self._young if age < 2 * self._seconds else {}
            self._young = {}
            self._since += age
        self._old.pop(conversation, None)
        self._young[conversation] = _packed(conversation, written)

    def known(self) -> Iterator[tuple[str, Written, float]]:
        """Return the newest event of each, and the seconds since it was heard of, or fewer.

        Others may be kept meanwhile.
        """
        for generation, age in ((self._young, 0.0), (self._old, self._clock() - self._since)):
            for conversation in tuple(generation):
                written = self.find(conversation)
                if written is not None:
                    yield conversation, written, age


def _packed(conversation: str, written: Written) -> bytes:
    (point, message), event, answer = written
    begin = beginning(conversation)
    is_usual = answer.body.startswith(begin)
    body = answer.body[len(begin) :] if is_usual else answer.body
    moment_apart = None if point == event.moment else (point.seconds, point.fraction)
    said = (event.intent, event.confidence, event.timestamp)
    return marshal.dumps((moment_apart, message, said, (answer.status, answer.outcome, is_usual, body)))


def _written(conversation: str, packed: bytes) -> Written:
    moment_apart, message, (intent, confidence, timestamp), answer = marshal.loads(packed)  # noqa: S302 - packed above
    status, outcome, is_usual, body = answer
    own = moment(timestamp) if timestamp is not None else None
    point = own if moment_apart is None else Moment(*moment_apart)
    if point is None:
        raise AssertionError("an event without a time of its own was kept without the one that it was given")
    whole = beginning(conversation) + body if is_usual else body
    event = Event(conversation, intent, confidence, timestamp, own)
    return Written(Place(point, message), event, Answer(status, outcome, whole))
