"""Which change must come before which, so that no conversation goes anywhere but to its old or its new destination.

Each rule that goes or comes is a version: the old one of a change, and the new one. Only pairs of versions of two
changes that share a conversation can constrain each other.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.ordering.graph import Dependencies
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, order_entries
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.behaviour.space.space import Space

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


MAX_PAIR_CHECKS: Final = 4_000_000
"""How many pairs of versions, and values of the pivot that they share, are looked at before the search is given up."""
MAX_DEPENDENCIES: Final = 500_000
"""How many links between changes are kept before the search is given up: their memory is bounded too."""


@dataclass(frozen=True, slots=True)
class Move:
    """One change of a rule: before and after; a create has no before, a delete no after."""

    before: RoutingEntry | None
    after: RoutingEntry | None


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A rule that goes or comes: the change, its list, its rank there, and its priority as it is evaluated."""

    move: int
    slices: PivotSlices
    rank: int
    level: float

    @property
    def destination(self) -> object:
        """Return where it sends conversations."""
        return self.slices.destinations[self.rank]


class Constraints:
    """What links some changes; `undecided` are those for which the bound of work was reached."""

    def __init__(self, moves: Sequence[Move], fixed: Sequence[RoutingEntry], evaluation: Evaluation, work: int) -> None:
        self.moves = moves
        sign = 1 if evaluation == "lowest-first" else -1
        before = order_entries((*fixed, *(move.before for move in moves if move.before)), evaluation)
        after = order_entries((*fixed, *(move.after for move in moves if move.after)), evaluation)
        self.space = Space((before, after))
        self.space.budget.remaining = work
        self.old, self.new = PivotSlices(self.space, before), PivotSlices(self.space, after)
        self.levels = {
            id(slices): [sign * entry.rule.priority for entry in slices.entries] for slices in (self.old, self.new)
        }
        self.old_versions = self._versions(self.old, [move.before for move in moves])
        self.new_versions = self._versions(self.new, [move.after for move in moves])
        self._drop_unchanged_routing()
        self.add_before_remove: set[tuple[int, int]] = set()
        self.remove_before_remove: set[tuple[int, int]] = set()
        self.add_before_add: set[tuple[int, int]] = set()
        self.undecided: set[int] = set()
        self._remaining_checks = MAX_PAIR_CHECKS
        self._find_dependencies()
        self.dependencies = Dependencies(
            frozenset(self.add_before_remove),
            frozenset(self.remove_before_remove),
            frozenset(self.add_before_add),
            _name_dependencies(moves, fixed),
        )

    def _versions(self, slices: PivotSlices, entries: Sequence[RoutingEntry | None]) -> dict[int, RuleVersion]:
        """Return the versions that take part at all: enabled, and not contradicting themselves."""
        rank_of = {id(entry): rank for rank, entry in enumerate(slices.entries)}
        levels = self.levels[id(slices)]
        return {
            move: RuleVersion(move, slices, rank_of[id(entry)], levels[rank_of[id(entry)]])
            for move, entry in enumerate(entries)
            if id(entry) in rank_of
        }

    def _drop_unchanged_routing(self) -> None:
        """Leave out changes that route as before: a new name, a new description."""
        for move in list(self.old_versions):
            old, new = self.old_versions[move], self.new_versions.get(move)
            if new is not None and self.keeps_position(move) and old.destination == new.destination:
                del self.old_versions[move], self.new_versions[move]

    def keeps_position(self, move: int) -> bool:
        """Say whether a change's old and new rule ask the same at the same place: one of them is always there."""
        old, new = self.old_versions.get(move), self.new_versions.get(move)
        if old is None or new is None:
            return False
        return old.level == new.level and self.old.boxes[old.rank] is self.new.boxes[new.rank]

    def _find_dependencies(self) -> None:
        """Look at every pair of versions that are about one value of the pivot, or about many."""
        going, coming = _VersionIndex(self.old_versions.values()), _VersionIndex(self.new_versions.values())
        try:
            for old in self.old_versions.values():
                for new in self._overlapping_versions(old, coming):
                    if self.visible_up_to(new) >= old.level and self._share_conversation(
                        old, new, (old.level, new.level)
                    ):
                        self.add_before_remove.add((new.move, old.move))
                for other in self._hidden_versions(old, going):
                    if self._share_conversation(old, other, (old.level, other.level)):
                        self.remove_before_remove.add((other.move, old.move))
            for new in self.new_versions.values():
                for other in self._hidden_versions(new, coming):
                    if self._share_conversation(new, other, (other.level, new.level)):
                        self.add_before_add.add((new.move, other.move))
        except UndecidedError:
            self.undecided = {*self.old_versions, *self.new_versions}

    def _hidden_versions(self, version: RuleVersion, index: _VersionIndex) -> Iterator[RuleVersion]:
        """Yield the versions behind this one that lead elsewhere."""
        for other in self._overlapping_versions(version, index):
            if version.level < other.level and version.destination != other.destination:
                yield other

    def _overlapping_versions(self, version: RuleVersion, index: _VersionIndex) -> Iterator[RuleVersion]:
        """Yield the versions of other changes that may share a conversation with this one.

        None behind where the other version of the same rule, which asks the same, takes all of it.
        """
        reach = self.visible_up_to(version)
        overlapping = self.space.shapes.overlapping(version.slices.boxes[version.rank].shape)
        for other in index.candidates(version):
            if other.level <= reach and other.move != version.move:
                self._remaining_checks -= 1
                if self._remaining_checks <= 0:
                    raise UndecidedError
                if overlapping >> other.slices.boxes[other.rank].shape & 1:
                    yield other

    def visible_up_to(self, version: RuleVersion) -> float:
        """Return the priority behind which the rule's other version leaves nothing of this one's conversations."""
        other = (self.new_versions if version.slices is self.old else self.old_versions).get(version.move)
        if other is None or other.slices.boxes[other.rank] is not version.slices.boxes[version.rank]:
            return float("inf")
        return other.level

    def _share_conversation(
        self, version: RuleVersion, other_version: RuleVersion, levels: tuple[float, float]
    ) -> bool:
        """Say whether a conversation fits both, and no old rule above the first level, no new one above the second.

        Raises UndecidedError once as much was looked at as may be.
        """
        few, more = (version, other_version) if version.slices.boxes[version.rank].atoms else (other_version, version)
        if not few.slices.boxes[few.rank].atoms and not self._may_share_conversation(version, other_version, levels):
            return False
        for atom in few.slices.atoms(few.rank):
            self._remaining_checks -= 1
            if (
                self._remaining_checks <= 0
                or len(self.add_before_add) + len(self.remove_before_remove) + len(self.add_before_remove)
                > MAX_DEPENDENCIES
            ):
                raise UndecidedError
            if more.slices.holds(atom, more.rank) and self.has_free_conversation(
                atom, (version, other_version), levels
            ):
                return True
        return False

    def _may_share_conversation(
        self, left_version: RuleVersion, right_version: RuleVersion, levels: tuple[float, float]
    ) -> bool:
        """Say whether the rules that ask nothing of the pivot leave two wide ones anything in common."""
        blockers = 0
        for slices, level in zip((self.old, self.new), levels, strict=True):
            blockers |= slices.always_mask_before(bisect_left(self.levels[id(slices)], level))
        first, second = (version.slices.boxes[version.rank].shape for version in (left_version, right_version))
        return self.space.shapes.has_free_box(first, second, blockers)

    def has_free_conversation(
        self, atom: int, versions: tuple[RuleVersion, RuleVersion], levels: tuple[float, float]
    ) -> bool:
        """Say whether a slice has a conversation in both versions, and in no rule above the levels."""
        shapes = self.space.rest_shapes if atom == UNNAMED_SLICE else self.space.shapes
        first, second = (version.slices.shape(atom, version.rank) for version in versions)
        blockers = 0
        for slices, level in zip((self.old, self.new), levels, strict=True):
            blockers |= slices.mask_before(atom, bisect_left(self.levels[id(slices)], level))
        return shapes.has_free_box(first, second, blockers)


