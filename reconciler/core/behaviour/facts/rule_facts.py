"""Facts about one list of rules, each proven: contradictory, shadowed and redundant rules, and ties
that matter.

A rule that the work budget did not suffice to decide is in `undecided`. Also the pairs of equal
rules of two lists.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import merge
from itertools import chain, groupby, islice
from typing import Final

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.boxes import Box, intersect_box
from reconciler.core.behaviour.space.domain import REST, covers
from reconciler.core.behaviour.space.patterns import bits, union
from reconciler.core.behaviour.space.slices import NO_RANK, UNNAMED_SLICE, PivotSlices
from reconciler.core.behaviour.space.space import Example, find_contradiction
from reconciler.core.behaviour.space.usual_examples import UsualExamples
from reconciler.core.model.grouping import group_pairs, longest_rise
from reconciler.core.model.rule import Condition, Opaque

MAX_TIES_PER_RULE: Final = 20


@dataclass(frozen=True, slots=True)
class Tie:
    """Two rules of equal priority and different destinations, and a conversation for which the
    platform may choose.
    """

    first: RoutingEntry
    second: RoutingEntry
    example: Example


def find_ties(slices: PivotSlices, undecided: dict[int, None]) -> Iterator[Tie]:
    """Yield the ties of a list, at most a few of each rule; adds the ranks that were not decided to
    `undecided`.
    """
    for _, group in groupby(
        range(len(slices.entries)), key=lambda rank: slices.entries[rank].rule.priority
    ):
        ranks = list(group)
        if len(ranks) > 1:
            yield from _PriorityLevel(slices, ranks, undecided).find_ties()


def find_ties_of_pairs(
    slices: PivotSlices, level: Sequence[int], pairs: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, int, Tie | None]]:
    """Yield the pairs of ranks of one priority that are tied, each with its tie; None: whether they
    are is not decided.

    `level` has all ranks of the priority; in a pair, the lower rank is the first one.
    """
    undecided: dict[int, None] = {}
    rules = _PriorityLevel(slices, level, undecided)
    for first, second in pairs:
        undecided.clear()
        tie = rules.find_tie(first, second)
        if tie is not None or undecided:
            yield first, second, tie


class _TiedRules:
    """The conversations that two rules of one priority match, for examples of them."""

    def __init__(self, slices: PivotSlices, mask_before: Callable[[int], int]) -> None:
        self.space = slices.space
        self.new = slices
        self._mask_before = mask_before

    def common_box(self, ranks: tuple[int, int], /) -> Box | None:
        """Return the box that both rules have in common; None where it is empty."""
        first, second = (self.space.box(self.new.boxes[rank]) for rank in ranks)
        return intersect_box(first, tuple(second.items()))

    def shapes_of(self, ranks: tuple[int, int], atom: int, /) -> tuple[int, ...]:
        """Return the shapes of both rules in a slice."""
        return tuple(self.new.shape(atom, rank) for rank in ranks)

    def mask_before(self, _ranks: tuple[int, int], atom: int, /) -> int:
        """Return the shapes in a slice that come before the priority."""
        return self._mask_before(atom)


class _PriorityLevel:
    """The rules of one priority, which have neighbouring ranks."""

    def __init__(
        self,
        slices: PivotSlices,
        ranks: Sequence[int],
        undecided: dict[int, None],
    ) -> None:
        self.slices = slices
        self.ranks = ranks
        self.undecided = undecided
        self.general_by_shape = self._group_by_shape(slices.general_ranks)
        self.wide_by_shape = self._group_by_shape(
            [rank for rank in ranks if not slices.boxes[rank].atoms]
        )
        self._mask_before = cache(lambda atom: slices.mask_before(atom, ranks[0]))
        self._open_masks: dict[int, int] = {}
        self._examples = UsualExamples(_TiedRules(slices, self._mask_before))

    def _group_by_shape(self, ordered: Sequence[int]) -> dict[int, list[int]]:
        boxes = self.slices.boxes
        ranks = self._at_level(ordered)
        return group_pairs((boxes[rank].shape, rank) for rank in ranks)

    def _at_level(self, ordered: Sequence[int]) -> Sequence[int]:
        start = bisect_left(ordered, self.ranks[0])
        end = bisect_right(ordered, self.ranks[-1])
        return ordered[start:end]

    def find_ties(self) -> Iterator[Tie]:
        for rank in self.ranks:
            try:
                ties = (
                    self.find_tie(min(rank, rival), max(rank, rival))
                    for rival in self.candidates(rank)
                )
                yield from islice(
                    (tie for tie in ties if tie is not None), MAX_TIES_PER_RULE
                )
            except UndecidedError:
                self.undecided[rank] = None

    def candidates(self, rank: int) -> Iterator[int]:
        """Yield the rules that a rule may tie with, in order; of two rules with many values the
        second.
        """
        slices = self.slices
        budget = slices.space.budget
        budget.spend(len(self.wide_by_shape))
        if not self.open_slices(rank):
            return
        box = slices.boxes[rank]
        destination = slices.destinations[rank]
        overlapping = slices.space.shapes.overlapping(box.shape)
        near = self._near_rivals(rank, overlapping)
        by_shape = self.general_by_shape if box.atoms else self.wide_by_shape
        wide = (ranks for shape, ranks in by_shape.items() if overlapping >> shape & 1)
        last = -1
        for rival in merge(near, *wide):
            budget.spend()
            if rival <= last or slices.destinations[rival] == destination:
                continue
            if box.atoms or rival > rank:
                last = rival
                yield rival

    def _near_rivals(self, rank: int, overlapping: int) -> list[int]:
        """Return the overlapping rules with a value of the pivot that the rule names; of two rules
        that name it the second.
        """
        slices = self.slices
        boxes = slices.boxes
        named_ranks = [
            self._at_level(slices.ranks_by_atom[atom]) for atom in boxes[rank].atoms
        ]
        slices.space.budget.spend(sum(map(len, named_ranks)))
        near = {
            rival
            for rival in chain.from_iterable(named_ranks)
            if (rival > rank or not boxes[rival].atoms)
            and overlapping >> boxes[rival].shape & 1
        }
        return sorted(near)

    def find_tie(self, first: int, second: int) -> Tie | None:
        """Return the tie of two rules, if a conversation that no better priority takes fits
        both.
        """
        atoms = self.open_slices(first) & self.open_slices(second)
        # first: most rules have a free conversation there
        unnamed = (UNNAMED_SLICE,) if atoms & REST else ()
        try:
            for atom in chain(unnamed, bits(atoms & ~REST)):
                tie = self._find_tie_in(atom, first, second)
                if tie is not None:
                    return tie
        except UndecidedError:
            self.undecided |= {first: None, second: None}
        return None

    def _find_tie_in(self, atom: int, first: int, second: int) -> Tie | None:
        """Return the tie of two rules in one slice; remembers that a rule is closed there."""
        slices = self.slices
        slices.space.budget.spend()
        before = self._mask_before(atom)
        heads = slices.shape(atom, first), slices.shape(atom, second)
        box = slices.find_free_box(atom, heads, before)
        if box is not None:
            box = self._examples.improve([(first, second)], box).box
            slices.space.budget.charge(slices.space.cost_of_example(box))
            example = slices.space.example(box)
            return Tie(slices.entries[first], slices.entries[second], example)
        for rank, head in zip((first, second), heads, strict=True):
            # A rule that better priorities cover in a slice has no tie there.
            if not slices.shapes(atom).may_leave_any(head, head, before):
                self._open_masks[rank] &= ~(1 << atom)
        return None

    def open_slices(self, rank: int) -> int:
        """Return a mask of a rule's slices, without those that better priorities are known to take
        from it.
        """
        if rank not in self._open_masks:
            self._open_masks[rank] = self.slices.open_mask(rank, self.ranks[0])
        return self._open_masks[rank]


@dataclass(frozen=True, slots=True)
class ContradictoryRule:
    """A rule whose conditions cannot hold together; `conditions` are those that contradict each
    other.
    """

    entry: RoutingEntry
    conditions: tuple[Condition | Opaque, ...]


@dataclass(frozen=True, slots=True)
class ShadowedRule:
    """A rule whose conversations earlier rules all take; each of the `shadowing` rules is necessary
    for that.
    """

    entry: RoutingEntry
    shadowing: tuple[RoutingEntry, ...]


@dataclass(frozen=True, slots=True)
class RedundantRule:
    """A rule whose conversations would go to the same destination without it; `replacements` would
    take them.
    """

    entry: RoutingEntry
    replacements: tuple[RoutingEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """The facts about a list of rules."""

    contradictory: tuple[ContradictoryRule, ...]
    shadowed: tuple[ShadowedRule, ...]
    redundant: tuple[RedundantRule, ...]
    ties: tuple[Tie, ...]
    undecided: tuple[RoutingEntry, ...]


def analyze_slices(slices: PivotSlices) -> RuleFacts:
    """Return the facts about a list, managed rules first in case the budget does not last for
    all.
    """
    entries = slices.entries
    shadowed: list[ShadowedRule] = []
    redundant: list[RedundantRule] = []
    undecided: dict[int, None] = {}
    search = ShadowingSearch(slices)
    for rank in sorted(
        range(len(entries)), key=lambda rank: entries[rank].address is None
    ):
        try:
            replacements = _find_replacements(slices, rank)
            if replacements is None:
                shadowed.append(
                    ShadowedRule(entries[rank], search.shadowing_rules(rank))
                )
            elif replacements:
                redundant.append(RedundantRule(entries[rank], replacements))
        except UndecidedError:
            undecided[rank] = None
    never = (
        ContradictoryRule(entry, find_contradiction(slices.space, entry))
        for entry in slices.never_matching
    )
    return RuleFacts(
        contradictory=tuple(never),
        shadowed=tuple(shadowed),
        redundant=tuple(redundant),
        ties=tuple(find_ties(slices, undecided)),  # adds to `undecided`
        undecided=tuple(entries[rank] for rank in sorted(undecided)),
    )


def _find_replacements(
    slices: PivotSlices, rank: int
) -> tuple[RoutingEntry, ...] | None:
    """Return the rules that make this one redundant; () if it is needed, None if it wins no
    conversation.
    """
    wins = False
    takers: dict[int, None] = {}
    for atom in slices.open_atoms(rank):
        slices.space.budget.spend()
        before = slices.mask_before(atom, rank)
        head = slices.shape(atom, rank)
        if slices.shapes(atom).has_free_box(head, head, before):
            wins = True
            if _is_needed_in(slices, atom, rank, before, takers):
                return ()
    return tuple(slices.entries[taker] for taker in sorted(takers)) if wins else None


def _is_needed_in(
    slices: PivotSlices,
    atom: int,
    rank: int,
    before: int,
    takers: dict[int, None],
) -> bool:
    """Return whether a conversation would have another destination without the rule; adds its
    takers to `takers`.
    """
    shape = slices.shape(atom, rank)
    shapes = slices.shapes(atom)
    destination = slices.destinations[rank]
    alike = slices.same_destination_mask_after(atom, rank)
    if not alike or shapes.has_free_box(shape, shape, before | alike):
        return True
    apart = ~shapes.overlapping(shape)
    for later in slices.ranks_in(atom):
        slices.space.budget.spend()
        later_shape = slices.shape(atom, later)
        if later <= rank or (apart | before) >> later_shape & 1:
            continue
        if shapes.has_free_box(shape, later_shape, before):
            if slices.destinations[later] != destination:
                return True
            takers[later] = None
        before |= 1 << later_shape
    return False


class ShadowingSearch:
    """Searches one list; raises UndecidedError where the budget ends a search."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices = slices
        self.space = slices.space
        # Of the rules with many values of the pivot, by shape:
        self.wide_ranks = group_pairs(
            (box.shape, rank) for rank, box in enumerate(slices.boxes) if not box.atoms
        )

    def shadowing_rules(self, rank: int) -> tuple[RoutingEntry, ...]:
        """Return earlier rules that together take all conversations of a shadowed rule, each of
        them necessary.
        """
        single = self.find_single(rank)
        if single is not None:
            return (self.slices.entries[single],)

        needed = self.find_several(rank)
        if len(needed) > 1:
            for rule in list(needed):
                remaining = [candidate for candidate in needed if candidate != rule]
                if self.find_uncovered(rank, remaining) is None:
                    needed = remaining
        return tuple(self.slices.entries[rule] for rule in needed)

    def find_single(self, rank: int) -> int | None:
        """Return the first rule that alone takes all of a rule's conversations, or None."""
        box = self.slices.boxes[rank]
        atoms = box.atoms
        covering = self.space.shapes.covering(box.shape)
        if atoms:
            covering &= self.slices.mask_before(atoms[0], rank)
        if not covering:
            return None
        if len(atoms) == 1:
            candidates = self.candidates_in_slice(atoms[0], covering, rank)
        else:
            candidates = self.candidates(covering, rank, atoms)
        return min(candidates, default=None)

    def candidates_in_slice(self, atom: int, covering: int, rank: int) -> Iterator[int]:
        """Yield earlier rules of a slice with these shapes, the first rule of each shape among
        them.
        """
        boxes = self.slices.boxes
        about = self.slices.ranks_by_atom.get(atom, ())
        self.space.budget.spend(covering.bit_count())
        first = self.slices.prefix_masks.first_ranks(atom)
        yield from (
            rule for rule in about if rule < rank and covering >> boxes[rule].shape & 1
        )
        yield from (
            rule
            for rule in (first.get(shape, NO_RANK) for shape in bits(covering))
            if rule < rank
        )

    def candidates(
        self,
        covering: int,
        rank: int,
        atoms: Sequence[int],
    ) -> Iterator[int]:
        """Yield the first earlier rule of each of these shapes that has all of a rule's values of
        the pivot.
        """
        slices = self.slices
        boxes = self.slices.boxes
        self.space.budget.spend(covering.bit_count())
        if atoms:
            about = [
                rule
                for rule in slices.ranks_by_atom.get(atoms[0], ())
                if covering >> boxes[rule].shape & 1
            ]
            yield from (
                rule
                for rule in about
                if rule < rank and all(slices.holds(atom, rule) for atom in atoms)
            )
        for shape in bits(covering):
            for rule in self.wide_ranks.get(shape, ()):
                self.space.budget.spend(1 + len(atoms))
                if rule >= rank:
                    break
                alone = all(slices.holds(atom, rule) for atom in atoms)
                if alone and (atoms or covers(boxes[rule].pivot, boxes[rank].pivot)):
                    yield rule
                    break

    def find_several(self, rank: int) -> list[int]:
        """Return earlier rules that together take a rule's conversations: the next rule for each
        uncovered box.
        """
        slices = self.slices
        needed: list[int] = []
        while (hole := self.find_uncovered(rank, needed)) is not None:
            atom, box = hole
            takers = slices.shapes(atom).touching(box.items())
            needed.append(
                next(
                    rule
                    for rule in slices.first_ranks_in(atom)
                    if takers >> slices.shape(atom, rule) & 1
                )
            )
        return sorted(needed)

    def find_uncovered(
        self,
        rank: int,
        others: Sequence[int],
    ) -> tuple[int, Box] | None:
        """Return a slice, and conversations of a rule in it that none of the others takes."""
        for atom in self.distinct_slices(rank, others):
            self.space.budget.spend(1 + len(others))
            inside = (blocker for blocker in others if self.slices.holds(atom, blocker))
            blockers = union(
                1 << self.slices.shape(atom, blocker) for blocker in inside
            )
            shape = self.slices.shape(atom, rank)
            box = self.slices.find_free_box(atom, (shape, shape), blockers)
            if box is not None:
                return atom, box
        return None

    def distinct_slices(self, rank: int, others: Sequence[int]) -> Iterator[int]:
        """Yield slices of a rule, one for each set of the others that is in it."""
        box = self.slices.boxes[rank]
        if box.rest >= 0:
            yield UNNAMED_SLICE
        if self.space.pivot < 0:
            return
        parts = [self.space.pivot_values(box)[0] & ~REST]
        for blocker in others:
            atoms = self.space.pivot_values(self.slices.boxes[blocker])[0]
            self.space.budget.spend(len(parts))
            parts = [
                piece
                for part in parts
                for piece in (part & atoms, part & ~atoms)
                if piece
            ]
        yield from ((part & -part).bit_length() - 1 for part in parts if part)


def first_ranks(slices: PivotSlices) -> list[int]:
    """Return the ranks of the rules, except rules after one with equal conditions, which take no
    conversation.
    """
    ranks: dict[int, int] = {}
    for rank, box in enumerate(slices.boxes):
        ranks.setdefault(id(box), rank)
    return list(ranks.values())


def pair_equal_rules(old: PivotSlices, new: PivotSlices) -> dict[int, int]:
    """Return pairs of rules with equal conditions, in the same order in both lists, and as many as
    possible.
    """
    rank_in_new = {id(new.boxes[rank]): rank for rank in first_ranks(new)}
    twins = [
        (rank, rank_in_new.get(id(old.boxes[rank]), -1)) for rank in first_ranks(old)
    ]
    candidates = [pair for pair in twins if pair[1] >= 0]
    return dict(
        candidates[place] for place in longest_rise(twin for _, twin in candidates)
    )
