"""The fields in which two live rules differ and which cxroute does not know; no digest of a marker covers them.

A server gives each rule fields of its own, such as an id, dates and links. They do not describe the rule, and do not
count. All other fields count.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from reconciler.model.live import LiveRule
from reconciler.model.rule import CANONICAL_JSON
from reconciler.text.escape import join_first, sanitize

Json = Any

_RULE_FIELDS: Final = frozenset({"name", "description", "priority", "enabled", "conditions", "targets"})
_PART_FIELDS: Final = {
    "conditions": ("attribute", ("type", "attributeName", "operator", "value")),
    "targets": ("queue", ("type", "queueId", "weight")),
}  # by the list that holds them: the type of the parts that cxroute understands, and the fields that it knows of them

_SERVER_FIELDS: Final = re.compile(
    "version|revision|etag|odataetag|links?|self|selfuri|selflink|href"
    "|(?:date|time)?(?:last)?(?:created|creation|modified|modification|updated|changed)(?:date|time|timestamp|at|on|utc)*"
    "|(?:last)?(?:create|update|change)(?:date|time|timestamp)|last(?:update|change)"
)  # names, in lower case and without separators, of what a server says of each rule by itself, beside its id

_SEPARATORS: Final = str.maketrans("", "", "~_-.@ ")
_MAX_NAME_LENGTH: Final = 60
_MAX_NAMES: Final = 5


def differing_fields(first: LiveRule, second: LiveRule) -> tuple[str, ...]:
    """Return the names of the unknown fields that differ, sorted; `targets[].hint` for a field of a target."""
    before, after = _unknown_fields(first.raw), _unknown_fields(second.raw)
    names = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    for name in _PART_FIELDS:
        names.update(f"{name}[].{field}" for field in _differing_part_fields(name, first.raw, second.raw))
    return tuple(sorted(names))


def fields_phrase(names: Sequence[str]) -> str:
    """Return names of fields as they may stand in a message: escaped, each cut where it is long, a few of them."""
    plain_names = [name.removeprefix("~") for name in names]  # a tenant's `id` where its Profile calls the id otherwise
    return join_first(plain_names, _MAX_NAMES, lambda name: sanitize(name, _MAX_NAME_LENGTH))


def _unknown_fields(raw: Mapping[str, Json]) -> dict[str, str]:
    return {
        name: CANONICAL_JSON.encode(value)
        for name, value in raw.items()
        if name not in _RULE_FIELDS and not _is_server_field(name)
    }


def _differing_part_fields(name: str, first: Mapping[str, Json], second: Mapping[str, Json]) -> set[str]:
    # An unedited duplicate of another version has other parts: of those, only fields that `first` has nowhere count.
    before, after = (Counter(_part_fields(name, raw.get(name))) for raw in (first, second))
    shared = {part for part, _, _ in before} & {part for part, _, _ in after}
    anywhere = {(field, text) for _, field, text in before}
    odd = (before - after) + (after - before)
    fields = [(part, field, text) for part, field, text in odd if field is not None]
    return {field for part, field, text in fields if part in shared or (field, text) not in anywhere}


def _part_fields(name: str, parts: Json) -> Iterator[tuple[str, str | None, str]]:
    """Yield each part that cxroute knows, by its known fields: once, and once for each unknown field."""
    kind, known_fields = _PART_FIELDS[name]
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("type") == kind:  # the digest covers an opaque part as a whole
            text = CANONICAL_JSON.encode([_sorted_texts(part.get(field)) for field in known_fields])
            yield text, None, ""
            unknown = _unknown_fields(part).items()
            yield from ((text, field, value) for field, value in unknown if field not in known_fields)


def _sorted_texts(value: Json) -> Json:
    return sorted(map(CANONICAL_JSON.encode, value)) if isinstance(value, list) else value


def _is_server_field(name: str) -> bool:
    return name == "id" or _SERVER_FIELDS.fullmatch(name.lower().translate(_SEPARATORS)) is not None
