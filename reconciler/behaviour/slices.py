"""One list of rules, filed by the pivot: which rules are about a value of it, and which of them come before a rule."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.domain import REST
from reconciler.behaviour.entry import destination
from reconciler.behaviour.pattern import bits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.entry import Destination, Entry
    from reconciler.behaviour.space import Compiled, Space

UNNAMED: Final = REST.bit_length() - 1
"""The slice of texts of the pivot that no rule names."""


class Slices:
    """A list of rules in the order of evaluation. A rule's rank is its place there; one that can never match has none.

    `boxes[rank]`, `entries[rank]`, `destinations[rank]` are a rule's box, the rule, and where it sends conversations.
    """

    def __init__(self, space: Space, ordered: Sequence[Entry]) -> None:
        self.space = space
        self.entries: list[Entry] = []
        self.boxes: list[Compiled] = []
        self.never: list[Entry] = []
        for entry in ordered:
            compiled = space.compiled(entry.rule.conditions)
            if compiled is None:
                self.never.append(entry)
            else:
                self.entries.append(entry)
                self.boxes.append(compiled)
        self.destinations: list[Destination] = [destination(entry.rule.targets) for entry in self.entries]
        self.about: dict[int, list[int]] = {}
        """Ranks of the rules about few values, and of those that hold for a minority of them, by value."""
        self.general: list[int] = []
        """Ranks of the rules that hold for most values of the pivot."""
        self.excluded: dict[int, list[int]] = {}
        """Ranks of the general rules that do not hold for a value, by value."""
        self.unnamed: list[int] = []
        """Ranks of the rules that hold for some text that no rule names."""
        self._file()
        self._masks: dict[tuple[int, ...], list[int]] = {}
        self._unnamed_masks = _cumulated([self.boxes[rank].rest for rank in self.unnamed])

    def _file(self) -> None:
        every = self.space.pivot_domain.all[0]
        named = every & ~REST
        for rank, box in enumerate(self.boxes):
            if box.atoms:
                for atom in box.atoms:
                    self.about.setdefault(atom, []).append(rank)
                continue
            if box.rest >= 0:
                self.unnamed.append(rank)
            taken = box.pivot[0] & named
            if box.pivot[0] == every or 2 * taken.bit_count() > named.bit_count():
                self.general.append(rank)
                for atom in bits(named & ~taken):
                    self.excluded.setdefault(atom, []).append(rank)
            else:
                for atom in bits(taken):
                    self.about.setdefault(atom, []).append(rank)

    def shape(self, atom: int, rank: int) -> int:
        """Return a rule's shape in a slice."""
        return self.boxes[rank].rest if atom == UNNAMED else self.boxes[rank].shape

    def before(self, atom: int, rank: int) -> int:
        """Return the shapes of the rules in a slice that come before a rank."""
        if atom == UNNAMED:
            return self._unnamed_masks[bisect_left(self.unnamed, rank)]
        excluded = tuple(self.excluded.get(atom, ()))
        masks = self._masks.get(excluded)
        if masks is None:
            without = set(excluded)
            masks = self._masks[excluded] = _cumulated(
                [-1 if one in without else self.boxes[one].shape for one in self.general]
            )
        found = masks[bisect_left(self.general, rank)]
        for one in self.about.get(atom, ()):
            if one >= rank:
                break
            found |= 1 << self.boxes[one].shape
        return found

    def holds(self, atom: int, rank: int) -> bool:
        """Say whether a rule is in a slice."""
        box = self.boxes[rank]
        if atom == UNNAMED:
            return box.rest >= 0
        return atom in box.atoms if box.atoms else bool(box.pivot[0] >> atom & 1)

    def members(self, atom: int) -> Iterator[int]:
        """Yield the ranks of the rules in a slice, in order."""
        if atom == UNNAMED:
            yield from self.unnamed
            return
        excluded = set(self.excluded.get(atom, ()))
        about = self.about.get(atom, [])
        yield from sorted([*about, *(rank for rank in self.general if rank not in excluded)])

    def atoms(self, rank: int) -> Iterator[int]:
        """Yield the slices that a rule is in: texts that no rule names first, where most rules have a free place."""
        box = self.boxes[rank]
        if box.atoms:
            yield from box.atoms
            return
        if box.rest >= 0:
            yield UNNAMED
        yield from bits(box.pivot[0] & ~REST)


def _cumulated(shapes: Sequence[int]) -> list[int]:
    """Return the masks of the first none, one, two ... of the shapes; -1 is one to leave out."""
    masks = [0]
    for shape in shapes:
        masks.append(masks[-1] | (1 << shape if shape >= 0 else 0))
    return masks
