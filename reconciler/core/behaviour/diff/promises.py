"""Which conversations break promises about a list of rules, and which single edits of the list move
conversations.

A promise is a rule on top of the list, the probe, whose conditions select its conversations. Each
rule that takes one of them and that the promise does not allow is a pair of winners, (probe, rule),
and becomes a region like the pairs of two lists. All promises share the space, the slices of the
rules, and what the walks computed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cache, cached_property
from itertools import chain
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE, UndecidedError
from reconciler.core.behaviour.diff.regions import (
    DraftRegionBuilder,
    Region,
    RegionFormatter,
)
from reconciler.core.behaviour.diff.winners import DEFAULT_RANK, RankPair, WinnerPairs
from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.evaluate import (
    RuleIndex,
    canonical_attributes,
    first_failing_condition,
)
from reconciler.core.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of_rule,
    evaluation_key,
    make_probe,
    order_entries,
)
from reconciler.core.behaviour.space.boxes import Box, intersect_box
from reconciler.core.behaviour.space.domain import REST, intersect
from reconciler.core.behaviour.space.patterns import union
from reconciler.core.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.core.behaviour.space.space import (
    CompiledRule,
    Conditions,
    Example,
    Space,
)
from reconciler.core.behaviour.space.usual_examples import UsualExamples
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Address

_PROBE: Final = 0  # the rank of a promise in its own list
_ALL: Final = Fraction(1)
_PLACE_COST: Final = 5  # of a place where an edit may move events, in comparisons


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What must hold for all conversations that fulfil `conditions`; each field restricts their
    routes.
    """

    conditions: Conditions
    always: frozenset[str] | None = None  # the only queues, by id
    never_default: bool = False
    # of a queue, the least and the most, from 0 to 1
    shares: tuple[tuple[str, Fraction, Fraction], ...] = ()
    # the address of the rule, or a pattern of addresses; empty for any rule
    decided_by: str = ""

    @cached_property
    def probe(self) -> RoutingEntry:
        """The promise as a rule on top of a list."""
        return make_probe(self.conditions)

    def allows(self, destination: Destination) -> bool:
        """Return whether conversations may go to a destination."""
        parts = dict(destination or ())
        if self.never_default and destination is None:
            return False
        if self.always is not None and not (parts and parts.keys() <= self.always):
            return False
        return all(
            least <= parts.get(queue, 0) <= most for queue, least, most in self.shares
        )

    def is_broken_by(
        self,
        destination: Destination,
        entry: RoutingEntry | None,
    ) -> bool:
        """Return whether a rule with this destination breaks the promise where it takes a
        conversation.
        """
        address = entry.whole.address if entry else None
        if self.decided_by and not address:
            return True
        if self.decided_by and not fnmatchcase(str(address), self.decided_by):
            return True
        return not self.allows(destination)


class PromiseFacts(NamedTuple):
    """The conversations that break a promise: `after` and `after_rule` of a region are their
    route.
    """

    violations: tuple[Region, ...]
    complete: bool = True  # whether every conversation was decided
    is_empty: bool = False  # whether no conversation fulfils the conditions

    @property
    def holds(self) -> bool | None:
        """Return whether the promise holds; None if that is not decided."""
        if self.violations:
            return False
        return True if self.complete else None


def check_promises(
    entries: Iterable[RoutingEntry],
    promises: Sequence[Promise],
    evaluation: Evaluation = "lowest-first",
    types: Types | None = None,
    work: int | None = None,
) -> tuple[PromiseFacts, ...]:
    """Return the facts about each promise, with an example of each region that the list
    confirms.
    """
    # `work` limits all searches together, in comparisons.
    if not promises:
        return ()
    ordered = order_entries(entries, evaluation)
    checker = _PromiseChecker(
        Space((ordered, [promise.probe for promise in promises]), types=types), ordered
    )
    work = DEFAULT_WORK + WORK_PER_RULE * len(ordered) if work is None else work
    return tuple(map(checker.check, checker.space.budget.share(promises, work)))


