"""The values of one attribute, cut into atoms: no condition of a rule distinguishes two values of
one atom.

Atoms are bits of an int: bit 0 is "missing", bit 1 "any text that no rule names", then each text
that a rule names, then numbers: the open range below the lowest number that a rule names, that
number, the open range above it, and so on. A set of values is a `ValueSet`: a mask of atoms, and,
for the unnamed texts, the patterns that hold and do not hold there. Numbers are those that a JSON
parser returns: no number is between two neighbouring doubles.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import cached_property, reduce
from itertools import accumulate, chain
from math import floor
from typing import Final, cast

from reconciler.core.behaviour.space.patterns import (
    PatternSet,
    TextPattern,
    bits,
    union,
)
from reconciler.core.behaviour.space.value_type import (
    ANY_VALUE,
    EVERY_NUMBER,
    SentValues,
    ValueType,
)
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.operators import (
    OPERATORS,
    PATTERNS,
    POSITIVE_OF_NEGATIVE,
    RANGES,
    Scalar,
)
from reconciler.core.model.rule import Condition

# Atoms, and the patterns that hold and do not hold of unnamed texts (0 and 0 where those are not
# among the atoms).
ValueSet = tuple[int, int, int]
MISSING: Final = 1
REST: Final = 2
NOTHING: Final[ValueSet] = (0, 0, 0)
UsualLevel = tuple[ValueSet, ...]  # parts with values that are equally usual
FIRST_TEXT: Final = 2  # the atom of the first named text
_MAX_DIGITS: Final = 18
_MAX_EXACT_INTEGER: Final = 10**15
# with more, a scan of every piece of every text is faster than a search for each
_MANY_SUBSTRINGS: Final = 100
_SHORT_TEXT: Final = 20  # characters of a text that counts as one value


def number_between(low: float, high: float) -> int | float | None:
    """Return a number between two with few digits; None where no double or integer is between
    them.
    """
    if not low < high:
        return None
    bottom = Fraction(low)
    top = Fraction(high)
    middle = (bottom + top) / 2
    try:
        for digits in range(1 if low >= 0 and high <= 1 else 0, _MAX_DIGITS):
            scale = 10**digits
            nearest = floor(middle * scale + Fraction(1, 2))
            for candidate in (nearest, nearest - 1, nearest + 1):
                number: int | float = candidate if digits == 0 else candidate / scale
                if low < number < high:
                    return number
        last = float(middle)
    except OverflowError:  # beyond the largest double there are integers only
        return None
    return last if low < last < high else None


def number_beyond(low: float | None, high: float | None) -> int | float:
    """Return a number above `low`, or without it below `high`: the next integer, or one digit and
    zeros.
    """
    if low is not None:
        return _number_above(low)
    return -_number_above(-high) if high is not None else 0


def _number_above(low: float) -> int | float:
    integer = floor(low) + 1
    if abs(integer) < _MAX_EXACT_INTEGER:
        return integer
    if integer < 0:
        return 0
    size = len(str(integer))
    for digits in range(1, _MAX_DIGITS):
        unit = 10 ** (size - digits)
        with suppress(OverflowError):  # an integer larger than any double
            for step in (1, 2):  # one unit above may be the same double
                number = float((integer // unit + step) * unit)
                if number > low:
                    return number
    return integer


class NamedValues:
    """The values that conditions on one attribute name, and further texts, in order; `value_count`
    counts those that conditions compare by equality.
    """

    def __init__(
        self,
        conditions: Iterable[Condition],
        texts: Iterable[str] = (),
    ) -> None:
        self.patterns: dict[TextPattern, None] = {}
        # a condition matches any text at all: a pattern operator with an empty value
        self.any_text = False
        self.ranges: list[Condition] = []
        equal: dict[Scalar, None] = {}
        for condition in conditions:
            if condition.operator in PATTERNS:
                self._add_pattern(condition)
            elif condition.operator in RANGES:
                self.ranges.append(condition)
            else:
                for value in condition.values:
                    equal[value] = None
        self.value_count = len(equal)

        named = [value for value in equal if isinstance(value, str)]
        self.texts = tuple(dict.fromkeys((*named, *texts)))
        bounds = chain.from_iterable(condition.values for condition in self.ranges)
        numbers = {value for value in (*equal, *bounds) if not isinstance(value, str)}
        self.numbers: Sequence[int | float] = tuple(sorted(numbers))

    def _add_pattern(self, condition: Condition) -> None:
        if condition.value:
            operator = condition.operator
            positive = POSITIVE_OF_NEGATIVE.get(operator, operator)
            self.patterns[TextPattern(positive, cast("str", condition.value))] = None
        else:
            self.any_text = True


def match_patterns(texts: Sequence[str], patterns: Sequence[TextPattern]) -> list[int]:
    """Return for each pattern the atoms of the texts that fit it."""
    starts, ends, parts = (
        [text for operator, text in patterns if operator == kind]
        for kind in ("startsWith", "endsWith", "contains")
    )
    backwards = [text[::-1] for text in texts] if ends else []
    ending = _match_prefixes(backwards, [text[::-1] for text in ends])
    masks = {
        TextPattern("startsWith", start): mask
        for start, mask in _match_prefixes(texts, starts)
    }
    masks |= {TextPattern("endsWith", end[::-1]): mask for end, mask in ending}
    masks |= {
        TextPattern("contains", part): mask
        for part, mask in _match_substrings(texts, parts)
    }
    return [masks.get(pattern, 0) << FIRST_TEXT for pattern in patterns]


def _match_prefixes(
    texts: Sequence[str], starts: Iterable[str]
) -> Iterator[tuple[str, int]]:
    """Yield each start and a mask of the texts that have it: they are neighbours when sorted."""
    order = sorted(range(len(texts)), key=texts.__getitem__)
    ordered = [texts[place] for place in order]
    for start in starts:
        mask = 0
        at = bisect_left(ordered, start)
        while at < len(ordered) and ordered[at].startswith(start):
            mask |= 1 << order[at]
            at += 1
        yield start, mask


def _match_substrings(
    texts: Sequence[str], parts: Sequence[str]
) -> Iterator[tuple[str, int]]:
    """Yield each part and a mask of the texts that contain it: many parts of one length in one pass
    over the texts.
    """
    for length, alike in group_pairs((len(part), part) for part in parts).items():
        if len(alike) <= _MANY_SUBSTRINGS:
            yield from _search_substrings(texts, alike)
            continue
        masks = dict.fromkeys(alike, 0)
        for place, text in enumerate(texts):
            for at in range(len(text) - length + 1):
                part = text[at : at + length]
                if part in masks:
                    masks[part] |= 1 << place
        yield from masks.items()


def _search_substrings(
    texts: Sequence[str], parts: Iterable[str]
) -> Iterator[tuple[str, int]]:
    """Yield each part and a mask of the texts that contain it; searches one text, joined by a
    character of no part.
    """
    used = set().union(*parts)
    joint = next(char for char in map(chr, range(0x10FFFF)) if char not in used)
    joined = joint.join(texts) + joint
    starts = [0, *accumulate(len(text) + 1 for text in texts)]
    for part in parts:
        mask = 0
        at = joined.find(part)
        while at >= 0:
            place = bisect_right(starts, at) - 1
            mask |= 1 << place
            at = joined.find(part, starts[place + 1])
        yield part, mask


class Domain:
    """The values of one attribute, cut by every condition on it; `texts` are further values to
    distinguish.
    """

    def __init__(
        self,
        attribute: str,
        tests: Iterable[Condition],
        texts: Iterable[str] = (),
        value_type: ValueType = ANY_VALUE,
    ) -> None:
        self.attribute = attribute
        self._type = value_type
        self._named = NamedValues(tests, texts)
        self.texts: Final = self._named.texts
        self.numbers: Final = self._named.numbers
        self._values_by_condition: dict[Condition, ValueSet] = {}
        self._number_by_atoms: dict[int, int | float] = {}  # examples
        # whether conditions express a part, once it is known
        self.expressible: Final[dict[ValueSet, bool]] = {}

        self.first_number = FIRST_TEXT + len(self.texts)
        atoms = range(FIRST_TEXT, self.first_number)
        self.atom_of: Final = dict(zip(self.texts, atoms, strict=True))
        self.patterns: Final = PatternSet(self._named.patterns, self.atom_of)
        self.pattern_atoms = match_patterns(self.texts, self.patterns.all)

        self._mask_values()

    @property
    def value_count(self) -> int:
        """Return the number of values with which conditions compare by equality."""
        return self._named.value_count

    @property
    def usual(self) -> tuple[str, ...]:
        """Return the texts that conversations usually have, the most usual first."""
        return self._type.usual

    @property
    def declares_values(self) -> bool:
        """Return whether it is declared which values are sent."""
        return self._type.sent is not None

    def _mask_values(self) -> None:
        """Find the values that exist, of those that conditions tell from each other."""
        self.text_mask = 0
        if self._type.texts:
            self.text_mask = ((1 << self.first_number) - 1) & ~MISSING
        self.number_mask = 0
        if self._tells_numbers and self._type.numbers:
            self.number_mask = self._existing_numbers(*self._type.numbers)
        self.all: ValueSet = (MISSING | self.text_mask | self.number_mask, 0, 0)

    @property
    def _tells_numbers(self) -> bool:
        """Return whether conditions tell any number from a text."""
        return bool(self.numbers) or self._named.any_text or not self._type.texts

    @property
    def _compares_texts(self) -> bool:
        """Return whether a condition compares the attribute with a text."""
        return bool(self.texts or self._named.patterns or self._named.any_text)

    @cached_property
    def _is_numeric(self) -> bool:
        """Whether conditions compare the attribute with numbers only."""
        return bool(self.numbers) and not self._compares_texts

    @cached_property
    def unlikely(self) -> int:
        """The values of a type, text or number, that no condition compares the attribute with.

        None if the type is known.
        """
        if self._type != ANY_VALUE or self._compares_texts is bool(self.numbers):
            return 0
        return self.number_mask if self._compares_texts else self.text_mask

    @cached_property
    def text_like_numbers(self) -> int:
        """The numbers that no condition distinguishes from a text, if the known type has no
        texts.
        """
        return 0 if self.text_mask else self._find_text_like_numbers()

    @cached_property
    def is_narrowed(self) -> bool:
        """Whether the known type excludes values that conditions tell from all other values."""
        if not self.text_mask and (self._compares_texts or not self.text_like_numbers):
            return True
        if not self._tells_numbers or self._type.numbers == EVERY_NUMBER:
            return False
        return self.number_mask != self._existing_numbers(*EVERY_NUMBER)

    @cached_property
    def _text_weight(self) -> float:
        """The weight of a named text in a document: a long text counts for several."""
        if not self.texts:
            return 1.0
        length = sum(map(len, self.texts))
        return max(1.0, length / (_SHORT_TEXT * len(self.texts)))

    def values_for(self, condition: Condition) -> ValueSet:
        """Return the values for which a condition holds (semantics S3 to S7)."""
        values = self._values_by_condition.get(condition)
        if values is None:
            values = self._values_by_condition[condition] = intersect(
                self._unmasked_values(condition), self.all
            )
        return values

    def values_for_all(self, conditions: Iterable[Condition]) -> ValueSet:
        """Return the values for which all conditions hold."""
        return reduce(intersect, map(self.values_for, conditions), self.all)

    def _unmasked_values(self, condition: Condition) -> ValueSet:
        operator = OPERATORS[condition.operator]
        values = operator.atoms(self, condition.value)
        return self._other_values(values, condition) if operator.denies else values

    def _other_values(self, values: ValueSet, condition: Condition) -> ValueSet:
        """Return the values that exist and that the positive of a negative condition excludes."""
        atoms, yes, _ = values
        others = self.present[0] & ~atoms
        if not yes:
            return (others, 0, 0)
        positive = OPERATORS[condition.operator].denies
        number = self._pattern_index(positive, cast("str", condition.value))
        return (others | REST, 0, self.patterns.implying[number])

    # What operators ask of the values (`AttributeValues`).

    @property
    def missing(self) -> ValueSet:
        """Return "missing"."""
        return (MISSING, 0, 0)

    @property
    def present(self) -> ValueSet:
        """Return all values but "missing"."""
        return (self.all[0] & ~MISSING, 0, 0)

    def equal_to(self, *values: Scalar) -> ValueSet:
        """Return these values, which conditions name."""
        return (union(map(self._equal_atom, values)), 0, 0)

    def matching(self, operator: str, text: str) -> ValueSet:
        """Return the texts that match a pattern."""
        if not text:
            return (self.text_mask, 0, 0)
        number = self._pattern_index(operator, text)
        atoms = self.pattern_atoms[number] | REST
        return (atoms, self.patterns.implied[number], self.patterns.excluded(number))

    def below(self, bound: float) -> int:
        """Return the atoms of the numbers below a number that a condition names."""
        return (self._equal_atom(bound) - (1 << self.first_number)) & self.number_mask

    def at(self, bound: float) -> int:
        """Return the atom of a number that a condition names."""
        return self._equal_atom(bound) & self.number_mask

    def above(self, bound: float) -> int:
        """Return the atoms of the numbers above a number that a condition names."""
        return -(self._equal_atom(bound) << 1) & self.number_mask

    def example_value(self, part: ValueSet) -> Scalar | None:
        """Return an example, easy to type, of a part that is not empty; None is "missing", the last
        choice.
        """
        sent = self._sent_value(part)
        if sent is not None:
            return sent
        if self.declares_values and part[0] & MISSING:
            return None
        usual = self.usual_value(part)
        if usual is not None:
            return usual
        atoms = part[0]
        numbers = atoms & self.number_mask
        texts = atoms & self.text_mask & ~REST
        if texts:
            return self.texts[(texts & -texts).bit_length() - 1 - FIRST_TEXT]
        if numbers:
            return self._example_number(numbers)
        return self._example_of_rest(part) if atoms & REST else None

    def _example_of_rest(self, part: ValueSet) -> Scalar:
        if self._is_numeric:  # a number sent as a text
            return "0.5"
        # no condition tells numbers from texts
        if self._type.usual_share and not self.number_mask and not part[1]:
            return 0.5
        return self.patterns.example(part[1], part[2])

    def usual_value(self, part: ValueSet) -> str | None:
        """Return a usual text of a part; None if it has none."""
        return self._text_of(self.usual, part)

    def _text_of(self, texts: tuple[str, ...] | None, part: ValueSet) -> str | None:
        """Return one of some texts that is in a part, named ones first; None if none is.

        Without `texts` it may be any text.
        """
        if texts is None:
            return self._any_text_of(part)
        atoms, yes, no = part
        named = atoms & self._mask_of(texts)
        if named:
            return self.texts[(named & -named).bit_length() - 1 - FIRST_TEXT]
        if not atoms & REST:
            return None
        unnamed = (text for text in texts if text not in self.atom_of)
        return next(
            (text for text in unnamed if self.patterns.fits(text, yes, no)), None
        )

    @cached_property
    def _masks_by_texts(self) -> dict[tuple[str, ...], int]:
        return {}

    def _mask_of(self, texts: tuple[str, ...]) -> int:
        """Return the atoms of those of some texts that conditions name."""
        if texts not in self._masks_by_texts:
            self._masks_by_texts[texts] = union(
                1 << self.atom_of[text] for text in texts if text in self.atom_of
            )
        return self._masks_by_texts[texts]

    def _sent_value(self, part: ValueSet) -> Scalar | None:
        """Return a value of a part that is sent; None if none is declared."""
        sent = self._type.sent
        if sent is None:
            return None
        text = self._text_of(sent.texts, part)
        if text is None:
            text = self._text_of(sent.further_texts, part)
        return self._sent_number(part, sent) if text is None else text

    def _any_text_of(self, part: ValueSet) -> str | None:
        texts = part[0] & self.text_mask & ~REST
        if texts:
            return self.texts[(texts & -texts).bit_length() - 1 - FIRST_TEXT]
        return self.patterns.example(part[1], part[2]) if part[0] & REST else None

    def _sent_number(self, part: ValueSet, sent: SentValues) -> int | float | None:
        numbers = part[0] & self.number_mask
        if not self.number_mask and intersect(part, self._plain_text)[0]:
            numbers = -1  # no condition tells one from another
        if not numbers:
            return None
        if sent.numbers is None:
            return 1 if numbers == -1 else self._example_number(numbers)
        return next(
            (
                number
                for number in sent.numbers
                if numbers == -1 or self._atom_of_number(number) & numbers
            ),
            None,
        )

    @property
    def _plain_text(self) -> ValueSet:
        """Return the texts that no condition names or matches: they are like any number, where no
        condition tells numbers from texts.
        """
        return (REST, 0, (1 << len(self.patterns.all)) - 1)

    def _atom_of_number(self, number: float) -> int:
        """Return the atom of any number, as a mask."""
        place = bisect_left(self.numbers, number)
        is_named = place < len(self.numbers) and self.numbers[place] == number
        return 1 << (self.first_number + 2 * place + is_named)

    @cached_property
    def usual_levels(self) -> Sequence[UsualLevel]:
        """The values that an example has if possible, the most usual first.

        None if every value is as good.
        """
        levels: list[UsualLevel]
        if self._type.sent is not None:
            levels = self._sent_levels(self._type.sent)
        elif self.usual:
            levels = [self._parts_of_texts(self.usual), ((self.text_mask, 0, 0),)]
        elif self.text_mask and (self._is_numeric or self._type.usual_share):
            shares = 0
            if self._type.usual_share:
                shares = self._existing_numbers(0, 1) & self.number_mask
            levels = [((shares, 0, 0),), ((self.number_mask, 0, 0),)]
        else:
            return ()
        present = [tuple(part for part in level if part[0]) for level in levels]
        return tuple(dict.fromkeys(filter(None, present)))

    def _sent_levels(self, sent: SentValues) -> list[UsualLevel]:
        """Return the values that are sent, and last those that other manifests declare."""
        texts = self._parts_of_texts(sent.texts)
        (named, yes, no), *unnamed = texts
        if not sent.is_expected:
            named |= MISSING
        if sent.numbers is None:
            named |= self.number_mask
        elif self.number_mask:
            named |= union(map(self._atom_of_number, sent.numbers)) & self.number_mask
        if sent.numbers != () and not self.number_mask and not named & REST:
            unnamed.append(self._plain_text)
        levels: list[UsualLevel] = [((named, yes, no), *unnamed)]
        if sent.is_expected:
            levels += [self._parts_of_texts(sent.further_texts), (self.missing,)]
        return levels

    def _parts_of_texts(self, texts: tuple[str, ...] | None) -> UsualLevel:
        """Return the named texts as one part, then the unnamed ones: those that the same patterns
        match are one part. None: every text.
        """
        if texts is None:
            return ((self.text_mask, 0, 0),)
        unnamed = tuple(text for text in texts if text not in self.atom_of)
        masks = [0] * len(unnamed)
        matches = match_patterns(unnamed, self.patterns.all)
        for number, atoms in enumerate(matches):
            for place in bits(atoms >> FIRST_TEXT):
                masks[place] |= 1 << number

        every = (1 << len(self.patterns.all)) - 1
        parts = [(REST, yes, every & ~yes) for yes in dict.fromkeys(masks)]
        return ((self._mask_of(texts), 0, 0), *parts)

    def is_sent(self, part: ValueSet) -> bool:
        """Return whether a value of a part is sent, as far as that is declared."""
        if not self.declares_values:
            return True
        return self.usual_level(part) < len(self.usual_levels)

    def usual_level(self, part: ValueSet) -> int:
        """Return the place in `usual_levels` of the example of a part.

        It is their number if the example is in none of them.
        """
        is_free = not self.usual and not self.declares_values
        if is_free and self.may_be_left_out(part):
            return 0
        for place, level in enumerate(self.usual_levels):
            if usual_part(level, part) is not None:
                return place
        return len(self.usual_levels)

    def may_be_left_out(self, part: ValueSet) -> bool:
        """Return whether a conversation without the attribute is an example of a part with nearly
        any value.
        """
        return part == self.all or bool(
            part[0] & MISSING and part[0] & REST and not part[0] & self.number_mask
        )

    def clause_cost(self, part: ValueSet) -> float:
        """Return about how many conditions express a part: two for each range, one for ten short
        values of a list.
        """
        atoms, yes, no = part
        texts = atoms & self.text_mask
        patterns = 0
        if texts & REST:
            texts = self.text_mask & ~texts
            patterns = sum(map(len, self.patterns.minimal_patterns(yes, no)))

        numbers = atoms & self.number_mask
        ranges = (numbers & ~(numbers << 1)).bit_count()
        return patterns + texts.bit_count() * self._text_weight / 10 + 2 * ranges

    def interval(
        self, atom: int
    ) -> tuple[int | float | None, int | float | None, bool]:
        """Return the ends of a number's atom (None: open), and whether it is a single number."""
        place, named = divmod(atom - self.first_number, 2)
        if named:
            return self.numbers[place], self.numbers[place], True
        low = self.numbers[place - 1] if place else None
        high = self.numbers[place] if place < len(self.numbers) else None
        return low, high, False

    def _equal_atom(self, value: Scalar) -> int:
        if isinstance(value, str):
            return 1 << self.atom_of[value]
        place = bisect_left(self.numbers, value)
        return 1 << (self.first_number + 2 * place + 1)

    def _pattern_index(self, operator: str, text: str) -> int:
        return self.patterns.index_of[TextPattern(operator, text)]

    def _existing_numbers(self, low_limit: float, high_limit: float) -> int:
        """Return the atoms of numbers between the limits, without ranges that hold no number."""
        mask = 0
        end = self.first_number + 2 * len(self.numbers) + 1
        for atom in range(self.first_number, end):
            low, high, named = self.interval(atom)
            if named and low is not None:
                exists = low_limit <= low <= high_limit
            else:
                exists = (low is None or low < high_limit) and (
                    high is None or high > low_limit
                )
                if exists and low is not None and high is not None:
                    exists = number_between(low, high) is not None
            mask |= exists << atom
        return mask

    def _find_text_like_numbers(self) -> int:
        ranges = union(self._unmasked_values(part)[0] for part in self._named.ranges)
        return union(
            1 << atom
            for atom in bits(self.number_mask & ~ranges)
            if not self.interval(atom)[2]
        )

    def _example_number(self, atoms: int) -> int | float:
        """Return a number of the atoms with few digits, from 0 to 1 where possible."""
        number = self._number_by_atoms.get(atoms)
        if number is None:
            number = self._number_by_atoms[atoms] = self._find_number(atoms)
        return number

    def _find_number(self, atoms: int) -> int | float:
        intervals = [self.interval(atom) for atom in bits(atoms)]
        for low, high, single in intervals:
            if not single:
                for number in _confidences_between(low, high):
                    return number
        for low, _, single in intervals:
            if single and low is not None:
                return low

        low, high, _ = intervals[0]
        if low is None or high is None:
            return number_beyond(low, high)
        return cast("float", number_between(low, high))


