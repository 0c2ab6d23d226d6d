"""The kinds of documents that people write: Environment, Queues, RuleSet, Intents, RouteTests.

Each field's type says what it may be, its description is the hover help of editors. What fields mean together stands
in `checks`: a check inside a model would run only once all fields are right, and a person wants all errors at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from reconciler.manifest.environment import Environment, Limit
from reconciler.manifest.fields import Filled, Listed, Strict, Unset, exactly_one, text_or_mapping
from reconciler.manifest.route_tests import RouteTest, RouteTests
from reconciler.manifest.ruleset import AdoptById, Hold, RuleEntry, RuleSet

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ITEMS",
    "KINDS",
    "AdoptById",
    "AnyDocument",
    "Environment",
    "Hold",
    "Intents",
    "Limit",
    "QueueRef",
    "Queues",
    "RouteTest",
    "RouteTests",
    "RuleEntry",
    "RuleSet",
]


class QueueRef(Strict):
    """A live queue, by id or by name."""

    id: Unset[Filled] = Field(
        default=None, description="The queue's id.", examples=["12345678-1234-1234-1234-123456789012"]
    )
    name: Unset[Filled] = Field(default=None, description="The queue's name.", examples=["Fraud Test"])

    @model_validator(mode="after")
    def _id_or_name(self) -> Self:
        exactly_one(self, "id", "name")
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
                text_or_mapping,
                custom_error_type="CXR104",
                custom_error_message="must be a live queue's name, or a mapping of environments",
            ),
        ],
    ] = Field(
        description="Alias: the live queue's name, or for each environment its id or name.",
        examples=[{"cards": "Card Services", "fraud": {"staging": {"name": "Fraud Test"}}}],
    )


class Intents(Strict):
    """What the bot can say: for coverage and typo checks."""

    api_version: Literal["routing/v1"] = Field(default="routing/v1", description="The form of this document.")
    kind: Literal["Intents"] = Field(default="Intents", description="What this document describes.")
    name: Filled = Field(description="Name of this document.", examples=["bank-bot"])
    intents: Listed[str] = Field(description="The bot's intents.", examples=[["lost_or_stolen_card"]])


AnyDocument = Environment | Queues | RuleSet | Intents | RouteTests
ITEMS: Final[Mapping[str, tuple[str, type[Strict]]]] = {
    "RuleSet": ("rules", RuleEntry),
    "RouteTests": ("tests", RouteTest),
}
"""The field that makes a document of a kind long, and the model of its items."""
KINDS: Final[Mapping[str, type[Any]]] = {
    kind.__name__: kind for kind in (Environment, Queues, RuleSet, Intents, RouteTests)
}
