"""Patterns over one text: contains, startsWith, endsWith, and what follows from knowing some of them.

A conjunction of positive patterns P and negated ones Q over texts that are no literal of any rule holds for some text
exactly when no two of P exclude each other and no member of P implies a member of Q: the text that joins the longest
prefix, all contained texts and the longest suffix by a character that no rule uses satisfies P, and another pattern
only if a single member of P implies it (algorithms "Patterns"). So what is known of a text is two bit
masks, `yes` and `no`, kept closed under what each pattern implies; they contradict exactly when they share a bit.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence


class TextPattern(NamedTuple):
    """One positive pattern operator and its text, which is not empty (an empty one holds for every text)."""

    operator: str
    text: str

    def holds(self, text: str) -> bool:
        """Say whether a text fits."""
        if self.operator == "contains":
            return self.text in text
        return text.startswith(self.text) if self.operator == "startsWith" else text.endswith(self.text)

    def implies(self, pattern: TextPattern) -> bool:
        """Say whether another pattern holds wherever this one does."""
        return pattern.operator in ("contains", self.operator) and pattern.holds(self.text)

    def implied_patterns(self, lengths: Mapping[str, Collection[int]]) -> Iterator[TextPattern]:
        """Yield every pattern, of the lengths given by operator, that holds wherever this one does."""
        text, size = self.text, len(self.text)
        for length in lengths.get("contains", ()):
            yield from (TextPattern("contains", text[at : at + length]) for at in range(size - length + 1))
        for length in lengths.get(self.operator, ()) if self.operator != "contains" else ():
            yield TextPattern(self.operator, text[:length] if self.operator == "startsWith" else text[-length:])


class PatternSet:
    """The patterns that rules use on one attribute; a mask has a bit for each."""

    def __init__(self, patterns: Iterable[TextPattern]) -> None:
        """Work out for each pattern what it implies, what implies it, and what it excludes."""
        self.all: Final[Sequence[TextPattern]] = tuple(patterns)
        self.index_of: Final = {pattern: place for place, pattern in enumerate(self.all)}
        self._unused_character_for: tuple[Collection[str], str] | None = None
        self._minimal_holding: dict[int, Sequence[int]] = {}
        self._minimal_excluded: dict[tuple[int, int], Sequence[int]] = {}
        self.implied: Final = _Closure(self._find_implied())
        implying: dict[int, int] = {}
        for this, mask in self.implied.others.items():
            for that in bits(mask):
                implying[that] = implying.get(that, 0) | 1 << this
        self.implying: Final = _Closure(implying)
        self._by_operator: dict[str, int] = {}
        for place, pattern in enumerate(self.all):
            self._by_operator[pattern.operator] = self._by_operator.get(pattern.operator, 0) | 1 << place
        self.contains_mask: Final = self._by_operator.get("contains", 0)
        """The patterns of one operator of which any number can hold at once."""

    def excluded(self, index: int) -> int:
        """Return what a pattern excludes: of two starts, or two ends, one is part of the other, or no text has both."""
        pattern = self.all[index]
        if pattern.operator == "contains":
            return 0
        return self._by_operator[pattern.operator] & ~self.implied[index] & ~self.implying[index]

    def _find_implied(self) -> dict[int, int]:
        """Return for patterns that imply others, which are few, what these are."""
        lengths: dict[str, set[int]] = {}
        for operator, text in self.all:
            lengths.setdefault(operator, set()).add(len(text))
        found: dict[int, int] = {}
        for this, pattern in enumerate(self.all):
            if len(pattern.text) * len(lengths.get("contains", ())) > len(self.all):
                others = (place for place, other in enumerate(self.all) if pattern.implies(other))
            else:
                others = (self.index_of.get(other, this) for other in pattern.implied_patterns(lengths))
            for place in others:
                if place != this:
                    found[this] = found.get(this, 0) | 1 << place
        return found

    def minimal_patterns(self, yes: int, no: int) -> tuple[Sequence[int], Sequence[int]]:
        """Return the few patterns, to hold and not to hold, from which all of `yes` and `no` follows."""
        held = self._minimal_holding.get(yes)
        if held is None:
            held = self._minimal_holding[yes] = tuple(self._minimal(yes, self.implying))
        key = (yes, no)
        denied = self._minimal_excluded.get(key)
        if denied is None:
            if len(self._minimal_excluded) > _MAX_CACHED:
                self._minimal_excluded.clear()
            excluded = 0
            for number in held:
                excluded |= self.excluded(number)
            denied = self._minimal_excluded[key] = tuple(self._minimal(no & ~excluded, self.implied))
        return held, denied

    def _minimal(self, mask: int, above: _Closure) -> Iterator[int]:
        """Yield the patterns of a mask above which no other one of it stands; of equal ones the first."""
        for number in bits(mask):
            others = above[number] & mask & ~(1 << number)
            if all(above[other] >> number & 1 and other > number for other in bits(others)):
                yield number

    def fits(self, text: str, yes: int, no: int) -> bool:
        """Say whether a text has all of `yes` and none of `no`."""
        return all(self.all[place].holds(text) for place in bits(yes)) and not any(
            self.all[place].holds(text) for place in bits(no)
        )

    def example(self, yes: int, no: int, used_texts: Collection[str]) -> str:
        """Return a text, as short and readable as may be, that has all of `yes`, none of `no`, and is not taken."""
        patterns = [self.all[place] for place in bits(yes)]
        stranger = self._unused_character(used_texts)
        for text in (*_readable_texts(patterns), _join_patterns(patterns, stranger, joint_always=stranger)):
            if text and text not in used_texts and self.fits(text, yes, no):
                return text
        raise AssertionError("the joined text fits, and is not taken: nothing else has its joint")

    def _unused_character(self, used_texts: Collection[str]) -> str:
        """Return a character that no pattern and no literal uses."""
        if self._unused_character_for is None or self._unused_character_for[0] is not used_texts:
            used = set().union(*(pattern.text for pattern in self.all), *used_texts)
            unused = next(
                char for char in map(chr, chain(_PREFERRED_CHARACTERS, range(0x3B1, 0x10FFFF))) if char not in used
            )
            self._unused_character_for = (used_texts, unused)
        return self._unused_character_for[1]


class _Closure:
    """What follows from each pattern, as a mask: itself, and seldom others, which alone are kept."""

    def __init__(self, others: Mapping[int, int]) -> None:
        self.others: Final = others

    def __getitem__(self, number: int) -> int:
        return 1 << number | self.others.get(number, 0)


_MAX_CACHED: Final = 2_000
_LONG_MASK: Final = 500
_FEW_BITS: Final = 8
_PREFERRED_CHARACTERS: Final = (*map(ord, "-_.xyzqjkw0123456789~"), *range(0x61, 0x7B), *range(0x41, 0x5B))


def bits(mask: int) -> Iterator[int]:
    """Yield the places of the bits that are set, lowest first."""
    if (
        mask.bit_length() > _LONG_MASK and mask.bit_count() > _FEW_BITS
    ):  # each step of the other way costs the mask's length
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


def _readable_texts(patterns: Sequence[TextPattern]) -> Iterator[str]:
    yield from sorted((pattern.text for pattern in patterns), key=len, reverse=True)[:1]
    yield from (_join_patterns(patterns, joint) for joint in ("", "_", " "))
    yield from ("other", "another", "any", "text", "x")


def _join_patterns(patterns: Sequence[TextPattern], joint: str, joint_always: str = "") -> str:
    """Return longest prefix, contained texts, longest suffix, joined."""
    prefix = max((one.text for one in patterns if one.operator == "startsWith"), key=len, default="")
    suffix = max((one.text for one in patterns if one.operator == "endsWith"), key=len, default="")
    inner = [one.text for one in patterns if one.operator == "contains"]
    inner = [one for one in inner if one not in prefix and one not in suffix] if not joint_always else inner
    parts = [prefix, *inner, suffix]
    return joint.join(parts if joint_always else [part for part in parts if part])
