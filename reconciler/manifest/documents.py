"""The kinds of documents that people write: Environment, Queues, RuleSet, Intents, RouteTests.

Each field's type says what it may be, its description is the hover help of editors. What fields mean together stands
in `checks`: a check inside a model would run only once all fields are right, and a person wants all errors at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from reconciler.manifest.condition import ConditionEntry  # noqa: TC001 - pydantic reads annotations
from reconciler.manifest.environment import Environment
from reconciler.manifest.fields import (
    Attribute,
    Filled,
    FilledList,
    Listed,
    NotNegative,
    Priority,
    Share,
    Slug,
    Strict,
    Timestamp,
    Unset,
)


def _text_or_mapping(value: object) -> str | None:
    """Name the form that was meant, so that its errors alone are told."""
    if isinstance(value, str):
        return "<text>"
    return "<mapping>" if isinstance(value, (Mapping, Strict)) else None


def _one_of(document: Strict, *names: str) -> None:
    """Refuse a part in which not exactly one of some fields is set. For small parts; rules are seen to in `checks`."""
    if sum(getattr(document, name) is not None for name in names) != 1:
        raise PydanticCustomError("CXR104", f"exactly one of {', '.join(names)} must be there")


class QueueRef(Strict):
    """A live queue, by id or by name."""

    id: Unset[Filled] = Field(
        default=None, description="The queue's id.", examples=["12345678-1234-1234-1234-123456789012"]
    )
    name: Unset[Filled] = Field(default=None, description="The queue's name.", examples=["Fraud Test"])

    @model_validator(mode="after")
    def _id_or_name(self) -> Self:
        _one_of(self, "id", "name")
        return self


class Queues(Strict):
    """Aliases of queues, so that one manifest serves several environments."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description="The form of this document.")
    kind: Literal["Queues"] = Field(default="Queues", description="What this document describes.")
    name: Filled = Field(description="Name of this document.", examples=["queues"])
    queues: dict[
        Filled,
        Annotated[
            Annotated[Filled, Tag("<text>")] | Annotated[dict[Filled, QueueRef], Tag("<mapping>")],
            Discriminator(
                _text_or_mapping,
                custom_error_type="CXR104",
                custom_error_message="must be a live queue's name, or a mapping of environments",
            ),
        ],
    ] = Field(
        description="Alias: the live queue's name, or for each environment its id or name.",
        examples=[{"cards": "Card Services", "fraud": {"staging": {"name": "Fraud Test"}}}],
    )


class TargetEntry(Strict):
    """A queue and its share of a rule's conversations."""

    queue: Filled = Field(description="Alias, or name of a live queue.", examples=["cards"])
    weight: NotNegative = Field(
        default=1, description="Its share, relative to the other targets' weights.", examples=[80]
    )


class Hold(Strict):
    """Until a time the live rule is left as it is."""

    until: Timestamp = Field(description="When the hold ends.", examples=["2026-12-01T08:00:00+01:00"])
    reason: str = Field(default="", description="Why; shown in plans.", examples=["incident 42"])


class AdoptById(Strict):
    """The unmanaged live rule to take over, by its id."""

    id: Filled = Field(description="The live rule's id.", examples=["12345678-1234-1234-1234-123456789012"])


Adopt = Annotated[
    Annotated[Filled, Tag("<text>")] | Annotated[AdoptById, Tag("<mapping>")],
    Discriminator(
        _text_or_mapping,
        custom_error_type="CXR104",
        custom_error_message="must be the live rule's name, or {id: ...}",
    ),
]


