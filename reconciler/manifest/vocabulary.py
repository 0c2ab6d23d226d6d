"""What a tenant calls the parts of a rule: fields, types and operators.

Names are one to one, or what is read could not be written back as it was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, GetPydanticSchema, model_validator
from pydantic_core import PydanticCustomError, core_schema

from reconciler.manifest.fields import FIELD, WORD, Strict
from reconciler.manifest.names import named
from reconciler.model import OPERATORS

if TYPE_CHECKING:
    from collections.abc import Mapping

Name = Annotated[str, Field(pattern=FIELD)]
Word = Annotated[str, Field(pattern=WORD)]
Operator = Annotated[str, GetPydanticSchema(lambda _source, _handler: core_schema.literal_schema(sorted(OPERATORS)))]


def distinct(*names: str) -> None:
    """Refuse two meanings of one name."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise PydanticCustomError("CXR104", f"two meanings have one name, {named(name)}")


class _Names(Strict):
    """Names of one kind of part, by ours."""

    def written(self) -> dict[str, str]:
        """Return each of our names and the tenant's."""
        return {name: str(found) for name, found in self.model_dump(by_alias=True).items()}


class RuleNames(_Names):
    """What the fields of a rule are called; its id's name is in `rules`."""

    name: Name = Field(default="name", description="Field that holds a rule's name.", examples=["name"])
    description: Name = Field(
        default="description",
        description="Field that holds a rule's description; it must keep a text of several lines.",
        examples=["description"],
    )
    priority: Name = Field(default="priority", description="Field that holds a rule's priority.", examples=["priority"])
    enabled: Name = Field(
        default="enabled", description="Field that says with true or false whether a rule is on.", examples=["enabled"]
    )
    conditions: Name = Field(
        default="conditions", description="Field that holds the list of a rule's conditions.", examples=["conditions"]
    )
    targets: Name = Field(
        default="targets", description="Field that holds the list of a rule's targets.", examples=["targets"]
    )
    date_created: Name = Field(
        default="dateCreated",
        description="Field that holds when a rule was made, as an ISO 8601 date and time: of several copies of one"
        " rule the oldest one is ours.",
        examples=["dateCreated"],
    )


class ConditionNames(_Names):
    """What the fields of a condition are called, and which type of condition asks about an attribute."""

    type: Name = Field(default="type", description="Field that holds a condition's type.", examples=["type"])
    attribute_name: Name = Field(
        default="attributeName",
        description="Field that holds the name of the attribute that is asked about.",
        examples=["attributeName"],
    )
    operator: Name = Field(
        default="operator", description="Field that holds a condition's operator.", examples=["operator"]
    )
    value: Name = Field(default="value", description="Field that holds a condition's value.", examples=["value"])
    attribute: Word = Field(
        default="attribute",
        description="The type of a condition that asks about an attribute.",
        examples=["attribute"],
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        distinct(self.type, self.attribute_name, self.operator, self.value)
        return self

    def written(self) -> dict[str, str]:
        """Return each of our names and the tenant's, without the type's value."""
        return {ours: theirs for ours, theirs in super().written().items() if ours != "attribute"}


class TargetNames(_Names):
    """What the fields of a target are called, which type of target is a queue, and how its id is written."""

    type: Name = Field(default="type", description="Field that holds a target's type.", examples=["type"])
    queue_id: Name = Field(
        default="queueId", description="Field that holds the id of a target's queue.", examples=["queueId"]
    )
    weight: Name = Field(default="weight", description="Field that holds a target's weight.", examples=["weight"])
    queue: Word = Field(default="queue", description="The type of a target that is a queue.", examples=["queue"])
    queue_ids: Literal["text", "number"] = Field(
        default="text", description="Whether a target's queue id is a text or a whole number in JSON."
    )

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        distinct(self.type, self.queue_id, self.weight)
        return self

    def written(self) -> dict[str, str]:
        """Return each of our names and the tenant's."""
        return {ours: theirs for ours, theirs in super().written().items() if ours not in ("queue", "queueIds")}


def operator_names(given: Mapping[str, str]) -> dict[str, str]:
    """Return the tenant's name of every operator; one that is not given has the name that manifests use."""
    return {name: given.get(name, name) for name in sorted(OPERATORS)}


def _operators(given: dict[str, str]) -> dict[str, str]:
    distinct(*operator_names(given).values())
    return given


OperatorNames = Annotated[dict[Operator, Word], AfterValidator(_operators)]
