"""Every order of a few changes, searched through exactly.

What counts of a conversation is its class: which versions of changed rules it fits, and which rule that stays takes it
if none of those is there. A state (which changes are made) is good when in each class every rule that may win has a
destination that may win before all changes, or after them.
"""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.behaviour.space.slices import UNNAMED

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.ordering.constraints import Constraints, Version
    from reconciler.behaviour.space.boxes import Shapes


MOST_CLASSES: Final = 20_000
MOST_SLICES: Final = 1_000
"""How many values of the pivot are looked at before the search is given up."""
_OF_A_STATE: Final = 5
"""What it costs to look for the winners of a class in a state, in comparisons."""
_LAST: Final = float("inf")


class _Class(NamedTuple):
    """Conversations that fit just these versions, of all changed ones up to where a rule that stays takes them."""

    versions: tuple[tuple[float, int, bool, object], ...]
    """Of each: its level, the change, whether it comes (else it goes), its destination."""
    stays: tuple[tuple[float, object], ...]
    """Rules that stay, of one level: the level and the destination of each."""

    def winners(self, made: int) -> frozenset[object]:
        """Return the destinations that may win once the changes of the mask are made."""
        there = [(level, goal) for level, move, comes, goal in self.versions if bool(made >> move & 1) is comes]
        there += self.stays
        first = min(level for level, _ in there)
        return frozenset(goal for level, goal in there if level == first)


def search(constraints: Constraints, moves: Sequence[int], names: Iterable[tuple[int, int]]) -> list[list[int]] | None:
    """Return waves of some changes, or None where no order of them is good.

    `names`: who frees one before who takes it. All other changes have nothing to do with these.
    """
    place = {move: number for number, move in enumerate(moves)}
    classes = _classes(constraints, place)
    if classes is None:
        return None
    constraints.space.budget.spend(_OF_A_STATE * len(classes) << len(moves))
    bad = _bad(classes, len(moves))
    waits = [0] * len(moves)
    for frees, takes in names:
        waits[place[takes]] |= 1 << place[frees]
    deletes = [constraints.moves[move].after is None for move in moves]
    path = _path(len(moves), bad, waits, deletes)
    if path is None:
        return None
    return [[moves[number] for number in wave] for wave in _waves(path, bad, waits, deletes)]


def _bad(classes: Iterable[_Class], count: int) -> set[int]:
    """Return the states in which some conversation goes where it may not."""
    everything = (1 << count) - 1
    found: set[int] = set()
    for one in classes:
        allowed = one.winners(0) | one.winners(everything)
        found |= {made for made in range(everything + 1) if not one.winners(made) <= allowed}
    return found


def _path(count: int, bad: set[int], waits: Sequence[int], deletes: Sequence[bool]) -> list[int] | None:
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


def _waves(path: Sequence[int], bad: set[int], waits: Sequence[int], deletes: Sequence[bool]) -> list[list[int]]:
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


def _classes(constraints: Constraints, place: Mapping[int, int]) -> set[_Class] | None:
    """Return the classes with versions of two changes or more; None where there are too many to look at."""
    found: set[_Class] = set()
    both = (*constraints.going.values(), *constraints.coming.values())
    versions = sorted((one for one in both if one.move in place), key=lambda one: one.level)
    atoms = _atoms(versions)
    if len(atoms) > MOST_SLICES:
        return None
    looked = 0
    for atom in atoms:
        here = [one for one in versions if one.slices.holds(atom, one.rank)]
        if len({one.move for one in here}) > 1:
            for one in _Slice(constraints, atom, here, place).classes():
                found.add(one)
                looked += 1
                if looked > MOST_CLASSES:
                    return None
    return found


def _atoms(versions: Iterable[Version]) -> list[int]:
    return list(dict.fromkeys(atom for one in versions for atom in one.slices.atoms(one.rank)))


