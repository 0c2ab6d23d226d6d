"""Which live rules are ours, and who made a difference (ownership). There is no state file: markers say it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from reconciler.model.change import Cause
from reconciler.model.live import LiveRule, copy_name, marker_digest
from reconciler.model.rule import Address
from reconciler.plan.unknown_fields import differing_fields

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
        """Return the managed rules of these addresses, and all unmanaged ones."""

        def select(group: Iterable[LiveRule]) -> tuple[LiveRule, ...]:
            return tuple(live for live in group if live.marker is not None and live.marker.address in addresses)

        return LiveRulesByOwner(
            managed={address: live for address, live in self.managed.items() if address in addresses},
            duplicates=select(self.duplicates),
            edited_copies=select(self.edited_copies),
            temporary_copies=select(self.temporary_copies),
            ambiguous={address: rules for address, rules in self.ambiguous.items() if address in addresses},
            unmanaged=self.unmanaged,
        )


def classify_by_owner(live: Iterable[LiveRule], owner: str) -> LiveRulesByOwner:
    """Return the live rules by who manages them; `owner` is the owner of the managed ones."""
    by_address: dict[Address, list[LiveRule]] = defaultdict(list)
    copies: list[LiveRule] = []
    edited_copies: list[LiveRule] = []
    unmanaged: list[LiveRule] = []
    for rule in sorted(live, key=lambda rule: rule.id):
        if rule.marker is None or rule.marker.owner != owner:
            unmanaged.append(rule)
        elif rule.marker.copy:
            is_own = rule.rule.name == copy_name(owner, rule.marker.address) or not was_edited(rule)
            (copies if is_own else edited_copies).append(rule)
        else:
            by_address[rule.marker.address].append(rule)
    managed: dict[Address, LiveRule] = {}
    ambiguous: dict[Address, tuple[LiveRule, ...]] = {}
    duplicates: list[LiveRule] = []
    for address, rules in by_address.items():
        original = rules[0] if len(rules) == 1 else find_original(rules)
        if original is None:
            ambiguous[address] = tuple(rules)
        else:
            managed[address] = original
        for rule in rules:
            if rule is not original:
                (duplicates if is_duplicate(rule, original) else edited_copies).append(rule)
    return LiveRulesByOwner(
        managed=managed,
        duplicates=tuple(duplicates),
        edited_copies=tuple(edited_copies),
        temporary_copies=tuple(copies),
        ambiguous=ambiguous,
        unmanaged=tuple(unmanaged),
    )


def find_original(rules: Sequence[LiveRule]) -> LiveRule | None:
    """Return which of several rules with one marker is the original, or None where that is unknown."""
    # An unedited rule comes first. Of equal candidates the oldest is taken, else the one with the smallest id. Where
    # one was edited, the dates must show which is the oldest: the others are never to be written.
    candidates = [rule for rule in rules if not was_edited(rule)] or rules
    dates = [_creation_time(rule) for rule in candidates]
    valid_dates = [date for date in dates if date is not None]
    if len(valid_dates) == len(dates) and dates.count(min(valid_dates)) == 1:
        return candidates[dates.index(min(valid_dates))]
    pairs = zip(dates, candidates, strict=True)
    first = min(pairs, key=lambda pair: (pair[0] is None, pair[0] or 0, pair[1].id))[1]
    return first if len(candidates) == 1 or all(is_duplicate(rule, first) for rule in candidates) else None


def is_duplicate(rule: LiveRule, managed: LiveRule | None) -> bool:
    """Say whether a rule with the marker of ours is just what we wrote, and like ours in all that we do not write."""
    return managed is not None and not was_edited(rule) and not differing_fields(managed, rule)


def was_edited(live: LiveRule) -> bool:
    """Say whether a managed rule is no longer what its marker says was last written."""
    return live.marker is not None and marker_digest(live.rule) != live.marker.digest


def find_cause(live: LiveRule, desired_digest: str) -> Cause:
    """Return why a managed rule differs: the manifest moved on, the rule was edited, or both."""
    if not was_edited(live):
        return "manifest"
    return "both" if live.marker is None or live.marker.digest != desired_digest else "drift"


def _creation_time(live: LiveRule) -> float | None:
    """Return when a rule was created, in seconds; None where no complete ISO 8601 moment says it."""
    try:
        moment = datetime.fromisoformat(live.created) if _DATE_TIME.fullmatch(live.created) else None
        if moment is None or moment.year < _FIRST_YEAR:
            return None
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
