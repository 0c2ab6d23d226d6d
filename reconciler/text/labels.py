"""What people read instead of the names of attributes and values. JSON has the names."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, Final

from reconciler.model.rule import canonical_scalar
from reconciler.text.escape import MAX_ITEMS, join_first, quote, sanitize

_UNDECLARED: Final = " (undeclared)"


@dataclass(frozen=True)
class Labels:
    """Labels by name. `short` names the bot's attributes, which phrases begin with: intent, confidence."""

    short: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, str] = field(default_factory=dict)  # of further attributes
    values: Mapping[tuple[str, Any], str] = field(default_factory=dict)  # by attribute and canonical value

    @property
    def names_only(self) -> "Labels":
        """Return the labels of the bot's attributes alone."""
        return Labels(self.short)

    def name(self, attribute: str) -> str:
        """Return an attribute in words, safe for a terminal."""
        label = self.short.get(attribute) or self.attributes.get(attribute)
        return sanitize(label or attribute) + ("" if label or attribute not in self._taken else _UNDECLARED)

    def value(self, attribute: str, value: object) -> str:
        """Return a value of an attribute, or a list of them, in quotes and safe for a terminal."""
        if isinstance(value, list | tuple):
            return f"[{join_first(value, MAX_ITEMS, partial(self.value, attribute))}]"
        if not isinstance(value, str | bool):
            return quote(value)
        key = (attribute, canonical_scalar(value))
        if key in self.values:
            return quote(self.values[key])
        return quote(value) + (_UNDECLARED if key in self._taken else "")

    @cached_property
    def _taken(self) -> frozenset[object]:
        """The labels: a name that equals one is marked, so that a text means one name."""
        values = ((attribute, label) for (attribute, _), label in self.values.items())
        return frozenset((*self.attributes.values(), *values))

    @property
    def intent(self) -> str:
        """Return the name of the attribute that holds the bot's intent, or an empty text."""
        return next((name for name, label in self.short.items() if label == "intent"), "")

    def is_intent(self, attribute: str) -> bool:
        """Return whether an attribute holds the bot's intent."""
        return self.short.get(attribute) == "intent"

    def __or__(self, other: "Labels") -> "Labels":
        """Return the labels of both; the other's come first."""
        return Labels(
            {**self.short, **other.short},
            {**self.attributes, **other.attributes},
            {**self.values, **other.values},
        )
