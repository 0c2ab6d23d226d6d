"""The dependencies between changes, so that every conversation goes to its old or its new
destination.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.ordering.graph import Dependencies
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
        self.levels = {
            id(self.old): _evaluation_levels(self.old, evaluation),
            id(self.new): _evaluation_levels(self.new, evaluation),
        }
        self.old_versions = self._versions(self.old, old_entries)
        self.new_versions = self._versions(self.new, new_entries)
        self._drop_unchanged_routing()

        self.add_before_remove: set[tuple[int, int]] = set()
        self.remove_before_remove: set[tuple[int, int]] = set()
        self.add_before_add: set[tuple[int, int]] = set()
        self.undecided: set[int] = set()
        self._remaining_checks = MAX_PAIR_CHECKS
        self._find_dependencies()
        self.dependencies = Dependencies(
            add_before_remove=frozenset(self.add_before_remove),
            remove_before_remove=frozenset(self.remove_before_remove),
            add_before_add=frozenset(self.add_before_add),
            names=_name_dependencies(moves, fixed),
        )

    def _versions(
        self, slices: PivotSlices, entries: Sequence[RoutingEntry | None]
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

    def _find_dependencies(self) -> None:
        old_index = _VersionIndex(self.old_versions.values())
        new_index = _VersionIndex(self.new_versions.values())
        try:
            for old in self.old_versions.values():
                for new in self._overlapping_versions(old, new_index):
                    levels = (old.level, new.level)
                    is_visible = self.visible_up_to(new) >= old.level
                    if is_visible and self._share_conversation(old, new, levels):
                        self.add_before_remove.add((new.move, old.move))
                for hidden in self._hidden_versions(old, old_index):
                    if self._share_conversation(old, hidden, (old.level, hidden.level)):
                        self.remove_before_remove.add((hidden.move, old.move))
            for new in self.new_versions.values():
                for hidden in self._hidden_versions(new, new_index):
                    if self._share_conversation(new, hidden, (hidden.level, new.level)):
                        self.add_before_add.add((new.move, hidden.move))
        except UndecidedError:
            self.undecided = {*self.old_versions, *self.new_versions}

    def _hidden_versions(
        self, version: RuleVersion, index: "_VersionIndex"
    ) -> Iterator[RuleVersion]:
        """Yield the versions behind this one that have another destination."""
        for hidden in self._overlapping_versions(version, index):
            is_behind = version.level < hidden.level
            if is_behind and version.destination != hidden.destination:
                yield hidden

    def _overlapping_versions(
        self, version: RuleVersion, index: "_VersionIndex"
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
        self, version: RuleVersion, other: RuleVersion, levels: tuple[float, float]
    ) -> bool:
        """Return whether a conversation fits both, and no old rule above levels[0] and no new one
        above levels[1].
        """
        few = version
        many = other
        if not version.slices.boxes[version.rank].atoms:
            few = other
            many = version
        old = bisect_left(self.levels[id(self.old)], levels[0])
        new = bisect_left(self.levels[id(self.new)], levels[1])
        is_wide = not few.slices.boxes[few.rank].atoms
        if is_wide and not self._may_share_conversation(version, other, (old, new)):
            return False

        links = self._count_links()  # none is added while this search runs
        for atom in few.slices.atoms(few.rank):
            self._remaining_checks -= 1
            if self._remaining_checks <= 0 or links > MAX_DEPENDENCIES:
                raise UndecidedError
            if not many.slices.holds(atom, many.rank):
                continue
            first = version.slices.shape(atom, version.rank)
            second = other.slices.shape(atom, other.rank)
            old_mask = self.old.mask_before(atom, old)
            new_mask = self.new.mask_before(atom, new)
            shapes = self.old.shapes(atom)
            if shapes.has_free_box(first, second, old_mask | new_mask):
                return True
        return False

    def _may_share_conversation(
        self, version: RuleVersion, other: RuleVersion, ranks: tuple[int, int]
    ) -> bool:
        """Return whether rules without a condition on the pivot, before these ranks of the old and
        the new list, leave two versions something in common.
        """
        old, new = ranks
        old_mask = self.old.always_masks.mask_before(old)
        new_mask = self.new.always_masks.mask_before(new)
        first = version.slices.boxes[version.rank].shape
        second = other.slices.boxes[other.rank].shape
        return self.space.shapes.has_free_box(first, second, old_mask | new_mask)

    def _count_links(self) -> int:
        links = (self.add_before_add, self.remove_before_remove, self.add_before_remove)
        return sum(map(len, links))


def _evaluation_levels(slices: PivotSlices, evaluation: Evaluation) -> list[float]:
    """Return the priorities of the rules in order, as growing numbers."""
    sign = 1 if evaluation == "lowest-first" else -1
    return [sign * entry.rule.priority for entry in slices.entries]


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
