"""The owners of live rules, and why a managed rule differs (ownership).

Markers hold the state: no state file.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from reconciler.model.change import Cause
from reconciler.model.live import LiveRule, copy_name, marker_digest
from reconciler.model.rule import CANONICAL_JSON, Address
from reconciler.text.escape import join_first, sanitize

_DATE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*", re.ASCII)
_FIRST_YEAR: Final = (
    2000  # an earlier year is a placeholder of a program without a date
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRulesByOwner:
    """Live rules by their owner; each group is in the order of the ids."""

    managed: Mapping[Address, LiveRule]  # the one managed rule of each address
    duplicates: tuple[LiveRule, ...]  # further rules with its marker, not edited
    edited_copies: tuple[
        LiveRule, ...
    ]  # further rules with a marker, made by copying in CXone and then edited
    temporary_copies: tuple[LiveRule, ...]  # copies that an apply made
    ambiguous: Mapping[
        Address, tuple[LiveRule, ...]
    ]  # edited copies, one of which is the managed rule: unknown which
    unmanaged: tuple[LiveRule, ...]


def classify_by_owner(live: Iterable[LiveRule], owner: str) -> LiveRulesByOwner:
    """Return the live rules by their owner; `owner` is the owner of the managed rules."""
    by_address: dict[Address, list[LiveRule]] = defaultdict(list)
    groups: dict[str, list[LiveRule]] = defaultdict(list)
    for rule in sorted(live, key=lambda rule: rule.id):
        if rule.marker is None or rule.marker.owner != owner:
            groups["unmanaged"].append(rule)
        elif rule.marker.copy:
            is_own = rule.rule.name == copy_name(
                owner, rule.marker.address
            ) or not was_edited(rule)
            groups["temporary_copies" if is_own else "edited_copies"].append(rule)
        else:
            by_address[rule.marker.address].append(rule)
    managed: dict[Address, LiveRule] = {}
    ambiguous: dict[Address, tuple[LiveRule, ...]] = {}
    for address, rules in by_address.items():
        original = rules[0] if len(rules) == 1 else find_original(rules)
        if original is None:
            ambiguous[address] = tuple(rules)
        else:
            managed[address] = original
        for rule in rules:
            if rule is not original:
                groups[
                    "duplicates" if is_duplicate(rule, original) else "edited_copies"
                ].append(rule)
    names = ("duplicates", "edited_copies", "temporary_copies", "unmanaged")
    return LiveRulesByOwner(
        managed=managed,
        ambiguous=ambiguous,
        **{name: tuple(groups[name]) for name in names},
    )


def find_original(rules: Sequence[LiveRule]) -> LiveRule | None:
    """Return the original of several rules with one marker, or None where that is unknown."""
    # Unedited rules come first. Of equal candidates the oldest is the original, or the one with the
    # smallest id. If one was edited, the dates must show which is the oldest, because the others
    # must never be changed.
    candidates = [rule for rule in rules if not was_edited(rule)] or rules
    dates = [_creation_time(rule) for rule in candidates]
    valid_dates = [date for date in dates if date is not None]
    if len(valid_dates) == len(dates) and dates.count(min(valid_dates)) == 1:
        return candidates[dates.index(min(valid_dates))]
    pairs = zip(dates, candidates, strict=True)
    first = min(pairs, key=lambda pair: (pair[0] is None, pair[0] or 0, pair[1].id))[1]
    return (
        first
        if len(candidates) == 1 or all(is_duplicate(rule, first) for rule in candidates)
        else None
    )


def is_duplicate(rule: LiveRule, managed: LiveRule | None) -> bool:
    """Return whether a rule with the marker of a managed rule is unedited, with the same values in
    unknown fields.
    """
    return (
        managed is not None
        and not was_edited(rule)
        and not differing_fields(managed, rule)
    )


def was_edited(live: LiveRule) -> bool:
    """Return whether a managed rule differs from its marker's digest, which is that of the last
    write.
    """
    return live.marker is not None and marker_digest(live.rule) != live.marker.digest


def find_cause(live: LiveRule, desired_digest: str) -> Cause:
    """Return why a managed rule differs: the manifest changed, the rule was edited, or both."""
    if not was_edited(live):
        return "manifest"
    return (
        "both"
        if live.marker is None or live.marker.digest != desired_digest
        else "drift"
    )


def _creation_time(live: LiveRule) -> float | None:
    """Return when a rule was created, in seconds; None without a complete ISO 8601 date and
    time.
    """
    try:
        created = (
            datetime.fromisoformat(live.created)
            if _DATE_TIME.fullmatch(live.created)
            else None
        )
        if created is None or created.year < _FIRST_YEAR:
            return None
        return (created if created.tzinfo else created.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


Json = Any

_RULE_FIELDS: Final = frozenset(
    {"name", "description", "priority", "enabled", "conditions", "targets"}
)
_PART_FIELDS: Final = {
    "conditions": ("attribute", ("type", "attributeName", "operator", "value")),
    "targets": ("queue", ("type", "queueId", "weight")),
    # by the list that holds them: the type of the parts that cxroute understands, and the fields
    # that it knows of them
}

_SERVER_FIELDS: Final = re.compile(
    "version|revision|etag|odataetag|links?|self|selfuri|selflink|href"
    "|(?:date|time)?(?:last)?(?:created|creation|modified|modification|updated|changed)(?:date|time|timestamp|at|on|utc)*"
    "|(?:last)?(?:create|update|change)(?:date|time|timestamp)|last(?:update|change)"
    # names of the fields that a server adds to each rule, except `id`, in lower case and without
    # separators
)

_SEPARATORS: Final = str.maketrans("", "", "~_-.@ ")
_MAX_NAME_LENGTH: Final = 60
_MAX_NAMES: Final = 5


def differing_fields(first: LiveRule, second: LiveRule) -> tuple[str, ...]:
    """Return the names of the unknown fields that differ, sorted; `targets[].hint` for a field of a
    target.
    """
    before = _unknown_fields(first.raw)
    after = _unknown_fields(second.raw)
    names = {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
    }
    for name in _PART_FIELDS:
        names.update(
            f"{name}[].{field}"
            for field in _differing_part_fields(name, first.raw, second.raw)
        )
    return tuple(sorted(names))


def fields_phrase(names: Sequence[str]) -> str:
    """Return the first names of fields for a message: escaped, and long names cut."""
    # `~id` is a tenant's field `id` if its Profile gives the id another name.
    return join_first(
        names,
        _MAX_NAMES,
        lambda name: sanitize(name.removeprefix("~"), _MAX_NAME_LENGTH),
    )


def _unknown_fields(raw: Mapping[str, Json]) -> dict[str, str]:
    names = [name for name in raw if name not in _RULE_FIELDS]
    plain_names = {
        name: name.lower().translate(_SEPARATORS) for name in names if name != "id"
    }
    unknown = (
        name
        for name, plain in plain_names.items()
        if not _SERVER_FIELDS.fullmatch(plain)
    )
    return {name: CANONICAL_JSON.encode(raw[name]) for name in unknown}


def _differing_part_fields(
    name: str, first: Mapping[str, Json], second: Mapping[str, Json]
) -> set[str]:
    # An unedited duplicate of another version has other parts: of those, only fields that `first`
    # has nowhere count.
    before, after = (
        Counter(_part_fields(name, raw.get(name))) for raw in (first, second)
    )
    shared = {part for part, _, _ in before} & {part for part, _, _ in after}
    anywhere = {(field, text) for _, field, text in before}
    odd = (before - after) + (after - before)
    fields = [(part, field, text) for part, field, text in odd if field is not None]
    return {
        field
        for part, field, text in fields
        if part in shared or (field, text) not in anywhere
    }


def _part_fields(name: str, parts: Json) -> Iterator[tuple[str, str | None, str]]:
    """Yield each known part, identified by its known fields: once, and once for each unknown
    field.
    """
    kind, known_fields = _PART_FIELDS[name]
    for part in parts if isinstance(parts, list) else ():
        if (
            isinstance(part, dict) and part.get("type") == kind
        ):  # the digest covers all of an opaque part
            values = [part.get(field) for field in known_fields]
            text = CANONICAL_JSON.encode(
                [
                    sorted(map(CANONICAL_JSON.encode, value))
                    if isinstance(value, list)
                    else value
                    for value in values
                ]
            )
            yield text, None, ""
            unknown = _unknown_fields(part).items()
            yield from (
                (text, field, value)
                for field, value in unknown
                if field not in known_fields
            )
