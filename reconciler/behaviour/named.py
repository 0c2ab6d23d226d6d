"""What conditions on one attribute name: texts, numbers and patterns; and which of the texts fit which pattern."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, cast

from reconciler.behaviour.evaluate import NEGATIVE
from reconciler.behaviour.pattern import Pattern
from reconciler.model import EQUALITIES, EXISTENCE, PATTERNS, SETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from reconciler.model import Condition

FIRST_TEXT: Final = 2
"""The atom of the first text that is named."""
_MANY: Final = 100
"""From so many parts on, looking at every piece of every text costs less than a search for each."""


@dataclass(slots=True)
class Named:
    """What is named, in order of appearance; `values` are those that some condition asks for by equality."""

    texts: dict[str, None] = field(default_factory=dict)
    numbers: set[int | float] = field(default_factory=set)
    values: int = 0
    patterns: dict[Pattern, None] = field(default_factory=dict)
    any_text: bool = False
    """Some condition asks for any text at all: a pattern operator with an empty value."""


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
                found.any_text = True
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
    """Return for each pattern the atoms of the texts that fit it."""
    found: dict[Pattern, int] = {}
    wanted: dict[str, list[str]] = {}
    for operator, text in patterns:
        wanted.setdefault(operator, []).append(text)
    for start, places in _beginning(texts, wanted.get("startsWith", ())):
        found[Pattern("startsWith", start)] = places
    backwards = [text[::-1] for text in texts] if "endsWith" in wanted else []
    for end, places in _beginning(backwards, [text[::-1] for text in wanted.get("endsWith", ())]):
        found[Pattern("endsWith", end[::-1])] = places
    for part, places in _containing(texts, wanted.get("contains", ())):
        found[Pattern("contains", part)] = places
    return [found.get(pattern, 0) << FIRST_TEXT for pattern in patterns]


def _beginning(texts: Sequence[str], starts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield each start and a mask of the texts that have it: they stand together when sorted."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ordered = [texts[place] for place in order]
    for start in starts:
        mask, at = 0, bisect_left(ordered, start)
        while at < len(ordered) and ordered[at].startswith(start):
            mask |= 1 << order[at]
            at += 1
        yield start, mask


def _containing(texts: Sequence[str], parts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each part and a mask of the texts that contain it: many parts of one length in one pass over the texts."""
    lengths: dict[int, list[str]] = {}
    for part in parts:
        lengths.setdefault(len(part), []).append(part)
    for length, alike in lengths.items():
        yield from _in_one_pass(texts, alike, length) if len(alike) > _MANY else _one_by_one(texts, alike)


def _in_one_pass(texts: Sequence[str], parts: Iterable[str], length: int) -> Iterator[tuple[str, int]]:
    found = dict.fromkeys(parts, 0)
    for place, text in enumerate(texts):
        for at in range(len(text) - length + 1):
            part = text[at : at + length]
            if part in found:
                found[part] |= 1 << place
    yield from found.items()


def _one_by_one(texts: Sequence[str], parts: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Search all texts at once, joined by a character that no part has."""
    used = set().union(*parts)
    joint = next(char for char in map(chr, range(0x10FFFF)) if char not in used)
    whole = joint.join(texts) + joint
    starts = [0]
    for text in texts:
        starts.append(starts[-1] + len(text) + 1)
    for part in parts:
        mask, at = 0, whole.find(part)
        while at >= 0:
            place = bisect_right(starts, at) - 1
            mask |= 1 << place
            at = whole.find(part, starts[place + 1])
        yield part, mask
