"""Which change must come before which, so that no conversation goes anywhere but to its old or its new destination.

Each rule that goes or comes is a version: the old one of a change, and the new one. Only pairs of versions of two
changes that share a conversation can constrain each other.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.ordering.graph import Links
from reconciler.behaviour.routing_entry import Entry, Evaluation, in_order
from reconciler.behaviour.space.slices import UNNAMED, Slices
from reconciler.behaviour.space.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


MOST_LOOKS: Final = 4_000_000
"""How many pairs of versions, and values of the pivot that they share, are looked at before the search is given up."""
MOST_LINKS: Final = 500_000
"""How many links between changes are kept before the search is given up: their memory is bounded too."""


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a rule: before and after; a create has no before, a delete no after."""

    before: Entry | None
    after: Entry | None


@dataclass(frozen=True, slots=True)
class Version:
    """A rule that goes or comes: the change, its list, its rank there, and its priority as it is evaluated."""

    move: int
    slices: Slices
    rank: int
    level: float

    @property
    def destination(self) -> object:
        """Return where it sends conversations."""
        return self.slices.destinations[self.rank]


class Constraints:
    """What links some changes; `undecided` are those for which the bound of work was reached."""

    def __init__(self, moves: Sequence[Move], fixed: Sequence[Entry], evaluation: Evaluation, work: int) -> None:
        self.moves = moves
        sign = 1 if evaluation == "lowest-first" else -1
        before = in_order((*fixed, *(move.before for move in moves if move.before)), evaluation)
        after = in_order((*fixed, *(move.after for move in moves if move.after)), evaluation)
        self.space = Space((before, after))
        self.space.budget.left = work
        self.old, self.new = Slices(self.space, before), Slices(self.space, after)
        self.levels = {
            id(slices): [sign * entry.rule.priority for entry in slices.entries] for slices in (self.old, self.new)
        }
        self.going = self._versions(self.old, [move.before for move in moves])
        self.coming = self._versions(self.new, [move.after for move in moves])
        self._leave_out_what_stays()
        self.edges: set[tuple[int, int]] = set()
        self.goes_first: set[tuple[int, int]] = set()
        self.comes_first: set[tuple[int, int]] = set()
        self.undecided: set[int] = set()
        self._looks = MOST_LOOKS
        self._find()
        self.links = Links(
            frozenset(self.edges), frozenset(self.goes_first), frozenset(self.comes_first), _names(moves, fixed)
        )

    def _versions(self, slices: Slices, entries: Sequence[Entry | None]) -> dict[int, Version]:
        """Return the versions that take part at all: enabled, and not contradicting themselves."""
        rank_of = {id(entry): rank for rank, entry in enumerate(slices.entries)}
        levels = self.levels[id(slices)]
        return {
            move: Version(move, slices, rank_of[id(entry)], levels[rank_of[id(entry)]])
            for move, entry in enumerate(entries)
            if id(entry) in rank_of
        }

    def _leave_out_what_stays(self) -> None:
        """Leave out changes that route as before: a new name, a new description."""
        for move in list(self.going):
            old, new = self.going[move], self.coming.get(move)
            if new is not None and self.in_place(move) and old.destination == new.destination:
                del self.going[move], self.coming[move]

    def in_place(self, move: int) -> bool:
        """Say whether a change's old and new rule ask the same at the same place: one of them is always there."""
        old, new = self.going.get(move), self.coming.get(move)
        if old is None or new is None:
            return False
        return old.level == new.level and self.old.boxes[old.rank] is self.new.boxes[new.rank]

    def _find(self) -> None:
        """Look at every pair of versions that are about one value of the pivot, or about many."""
        going, coming = _Filed(self.going.values()), _Filed(self.coming.values())
        try:
            for old in self.going.values():
                for new in self._near(old, coming):
                    if self.reach(new) >= old.level and self._share(old, new, (old.level, new.level)):
                        self.edges.add((new.move, old.move))
                for other in self._hidden(old, going):
                    if self._share(old, other, (old.level, other.level)):
                        self.goes_first.add((other.move, old.move))
            for new in self.coming.values():
                for other in self._hidden(new, coming):
                    if self._share(new, other, (other.level, new.level)):
                        self.comes_first.add((new.move, other.move))
        except UndecidedError:
            self.undecided = {*self.going, *self.coming}

    def _hidden(self, version: Version, filed: _Filed) -> Iterator[Version]:
        """Yield the versions behind this one that lead elsewhere."""
        for other in self._near(version, filed):
            if version.level < other.level and version.destination != other.destination:
                yield other

    def _near(self, version: Version, filed: _Filed) -> Iterator[Version]:
        """Yield the versions of other changes that may share a conversation with this one.

        None behind where the other version of the same rule, which asks the same, takes all of it.
        """
        reach = self.reach(version)
        overlapping = self.space.shapes.overlapping(version.slices.boxes[version.rank].shape)
        for other in filed.near(version):
            if other.level <= reach and other.move != version.move:
                self._looks -= 1
                if self._looks <= 0:
                    raise UndecidedError
                if overlapping >> other.slices.boxes[other.rank].shape & 1:
                    yield other

    def reach(self, version: Version) -> float:
        """Return the priority behind which the rule's other version leaves nothing of this one's conversations."""
        other = (self.coming if version.slices is self.old else self.going).get(version.move)
        if other is None or other.slices.boxes[other.rank] is not version.slices.boxes[version.rank]:
            return float("inf")
        return other.level

    def _share(self, one: Version, other: Version, levels: tuple[float, float]) -> bool:
        """Say whether a conversation fits both, and no old rule above the first level, no new one above the second.

        Raises UndecidedError once as much was looked at as may be.
        """
        few, more = (one, other) if one.slices.boxes[one.rank].atoms else (other, one)
        if not few.slices.boxes[few.rank].atoms and not self._possible(one, other, levels):
            return False
        for atom in few.slices.atoms(few.rank):
            self._looks -= 1
            if self._looks <= 0 or len(self.comes_first) + len(self.goes_first) + len(self.edges) > MOST_LINKS:
                raise UndecidedError
            if more.slices.holds(atom, more.rank) and self.free(atom, (one, other), levels):
                return True
        return False

    def _possible(self, one: Version, other: Version, levels: tuple[float, float]) -> bool:
        """Say whether the rules that ask nothing of the pivot leave two wide ones anything in common."""
        blockers = 0
        for slices, level in zip((self.old, self.new), levels, strict=True):
            blockers |= slices.always_before(bisect_left(self.levels[id(slices)], level))
        first, second = (version.slices.boxes[version.rank].shape for version in (one, other))
        return self.space.shapes.is_free(first, second, blockers)

    def free(self, atom: int, versions: tuple[Version, Version], levels: tuple[float, float]) -> bool:
        """Say whether a slice has a conversation in both versions, and in no rule above the levels."""
        shapes = self.space.rest_shapes if atom == UNNAMED else self.space.shapes
        first, second = (version.slices.shape(atom, version.rank) for version in versions)
        blockers = 0
        for slices, level in zip((self.old, self.new), levels, strict=True):
            blockers |= slices.before(atom, bisect_left(self.levels[id(slices)], level))
        return shapes.is_free(first, second, blockers)


