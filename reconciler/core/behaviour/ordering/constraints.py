"""The dependencies between changes, so that every conversation goes to its old or its new
destination.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.ordering.graph import Dependencies, MovePairs
from reconciler.core.behaviour.routing_entry import (
    Evaluation,
    RoutingEntry,
    order_entries,
)
from reconciler.core.behaviour.space.slices import PivotSlices
from reconciler.core.behaviour.space.space import Space
from reconciler.core.model.grouping import group_pairs

# pairs of versions, and common values of the pivot, before the search ends
MAX_PAIR_CHECKS: Final = 4_000_000
# links between changes before the search ends, to bound their memory
MAX_DEPENDENCIES: Final = 500_000


class Move(NamedTuple):
    """One change of a rule: before and after; a create has no before, a delete no after."""

    before: RoutingEntry | None
    after: RoutingEntry | None


@dataclass(frozen=True, slots=True)
class RuleVersion:
    """A rule before or after its change: the change, its list, its rank there, and its priority as
    evaluated.
    """

    move: int
    slices: PivotSlices
    rank: int
    level: float

    @property
    def destination(self) -> object:
        """Return the destination of the rule."""
        return self.slices.destinations[self.rank]


_Pairs = set[tuple[int, int]]


@dataclass(slots=True)
class _Links:
    """The dependencies that are known so far."""

    add_before_remove: _Pairs = field(default_factory=set)
    remove_before_remove: _Pairs = field(default_factory=set)
    add_before_add: _Pairs = field(default_factory=set)

    def check_number(self) -> None:
        """Raise UndecidedError if there are too many."""
        pairs = (self.add_before_remove, self.remove_before_remove, self.add_before_add)
        if sum(map(len, pairs)) > MAX_DEPENDENCIES:
            raise UndecidedError

    def freeze(self, names: MovePairs) -> Dependencies:
        """Return the dependencies, with these of names."""
        return Dependencies(
            add_before_remove=frozenset(self.add_before_remove),
            remove_before_remove=frozenset(self.remove_before_remove),
            add_before_add=frozenset(self.add_before_add),
            names=names,
        )


class Constraints:
    """The dependencies between changes; `undecided` are those for which the work budget was
    spent.
    """

    def __init__(
        self,
        moves: Sequence[Move],
        fixed: Sequence[RoutingEntry],
        evaluation: Evaluation,
        work: int,
    ) -> None:
        self.moves = moves
        old_entries = [move.before for move in moves]
        new_entries = [move.after for move in moves]
        before = order_entries((*fixed, *filter(None, old_entries)), evaluation)
        after = order_entries((*fixed, *filter(None, new_entries)), evaluation)
        self.space = Space((before, after))
        self.space.budget.remaining = work
        self.old = PivotSlices(self.space, before)
        self.new = PivotSlices(self.space, after)
        self.levels = _levels_by_list((self.old, self.new), evaluation)
        self._collect_versions(old_entries, new_entries)
        self._links = _Links()
        self._remaining_checks = MAX_PAIR_CHECKS
        self.undecided = self._find_links()
        self.dependencies = self._links.freeze(_name_dependencies(moves, fixed))

    def _versions(
        self,
        slices: PivotSlices,
        entries: Sequence[RoutingEntry | None],
    ) -> dict[int, RuleVersion]:
        """Return the versions that take part: enabled, and without a contradiction."""
        rank_of = {id(entry): rank for rank, entry in enumerate(slices.entries)}
        levels = self.levels[id(slices)]
        versions = {}
        for move, entry in enumerate(entries):
            rank = rank_of.get(id(entry))
            if rank is not None:
                versions[move] = RuleVersion(move, slices, rank, levels[rank])
        return versions

    def _collect_versions(
        self,
        old_entries: Sequence[RoutingEntry | None],
        new_entries: Sequence[RoutingEntry | None],
    ) -> None:
        self.old_versions = self._versions(self.old, old_entries)
        self.new_versions = self._versions(self.new, new_entries)
        self._drop_unchanged_routing()

    def _drop_unchanged_routing(self) -> None:
        """Remove changes without an effect on routing: a new name, a new description."""
        for move in list(self.old_versions):
            old = self.old_versions[move]
            new = self.new_versions.get(move)
            if new is None or old.level != new.level:
                continue
            if old.destination != new.destination:
                continue
            # one of the two equal rules is always present
            if self.old.boxes[old.rank] is self.new.boxes[new.rank]:
                del self.old_versions[move]
                del self.new_versions[move]

    def _find_links(self) -> set[int]:
        """Add all links; return the changes for which that was not decided."""
        old_index = _VersionIndex(self.old_versions.values())
        new_index = _VersionIndex(self.new_versions.values())
        try:
            for old in old_index.all:
                for new in self._overlapping_versions(old, new_index):
                    if self._blocks_removal(old, new):
                        self._links.add_before_remove.add((new.move, old.move))
                for hidden in self._hidden_versions(old, old_index):
                    if self._share_conversation(old, hidden, (old.level, hidden.level)):
                        self._links.remove_before_remove.add((hidden.move, old.move))
            for new in new_index.all:
                for hidden in self._hidden_versions(new, new_index):
                    if self._share_conversation(new, hidden, (hidden.level, new.level)):
                        self._links.add_before_add.add((new.move, hidden.move))
        except UndecidedError:
            return {*self.old_versions, *self.new_versions}
        return set()

    def _blocks_removal(self, old: RuleVersion, new: RuleVersion) -> bool:
        """Return whether a new rule takes over a conversation of an old one."""
        if self.visible_up_to(new) < old.level:
            return False
        return self._share_conversation(old, new, (old.level, new.level))

    def _hidden_versions(
        self,
        version: RuleVersion,
        index: "_VersionIndex",
    ) -> Iterator[RuleVersion]:
        """Yield the versions behind this one that have another destination."""
        for hidden in self._overlapping_versions(version, index):
            is_behind = version.level < hidden.level
            if is_behind and version.destination != hidden.destination:
                yield hidden

    def _overlapping_versions(
        self,
        version: RuleVersion,
        index: "_VersionIndex",
    ) -> Iterator[RuleVersion]:
        """Yield visible versions of other changes that may have a conversation in common with this
        one.
        """
        reach = self.visible_up_to(version)
        shape = version.slices.boxes[version.rank].shape
        overlapping = self.space.shapes.overlapping(shape)
        for candidate in index.candidates(version):
            if candidate.level <= reach and candidate.move != version.move:
                self._remaining_checks -= 1
                if self._remaining_checks <= 0:
                    raise UndecidedError
                if overlapping >> candidate.slices.boxes[candidate.rank].shape & 1:
                    yield candidate

    def visible_up_to(self, version: RuleVersion) -> float:
        """Return the priority behind which the rule's other version takes all conversations of this
        one.
        """
        is_old = version.slices is self.old
        versions = self.new_versions if is_old else self.old_versions
        twin = versions.get(version.move)
        if twin is None:
            return float("inf")
        box = version.slices.boxes[version.rank]
        if twin.slices.boxes[twin.rank] is not box:
            return float("inf")
        return twin.level

    def _share_conversation(
        self,
        version: RuleVersion,
        other: RuleVersion,
        levels: tuple[float, float],
    ) -> bool:
        """Return whether a conversation fits both, and no old rule above levels[0] and no new one
        above levels[1].
        """
        few, many = _narrow_first(version, other)
        is_wide = not few.slices.boxes[few.rank].atoms
        if is_wide and not self._may_share_conversation(version, other, levels):
            return False

        old, new = self._ranks_at(levels)

        self._links.check_number()
        for atom in few.slices.atoms(few.rank):
            self._remaining_checks -= 1
            if self._remaining_checks <= 0:
                raise UndecidedError
            if not many.slices.holds(atom, many.rank):
                continue
            first = version.slices.shape(atom, version.rank)
            second = other.slices.shape(atom, other.rank)
            blockers = self.old.mask_before(atom, old)
            blockers |= self.new.mask_before(atom, new)
            if self.old.shapes(atom).has_free_box(first, second, blockers):
                return True
        return False

    def _may_share_conversation(
        self,
        version: RuleVersion,
        other: RuleVersion,
        levels: tuple[float, float],
    ) -> bool:
        """Return whether rules without a condition on the pivot, above these levels of the old and
        the new list, leave two versions something in common.
        """
        old, new = self._ranks_at(levels)
        old_mask = self.old.always_masks.mask_before(old)
        new_mask = self.new.always_masks.mask_before(new)
        first = version.slices.boxes[version.rank].shape
        second = other.slices.boxes[other.rank].shape
        return self.space.shapes.has_free_box(first, second, old_mask | new_mask)

    def _ranks_at(self, levels: tuple[float, float]) -> tuple[int, int]:
        """Return the first rank at a priority of the old list, and at one of the new list."""
        old, new = levels
        return (
            bisect_left(self.levels[id(self.old)], old),
            bisect_left(self.levels[id(self.new)], new),
        )


def _levels_by_list(
    lists: Iterable[PivotSlices], evaluation: Evaluation
) -> dict[int, list[float]]:
    """Return the priorities of the rules of each list in order, as growing numbers, by the list's
    identity.
    """
    sign = 1 if evaluation == "lowest-first" else -1
    return {
        id(slices): [sign * entry.rule.priority for entry in slices.entries]
        for slices in lists
    }


def _narrow_first(
    version: RuleVersion, other: RuleVersion
) -> tuple[RuleVersion, RuleVersion]:
    """Return two versions, one with few values of the pivot first."""
    if version.slices.boxes[version.rank].atoms:
        return version, other
    return other, version


class _VersionIndex:
    def __init__(self, versions: Iterable[RuleVersion]) -> None:
        self.all = list(versions)
        self.versions_by_atom: dict[int, list[RuleVersion]] = {}
        self.wide: list[RuleVersion] = []
        for version in self.all:
            atoms = version.slices.boxes[version.rank].atoms
            if not atoms:
                self.wide.append(version)
            for atom in atoms:
                self.versions_by_atom.setdefault(atom, []).append(version)

    def candidates(self, version: RuleVersion) -> Iterable[RuleVersion]:
        """Return the versions with a value of the pivot that this one has, and those with many
        values.
        """
        atoms = version.slices.boxes[version.rank].atoms
        if not atoms:
            return self.all
        if len(atoms) == 1:
            return [*self.versions_by_atom.get(atoms[0], ()), *self.wide]
        groups = (self.versions_by_atom.get(atom, ()) for atom in atoms)
        narrow = {
            candidate.move: candidate for candidate in chain.from_iterable(groups)
        }
        return [*narrow.values(), *self.wide]


def _name_dependencies(
    moves: Sequence[Move], fixed: Sequence[RoutingEntry]
) -> frozenset[tuple[int, int]]:
    """Return pairs: the change that frees a name, and the change that takes it; shared names bind
    no change.
    """
    freed: list[tuple[str | None, int]] = []
    taken: list[tuple[str | None, int]] = []
    for number, move in enumerate(moves):
        before = move.before.rule.name if move.before else None
        after = move.after.rule.name if move.after else None
        if before != after:
            freed.append((before, number))
            taken.append((after, number))

    owners = group_pairs(freed)
    fixed_names = {None, *(entry.rule.name for entry in fixed)}
    dependencies = set[tuple[int, int]]()
    for name, taker in taken:
        if name not in fixed_names:
            dependencies.update((owner, taker) for owner in owners.get(name, ()))
    return frozenset(dependencies)
