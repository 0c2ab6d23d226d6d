"""Whether one edit of one rule moves a conversation or breaks a promise. All edits of a list share one space.

Each edit is one question: does a later rule take, elsewhere, conversations of a box that no earlier rule matches?
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import NamedTuple

from reconciler.behaviour.diff.promises import Promise, probe_of
from reconciler.behaviour.endpoint_stage import EndpointStage
from reconciler.behaviour.routing_entry import Evaluation, RoutingEntry, destination_of, evaluation_key
from reconciler.behaviour.space.domain import intersect
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Example, Space

_Boxes = Sequence[tuple[PivotSlices, int]]  # of one rule, each as a rank in a list: several before the endpoint


class RuleEdit(NamedTuple):
    """An edit of one rule of a list; `after` is None if the rule is removed."""

    before: RoutingEntry
    after: RoutingEntry | None


class _Search(NamedTuple):
    """Events of boxes that no blocker and no rule before `rank` matches, and that a taker has before or afterwards."""

    boxes: _Boxes
    blockers: _Boxes
    rank: int
    takers: range
    edited: RoutingEntry
    is_gain: bool  # whether the edited rule has them afterwards


class SingleEdits:
    """Finds the events that edits of a list move. `ordered` are its rules in order."""

    def __init__(
        self,
        ordered: Sequence[RoutingEntry],
        edits: Iterable[RuleEdit],
        endpoint: EndpointStage,
        evaluation: Evaluation,
        promises: Iterable[Promise] = (),
    ) -> None:
        """Take all edits that change conditions, and promises that hold; other edits need not be named."""
        parts, edited = endpoint.pull_back(ordered), endpoint.pull_back(edit.after for edit in edits if edit.after)
        probes = [(probe_of(promise), promise) for promise in promises]
        lists = (parts, edited, [probe for probe, _ in probes])
        self.space, self.evaluation = Space(lists, types=endpoint.types), evaluation
        self.slices = PivotSlices(self.space, parts)
        self._keys = [evaluation_key(entry, evaluation) for entry in self.slices.entries]
        self._boxes: dict[int, list[tuple[PivotSlices, int]]] = {}
        for slices in (self.slices, PivotSlices(self.space, edited)):
            for rank, entry in enumerate(slices.entries):
                self._boxes.setdefault(id(entry.whole), []).append((slices, rank))
        self._probes = PivotSlices(self.space, lists[-1])
        self._promises = [promise for probe, promise in probes if probe in self._probes.entries]
        self._broken = [*map(self._broken_by, [*self.slices.entries, None])] if probes else []

    def find_moved(self, edit: RuleEdit) -> Example | None:
        """Return an event that an edit moves; None if it moves none. Raises UndecidedError."""
        for search in self._searches(edit):
            destination = destination_of(search.edited.rule.targets)
            for atom, shape, rank, before in self._takers(search):
                if self.slices.destination_of_rank(rank) != destination:
                    heads = shape, self.slices.shape_of_rank(atom, rank)
                    box = self.slices.find_free_box(atom, heads, before)
                    if box is not None:
                        return self.space.example(box)
        return None

    def breaks_promise(self, edit: RuleEdit) -> bool:
        """Return whether a promise does not hold after an edit. Raises UndecidedError."""
        return bool(self._promises) and any(map(self._breaks_promise, self._searches(edit)))

    def _breaks_promise(self, search: _Search) -> bool:
        gained = self._broken_by(search.edited) if search.is_gain else None
        for atom, shape, rank, before in self._takers(search) if gained is None or gained else ():
            for promise in self._broken[rank] if gained is None else gained:
                if self._probes.holds(atom, promise):
                    heads = shape, self.slices.shape_of_rank(atom, rank), self._probes.shape(atom, promise)
                    if self.slices.shapes(atom).find_free_box_in_all(heads, before) is not None:
                        return True
        return False

    def _broken_by(self, entry: RoutingEntry | None) -> list[int]:
        """Return the promises that a rule, or the default routing, breaks where it takes their conversations."""
        destination = destination_of(entry.rule.targets) if entry else None
        return [at for at, promise in enumerate(self._promises) if promise.is_broken_by(destination, entry)]

    def _searches(self, edit: RuleEdit) -> Iterator[_Search]:
        before, after = edit
        own, boxes = self._ranks(before), self._boxes.get(id(before), [])
        later = range(own.stop, len(self._keys) + 1)  # the last rank is the default routing
        if after is None or after.rule.conditions != before.rule.conditions:
            new = self._boxes.get(id(after), [])
            yield _Search(boxes, new, own.start, later, before, is_gain=False)
            if after is not None:
                yield _Search(new, boxes, own.start, later, after, is_gain=True)
        elif after.rule.priority != before.rule.priority:
            place = self._ranks(after).start
            is_gain = place < own.stop
            takers = range(place, own.start) if is_gain else range(own.stop, place)
            yield _Search(boxes, (), min(place, own.start), takers, after, is_gain)
        else:
            yield _Search(boxes, (), own.start, own, after, is_gain=True)

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

    def _takers(self, search: _Search) -> Iterator[tuple[int, int, int, int]]:
        """Yield each slice, the shape of the events in it, a taker's rank, and the shapes that come before it."""
        for slices, number in search.boxes:
            for atom in slices.atoms(number):
                before = self.slices.mask_before(atom, search.rank)
                for others, other in search.blockers:
                    before |= 1 << others.shape(atom, other) if others.holds(atom, other) else 0
                for rank, mask in self._takers_in_slice(atom, slices.shape(atom, number), before, search.takers):
                    yield atom, slices.shape(atom, number), rank, mask

    def _takers_in_slice(self, atom: int, shape: int, before: int, takers: range) -> Iterator[tuple[int, int]]:
        slices, shapes = self.slices, self.slices.shapes(atom)
        overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
        default = range(max(takers.start, len(self._keys)), takers.stop)
        for rank in chain((rank for rank in slices.ranks_in(atom) if rank in takers), default):
            if before & covering:
                return
            blocker = slices.shape_of_rank(atom, rank)
            if (overlapping & ~before) >> blocker & 1:
                yield rank, before
                before |= 1 << blocker
