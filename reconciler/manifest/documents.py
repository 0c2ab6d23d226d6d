"""The kinds of documents in manifests. Editors show the description of a field as hover help.

Rules about several fields are in `cross_checks`: a check inside a model runs only if all fields are valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, Tag, model_validator

import reconciler.manifest.kinds.fields as f
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.profile import Profile
from reconciler.manifest.kinds.ruleset import RuleEntry, RuleSet


class QueueRef(f.StrictModel):
    """A live queue, by id or by name."""

    id: f.Omittable[f.NonEmptyText] = f.omittable(
        "The queue's id in CXone, for a name that several queues have.", "12345678-1234-1234-1234-123456789012"
    )
    name: f.Omittable[f.NonEmptyText] = f.omittable("The queue's name, exactly as CXone shows it.", "Fraud Test")

    @model_validator(mode="after")
    def _check_id_or_name(self) -> Self:
        f.require_exactly_one(self, "id", "name")
        return self


class Queues(f.ManifestDocument):
    """Aliases of queues, so that several environments can share the same manifests."""

    kind: Literal["Queues"] = f.optional("Queues", "This document gives queues short names that rules can use.")
    name: f.NonEmptyText = f.required("The name of this document in messages.", "queues")
    queues: dict[
        f.NonEmptyText,
        Annotated[
            Annotated[f.NonEmptyText, Tag("<text>")] | Annotated[dict[f.NonEmptyText, QueueRef], Tag("<mapping>")],
            f.text_or_mapping_of("must be a live queue's name, or a mapping of environments"),
        ],
    ] = f.required(
        "Each alias, and its live queue: by name, or for each environment by id or name.",
        {"cards": "Card Services", "fraud": {"staging": {"name": "Fraud Test"}}},
    )


class Intents(f.ManifestDocument):
    """The intents that the bot can detect, for checks of coverage and spelling."""

    kind: Literal["Intents"] = f.optional(
        "Intents", "This document lists the intents that the bot can detect, to find gaps and misspelt intents."
    )
    name: f.NonEmptyText = f.required("The name of this document in messages.", "bank-bot")
    intents: f.YamlList[str] = f.required(
        "Each intent of the bot, exactly as the bot writes it.", ["lost_or_stolen_card", "card_not_working"]
    )


class Given(f.StrictModel):
    """The attributes of a conversation in a route test."""

    intent: f.Omittable[str] = f.omittable(
        "The intent that the bot detects. Default: the conversation has no intent.", "lost_or_stolen_card"
    )
    confidence: f.OrVariable[f.Share] | None = f.omittable(
        "The bot's confidence, from 0 to 1. Default, and null: the conversation has no confidence.", 0.9
    )
    attributes: dict[f.NonEmptyText, f.Attribute] = f.optional(
        {}, "The other attributes of the conversation; null means a missing attribute.", {"customerTier": "gold"}
    )


class Expect(f.StrictModel):
    """The expected destination of a conversation."""

    queue: f.Omittable[f.NonEmptyText] = f.omittable(
        "The only queue that must receive the conversation: an alias, or a live queue's name.", "fraud"
    )
    split: f.Omittable[Annotated[dict[f.NonEmptyText, f.OrVariable[f.NonNegative]], Field(min_length=1)]] = f.omittable(
        "The queues that must share the conversations, by weight; 80 and 20 equal 4 and 1.",
        {"cards": 80, "General": 20},
    )
    default: f.Omittable[Literal[True]] = f.omittable(
        "True if no rule may match the conversation: the tenant's default destination receives it."
    )

    @model_validator(mode="after")
    def _check_single_destination(self) -> Self:
        f.require_exactly_one(self, "queue", "split", "default")
        return self


class RouteTest(f.StrictModel):
    """One conversation and its expected destination."""

    given: Given = f.required(
        "The conversation: intent, confidence, other attributes.", {"intent": "lost_or_stolen_card", "confidence": 0.9}
    )
    expect: Expect = f.required("The expected destination: exactly one of queue, split, default.", {"queue": "fraud"})


class RouteTests(f.ManifestDocument):
    """Conversations and their expected destinations; checked by `cxroute test` and before every plan."""

    kind: Literal["RouteTests"] = f.optional(
        "RouteTests",
        "This document holds conversations and the destination that each must have.",
    )
    name: f.NonEmptyText = f.required("The name of this document in messages.", "cards")
    tests: f.YamlList[RouteTest] = f.required(
        "The tests. If one fails, plan exits with code 3 and apply refuses.",
        [{"given": {"intent": "lost_or_stolen_card", "confidence": 0.9}, "expect": {"queue": "fraud"}}],
    )


AnyDocument = Environment | Queues | RuleSet | Intents | RouteTests | Profile
ITEM_FIELDS: Final[Mapping[str, tuple[str, type[f.StrictModel]]]] = {
    "RuleSet": ("rules", RuleEntry),
    "RouteTests": ("tests", RouteTest),
}
"""The field that makes a document of a kind long, and the model of its items."""
KINDS: Final[Mapping[str, type[Any]]] = {
    "Environment": Environment,
    "Queues": Queues,
    "RuleSet": RuleSet,
    "Intents": Intents,
    "RouteTests": RouteTests,
    "Profile": Profile,
}
