"""An exact search of every order of a few changes.

A state (the changes made so far) is good when in each class of conversations every rule that may
win has a destination that may win before all changes, or after them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final, NamedTuple

from reconciler.core.behaviour.ordering.constraints import Constraints, RuleVersion
from reconciler.core.behaviour.space.patterns import union

MAX_CLASSES: Final = 20_000
MAX_SLICES: Final = 1_000  # values of the pivot, before the search is given up
# of the search for the winners of a class in a state, in comparisons
_STATE_COST: Final = 5
_DEFAULT_LEVEL: Final = float("inf")

Waves = list[list[int]]  # of changes


class _ConversationClass(NamedTuple):
    """Conversations that fit exactly these versions, of all changed ones up to the level of the
    fixed rules.
    """

    # level, change, whether it is the new rule, destination
    versions: tuple[tuple[float, int, bool, object], ...]
    # of one level: the level and the destination of each
    fixed_rules: tuple[tuple[float, object], ...]

    def winners(self, state: int) -> frozenset[object]:
        """Return the destinations that may win once the changes of the mask are made."""
        present = [
            (level, goal)
            for level, move, is_new, goal in self.versions
            if bool(state >> move & 1) is is_new
        ]
        present += self.fixed_rules
        first = min(level for level, _ in present)
        return frozenset(goal for level, goal in present if level == first)


def search_waves(
    constraints: Constraints,
    moves: Sequence[int],
    names: Iterable[tuple[int, int]],
) -> Waves | None:
    """Return waves of some changes, independent of all others, or None where no order of them is
    good.
    """
    # `names` are pairs: the change that frees a name, and the change that takes it.
    index_of = {move: number for number, move in enumerate(moves)}
    classes = _collect_classes(constraints, index_of)
    if classes is None:
        return None
    constraints.space.budget.spend(_STATE_COST * len(classes) << len(moves))
    bad = _bad_states(classes, len(moves))
    waits = [0] * len(moves)
    for owner, taker in names:
        waits[index_of[taker]] |= 1 << index_of[owner]
    deletes = [constraints.moves[move].after is None for move in moves]
    path = _find_path(len(moves), bad, waits, deletes)
    if path is None:
        return None
    waves = _merge_into_waves(path, bad, waits, deletes)
    return [[moves[number] for number in wave] for wave in waves]


def _bad_states(classes: Iterable[_ConversationClass], count: int) -> set[int]:
    """Return the sets of changes, as masks, after which a conversation goes elsewhere than before
    or after all changes.
    """
    everything = (1 << count) - 1
    bad: set[int] = set()
    for conversations in classes:
        allowed = conversations.winners(0) | conversations.winners(everything)
        bad |= {
            state
            for state in range(everything + 1)
            if not conversations.winners(state) <= allowed
        }
    return bad


def _find_path(
    count: int,
    bad: set[int],
    waits: Sequence[int],
    deletes: Sequence[bool],
) -> list[int] | None:
    """Return an order through good states, with deletes as late as possible."""
    by_choice = sorted(range(count), key=lambda move: deletes[move])
    visited = {0}
    work: list[tuple[int, list[int]]] = [(0, [])]
    while work:
        state, path = work.pop()
        if len(path) == count:
            return path
        for move in reversed(by_choice):
            then = state | 1 << move
            if (
                not state >> move & 1
                and not waits[move] & ~state
                and then not in bad
                and then not in visited
            ):
                visited.add(then)
                work.append((then, [*path, move]))
    return None


def _merge_into_waves(
    path: Sequence[int],
    bad: set[int],
    waits: Sequence[int],
    deletes: Sequence[bool],
) -> Waves:
    """Put neighbours of an order in one wave where every order of them is good, and all or none
    delete.
    """
    waves: Waves = []
    state = 0
    for move in path:
        wave = [*waves[-1], move] if waves else [move]
        begun = state & ~union(1 << member for member in wave)
        is_uniform = len({deletes[member] for member in wave}) == 1
        can_join = waves and is_uniform and not waits[move] & ~begun
        if can_join and not any(begun | mask in bad for mask in _subset_masks(wave)):
            waves[-1] = wave
        else:
            waves.append([move])
        state |= 1 << move
    return waves


def _subset_masks(members: Sequence[int]) -> Iterator[int]:
    """Yield every subset of the members, the empty one and all of them included, as a mask."""
    for size in range(len(members) + 1):
        for subset in combinations(members, size):
            yield union(1 << member for member in subset)


def _collect_classes(
    constraints: Constraints, index_of: Mapping[int, int]
) -> set[_ConversationClass] | None:
    """Return the classes with versions of two changes or more; None where there are too many."""
    classes: set[_ConversationClass] = set()
    both = (*constraints.old_versions.values(), *constraints.new_versions.values())
    versions = sorted(
        (version for version in both if version.move in index_of),
        key=lambda version: version.level,
    )
    atoms = dict.fromkeys(
        atom for version in versions for atom in version.slices.atoms(version.rank)
    )
    if len(atoms) > MAX_SLICES:
        return None
    count = 0
    for atom in atoms:
        inside = [
            version for version in versions if version.slices.holds(atom, version.rank)
        ]
        if len({version.move for version in inside}) > 1:
            for conversations in _SliceClasses(
                constraints,
                atom,
                inside,
                index_of,
            ).classes():
                classes.add(conversations)
                count += 1
                if count > MAX_CLASSES:
                    return None
    return classes


class _SliceClasses:
    """The classes of one value of the pivot."""

    def __init__(
        self,
        constraints: Constraints,
        atom: int,
        versions: Sequence[RuleVersion],
        index_of: Mapping[int, int],
    ) -> None:
        self.constraints = constraints
        self.atom = atom
        self.versions = versions
        self.index_of = index_of
        old = constraints.old
        self.shapes = old.shapes(atom)
        changed = {version.rank for version in constraints.old_versions.values()}
        levels = constraints.levels[id(old)]
        fixed = [rank for rank in old.ranks_in(atom) if rank not in changed]
        self.fixed_rules = [
            (levels[rank], old.shape(atom, rank), old.destinations[rank])
            for rank in fixed
        ]

    def classes(self) -> Iterator[_ConversationClass]:
        """Yield each class with a conversation and versions of two changes or more."""
        for fitting in self.version_sets(0, ()):
            if len({version.move for version in fitting}) > 1:
                yield from self.classes_of(fitting)

    def version_sets(
        self,
        position: int,
        chosen: tuple[RuleVersion, ...],
    ) -> Iterator[tuple[RuleVersion, ...]]:
        """Yield every set of versions that may have a conversation in common."""
        if position == len(self.versions):
            yield chosen
            return
        self.constraints.space.budget.spend(1 + len(chosen))
        version = self.versions[position]
        if all(
            self.shapes.overlapping(self.shape(version)) >> self.shape(member) & 1
            for member in chosen
        ):
            yield from self.version_sets(position + 1, (*chosen, version))
        yield from self.version_sets(position + 1, chosen)

    def shape(self, version: RuleVersion) -> int:
        return version.slices.shape(self.atom, version.rank)

    def classes_of(
        self, fitting: Sequence[RuleVersion]
    ) -> Iterator[_ConversationClass]:
        """Yield the classes of conversations that fit these versions, by the fixed rules that would
        take them.
        """
        budget = self.constraints.space.budget
        budget.spend(len(self.fixed_rules))
        classes = set[_ConversationClass]()
        first = min(version.level for version in fitting)
        levels = dict.fromkeys(
            level for level, _, _ in self.fixed_rules if level >= first
        )
        for level in (*levels, _DEFAULT_LEVEL):
            budget.spend(len(self.fixed_rules))
            versions = self.versions_up_to(level, fitting)
            tied = [
                (shape, goal) for at, shape, goal in self.fixed_rules if at == level
            ]
            for takers in _possible_takers(level, tied):
                conversations = _ConversationClass(
                    versions, _taker_goals(level, takers)
                )
                if conversations in classes:
                    continue
                if self.is_inhabited(fitting, level, tied, takers):
                    classes.add(conversations)
                    yield conversations

    def versions_up_to(
        self,
        level: float,
        fitting: Iterable[RuleVersion],
    ) -> tuple[tuple[float, int, bool, object], ...]:
        """Return the versions that can win: those below the level of a fixed rule never do."""
        old = self.constraints.old
        return tuple(
            (
                version.level,
                self.index_of[version.move],
                version.slices is not old,
                version.destination,
            )
            for version in fitting
            if version.level <= level
        )

    def is_inhabited(
        self,
        fitting: Sequence[RuleVersion],
        level: float,
        tied: Sequence[tuple[int, object]],
        takers: Sequence[object],
    ) -> bool:
        self.constraints.space.budget.spend(len(self.versions) + len(self.fixed_rules))
        inside = {id(version) for version in fitting}
        heads = [self.shape(version) for version in fitting if version.level <= level]
        blockers = [
            self.shape(version)
            for version in self.versions
            if id(version) not in inside and version.level <= level
        ]
        blockers += [shape for at, shape, _ in self.fixed_rules if at < level]
        for rule in tied:
            shape, _ = rule
            if rule in takers:
                heads.append(shape)
            else:
                blockers.append(shape)
        mask = union(1 << shape for shape in blockers)
        return self.shapes.find_free_box_in_all(heads, mask) is not None


# a rule that does not change: its shape and its destination
_FixedRule = tuple[int, object]


def _possible_takers(
    level: float, tied: Sequence[_FixedRule]
) -> Iterator[tuple[_FixedRule, ...]]:
    """Yield the sets of fixed rules of a level that may take a conversation; none at the default."""
    if level == _DEFAULT_LEVEL:
        yield ()
        return
    for size in range(1, len(tied) + 1):
        yield from combinations(tied, size)


def _taker_goals(
    level: float, takers: Iterable[_FixedRule]
) -> tuple[tuple[float, object], ...]:
    """Return the level and the destination of each taker, or those of the default routing."""
    goals = {(level, goal) for _, goal in takers}
    return tuple(sorted(goals, key=repr)) or ((_DEFAULT_LEVEL, None),)
