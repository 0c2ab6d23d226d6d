"""Values in groups, by a key of each."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

Key = TypeVar("Key", bound="Hashable")
Member = TypeVar("Member")


def group_pairs(pairs: Iterable[tuple[Key, Member]]) -> dict[Key, list[Member]]:
    """Return the second members of pairs in lists by the first, both in order of appearance."""
    groups: dict[Key, list[Member]] = {}
    for key, member in pairs:
        groups.setdefault(key, []).append(member)
    return groups
