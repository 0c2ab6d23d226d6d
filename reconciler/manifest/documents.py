"""The kinds of documents that people write. Each field's description is the hover help of editors.

Rules about several fields are in `cross_checks`: a check inside a model runs only once all fields are valid.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, Tag, model_validator

from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.kinds.fields import (
    API_VERSION,
    NonEmptyText,
    Omittable,
    StrictModel,
    YamlList,
    omittable,
    optional,
    require_exactly_one,
    text_or_mapping_of,
)
from reconciler.manifest.kinds.profile import Profile
from reconciler.manifest.kinds.route_tests import RouteTest, RouteTests
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


class Queues(StrictModel):
    """Aliases of queues, so that one manifest serves several environments."""

    api_version: Literal["routing/v1"] = optional("routing/v1", API_VERSION)
    kind: Literal["Queues"] = optional("Queues", "This document gives queues short names that rules can use.")
    name: NonEmptyText = Field(description="What this document is called, for messages.", examples=["queues"])
    queues: dict[
        NonEmptyText,
        Annotated[
            Annotated[NonEmptyText, Tag("<text>")] | Annotated[dict[NonEmptyText, QueueRef], Tag("<mapping>")],
            text_or_mapping_of("must be a live queue's name, or a mapping of environments"),
        ],
    ] = Field(
        description="Each short name, and the live queue that it means: by its name, or for each environment by its id"
        " or name.",
        examples=[{"cards": "Card Services", "fraud": {"staging": {"name": "Fraud Test"}}}],
    )


class Intents(StrictModel):
    """What the bot can say: for coverage and typo checks."""

    api_version: Literal["routing/v1"] = optional("routing/v1", API_VERSION)
    kind: Literal["Intents"] = optional(
        "Intents", "This document lists what the bot can say, to find gaps and misspelt intents."
    )
    name: NonEmptyText = Field(description="What this document is called, for messages.", examples=["bank-bot"])
    intents: YamlList[str] = Field(
        description="Every intent that the bot can detect, letter by letter as it writes them.",
        examples=[["lost_or_stolen_card", "card_not_working"]],
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
