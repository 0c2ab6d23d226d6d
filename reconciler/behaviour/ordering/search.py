"""Every order of a few changes, searched through exactly.

What counts of a conversation is its class: which versions of changed rules it fits, and which rule that stays takes it
if none of those is there. A state (which changes are made) is good when in each class every rule that may win has a
destination that may win before all changes, or after them.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.space.slices import UNNAMED_SLICE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.ordering.constraints import Constraints, RuleVersion
    from reconciler.behaviour.space.boxes import Shapes


MAX_CLASSES: Final = 20_000
MAX_SLICES: Final = 1_000  # how many values of the pivot are looked at before the search is given up
_STATE_COST: Final = 5  # what it costs to look for the winners of a class in a state, in comparisons
_DEFAULT_LEVEL: Final = float("inf")


class _ConversationClass(NamedTuple):
    """Conversations that fit just these versions, of all changed ones up to where a rule that stays takes them."""

    versions: tuple[tuple[float, int, bool, object], ...]
    """Of each: its level, the change, whether it comes (else it goes), its destination."""
    fixed_rules: tuple[tuple[float, object], ...]
    """Rules that stay, of one level: the level and the destination of each."""

    def winners(self, state: int) -> frozenset[object]:
        """Return the destinations that may win once the changes of the mask are made."""
        there = [(level, goal) for level, move, comes, goal in self.versions if bool(state >> move & 1) is comes]
        there += self.fixed_rules
        first = min(level for level, _ in there)
        return frozenset(goal for level, goal in there if level == first)


def search_waves(
    constraints: Constraints, moves: Sequence[int], names: Iterable[tuple[int, int]]
) -> list[list[int]] | None:
    """Return waves of some changes, or None where no order of them is good.

    `names`: who frees one before who takes it. All other changes have nothing to do with these.
    """
    place = {move: number for number, move in enumerate(moves)}
    classes = _collect_classes(constraints, place)
    if classes is None:
        return None
    constraints.space.budget.spend(_STATE_COST * len(classes) << len(moves))
    bad = _find_bad_states(classes, len(moves))
    waits = [0] * len(moves)
    for frees, takes in names:
        waits[place[takes]] |= 1 << place[frees]
    deletes = [constraints.moves[move].after is None for move in moves]
    path = _find_path(len(moves), bad, waits, deletes)
    if path is None:
        return None
    return [[moves[number] for number in wave] for wave in _merge_into_waves(path, bad, waits, deletes)]


def _find_bad_states(classes: Iterable[_ConversationClass], count: int) -> set[int]:
    """Return the states in which some conversation goes where it may not."""
    everything = (1 << count) - 1
    found: set[int] = set()
    for one in classes:
        allowed = one.winners(0) | one.winners(everything)
        found |= {made for made in range(everything + 1) if not one.winners(made) <= allowed}
    return found


def _find_path(count: int, bad: set[int], waits: Sequence[int], deletes: Sequence[bool]) -> list[int] | None:
    """Return an order through good states; deletes come as late as may be."""
    by_choice = sorted(range(count), key=lambda move: deletes[move])
    seen = {0}
    work: list[tuple[int, list[int]]] = [(0, [])]
    while work:
        made, path = work.pop()
        if len(path) == count:
            return path
        for move in reversed(by_choice):
            then = made | 1 << move
            if not made >> move & 1 and not waits[move] & ~made and then not in bad and then not in seen:
                seen.add(then)
                work.append((then, [*path, move]))
    return None


def _merge_into_waves(
    path: Sequence[int], bad: set[int], waits: Sequence[int], deletes: Sequence[bool]
) -> list[list[int]]:
    """Put neighbours of an order in one wave where every order of them is good, and all delete or none does."""
    waves: list[list[int]] = []
    made = 0
    for move in path:
        wave = [*waves[-1], move] if waves else [move]
        begun = made & ~sum(1 << one for one in wave)
        alike = len({deletes[one] for one in wave}) == 1
        if waves and alike and not waits[move] & ~begun and not any(begun | some in bad for some in _subsets(wave)):
            waves[-1] = wave
        else:
            waves.append([move])
        made |= 1 << move
    return waves


def _subsets(moves: Sequence[int]) -> Iterator[int]:
    for count in range(len(moves) + 1):
        for some in combinations(moves, count):
            yield sum(1 << move for move in some)


def _collect_classes(constraints: Constraints, index_of: Mapping[int, int]) -> set[_ConversationClass] | None:
    """Return the classes with versions of two changes or more; None where there are too many to look at."""
    found: set[_ConversationClass] = set()
    both = (*constraints.old_versions.values(), *constraints.new_versions.values())
    versions = sorted((one for one in both if one.move in index_of), key=lambda one: one.level)
    atoms = _collect_atoms(versions)
    if len(atoms) > MAX_SLICES:
        return None
    looked = 0
    for atom in atoms:
        here = [one for one in versions if one.slices.holds(atom, one.rank)]
        if len({one.move for one in here}) > 1:
            for one in _SliceClasses(constraints, atom, here, index_of).classes():
                found.add(one)
                looked += 1
                if looked > MAX_CLASSES:
                    return None
    return found


def _collect_atoms(versions: Iterable[RuleVersion]) -> list[int]:
    return list(dict.fromkeys(atom for one in versions for atom in one.slices.atoms(one.rank)))


class _SliceClasses:
    """The classes of one value of the pivot."""

    def __init__(
        self, constraints: Constraints, atom: int, versions: Sequence[RuleVersion], index_of: Mapping[int, int]
    ) -> None:
        self.constraints, self.atom, self.versions, self.index_of = constraints, atom, versions, index_of
        old = constraints.old
        changed = {(id(old), one.rank) for one in constraints.old_versions.values()}
        levels = constraints.levels[id(old)]
        self.fixed_rules = [
            (levels[rank], old.shape(atom, rank), old.destinations[rank])
            for rank in old.ranks_in(atom)
            if (id(old), rank) not in changed
        ]

    def classes(self) -> Iterator[_ConversationClass]:
        """Yield each class that some conversation is in."""
        for fitting in self.version_sets(0, ()):
            if len({one.move for one in fitting}) > 1:
                yield from self.classes_of(fitting)

    def version_sets(self, position: int, chosen: tuple[RuleVersion, ...]) -> Iterator[tuple[RuleVersion, ...]]:
        """Yield every set of versions that may have a conversation in common."""
        if position == len(self.versions):
            yield chosen
            return
        self.constraints.space.budget.spend(1 + len(chosen))
        version = self.versions[position]
        if all(self.overlap(version, one) for one in chosen):
            yield from self.version_sets(position + 1, (*chosen, version))
        yield from self.version_sets(position + 1, chosen)

    def overlap(self, version: RuleVersion, other_version: RuleVersion) -> bool:
        """Say whether two versions have something in common, as far as each attribute tells."""
        shapes = self.shapes()
        first, second = (each.slices.shape(self.atom, each.rank) for each in (version, other_version))
        return bool(shapes.overlapping(first) >> second & 1)

    def classes_of(self, fitting: Sequence[RuleVersion]) -> Iterator[_ConversationClass]:
        """Yield the classes of conversations that fit these versions, by which rules that stay would take them."""
        self.constraints.space.budget.spend(len(self.fixed_rules))
        seen: set[_ConversationClass] = set()
        first = min(one.level for one in fitting)
        for level in [*dict.fromkeys(level for level, _, _ in self.fixed_rules if level >= first), _DEFAULT_LEVEL]:
            self.constraints.space.budget.spend(len(self.fixed_rules))
            tied = [(shape, goal) for at, shape, goal in self.fixed_rules if at == level]
            for some in _nonempty_subsets(tied) if level != _DEFAULT_LEVEL else [()]:
                one = self.make_class(fitting, level, some)
                if one not in seen and self.is_inhabited(fitting, level, tied, some):
                    seen.add(one)
                    yield one

    def make_class(
        self, fitting: Sequence[RuleVersion], level: float, takers: Sequence[tuple[int, object]]
    ) -> _ConversationClass:
        """Return the class; versions below the level at which a rule stays can never win."""
        old = self.constraints.old
        versions = tuple(
            (one.level, self.index_of[one.move], one.slices is not old, one.destination)
            for one in fitting
            if one.level <= level
        )
        stays = tuple(sorted({(level, goal) for _, goal in takers}, key=repr)) or ((_DEFAULT_LEVEL, None),)
        return _ConversationClass(versions, stays)

    def is_inhabited(
        self, fitting: Sequence[RuleVersion], level: float, tied: Sequence[tuple[int, object]], takers: Sequence[object]
    ) -> bool:
        """Say whether any conversation is in the class."""
        self.constraints.space.budget.spend(len(self.versions) + len(self.fixed_rules))
        inside = {id(one) for one in fitting}
        blockers = 0
        for one in self.versions:
            if id(one) not in inside and one.level <= level:
                blockers |= 1 << one.slices.shape(self.atom, one.rank)
        for at, shape, _ in self.fixed_rules:
            if at < level:
                blockers |= 1 << shape
        heads = [one.slices.shape(self.atom, one.rank) for one in fitting if one.level <= level]
        heads += [shape for shape, goal in tied if (shape, goal) in takers]
        blockers |= sum({1 << shape for shape, goal in tied if (shape, goal) not in takers})
        return self.shapes().find_free_box_in_all(heads, blockers) is not None

    def shapes(self) -> Shapes:
        """Return the shapes of this slice."""
        space = self.constraints.space
        return space.rest_shapes if self.atom == UNNAMED_SLICE else space.shapes


def _nonempty_subsets(tied: Sequence[tuple[int, object]]) -> Iterator[tuple[tuple[int, object], ...]]:
    for count in range(1, len(tied) + 1):
        yield from combinations(tied, count)
