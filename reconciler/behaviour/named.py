"""What conditions on one attribute name: texts, numbers and patterns; and which of the texts fit which pattern."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from reconciler.behaviour.evaluate import NEGATIVE
from reconciler.behaviour.pattern import Pattern
from reconciler.model import EQUALITIES, EXISTENCE, PATTERNS, SETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.model import Condition

FIRST_TEXT: Final = 2
"""The atom of the first text that is named."""


@dataclass(slots=True)
class Named:
    """What is named, in order of appearance; `values` are those that some condition asks for by equality."""

    texts: dict[str, None] = field(default_factory=dict)
    numbers: set[int | float] = field(default_factory=set)
    values: int = 0
    patterns: dict[Pattern, None] = field(default_factory=dict)


def named_by(conditions: Iterable[Condition]) -> Named:
    """Return what conditions on one attribute name."""
    found = Named()
    equal: set[int | float] = set()
    for condition in conditions:
        value, operator = condition.value, condition.operator
        if operator in PATTERNS:
            if value:
                found.patterns[Pattern(NEGATIVE.get(operator, operator), cast("str", value))] = None
            else:
                found.texts.setdefault("")
        elif operator not in EXISTENCE:
            numbers = equal if operator in EQUALITIES or operator in SETS else found.numbers
            for one in value if isinstance(value, tuple) else (value,):
                if isinstance(one, str):
                    found.texts[one] = None
                else:
                    numbers.add(cast("float", one))
    found.values = len(found.texts) + len(equal)
    found.numbers |= equal
    return found


def hits(texts: Sequence[str], patterns: Sequence[Pattern]) -> list[int]:
    """Return for each pattern the atoms of the texts that fit it: one search through all texts at once."""
    joint = next((char for char in "\x00\x01\x02" if not any(char in text for text in texts)), None)
    if joint is None or any(joint in pattern.text for pattern in patterns):
        return [sum(1 << FIRST_TEXT + n for n, text in enumerate(texts) if one.holds(text)) for one in patterns]
    whole = joint + joint.join(texts) + joint
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(text) + 1)
    return [_found(whole, starts, _framed(pattern, joint)) for pattern in patterns]


def _framed(pattern: Pattern, joint: str) -> str:
    if pattern.operator == "contains":
        return pattern.text
    return joint + pattern.text if pattern.operator == "startsWith" else pattern.text + joint


def _found(whole: str, starts: Sequence[int], wanted: str) -> int:
    atoms, place = 0, whole.find(wanted)
    while place >= 0:
        # An occurrence begins at the joint before its text or inside it; the search goes on behind that text.
        text = bisect_left(starts, place + 1) - 1
        atoms |= 1 << FIRST_TEXT + text
        place = whole.find(wanted, starts[text + 1])
    return atoms
