"""The kinds of documents that people write. Each field's description is the hover help of editors.

Rules about several fields are in `cross_checks`: a check inside a model runs only once all fields are valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, Tag, model_validator

from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.fields import (
    Attribute,
    ManifestDocument,
    NonEmptyText,
    NonNegative,
    Omittable,
    OrVariable,
    Share,
    StrictModel,
    YamlList,
    omittable,
    optional,
    require_exactly_one,
    required,
    text_or_mapping_of,
)
from reconciler.manifest.kinds.profile import Profile
from reconciler.manifest.kinds.ruleset import RuleEntry, RuleSet


class QueueRef(StrictModel):
    """A live queue, by id or by name."""

    id: Omittable[NonEmptyText] = omittable(
        "The queue's id in CXone. Needed only where two queues have one name.", "12345678-1234-1234-1234-123456789012"
    )
    name: Omittable[NonEmptyText] = omittable("The queue's name, letter by letter as CXone shows it.", "Fraud Test")

    @model_validator(mode="after")
    def _check_id_or_name(self) -> Self:
        require_exactly_one(self, "id", "name")
        return self


class Queues(ManifestDocument):
    """Aliases of queues, so that one manifest serves several environments."""

    kind: Literal["Queues"] = optional("Queues", "This document gives queues short names that rules can use.")
    name: NonEmptyText = required("What this document is called, for messages.", "queues")
    queues: dict[
        NonEmptyText,
        Annotated[
            Annotated[NonEmptyText, Tag("<text>")] | Annotated[dict[NonEmptyText, QueueRef], Tag("<mapping>")],
            text_or_mapping_of("must be a live queue's name, or a mapping of environments"),
        ],
    ] = required(
        "Each short name, and the live queue that it means: by its name, or for each environment by its id or name.",
        {"cards": "Card Services", "fraud": {"staging": {"name": "Fraud Test"}}},
    )


class Intents(ManifestDocument):
    """What the bot can say: for coverage and typo checks."""

    kind: Literal["Intents"] = optional(
        "Intents", "This document lists what the bot can say, to find gaps and misspelt intents."
    )
    name: NonEmptyText = required("What this document is called, for messages.", "bank-bot")
    intents: YamlList[str] = required(
        "Every intent that the bot can detect, letter by letter as it writes them.",
        ["lost_or_stolen_card", "card_not_working"],
    )


class Given(StrictModel):
    """A conversation, as far as a test cares."""

    intent: Omittable[str] = omittable(
        "What the bot says that the caller wants. Without it, the conversation has no intent.", "lost_or_stolen_card"
    )
    confidence: OrVariable[Share] | None = omittable(
        "How sure the bot is, from 0 to 1. Without it, or with null, there is no confidence.", 0.9
    )
    attributes: dict[NonEmptyText, Attribute] = optional(
        {},
        "What else is known of the conversation, by attribute; null is one that is missing.",
        {"customerTier": "gold"},
    )


class Expect(StrictModel):
    """Where the conversation must go."""

    queue: Omittable[NonEmptyText] = omittable(
        "The one queue that must get the conversation: a short name, or a live queue's name.", "fraud"
    )
    split: Omittable[Annotated[dict[NonEmptyText, OrVariable[NonNegative]], Field(min_length=1)]] = omittable(
        "The queues that must share such conversations, each with its weight; 80 and 20 are 4 and 1.",
        {"cards": 80, "General": 20},
    )
    default: Omittable[Literal[True]] = omittable(
        "True where no rule may take the conversation: it goes to the tenant's default."
    )

    @model_validator(mode="after")
    def _check_single_destination(self) -> Self:
        require_exactly_one(self, "queue", "split", "default")
        return self


class RouteTest(StrictModel):
    """One conversation and where it must go."""

    given: Given = required(
        "The conversation that is tried: what the bot says, and what else is known.",
        {"intent": "lost_or_stolen_card", "confidence": 0.9},
    )
    expect: Expect = required("Where it must go: exactly one of queue, split and default.", {"queue": "fraud"})


class RouteTests(ManifestDocument):
    """Conversations and where they must go; checked by `cxroute test` and before every plan."""

    kind: Literal["RouteTests"] = optional(
        "RouteTests", "This document holds conversations and where each must go, whatever rules say."
    )
    name: NonEmptyText = required("What this document is called, for messages.", "cards")
    tests: YamlList[RouteTest] = required(
        "The conversations to try. While one goes elsewhere, plan exits 3 and apply refuses.",
        [{"given": {"intent": "lost_or_stolen_card", "confidence": 0.9}, "expect": {"queue": "fraud"}}],
    )


AnyDocument = Environment | Queues | RuleSet | Intents | RouteTests | Profile
ITEM_FIELDS: Final[Mapping[str, tuple[str, type[StrictModel]]]] = {
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
