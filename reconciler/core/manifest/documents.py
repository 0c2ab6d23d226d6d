"""The kinds of documents in manifests, and their JSON Schema, from which editors show descriptions as hover help.

Rules about several fields are in `cross_checks`: a check inside a model runs only if all fields are valid.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache, cached_property
from typing import Annotated, Any, Final, Literal, Union

from pydantic import Field, Tag, TypeAdapter

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.profile import (
    DEFAULT_PROFILE,
    Profile,
    operator_names,
)
from reconciler.core.manifest.kinds.ruleset import Conversations, RuleEntry, RuleSet
from reconciler.core.manifest.target_fields import environment_model, model_with_targets
from reconciler.core.manifest.yaml_writer import format_mapping
from reconciler.core.model.operators import Scalar
from reconciler.core.model.rule import canonical_scalar
from reconciler.core.plugins import built_in_names, load_plugin
from reconciler.core.text.json_values import indented_json


class QueueRef(f.StrictModel):
    """A live queue, by id or by name."""

    id: f.Omittable[f.NonEmptyText] = f.omittable(
        "The queue's id in CXone, for a name that several queues have.",
        "12345678-1234-1234-1234-123456789012",
    )
    name: f.Omittable[f.NonEmptyText] = f.omittable(
        "The queue's name, exactly as CXone shows it.", "Fraud Test"
    )
    owners: f.ShortList[Annotated[str, Field(pattern=f.OWNER)]] = f.optional(
        (),
        "Who must consent to a change that gives the queue callers or takes callers from it: users "
        "and groups of the"
        " forge. One of them is enough.",
        ["@acme/fraud"],
    )
    _exactly_one = f.require_exactly_one("id", "name")


class Queues(f.ManifestDocument):
    """Aliases of queues, so that several environments can share the same manifests."""

    kind: Literal["Queues"] = f.optional(
        "Queues", "This document gives queues short names that rules can use."
    )
    name: f.NonEmptyText = f.required(
        "The name of this document in messages.", "queues"
    )
    queues: dict[
        f.NonEmptyText,
        Annotated[
            Annotated[f.NonEmptyText, Tag("<text>")]
            | Annotated[QueueRef, Tag("<queue>")]
            | Annotated[dict[f.NonEmptyText, QueueRef], Tag("<mapping>")],
            f.of_shape(
                "must be a live queue's name, a queue, or a mapping of environments",
                f.form_of_queue,
            ),
        ],
    ] = f.required(
        "Each alias, and its live queue: by name, or by id or name with its owners, or so for each "
        "environment.",
        {"cards": "Card Services", "fraud": {"staging": {"name": "Fraud Test"}}},
    )


class IntentEntry(f.StrictModel):
    """An intent, and what people read instead of its name."""

    name: f.NonEmptyText = f.required(
        "The intent, exactly as the bot writes it.", "lost_or_stolen_card"
    )
    label: f.Omittable[f.Label] = f.omittable(
        "What people read in text, comments and pages. Default: the name.",
        "Lost or stolen card",
    )
    id: f.Omittable[f.NonEmptyText] = f.omittable(
        "The bot's reference id of the intent, by which `cxroute cognigy intents` recognises a "
        "renamed intent.",
        "0b5c1a52-6f5e-4c2f-9d3f-3a1f6a0c7d11",
    )
    parent: f.Omittable[f.NonEmptyText] = f.omittable(
        "The intent above it in the bot, for readers.", "card_problems"
    )
    group: f.Omittable[f.Label] = f.omittable(
        "The group of the intent. Where a list has all intents of a group, people read the name of "
        "the group.",
        "Cards",
    )


class Intents(f.ManifestDocument):
    """The intents that the bot can detect, for checks of coverage and spelling."""

    kind: Literal["Intents"] = f.optional(
        "Intents",
        "This document lists the intents that the bot can detect, to find gaps and misspelt "
        "intents.",
    )
    name: f.NonEmptyText = f.required(
        "The name of this document in messages.", "bank-bot"
    )
    intents: f.YamlList[
        Annotated[
            Annotated[str, Tag("<text>")] | Annotated[IntentEntry, Tag("<mapping>")],
            f.of_shape("must be the name of an intent, or {name: ..., label: ...}"),
        ]
    ] = f.required(
        "Each intent of the bot, exactly as the bot writes it: its name, or a name with further "
        "fields.",
        [
            "card_not_working",
            {"name": "lost_or_stolen_card", "label": "Lost or stolen card"},
        ],
    )

    @cached_property
    def entries(self) -> tuple[IntentEntry, ...]:
        """Return the intents, in order; a name alone is an entry without further fields."""
        plain = IntentEntry.model_construct
        return tuple(
            plain(name=each) if isinstance(each, str) else each for each in self.intents
        )

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the intents, in order."""
        return tuple(entry.name for entry in self.entries)