class _PromiseChecker:
    """A list of rules, and what all promises need of it."""

    def __init__(self, space: Space, ordered: Sequence[RoutingEntry]) -> None:
        self.space = space
        self.slices = PivotSlices(space, ordered)
        self.formatter = RegionFormatter(space)
        destinations = enumerate(self.slices.destinations)
        self.ranks_by_destination = group_pairs(
            (destination, rank) for rank, destination in destinations
        )
        self._index = cache(lambda: RuleIndex(ordered))

    def check(self, promise: Promise) -> PromiseFacts:
        probe = PivotSlices(self.space, [promise.probe])
        if not probe.entries:
            return PromiseFacts((), is_empty=True)
        pairs = _Violations(promise, probe, self)
        drafts = DraftRegionBuilder(pairs).build_drafts()
        regions = self.formatter.format_regions(
            drafts, lambda draft: (draft.before, draft.excepts)
        )
        violations = sorted(
            regions,
            key=lambda region: (
                region.example.reason,
                region.other_type,
                region.example.assumed != {},
            ),
        )
        for region in violations:
            self._confirm_example(promise, region)
        return PromiseFacts(tuple(violations), complete=not pairs.unknown)

    def _confirm_example(self, promise: Promise, region: Region) -> None:
        """Verify an example rule by rule, independently of the analysis."""
        example = region.example
        rule = promise.probe.rule
        winner = self._index().find_winner(example.attributes, example.assumed)
        is_broken = promise.is_broken_by(destination_of_rule(winner), winner)
        failing = first_failing_condition(
            rule,
            canonical_attributes(example.attributes),
            example.assumed,
        )
        if (
            failing
            or not is_broken
            or (winner and winner.whole) is not region.after_rule
        ):
            raise AssertionError(
                f"the example {example} does not break the promise by {region.after_rule}"
            )


class _Violations(WinnerPairs):
    """The pairs of a promise and the rules that take its conversations and break it."""

    def __init__(
        self,
        promise: Promise,
        probe: PivotSlices,
        checker: _PromiseChecker,
    ) -> None:
        self._promise = promise
        self._groups = checker.ranks_by_destination.items()
        super().__init__(probe, checker.slices)

    def _find_pairs(self) -> None:
        """Pair the promise with each rule that breaks it: a rule in its slices, or any rule if
        these are many.
        """
        promise = self._promise
        new = self.new
        atoms = self.old.boxes[_PROBE].atoms
        try:
            ranks = {DEFAULT_RANK, *chain.from_iterable(map(new.first_ranks_in, atoms))}
        except UndecidedError:
            self.unknown[_PROBE, DEFAULT_RANK] = None
            return
        if not atoms:
            ranks.update(
                *(
                    ranks
                    for place, ranks in self._groups
                    if promise.decided_by or not promise.allows(place)
                )
            )
        for rank in sorted(ranks):
            if promise.is_broken_by(
                new.destination_of_rank(rank), new.entry_of_rank(rank)
            ):
                self._pair_rules(_PROBE, rank)

    def destinations_of(self, pair: RankPair) -> tuple[Destination, Destination]:
        """Return the destination of the rule, and as that of the promise its identity: a region is
        about one rule.
        """
        return (
            (f"rule {id(self.new.entry_of_rank(pair[1]))}", _ALL),
        ), self.new.destination_of_rank(pair[1])


class RuleEdit(NamedTuple):
    """An edit of one rule of a list, of its queues, conditions or priority; `after` is None if the
    rule is removed.
    """

    before: RoutingEntry
    after: RoutingEntry | None


# of conversations, and the rule that takes them
Route = tuple[Destination, RoutingEntry | None]
# a slice, two shapes, and blockers: the boxes of both that none touches
_Place = tuple[int, tuple[int, int], int]


class _Places:
    """The conversations of places in a list, for examples of them."""

    def __init__(self, slices: PivotSlices) -> None:
        self.space = slices.space
        self.new = slices

    def common_box(self, place: _Place, /) -> Box | None:
        """Return the box that both shapes have in common; None where it is empty."""
        atom, shapes, _ = place
        box: Box | None = {}
        if self.space.pivot >= 0 and atom != UNNAMED_SLICE:
            box = {self.space.pivot: (1 << atom, 0, 0)}
        elif self.space.pivot >= 0:
            box = {self.space.pivot: (REST, 0, 0)}
        for shape in shapes:
            if box is not None:
                box = intersect_box(box, self.new.shapes(atom).all[shape])
        return box

    def shapes_of(self, place: _Place, _atom: int, /) -> tuple[int, ...]:
        """Return both shapes."""
        return place[1]

    def mask_before(self, place: _Place, _atom: int, /) -> int:
        """Return the blockers."""
        return place[2]


class _Ranks(NamedTuple):
    """The ranks of the rule of a list, and those that two versions of it would have."""

    own: range
    rule: int
    other: int  # after all rules, without another version

    @property
    def start(self) -> int:
        """Return the rank before which both versions change nothing."""
        return min(self.own.start, self.rule)


