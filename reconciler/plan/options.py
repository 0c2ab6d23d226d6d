"""What a person chose when asking for a plan, and which addresses that selects."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.model.rule import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """What a person chose when asking for a plan; a saved plan carries it, so that it can be made again."""

    only: tuple[str, ...] = ()  # addresses, or patterns of them such as `cards/*`; none means all
    adopt: bool = False  # take over unmanaged rules that have just the name of a desired one
    keep_drift: bool = False  # leave alone what somebody changed outside
    prune: bool = True  # delete managed rules that no manifest names
    traffic: str | None = None  # the traffic sample's path, where one was named beside the manifests' own
    undo: str | None = None  # the run of the journal that is to be undone, in place of what the manifests want


def is_selected(address: Address, only: Sequence[str]) -> bool:
    """Say whether an address is among the selected ones."""
    return not only or any(fnmatchcase(str(address), pattern) for pattern in only)


def unmatched_selectors(only: Sequence[str], addresses: Iterable[Address]) -> tuple[str, ...]:
    """Return the selectors that select none of the addresses."""
    names = [str(address) for address in addresses]
    return tuple(pattern for pattern in only if not any(fnmatchcase(name, pattern) for name in names))
