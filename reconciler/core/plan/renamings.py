"""Renamings: two edits that together change nothing but what rules are called."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reconciler.core.behaviour.diff.effects import Edit
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.grouping import group_pairs


@dataclass(frozen=True, slots=True)
class Renaming:
    """Two rules that swap their names, or one rule that moves to another address.

    Of a move, `first` is the deleted rule, and `second` the new one.
    """

    kind: Literal["swap", "move"]
    first: RoutingEntry
    second: RoutingEntry


_Call = Callable[[RoutingEntry], Hashable]


def find_renamings(edits: Sequence[Edit]) -> Mapping[int, Renaming]:
    """Return the renaming of each half, by the id() of its edit."""
    found: dict[int, Renaming] = {}
    for name_of, rest_of in ((_name, _routing), (_routing, _nothing)):
        updates = [
            edit
            for edit in edits
            if id(edit) not in found and _changes(edit, name_of, rest_of)
        ]
        found |= _find_swaps(updates, name_of)
    return found | _find_moves(edits)


def _changes(edit: Edit, name_of: _Call, rest_of: _Call) -> bool:
    """Return whether an edit of a rule changes its name, and not the rest."""
    before, after, _ = edit
    if before is None or after is None:
        return False
    return name_of(before) != name_of(after) and rest_of(before) == rest_of(after)


def _find_swaps(updates: Iterable[Edit], name_of: _Call) -> dict[int, Renaming]:
    """Return the swaps of names; none of names that several rules have."""
    found: dict[int, Renaming] = {}
    by_names = group_pairs(
        ((name_of(before), name_of(after)), edit)
        for edit in updates
        if (before := edit.before) and (after := edit.after)
    )
    for (old, new), (edit, *others) in by_names.items():
        partners = by_names.get((new, old), [])
        if others or len(partners) != 1 or id(edit) in found:
            continue
        (partner,) = partners
        if edit.after and partner.after:
            renaming = Renaming("swap", edit.after, partner.after)
            found[id(edit)] = renaming
            found[id(partner)] = renaming
    return found


def _find_moves(edits: Iterable[Edit]) -> dict[int, Renaming]:
    """Return the rules that are deleted at one address and created at another one."""
    halves = [edit for edit in edits if (edit.before is None) != (edit.after is None)]
    by_routing = group_pairs(
        (_routing(entry), edit)
        for edit in halves
        if (entry := edit.before or edit.after)
    )
    found: dict[int, Renaming] = {}
    for pair in by_routing.values():
        old = [edit.before for edit in pair if edit.before]
        new = [edit.after for edit in pair if edit.after]
        if len(old) == len(new) == 1:
            renaming = Renaming("move", old[0], new[0])
            found |= {id(edit): renaming for edit in pair}
    return found


def _name(entry: RoutingEntry) -> Hashable:
    return entry.rule.name


def _routing(entry: RoutingEntry) -> Hashable:
    """Return all of a rule but what it is called."""
    return entry.rule.routing_fields


def _nothing(_entry: RoutingEntry) -> Hashable:
    return None
