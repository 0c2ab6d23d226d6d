"""RuleSet: the rules of manifests, before defaults and variables are filled in."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, Tag, ValidationError

import reconciler.core.manifest.kinds.fields as f
from reconciler.core.manifest.kinds.condition import ConditionEntry


class TargetEntry(f.StrictModel):
    """A queue and its share of a rule's conversations."""

    queue: f.NonEmptyText = f.required(
        "The queue: an alias from a Queues document, or a live queue's name.", "cards"
    )
    weight: f.OrVariable[f.NonNegative] = f.optional(
        1,
        "Its share of the conversations in proportion to the other weights: 80 and 20 are four "
        "fifths and one.",
        80,
    )


class Hold(f.StrictModel):
    """The time until which the live rule is not changed."""

    until: f.Time = f.required(
        "The time at which the hold ends.", "2026-12-01T08:00:00+01:00"
    )
    reason: str = f.optional(
        "",
        "The reason for the hold.",
        "incident 42",
    )


class AdoptById(f.StrictModel):
    """The unmanaged live rule to adopt, by its id."""

    id: f.NonEmptyText = f.required(
        "The live rule's id in CXone.",
        "12345678-1234-1234-1234-123456789012",
    )


Adopt = Annotated[
    Annotated[f.NonEmptyText, Tag("<text>")] | Annotated[AdoptById, Tag("<mapping>")],
    f.of_shape("must be the live rule's name, or {id: ...}"),
]


class Conversations(f.StrictModel):
    """Conversations as the bot sends them: all fields must hold."""

    intent: f.Omittable[str] = f.omittable(
        "The intent that the bot detected.",
        "lost_or_stolen_card",
    )
    intents: f.Omittable[f.OrVariable[f.NonEmptyList[str]]] = f.omittable(
        "The bot detected one of these intents. A rule with several needs a `key`.",
        ["card_not_working", "card_acceptance"],
    )
    min_confidence: f.OrVariable[f.Share] | None = f.omittable(
        "The lowest confidence of the bot, from 0 to 1, that matches. In a rule, null removes the "
        "default of the RuleSet.",
        0.7,
    )
    below_confidence: f.Omittable[f.OrVariable[f.Share]] = f.omittable(
        "Matches only if the bot's confidence is lower than this, from 0 to 1. `context.below` of "
        "the Environment replaces an intent before rules see it.",
        0.95,
    )
    when: f.LongList[ConditionEntry] = f.optional(
        (),
        "Further conditions, all of which must hold. An empty list confirms that a rule has no "
        "condition at all.",
        [{"attribute": "customerTier", "in": ["gold", "platinum"]}],
    )


class StepCondition(f.StrictModel):
    """A question to Prometheus."""

    query: Annotated[f.NonEmptyText, Field(max_length=1000)] = f.required(
        "The query in PromQL, sent as written. It returns one series.",
        'service_level{skill="partner"}',
    )
    above: f.Omittable[f.Number] = f.omittable(
        "Every sample must be above this number.", 0.8
    )
    below: f.Omittable[f.Number] = f.omittable(
        "Every sample must be below this number.", 30
    )
    for_: f.Duration = Field(
        alias="for",
        description="The length of time before the question in which the samples are taken.",
        examples=["30m"],
    )
    _exactly_one = f.require_exactly_one("above", "below")

    @property
    def phrase(self) -> str:
        """Return the condition in words."""
        word, bound = (
            ("above", self.above) if self.below is None else ("below", self.below)
        )
        return f"{self.query} {word} {bound:g} for {self.for_}"


class StepEntry(f.StrictModel):
    """The weights that a rule's targets have from a time on."""

    at: f.Time = f.required(
        "The time from which the weights apply.",
        "2026-12-01T06:00",
    )
    weights: Annotated[
        dict[f.NonEmptyText, f.OrVariable[f.NonNegative]], Field(min_length=1)
    ] = f.required(
        "The weight of each queue of `targets`. A queue with the weight 0 is left out.",
        {"cards": 95, "partner": 5},
    )
    condition: Annotated[f.Omittable[StepCondition], Field(alias="if")] = f.omittable(
        "The step waits until this holds, and all later steps of the rule wait with it.",
        {
            "query": 'service_level{skill="partner"}',
            "above": 0.8,
            "for": "30m",
        },
    )


