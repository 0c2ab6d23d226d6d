"""The published table: the rules of a decision service with all that a decision needs beside them.

Its JSON is checked completely before a service accepts it, and again when a client reads it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from reconciler.core.behaviour.endpoint_stage import (
    EndpointStage,
    FallbackPolicy,
    TableSettings,
)
from reconciler.core.behaviour.routing_entry import Evaluation, RoutingEntry
from reconciler.core.errors import UnexpectedResponseError
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import CANONICAL_JSON, Address, Opaque, Target
from reconciler.core.rule_json import parse_live_rule
from reconciler.core.text.escape import sanitize
from reconciler.targets.decide.settings import Answer
from reconciler.targets.decide.slices import Steps, finish

MAX_TABLE_BYTES: Final = 16 * 1024 * 1024
SERVER_FIELDS: Final = ("digest", "version", "publishedAt", "publishedBy", "commit")
"""What a service adds to a table that it publishes; it ignores them in what it gets."""
_PIECE: Final = 100  # rules that are encoded by one call
_MAX_NAME: Final = 100  # characters of a name in an error
_SHORT_ADDRESS: Final = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*", re.ASCII)

_Text = Annotated[str, Field(min_length=1, max_length=512)]


class TableError(ValueError):
    """A table that cannot be published. The text names the rule and the field."""


class _Part(BaseModel):
    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        alias_generator=to_camel,
        populate_by_name=True,
    )


class PublishedFallback(_Part):
    """The endpoint's fallback, as `FallbackPolicy.settings` writes it."""

    intent: _Text | None
    # strict: a text or a boolean would be a guess
    min_confidence: Annotated[float, Field(ge=0, le=1)]
    known_intents: list[str]


class PublishedEndpoint(_Part):
    """How an event becomes the attributes that rules read."""

    intent: _Text
    confidence: _Text
    fallback: PublishedFallback
    types: dict[_Text, Literal["number"]]


class ServiceSettings(_Part):
    """Everything of a table but its rules and queues."""

    endpoint: PublishedEndpoint
    evaluation: Evaluation
    # what `cxr_skill` holds
    answer: Answer
    # the name in `customPayload` by attribute
    variables: dict[_Text, _Text]

    @property
    def fallback(self) -> FallbackPolicy:
        """The fallback, for the analysis."""
        stated = self.endpoint.fallback
        return FallbackPolicy(
            stated.intent, stated.min_confidence, frozenset(stated.known_intents)
        )

    @property
    def bot_variables(self) -> tuple[str, str]:
        """The names of the intent and the confidence in `customPayload`."""
        names = (self.endpoint.intent, self.endpoint.confidence)
        return bot_variables(self.variables, names)

    @property
    def stage(self) -> EndpointStage:
        """The endpoint before the rules."""
        return EndpointStage(
            intent=self.endpoint.intent,
            confidence=self.endpoint.confidence,
            fallback=self.fallback,
        )

    @property
    def table_settings(self) -> TableSettings:
        """The settings as the core compares them."""
        form = self.model_dump(mode="json", by_alias=True)
        reading = [self.endpoint.intent, self.endpoint.confidence, self.evaluation]
        return TableSettings(
            self.fallback, CANONICAL_JSON.encode(form), CANONICAL_JSON.encode(reading)
        )


def bot_variables(
    variables: Mapping[str, str], attributes: tuple[str, str]
) -> tuple[str, str]:
    """Return the names of the intent and the confidence in `customPayload`.

    `variables` names them by `intent` and `confidence`, or by their attributes.
    """
    intent, confidence = attributes
    return (
        variables.get("intent") or variables.get(intent) or "intent",
        variables.get("confidence") or variables.get(confidence) or "confidence",
    )


class PublishedQueue(_Part):
    """A queue that a rule may name."""

    id: _Text
    name: str


class _Frame(ServiceSettings):
    rules: list[dict[str, Any]]
    queues: list[PublishedQueue]


