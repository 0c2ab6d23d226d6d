"""Many regions in brief: one case for each rule that conversations come to, by what it asks for and where they were.

A brownfield tenant's first plan moves nearly everybody, in hundreds of exact cases. Nobody reads those aloud; what is
left out here is what other rules take first, and -v says all of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.behaviour.express import Clause
from reconciler.model import ORDERS, Condition, condition
from reconciler.render.clauses_text import clauses_phrase
from reconciler.shares import shares

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.behaviour.entry import Destination
    from reconciler.behaviour.region import Region
    from reconciler.model import Scalar
    from reconciler.shares import Share
    from reconciler.traffic import Sample

LISTING: Final = ("equals", "in")


@dataclass(frozen=True, slots=True)
class Case:
    """Regions whose conversations come to one rule: who they are in brief, from where, and one region as example."""

    asked: tuple[Clause, ...]
    befores: tuple[Destination, ...]
    after: Destination
    region: Region
    share: Share | None

    def who(self, labels: Mapping[str, str]) -> str:
        """Say what is asked for."""
        return clauses_phrase(self.asked, labels) if self.asked else "what no other rule takes first"


def cases(regions: Sequence[Region], sample: Sample | None, labels: Mapping[str, str]) -> list[Case]:
    """Return the cases: those that most of the sample is about first, else those that name most intents."""
    groups: dict[tuple[Destination, int], list[Region]] = {}
    for region in regions:
        groups.setdefault((region.after, id(region.after_rule)), []).append(region)
    found = [_case(group, shares(group, sample).total if sample else None, labels) for group in groups.values()]
    return sorted(found, key=lambda case: (-(case.share.most if case.share else 0), -_named(case, labels)))


def _case(regions: Sequence[Region], share: Share | None, labels: Mapping[str, str]) -> Case:
    first = max(regions, key=lambda region: -len(region.example.assumed) - len(region.where))
    befores = tuple(dict.fromkeys(region.before for region in regions))
    return Case((*_intents(regions, labels), *_others(regions, labels)), befores, first.after, first, share)


def _intents(regions: Sequence[Region], labels: Mapping[str, str]) -> tuple[Clause, ...]:
    """Return every intent that any of the regions lists; nothing where one leaves it open."""
    named: dict[Scalar, None] = {}
    attribute = ""
    for region in regions:
        listed = [part for part, negate in region.where if not negate and _lists_intents(part, labels)]
        if not listed:
            return ()
        for part in listed:
            if isinstance(part, Condition):
                attribute = part.attribute
                values = part.value if isinstance(part.value, tuple) else (part.value,)
                named |= dict.fromkeys(value for value in values if value is not None)
    return (Clause(condition(attribute, "in", sorted(named, key=str))),) if named else ()


def _others(regions: Sequence[Region], labels: Mapping[str, str]) -> tuple[Clause, ...]:
    """Return what all of the regions ask for beside the intent."""
    asked = [clause for clause in regions[0].where if _asks_for(clause) and not _lists_intents(clause.part, labels)]
    return tuple(clause for clause in asked if all(clause in region.where for region in regions))


def _asks_for(clause: Clause) -> bool:
    part, negate = clause
    if not isinstance(part, Condition):
        return not negate
    return part.operator in ORDERS if negate else part.operator != "exists"


def _lists_intents(part: object, labels: Mapping[str, str]) -> bool:
    return isinstance(part, Condition) and labels.get(part.attribute) == "intent" and part.operator in LISTING


def _named(case: Case, labels: Mapping[str, str]) -> int:
    return sum(
        len(part.value) if isinstance(part.value, tuple) else 1
        for part, _ in case.asked
        if isinstance(part, Condition) and _lists_intents(part, labels)
    )
