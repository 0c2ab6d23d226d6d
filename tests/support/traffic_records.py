"""Recorded conversations in realistic proportions, the same ones every time: nothing is random."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

# by value, as in a cell of CSV; "" is a missing attribute
Weights = Mapping[str, float]
Record = tuple[str, ...]  # intent, confidence, then the other attributes in order


def weights_of(text: str) -> Weights:
    """Return weights by value: `en 70, de 20, - 10`; `-` is a missing attribute."""
    pairs = (part.split() for part in text.split(","))
    return {"" if value == "-" else value: float(weight) for value, weight in pairs}


SURE: Final = weights_of(
    "0.2 5, 0.35 1.5, 0.4 2, 0.45 2, 0.5 2.5, 0.55 3.5, 0.6 4, 0.65 5, 0.7 6, 0.75 7.5, 0.8 19, "
    "0.9 42"
)
"""Confidences of an intent that the bot knows well, each rounded down: 0.2 is everything below
0.35."""

MISTAKEN: Final = weights_of(
    "0.2 8, 0.35 2.5, 0.4 3.5, 0.45 3.5, 0.5 4.5, 0.55 6, 0.6 7, 0.65 8.5, 0.7 9.5, 0.75 10, 0.8 "
    "17, 0.9 20"
)
"""Confidences of an intent that the bot often takes for another one."""

SOME_WITHOUT_SCORE: Final = {**SURE, "": 2.0}
NO_SCORE: Final = weights_of("- 1")
"""The bot has sent no confidence."""


@dataclass(frozen=True, kw_only=True)
class TrafficModel:
    """How conversations are distributed: their attributes do not depend on each other, but may on
    the intent.
    """

    volumes: Mapping[str, int]  # conversations by intent
    attributes: Mapping[str, Weights]
    # attributes by intent
    exceptions: Mapping[str, Mapping[str, Weights]] = field(default_factory=dict)
    # by intent; otherwise SURE
    confidences: Mapping[str, Weights] = field(default_factory=dict)
    group: int = 40  # conversations that get their attributes together

    def records(self) -> dict[Record, int]:
        """Return the number of conversations of each kind."""
        records: dict[Record, int] = {}
        draws = _even_draws(len(self.attributes) + 1)
        for intent, volume in self.volumes.items():
            attributes = {**self.attributes, **self.exceptions.get(intent, {})}
            by_confidence = apportion(volume, self.confidences.get(intent, SURE))
            for confidence, number in by_confidence.items():
                for size, positions in _groups(number, self.group, draws):
                    values = map(_value_at, attributes.values(), positions)
                    record = (intent, confidence, *values)
                    records[record] = records.get(record, 0) + size
        return records


def apportion(total: int, weights: Weights) -> dict[str, int]:
    """Return whole numbers in proportion to the weights, whose sum is the total (largest
    remainders).
    """
    sum_of_weights = sum(weights.values())
    exact = {
        value: total * weight / sum_of_weights for value, weight in weights.items()
    }
    complete = {value: int(number) for value, number in exact.items()}
    by_remainder = sorted(exact, key=lambda value: complete[value] - exact[value])
    for value in by_remainder[: total - sum(complete.values())]:
        complete[value] += 1
    return complete


def _even_draws(dimensions: int) -> Iterator[tuple[float, ...]]:
    """Yield points of the unit cube; each run of consecutive ones fills it evenly (R sequence,
    Roberts 2018).
    """
    root = 2.0
    for _ in range(60):  # root ** (dimensions + 1) == root + 1
        root = (1 + root) ** (1 / (dimensions + 1))
    steps = [root**-power for power in range(1, dimensions + 1)]
    number = 0
    while True:
        number += 1
        yield tuple((0.5 + number * step) % 1 for step in steps)


def _groups(
    number: int, usual: int, draws: Iterator[tuple[float, ...]]
) -> Iterator[tuple[int, tuple[float, ...]]]:
    """Yield the sizes of groups of conversations, each with its point.

    Sizes vary by a third, as real ones do.
    """
    if number == 0:
        return
    count = max(1, round(number / usual))
    points = [next(draws) for _ in range(count)]
    sizes = apportion(
        number,
        {str(index): 1 + (point[-1] - 0.5) / 1.5 for index, point in enumerate(points)},
    )
    yield from zip(sizes.values(), (point[:-1] for point in points), strict=True)


def _value_at(weights: Weights, position: float) -> str:
    """Return the value at a position from 0 to 1, if the values share that range by their
    weights.
    """
    rest = position * sum(weights.values())
    for value, weight in weights.items():
        rest -= weight
        if rest < 0:
            return value
    return [*weights][-1]
