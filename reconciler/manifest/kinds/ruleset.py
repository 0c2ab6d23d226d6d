"""RuleSet: rules as they are written, with their sugar."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Tag, ValidationError

from reconciler.manifest.kinds.condition import ConditionEntry
from reconciler.manifest.kinds.fields import (
    FindingCode,
    LongList,
    ManifestDocument,
    NonEmptyList,
    NonEmptyText,
    NonNegative,
    Omittable,
    OrVariable,
    Priority,
    Share,
    Slug,
    StrictModel,
    Timestamp,
    YamlList,
    exemplary,
    omittable,
    optional,
    required,
    text_or_mapping_of,
)


class TargetEntry(StrictModel):
    """A queue and its share of a rule's conversations."""

    queue: NonEmptyText = required("The queue: a short name from a Queues document, or a live queue's name.", "cards")
    weight: OrVariable[NonNegative] = optional(
        1, "Its share of the conversations, against the other weights: 80 beside 20 is four of five.", 80
    )


class Hold(StrictModel):
    """Until a time the live rule is left as it is."""

    until: Timestamp = required("When the hold ends: a time with its offset from UTC.", "2026-12-01T08:00:00+01:00")
    reason: str = optional("", "Why the rule is left alone; plans show it.", "incident 42")


class AdoptById(StrictModel):
    """The live rule, made by hand, that is to be taken over, by its id."""

    id: NonEmptyText = required(
        "The live rule's id in CXone. Needed only where several rules have one name.",
        "12345678-1234-1234-1234-123456789012",
    )


Adopt = Annotated[
    Annotated[NonEmptyText, Tag("<text>")] | Annotated[AdoptById, Tag("<mapping>")],
    text_or_mapping_of("must be the live rule's name, or {id: ...}"),
]


class RuleEntry(StrictModel):
    """A rule as it is written: which conversations, and where they go."""

    key: Omittable[Slug] = omittable(
        "The rule's lasting name in its RuleSet. Default: the intent, in lower case and with hyphens.", "card-help"
    )
    intent: Omittable[str] = omittable(
        "Takes conversations in which the bot understood just this, letter by letter.", "lost_or_stolen_card"
    )
    intents: Omittable[NonEmptyList[str]] = omittable(
        "Takes conversations in which the bot understood any of these. A rule with several needs a `key`.",
        ["card_not_working", "card_acceptance"],
    )
    name: Omittable[NonEmptyText] = omittable(
        'The rule\'s name in CXone. Default: "Cognigy Intent Route: <intent, or key>".', "Cards help"
    )
    description: Omittable[str] = omittable(
        "What CXone shows below the name. Default: which intent goes to which queue.", "Cards that misbehave"
    )
    priority: Omittable[OrVariable[Priority]] = omittable(
        "Which rule is tried first: the one with the lowest number (unless the Environment says otherwise). Default:"
        " that of the RuleSet, else 100.",
        10,
    )
    enabled: Omittable[OrVariable[bool]] = Field(
        default=None,
        description="Whether the rule takes part. Default: what the RuleSet says, else true.",
        examples=[False],
    )
    min_confidence: OrVariable[Share] | None = omittable(
        "How sure the bot must be, from 0 to 1, for this rule to take a conversation. With null it need not be sure,"
        " whatever the RuleSet's defaults say.",
        0.7,
    )
    below_confidence: Omittable[OrVariable[Share]] = omittable(
        "Takes a conversation only while the bot is less sure than this, from 0 to 1.", 0.95
    )
    when: LongList[ConditionEntry] = optional(
        (),
        "Further conditions, all of which must hold. An empty list says that every conversation is meant.",
        [{"attribute": "customerTier", "in": ["gold", "platinum"]}],
    )
    queue: Omittable[NonEmptyText] = omittable(
        "The queue that gets the conversations: a short name from a Queues document, or a live name.", "fraud"
    )
    targets: Omittable[NonEmptyList[TargetEntry]] = omittable(
        "Several queues that share the conversations by weight. Stands in place of `queue`.",
        [{"queue": "cards", "weight": 80}, {"queue": "${overflow}", "weight": 20}],
    )
    environments: Omittable[YamlList[str]] = omittable(
        "The Environments that have this rule. Default: all that the RuleSet is for.", ["prod"]
    )
    hold: Omittable[Hold] = omittable(
        "Leaves the live rule as it is until a time, whatever stands here.",
        {"until": "2026-12-01T08:00:00+01:00", "reason": "incident 42"},
    )
    adopt: Omittable[Adopt] = omittable(
        "Takes over a live rule that was made by hand: by its name in CXone, or by {id: ...}.", "Cards (by hand)"
    )
    accept: Omittable[dict[FindingCode, NonEmptyText]] = omittable(
        "Findings about this rule that are meant, by code, each with the reason: they are counted and not shown.",
        {"CXR203": "kept for the campaign in June"},
    )


def rule_entry(fields: Mapping[str, Any]) -> RuleEntry:
    """Return the rule that these fields are. Raises ValueError, with the name of the first field that cannot be so."""
    try:
        return RuleEntry.model_validate(fields)
    except ValidationError as error:
        steps = error.errors(include_url=False)[0]["loc"]
        raise ValueError(next((step for step in steps if isinstance(step, str)), "rule")) from None


class Defaults(StrictModel):
    """What holds for the rules of a RuleSet that do not say otherwise."""

    priority: OrVariable[Priority] = exemplary(
        100, "The priority of rules that have none: lower numbers are tried first."
    )
    enabled: OrVariable[bool] = Field(
        default=True, description="Whether rules that do not say so take part.", examples=[True]
    )
    min_confidence: OrVariable[Share] | None = omittable(
        "How sure the bot must be, from 0 to 1, for rules with `intent` or `intents` that do not say so.", 0.6
    )


class RuleSet(ManifestDocument):
    """A group of rules that belong together."""

    kind: Literal["RuleSet"] = optional("RuleSet", "This document holds rules: which conversations go to which queue.")
    name: Slug = required(
        "The RuleSet's lasting name. With a rule's key it is the rule's address, such as cards/card-help.", "cards"
    )
    environments: Omittable[YamlList[str]] = omittable(
        "The Environments that have these rules. Default: all.", ["prod", "staging"]
    )
    defaults: Defaults = optional(
        Defaults(), "What holds for the rules below that do not say otherwise.", {"priority": 100, "minConfidence": 0.6}
    )
    rules: YamlList[RuleEntry] = required(
        "The rules. Their order here means nothing: `priority` says which is tried first.",
        [{"intent": "lost_or_stolen_card", "queue": "fraud", "priority": 10}],
    )