class RuleEntry(Conversations):
    """A rule of a manifest: its conditions and its queues."""

    key: f.Omittable[f.Slug] = f.omittable(
        "The permanent name of the rule in its RuleSet. Default: the intent in lower case, with "
        "hyphens.",
        "card-help",
    )
    name: f.Omittable[f.NonEmptyText] = f.omittable(
        'The name of the rule in CXone. Default: "Cognigy Intent Route: <intent, or key>"; for one intent and a `key`'
        ' of its own, "Cognigy Intent Route: <intent> (<key>)".',
        "Cards help",
    )
    description: f.Omittable[str] = f.omittable(
        "The text that CXone shows below the name. Default: the intents and their queues.",
        "Cards that misbehave",
    )
    priority: f.Omittable[f.OrVariable[f.Priority]] = f.omittable(
        "The lowest number is tried first, unless the Environment reverses it. Default: the "
        "RuleSet's, or 100.",
        10,
    )
    enabled: f.Omittable[f.OrVariable[bool]] = Field(
        default=None,
        description="Whether the rule is enabled. Default: the RuleSet's, or true.",
        examples=[False],
    )
    queue: f.Omittable[f.NonEmptyText] = f.omittable(
        "The queue that receives the conversations: an alias from a Queues document, or a live "
        "queue's name.",
        "fraud",
    )
    targets: f.Omittable[f.NonEmptyList[TargetEntry]] = f.omittable(
        "Instead of `queue`: several queues that share the conversations by weight.",
        [{"queue": "cards", "weight": 80}, {"queue": "${overflow}", "weight": 20}],
    )
    from_: Annotated[f.Omittable[f.Time], Field(alias="from")] = f.omittable(
        "The time from which the rule exists. Default: always.",
        "2026-12-27T06:00",
    )
    until: f.Omittable[f.Time] = f.omittable(
        "The time from which the rule no longer exists. Default: never.",
        "2027-01-07T00:00",
    )
    steps: f.Omittable[f.NonEmptyList[StepEntry]] = f.omittable(
        "Later weights of `targets`, in ascending order of time.",
        [{"at": "2026-12-01T06:00", "weights": {"cards": 95, "partner": 5}}],
    )
    environments: f.Omittable[f.YamlList[str]] = f.omittable(
        "The Environments that have this rule. Default: those of the RuleSet.", ["prod"]
    )
    hold: f.Omittable[Hold] = f.omittable(
        "Leaves the live rule unchanged until a time, even if the manifest differs.",
        {"until": "2026-12-01T08:00:00+01:00", "reason": "incident 42"},
    )
    adopt: f.Omittable[Adopt] = f.omittable(
        "Takes over an unmanaged live rule: by its name in CXone, or by {id: ...}.",
        "Cards (by hand)",
    )
    accept: f.Omittable[dict[f.FindingCode, f.NonEmptyText]] = f.omittable(
        "Accepted findings about this rule: the reasons by code.",
        {"CXR203": "kept for the campaign in June"},
    )


def has_dates(entry: RuleEntry) -> bool:
    """Return whether a rule changes at some time."""
    return entry.from_ is not None or entry.until is not None or entry.steps is not None


def rule_entry(fields: Mapping[str, Any]) -> RuleEntry:
    """Return the rule with these fields.

    Raises ValueError with the name of the first invalid field.
    """
    try:
        return RuleEntry.model_validate(fields)
    except ValidationError as error:
        steps = error.errors(include_url=False)[0]["loc"]
        raise ValueError(
            next((step for step in steps if isinstance(step, str)), "rule")
        ) from None


class Defaults(f.StrictModel):
    """Defaults for the rules of a RuleSet."""

    priority: f.OrVariable[f.Priority] = f.exemplary(
        100, "The priority of rules without one; lowest number first."
    )
    enabled: f.OrVariable[bool] = Field(
        default=True,
        description="Whether the rules are enabled.",
        examples=[True],
    )
    min_confidence: f.OrVariable[f.Share] | None = f.omittable(
        "The lowest confidence of the bot for rules with `intent` or `intents` that set none.",
        0.6,
    )


class RuleSet(f.ManifestDocument):
    """A group of rules that belong together."""

    kind: Literal["RuleSet"] = f.optional(
        "RuleSet", "This document holds rules that route conversations to queues."
    )
    name: f.Slug = f.required(
        "The permanent name of the RuleSet, the first part of its rules' addresses.",
        "cards",
    )
    environments: f.Omittable[f.YamlList[str]] = f.omittable(
        "The Environments that have these rules. Default: all.", ["prod", "staging"]
    )
    defaults: Defaults = f.optional(
        Defaults(),
        "Defaults of the rules below.",
        {"priority": 100, "minConfidence": 0.6},
    )
    rules: f.YamlList[RuleEntry] = f.required(
        "The rules, in any order.",
        [{"intent": "lost_or_stolen_card", "queue": "fraud", "priority": 10}],
    )