TYPE_PHRASES: Final[Mapping[str, str]] = {
    "text": "a text",
    "number": "a number",
    "boolean": "true or false",
}


def fits_type(value: Scalar | None, declared: str) -> bool:
    """Return whether a value is of a declared type; a boolean can be written as a text (semantics S4)."""
    if declared == "boolean":
        return (
            value in ("true", "false")
            if isinstance(value, str)
            else isinstance(value, bool)
        )
    return isinstance(value, str) if declared == "text" else type(value) in (int, float)


class ValueEntry(f.StrictModel):
    """A value of an attribute: what people read instead of it, and its group."""

    label: f.Omittable[f.Label] = f.omittable(
        "What people read instead of the value. Default: the value.", "German (Austria)"
    )
    group: f.Omittable[f.Label] = f.omittable(
        "The group of the value. Where a list has all values of a group, people read the name of "
        "the group.",
        "German",
    )
    _at_least_one = f.require(
        lambda entry: entry.label is not None or entry.group is not None,
        "a value with fields needs label, group, or both",
    )


class AttributeEntry(f.StrictModel):
    """An attribute of conversations, for the checks of rules, promises and route tests: no platform enforces it."""

    label: f.Omittable[Annotated[f.Label, Field(pattern=f.PLAIN_LABEL)]] = f.omittable(
        "What people read instead of the attribute's name, in text, comments and pages.",
        "Customer tier",
    )
    type: f.Omittable[Literal["text", "number", "boolean"]] = f.omittable(
        "The type of its values. Default: that of all `values`, if they have one type; otherwise "
        "any.",
        "number",
    )
    values: f.Omittable[
        Annotated[
            Annotated[f.NonEmptyList[f.Scalar], Tag("<list>")]
            | Annotated[
                dict[
                    f.NonEmptyText,
                    Annotated[
                        Annotated[f.Label, Tag("<text>")]
                        | Annotated[ValueEntry, Tag("<mapping>")],
                        f.of_shape("must be a label, or {label: ..., group: ...}"),
                    ],
                ],
                Tag("<mapping>"),
            ],
            f.of_shape(
                "must be a list of values, or a mapping of texts to their labels"
            ),
        ]
    ] = f.omittable(
        "All values that it can have: a list, or for texts a mapping to the labels that people "
        "read, or to a label and"
        " a group each. Default: any.",
        ["gold", "platinum", "standard"],
    )
    written_by: f.Omittable[f.NonEmptyText] = f.omittable(
        "The system that writes it. Without it, and if no unmanaged rule uses the attribute, "
        "CXR207 asks for it.",
        "the IVR",
    )

    @cached_property
    def canonical_values(self) -> frozenset[Scalar]:
        """Return the declared values as rules compare them; empty if it can have any."""
        return frozenset(map(canonical_scalar, self.values or ()))

    @cached_property
    def _described(self) -> Mapping[str, ValueEntry]:
        """Return the values with fields; a label alone is an entry without further fields."""
        described = self.values if isinstance(self.values, dict) else {}
        return {
            value: ValueEntry(label=entry) if isinstance(entry, str) else entry
            for value, entry in described.items()
        }

    @property
    def value_labels(self) -> Mapping[str, str]:
        """Return the labels by value, of the values that have one."""
        return {
            value: entry.label
            for value, entry in self._described.items()
            if entry.label
        }

    @property
    def value_groups(self) -> Mapping[str, str]:
        """Return the groups by value, of the values that have one."""
        return {
            value: entry.group
            for value, entry in self._described.items()
            if entry.group
        }

    @cached_property
    def declared_type(self) -> str | None:
        """Return the type, or that of all values; None if it can have values of several types."""
        common = (
            each
            for each in TYPE_PHRASES
            if all(fits_type(value, each) for value in self.values or (None,))
        )
        return self.type or next(common, None)


class Attributes(f.ManifestDocument):
    """The attributes of conversations: their labels, values, types and writers."""

    kind: Literal["Attributes"] = f.optional(
        "Attributes",
        "This document declares the attributes of rules, promises and tests, to find misspelt "
        "names and values.",
    )
    name: f.NonEmptyText = f.required("The name of this document in messages.", "bank")
    attributes: dict[f.NonEmptyText, AttributeEntry] = f.required(
        "Each attribute, by its name in rules. The bot's three attributes (the Environment's "
        "`attributes`) need no"
        " entry.",
        {
            "customerTier": {"label": "Customer tier", "writtenBy": "the IVR"},
            "transferAmount": {"type": "number"},
        },
    )


