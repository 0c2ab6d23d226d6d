"""Which live rules are ours, and who made a difference (ownership). There is no state file: markers say it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from reconciler.model.live import LiveRule, copy_name, digest
from reconciler.plan.unknown_fields import differing

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from reconciler.model.change import Cause
    from reconciler.model.rule import Address


_MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*", re.ASCII)
_FIRST_YEAR: Final = 2000
"""An earlier year is what a program writes that knows no date."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Owned:
    """Live rules by who manages them; each group is in the order of its rules' ids.

    managed: the one rule per address that is ours. duplicates: further rules with its marker that nobody changed.
    copies: our temporary copies, edited or not. clones: further rules with a marker of either that somebody made by
    copying and then changed. undecided: by address, those among the clones of which one is ours, and nothing says
    which. unmanaged: all others.
    """

    managed: Mapping[Address, LiveRule]
    duplicates: tuple[LiveRule, ...]
    clones: tuple[LiveRule, ...]
    copies: tuple[LiveRule, ...]
    undecided: Mapping[Address, tuple[LiveRule, ...]]
    unmanaged: tuple[LiveRule, ...]

    def within(self, addresses: Collection[Address]) -> Owned:
        """Return ours of these addresses alone, beside all that is not ours."""
        managed = {address: live for address, live in self.managed.items() if address in addresses}
        undecided = {address: rules for address, rules in self.undecided.items() if address in addresses}
        groups = (self.duplicates, self.clones, self.copies)
        ours = [tuple(one for one in group if _is_of(one, addresses)) for group in groups]
        return Owned(
            managed=managed,
            duplicates=ours[0],
            clones=ours[1],
            copies=ours[2],
            undecided=undecided,
            unmanaged=self.unmanaged,
        )


def own(live: Iterable[LiveRule], owner: str) -> Owned:
    """Sort live rules by who manages them, `owner` being us."""
    ours: dict[Address, list[LiveRule]] = defaultdict(list)
    copies: list[LiveRule] = []
    clones: list[LiveRule] = []
    unmanaged: list[LiveRule] = []
    for rule in sorted(live, key=lambda one: one.id):
        if rule.marker is None or rule.marker.owner != owner:
            unmanaged.append(rule)
        elif rule.marker.copy:
            ours_still = rule.rule.name == copy_name(owner, rule.marker.address) or not edited(rule)
            (copies if ours_still else clones).append(rule)
        else:
            ours[rule.marker.address].append(rule)
    originals = {address: rules[0] if len(rules) == 1 else original(rules) for address, rules in ours.items()}
    duplicates: list[LiveRule] = []
    for address, rules in ours.items():
        first = originals[address]
        for other in rules:
            if other is not first:
                (duplicates if is_duplicate(other, first) else clones).append(other)
    managed = {address: first for address, first in originals.items() if first is not None}
    undecided = {address: tuple(ours[address]) for address, first in originals.items() if first is None}
    return Owned(
        managed=managed,
        duplicates=tuple(duplicates),
        clones=tuple(clones),
        copies=tuple(copies),
        undecided=undecided,
        unmanaged=tuple(unmanaged),
    )


def original(rules: Sequence[LiveRule]) -> LiveRule | None:
    """Return which of several rules with one marker is ours; None where nothing says it.

    One that nobody edited comes first. Where all candidates are equal any will do: the oldest, else the smallest id.
    Where somebody changed one of them, the dates must say which is the oldest: the others are never to be written.
    """
    candidates = [rule for rule in rules if not edited(rule)] or rules
    dates = [_created(rule) for rule in candidates]
    known = [date for date in dates if date is not None]
    if len(known) == len(dates) and dates.count(min(known)) == 1:
        return candidates[dates.index(min(known))]
    first = min(zip(dates, candidates, strict=True), key=lambda one: (one[0] is None, one[0] or 0, one[1].id))[1]
    alone = len(candidates) == 1
    return first if alone or all(is_duplicate(rule, first) for rule in candidates) else None


def is_duplicate(rule: LiveRule, ours: LiveRule | None) -> bool:
    """Say whether a rule with the marker of ours is just what we wrote, and like ours in all that we do not write."""
    return ours is not None and not edited(rule) and not differing(ours, rule)


def edited(live: LiveRule) -> bool:
    """Say whether a managed rule is no longer what its marker says was last written."""
    return live.marker is not None and digest(live.rule) != live.marker.digest


def cause(live: LiveRule, desired_digest: str) -> Cause:
    """Say who made a managed rule differ: the manifest moved on, somebody edited the rule, or both."""
    moved_on = live.marker is None or live.marker.digest != desired_digest
    if not edited(live):
        return "manifest"
    return "both" if moved_on else "drift"


def _is_of(live: LiveRule, addresses: Collection[Address]) -> bool:
    return live.marker is not None and live.marker.address in addresses


def _created(live: LiveRule) -> float | None:
    """Return when a rule was created, in seconds; None where no complete ISO 8601 moment says it."""
    try:
        moment = datetime.fromisoformat(live.created) if _MOMENT.fullmatch(live.created) else None
        if moment is None or moment.year < _FIRST_YEAR:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
