"""RouteTests: conversations and where they must go."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reconciler.manifest.kinds.fields import (
    API_VERSION,
    Attribute,
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

    given: Given = Field(
        description="The conversation that is tried: what the bot says, and what else is known.",
        examples=[{"intent": "lost_or_stolen_card", "confidence": 0.9}],
    )
    expect: Expect = Field(
        description="Where it must go: exactly one of queue, split and default.", examples=[{"queue": "fraud"}]
    )


class RouteTests(StrictModel):
    """Conversations and where they must go; checked by `cxroute test` and before every plan."""

    api_version: Literal["routing/v1"] = optional("routing/v1", API_VERSION)
    kind: Literal["RouteTests"] = optional(
        "RouteTests", "This document holds conversations and where each must go, whatever rules say."
    )
    name: NonEmptyText = Field(description="What this document is called, for messages.", examples=["cards"])
    tests: YamlList[RouteTest] = Field(
        description="The conversations to try. While one goes elsewhere, plan exits 3 and apply refuses.",
        examples=[[{"given": {"intent": "lost_or_stolen_card", "confidence": 0.9}, "expect": {"queue": "fraud"}}]],
    )
