"""Edits of rules that may change nothing: a rule or a condition less, and rules that become one.

What a candidate does to conversations is not known here (`simplify_search`). Pure.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, NamedTuple

from reconciler.core.behaviour.routing_entry import (
    destination_of_rule,
    evaluation_key,
)
from reconciler.core.behaviour.space.space import Conditions
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Condition, normalized_conditions
from reconciler.features.changes.join_conditions import join_conditions
from reconciler.features.changes.simplify_rules import (
    EnvironmentRules,
    RulePlace,
    StatedCondition,
)

EditKind = Literal["unused", "condition", "redundant", "join"]

_MAX_DISTANCE: Final = 8  # in their group, of two rules that are joined alone


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An edit. Without `conditions`, the rules are removed.

    Otherwise the first of them gets these conditions, by Environment, and the others are removed.
    `subject` is the condition that is dropped, or the attribute that joined rules differ in.
    """

    kind: EditKind
    places: tuple[RulePlace, ...]
    conditions: Mapping[str, Conditions] | None = None
    subject: Condition | str = ""


class RuleView(NamedTuple):
    """The rules of one Environment at one time, and the conditions of each."""

    rules: EnvironmentRules
    stated: Mapping[RulePlace, Sequence[StatedCondition]]


def removals(kind: EditKind, places: Iterable[RulePlace]) -> Iterator[Candidate]:
    """Yield the removal of each rule."""
    for place in places:
        yield Candidate(kind=kind, places=(place,))


def dropped_conditions(
    places: Iterable[RulePlace], views: Sequence[RuleView]
) -> Iterator[Candidate]:
    """Yield each condition that a rule could do without.

    A default of the RuleSet is none: it is written once for many rules.
    """
    for place in places:
        having = [view for view in views if place in view.stated]
        for condition, path in having[0].stated[place]:
            if not path:
                continue
            conditions = {
                view.rules.name: _without(view.stated[place], path) for view in having
            }
            # A condition that is stated twice is one condition in the API.
            if any(condition in parts for parts in conditions.values()):
                continue
            yield Candidate(
                kind="condition",
                places=(place,),
                conditions=conditions,
                subject=condition,
            )


def _without(stated: Sequence[StatedCondition], path: object) -> Conditions:
    return normalized_conditions(each.condition for each in stated if each.path != path)


def joined_rules(
    places: Iterable[RulePlace], views: Sequence[RuleView]
) -> Iterator[Candidate]:
    """Yield the rules of a document with one destination whose conditions differ in one attribute:
    first all of a group, then two of them.
    """
    ordered = _in_order(places, views[0])
    attributes = {
        part.attribute for place in ordered for part in _conditions(views[0], place)
    }
    for attribute in sorted(attributes):
        alike = group_pairs(
            (_other_parts(views[0], place, attribute), place) for place in ordered
        )
        for group in alike.values():
            yield from _joined_groups(group, attribute, views)


def _in_order(places: Iterable[RulePlace], view: RuleView) -> list[RulePlace]:
    """Return the rules in the order of evaluation."""
    evaluation = view.rules.desired.evaluation
    entries = view.rules.entries
    return sorted(
        (place for place in places if place in view.stated),
        key=lambda place: evaluation_key(entries[place], evaluation),
    )


def _conditions(view: RuleView, place: RulePlace) -> Iterator[Condition]:
    return (each.condition for each in view.stated[place])


def _other_parts(view: RuleView, place: RulePlace, attribute: str) -> object:
    """Return what rules must have in common to be joined."""
    others = (part for part in _conditions(view, place) if part.attribute != attribute)
    destination = destination_of_rule(view.rules.entries[place])
    return place.document, destination, normalized_conditions(others)


def _joined_groups(
    group: Sequence[RulePlace], attribute: str, views: Sequence[RuleView]
) -> Iterator[Candidate]:
    if len(group) < 2:  # noqa: PLR2004 - rules are joined with others
        return
    pairs = (
        (group[first], group[second])
        for first, second in combinations(range(len(group)), 2)
        if second - first <= _MAX_DISTANCE
    )
    wholes = [tuple(group)] if len(group) > 2 else []  # noqa: PLR2004 - a pair is one of the pairs
    for places in (*wholes, *pairs):
        candidate = _join(places, attribute, views)
        if candidate is not None:
            yield candidate


def _join(
    places: tuple[RulePlace, ...], attribute: str, views: Sequence[RuleView]
) -> Candidate | None:
    """Return rules as one; None if they are not in the same Environments, or no condition is
    simple enough.
    """
    conditions = {}
    for view in views:
        present = [place in view.stated for place in places]
        if not any(present):
            continue
        if not all(present):
            return None
        joined = _joined_conditions(places, attribute, view)
        if joined is None:
            return None
        conditions[view.rules.name] = joined
    return Candidate(
        kind="join", places=places, conditions=conditions, subject=attribute
    )


def _joined_conditions(
    places: Sequence[RulePlace], attribute: str, view: RuleView
) -> Conditions | None:
    parts = [
        [part for part in _conditions(view, place) if part.attribute == attribute]
        for place in places
    ]
    joined = join_conditions(parts)
    if joined is None:
        return None
    others = (
        part for part in _conditions(view, places[0]) if part.attribute != attribute
    )
    return normalized_conditions((*others, *joined))
