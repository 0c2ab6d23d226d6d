"""Which conversations break promises about a list of rules, exactly (semantics "Promises").

A promise is a rule on top of the list, the probe, whose conditions select its conversations. Each rule that takes one
of them and that the promise does not allow is a pair of winners, (probe, rule), and becomes a region like the pairs of
two lists. All promises share the space, the slices of the rules, and what the walks computed.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from itertools import chain
from typing import Final, NamedTuple

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE, UndecidedError
from reconciler.behaviour.diff.regions import DraftRegionBuilder, Region, RegionFormatter, merge_regions
from reconciler.behaviour.diff.winners import DEFAULT_RANK, RankPair, SliceWalk, WinnerPairs
from reconciler.behaviour.evaluate import RuleIndex, canonical_attributes, first_failing_condition
from reconciler.behaviour.routing_entry import Destination, Evaluation, RoutingEntry, destination_of, order_entries
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.behaviour.space.space import Conditions, Space
from reconciler.behaviour.space.value_type import Types
from reconciler.model.rule import Rule

_PROBE: Final = 0  # the rank of a promise in its own list
_ORDINARY_SLICE: Final = -1
_MAX_PARTS: Final = 8  # into which the work that is left is divided


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What must hold for all conversations that fulfil `conditions`; each field restricts their routes."""

    conditions: Conditions
    always: frozenset[str] | None = None  # the only queues, by id
    never: frozenset[str] = frozenset()  # queues by id
    never_default: bool = False
    shares: tuple[tuple[str, Fraction, Fraction], ...] = ()  # of a queue, the least and the most, from 0 to 1
    decided_by: str = ""  # the address of the rule, or a pattern of addresses; empty for any rule

    def allows(self, destination: Destination) -> bool:
        """Return whether conversations may go to a destination."""
        parts = dict(destination or ())
        if (self.never_default and destination is None) or self.never & parts.keys():
            return False
        if self.always is not None and not (parts and parts.keys() <= self.always):
            return False
        return all(least <= parts.get(queue, 0) <= most for queue, least, most in self.shares)

    def is_broken_by(self, destination: Destination, entry: RoutingEntry | None) -> bool:
        """Return whether a rule with this destination breaks the promise where it takes a conversation."""
        address = entry.whole.address if entry and self.decided_by else None
        is_decisive = not self.decided_by or (address and fnmatchcase(str(address), self.decided_by))
        return not (is_decisive and self.allows(destination))


class PromiseFacts(NamedTuple):
    """The conversations that break a promise: `after` and `after_rule` of a region are their route."""

    violations: tuple[Region, ...]
    complete: bool = True  # whether every conversation was decided
    is_empty: bool = False  # whether no conversation fulfils the conditions

    @property
    def holds(self) -> bool | None:
        """Return whether the promise holds; None if that is not decided."""
        return False if self.violations else True if self.complete else None


def check_promises(
    entries: Iterable[RoutingEntry],
    promises: Sequence[Promise],
    evaluation: Evaluation = "lowest-first",
    types: Types | None = None,
    work: int | None = None,
) -> tuple[PromiseFacts, ...]:
    """Return the facts about each promise, with an example of each region that the list confirms."""
    # `work` limits all searches together, in comparisons; each promise may use a part of what is left.
    if not promises:
        return ()
    ordered = order_entries(entries, evaluation)
    space = Space((ordered, map(probe_of, promises)), types=types)
    remaining = DEFAULT_WORK + WORK_PER_RULE * len(ordered) if work is None else work
    index, formatter = _RuleListIndex(PivotSlices(space, ordered)), RegionFormatter(space)
    results = []
    for number, promise in enumerate(promises):
        space.budget.remaining = share = remaining // min(len(promises) - number, _MAX_PARTS)
        results.append(_check(promise, index, formatter))
        remaining -= share - space.budget.remaining
    _confirm_examples(ordered, promises, results)
    return tuple(results)


def probe_of(promise: Promise) -> RoutingEntry:
    """Return the promise as a rule: its conditions select its conversations."""
    rule = Rule(name="", description="", priority=0, enabled=True, conditions=promise.conditions, targets=())
    return RoutingEntry(name="", rule=rule)


