"""The owners of live rules, and why a managed rule differs (ownership).

Markers hold the state: no state file.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any, Final

from reconciler.core.model.change import Cause
from reconciler.core.model.live import LiveRule, Marker, copy_name, marker_digest
from reconciler.core.model.rule import CANONICAL_JSON, Address
from reconciler.core.text.escape import join_first, sanitize

_DATE_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:.*", re.ASCII)
# an earlier year is a placeholder of a program without a date
_FIRST_YEAR: Final = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveRulesByOwner:
    """Live rules by their owner; each group is in the order of the ids."""

    managed: Mapping[Address, LiveRule]  # the one managed rule of each address
    duplicates: tuple[LiveRule, ...]  # further rules with its marker, not edited
    # further rules with a marker, made by copying in CXone and then edited
    edited_copies: tuple[LiveRule, ...]
    temporary_copies: tuple[LiveRule, ...]  # copies that an apply made
    # edited copies, one of which is the managed rule: unknown which
    ambiguous: Mapping[Address, tuple[LiveRule, ...]]
    unmanaged: tuple[LiveRule, ...]


def classify_by_owner(live: Iterable[LiveRule], owner: str) -> LiveRulesByOwner:
    """Return the live rules by their owner; `owner` is the owner of the managed rules."""
    by_address: dict[Address, list[LiveRule]] = defaultdict(list)
    unmanaged: list[LiveRule] = []
    temporary_copies: list[LiveRule] = []
    edited_copies: list[LiveRule] = []
    for rule in sorted(live, key=attrgetter("id")):
        if rule.marker is None or rule.marker.owner != owner:
            unmanaged.append(rule)
        elif not rule.marker.copy:
            by_address[rule.marker.address].append(rule)
        elif _is_own_copy(rule, rule.marker):
            temporary_copies.append(rule)
        else:
            edited_copies.append(rule)

    managed = _find_originals(by_address)
    duplicates, edited_duplicates = _split_further(by_address, managed)
    return LiveRulesByOwner(
        managed=managed,
        duplicates=tuple(duplicates),
        edited_copies=(*edited_copies, *edited_duplicates),
        temporary_copies=tuple(temporary_copies),
        ambiguous={
            address: tuple(rules)
            for address, rules in by_address.items()
            if address not in managed
        },
        unmanaged=tuple(unmanaged),
    )


def _find_originals(
    by_address: Mapping[Address, Sequence[LiveRule]],
) -> dict[Address, LiveRule]:
    """Return the managed rule of each address, where it is known."""
    originals = {}
    for address, rules in by_address.items():
        original = rules[0] if len(rules) == 1 else find_original(rules)
        if original is not None:
            originals[address] = original
    return originals


def _split_further(
    by_address: Mapping[Address, Iterable[LiveRule]],
    managed: Mapping[Address, LiveRule],
) -> tuple[list[LiveRule], list[LiveRule]]:
    """Return the rules that are not the managed one of their address: duplicates, edited copies."""
    duplicates = []
    edited_copies = []
    for address, rules in by_address.items():
        original = managed.get(address)
        for rule in rules:
            if rule is original:
                continue
            if is_duplicate(rule, original):
                duplicates.append(rule)
            else:
                edited_copies.append(rule)
    return duplicates, edited_copies


def _is_own_copy(live: LiveRule, marker: Marker) -> bool:
    """Return whether a temporary copy has the name that an apply gave it, or was not edited."""
    if live.rule.name == copy_name(marker.owner, marker.address):
        return True
    return not was_edited(live)


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

    sort_keys = [
        (date is None, date or 0, rule.id)
        for date, rule in zip(dates, candidates, strict=True)
    ]
    first = candidates[sort_keys.index(min(sort_keys))]
    if len(candidates) == 1 or all(is_duplicate(rule, first) for rule in candidates):
        return first
    return None


def is_duplicate(rule: LiveRule, managed: LiveRule | None) -> bool:
    """Return whether a rule with the marker of a managed rule is unedited, with the same values in
    unknown fields.
    """
    if managed is None or was_edited(rule):
        return False
    return not differing_fields(managed, rule)


def was_edited(live: LiveRule) -> bool:
    """Return whether a managed rule differs from its marker's digest, which is that of the last
    write.
    """
    return live.marker is not None and marker_digest(live.rule) != live.marker.digest


def find_cause(live: LiveRule, desired_digest: str) -> Cause:
    """Return why a managed rule differs: the manifest changed, the rule was edited, or both."""
    if not was_edited(live):
        return "manifest"
    if live.marker is None or live.marker.digest != desired_digest:
        return "both"
    return "drift"


def _creation_time(live: LiveRule) -> float | None:
    """Return when a rule was created, in seconds; None without a complete ISO 8601 date and
    time.
    """
    if not _DATE_TIME.fullmatch(live.created):
        return None
    try:
        created = datetime.fromisoformat(live.created)
        if created.year < _FIRST_YEAR:
            return None
        if created.tzinfo is None:
            created = created.replace(tzinfo=UTC)
        return created.timestamp()
    except (ValueError, OverflowError, OSError):
        return None


Json = Any

_RULE_FIELDS: Final = frozenset(
    {"name", "description", "priority", "enabled", "conditions", "targets"}
)
# by the list that holds them: the type of the parts that cxroute understands, and the fields that
# it knows of them
_PART_FIELDS: Final = {
    "conditions": ("attribute", ("type", "attributeName", "operator", "value")),
    "targets": ("queue", ("type", "queueId", "weight")),
}

# names of the fields that a server adds to each rule, except `id`, in lower case and without
# separators
_SERVER_FIELDS: Final = re.compile(
    "version|revision|etag|odataetag|links?|self|selfuri|selflink|href"
    "|(?:date|time)?(?:last)?(?:created|creation|modified|modification|updated|changed)(?:date|time|timestamp|at|on|utc)*"
    "|(?:last)?(?:create|update|change)(?:date|time|timestamp)|last(?:update|change)"
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
        fields = _differing_part_fields(name, first.raw, second.raw)
        names.update(f"{name}[].{field}" for field in fields)
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
    unknown = {}
    for name, value in raw.items():
        if name in _RULE_FIELDS or name == "id":
            continue
        plain_name = name.lower().translate(_SEPARATORS)
        if not _SERVER_FIELDS.fullmatch(plain_name):
            unknown[name] = CANONICAL_JSON.encode(value)
    return unknown


def _differing_part_fields(
    name: str, first: Mapping[str, Json], second: Mapping[str, Json]
) -> set[str]:
    # An unedited duplicate of another version has other parts: of those, only fields that `first`
    # has nowhere count.
    before = Counter(_part_fields(name, first.get(name)))
    after = Counter(_part_fields(name, second.get(name)))
    common_parts = {part for part, _, _ in before} & {part for part, _, _ in after}
    earlier_fields = {(field, text) for _, field, text in before}

    differing = set()
    for part, field, text in (before - after) + (after - before):
        if field is None:
            continue
        if part in common_parts or (field, text) not in earlier_fields:
            differing.add(field)
    return differing


def _part_fields(name: str, parts: Json) -> Iterator[tuple[str, str | None, str]]:
    """Yield each known part, identified by its known fields: once, and once for each unknown
    field.
    """
    kind, known_fields = _PART_FIELDS[name]
    if not isinstance(parts, list):
        return
    for part in parts:
        # the digest covers all of an opaque part
        if not isinstance(part, dict) or part.get("type") != kind:
            continue
        values = [_in_any_order(part.get(field)) for field in known_fields]
        text = CANONICAL_JSON.encode(values)
        yield text, None, ""
        for field, value in _unknown_fields(part).items():
            if field not in known_fields:
                yield text, field, value


def _in_any_order(value: Json) -> Json:
    """Return a value that is equal for lists with the same items."""
    if isinstance(value, list):
        return sorted(map(CANONICAL_JSON.encode, value))
    return value
