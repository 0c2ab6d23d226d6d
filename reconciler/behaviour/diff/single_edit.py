"""Whether one edit of one rule moves a conversation. All edits of a list share one space, and so all its answers.

An edit moves what the rule takes today and not afterwards, or the reverse. The rule that takes it in the other list is
a later one, which wins a box of the rule that no earlier rule touches.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.behaviour.diff.promises import Promise
from reconciler.behaviour.endpoint_stage import EndpointStage
from reconciler.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of_rule,
    evaluation_key,
)
from reconciler.behaviour.space.domain import intersect
from reconciler.behaviour.space.slices import PivotSlices
from reconciler.behaviour.space.space import Conditions, Example, Space

_QUESTION_COST: Final = 25  # of a question about a promise, in comparisons


class RuleEdit(NamedTuple):
    """An edit of one rule of a list, of its queues, conditions or priority; `after` is None if the rule is removed."""

    before: RoutingEntry
    after: RoutingEntry | None


_Route = tuple[Destination, RoutingEntry | None]  # of conversations, and the rule that takes them
_Place = tuple[int, tuple[int, int], int]  # a slice, two shapes, and blockers: the boxes of both that none touches


class _Move(NamedTuple):
    """A change of the route of conversations, if there is one at the place."""

    old: _Route
    new: _Route
    place: _Place


class SingleEdits:
    """Finds the events that edits of a list move, and the promises that edits break."""

    def __init__(
        self,
        ordered: Sequence[RoutingEntry],
        edited: Iterable[RoutingEntry],
        promises: Iterable[Promise],
        endpoint: EndpointStage,
        evaluation: Evaluation,
    ) -> None:
        """Take the edited rules, except those with the conditions of a rule, and the promises to ask about."""
        forms = {entry.rule.conditions: entry for entry in (*ordered, *edited)}.values()
        lists = [endpoint.pull_back(ordered), endpoint.pull_back(forms), [promise.probe for promise in promises]]
        self.space, self.evaluation = Space(lists, types=endpoint.types), evaluation
        self.slices, self._forms, self._probes = (PivotSlices(self.space, entries) for entries in lists)
        self._keys = [evaluation_key(entry, evaluation) for entry in self.slices.entries]
        self._boxes: dict[Conditions, list[int]] = {}  # by rank in `_forms`: several for a rule behind an endpoint
        for rank, entry in enumerate(self._forms.entries):
            self._boxes.setdefault(entry.whole.rule.conditions, []).append(rank)
        self._probe_ranks = {id(entry): rank for rank, entry in enumerate(self._probes.entries)}

    def find_moved(self, edit: RuleEdit) -> Example | None:
        """Return an event that an edit sends elsewhere; None if there is none. Raises UndecidedError."""
        for move in self._moves(edit):
            if move.old[0] != move.new[0]:
                box = self.slices.find_free_box(*move.place)
                if box is not None:
                    return self.space.example(box)
        return None

    def breaks(self, edit: RuleEdit, promise: Promise) -> bool:
        """Return whether after an edit an event breaks a promise that it keeps now. Raises UndecidedError."""
        self.space.budget.spend(_QUESTION_COST)
        probe = self._probe_ranks.get(id(promise.probe))
        if probe is None:
            return False
        for move in self._moves(edit, probe):
            if promise.is_broken_by(*move.new) and not promise.is_broken_by(*move.old):
                atom, shapes, blockers = move.place
                heads = (*shapes, self._probes.shape(atom, probe))
                if self.slices.shapes(atom).find_free_box_in_all(heads, blockers) is not None:
                    return True
        return False

    def _moves(self, edit: RuleEdit, probe: int | None = None) -> Iterator[_Move]:
        """Yield what the old rule takes and the edited one does not, then the reverse; within a probe if it is set."""
        before, after = edit
        first, last = ((destination_of_rule(entry), entry) for entry in edit)
        if after is not None and after.rule.targets != before.rule.targets:  # it takes the same
            yield from (move._replace(new=last) for move in self._moves(RuleEdit(before, None), probe))
            return
        yield from (_Move(first, taker, place) for taker, place in self._takers(before, before, after, probe))
        if after is not None:
            yield from (_Move(taker, last, place) for taker, place in self._takers(before, after, before, probe))

    def _takers(
        self, before: RoutingEntry, rule: RoutingEntry, other: RoutingEntry | None, probe: int | None
    ) -> Iterator[tuple[_Route, _Place]]:
        """Yield the routes, without `before`, of what a rule takes and the other one does not, and where to search."""
        slices, own, end = self.slices, self._ranks(before), len(self._keys)
        place, other_place = (end if entry is None else self._ranks(entry).start for entry in (rule, other))
        start = min(own.start, place)
        for form in self._boxes.get(rule.rule.conditions, ()):
            for atom in self._forms.atoms(form):
                if probe is not None and not self._probes.holds(atom, probe):
                    continue
                shapes, shape = slices.shapes(atom), self._forms.shape(atom, form)
                overlapping, covering = shapes.overlapping(shape), shapes.covering(shape)
                taken, blocked = slices.mask_before(atom, start), self._mask(atom, other)
                taken |= blocked if start >= other_place else 0
                for rank in () if taken & covering else (*slices.ranks_in(atom), end):
                    if rank < start or rank in own:
                        continue
                    taken |= blocked if rank >= other_place else 0
                    if taken & covering:
                        break
                    taker = slices.shape_of_rank(atom, rank)
                    if (overlapping & ~taken) >> taker & 1:
                        if rank >= place:
                            route = slices.destination_of_rank(rank), slices.entry_of_rank(rank)
                            yield route, (atom, (shape, taker), taken)
                        taken |= 1 << taker

    def _mask(self, atom: int, rule: RoutingEntry | None) -> int:
        forms = self._boxes.get(rule.rule.conditions, ()) if rule else ()
        return sum({1 << self._forms.shape(atom, form) for form in forms if self._forms.holds(atom, form)})

    def rivals(self, entry: RoutingEntry) -> Iterator[RoutingEntry | None]:
        """Yield the nearest rules before and after a rule that match common events and have another destination."""
        own, entries = self._ranks(entry), self.slices.entries
        for ranks in (reversed(range(own.start)), range(own.stop, len(entries))):
            yield next((entries[rank] for rank in ranks if any(self._are_rivals(part, rank) for part in own)), None)

    def _are_rivals(self, first: int, second: int) -> bool:
        slices, space = self.slices, self.space
        boxes = slices.boxes[first], slices.boxes[second]
        return (
            space.shapes.overlapping(boxes[0].shape) >> boxes[1].shape & 1 > 0
            and slices.destinations[first] != slices.destinations[second]
            and intersect(*map(space.pivot_values, boxes))[0] > 0
        )

    def _ranks(self, entry: RoutingEntry) -> range:
        key = evaluation_key(entry, self.evaluation)
        return range(bisect_left(self._keys, key), bisect_right(self._keys, key))
