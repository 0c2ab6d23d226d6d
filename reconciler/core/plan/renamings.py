"""Renamings: two edits that together change which rule is called what."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from reconciler.core.behaviour.diff.effects import Edit
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.model.grouping import group_pairs


@dataclass(frozen=True, slots=True)
class Renaming:
    """Two rules that swap their names, or their addresses; two that exchange all but both; or one
    rule that moves to another address.

    Of a move, `first` is the deleted rule, and `second` the new one.
    """

    kind: Literal["names", "addresses", "contents", "move"]
    first: RoutingEntry
    second: RoutingEntry


_Call = Callable[[RoutingEntry], Hashable]


def find_renamings(edits: Sequence[Edit]) -> Mapping[int, Renaming]:
    """Return the renaming of each half, by the id() of its edit."""
    renamed = [edit for edit in edits if _is_renamed(edit)]
    others = [edit for edit in edits if _is_another_rule(edit)]
    same_name = [edit for edit in others if _has_same_name(edit)]
    other_name = [edit for edit in others if not _has_same_name(edit)]
    return {
        **_find_swaps("names", renamed, _name),
        **_find_swaps("addresses", other_name, _named_routing),
        **_find_swaps("contents", same_name, _routing),
        **_find_moves(edits),
    }


def _has_same_name(edit: Edit) -> bool:
    before, after, _ = edit
    return before is not None and after is not None and _name(before) == _name(after)


def _is_renamed(edit: Edit) -> bool:
    """Return whether an edit changes the name of a rule, and nothing that routes."""
    before, after, _ = edit
    if before is None or after is None:
        return False
    return _name(before) != _name(after) and _routing(before) == _routing(after)


def _is_another_rule(edit: Edit) -> bool:
    """Return whether a rule has both other conditions and other targets."""
    before, after, _ = edit
    if before is None or after is None:
        return False
    old = before.rule
    new = after.rule
    return old.conditions != new.conditions and old.targets != new.targets


def _find_swaps(
    kind: Literal["names", "addresses", "contents"],
    updates: Iterable[Edit],
    part_of: _Call,
) -> dict[int, Renaming]:
    """Return what two rules exchange; nothing that further rules have, too."""
    found: dict[int, Renaming] = {}
    by_names = group_pairs(
        ((part_of(before), part_of(after)), edit)
        for edit in updates
        if (before := edit.before) and (after := edit.after)
    )
    for (old, new), (edit, *others) in by_names.items():
        partners = by_names.get((new, old), [])
        if others or len(partners) != 1 or id(edit) in found:
            continue
        (partner,) = partners
        if edit.after and partner.after:
            renaming = Renaming(kind, edit.after, partner.after)
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


def _named_routing(entry: RoutingEntry) -> Hashable:
    return _name(entry), _routing(entry)
