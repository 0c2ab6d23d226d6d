"""RuleSet: rules as they are written, with their sugar."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from reconciler.manifest.condition import ConditionEntry  # noqa: TC001 - pydantic reads annotations
from reconciler.manifest.fields import (
    Filled,
    FilledList,
    Listed,
    LongList,
    NotNegative,
    Priority,
    Share,
    Slug,
    Strict,
    Timestamp,
    Unset,
    text_or_mapping,
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
        text_or_mapping,
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
    when: LongList[ConditionEntry] = Field(
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
