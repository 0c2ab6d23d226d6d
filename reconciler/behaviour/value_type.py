"""Which values an attribute can have, where that is known (behaviour.md section 1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple


class ValueType(NamedTuple):
    """The values that an attribute has where it is not missing: texts, or numbers, both ends of `numbers` included."""

    texts: bool
    numbers: tuple[float, float] | None = None


TEXT: Final = ValueType(texts=True)
SHARE: Final = ValueType(texts=False, numbers=(0, 1))

Types = Mapping[str, ValueType]
"""The types that are known, by attribute; every other attribute may have any text and any number."""
