"""Whether one edit of one rule moves a conversation, without a comparison of two lists (semantics "Differences").

Every edit is one question: does a rule of some ranks take conversations of the edited rule, which earlier rules leave,
to another destination? All edits of a list share one space, and so the answers about shapes.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.behaviour.endpoint_stage import EndpointStage
from reconciler.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of,
    evaluation_key,
    order_entries,
)
from reconciler.behaviour.space.boxes import Box
from reconciler.behaviour.space.domain import REST, intersect
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import UNNAMED_SLICE, PivotSlices
from reconciler.behaviour.space.space import CompiledRule, Example, Space


class RuleEdit(NamedTuple):
    """An edit of one rule of a list; `after` is None if the rule is removed."""

    before: RoutingEntry
    after: RoutingEntry | None


class SingleEdits:
    """Finds the conversations that edits of a list move; the conditions of the edits are known from the start."""

    def __init__(
        self,
        entries: Sequence[RoutingEntry],
        edits: Iterable[RuleEdit],
        endpoint: EndpointStage,
        evaluation: Evaluation,
        work: int,
    ) -> None:
        """Take all edits that change conditions; those of other fields are not needed. `work` is in comparisons."""
        self.endpoint, self.evaluation = endpoint, evaluation
        parts = endpoint.pull_back(entries)
        edited = endpoint.pull_back(edit.after for edit in edits if edit.after)
        self.space = Space((parts, edited), types=endpoint.types)
        self.space.budget.remaining = work
        self.slices = PivotSlices(self.space, order_entries(parts, evaluation))
        self.keys = [evaluation_key(entry, evaluation) for entry in self.slices.entries]

    def find_moved(self, edit: RuleEdit) -> Example | None:
        """Return a conversation that an edit moves; None if it moves none. Raises UndecidedError."""
        before, after = edit
        key, boxes = evaluation_key(before, self.evaluation), self._boxes(before)
        own = range(bisect_left(self.keys, key), bisect_right(self.keys, key))
        later = range(own.stop, len(self.keys) + 1)  # the last rank is the default routing
        destination = destination_of(before.rule.targets)
        if after is None:
            box = self._find(boxes, (), own.start, later, destination)
        elif after.rule.conditions != before.rule.conditions:
            new = self._boxes(after)
            box = self._find(boxes, new, own.start, later, destination)
            box = box or self._find(new, boxes, own.start, later, destination)
        elif after.rule.priority != before.rule.priority:
            rank = bisect_left(self.keys, evaluation_key(after, self.evaluation))
            passed = range(rank, own.start) if rank < own.stop else range(own.stop, rank)
            box = self._find(boxes, (), min(rank, own.start), passed, destination)
        else:
            box = self._find(boxes, (), own.start, own, destination_of(after.rule.targets))
        if box is None:
            return None
        self.space.budget.charge(self.space.cost_of_example(box))
        return self.space.example(box)

    def rivals(self, entry: RoutingEntry) -> Iterator[tuple[RoutingEntry, int]]:
        """Yield the nearest rule before (-1) and after (1) a rule that matches common conversations, but elsewhere."""
        key, destination = evaluation_key(entry, self.evaluation), destination_of(entry.rule.targets)
        start, stop = bisect_left(self.keys, key), bisect_right(self.keys, key)
        near = {rank for box in self._boxes(entry) for rank in self._ranks_near(box)}
        apart = [rank for rank in near if self.slices.destinations[rank] != destination]
        earlier = max((rank for rank in apart if rank < start), default=None)
        later = min((rank for rank in apart if rank >= stop), default=None)
        for rank, step in ((earlier, -1), (later, 1)):
            if rank is not None:
                yield self.slices.entries[rank], step

    def _ranks_near(self, box: CompiledRule) -> Iterator[int]:
        slices, overlapping = self.slices, self.space.shapes.overlapping(box.shape)
        own = self.space.pivot_values(box)
        near = [*slices.general_ranks, *(rank for atom in box.atoms for rank in slices.ranks_by_atom.get(atom, ()))]
        for rank in near if box.atoms else range(len(slices.boxes)):
            other = slices.boxes[rank]
            if overlapping >> other.shape & 1 and intersect(own, self.space.pivot_values(other))[0]:
                yield rank

    def _boxes(self, entry: RoutingEntry) -> list[CompiledRule]:
        """Return the boxes of a rule on events, without those that nothing matches."""
        boxes = (self.space.compiled(part.rule.conditions) for part in self.endpoint.pull_back([entry]))
        return [box for box in boxes if box is not None]

    def _find(
        self,
        boxes: Iterable[CompiledRule],
        blockers: Sequence[CompiledRule],
        rank: int,
        takers: range,
        destination: Destination,
    ) -> Box | None:
        """Return conversations of the boxes that no blocker and no rule before `rank` matches, but a taker moves."""
        for box in boxes:
            for atom in self._atoms(box):
                free = self._find_in_slice(atom, box, self._mask(atom, blockers, rank), takers, destination)
                if free is not None:
                    return free
        return None

    def _find_in_slice(
        self, atom: int, box: CompiledRule, before: int, takers: range, destination: Destination
    ) -> Box | None:
        slices, shapes = self.slices, self.slices.shapes(atom)
        shape = _shape(atom, box)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        for rank in self._ranks_in(atom, takers):
            if before & covering:
                return None
            blocker = slices.shape_of_rank(atom, rank)
            if (overlapping & ~before) >> blocker & 1:
                if slices.destination_of_rank(rank) != destination:
                    free = slices.find_free_box(atom, (shape, blocker), before)
                    if free is not None:
                        return free
                before |= 1 << blocker
        return None

    def _ranks_in(self, atom: int, ranks: range) -> Iterator[int]:
        """Yield the ranks of a slice within a range; the default routing is in every slice."""
        slices, end = self.slices, len(self.keys)
        rules = range(ranks.start, min(ranks.stop, end))
        self.space.budget.spend(1 + min(len(rules), len(slices.general_ranks)))
        if len(rules) <= len(slices.general_ranks):
            yield from (rank for rank in rules if slices.holds(atom, rank))
        else:
            ranks_in = slices.ranks_in(atom)
            yield from (rank for rank in ranks_in if rules.start <= rank < rules.stop)
        if ranks.stop > end:
            yield end

    def _mask(self, atom: int, blockers: Iterable[CompiledRule], rank: int) -> int:
        """Return the shapes in a slice of blockers, and of rules before a rank."""
        mask = self.slices.mask_before(atom, rank)
        for box in blockers:
            if _is_in(atom, box):
                mask |= 1 << _shape(atom, box)
        return mask

    def _atoms(self, box: CompiledRule) -> Iterator[int]:
        """Yield the slices of a box: unnamed texts first, where most rules have a free conversation."""
        yield from box.atoms
        if not box.atoms and box.rest >= 0:
            yield UNNAMED_SLICE
        if not box.atoms and self.space.pivot >= 0:
            yield from bits(box.pivot[0] & ~REST)


def _is_in(atom: int, box: CompiledRule) -> bool:
    if atom == UNNAMED_SLICE:
        return box.rest >= 0
    return atom in box.atoms if box.atoms else bool(box.pivot[0] >> atom & 1)


def _shape(atom: int, box: CompiledRule) -> int:
    return box.rest if atom == UNNAMED_SLICE else box.shape
