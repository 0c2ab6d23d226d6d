"""One list of rules, filed by the pivot: which rules are about a value of it, and which of them come before a rule.

Rules that are in most slices, by rank: the shapes of those before a rank, in any slice, as one mask.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import chain
from sys import maxsize
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.routing_entry import Destination, Entry, destination
from reconciler.behaviour.space.domain import REST
from reconciler.behaviour.space.patterns import bits

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.space.boxes import Box, Shapes
    from reconciler.behaviour.space.space import Compiled, Space


NEVER: Final = maxsize
"""The rank of what does not come."""


class Cumulated:
    """Rules' shapes, by rank. In a slice without the first rule of a shape, that shape begins later, or not at all."""

    def __init__(self, rules: Iterable[tuple[int, int]], missing: Mapping[int, Collection[int]] | None = None) -> None:
        """Take (rank, shape), by rank; and for the ranks of rules that are not in every slice, where they are not."""
        self.ranks: list[int] = []
        self.first: dict[int, int] = {}
        """The first rank of each shape."""
        self.late: dict[int, dict[int, int]] = {}
        """For each slice, the shapes that begin there later than elsewhere, with their first rank there."""
        self._before = [0]
        self._find(rules, missing or {})

    def _find(self, rules: Iterable[tuple[int, int]], missing: Mapping[int, Collection[int]]) -> None:
        waiting: dict[int, set[int]] = {}
        for rank, shape in rules:
            self.ranks.append(rank)
            self._before.append(self._before[-1] | 1 << shape)
            absent = missing.get(rank, ())
            if shape not in self.first:
                self.first[shape] = rank
                if absent:
                    waiting[shape] = set(absent)
            elif waiting.get(shape):
                for atom in waiting[shape].difference(absent):
                    self.late.setdefault(atom, {})[shape] = rank
                waiting[shape].intersection_update(absent)
        for shape, atoms in waiting.items():
            for atom in atoms:
                self.late.setdefault(atom, {})[shape] = NEVER

    def before(self, rank: int, atom: int = -1) -> int:
        """Return the shapes of the rules before a rank in a slice; in one that all rules are in, if none is given."""
        found = self._before[bisect_left(self.ranks, rank)]
        if atom in self.late:
            for shape, begins in self.late[atom].items():
                if begins >= rank:
                    found &= ~(1 << shape)
        return found

    def firsts(self, atom: int = -1) -> dict[int, int]:
        """Return the first rank of each shape in a slice; NEVER where the shape has none there."""
        return self.first | self.late[atom] if atom in self.late else self.first


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
        self.missing: dict[int, Sequence[int]] = {}
        """The values for which a general rule does not hold, by its rank."""
        self._excluded: dict[int, set[int]] = {}
        self._taken: dict[int, set[int]] = {}
        self.unnamed: list[int] = []
        """Ranks of the rules that hold for some text that no rule names."""
        self._file()
        self.cumulated: Final = Cumulated(((rank, self.boxes[rank].shape) for rank in self.general), self.missing)
        self.cumulated_unnamed: Final = Cumulated((rank, self.boxes[rank].rest) for rank in self.unnamed)
        self._late = sum(1 << atom for atom in self.cumulated.late)
        self._running: dict[int, tuple[int, int]] = {}
        """Of each value that was asked about last: how many rules about it come before, and their shapes."""
        self._always: Cumulated | None = None
        self._alike: dict[tuple[Destination, bool], Cumulated] = {}

    def _file(self) -> None:
        named = self.space.pivot_domain.all[0] & ~REST
        for rank, box in enumerate(self.boxes):
            if box.atoms:
                for atom in box.atoms:
                    self.about.setdefault(atom, []).append(rank)
                continue
            if box.rest >= 0:
                self.unnamed.append(rank)
            taken = box.pivot[0] & named
            if 2 * taken.bit_count() > named.bit_count():
                self.general.append(rank)
                if taken != named:
                    self.missing[rank] = tuple(bits(named & ~taken))
                    for atom in self.missing[rank]:
                        self._excluded.setdefault(atom, set()).add(rank)
            else:
                self._taken[rank] = set(bits(taken))
                for atom in self._taken[rank]:
                    self.about.setdefault(atom, []).append(rank)

    def shape(self, atom: int, rank: int) -> int:
        """Return a rule's shape in a slice."""
        return self.boxes[rank].rest if atom == UNNAMED else self.boxes[rank].shape

    def shapes(self, atom: int) -> Shapes:
        """Return the shapes among which those of a slice are."""
        return self.space.rest_shapes if atom == UNNAMED else self.space.shapes

    def shape_of_rank(self, atom: int, rank: int) -> int:
        """Return what `shape` does; beyond the last rule, for the default routing, the shape of everything."""
        if rank < len(self.boxes):
            return self.shape(atom, rank)
        return self.space.rest_always if atom == UNNAMED else self.space.always.shape

    def destination_of_rank(self, rank: int) -> Destination:
        """Return where a rule sends conversations; None beyond the last rule, for the default routing."""
        return self.destinations[rank] if rank < len(self.boxes) else None

    def is_narrow(self, rank: int) -> bool:
        """Say whether a rule is about few values of the pivot; beyond the last rule there is none."""
        return rank < len(self.boxes) and bool(self.boxes[rank].atoms)

    def before(self, atom: int, rank: int) -> int:
        """Return the shapes of the rules in a slice that come before a rank."""
        if atom == UNNAMED:
            return self.cumulated_unnamed.before(rank)
        found = self.cumulated.before(rank, atom)
        about = self.about.get(atom, ())
        count = bisect_left(about, rank)
        done, mask = self._running.get(atom, (0, 0))
        if done > count:
            done, mask = 0, 0
        self.space.budget.charge(count - done + len(self.cumulated.late.get(atom, ())))
        for one in about[done:count]:
            mask |= 1 << self.boxes[one].shape
        self._running[atom] = count, mask
        return found | mask

    def open_atoms(self, rank: int) -> Iterable[int]:
        """Return the slices in which the rules about most values that come before it leave a rule something."""
        if self._is_open(rank, rank):
            return self.atoms(rank)
        unnamed = (UNNAMED,) if self.boxes[rank].rest >= 0 else ()
        return chain(unnamed, (atom for atom in self.cumulated.late if self.holds(atom, rank)))

    def open_mask(self, rank: int, above: int) -> int:
        """Return the slices in which the rules about most values before the rank `above` leave a rule something."""
        box = self.boxes[rank]
        if box.atoms:
            return sum(1 << atom for atom in box.atoms)
        if self.space.pivot < 0:  # without a pivot all slices are alike
            return REST
        return box.pivot[0] if self._is_open(rank, above) else box.pivot[0] & (REST | self._late)

    def _is_open(self, rank: int, above: int) -> bool:
        """Say whether the rules about most values, were they in every slice, would leave a rule something."""
        box = self.boxes[rank]
        return bool(box.atoms) or self.space.shapes.leave(box.shape, self.cumulated.before(above))

    def alike_after(self, atom: int, rank: int) -> int:
        """Return the shapes of the rules in a slice that come after a rule and have its destination."""
        goes = self.destinations[rank]
        alike = self._alike.get((goes, atom == UNNAMED))
        if alike is None:
            alike = self._alike[goes, atom == UNNAMED] = self._with_destination(goes, atom)
        found = alike.before(-rank, atom)
        about = self.about.get(atom, ()) if atom != UNNAMED else ()
        after = about[bisect_right(about, rank) :]
        self.space.budget.charge(len(after))
        for one in after:
            if self.destinations[one] == goes:
                found |= 1 << self.boxes[one].shape
        return found

    def _with_destination(self, goes: Destination, atom: int) -> Cumulated:
        """Cumulate from the last rule to the first."""
        ranks = self.unnamed if atom == UNNAMED else self.general
        alike = [rank for rank in reversed(ranks) if self.destinations[rank] == goes]
        missing = {} if atom == UNNAMED else {-rank: self.missing[rank] for rank in alike if rank in self.missing}
        return Cumulated(((-rank, self.shape(atom, rank)) for rank in alike), missing)

    def always_before(self, rank: int) -> int:
        """Return the shapes of the rules before a rank that ask nothing of the pivot: they are in every slice."""
        if self._always is None:
            every = self.space.pivot_domain.all
            self._always = Cumulated(
                (one, self.boxes[one].shape) for one in self.general if self.boxes[one].pivot == every
            )
        return self._always.before(rank)

    def holds(self, atom: int, rank: int) -> bool:
        """Say whether a rule is in a slice."""
        box = self.boxes[rank]
        if atom == UNNAMED:
            return box.rest >= 0
        if box.atoms:
            return atom in box.atoms
        taken = self._taken.get(rank)
        return rank not in self._excluded.get(atom, ()) if taken is None else atom in taken

    def members(self, atom: int) -> Iterator[int]:
        """Yield the ranks of the rules in a slice, in order."""
        self.space.budget.spend(len(self.general))
        if atom == UNNAMED:
            yield from self.unnamed
            return
        excluded = self._excluded.get(atom)
        general = [rank for rank in self.general if rank not in excluded] if excluded else self.general
        yield from sorted([*self.about.get(atom, ()), *general])

    def firsts(self, atom: int) -> list[int]:
        """Return the ranks of the rules in a slice, in order, but for those behind a wide rule of the same shape."""
        self.space.budget.spend(len(self.cumulated.first))
        if atom == UNNAMED:
            return list(self.cumulated_unnamed.first.values())
        first = self.cumulated.firsts(atom).values()
        return sorted([*self.about.get(atom, ()), *(rank for rank in first if rank != NEVER)])

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

    def free(self, atom: int, heads: tuple[int, int], blockers: int) -> Box | None:
        """Return a box of a slice in both shapes that none of the blockers touches. Raises UndecidedError."""
        found = self.shapes(atom).free(heads[0], heads[1], blockers)
        if found is None or atom == UNNAMED or self.space.pivot < 0:
            return found
        return {**found, self.space.pivot: (1 << atom, 0, 0)}

    def is_free(self, atom: int, heads: tuple[int, int], blockers: int) -> bool:
        """Return whether `free` finds a box. Raises UndecidedError."""
        return self.shapes(atom).is_free(heads[0], heads[1], blockers)