class Given(f.StrictModel):
    """The conversation of a route test: what the bot sends, and attributes that others write."""

    intent: f.Omittable[str] = f.omittable(
        "The intent that the bot detects. Default: the conversation has no intent.",
        "lost_or_stolen_card",
    )
    confidence: f.OrVariable[f.Share] | None = f.omittable(
        "The bot's confidence, from 0 to 1. Default, and null: the conversation has no confidence.",
        0.9,
    )
    attributes: dict[f.NonEmptyText, f.Attribute] = f.optional(
        {},
        "The other attributes of the conversation; null means a missing attribute.",
        {"customerTier": "gold"},
    )
    context: f.Omittable[dict[f.NonEmptyText, f.Attribute]] = f.omittable(
        "Instead of the other fields: what the rules read, by the names of attributes (intent and "
        "confidence stand for"
        " the Environment's names). The endpoint's fallback is not applied.",
        {"intent": "none", "confidence": 0.2, "customerTier": "gold"},
    )
    at: f.Omittable[f.Time] = f.omittable(
        "The only time that the test is about. Default: every time from now on.",
        "2026-12-27T06:00",
    )
    _context_alone = f.require(
        lambda given: (
            given.context is None or given.model_fields_set <= {"context", "at"}
        ),
        "context cannot have intent, confidence or attributes beside it",
    )


class Expect(f.StrictModel):
    """The expected destination of a conversation."""

    queue: f.Omittable[f.NonEmptyText] = f.omittable(
        "The only queue that must receive the conversation: an alias, or a live queue's name.",
        "fraud",
    )
    split: f.Omittable[
        Annotated[
            dict[f.NonEmptyText, f.OrVariable[f.NonNegative]], Field(min_length=1)
        ]
    ] = f.omittable(
        "The queues that share the conversations, by weight: 80 and 20 equal 4 and 1.",
        {"cards": 80, "General": 20},
    )
    default: f.Omittable[Literal[True]] = f.omittable(
        "True if no rule may match the conversation: the tenant's default destination receives it."
    )
    _exactly_one = f.require_exactly_one("queue", "split", "default")


class RouteTest(f.StrictModel):
    """One conversation and its expected destination."""

    given: Given = f.required(
        "The conversation: intent, confidence, other attributes.",
        {"intent": "lost_or_stolen_card", "confidence": 0.9},
    )
    expect: Expect = f.required(
        "The expected destination: exactly one of queue, split, default.",
        {"queue": "fraud"},
    )


class RouteTests(f.ManifestDocument):
    """Conversations and their expected destinations; checked by `cxroute test` and before every plan."""

    kind: Literal["RouteTests"] = f.optional(
        "RouteTests",
        "This document holds conversations and the destination that each must have.",
    )
    name: f.NonEmptyText = f.required("The name of this document in messages.", "cards")
    tests: f.YamlList[RouteTest] = f.required(
        "The tests. If one fails, plan exits with code 3 and apply refuses.",
        [
            {
                "given": {"intent": "lost_or_stolen_card", "confidence": 0.9},
                "expect": {"queue": "fraud"},
            }
        ],
    )


class Always(f.StrictModel):
    """The only queues that may receive the conversations."""

    queues: f.NonEmptyList[f.NonEmptyText] = f.required(
        "The queues: aliases, or live queues' names. Each conversation reaches one of them.",
        ["fraud"],
    )


class Never(f.StrictModel):
    """The queues that must not receive the conversations."""

    queues: f.Omittable[f.NonEmptyList[f.NonEmptyText]] = f.omittable(
        "The queues: aliases, or live queues' names. No part of a split reaches one of them.",
        ["overflow-partner"],
    )
    default: f.Omittable[Literal[True]] = f.omittable(
        "True: no conversation may go to the tenant's default routing."
    )
    _at_least_one = f.require(
        lambda never: never.queues is not None or never.default is not None,
        "needs queues or default",
    )


class ShareBounds(f.StrictModel):
    """The bounds of a queue's share of the conversations, in percent."""

    least: f.OrVariable[f.Percent] = f.optional(
        0,
        "The lowest percentage that the queue may have.",
        60,
    )
    most: f.OrVariable[f.Percent] = f.optional(
        100,
        "The highest percentage that the queue may have.",
        80,
    )