class RuleEntry(Strict):
    """A rule as it is written: which conversations, and where they go."""

    key: Unset[Slug] = Field(
        default=None,
        description="Stable name in its RuleSet; default: the intent, made a slug.",
        examples=["card-help"],
    )
    intent: Unset[str] = Field(
        default=None, description="The intent to match: short for a condition.", examples=["lost_or_stolen_card"]
    )
    intents: Unset[FilledList[str]] = Field(
        default=None,
        description="Several intents, any of which matches.",
        examples=[["card_not_working", "card_acceptance"]],
    )
    name: Unset[Filled] = Field(
        default=None,
        description='Name in CXone; default: "Cognigy Intent Route: <intent, or key>".',
        examples=["Cards help"],
    )
    description: Unset[str] = Field(
        default=None,
        description="Description in CXone; default: says which intent goes where.",
        examples=["Cards that misbehave"],
    )
    priority: Unset[Priority] = Field(
        default=None, description="Lower numbers are tried first; default: 100.", examples=[10]
    )
    enabled: Unset[bool] = Field(default=None, description="Whether the rule takes part; default: true.")
    min_confidence: Share | None = Field(
        default=None,
        description="Least confidence of the bot for this rule to match; null removes the RuleSet's default.",
        examples=[0.7],
    )
    below_confidence: Unset[Share] = Field(
        default=None, description="Confidence from which on this rule does not match any more.", examples=[0.95]
    )
    when: Listed[ConditionEntry] = Field(
        default=(), description="Further conditions; all must hold. [] matches everything."
    )
    queue: Unset[Filled] = Field(default=None, description="Where matching conversations go.", examples=["fraud"])
    targets: Unset[FilledList[TargetEntry]] = Field(
        default=None, description="In place of `queue`: several queues that share the conversations by weight."
    )
    environments: Unset[Listed[str]] = Field(
        default=None, description="Only in these environments.", examples=[["prod"]]
    )
    hold: Unset[Hold] = Field(default=None, description="Leaves the live rule as it is for a while.")
    adopt: Unset[Adopt] = Field(
        default=None,
        description="Takes over the unmanaged live rule of this name (or {id: ...}).",
        examples=["Cards (by hand)"],
    )


class Defaults(Strict):
    """What holds for the rules of a RuleSet that do not say otherwise."""

    priority: Priority = Field(default=100, description="Lower numbers are tried first.")
    enabled: bool = Field(default=True, description="Whether the rules take part.")
    min_confidence: Share | None = Field(
        default=None, description="Least confidence, for rules with `intent` or `intents`.", examples=[0.6]
    )


class RuleSet(Strict):
    """A group of rules that belong together."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description="The form of this document.")
    kind: Literal["RuleSet"] = Field(default="RuleSet", description="What this document describes.")
    name: Slug = Field(description="First half of its rules' addresses.", examples=["cards"])
    environments: Unset[Listed[str]] = Field(
        default=None, description="Only in these environments; default: in all.", examples=[["prod", "staging"]]
    )
    defaults: Defaults = Field(default=Defaults(), description="For the rules that do not say otherwise.")
    rules: Listed[RuleEntry] = Field(description="The rules; their order means nothing, `priority` does.")


class Intents(Strict):
    """What the bot can say: for coverage and typo checks."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description="The form of this document.")
    kind: Literal["Intents"] = Field(default="Intents", description="What this document describes.")
    name: Filled = Field(description="Name of this document.", examples=["bank-bot"])
    intents: Listed[str] = Field(description="The bot's intents.", examples=[["lost_or_stolen_card"]])


class Given(Strict):
    """A conversation, as far as a test cares."""

    intent: Unset[str] = Field(default=None, description="What the bot detected.", examples=["lost_or_stolen_card"])
    confidence: Share | None = Field(default=None, description="How sure it was.", examples=[0.9])
    attributes: dict[Filled, Attribute] = Field(
        default={}, description="Further attributes; null is one that is missing.", examples=[{"customerTier": "gold"}]
    )


class Expect(Strict):
    """Where the conversation must go."""

    queue: Unset[Filled] = Field(default=None, description="All to this queue.", examples=["fraud"])
    split: Unset[Annotated[dict[Filled, NotNegative], Field(min_length=1)]] = Field(
        default=None, description="Shared by weight.", examples=[{"cards": 80, "General": 20}]
    )
    default: Unset[Literal[True]] = Field(default=None, description="No rule matches: the tenant's default routing.")

    @model_validator(mode="after")
    def _one_destination(self) -> Self:
        _one_of(self, "queue", "split", "default")
        return self


class RouteTest(Strict):
    """One conversation and where it must go."""

    given: Given = Field(description="The conversation.")
    expect: Expect = Field(description="Where it must go.")


class RouteTests(Strict):
    """Conversations and where they must go; checked by `cxroute test` and before every plan."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description="The form of this document.")
    kind: Literal["RouteTests"] = Field(default="RouteTests", description="What this document describes.")
    name: Filled = Field(description="Name of this document.", examples=["cards"])
    tests: Listed[RouteTest] = Field(description="The tests.")


AnyDocument = Environment | Queues | RuleSet | Intents | RouteTests
KINDS: Final[Mapping[str, type[Any]]] = {
    kind.__name__: kind for kind in (Environment, Queues, RuleSet, Intents, RouteTests)
}