class SingleEdits:
    """Finds the events that edits of a list move, and whether they break promises, in one space for
    all of them.
    """

    # An edit moves what the rule takes today and not afterwards, or the reverse. A later rule takes
    # it in the other list: it has a box in common with the rule that no rule before it touches.

    def __init__(
        self,
        ordered: Sequence[RoutingEntry],
        edited: Iterable[RoutingEntry],
        promises: Sequence[Promise],
        endpoint: EndpointStage,
        evaluation: Evaluation,
    ) -> None:
        forms = {entry.rule.conditions: entry for entry in (*ordered, *edited)}.values()
        lists = [
            endpoint.pull_back(ordered),
            endpoint.pull_back(forms),
            [promise.probe for promise in promises],
        ]
        self.space = Space(lists, types=endpoint.sent_types)
        self.evaluation = evaluation
        slices = [PivotSlices(self.space, entries) for entries in lists]
        self._slices, self._forms, self._probes = slices
        self._keys = [
            evaluation_key(entry, evaluation) for entry in self._slices.entries
        ]
        # several of a rule behind an endpoint
        self._boxes = group_pairs(
            (entry.whole.rule.conditions, rank)
            for rank, entry in enumerate(self._forms.entries)
        )
        # by rank in `_probes`
        self._promises = _matching_promises(promises, self._probes)
        self._broken: dict[tuple[Destination, Address | None], frozenset[int]] = {}

    @cached_property
    def _examples(self) -> UsualExamples[_Place]:
        return UsualExamples(_Places(self._slices))

    def find_moved(self, edit: RuleEdit) -> tuple[Example, Route, Route] | None:
        """Return an event that an edit sends elsewhere, and its routes; None without one.

        Raises UndecidedError.
        """
        others: list[tuple[Example, Route, Route]] = []
        for old, new, place in self._moves(edit):
            if old[0] == new[0]:
                continue
            box = self._slices.find_free_box(*place)
            if box is None:
                continue
            box = self._examples.improve([place], box).box
            example = self.space.example(box)
            if not example.reason and not example.absent:
                return example, old, new
            others.append((example, old, new))
        return min(others, key=lambda move: move[0].reason, default=None)

    def breaks_promise(self, edit: RuleEdit) -> bool:
        """Return whether after an edit an event breaks a promise that it keeps now.

        Raises UndecidedError.
        """
        if not self._promises:
            return False
        for old, new, place in self._moves(edit):
            broken = self._broken_by(new) - self._broken_by(old)
            if self._is_any_promise_about(broken, place):
                return True
        return False

    def concerns_promise(self, entry: RoutingEntry, version: RoutingEntry) -> bool:
        """Return whether a version of a rule takes an event that breaks a promise with it or
        without it.

        `entry` is the rule of the list, in whose place the version is. Raises UndecidedError.
        """
        if not self._promises:
            return False
        own = destination_of_rule(version), version
        for taker, place in self._takers(entry, version, None):
            broken = self._broken_by(own) | self._broken_by(taker)
            if self._is_any_promise_about(broken, place):
                return True
        return False

    def _is_any_promise_about(self, probes: Iterable[int], place: _Place) -> bool:
        atom, shapes, blockers = place
        for probe in probes:
            heads = (*shapes, self._probes.shape(atom, probe))
            if (
                self._probes.holds(atom, probe)
                and self._slices.find_free_box(atom, heads, blockers) is not None
            ):
                return True
        return False

    def rivals(self, entry: RoutingEntry) -> Iterator[tuple[int, float]]:
        """Yield the priorities of the nearest rules before (-1) and after (1) that may send common
        events elsewhere.
        """
        slices = self._slices
        own = self._ranks(entry)
        near = set[int]()
        for box in slices.boxes[own.start : own.stop]:
            near.update(self._overlapping_ranks(box))
        rivals = [
            rank
            for rank in near
            if slices.destinations[rank] != slices.destinations[own.start]
        ]
        earlier = [rank for rank in rivals if rank < own.start]
        if earlier:
            yield -1, slices.entries[max(earlier)].rule.priority
        later = [rank for rank in rivals if rank >= own.stop]
        if later:
            yield 1, slices.entries[min(later)].rule.priority

    def _overlapping_ranks(self, box: CompiledRule) -> Iterator[int]:
        """Yield the rules that match a part of a rule's box."""
        slices = self._slices
        ranks: Sequence[int] = range(len(slices.boxes))
        if box.atoms:
            named = (slices.ranks_by_atom[atom] for atom in box.atoms)
            ranks = [*chain.from_iterable(named), *slices.general_ranks]
        # a look at a rule costs less than a comparison
        self.space.budget.charge(len(ranks) // 8)
        overlapping = self.space.shapes.overlapping(box.shape)
        values = self.space.pivot_values(box)
        for rank in ranks:
            candidate = slices.boxes[rank]
            if not overlapping >> candidate.shape & 1:
                continue
            if intersect(values, self.space.pivot_values(candidate))[0]:
                yield rank

    def _broken_by(self, route: Route) -> frozenset[int]:
        """Return the promises, by rank, that conversations with a route break."""
        key = route[0], route[1].address if route[1] else None
        if key not in self._broken:
            self.space.budget.spend(len(self._promises))
            broken = (
                rank
                for rank, promise in enumerate(self._promises)
                if promise.is_broken_by(*route)
            )
            self._broken[key] = frozenset(broken)
        return self._broken[key]

    def _moves(self, edit: RuleEdit) -> Iterator[tuple[Route, Route, _Place]]:
        """Yield the possible changes of routes, each of which exists if its place has a free
        box.
        """
        before, after = edit
        first, last = ((destination_of_rule(entry), entry) for entry in edit)
        if after is not None and after.rule.targets != before.rule.targets:
            # it takes the same conversations
            for _, place in self._takers(before, before, None):
                yield first, last, place
            return
        for taker, place in self._takers(before, before, after):
            yield first, taker, place
        if after is not None:
            for taker, place in self._takers(before, after, before):
                yield taker, last, place

    def _takers(
        self,
        before: RoutingEntry,
        rule: RoutingEntry,
        other: RoutingEntry | None,
    ) -> Iterator[tuple[Route, _Place]]:
        """Yield the routes, without `before`, of what a rule takes and the other one does not, and
        where to search.
        """
        end = len(self._keys)
        other_start = end if other is None else self._ranks(other).start
        ranks = _Ranks(self._ranks(before), self._ranks(rule).start, other_start)
        for form in self._boxes.get(rule.rule.conditions, ()):
            for atom in self._forms.atoms(form):
                self.space.budget.spend(_PLACE_COST)
                blocked = self._mask(atom, other)
                yield from self._takers_in(atom, form, ranks, blocked)

    def _takers_in(
        self,
        atom: int,
        form: int,
        ranks: _Ranks,
        blocked: int,
    ) -> Iterator[tuple[Route, _Place]]:
        """Yield the takers in one slice; `blocked` are the shapes of the other rule there."""
        slices = self._slices
        shapes = slices.shapes(atom)
        shape = self._forms.shape(atom, form)
        overlapping = shapes.overlapping(shape)
        covering = shapes.covering(shape)
        taken = slices.mask_before(atom, ranks.start)
        if ranks.start >= ranks.other:
            taken |= blocked
        for rank in () if taken & covering else self._ranks_from(atom, ranks):
            if rank >= ranks.other:
                taken |= blocked
            if taken & covering:
                break
            taker = slices.shape(atom, rank)
            if not (overlapping & ~taken) >> taker & 1:
                continue
            if rank >= ranks.rule:
                self.space.budget.spend(_PLACE_COST)
                yield self._route_of(rank), (atom, (shape, taker), taken)
            taken |= 1 << taker

    def _ranks_from(self, atom: int, ranks: _Ranks) -> Iterator[int]:
        """Yield the ranks in a slice, without those of the rule itself, and that of the default
        routing.
        """
        for rank in (*self._slices.ranks_in(atom), len(self._keys)):
            if rank >= ranks.start and rank not in ranks.own:
                yield rank

    def _route_of(self, rank: int) -> Route:
        return self._slices.destination_of_rank(rank), self._slices.entry_of_rank(rank)

    def _mask(self, atom: int, rule: RoutingEntry | None) -> int:
        forms = self._boxes.get(rule.rule.conditions, ()) if rule else ()
        return union(
            1 << self._forms.shape(atom, form)
            for form in forms
            if self._forms.holds(atom, form)
        )

    def _ranks(self, entry: RoutingEntry) -> range:
        key = evaluation_key(entry, self.evaluation)
        return range(bisect_left(self._keys, key), bisect_right(self._keys, key))


def _matching_promises(
    promises: Iterable[Promise], probes: PivotSlices
) -> list[Promise]:
    """Return the promises whose conditions do not contradict each other."""
    matching = {id(entry) for entry in probes.entries}
    return [promise for promise in promises if id(promise.probe) in matching]