class PromiseEntry(f.StrictModel):
    """One promise: its conversations, and exactly one of always, never, decidedBy, split."""

    name: f.NonEmptyText = f.required(
        "The name of the promise, unique in its document.", "fraud decides first"
    )
    conversations: Annotated[f.Omittable[Conversations], Field(alias="for")] = (
        f.omittable(
            "The conversations that the promise is about. Default: all.",
            {"intents": ["lost_or_stolen_card"], "minConfidence": 0.4},
        )
    )
    always: f.Omittable[Always] = f.omittable(
        "Each conversation reaches one of these queues, with every part of a split.",
        {"queues": ["fraud"]},
    )
    never: f.Omittable[Never] = f.omittable(
        "No conversation reaches one of these.", {"queues": ["overflow-partner"]}
    )
    decided_by: f.Omittable[Annotated[str, Field(pattern=f.ADDRESS_GLOB)]] = (
        f.omittable(
            "The rule that takes each conversation: its address, or a pattern such as fraud/* (* "
            "matches any text).",
            "fraud/*",
        )
    )
    split: f.Omittable[
        Annotated[dict[f.NonEmptyText, ShareBounds], Field(min_length=1)]
    ] = f.omittable(
        "For each queue, the least and the most percent of a conversation's split. A queue outside "
        "it has 0 %.",
        {"cards": {"least": 60}},
    )
    severity: Literal["error", "warning"] = f.optional(
        "error",
        "Whether a broken promise is an error, which fails the checks, or a warning.",
        "warning",
    )
    environments: f.Omittable[f.NonEmptyList[str]] = f.omittable(
        "The Environments that have this promise. Default: those of the document.",
        ["prod"],
    )
    _exactly_one = f.require_exactly_one("always", "never", "decided_by", "split")


class Promises(f.ManifestDocument):
    """Statements about all conversations, which `cxroute validate` proves, and every plan before an apply."""

    kind: Literal["Promises"] = f.optional(
        "Promises", "This document states what must hold for all conversations."
    )
    name: f.NonEmptyText = f.required(
        "The name of this document in messages.", "safety"
    )
    environments: f.Omittable[f.NonEmptyList[str]] = f.omittable(
        "The Environments that have these promises. Default: all.", ["prod", "staging"]
    )
    promises: f.YamlList[PromiseEntry] = f.required(
        "The promises. If one of severity error is broken, validate exits with code 3 and apply "
        "refuses.",
        [{"name": "a rule takes every conversation", "never": {"default": True}}],
    )


_MODELS: Final[tuple[type[f.ManifestDocument], ...]] = (
    model_with_targets(built_in_names()),
    Queues,
    RuleSet,
    Intents,
    Attributes,
    RouteTests,
    Promises,
    Profile,
)
# the field that makes a document of a kind long, and the model of its items
ITEM_FIELDS: Final[Mapping[str, tuple[str, type[f.StrictModel]]]] = {
    "RuleSet": ("rules", RuleEntry),
    "RouteTests": ("tests", RouteTest),
    "Promises": ("promises", PromiseEntry),
}
KINDS: Final[Mapping[str, type[Any]]] = {model.__name__: model for model in _MODELS}


def model_of(root: Mapping[str, object]) -> type[Any] | None:
    """Return the model of a document, or None if its kind is unknown."""
    kind = root.get("kind")
    if kind == Environment.__name__:
        return environment_model(root)
    return KINDS.get(kind) if isinstance(kind, str) else None


_HEAD: Final = """\
# The default profile: the tutorial's contract, unverified against a tenant. These are the defaults of every Profile.
# An Environment selects a Profile with `api: {profile: NAME}`.
"""


def default_profile_yaml() -> str:
    """Return the default profile as YAML; lists begin with their path."""
    document: dict[str, Any] = DEFAULT_PROFILE.model_dump(
        mode="json",
        by_alias=True,
        exclude_none=True,
    )
    for name in ("rules", "queues"):
        document[name] = {"path": document[name].pop("path"), **document[name]}
    document["operators"] = operator_names(DEFAULT_PROFILE.operators)
    return _HEAD + "\n".join([*format_mapping(document, 0), ""])


