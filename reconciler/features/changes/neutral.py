"""Whether one rule more in a list changes where the list sends conversations, exactly. Pure.

Rules of equal priority and different destinations are a tie: the platform may choose one of them.
So both must stay: the destination of each conversation in the order of evaluation, and the set of
destinations that ties make possible.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, groupby
from typing import NamedTuple

from reconciler.core.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of_rule,
    evaluation_key,
    order_entries,
)
from reconciler.core.behaviour.space.boxes import Shapes
from reconciler.core.behaviour.space.patterns import union
from reconciler.core.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.core.behaviour.space.space import CompiledRule, Space

MayTake = Callable[[RoutingEntry], bool]


class _SlicedRule(NamedTuple):
    """A rule in a slice: its rank in the list, and its shape in this slice."""

    rank: int
    shape: int


class _AddedRule(NamedTuple):
    """A rule that is tried before the rule with the rank `place`; `level` are the ranks of the
    rules with its priority.
    """

    box: CompiledRule
    destination: Destination
    place: int
    level: range


class OrderedList:
    """Rules in the order of evaluation, behind rules of the endpoint, which come first.

    All rules, also those to add, are in the lists of the space.
    """

    def __init__(
        self,
        space: Space,
        endpoint: Sequence[RoutingEntry],
        rules: Iterable[RoutingEntry],
        evaluation: Evaluation,
    ) -> None:
        ordered = order_entries(rules, evaluation)
        self.slices = PivotSlices(space, (*endpoint, *ordered))
        self._evaluation: Evaluation = evaluation
        of_endpoint = set(map(id, endpoint))
        matching = self.slices.entries
        self._first = sum(id(entry) in of_endpoint for entry in matching)
        self._keys = [
            evaluation_key(entry, evaluation) for entry in matching[self._first :]
        ]
        self._rank_of = {id(entry): rank for rank, entry in enumerate(matching)}
        self._sliced: dict[int, list[_SlicedRule]] = {}
        self._removed: frozenset[int] = frozenset()  # by rank

    def rank_of(self, entry: RoutingEntry) -> int | None:
        """Return the rank of a rule; None if no conversation fulfils its conditions."""
        return self._rank_of.get(id(entry))

    def remove(self, entry: RoutingEntry) -> None:
        """Remove a rule; the others keep their ranks, and `slices` still has it."""
        self._removed = self._without(entry)

    def _without(self, entry: RoutingEntry) -> frozenset[int]:
        """Return the ranks that are removed without a rule, too."""
        rank = self.rank_of(entry)
        return self._removed if rank is None else self._removed | {rank}

    def is_neutral_without(self, entry: RoutingEntry, may_take: MayTake) -> bool:
        """Return whether no conversation goes elsewhere without a rule of the list; `may_take`
        says which rules may get its conversations.

        Raises UndecidedError.
        """
        return self._is_neutral(entry, may_take, self._without(entry))

    def is_neutral_with(self, entry: RoutingEntry, may_take: MayTake) -> bool:
        """Return whether no conversation goes elsewhere with one rule more; `may_take` says from
        which rules it may take conversations.

        Raises UndecidedError.
        """
        return self._is_neutral(entry, may_take, self._removed)

    def takers_without(self, entry: RoutingEntry) -> tuple[RoutingEntry, ...]:
        """Return the rules that take the conversations of a rule without it, in order.

        Raises UndecidedError.
        """
        box = self.slices.space.compiled(entry)
        if box is None:
            return ()
        absent = self._without(entry)
        place = self._place_of(entry)
        ranks: set[int] = set()
        for atom in self.slices.atoms_of(box):
            ranks.update(self._search_in(atom, box, absent).winners(place))
        return tuple(self.slices.entries[rank] for rank in sorted(ranks))

    def _is_neutral(
        self, entry: RoutingEntry, may_take: MayTake, absent: frozenset[int]
    ) -> bool:
        box = self.slices.space.compiled(entry)
        if box is None:
            return True
        added = _AddedRule(
            box,
            destination_of_rule(entry),
            self._place_of(entry),
            self._level_of(entry),
        )
        for atom in self.slices.atoms_of(box):
            search = self._search_in(atom, box, absent)
            if not search.keeps_winners(added, may_take):
                return False
            if not search.keeps_ties(added):
                return False
        return True

    def _place_of(self, entry: RoutingEntry) -> int:
        key = evaluation_key(entry, self._evaluation)
        return self._first + bisect_left(self._keys, key)

    def _level_of(self, entry: RoutingEntry) -> range:
        priority = evaluation_key(entry, self._evaluation)[0]
        first = bisect_left(self._keys, priority, key=lambda key: key[0])
        last = bisect_right(self._keys, priority, key=lambda key: key[0])
        return range(self._first + first, self._first + last)

    def _rules_in(self, atom: int) -> list[_SlicedRule]:
        """Return the rules of a slice, in order."""
        if atom not in self._sliced:
            self._sliced[atom] = [
                _SlicedRule(rank, self.slices.shape(atom, rank))
                for rank in self.slices.ranks_in(atom)
            ]
        return self._sliced[atom]

    def _search_in(
        self, atom: int, box: CompiledRule, absent: frozenset[int]
    ) -> "_SliceSearch":
        head = box.rest if atom == UNNAMED_SLICE else box.shape
        shapes = self.slices.shapes(atom)
        overlapping = shapes.overlapping(head)
        rules = [
            rule
            for rule in self._rules_in(atom)
            if rule.rank not in absent and overlapping >> rule.shape & 1
        ]
        self.slices.space.budget.spend(len(rules))
        return _SliceSearch(self.slices, shapes, head, rules)


class _SliceSearch:
    """The conversations of one rule in one slice, and the other rules that match some of them."""

    def __init__(
        self,
        slices: PivotSlices,
        shapes: Shapes,
        head: int,
        rules: Sequence[_SlicedRule],
    ) -> None:
        self._slices = slices
        self._shapes = shapes
        self._head = head
        self._rules = rules

    def _destination(self, rule: _SlicedRule) -> Destination:
        return self._slices.destinations[rule.rank]

    def _is_free(self, shape: int, taken: int) -> bool:
        """Return whether a conversation of the rule has a shape, and none of those of `taken`."""
        return self._shapes.has_free_box(self._head, shape, taken)

    def winners(self, place: int) -> Iterator[int]:
        """Yield the ranks of the rules that take conversations of the rule without it.

        The default routing is beyond the last rule.
        """
        taken = _mask(rule for rule in self._rules if rule.rank < place)
        if not self._is_free(self._head, taken):
            return
        for rule in self._rules:
            if rule.rank >= place:
                if self._is_free(rule.shape, taken):
                    yield rule.rank
                taken |= 1 << rule.shape
        if self._is_free(self._head, taken):
            yield len(self._slices.entries)

    def keeps_winners(self, added: _AddedRule, may_take: MayTake) -> bool:
        """Return whether each conversation that the rule would take goes to its destination
        without it, by a rule that `may_take` allows.
        """
        for rank in self.winners(added.place):
            if self._slices.destination_of_rank(rank) != added.destination:
                return False
            if not may_take(self._slices.entries[rank]):
                return False
        return True

    def keeps_ties(self, added: _AddedRule) -> bool:
        """Return whether the set of possible destinations stays for each of the conversations."""
        better = (rule for rule in self._rules if rule.rank < added.level.start)
        level = [rule for rule in self._rules if rule.rank in added.level]
        alike, others = self._split(level, added.destination)
        taken = _mask(chain(better, alike))
        if not self._is_free(self._head, taken):
            return True
        if any(self._is_free(rule.shape, taken) for rule in others):
            return False

        # What is left goes to the next level that matches it, which must have this destination alone.
        later = [rule for rule in self._rules if rule.rank >= added.level.stop]
        for _, rules in groupby(later, key=self._priority):
            alike, others = self._split(rules, added.destination)
            if any(self._is_free(rule.shape, taken) for rule in others):
                return False
            taken |= _mask(alike)
        return not self._is_free(self._head, taken)

    def _priority(self, rule: _SlicedRule) -> float:
        return self._slices.entries[rule.rank].rule.priority

    def _split(
        self, rules: Iterable[_SlicedRule], destination: Destination
    ) -> tuple[list[_SlicedRule], list[_SlicedRule]]:
        """Return the rules with a destination, and the others."""
        alike: list[_SlicedRule] = []
        others: list[_SlicedRule] = []
        for rule in rules:
            is_equal = self._destination(rule) == destination
            (alike if is_equal else others).append(rule)
        return alike, others


def _mask(rules: Iterable[_SlicedRule]) -> int:
    return union(1 << rule.shape for rule in rules)