class _Filed:
    """Versions by the values of the pivot that they are about."""

    def __init__(self, versions: Iterable[Version]) -> None:
        self.about: dict[int, list[Version]] = {}
        self.wide: list[Version] = []
        self.all = list(versions)
        for version in self.all:
            atoms = version.slices.boxes[version.rank].atoms
            for atom in atoms:
                self.about.setdefault(atom, []).append(version)
            if not atoms:
                self.wide.append(version)

    def near(self, version: Version) -> Iterable[Version]:
        """Return the versions that are about a value that this one is about, or about many."""
        atoms = version.slices.boxes[version.rank].atoms
        if not atoms:
            return self.all
        if len(atoms) == 1:
            return [*self.about.get(atoms[0], ()), *self.wide]
        found = {other.move: other for atom in atoms for other in self.about.get(atom, ())}
        return [*found.values(), *self.wide]


def _names(moves: Sequence[Move], fixed: Sequence[Entry]) -> frozenset[tuple[int, int]]:
    """Return who must free a name before whom; names that rules share anyway, before or after, bind nobody."""
    before: dict[str, list[int]] = {}
    for place, move in enumerate(moves):
        if move.before is not None:
            before.setdefault(move.before.rule.name, []).append(place)
    others = {entry.rule.name for entry in fixed}
    found: set[tuple[int, int]] = set()
    for place, move in enumerate(moves):
        if move.after is None or move.after.rule.name in others:
            continue
        name = move.after.rule.name
        if move.before is not None and move.before.rule.name == name:
            continue
        found |= {(frees, place) for frees in before.get(name, ()) if frees != place and _frees(moves[frees], name)}
    return frozenset(found)


def _frees(move: Move, name: str) -> bool:
    return move.after is None or move.after.rule.name != name
