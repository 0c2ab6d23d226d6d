"""One list of rules, filed by the pivot: which rules are about a value of it, and which of them come before a rule."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.domain import REST
from reconciler.behaviour.entry import destination
from reconciler.behaviour.pattern import bits

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

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
        self._general = _Cumulated((rank, self.boxes[rank].shape) for rank in self.general)
        self._unnamed = _Cumulated((rank, self.boxes[rank].rest) for rank in self.unnamed)
        self._always: _Cumulated | None = None
        self._alike: dict[tuple[Destination, bool], _Cumulated] = {}

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
            return self._unnamed.before(rank)
        found = self._general.before(rank, self.excluded.get(atom, ()))
        for one in self.about.get(atom, ()):
            if one >= rank:
                break
            found |= 1 << self.boxes[one].shape
        return found

    def open_atoms(self, rank: int) -> Iterable[int]:
        """Return the slices in which a rule may take anything: where the rules about most values leave it something."""
        box = self.boxes[rank]
        if box.atoms or self.space.shapes.leave(box.shape, self._general.before(rank)):
            return self.atoms(rank)
        unnamed = (UNNAMED,) if box.rest >= 0 else ()
        return chain(unnamed, (atom for atom in self.excluded if self.holds(atom, rank)))

    def alike_after(self, atom: int, rank: int) -> int:
        """Return the shapes of the rules in a slice that come after a rule and have its destination."""
        goes = self.destinations[rank]
        alike = self._alike.get((goes, atom == UNNAMED))
        if alike is None:
            alike = self._alike[goes, atom == UNNAMED] = self._with_destination(goes, atom)
        found = alike.after(rank, self.excluded.get(atom, ()))
        for one in reversed(self.about.get(atom, ())):
            if one <= rank:
                break
            if self.destinations[one] == goes:
                found |= 1 << self.boxes[one].shape
        return found

    def _with_destination(self, goes: Destination, atom: int) -> _Cumulated:
        ranks = self.unnamed if atom == UNNAMED else self.general
        return _Cumulated((rank, self.shape(atom, rank)) for rank in ranks if self.destinations[rank] == goes)

    def always_before(self, rank: int) -> int:
        """Return the shapes of the rules before a rank that ask nothing of the pivot: they are in every slice."""
        if self._always is None:
            every = self.space.pivot_domain.all
            self._always = _Cumulated(
                (one, self.boxes[one].shape) for one in self.general if self.boxes[one].pivot == every
            )
        return self._always.before(rank)

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
        if self.space.pivot >= 0:  # without a pivot all slices are alike
            yield from bits(box.pivot[0] & ~REST)


class _Cumulated:
    """Some rules' shapes, by rank: those before or after a rank as one mask, but for a few that are left out."""

    def __init__(self, rules: Iterable[tuple[int, int]]) -> None:
        """Take (rank, shape), by rank."""
        pairs = list(rules)
        self.ranks = [rank for rank, _ in pairs]
        self._shapes = dict(pairs)
        self._before = [0]
        for _, shape in pairs:
            self._before.append(self._before[-1] | 1 << shape)
        self._after = [0]
        for _, shape in reversed(pairs):
            self._after.append(self._after[-1] | 1 << shape)
        self._of_shape: dict[int, list[int]] = {}
        for rank, shape in pairs:
            self._of_shape.setdefault(shape, []).append(rank)

    def before(self, rank: int, without: Collection[int] = ()) -> int:
        """Return the shapes of the rules before a rank."""
        found = self._before[bisect_left(self.ranks, rank)]
        return self._but(found, without, lambda one: one < rank) if without else found

    def after(self, rank: int, without: Collection[int] = ()) -> int:
        """Return the shapes of the rules after a rank."""
        found = self._after[len(self.ranks) - bisect_right(self.ranks, rank)]
        return self._but(found, without, lambda one: one > rank) if without else found

    def _but(self, found: int, without: Collection[int], counts: Callable[[int], bool]) -> int:
        """Take the shapes out that only rules left out have."""
        for left_out in without:
            shape = self._shapes.get(left_out)
            if shape is not None and not any(counts(one) and one not in without for one in self._of_shape[shape]):
                found &= ~(1 << shape)
        return found
