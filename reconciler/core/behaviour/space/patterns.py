"""Patterns over one text (contains, startsWith, endsWith), and the patterns that follow from
others.

Positive patterns P and negated patterns Q hold together for a text that is not a literal of a rule
exactly when no two of P exclude each other and no member of P implies a member of Q: the longest
prefix, all contained texts and the longest suffix, joined by a character that no rule uses, satisfy
P, and another pattern only if a single member of P implies it (algorithms "Patterns"). So the
knowledge about a text is two bit masks, `yes` and `no`, closed under implication; they contradict
each other exactly when they have a bit in common.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, reduce
from itertools import chain
from operator import or_
from typing import Final, NamedTuple

from reconciler.core.model.grouping import group_pairs

_MAX_REMEMBERED: Final = 2_000
_LONG_MASK: Final = 500
_FEW_BITS: Final = 8
_PREFERRED_CHARACTERS: Final = (
    *map(ord, "-_.xyzqjkw0123456789~"),
    *range(0x61, 0x7B),
    *range(0x41, 0x5B),
)


class TextPattern(NamedTuple):
    """One positive pattern operator and its text, which is not empty (an empty one holds for every
    text).
    """

    operator: str
    text: str

    def holds(self, text: str) -> bool:
        """Return whether a text fits."""
        if self.operator == "contains":
            return self.text in text
        return (
            text.startswith(self.text)
            if self.operator == "startsWith"
            else text.endswith(self.text)
        )

    def implies(self, pattern: "TextPattern") -> bool:
        """Return whether another pattern holds wherever this one does."""
        return pattern.operator in ("contains", self.operator) and pattern.holds(
            self.text
        )

    def implied_patterns(
        self, lengths: Mapping[str, Collection[int]]
    ) -> "Iterator[TextPattern]":
        """Yield every pattern, of the lengths given by operator, that holds wherever this one
        does.
        """
        text = self.text
        size = len(self.text)
        for length in lengths.get("contains", ()):
            yield from (
                TextPattern("contains", text[at : at + length])
                for at in range(size - length + 1)
            )
        for length in (
            lengths.get(self.operator, ()) if self.operator != "contains" else ()
        ):
            yield TextPattern(
                self.operator,
                text[:length] if self.operator == "startsWith" else text[-length:],
            )


class PatternSet:
    """The patterns that rules use on one attribute, beside some texts; a mask has a bit for each
    pattern.
    """

    def __init__(
        self,
        patterns: Iterable[TextPattern],
        used_texts: Collection[str] = (),
    ) -> None:
        self.all: Final[Sequence[TextPattern]] = tuple(patterns)
        self.index_of: Final = {
            pattern: index for index, pattern in enumerate(self.all)
        }
        self._used_texts = used_texts
        self._minimal_holding: dict[int, Sequence[int]] = {}
        self._minimal_excluded: dict[tuple[int, int], Sequence[int]] = {}
        self.implied: Final = _Closure(self._find_implied())
        self.implying: Final = self.implied.reversed()
        self._by_operator = {
            operator: union(1 << index for index in indexes)
            for operator, indexes in group_pairs(
                (pattern.operator, index) for index, pattern in enumerate(self.all)
            ).items()
        }
        # any number of these can hold together
        self.contains_mask: Final = self._by_operator.get("contains", 0)

    def excluded(self, index: int) -> int:
        """Return the patterns that a pattern excludes: starts, or ends, of which neither implies
        the other.
        """
        pattern = self.all[index]
        if pattern.operator == "contains":
            return 0
        return (
            self._by_operator[pattern.operator]
            & ~self.implied[index]
            & ~self.implying[index]
        )

    def _find_implied(self) -> dict[int, int]:
        """Return the implied patterns of the few patterns that imply others."""
        lengths: dict[str, set[int]] = {}
        for operator, text in self.all:
            lengths.setdefault(operator, set()).add(len(text))
        implied: dict[int, int] = {}
        for this, pattern in enumerate(self.all):
            if len(pattern.text) * len(lengths.get("contains", ())) > len(self.all):
                others = (
                    index
                    for index, other in enumerate(self.all)
                    if pattern.implies(other)
                )
            else:
                others = (
                    self.index_of.get(other, this)
                    for other in pattern.implied_patterns(lengths)
                )
            for index in others:
                if index != this:
                    implied[this] = implied.get(this, 0) | 1 << index
        return implied

    def minimal_patterns(
        self,
        yes: int,
        no: int,
    ) -> tuple[Sequence[int], Sequence[int]]:
        """Return the few patterns, required and denied, from which all of `yes` and `no`
        follows.
        """
        required = self._minimal_holding.get(yes)
        if required is None:
            required = self._minimal_holding[yes] = tuple(
                self._minimal(yes, self.implying)
            )
        key = (yes, no)
        denied = self._minimal_excluded.get(key)
        if denied is None:
            if len(self._minimal_excluded) > _MAX_REMEMBERED:
                self._minimal_excluded.clear()
            excluded = union(map(self.excluded, required))
            denied = self._minimal_excluded[key] = tuple(
                self._minimal(no & ~excluded, self.implied)
            )
        return required, denied

    def _minimal(self, mask: int, above: "_Closure") -> Iterator[int]:
        """Yield the patterns of a mask that no other one of it implies; of equal ones the first."""
        for number in bits(mask):
            others = above[number] & mask & ~(1 << number)
            if all(
                above[other] >> number & 1 and other > number for other in bits(others)
            ):
                yield number

    def fits(self, text: str, yes: int, no: int) -> bool:
        """Return whether a text has all of `yes` and none of `no`."""
        required, denied = (
            (self.all[index].holds(text) for index in bits(mask)) for mask in (yes, no)
        )
        return all(required) and not any(denied)

    def example(self, yes: int, no: int) -> str:
        """Return a short, readable, unused text with all of `yes` and none of `no`."""
        patterns = [self.all[index] for index in bits(yes)]
        prefix, suffix = (
            _longest(patterns, operator) for operator in ("startsWith", "endsWith")
        )
        contained = [text for operator, text in patterns if operator == "contains"]
        inner = [
            text for text in contained if text not in prefix and text not in suffix
        ]
        parts = [text for text in (prefix, *inner, suffix) if text]
        joined = (joint.join(parts) for joint in ("", "_", " "))
        longest = max((pattern.text for pattern in patterns), key=len, default="")
        proven = self._unused_character.join((prefix, *contained, suffix))
        for text in (longest, *joined, "other", "another", "any", "text", "x", proven):
            if text and text not in self._used_texts and self.fits(text, yes, no):
                return text
        raise AssertionError(
            "the joined text matches and is unused: no other text has its joint"
        )

    @cached_property
    def _unused_character(self) -> str:
        """A character that no pattern and no literal uses."""
        used = set().union(*(pattern.text for pattern in self.all), *self._used_texts)
        characters = map(chr, chain(_PREFERRED_CHARACTERS, range(0x3B1, 0x10FFFF)))
        return next(char for char in characters if char not in used)


class _Closure:
    """By pattern, the patterns that follow from it, as a mask: itself, and rarely others, which
    alone are stored.
    """

    def __init__(self, others: Mapping[int, int]) -> None:
        self.others: Final = others

    def reversed(self) -> "_Closure":
        """Return by pattern the patterns from which it follows."""
        others: dict[int, int] = {}
        for this, mask in self.others.items():
            for that in bits(mask):
                others[that] = others.get(that, 0) | 1 << this
        return _Closure(others)

    def __getitem__(self, number: int) -> int:
        return 1 << number | self.others.get(number, 0)


def bits(mask: int) -> Iterator[int]:
    """Yield the places of the bits that are set, lowest first."""
    # each step of the loop costs the mask's length
    if mask.bit_length() > _LONG_MASK and mask.bit_count() > _FEW_BITS:
        digits = bin(mask)[:1:-1]
        place = digits.find("1")
        while place >= 0:
            yield place
            place = digits.find("1", place + 1)
        return
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


def union(masks: Iterable[int]) -> int:
    """Return the bits of all masks."""
    return reduce(or_, masks, 0)


def _longest(patterns: Iterable[TextPattern], operator: str) -> str:
    return max(
        (pattern.text for pattern in patterns if pattern.operator == operator),
        key=len,
        default="",
    )
