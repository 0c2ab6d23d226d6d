"""Values as they were read, which know where their parts stand. Places are indexes into the file's text."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

_SMALL: Final = 32


class Map(dict[str, Any]):
    """A mapping that knows where its parts stand: `marks` holds the index of each key and value, in turn."""

    __slots__ = ("_places", "marks")
    marks: list[int]

    def key_index(self, key: str) -> int:
        """Return where a key stands."""
        return self.marks[2 * self._place(key)]

    def value_index(self, key: str) -> int:
        """Return where a key's value stands."""
        return self.marks[2 * self._place(key) + 1]

    def _place(self, key: str) -> int:
        """Return how many keys stand before this one; counted once in a mapping that is asked often and is large."""
        if len(self) <= _SMALL:
            return list(self).index(key)
        if not hasattr(self, "_places"):
            self._places = {one: place for place, one in enumerate(self)}
        return self._places[key]


class List(list[Any]):
    """A sequence that knows where its parts stand: `marks` holds the index of each item."""

    __slots__ = ("marks",)
    marks: list[int]

    def value_index(self, place: int) -> int:
        """Return where an item stands."""
        return self.marks[place]


class Document(NamedTuple):
    """One document of a file: its value and the index where that begins."""

    value: Any
    start: int
