"""RouteTests: conversations and where they must go."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from reconciler.manifest.fields import Attribute, Filled, Listed, NotNegative, Share, Strict, Unset, exactly_one


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
        exactly_one(self, "queue", "split", "default")
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