def manifest_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one manifest document: one alternative for each kind."""
    schema: dict[str, Any] = json.loads(manifest_schema_text())
    return schema


@cache
def manifest_schema_text() -> str:
    """Return the JSON Schema as a file, in the form that Prettier leaves as it is."""
    return f"{indented_json(_build_schema())}\n"


def _build_schema() -> dict[str, Any]:
    models: Any = Union[_MODELS]  # noqa: UP007 - a value
    adapter = TypeAdapter[Any](Annotated[models, Field(discriminator="kind")])
    schema = json.loads(
        json.dumps(adapter.json_schema(mode="validation")), object_hook=_tidy
    )
    del schema["discriminator"]
    definitions = schema["$defs"]
    for definition in definitions.values():
        if "kind" in definition.get("properties", {}):
            definition["required"] = ["apiVersion", "kind", *definition["required"]]
    for name, choices in _EXTRA_CONSTRAINTS.items():
        definitions[name] |= choices
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A cxroute manifest",
        "description": "One document of a manifest; a file may contain several.",
        **schema,
    }


def _tidy(part: dict[str, Any]) -> dict[str, Any]:
    """Remove titles derived from names, and defaults that mean "absent".

    The description of a model is its docstring, which is wrapped in the code.
    """
    if isinstance(description := part.get("description"), str):
        part["description"] = " ".join(description.split())
    for field in part.get("properties", {}).values():
        field.pop("title", None)
        if (
            "default" in field
            and (default := _without_nulls(field["default"])) is not None
        ):
            field["default"] = default
        else:
            field.pop("default", None)
    if "patternProperties" in part:
        part.setdefault("additionalProperties", False)
    return part


def _without_nulls(default: Any) -> Any:  # noqa: ANN401 - any JSON
    """Return a default without its nulls, which are not written in manifests."""
    if isinstance(default, dict):
        return {
            name: _without_nulls(value)
            for name, value in default.items()
            if value is not None
        }
    return default


def _has(*names: str, **properties: Any) -> dict[str, Any]:  # noqa: ANN401 - schemas
    """Return the schema of an object that has all of these members; strict validators want them declared."""
    return {
        "required": [*names],
        "properties": {**dict.fromkeys(names, True), **properties},
    }


def _require(choice: str, *names: str) -> dict[str, Any]:
    return {choice: [_has(name) for name in names]}


def _target_constraints() -> Iterator[dict[str, Any]]:
    """Yield, for each target with an own part of `api`, where the part is required, and where forbidden."""
    for name in built_in_names():
        target = load_plugin(name)
        if target is None or target.settings is None:
            continue
        required = [name]
        values: dict[str, Any] = {}
        allowed = target.queue_sources(None).allowed
        if allowed:
            required.append("queues")
            values["queues"] = {"enum": list(allowed)}
        yield {
            "if": {"properties": {"rules": {"const": name}}, "required": ["rules"]},
            "then": _has(*required, **values),
            "else": {"properties": {name: False}},
        }


def _without_platform() -> dict[str, Any]:
    """Return the schema of an `api` whose rules are kept without the tenant's login."""
    names = []
    for name in built_in_names():
        target = load_plugin(name)
        if target is not None and not target.uses_platform:
            names.append(name)
    return {"type": "object", **_has("rules", rules={"enum": names})}


_ONE_OR_VARIABLE: Final = {
    "anyOf": [{"type": "array", "maxItems": 1}, {"type": "string"}]
}
# the rules of `cross_checks` and of small models that types cannot express
_EXTRA_CONSTRAINTS = {
    "Api": {
        "if": {"properties": {"auth": {"const": "access-key"}}, "required": ["auth"]},
        "then": _require("oneOf", "issuer", "area")
        | {"not": _has("issuer", "tokenUrl")},
        "else": {"properties": {"issuer": False, "area": False}},
        "allOf": [*_target_constraints()],
    },
    "Context": {"dependentRequired": {"minConfidence": ["below"]}},
    "RuleEntry": {
        **_require("oneOf", "queue", "targets"),
        "not": _has("intent", "intents"),
        # The default key is that of one intent.
        "anyOf": [
            _has("key"),
            _has("intent"),
            _has("intents", intents=_ONE_OR_VARIABLE),
        ],
        "dependentRequired": {"steps": ["targets"]},
    },
    "StepCondition": _require("oneOf", "above", "below"),
    "QueueRef": _require("oneOf", "id", "name"),
    "Expect": _require("oneOf", "queue", "split", "default"),
    "Conversations": {"not": _has("intent", "intents")},
    "Never": _require("anyOf", "queues", "default"),
    "ValueEntry": _require("anyOf", "label", "group"),
    "PromiseEntry": _require("oneOf", "always", "never", "decidedBy", "split"),
    "Environment": {
        "if": {"properties": {"name": {"const": "sandbox"}}, "required": ["name"]},
        "then": {
            "properties": {
                "tenant": False,
                "api": _without_platform(),
                "credentials": False,
            }
        },
        "else": {
            "anyOf": [
                _has("tenant"),
                _has(
                    "api",
                    api={
                        "type": "object",
                        **_require("anyOf", "baseUrl", "issuer", "area"),
                    },
                ),
                _has("api", api=_without_platform()),
            ]
        },
    },
}
