"""Searches a deliberate bug with cases of the campaign until one catches it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from random import Random
from typing import Final, NamedTuple

from tests.campaign.cases import Case, run_case
from tests.campaign.exhaustive import single_faults
from tests.campaign.mutants import TWELVE
from tests.campaign.mutants_more import EXTRAS
from tests.campaign.scenarios import SCENARIOS

MOST: Final = 2000
"""Maximum of cases for one bug."""


class Catch(NamedTuple):
    """The test that caught a bug."""

    invariants: tuple[str, ...]
    case: Case
    tried: int


class BugRow(NamedTuple):
    """A line of the table: the bug, the test that caught it, and the duration."""

    bug: str
    caught: str
    case: str
    tried: int


def hunt(bug: str, cases: Iterable[Case]) -> Catch | None:
    """Return the first test that catches a bug, or None.

    An error of another kind also catches it.
    """
    with {**TWELVE, **EXTRAS}[bug]():
        for tried, case in enumerate(cases, 1):
            try:
                broken = run_case(case).broken()
            except Exception as error:  # noqa: BLE001 - a bug may break the tool anywhere
                broken = frozenset([type(error).__name__])
            if broken:
                return Catch(tuple(sorted(broken, key=_number)), case, tried)
    return None


def table(cases: Iterable[Case] | None = None) -> Iterator[BugRow]:
    """Yield a row for each bug.

    Without given cases it tries the exhaustive ones, some of each scenario in turn.
    """
    for bug in (*TWELVE, *EXTRAS):
        actual = hunt(bug, interleaved() if cases is None else cases)
        if actual is None:
            yield BugRow(bug, "NOT CAUGHT", "", MOST)
        else:
            yield BugRow(
                bug, " ".join(actual.invariants), str(actual.case), actual.tried
            )


def interleaved(most: int = MOST) -> Iterator[Case]:
    """Yield cases of all scenarios in turn: each first without faults, then with one random fault
    at a time.
    """
    streams: list[Iterator[Case]] = [
        _all(name, profile) for name in SCENARIOS for profile in "AC"
    ]
    return islice(_in_turn(streams), most)


def _all(name: str, profile: str) -> Iterator[Case]:
    yield Case(name, profile)
    faulty = list(single_faults(name, profile))
    Random(f"{name} {profile}").shuffle(faulty)
    yield from faulty


def _in_turn(streams: list[Iterator[Case]]) -> Iterator[Case]:
    while streams:
        for stream in tuple(streams):
            case = next(stream, None)
            if case is None:
                streams.remove(stream)
            else:
                yield case


def _number(invariant: str) -> tuple[int, str]:
    digits = invariant[1:]
    return (int(digits) if digits.isdigit() else 99, invariant)
