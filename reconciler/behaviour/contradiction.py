"""Conditions of one rule that cannot hold together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.behaviour.domain import meet
from reconciler.model import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reconciler.behaviour.domain import Part
    from reconciler.behaviour.entry import Entry
    from reconciler.behaviour.space import Space
    from reconciler.model import Opaque


def core(space: Space, entry: Entry) -> tuple[Condition | Opaque, ...]:
    """Return conditions of a rule that cannot hold together, none of which could be left out."""
    conditions = [one for one in entry.rule.conditions if isinstance(one, Condition)]
    for number in sorted({space.number[one.attribute] for one in conditions}):
        asked = [one for one in conditions if space.number[one.attribute] == number]
        if not _common(space, number, asked)[0]:
            for one in list(asked):
                others = [other for other in asked if other is not one]
                if not others or not _common(space, number, others)[0]:
                    asked = others or asked
            return tuple(asked)
    raise AssertionError(entry.name)


def _common(space: Space, number: int, asked: Sequence[Condition]) -> Part:
    part = space.domains[number].all
    for one in asked:
        part = meet(part, space.domain(number).part(one))
    return part
