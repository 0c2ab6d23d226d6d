"""Groups of an attribute's values: which of them a list of values has whole."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import canonical_scalar

Value = TypeVar("Value")


def text_of(value: object) -> str:
    """Return a text, or a boolean, as rules compare it; empty for any other value."""
    return str(canonical_scalar(value)) if isinstance(value, str | bool) else ""


@dataclass(frozen=True)
class ValueGroups:
    """The groups of one attribute: by name, the values as rules have them.

    No value is in two groups.
    """

    members: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def split(self, values: Iterable[Value]) -> tuple[list[str], list[Value]]:
        """Return the names of the groups that a list has whole, in order of appearance, and the
        other values.

        A group of one value counts as this value, which says more.
        """
        listed = list(values)
        found = group_pairs(
            (name, text)
            for text in map(text_of, listed)
            if (name := self._group_of.get(text))
        )
        whole = [
            name for name, texts in found.items() if {*texts} == self.members[name]
        ]
        grouped = frozenset[str]().union(*(self.members[name] for name in whole))
        return whole, [value for value in listed if text_of(value) not in grouped]

    @cached_property
    def _group_of(self) -> dict[str, str]:
        return {
            text: name
            for name, texts in self.members.items()
            if len(texts) > 1
            for text in texts
            if text
        }