class _RuleListIndex:
    """A list of rules, and what all promises need of it."""

    def __init__(self, slices: PivotSlices) -> None:
        self.slices, self.walk = slices, SliceWalk(slices)
        self.ranks_by_destination: dict[Destination, list[int]] = {}
        for rank, destination in enumerate(slices.destinations):
            self.ranks_by_destination.setdefault(destination, []).append(rank)
        self._ends: dict[int, int] = {}

    def slices_of(self, rank: int, probe: PivotSlices) -> Iterable[int]:
        """Return the slices in which earlier rules with most values may leave a rule conversations of a probe."""
        slices, shapes, masks = self.slices, self.slices.space.shapes, self.slices.prefix_masks
        shape = probe.boxes[_PROBE].shape
        if shape not in self._ends:  # of most slices: the first rule that takes all of the shape
            covering = bits(shapes.covering(shape) & masks.mask_before(DEFAULT_RANK))
            self._ends[shape] = min((masks.first_rank_of[number] for number in covering), default=DEFAULT_RANK)
        is_open = rank <= self._ends[shape]
        if slices.is_narrow(rank):
            return (atom for atom in slices.boxes[rank].atoms if is_open or atom in masks.late_ranks)
        head = slices.shape_of_rank(_ORDINARY_SLICE, rank)
        if not (is_open and shapes.may_leave_any(shape, masks.mask_before(rank), head)):
            atoms: Iterable[int] = (UNNAMED_SLICE, *masks.late_ranks)
            return atoms if rank == DEFAULT_RANK else (atom for atom in atoms if slices.holds(atom, rank))
        return probe.atoms(_PROBE) if rank == DEFAULT_RANK else slices.atoms(rank)


class _ProbePairs(WinnerPairs):
    """The pairs of a promise and the rules that take its conversations and break it."""

    def __init__(self, promise: Promise, probe: PivotSlices, index: _RuleListIndex) -> None:
        self._promise, self._index = promise, index
        super().__init__(probe, index.slices, [index.walk])

    def _find_pairs(self) -> None:
        """Search the slices of the promise; if these are many, those of each rule that breaks it."""
        if self.old.boxes[_PROBE].atoms:
            self._pair_with_takers(_PROBE, self.old, self.new)
            return
        groups = self._index.ranks_by_destination.items()
        ranks = [ranks for place, ranks in groups if self._promise.decided_by or not self._promise.allows(place)]
        for rank in sorted(chain([DEFAULT_RANK], *ranks)):
            try:
                if self._is_relevant((_PROBE, rank)):
                    self._pair_with_rule(rank)
            except UndecidedError:
                self.unknown[_PROBE, rank] = None

    def _pair_with_rule(self, rank: int) -> None:
        for atom in self._index.slices_of(rank, self.old):
            if not self.old.holds(atom, _PROBE):
                continue
            self.space.budget.spend()
            shapes, heads = self.new.shapes(atom), (self.old.shape(atom, _PROBE), self.new.shape_of_rank(atom, rank))
            box = shapes.find_free_box(*heads, self.new.mask_before(atom, rank))
            if box is not None:
                self._record(atom, (_PROBE, rank), box)
                if not self.new.is_narrow(rank):
                    return

    def _is_relevant(self, pair: RankPair) -> bool:
        rank = pair[1]
        entry = self.new.entries[rank] if rank < len(self.new.entries) else None
        return self._promise.is_broken_by(self.new.destination_of_rank(rank), entry)

    def group_of(self, pair: RankPair) -> Hashable:
        """Return the identity of the rule: each region of a promise is about one rule."""
        rank = pair[1]
        return id(self.new.entries[rank].whole) if rank < len(self.new.entries) else None


def _check(promise: Promise, index: _RuleListIndex, formatter: RegionFormatter) -> PromiseFacts:
    space = formatter.space
    probe = PivotSlices(space, [probe_of(promise)])
    if not probe.entries:
        return PromiseFacts((), is_empty=True)
    pairs = _ProbePairs(promise, probe, index)
    drafts = DraftRegionBuilder(pairs).build_drafts()
    merged = merge_regions(space, drafts, lambda draft: (draft.excepts, draft.rules[1] and id(draft.rules[1].whole)))
    regions = sorted(
        map(formatter.format_region, merged), key=lambda region: (region.unlikely, region.example.assumed != {})
    )
    return PromiseFacts(tuple(regions), complete=not pairs.unknown)


def _confirm_examples(
    ordered: Sequence[RoutingEntry], promises: Sequence[Promise], results: Sequence[PromiseFacts]
) -> None:
    """Verify each example rule by rule, independently of the analysis."""
    if not any(facts.violations for facts in results):
        return
    index = RuleIndex(ordered)
    for promise, facts in zip(promises, results, strict=True):
        rule = probe_of(promise).rule
        for region in facts.violations:
            example = region.example
            winner = index.find_winner(example.attributes, example.assumed)
            destination = None if winner is None else destination_of(winner.rule.targets)
            is_broken = promise.is_broken_by(destination, winner) and (winner and winner.whole) is region.after_rule
            if not is_broken or first_failing_condition(
                rule, canonical_attributes(example.attributes), example.assumed
            ):
                raise AssertionError(f"the example {example} does not break the promise by {region.after_rule}")
