"""Promises: what must hold for all conversations, before variables are filled in."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

import reconciler.manifest.kinds.fields as f
from reconciler.manifest.kinds.condition import ConditionEntry


class Conversations(f.StrictModel):
    """The conversations of a promise, as the bot sends them: all fields must hold."""

    intent: f.Omittable[str] = f.omittable("The bot detected exactly this intent.", "lost_or_stolen_card")
    intents: f.Omittable[f.NonEmptyList[str]] = f.omittable(
        "The bot detected any of these intents.", ["lost_or_stolen_card"]
    )
    min_confidence: f.Omittable[f.OrVariable[f.Share]] = f.omittable(
        "The lowest confidence of the bot, from 0 to 1.", 0.4
    )
    below_confidence: f.Omittable[f.OrVariable[f.Share]] = f.omittable(
        "The bot's confidence is lower than this, from 0 to 1.", 0.95
    )
    when: f.LongList[ConditionEntry] = f.optional(
        (), "Further conditions, all of which must hold.", [{"attribute": "customerTier", "equals": "platinum"}]
    )

    @model_validator(mode="after")
    def _check_one_form(self) -> Self:
        if self.intent is not None and self.intents is not None:
            raise PydanticCustomError("CXR104", "has either intent or intents, not both")
        return self


class Always(f.StrictModel):
    """The only queues that may receive the conversations."""

    queues: f.NonEmptyList[f.NonEmptyText] = f.required(
        "The queues: aliases, or live queues' names. Each conversation reaches one of them.", ["fraud"]
    )


class Never(f.StrictModel):
    """What must not receive the conversations."""

    queues: f.Omittable[f.NonEmptyList[f.NonEmptyText]] = f.omittable(
        "The queues: aliases, or live queues' names. No part of a split reaches one of them.", ["overflow-partner"]
    )
    default: f.Omittable[Literal[True]] = f.omittable("True if a rule must take each conversation.")

    @model_validator(mode="after")
    def _check_any(self) -> Self:
        if self.queues is None and self.default is None:
            raise PydanticCustomError("CXR104", "needs queues or default")
        return self


class ShareBounds(f.StrictModel):
    """The bounds of a queue's share of the conversations, in percent."""

    least: f.OrVariable[f.Percent] = f.optional(0, "The lowest percentage that the queue may have.", 60)
    most: f.OrVariable[f.Percent] = f.optional(100, "The highest percentage that the queue may have.", 80)


class PromiseEntry(f.StrictModel):
    """One promise: its conversations, and exactly one of always, never, decidedBy, split."""

    name: f.NonEmptyText = f.required("The name of the promise, unique in its document.", "fraud decides first")
    conversations: f.Omittable[Conversations] = Field(
        default=None,
        alias="for",
        description="The conversations that the promise is about. Default: all.",
        examples=[{"intents": ["lost_or_stolen_card"], "minConfidence": 0.4}],
    )
    always: f.Omittable[Always] = f.omittable(
        "Each conversation reaches one of these queues, with every part of a split.", {"queues": ["fraud"]}
    )
    never: f.Omittable[Never] = f.omittable("No conversation reaches one of these.", {"queues": ["overflow-partner"]})
    decided_by: f.Omittable[Annotated[str, Field(pattern=f.ADDRESS_GLOB)]] = f.omittable(
        "The rule that takes each conversation: its address, or a pattern such as fraud/* (* matches any text).",
        "fraud/*",
    )
    split: f.Omittable[Annotated[dict[f.NonEmptyText, ShareBounds], Field(min_length=1)]] = f.omittable(
        "The share of each conversation's split that these queues have. A queue outside the split has 0 %.",
        {"cards": {"least": 60}},
    )
    severity: Literal["error", "warning"] = f.optional(
        "error", "Whether a broken promise is an error, which fails the checks, or a warning.", "warning"
    )
    environments: f.Omittable[f.YamlList[str]] = f.omittable(
        "The Environments that have this promise. Default: those of the document.", ["prod"]
    )

    @model_validator(mode="after")
    def _check_one_requirement(self) -> Self:
        f.require_exactly_one(self, "always", "never", "decided_by", "split")
        return self


class Promises(f.ManifestDocument):
    """What must hold for all conversations; checked, exactly, by `cxroute validate` and before every apply."""

    kind: Literal["Promises"] = f.optional("Promises", "This document states what must hold for all conversations.")
    name: f.NonEmptyText = f.required("The name of this document in messages.", "safety")
    environments: f.Omittable[f.YamlList[str]] = f.omittable(
        "The Environments that have these promises. Default: all.", ["prod", "staging"]
    )
    promises: f.YamlList[PromiseEntry] = f.required(
        "The promises. If one of severity error is broken, validate exits with code 3 and apply refuses.",
        [{"name": "a rule takes every conversation", "never": {"default": True}}],
    )
