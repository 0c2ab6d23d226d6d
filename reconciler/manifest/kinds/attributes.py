"""Attributes: the vocabulary of conversations, with the words that people read."""

from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Final, Literal

from pydantic import Discriminator, Tag

import reconciler.manifest.kinds.fields as f
from reconciler.model.rule import Scalar, canonical_scalar

AttributeType = Literal["text", "number", "boolean"]
TYPE_PHRASES: Final[Mapping[str, str]] = {"text": "a text", "number": "a number", "boolean": "true or false"}


def fits_type(value: Scalar, declared: str) -> bool:
    """Return whether a value is of a declared type; a boolean can be written as a text (semantics S4)."""
    if declared == "boolean":
        return value in ("true", "false") if isinstance(value, str) else isinstance(value, bool)
    return isinstance(value, str) if declared == "text" else type(value) in (int, float)


def _list_or_mapping(value: object) -> str | None:
    if isinstance(value, list | tuple):
        return "<list>"
    return "<mapping>" if isinstance(value, Mapping) else None


class AttributeEntry(f.StrictModel):
    """An attribute of conversations. The checks of rules and route tests use it; the platform does not enforce it."""

    label: f.Omittable[f.Label] = f.omittable(
        "What people read instead of the attribute's name, in text, comments and pages.", "Customer tier"
    )
    type: f.Omittable[AttributeType] = f.omittable(
        "The type of its values. Default: that of all `values`, if they have one type; otherwise any.", "number"
    )
    values: f.Omittable[
        Annotated[
            Annotated[f.NonEmptyList[f.Scalar], Tag("<list>")]
            | Annotated[dict[f.NonEmptyText, f.Label], Tag("<mapping>")],
            Discriminator(
                _list_or_mapping,
                custom_error_type="CXR104",
                custom_error_message="must be a list of values, or a mapping of texts to their labels",
            ),
        ]
    ] = f.omittable(
        "All values that it can have: a list, or for texts a mapping to the labels that people read. Default: any.",
        ["gold", "platinum", "standard"],
    )
    written_by: f.Omittable[f.NonEmptyText] = f.omittable(
        "The system that writes it. Without it, and if no unmanaged rule uses the attribute, CXR207 asks for it.",
        "the IVR",
    )

    @property
    def known_values(self) -> tuple[Scalar, ...]:
        """Return the declared values; empty if it can have any."""
        return tuple(self.values or ())

    @property
    def value_labels(self) -> Mapping[str, str]:
        """Return the labels of values."""
        return self.values if isinstance(self.values, dict) else {}

    @cached_property
    def canonical_values(self) -> frozenset[Scalar]:
        """Return the declared values as rules compare them."""
        return frozenset(map(canonical_scalar, self.known_values))

    @cached_property
    def declared_type(self) -> str | None:
        """Return the type, or that of all values; None if it can have values of several types."""
        values = self.known_values
        common = (each for each in TYPE_PHRASES if values and all(fits_type(value, each) for value in values))
        return self.type or next(common, None)


class Attributes(f.ManifestDocument):
    """The attributes of conversations: their labels, values, types and writers."""

    kind: Literal["Attributes"] = f.optional(
        "Attributes",
        "This document declares the attributes that rules and route tests may use, to find misspelt names and values.",
    )
    name: f.NonEmptyText = f.required("The name of this document in messages.", "bank")
    attributes: dict[f.NonEmptyText, AttributeEntry] = f.required(
        "Each attribute, by its name in rules. The bot's three attributes (the Environment's `attributes`) need no"
        " entry.",
        {
            "customerTier": {
                "label": "Customer tier",
                "values": ["gold", "platinum", "standard"],
                "writtenBy": "the IVR",
            },
            "transferAmount": {"type": "number"},
        },
    )
