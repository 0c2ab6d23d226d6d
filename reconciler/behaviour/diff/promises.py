"""Which conversations break promises about a list of rules, exactly (semantics "Promises").

A promise is a rule on top of the list, the probe, whose conditions select its conversations. Each rule that takes one
of them and that the promise does not allow is a pair of winners, (probe, rule), and becomes a region like the pairs of
two lists. All promises share the space, the slices of the rules, and what the walks computed.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from fractions import Fraction
from functools import cached_property
from itertools import chain
from typing import Final, NamedTuple

from reconciler.behaviour.budget import DEFAULT_WORK, WORK_PER_RULE
from reconciler.behaviour.diff.regions import DraftRegionBuilder, Region, RegionFormatter, merge_regions
from reconciler.behaviour.diff.winners import DEFAULT_RANK, RankPair, SliceWalk, WinnerPairs
from reconciler.behaviour.evaluate import RuleIndex, canonical_attributes, first_failing_condition
from reconciler.behaviour.routing_entry import Destination, Evaluation, RoutingEntry, destination_of_rule, order_entries
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Conditions, Space
from reconciler.behaviour.space.value_type import Types
from reconciler.model.rule import Rule

_PROBE: Final = 0  # the rank of a promise in its own list
_MAX_PARTS: Final = 8  # into which the work that is left is divided


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What must hold for all conversations that fulfil `conditions`; each field restricts their routes."""

    conditions: Conditions
    always: frozenset[str] | None = None  # the only queues, by id
    never: frozenset[str] = frozenset()  # queues by id
    never_default: bool = False
    shares: tuple[tuple[str, Fraction, Fraction], ...] = ()  # of a queue, the least and the most, from 0 to 1
    decided_by: str = ""  # the address of the rule, or a pattern of addresses; empty for any rule

    @cached_property
    def probe(self) -> RoutingEntry:
        """The promise as a rule on top of a list."""
        rule = Rule(name="", description="", priority=0, enabled=True, conditions=self.conditions, targets=())
        return RoutingEntry(name="", rule=rule)

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
        address = entry.whole.address if entry else None
        if self.decided_by and not (address and fnmatchcase(str(address), self.decided_by)):
            return True
        return not self.allows(destination)


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
    checker = _PromiseChecker(Space((ordered, [promise.probe for promise in promises]), types=types), ordered)
    remaining = DEFAULT_WORK + WORK_PER_RULE * len(ordered) if work is None else work
    budget, results = checker.space.budget, []
    for number, promise in enumerate(promises):
        budget.remaining = share = remaining // min(len(promises) - number, _MAX_PARTS)
        results.append(checker.check(promise))
        remaining -= share - budget.remaining
    return tuple(results)


class _PromiseChecker:
    """A list of rules, and what all promises need of it."""

    def __init__(self, space: Space, ordered: Sequence[RoutingEntry]) -> None:
        self.space, self.slices, self.formatter = space, PivotSlices(space, ordered), RegionFormatter(space)
        self.walk = SliceWalk(self.slices)
        self.ranks_by_destination: dict[Destination, list[int]] = {None: [DEFAULT_RANK]}
        for rank, destination in enumerate(self.slices.destinations):
            self.ranks_by_destination.setdefault(destination, []).append(rank)
        self._ordered = ordered

    @cached_property
    def _index(self) -> RuleIndex:
        return RuleIndex(self._ordered)

    def check(self, promise: Promise) -> PromiseFacts:
        probe = PivotSlices(self.space, [promise.probe])
        if not probe.entries:
            return PromiseFacts((), is_empty=True)
        pairs = _Violations(promise, probe, self)
        drafts = DraftRegionBuilder(pairs).build_drafts()
        merged = merge_regions(
            self.space, drafts, lambda draft: (draft.excepts, draft.rules[1] and id(draft.rules[1].whole))
        )
        regions = sorted(
            map(self.formatter.format_region, merged),
            key=lambda region: (region.unlikely, region.example.assumed != {}),
        )
        for region in regions:
            self._confirm_example(promise, region)
        return PromiseFacts(tuple(regions), complete=not pairs.unknown)

    def _confirm_example(self, promise: Promise, region: Region) -> None:
        """Verify an example rule by rule, independently of the analysis."""
        example = region.example
        winner = self._index.find_winner(example.attributes, example.assumed)
        is_broken = promise.is_broken_by(destination_of_rule(winner), winner)
        attributes, rule = canonical_attributes(example.attributes), promise.probe.rule
        is_meant = first_failing_condition(rule, attributes, example.assumed) is None
        if not (is_broken and is_meant and (winner and winner.whole) is region.after_rule):
            raise AssertionError(f"the example {example} does not break the promise by {region.after_rule}")


class _Violations(WinnerPairs):
    """The pairs of a promise and the rules that take its conversations and break it."""

    def __init__(self, promise: Promise, probe: PivotSlices, checker: _PromiseChecker) -> None:
        self._promise, self._groups = promise, checker.ranks_by_destination.items()
        super().__init__(probe, checker.slices, [checker.walk])

    def _find_pairs(self) -> None:
        """Search the slices of the promise; if these are many, those of each rule that breaks it."""
        if self.old.boxes[_PROBE].atoms:
            self._pair_with_takers(_PROBE, self.old, self.new)
            return
        any_rule = self._promise.decided_by
        ranks = (ranks for place, ranks in self._groups if any_rule or not self._promise.allows(place))
        for rank in sorted(chain.from_iterable(ranks)):
            if self._is_relevant((_PROBE, rank)):
                self._pair_rules(_PROBE, rank)

    def _is_relevant(self, pair: RankPair) -> bool:
        rank = pair[1]
        return self._promise.is_broken_by(self.new.destination_of_rank(rank), self.new.entry_of_rank(rank))

    def group_of(self, pair: RankPair) -> Hashable:
        """Return the identity of the rule: each region of a promise is about one rule."""
        entry = self.new.entry_of_rank(pair[1])
        return entry and id(entry.whole)
