"""Masks by attribute, layered: which places stand in some mask but for those of a few attributes, without a loop."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Layers:
    """One mask for each attribute. Layer k holds the places that stand in more than k of the masks."""

    def __init__(self, masks: Mapping[int, int]) -> None:
        self._masks = masks
        self._layers = _layers(masks.values())

    def outside(self, attributes: Iterable[int]) -> int:
        """Return the places that stand in the mask of some attribute but these."""
        inside = _layers(self._masks.get(attribute, 0) for attribute in attributes)
        found = 0
        for depth, layer in enumerate(self._layers):
            found |= layer & ~inside[depth] if depth < len(inside) else layer
        return found


def _layers(masks: Iterable[int]) -> list[int]:
    layers: list[int] = []
    for mask in masks:
        above = mask
        for depth, layer in enumerate(layers):
            layers[depth], above = layer | above, layer & above
        if above:
            layers.append(above)
    return layers
