"""Promises about the routes of a scenario: those that hold before and after an apply hold after
each single write.

They are evaluated on the conversations of the scenario, by the oracle's own routes, never by the
analysis.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from tests.campaign.oracle_routes import Destination, Routes

    Found = Sequence[frozenset[Destination]]
    """The possible routes of each case, in one state of the server."""

NAME: Final = "promises"
INTENT: Final = "cognigyDetectedIntent"
_MOST_INTENTS: Final = 4
_HALF: Final = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class RoutePromise:
    """What must hold for some cases."""

    title: str
    cases: tuple[int, ...]
    keeps: Callable[[Destination], bool]

    def holds(self, found: Found) -> bool:
        """Return whether each possible route keeps the promise."""
        return all(self.keeps(place) for case in self.cases for place in found[case])


class Promises:
    """The promises that hold in every state that the appliers did not make, and after them."""

    def __init__(self, routes: Routes, states: Sequence[Found]) -> None:
        """Begin with each promise of a few forms that holds in all of these states."""
        self._routes = routes
        self._stated = list(self._candidates(states))
        for actual in states:
            self.accept(actual)

    def accept(self, found: Found) -> None:
        """Drop the promises that another sender's change breaks."""
        self._stated = [promise for promise in self._stated if promise.holds(found)]

    def check(self, found: Found) -> Iterator[tuple[bool, str]]:
        """Yield for each promise whether a state keeps it, and its title."""
        for promise in self._stated:
            yield promise.holds(found), promise.title

    def _candidates(self, states: Sequence[Found]) -> Iterator[RoutePromise]:
        queues = sorted(
            {
                queue
                for actual in states
                for destination_text in actual
                for place in destination_text
                for queue, _ in place or ()
            }
        )
        for title, cases in self._groups():
            reached = {
                queue
                for actual in states
                for case in cases
                for place in actual[case]
                for queue, _ in place or ()
            }
            yield RoutePromise(
                f"{title}: always one of {sorted(reached)}", cases, _always(reached)
            )
            yield RoutePromise(
                f"{title}: never the default", cases, lambda place: place is not None
            )
            for queue in queues:
                yield RoutePromise(
                    f"{title}: never {queue}", cases, _share(queue, 0, 0)
                )
                yield RoutePromise(
                    f"{title}: half to {queue}", cases, _share(queue, _HALF, 1)
                )

    def _groups(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        intents: dict[str, list[int]] = {}
        for case, (conversation, _) in enumerate(self._routes.cases):
            intents.setdefault(
                str(self._routes.conversations[conversation].get(INTENT)), []
            ).append(case)
        yield "all", tuple(range(len(self._routes.cases)))
        yield from (
            (intent, tuple(cases))
            for intent, cases in list(intents.items())[:_MOST_INTENTS]
        )


def _always(queues: Iterable[str]) -> Callable[[Destination], bool]:
    allowed = frozenset(queues)
    return lambda place: bool(place) and {queue for queue, _ in place or ()} <= allowed


def _share(
    queue: str, least: Fraction | int, most: Fraction | int
) -> Callable[[Destination], bool]:
    return lambda place: least <= dict(place or ()).get(queue, Fraction(0)) <= most
