"""Which earlier rules the reader of an effect must know, if its rows are read from the top, like
rules.

A row excludes the conversations of all rules that come earlier. Most of them are in a row above, or
are the same for all rows; only the others must be named in the row.
"""

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, product
from typing import Final, Literal, NamedTuple, Protocol

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.boxes import (
    Box,
    intersect_box,
    is_inside,
    overlaps,
)

Side = Literal["before", "after"]

MAX_CHECKS: Final = 200_000  # earlier rules times rows, of all effects together


class RuleBox(NamedTuple):
    """A rule with its box; `edit` is the number of its edit, if it is edited."""

    entry: RoutingEntry
    box: Box
    edit: int | None


class RowBox(NamedTuple):
    """A row: its box, the numbers of all earlier rules, and of those that its JSON names."""

    box: Box
    earlier: AbstractSet[int]
    named: AbstractSet[int]
    counterpart_side: Side  # the list in which another rule takes the conversations


class Rules(Protocol):
    """Rules by number."""

    @property
    def rules(self) -> Sequence[RuleBox]:
        """Return all rules that have a number."""
        ...

    def parts(self, number: int) -> Iterable[int]:
        """Return the numbers of all boxes of a rule with these conditions, in both lists."""
        ...

    def versions(self, edit: int, side: Side) -> Iterable[int]:
        """Return the numbers of all boxes of an edited rule in a list."""
        ...


class RowReader:
    """Finds the rules that rows leave out together (`leading`), and one by one (`besides`).

    `own_versions` says which rows leave out what the edited rules match in the list of the
    counterpart. With more than `limit` checks each row leaves out all of its rules, which is as
    exact. `checks` says how many were made.
    """

    def __init__(
        self,
        rows: Sequence[RowBox],
        rules: Rules,
        edits: AbstractSet[int],
        limit: int = MAX_CHECKS,
    ) -> None:
        self._rows = rows
        self._rules = rules
        self._edits = edits
        self._versions_by_side: dict[Side, frozenset[int]] = {}
        self.own_versions = [self._leaves_out_own_version(row) for row in rows]
        self.besides: list[frozenset[int]] = [frozenset() for _ in rows]
        self.leading: frozenset[int] = frozenset()

        self.checks = 0
        if any(row.named for row in rows):
            self._find_left_out(limit)

    def _find_left_out(self, limit: int) -> None:
        """Find `leading` and `besides` with a number of checks."""
        named = [
            row.named - self._own_rules(place) for place, row in enumerate(self._rows)
        ]
        checks = len(self._rows) * sum(map(len, named))
        if checks > limit:
            self.besides = [frozenset(numbers) for numbers in named]
            return

        self.checks = checks
        candidates: set[int] = set()
        for place, numbers in enumerate(named):
            candidates.update(self._not_above(place, numbers))
        self.leading = frozenset(
            number for number in candidates if self._is_left_out_everywhere(number)
        )
        leading_parts = set(chain.from_iterable(map(self._rules.parts, self.leading)))
        for place, numbers in enumerate(named):
            further = numbers - leading_parts
            self.besides[place] = frozenset(self._not_above(place, further))

    def _own_rules(self, place: int) -> frozenset[int]:
        """Return the edited rules that the words about the own version stand for."""
        row = self._rows[place]
        if not self.own_versions[place]:
            return frozenset()
        return self._versions(row.counterpart_side) & row.named

    def _leaves_out_own_version(self, row: RowBox) -> bool:
        """Return whether a row is without everything that the edited rules match in the list of the
        counterpart.
        """
        if not row.named:  # of most rows: no earlier rule overlaps them
            return False
        versions = self._versions(row.counterpart_side)
        if not versions & row.named:
            return False
        return all(self._is_left_out(row, number) for number in versions)

    def _versions(self, side: Side) -> frozenset[int]:
        """Return the edited rules as they are in a list."""
        if side not in self._versions_by_side:
            edits = (edit for edit in self._edits if edit >= 0)
            versions = (
                number for edit in edits for number in self._rules.versions(edit, side)
            )
            self._versions_by_side[side] = frozenset(versions)
        return self._versions_by_side[side]

    def _is_left_out(self, row: RowBox, number: int) -> bool:
        """Return whether a row certainly has no conversation that a rule matches."""
        return is_taken(self._rules.rules, row.box, number, row.earlier)

    def _is_left_out_everywhere(self, number: int) -> bool:
        pairs = product(self._rows, self._rules.parts(number))
        return all(self._is_left_out(row, part) for row, part in pairs)

    def _not_above(self, place: int, numbers: Iterable[int]) -> list[int]:
        """Return the rules with a conversation in a row's box that may be in no row above."""
        return [number for number in numbers if not self._is_above(place, number)]

    def _is_above(self, place: int, number: int) -> bool:
        common = intersect_box(
            self._rows[place].box, tuple(self._rules.rules[number].box.items())
        )
        if common is None:
            return True
        return any(self._is_in_row(common, above) for above in range(place))

    def _is_in_row(self, box: Box, place: int) -> bool:
        """Return whether a reader finds every conversation of a box in a row."""
        if not is_inside(box, self._rows[place].box):
            return False
        left_out = self.besides[place] | self._own_rules(place)
        return not any(
            overlaps(box, self._rules.rules[number].box) for number in left_out
        )


def is_taken(
    rules: Sequence[RuleBox],
    box: Box,
    number: int,
    earlier: AbstractSet[int],
) -> bool:
    """Return whether one of the earlier rules matches all that a rule matches in a box."""
    if number in earlier:
        return True
    common = intersect_box(box, tuple(rules[number].box.items()))
    if common is None:
        return True
    return any(is_inside(common, rules[other].box) for other in earlier)