@dataclass(frozen=True)
class PublishedTable:
    """A complete, checked table."""

    rules: tuple[LiveRule, ...]
    queues: Mapping[str, str]  # names by id
    settings: ServiceSettings
    # the SHA-256 of the canonical content, in hex
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Return the content as JSON, without what a service adds."""
        return _table_json(self.rules, self.queues, self.settings)

    def entries(self) -> Iterator[RoutingEntry]:
        """Yield the rules for an evaluation; `name` is what answers call the rule."""
        for live in self.rules:
            yield RoutingEntry(
                name=rule_label(live),
                rule=live.rule,
                id=live.id,
                address=live.marker.address if live.marker else None,
            )


def encode_in_pieces(form: dict[str, Any], encoder: json.JSONEncoder) -> Iterator[str]:
    """Yield the JSON of a table in pieces, with the separators of canonical JSON.

    One call for all rules would stop the event loop until it ends, and decisions with it.
    """
    # in a text, the quotes of the name would be escaped
    frame = encoder.encode({**form, "rules": []})
    head, name, tail = frame.partition('"rules":[')
    yield f"{head}{name}"
    rules = form["rules"]
    for start in range(0, len(rules), _PIECE):
        piece = encoder.encode(rules[start : start + _PIECE])
        separator = "," if start else ""
        yield f"{separator}{piece[1:-1]}"
    yield tail


def encoding_steps(form: dict[str, Any], encoder: json.JSONEncoder) -> Steps[str]:
    """Encode a table in steps, as `encode_in_pieces` does."""
    pieces: list[str] = []
    for piece in encode_in_pieces(form, encoder):
        pieces.append(piece)
        yield
    return "".join(pieces)


def rule_label(live: LiveRule) -> str:
    """Return the address of a managed rule, or the name of another one."""
    return str(live.marker.address) if live.marker else live.rule.name


def parse_table(data: object) -> PublishedTable:
    """Return the table in JSON data; fields of the service are ignored. Raises TableError."""
    return finish(table_steps(data))


def table_steps(data: object) -> Steps[PublishedTable]:
    """Parse and check a table in steps, as `parse_table` does at once. Raises TableError."""
    if not isinstance(data, dict):
        raise TableError("the table must be a JSON object")
    content = {name: part for name, part in data.items() if name not in SERVER_FIELDS}
    try:
        frame = _Frame.model_validate(content)
    except ValidationError as error:
        raise TableError(_first_problem(error)) from None

    settings = ServiceSettings.model_construct(
        **{name: getattr(frame, name) for name in ServiceSettings.model_fields}
    )
    yield
    queues = {queue.id: queue.name for queue in frame.queues}
    rules: list[LiveRule] = []
    for index, rule in enumerate(frame.rules):
        rules.append(_parse_rule(index, rule))
        yield

    _check_endpoint(settings.endpoint)
    _check_queues(frame.queues, settings.answer)
    _check_ids(rules)
    for live in rules:
        _check_rule(live, queues)
        yield
    digest = yield from _digest_steps(_table_json(rules, queues, settings))
    return PublishedTable(tuple(rules), queues, settings, digest)


def _table_json(
    rules: Sequence[LiveRule], queues: Mapping[str, str], settings: ServiceSettings
) -> dict[str, Any]:
    return {
        "rules": [dict(rule.raw) for rule in rules],
        "queues": [{"id": queue_id, "name": name} for queue_id, name in queues.items()],
        **settings.model_dump(mode="json", by_alias=True),
    }


def _digest_steps(form: dict[str, Any]) -> Steps[str]:
    """Compute the SHA-256 of a table's canonical JSON, in hex."""
    content = sha256()
    for piece in encode_in_pieces(form, CANONICAL_JSON):
        content.update(piece.encode())
        yield
    return content.hexdigest()


def decode_table(text: str | bytes) -> PublishedTable:
    """Return the table in a text that `to_json` wrote. Raises TableError."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise TableError("the table is not valid JSON") from None
    return parse_table(data)


def _first_problem(error: ValidationError) -> str:
    problem = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, problem["loc"])) or "the table"
    return f"{sanitize(place, _MAX_NAME)}: {problem['msg'].lower()}"


def _parse_rule(index: int, data: dict[str, Any]) -> LiveRule:
    try:
        return parse_live_rule(data)
    except UnexpectedResponseError as error:
        text = str(error).replace(" in the response", "")
        raise TableError(f"rules.{index}: {text}") from None


def _check_endpoint(endpoint: PublishedEndpoint) -> None:
    """Refuse one attribute for both: the confidence would replace the intent."""
    if endpoint.intent == endpoint.confidence:
        raise TableError("endpoint.confidence: is the attribute of the intent, too")


def _check_queues(queues: Sequence[PublishedQueue], answer: Answer) -> None:
    ids = Counter(queue.id for queue in queues)
    for queue_id, count in ids.items():
        if count > 1:
            raise TableError(f"queues: two have the id {_named(queue_id)}")
    if answer == "id":
        return
    names = Counter(queue.name for queue in queues)
    for name, count in names.items():
        if not name:
            raise TableError("queues: one has no name, which `as: name` needs")
        if count > 1:
            raise TableError(
                f"queues: two have the name {_named(name)}, and `as: name` needs distinct ones"
            )


def _check_ids(rules: Sequence[LiveRule]) -> None:
    ids = Counter(rule.id for rule in rules)
    for rule_id, count in ids.items():
        if count > 1:
            raise TableError(f"rules: two have the id {_named(rule_id)}")
        if _SHORT_ADDRESS.fullmatch(rule_id):
            raise TableError(
                f"rules: the id {_named(rule_id)} has the form of an address, which is kept for rules that are not "
                f"published yet"
            )
    labels = Counter(
        (rule.marker.owner, rule.marker.address) for rule in rules if rule.marker
    )
    for (owner, address), count in labels.items():
        if count > 1:
            raise TableError(f"rules: two are {owner}/{address}")


def _check_rule(live: LiveRule, queues: Mapping[str, str]) -> None:
    label = rule_label(live)
    if not label:
        # an answer with an empty rule means that no rule matches
        raise TableError(
            f"rule {_named(live.id)}: name: is empty, and the rule has no owner"
        )
    place = f"rule {_named(label)}"
    for part in live.rule.conditions:
        if isinstance(part, Opaque):
            raise TableError(
                f"{place}: conditions: {part.text[:_MAX_NAME]} is not known, or has no such value"
            )
    for target in live.rule.targets:
        if not isinstance(target, Target):
            raise TableError(
                f"{place}: targets: {target.text[:_MAX_NAME]} is not a queue with a weight"
            )
        if target.queue_id not in queues:
            raise TableError(
                f"{place}: targets: no queue has the id {_named(target.queue_id)}"
            )


def _named(text: str) -> str:
    return f'"{sanitize(text, _MAX_NAME)}"'


def published_id(owner: str, address: Address, taken: frozenset[str]) -> str:
    """Return the id of a new rule of an owner, which none of the other rules has."""
    first = f"{owner}/{address}"
    number = 2
    rule_id = first
    while rule_id in taken:
        rule_id = f"{first}~{number}"
        number += 1
    return rule_id
