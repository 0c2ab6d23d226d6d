"""Which live rules are ours, and who made a difference (ownership). There is no state file: markers say it."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from reconciler.model.live import LiveRule, copy_name, marker_digest
from reconciler.plan.unknown_fields import differing_fields

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from reconciler.model.change import Cause
    from reconciler.model.rule import Address


_DATE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*", re.ASCII)
_FIRST_YEAR: Final = 2000  # an earlier year is what a program writes that knows no date


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRulesByOwner:
    """Live rules by who manages them; each group is in the order of its rules' ids.

    managed: the one rule per address that is ours. duplicates: further rules with its marker that nobody changed.
    temporary_copies: our temporary copies, edited or not. edited_copies: further rules with a marker of either that
    somebody made by copying and then changed. ambiguous: by address, those among the edited copies of which one is
    ours, and nothing says which. unmanaged: all others.
    """

    managed: Mapping[Address, LiveRule]
    duplicates: tuple[LiveRule, ...]
    edited_copies: tuple[LiveRule, ...]
    temporary_copies: tuple[LiveRule, ...]
    ambiguous: Mapping[Address, tuple[LiveRule, ...]]
    unmanaged: tuple[LiveRule, ...]

    def restricted_to(self, addresses: Collection[Address]) -> LiveRulesByOwner:
        """Return ours of these addresses alone, beside all that is not ours."""
        managed = {address: live for address, live in self.managed.items() if address in addresses}
        undecided = {address: rules for address, rules in self.ambiguous.items() if address in addresses}
        groups = (self.duplicates, self.edited_copies, self.temporary_copies)
        ours = [tuple(one for one in group if _has_address(one, addresses)) for group in groups]
        return LiveRulesByOwner(
            managed=managed,
            duplicates=ours[0],
            edited_copies=ours[1],
            temporary_copies=ours[2],
            ambiguous=undecided,
            unmanaged=self.unmanaged,
        )


def classify_by_owner(live: Iterable[LiveRule], owner: str) -> LiveRulesByOwner:
    """Sort live rules by who manages them, `owner` being us."""
    ours: dict[Address, list[LiveRule]] = defaultdict(list)
    copies: list[LiveRule] = []
    clones: list[LiveRule] = []
    unmanaged: list[LiveRule] = []
    for rule in sorted(live, key=lambda one: one.id):
        if rule.marker is None or rule.marker.owner != owner:
            unmanaged.append(rule)
        elif rule.marker.copy:
            ours_still = rule.rule.name == copy_name(owner, rule.marker.address) or not was_edited(rule)
            (copies if ours_still else clones).append(rule)
        else:
            ours[rule.marker.address].append(rule)
    originals = {address: rules[0] if len(rules) == 1 else find_original(rules) for address, rules in ours.items()}
    duplicates: list[LiveRule] = []
    for address, rules in ours.items():
        first = originals[address]
        for other in rules:
            if other is not first:
                (duplicates if is_duplicate(other, first) else clones).append(other)
    managed = {address: first for address, first in originals.items() if first is not None}
    undecided = {address: tuple(ours[address]) for address, first in originals.items() if first is None}
    return LiveRulesByOwner(
        managed=managed,
        duplicates=tuple(duplicates),
        edited_copies=tuple(clones),
        temporary_copies=tuple(copies),
        ambiguous=undecided,
        unmanaged=tuple(unmanaged),
    )


def find_original(rules: Sequence[LiveRule]) -> LiveRule | None:
    """Return which of several rules with one marker is ours; None where nothing says it."""
    # One that nobody edited comes first. Where all candidates are equal any will do: the oldest, else the smallest id.
    # Where somebody changed one of them, the dates must say which is the oldest: the others are never to be written.
    candidates = [rule for rule in rules if not was_edited(rule)] or rules
    dates = [_creation_time(rule) for rule in candidates]
    known = [date for date in dates if date is not None]
    if len(known) == len(dates) and dates.count(min(known)) == 1:
        return candidates[dates.index(min(known))]
    first = min(zip(dates, candidates, strict=True), key=lambda one: (one[0] is None, one[0] or 0, one[1].id))[1]
    alone = len(candidates) == 1
    return first if alone or all(is_duplicate(rule, first) for rule in candidates) else None


def is_duplicate(rule: LiveRule, managed: LiveRule | None) -> bool:
    """Say whether a rule with the marker of ours is just what we wrote, and like ours in all that we do not write."""
    return managed is not None and not was_edited(rule) and not differing_fields(managed, rule)


def was_edited(live: LiveRule) -> bool:
    """Say whether a managed rule is no longer what its marker says was last written."""
    return live.marker is not None and marker_digest(live.rule) != live.marker.digest


def find_cause(live: LiveRule, desired_digest: str) -> Cause:
    """Say who made a managed rule differ: the manifest moved on, somebody edited the rule, or both."""
    moved_on = live.marker is None or live.marker.digest != desired_digest
    if not was_edited(live):
        return "manifest"
    return "both" if moved_on else "drift"


def _has_address(live: LiveRule, addresses: Collection[Address]) -> bool:
    return live.marker is not None and live.marker.address in addresses


def _creation_time(live: LiveRule) -> float | None:
    """Return when a rule was created, in seconds; None where no complete ISO 8601 moment says it."""
    try:
        moment = datetime.fromisoformat(live.created) if _DATE_TIME.fullmatch(live.created) else None
        if moment is None or moment.year < _FIRST_YEAR:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
