"""Whether one edit of one rule moves a conversation. All edits of a list share one space, and so all its answers.

Each edit is one question: does a later rule take, elsewhere, conversations of a box that no earlier rule matches?
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from reconciler.behaviour.endpoint_stage import EndpointStage
from reconciler.behaviour.routing_entry import Destination, Evaluation, RoutingEntry, destination_of, evaluation_key
from reconciler.behaviour.space.boxes import Box
from reconciler.behaviour.space.domain import intersect
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Example, Space

_Boxes = Sequence[tuple[PivotSlices, int]]  # of one rule, each as a rank in a list: several before the endpoint


class RuleEdit(NamedTuple):
    """An edit of one rule of a list; `after` is None if the rule is removed."""

    before: RoutingEntry
    after: RoutingEntry | None


class SingleEdits:
    """Finds the events that edits of a list move. `ordered` are its rules in order."""

    def __init__(
        self,
        ordered: Sequence[RoutingEntry],
        edits: Iterable[RuleEdit],
        endpoint: EndpointStage,
        evaluation: Evaluation,
    ) -> None:
        """Take all edits that change conditions; other edits can be asked about without them."""
        parts, edited = endpoint.pull_back(ordered), endpoint.pull_back(edit.after for edit in edits if edit.after)
        self.space, self.evaluation = Space((parts, edited), types=endpoint.types), evaluation
        self.slices = PivotSlices(self.space, parts)
        self._keys = [evaluation_key(entry, evaluation) for entry in self.slices.entries]
        self._boxes: dict[int, list[tuple[PivotSlices, int]]] = {}
        for slices in (self.slices, PivotSlices(self.space, edited)):
            for rank, entry in enumerate(slices.entries):
                self._boxes.setdefault(id(entry.whole), []).append((slices, rank))

    def find_moved(self, edit: RuleEdit) -> Example | None:
        """Return an event that an edit moves; None if it moves none. Raises UndecidedError."""
        before, after = edit
        own, boxes, new = self._ranks(before), self._boxes.get(id(before), []), list[tuple[PivotSlices, int]]()
        rank, takers = own.start, range(own.stop, len(self._keys) + 1)  # the last rank is the default routing
        destination = destination_of(before.rule.targets)
        if after is None or after.rule.conditions != before.rule.conditions:
            new = self._boxes.get(id(after), [])
        elif after.rule.priority != before.rule.priority:
            place = self._ranks(after).start
            takers = range(place, own.start) if place < own.stop else range(own.stop, place)
            rank = min(place, own.start)
        else:
            takers, destination = own, destination_of(after.rule.targets)
        lost, gained = ((boxes, new), (new, boxes))
        moved = chain(*(self._find(*pair, rank, takers, destination) for pair in (lost, gained)))
        box = next(moved, None)
        return None if box is None else self.space.example(box)

    def rivals(self, entry: RoutingEntry) -> tuple[RoutingEntry | None, RoutingEntry | None]:
        """Return the nearest rules before and after a rule that match common events and have another destination."""
        own, slices, rivals = self._ranks(entry), self.slices, set[int]()
        for box in (slices.boxes[rank] for rank in own):
            overlapping, values = self.space.shapes.overlapping(box.shape), self.space.pivot_values(box)
            named = (rank for atom in box.atoms for rank in slices.ranks_by_atom[atom])
            near = chain(named, slices.general_ranks) if box.atoms else range(len(self._keys))
            for rank in near:
                other, elsewhere = slices.boxes[rank], slices.destinations[rank] != slices.destinations[own.start]
                if (
                    elsewhere
                    and overlapping >> other.shape & 1
                    and intersect(values, self.space.pivot_values(other))[0]
                ):
                    rivals.add(rank)
        earlier = max((rank for rank in rivals if rank < own.start), default=None)
        later = min((rank for rank in rivals if rank >= own.stop), default=None)
        return earlier if earlier is None else slices.entries[earlier], later if later is None else slices.entries[
            later
        ]

    def _ranks(self, entry: RoutingEntry) -> range:
        key = evaluation_key(entry, self.evaluation)
        return range(bisect_left(self._keys, key), bisect_right(self._keys, key))

    def _find(
        self, boxes: _Boxes, blockers: _Boxes, rank: int, takers: range, destination: Destination
    ) -> Iterator[Box]:
        """Yield events of boxes that no blocker and no rule before `rank` matches, and that a taker sends elsewhere."""
        for slices, number in boxes:
            for atom in slices.atoms(number):
                before = self.slices.mask_before(atom, rank)
                for others, other in blockers:
                    before |= 1 << others.shape(atom, other) if others.holds(atom, other) else 0
                yield from self._find_in_slice(atom, slices.shape(atom, number), before, takers, destination)

    def _find_in_slice(
        self, atom: int, shape: int, before: int, takers: range, destination: Destination
    ) -> Iterator[Box]:
        slices, shapes = self.slices, self.slices.shapes(atom)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        default = range(max(takers.start, len(self._keys)), takers.stop)
        for rank in chain((rank for rank in slices.ranks_in(atom) if rank in takers), default):
            if before & covering:
                return
            blocker = slices.shape_of_rank(atom, rank)
            if (overlapping & ~before) >> blocker & 1:
                if slices.destination_of_rank(rank) != destination:
                    box = slices.find_free_box(atom, (shape, blocker), before)
                    yield from () if box is None else (box,)
                before |= 1 << blocker
