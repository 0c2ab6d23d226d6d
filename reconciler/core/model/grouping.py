"""Values in groups, by a key of each, and the longest rise in a row of keys."""

from bisect import bisect_left
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

Key = TypeVar("Key", bound="Hashable")
Member = TypeVar("Member")


def group_pairs(pairs: Iterable[tuple[Key, Member]]) -> dict[Key, list[Member]]:
    """Return the second members of pairs in lists by the first, both in order of appearance."""
    groups: dict[Key, list[Member]] = {}
    for key, member in pairs:
        groups.setdefault(key, []).append(member)
    return groups


def longest_rise(keys: Iterable[Any]) -> list[int]:
    """Return the places of a longest part of the keys that rises, in order."""
    # of the rises of each length: the least last key, its place, and the end before it
    ends: list[Any] = []
    for place, key in enumerate(keys):
        length = bisect_left(ends, (key,))
        before = ends[length - 1] if length else None
        ends[length : length + 1] = [(key, place, before)]

    places: list[int] = []
    end = ends[-1] if ends else None
    while end:
        _, place, end = end
        places.append(place)
    return places[::-1]
