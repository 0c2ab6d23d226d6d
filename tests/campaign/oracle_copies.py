"""Which of several rules with one marker is managed, without the package's code: a user's copy is
never written.
"""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from tests.campaign.oracle_facts import SERVERS_OWN, part
from tests.campaign.oracle_marks import is_edited

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Json = Any
Rule = dict[str, Any]

DECLARED: Final = frozenset(
    {
        "name",
        "description",
        "priority",
        "enabled",
        "conditions",
        "targets",
        *SERVERS_OWN,
    }
)
"""The fields of a rule that a manifest sets, and those that a server adds."""
KNOWN_IN_PARTS: Final = frozenset(
    {"type", "attributeName", "operator", "value", "queueId", "weight"}
)


def original(group: Sequence[Rule]) -> Rule | None:
    """Return the managed one; None if a user changed one of the candidates, and no date decides."""
    complete = [item for item in group if not is_edited(item)] or list(group)
    if len(complete) == 1:
        return complete[0]
    moments = [moment(item) for item in complete]
    declared = sorted(filter(None, moments))
    if len(declared) == len(complete) and declared[0] < declared[1]:
        return complete[moments.index(declared[0])]
    eldest = min(complete, key=lambda item: (moment(item) or "~", item["id"]))
    equal = all(not is_edited(item) and alike(eldest, item) for item in complete)
    return eldest if equal else None


def in_order(group: list[Rule]) -> list[Rule]:
    """Return the managed rule first, if it is known."""
    first = original(group)
    return (
        group
        if first is None
        else [first, *(item for item in group if item is not first)]
    )


def changed(group: Sequence[Rule]) -> list[Rule]:
    """Return a user's rules among these; all, if it is not known which one is managed."""
    first = original(group)
    if first is None:
        return list(group)
    return [
        item
        for item in group
        if item is not first and (is_edited(item) or not alike(first, item))
    ]


def alike(ours: Rule, other: Rule) -> bool:
    """Return whether another rule has the same values in the fields that no manifest sets, also in
    its parts.
    """
    names = (ours.keys() | other.keys()) - DECLARED
    if any(
        name not in ours or name not in other or _text(ours[name]) != _text(other[name])
        for name in names
    ):
        return False
    return all(
        _alike_parts(ours.get(name) or (), other.get(name) or ())
        for name in ("conditions", "targets")
    )


def _alike_parts(
    ours: Sequence[Mapping[str, Json]], other: Sequence[Mapping[str, Json]]
) -> bool:
    mine = Counter(map(_parted, ours))
    foreign_side = Counter(map(_parted, other))
    shared = {subject for subject, _ in mine} & {subject for subject, _ in foreign_side}
    values = {"{}", *(rest for _, rest in mine)}
    differ = [
        subject
        for subject, _ in (mine - foreign_side) + (foreign_side - mine)
        if subject in shared
    ]
    return not differ and all(
        rest in values for subject, rest in foreign_side if subject not in shared
    )


def _parted(one: Mapping[str, Json]) -> tuple[object, str]:
    rest = (
        {}
        if part(one)[0] == "?"
        else {name: one[name] for name in one.keys() - KNOWN_IN_PARTS}
    )
    return part(one), _text(rest)


def _text(value: Json) -> str:
    return json.dumps(value, sort_keys=True)


def moment(rule: Rule) -> str:
    """Return when a rule was created, in the format of this campaign's servers; empty for
    others.
    """
    date = rule.get("dateCreated")
    try:
        return (
            datetime.fromisoformat(date).isoformat()
            if isinstance(date, str) and "T" in date
            else ""
        )
    except ValueError:
        return ""
