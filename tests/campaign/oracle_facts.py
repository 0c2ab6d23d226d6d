"""The content of a request, a response or a rule, read without the package's own readers."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reconciler.core.model.rule import Condition, Opaque
from reconciler.features.practice.simulator.messages import DeliveryMode

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.core.model.rule import Rule, Target
    from reconciler.features.practice.simulator.messages import SimRequest
    from tests.campaign.world import Event

Json = Any

_NAME: Final = "[a-z0-9][a-z0-9-]{0,63}"
_LINE: Final = re.compile(
    rf"\[cxroute:({_NAME})/({_NAME}/{_NAME})(~next)?#[0-9a-f]{{8}}\]", re.ASCII
)
_LARGEST: Final = 1 << 24
_RULES: Final = ("api", "v2", "routing", "rules")
NUMERIC: Final = frozenset(
    {"greaterThan", "greaterThanOrEqual", "lessThan", "lessThanOrEqual", "between"}
)
SERVERS_OWN: Final = frozenset(
    {"id", "version", "dateCreated", "dateModified", "selfUri"}
)


class Mark(NamedTuple):
    """The marker of a rule. `address` is `ruleset/key`."""

    owner: str
    address: str
    copy: bool

    def __str__(self) -> str:
        """Return the unique key."""
        return f"{self.address}~next" if self.copy else self.address


def mark(rule: Mapping[str, Json] | None) -> Mark | None:
    """Return the marker: the exact last line of the description without trailing white space, or
    none.
    """
    description = (rule or {}).get("description")
    if not isinstance(description, str):
        return None
    actual = _LINE.fullmatch(description.rstrip(" \t\r\n").rpartition("\n")[2])
    return Mark(actual[1], actual[2], actual[3] is not None) if actual else None


def call_of(request: SimRequest) -> str:
    """Return the kind of a request: `token`, `list`, `get`, `create`, `update`, `delete`, `queues`;
    else its method.
    """
    segments = request.segments
    if segments == ("oauth", "token"):
        return "token"
    if segments == ("api", "v2", "routing", "queues") and request.method == "GET":
        return "queues"
    if segments == _RULES:
        return {"GET": "list", "POST": "create"}.get(request.method, request.method)
    if segments[:-1] == _RULES:
        return {"GET": "get", "PUT": "update", "DELETE": "delete"}.get(
            request.method, request.method
        )
    return request.method


def body_of(request: SimRequest) -> dict[str, Json]:
    """Return the JSON object of a request; an empty one without JSON."""
    actual = _parsed(request.body)
    return actual if isinstance(actual, dict) else {}


@dataclass(frozen=True, slots=True)
class Heard:
    """The response that a sender received: no status without a timely one, no form without JSON."""

    status: int
    form: Json = None
    reached: bool = True
    """False without a connection: then nothing was done."""
    empty: bool = False

    @property
    def good(self) -> bool:
        """Return whether it was a success."""
        return 200 <= self.status < 300

    @property
    def failed(self) -> bool:
        """Return whether a repeat may help: no response, or one that says so."""
        return (
            not self.status
            or self.status == 429
            or (self.status >= 500 and self.status != 501)
        )


def heard(event: Event, elapsed: float, patience: float) -> Heard:
    """Read the response of an applier that waits no longer than its timeout, in seconds."""
    answer = event.answer
    if answer is None or event.lost or elapsed > patience:
        return Heard(
            0, reached=answer is None or answer.delivery is not DeliveryMode.REFUSED
        )
    packed = any(name == "content-encoding" for name, _ in answer.headers)
    form = None if packed or len(answer.body) > _LARGEST else _parsed(answer.body)
    return Heard(answer.status, form, empty=not answer.body)


def is_unclear(call: str, what: Heard) -> bool:
    """Return whether the result of a write is unknown after its response."""
    if not what.status:
        return what.reached
    if what.status >= 500 or what.status == HTTPStatus.REQUEST_TIMEOUT:
        return what.status != HTTPStatus.NOT_IMPLEMENTED
    if call == "delete":
        # a web page comes from something between, and not from the tenant
        return what.good and not what.empty and what.form is None
    if not what.good or (call == "update" and what.empty):
        return False
    return not (isinstance(what.form, dict) and isinstance(what.form.get("id"), str))


def _parsed(text: bytes) -> Json:
    def refuse(constant: str) -> None:
        raise ValueError(constant)

    try:
        return json.loads(text, parse_constant=refuse)
    except (ValueError, RecursionError):
        return None


# The content of a rule, in a comparable form: independent of its sender and of the order


def plain(rule: Mapping[str, Json]) -> tuple[Json, ...]:
    """Return a rule's content without the marker: equal rules give equal values."""
    return (
        rule["name"],
        text_of(rule),
        Fraction(str(rule["priority"])),
        rule.get("enabled", True),
        frozenset(map(part, rule.get("conditions") or ())),
        tuple(sorted(map(str, map(part, rule.get("targets") or ())))),
    )


def text_of(rule: Mapping[str, Json]) -> str:
    """Return the description without the marker's line; in a marked one each line ends with LF."""
    description: str = rule.get("description") or ""
    if mark(rule) is None:
        return description
    return (
        description.rstrip(" \t\r\n")
        .rpartition("\n")[0]
        .removesuffix("\r")
        .replace("\r\n", "\n")
    )


def part(form: Mapping[str, Json]) -> tuple[Json, ...]:
    """Return a condition's or target's content, without fields of unknown meaning."""
    if form.get("type") == "queue":
        return ("queue", form.get("queueId"), _scalar(form.get("weight", 1)))
    if form.get("type") != "attribute":
        return ("?", json.dumps(form, sort_keys=True))
    operator = form.get("operator")
    value = form.get("value")
    head = ("attribute", form.get("attributeName"), operator)
    if operator in ("exists", "notExists"):
        return head
    if operator in ("in", "notIn"):
        return (*head, frozenset(map(_scalar, value or ())))
    if operator in NUMERIC:
        values = value if isinstance(value, list) else [value]
        return (*head, tuple(_number(value) for value in values))
    return (*head, _scalar(value))


def _scalar(value: Json) -> Json:
    if isinstance(value, bool):
        # they are these texts (semantics S4)
        return json.dumps("true" if value else "false")
    return Fraction(str(value)) if isinstance(value, int | float) else json.dumps(value)


def _number(value: Json) -> Json:
    try:
        return Fraction(str(value))
    except ValueError:
        return json.dumps(value)


def as_json(rule: Rule, identity: str) -> dict[str, Json]:
    """Return a manifest's rule as the API would return it, without its marker."""
    return {
        "id": identity,
        "name": rule.name,
        "description": rule.description,
        "priority": rule.priority,
        "enabled": rule.enabled,
        "conditions": [_form(condition) for condition in rule.conditions],
        "targets": [_form(target) for target in rule.targets],
    }


def _form(one: Condition | Target | Opaque) -> dict[str, Json]:
    if isinstance(one, Opaque):
        actual: dict[str, Json] = json.loads(one.text)
        return actual
    if isinstance(one, Condition):
        value = (
            list(one.raw_value) if isinstance(one.raw_value, tuple) else one.raw_value
        )
        return {
            "type": "attribute",
            "attributeName": one.attribute,
            "operator": one.operator,
            "value": value,
        }
    return {"type": "queue", "queueId": one.queue_id, "weight": one.weight}
