"""Which live rules are ours, and who made a difference (spec.md section 3). There is no state file: markers say it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from reconciler.marker import copy_name, digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from reconciler.change import Cause, LiveRule
    from reconciler.model import Address


@dataclass(frozen=True, slots=True)
class Owned:
    """Live rules by who manages them; each group is in the order of its rules' ids.

    managed: the one rule per address that is ours. duplicates: further rules with its marker and untouched content.
    copies: our temporary copies, edited or not. clones: further rules with a marker of either that somebody made by
    copying and then edited. unmanaged: all others.
    """

    managed: Mapping[Address, LiveRule]
    duplicates: tuple[LiveRule, ...]
    clones: tuple[LiveRule, ...]
    copies: tuple[LiveRule, ...]
    unmanaged: tuple[LiveRule, ...]

    def within(self, addresses: Collection[Address]) -> Owned:
        """Return ours of these addresses alone, beside all that is not ours."""
        managed = {address: live for address, live in self.managed.items() if address in addresses}
        groups = (self.duplicates, self.clones, self.copies)
        ours = [tuple(one for one in group if _is_of(one, addresses)) for group in groups]
        return Owned(managed, ours[0], ours[1], ours[2], self.unmanaged)


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
    managed: dict[Address, LiveRule] = {}
    duplicates: list[LiveRule] = []
    for address, rules in ours.items():
        first, *others = rules if len(rules) == 1 else sorted(rules, key=_age)
        managed[address] = first
        for other in others:
            (clones if edited(other) else duplicates).append(other)
    return Owned(managed, tuple(duplicates), tuple(clones), tuple(copies), tuple(unmanaged))


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


def _age(live: LiveRule) -> tuple[float, str]:
    """Order by `dateCreated`, rules without a readable one last, then by id."""
    try:
        return datetime.fromisoformat(live.created).timestamp(), live.id
    except (ValueError, OverflowError, OSError):
        return float("inf"), live.id