class _Slice:
    """The classes of one value of the pivot."""

    def __init__(
        self, constraints: Constraints, atom: int, versions: Sequence[Version], place: Mapping[int, int]
    ) -> None:
        self.constraints, self.atom, self.versions, self.place = constraints, atom, versions, place
        old = constraints.old
        changed = {(id(old), one.rank) for one in constraints.going.values()}
        levels = constraints.levels[id(old)]
        self.stays = [
            (levels[rank], old.shape(atom, rank), old.destinations[rank])
            for rank in old.members(atom)
            if (id(old), rank) not in changed
        ]

    def classes(self) -> Iterator[_Class]:
        """Yield each class that some conversation is in."""
        for fitting in self.choices(0, ()):
            if len({one.move for one in fitting}) > 1:
                yield from self.taken(fitting)

    def choices(self, place: int, chosen: tuple[Version, ...]) -> Iterator[tuple[Version, ...]]:
        """Yield every set of versions that may have a conversation in common."""
        if place == len(self.versions):
            yield chosen
            return
        self.constraints.space.budget.spend(1 + len(chosen))
        version = self.versions[place]
        if all(self.overlap(version, one) for one in chosen):
            yield from self.choices(place + 1, (*chosen, version))
        yield from self.choices(place + 1, chosen)

    def overlap(self, one: Version, other: Version) -> bool:
        """Say whether two versions have something in common, as far as each attribute tells."""
        shapes = self.shapes()
        first, second = (each.slices.shape(self.atom, each.rank) for each in (one, other))
        return bool(shapes.overlapping(first) >> second & 1)

    def taken(self, fitting: Sequence[Version]) -> Iterator[_Class]:
        """Yield the classes of conversations that fit these versions, by which rules that stay would take them."""
        self.constraints.space.budget.spend(len(self.stays))
        seen: set[_Class] = set()
        first = min(one.level for one in fitting)
        for level in [*dict.fromkeys(level for level, _, _ in self.stays if level >= first), _LAST]:
            self.constraints.space.budget.spend(len(self.stays))
            tied = [(shape, goal) for at, shape, goal in self.stays if at == level]
            for some in _nonempty(tied) if level != _LAST else [()]:
                one = self.class_of(fitting, level, some)
                if one not in seen and self.exists(fitting, level, tied, some):
                    seen.add(one)
                    yield one

    def class_of(self, fitting: Sequence[Version], level: float, some: Sequence[tuple[int, object]]) -> _Class:
        """Return the class; versions below the level at which a rule stays can never win."""
        old = self.constraints.old
        versions = tuple(
            (one.level, self.place[one.move], one.slices is not old, one.destination)
            for one in fitting
            if one.level <= level
        )
        stays = tuple(sorted({(level, goal) for _, goal in some}, key=repr)) or ((_LAST, None),)
        return _Class(versions, stays)

    def exists(
        self, fitting: Sequence[Version], level: float, tied: Sequence[tuple[int, object]], some: Sequence[object]
    ) -> bool:
        """Say whether any conversation is in the class."""
        self.constraints.space.budget.spend(len(self.versions) + len(self.stays))
        inside = {id(one) for one in fitting}
        blockers = 0
        for one in self.versions:
            if id(one) not in inside and one.level <= level:
                blockers |= 1 << one.slices.shape(self.atom, one.rank)
        for at, shape, _ in self.stays:
            if at < level:
                blockers |= 1 << shape
        heads = [one.slices.shape(self.atom, one.rank) for one in fitting if one.level <= level]
        heads += [shape for shape, goal in tied if (shape, goal) in some]
        blockers |= sum({1 << shape for shape, goal in tied if (shape, goal) not in some})
        return self.shapes().free_of_all(heads, blockers) is not None

    def shapes(self) -> Shapes:
        """Return the shapes of this slice."""
        space = self.constraints.space
        return space.rest_shapes if self.atom == UNNAMED else space.shapes


def _nonempty(tied: Sequence[tuple[int, object]]) -> Iterator[tuple[tuple[int, object], ...]]:
    for count in range(1, len(tied) + 1):
        yield from combinations(tied, count)
