"""Markers and digests as the reference describes them, read from the server's JSON without the
package's own code.

The JSON of a rule: api-contract "Routing rules". The digest: ownership "The digest". Semantics S4,
S9, S11 define the conditions with a meaning; others are kept unchanged. So an error in the
package's wire code, canonical form or digest is found here, and not shared.
"""

from __future__ import annotations

import functools
import json
import re
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from tests.campaign.oracle_facts import NUMERIC, mark, part, text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = Any

_DECIMAL: Final = re.compile(
    r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?", re.ASCII
)
_PATTERNS: Final = frozenset(
    {
        "contains",
        "notContains",
        "startsWith",
        "notStartsWith",
        "endsWith",
        "notEndsWith",
    }
)
_ABSENT: Final = frozenset({"exists", "notExists"})
_SEVERAL: Final = frozenset({"in", "notIn", "between"})
OPERATORS: Final = NUMERIC | _PATTERNS | _ABSENT | _SEVERAL | {"equals", "notEquals"}


def is_edited(rule: Mapping[str, Json]) -> bool:
    """Return whether a marked rule differs from the version in its marker."""
    return mark(rule) is not None and not rule["description"].rstrip().endswith(
        f"#{digest(rule)}]"
    )


def digest(rule: Mapping[str, Json]) -> str:
    """Return 8 hex digits of the SHA-256 of a rule's written fields, with sorted keys and parts,
    and 1.0 as 1.
    """
    return _digest(json.dumps(rule))


@functools.lru_cache(10_000)
def _digest(text: str) -> str:
    """Return the digest of a rule in JSON; cached, because a campaign needs those of few rules
    often.
    """
    rule = json.loads(text)
    # of equal ones the first stays
    conditions = dict(map(_condition, reversed(rule.get("conditions") or ())))
    message = {
        "name": rule["name"],
        "description": text_of(rule),
        "priority": rule["priority"],
        "enabled": rule.get("enabled", True),
        "conditions": [
            json.loads(condition) for condition in sorted(conditions.values())
        ],
        "targets": [
            json.loads(element)
            for element in sorted(
                _compact(_target(item)) for item in rule.get("targets") or ()
            )
        ],
    }
    return sha256(_compact(message).encode()).hexdigest()[:8]


def signed(form: Mapping[str, Json], owner: str, address: str) -> str:
    """Return the description of a rule followed by the marker's line."""
    line = f"[cxroute:{owner}/{address}#{digest(form)}]"
    return f"{form['description']}\n{line}" if form["description"] else line


def _condition(form: Json) -> tuple[Json, str]:
    """Return a condition's meaning and text; a meaningless one is kept unchanged."""
    if (
        form.get("type") != "attribute"
        or not isinstance(form.get("attributeName"), str)
        or not _fits(form)
    ):
        return _compact(form), _compact(form)
    names = (
        "type",
        "attributeName",
        "operator",
        *(() if form["operator"] in _ABSENT else ("value",)),
    )
    return part(form), _compact({name: form[name] for name in names})


def _fits(form: Json) -> bool:
    """Return whether the operator is known and accepts that value."""
    operator = form.get("operator")
    value = form.get("value")
    if not isinstance(operator, str) or operator not in OPERATORS:
        return False
    if operator in _ABSENT:
        return True
    values = value if operator in _SEVERAL else [value]
    if not isinstance(values, list):
        return False
    if operator in NUMERIC:
        return all(map(_is_number, values)) and (
            operator != "between" or len(values) == 2
        )
    return all(
        isinstance(value, str if operator in _PATTERNS else str | int | float)
        for value in values
    )


def _is_number(value: Json) -> bool:
    return (
        _DECIMAL.fullmatch(value) is not None
        if isinstance(value, str)
        else type(value) in (int, float)
    )


def _target(form: Json) -> Json:
    weight = form.get("weight", 1)
    declared = (
        form.get("type") == "queue"
        and isinstance(form.get("queueId"), str)
        and type(weight) in (int, float)
    )
    return (
        {"type": "queue", "queueId": form["queueId"], "weight": weight}
        if declared
        else form
    )


def _compact(value: Json) -> str:
    return json.dumps(_whole(value), sort_keys=True, separators=(",", ":"))


def _whole(value: Json) -> Json:
    """Write 1.0 as 1, at all levels."""
    if isinstance(value, dict):
        return {name: _whole(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return (
        int(value)
        if isinstance(value, float) and value.is_integer() and abs(value) < 1e16
        else value
    )
