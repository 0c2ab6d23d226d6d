"""Rules of two lists that ask the same and keep their order: each such pair is one rule."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.behaviour.slices import Slices


def firsts(slices: Slices) -> list[int]:
    """Return the ranks of the rules but for those before which another one asks the same: these take nothing."""
    seen: dict[int, int] = {}
    for rank, box in enumerate(slices.boxes):
        seen.setdefault(id(box), rank)
    return list(seen.values())


def twins(old: Slices, new: Slices) -> dict[int, int]:
    """Pair the rules of both lists that ask the same and keep their order: the most that can be paired."""
    place_in_new = {id(new.boxes[rank]): rank for rank in firsts(new)}
    candidates = [(rank, place_in_new.get(id(old.boxes[rank]), -1)) for rank in firsts(old)]
    return _increasing([pair for pair in candidates if pair[1] >= 0])


def _increasing(candidates: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Return a longest part of the pairs whose second members increase as the first do."""
    ends: list[int] = []
    places: list[int] = []
    previous: list[int] = []
    for place, (_, twin) in enumerate(candidates):
        at = bisect_left(ends, twin)
        previous.append(places[at - 1] if at else -1)
        if at == len(ends):
            ends.append(twin)
            places.append(place)
        else:
            ends[at], places[at] = twin, place
    found = {}
    place = places[-1] if places else -1
    while place >= 0:
        old, twin = candidates[place]
        found[old] = twin
        place = previous[place]
    return found