def _confidences_between(
    low: float | None, high: float | None
) -> Iterator[int | float]:
    """Yield numbers from 0 to 1 in an open range."""
    number = number_between(max(low or 0, 0), 1 if high is None else min(high, 1))
    if number is not None:
        yield number
    yield from (
        end
        for end in (0, 1)
        if (low is None or low < end) and (high is None or end < high)
    )


def intersect(first: ValueSet, second: ValueSet) -> ValueSet:
    """Return the values in both."""
    atoms = first[0] & second[0]
    if not atoms & REST:
        return (atoms, 0, 0)
    yes = first[1] | second[1]
    no = first[2] | second[2]
    if yes & no:
        return (atoms & ~REST, 0, 0)
    return (atoms, yes, no)


def usual_part(level: UsualLevel, values: ValueSet) -> ValueSet | None:
    """Return the first part of a level that has one of these values; None if no part has one."""
    return next((part for part in level if intersect(values, part)[0]), None)


def covers(outer: ValueSet, inner: ValueSet) -> bool:
    """Return whether every value of `inner` is in `outer`."""
    # shorter masks than the atoms'
    if inner[0] & REST and (outer[1] & ~inner[1] or outer[2] & ~inner[2]):
        return False
    return not inner[0] & ~outer[0]


def subtract(domain: Domain, values: ValueSet, removed: ValueSet) -> list[ValueSet]:
    """Return `values` without `removed`, as disjoint parts."""
    atoms = values[0] & ~removed[0]
    if not values[0] & removed[0] & REST:
        return (
            [(atoms, values[1], values[2]) if atoms & REST else (atoms, 0, 0)]
            if atoms
            else []
        )
    if not removed[1] and not removed[2]:  # every unnamed text is removed
        return [(atoms, 0, 0)] if atoms else []
    yes = values[1]
    no = values[2]
    if yes & removed[2] or no & removed[1]:
        return [(atoms | REST, yes, no)]
    pieces: list[ValueSet] = []
    for piece in _negations(domain.patterns, (yes, no), removed[1:]):
        pieces.append((atoms | REST, *piece))
        atoms = 0
    return [*pieces, (atoms, 0, 0)] if atoms else pieces


def _negations(
    patterns: PatternSet,
    masks: tuple[int, int],
    negated: tuple[int, int],
) -> Iterable[tuple[int, int]]:
    """Yield the disjoint ways, as masks, in which a text of `masks` fails to match `negated`."""
    yes, no = masks
    required, denied = patterns.minimal_patterns(*negated)
    for number in required:
        if not yes >> number & 1:
            without = no | patterns.implying[number]
            if not yes & without:
                yield yes, without
            yes = yes | patterns.implied[number]
            no = no | patterns.excluded(number)
    for number in denied:
        if not no >> number & 1:
            within = yes | patterns.implied[number]
            if not within & (no | patterns.excluded(number)):
                yield within, no | patterns.excluded(number)
            no |= patterns.implying[number]