class _VersionIndex:
    """Versions by the values of the pivot that they are about."""

    def __init__(self, versions: Iterable[RuleVersion]) -> None:
        self.versions_by_atom: dict[int, list[RuleVersion]] = {}
        self.wide: list[RuleVersion] = []
        self.all = list(versions)
        for version in self.all:
            atoms = version.slices.boxes[version.rank].atoms
            for atom in atoms:
                self.versions_by_atom.setdefault(atom, []).append(version)
            if not atoms:
                self.wide.append(version)

    def candidates(self, version: RuleVersion) -> Iterable[RuleVersion]:
        """Return the versions that are about a value that this one is about, or about many."""
        atoms = version.slices.boxes[version.rank].atoms
        if not atoms:
            return self.all
        if len(atoms) == 1:
            return [*self.versions_by_atom.get(atoms[0], ()), *self.wide]
        found = {other.move: other for atom in atoms for other in self.versions_by_atom.get(atom, ())}
        return [*found.values(), *self.wide]


def _name_dependencies(moves: Sequence[Move], fixed: Sequence[RoutingEntry]) -> frozenset[tuple[int, int]]:
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
        found |= {
            (frees, place) for frees in before.get(name, ()) if frees != place and _frees_name(moves[frees], name)
        }
    return frozenset(found)


def _frees_name(move: Move, name: str) -> bool:
    return move.after is None or move.after.rule.name != name
