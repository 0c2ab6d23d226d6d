"""A refused cell -> the cells to write instead, each of which cxroute reads with a meaning that the text can have."""

import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from itertools import chain, product
from typing import Final, NamedTuple

from reconciler.model.rule import (
    EXISTENCE,
    JSON_NUMBER,
    ORDERS,
    PATTERNS,
    Condition,
    Scalar,
    Value,
    make_condition,
    parse_number,
)
from reconciler.table.cells import (
    CellError,
    WeightedQueue,
    read_conditions,
    read_queues,
    write_conditions,
    write_queues,
    write_scalar,
)
from reconciler.table.column_values import ColumnValues
from reconciler.table.operator_words import OPENINGS, SYNONYMS, any_of
from reconciler.text.escape import join_all, quote_name
from reconciler.text.suggest import find_nearest

_LONGEST: Final = 500  # characters of a text to interpret: a longer one was not typed
_MOST_READINGS: Final = 3
_MOST_ITEMS: Final = 50

_CHARACTERS: Final = str.maketrans(
    {
        "≤": "<=",
        "≥": ">=",
        **dict.fromkeys("\u00a0\u2007\u2009\u202f\t\r", " "),
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("\u2018\u2019\u201a", "'"),
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-"),
        "\u2026": "...",
        "\uff05": "%",
        "\uff0c": ",",
        "\uff1b": ";",
        "\uff1c": "<",
        "\uff1d": "=",
        "\uff1e": ">",
    }
)
"""Characters that programs and keyboards write instead of the usual ones."""

_DIGITS: Final = r"(?:\d+(?:[.,' ]\d+)*|[.,]\d+)"
_NUMBER: Final = rf"[+-]? ?{_DIGITS} ?(?:%|percent\b|per cent\b|pct\b)?"
_WHOLE_NUMBER: Final = re.compile(_NUMBER, re.IGNORECASE)
_LONGEST_NUMBER: Final = 40
_GROUPS: Final = re.compile(r"\d{1,3}(?:([.,' ])\d{3})(?:\1\d{3})*", re.ASCII)
_PERCENT: Final = re.compile(r" ?(?:%|percent|per cent|pct)$", re.IGNORECASE)

_ORDER_WORDS: Final = {word: operator for word, operator in SYNONYMS.items() if operator in ORDERS}
_EQUAL_WORDS: Final = {word: operator for word, operator in SYNONYMS.items() if operator == "equals"}
_MORE: Final = r"or more|or higher|or above|or greater|or up|or over|and more|and higher|and above|and up|and over|\+"
_LESS: Final = r"or less|or lower|or below|or under|and less|and lower|and below|and under"

_BOUND: Final = re.compile(
    rf"(?P<word>{any_of(_ORDER_WORDS)}) ?(?P<number>{_NUMBER})(?: ?(?:,|;|&&?|\band\b|\bbut\b) ?|(?= ?[<>≤≥=])|$)",
    re.IGNORECASE,
)
_RANGE: Final = re.compile(
    rf"(?:is )?(?:between |from )?[\[]? ?(?P<low>{_NUMBER}) ?(?:-|\.\.+|\bto\b|\buntil\b|(?P<list>\band\b|[,;])) ?"
    rf"(?P<high>{_NUMBER}) ?[\]]?",
    re.IGNORECASE,
)
_RANGE_WORDS: Final = re.compile(r"(?:is )?(?:between|from)\b|[\[]", re.IGNORECASE)
_CHAIN: Final = re.compile(rf"(?P<low>{_NUMBER}) ?(?P<first><=?) ?\w* ?(?P<second><=?) ?(?P<high>{_NUMBER})")
_OPEN_END: Final = re.compile(rf"(?P<number>{_NUMBER}) ?(?:(?P<more>{_MORE})|(?P<less>{_LESS}))", re.IGNORECASE)
_ALONE: Final = re.compile(rf"(?:{any_of(_EQUAL_WORDS)})? ?(?P<number>{_NUMBER})", re.IGNORECASE)
_TEST: Final = re.compile(
    rf"(?:(?P<sign>[=!<>≠]+)|(?P<word>{any_of(word for word in SYNONYMS if word[0].isalpha())}|in(?= ?[(\[]))(?!\w)) ?",
    re.IGNORECASE,
)
_SEPARATOR: Final = re.compile(r" ?[;|\n,] ?(?:(?:or|and|nor) )?| (?:or|and|nor) | ?[/&+] ?", re.IGNORECASE)
"""What separates values that are known."""
_ANY_SEPARATOR: Final = re.compile(r" ?[;|\n,] ?(?:(?:or|and|nor) )?| (?:or|and|nor) | [/&+] ", re.IGNORECASE)
"""What separates values of which nothing is known."""
_ORDER_SIGN: Final = re.compile("[<>≤≥≠]")
_SIGN: Final = re.compile(r"[<>≤≥≠]|^[=!]")
_SEMICOLON: Final = re.compile(r"[;\n]")
_OR: Final = re.compile(r"\bor\b", re.IGNORECASE)
_SCIENTIFIC: Final = re.compile(r"\d[eE][+-]?\d")
_YES_NO: Final[Mapping[str, tuple[Scalar, ...]]] = {
    **dict.fromkeys(("true", "yes", "y", "1"), ("true",)),
    **dict.fromkeys(("false", "no", "n", "0"), ("false",)),
}
_WEIGHT_SIGN: Final = re.compile(r" ?[:=(]? ?(?P<weight>\d+(?:[.,]\d+)?) ?%?\)?$")
_WORDS: Final = re.compile(r"[^\W\d][^=<>+*]*")
_ONE_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_SPACES: Final = re.compile(" +")


_NOT: Final = re.compile(r"(^|[;,|\n] ?|\b(?:and|or|nor) )not ", re.IGNORECASE)
_FORMS: Final[Mapping[str, str]] = {
    "confidence": "write a comparison, such as >= 0.6 or between 0.6 and 0.9",
    "boolean": "write true or false",
    "number": "write a number with all its digits and a decimal point, such as >= 10 or between 0.5 and 2",
}
"""The form of a cell, by the kind of its column."""
_LOWEST_PERCENTAGE: Final = 10
"""A confidence from here on is meant as a percentage: 1.7 and 7 can mean several numbers."""

_Names = Mapping[str, tuple[Scalar, ...]]  # the values of each known text: those of a group, or one
_NameFinder = Callable[[str, _Names], tuple[Scalar, ...]]


class CellAdvice(NamedTuple):
    """Cells to write instead, the likeliest first. A guess has a name that is only similar."""

    cells: tuple[str, ...] = ()
    is_guess: bool = False

    def in_words(self, names: Container[str]) -> str:
        """Return what to write: `write >= 0.6`; empty without a cell. `names` are those of values and groups."""
        if not self.cells:
            return ""
        if self.is_guess:
            quoted = [quote_name(cell) if cell in names else cell for cell in self.cells]
            return f"did you mean {join_all(quoted, 'or')}?"
        choice = ", whichever is meant" if len(self.cells) > 1 else ""
        if _ONE_QUOTED.fullmatch(self.cells[0]) and not choice:
            choice = " with its quotes"
        return f"write {join_all(self.cells, 'or')}{choice}"


def read_cell(text: str, column: ColumnValues) -> tuple[Condition, ...]:
    """Return the conditions of an edited cell. Raises CellError, which says what to write."""
    try:
        return read_conditions(text, column)
    except CellError as error:
        advice = advise(text, column)
        remedy = advice.in_words(column.spellings) or _general_advice(text, column)
        joint = ";" if advice.is_guess or ":" in str(error).replace(quote_name(text), "") else ":"
        raise CellError(f"{error}{joint} {remedy}") from None


def advise(text: str, column: ColumnValues) -> CellAdvice:
    """Return the cells that can be meant by a refused one."""
    if len(text) > _LONGEST:
        return CellAdvice()
    for is_guess in (False, True):
        readings = _Interpreter(column, _similar_name if is_guess else _same_name).interpret(text)
        if cells := tuple(dict.fromkeys(filter(None, (_write(reading, column, text) for reading in readings)))):
            return CellAdvice(cells[:_MOST_READINGS], is_guess)
    return CellAdvice()


def advise_queues(text: str, known: Sequence[str]) -> CellAdvice:
    """Return the cell of queues that can be meant by a refused one."""
    if len(text) > _LONGEST:
        return CellAdvice()
    normal = _normalize(text)
    names = {name.casefold(): name for name in known}
    for separator in (_SEMICOLON, _SEPARATOR):
        parts = list(filter(None, map(str.strip, separator.split(normal))))[:_MOST_ITEMS]
        queues = [queue for part in parts if (queue := _read_weighted(part, names))]
        if len(queues) == len(parts) and queues:
            with suppress(CellError):
                cell = write_queues(queues)
                read_queues(cell)
                return CellAdvice((cell,))
    return CellAdvice()


def lists_queues(text: str, known: Container[str]) -> bool:
    """Return whether a text lists several known queues without weights: `Cards, General`."""
    parts = [part.strip("\"' ") for part in _SEPARATOR.split(_normalize(text[:_LONGEST]))]
    return len(parts) > 1 and all(part in known for part in parts)


def _read_weighted(text: str, names: Mapping[str, str]) -> WeightedQueue | None:
    name = names.get(text.strip("\"' ").casefold())
    if name is not None:
        return WeightedQueue(name, None)
    match = _WEIGHT_SIGN.search(text)
    name = names.get(text[: match.start()].strip("\"' ").casefold()) if match else None
    if match is None or name is None:
        return None
    return WeightedQueue(name, parse_number(match["weight"].replace(",", ".").lstrip("0") or "0"))


def _general_advice(text: str, column: ColumnValues) -> str:
    """Return the form of a cell where nothing is known about the meaning of a text."""
    if _ORDER_SIGN.search(text) and _OR.search(text):
        return "a cell has no or between comparisons: write two rows"
    if _SCIENTIFIC.search(text) and column.kind != "confidence":
        return "write all digits of a number"
    if column.kind in _FORMS:
        return _FORMS[column.kind]
    if column.offered:
        examples = join_all([write_scalar(column.shown(value), column.spellings) for value in column.offered[:3]], "or")
        return f"write a value of the column, such as {examples}, and several with semicolons"
    return "write one value, several with semicolons (a; b), or a text with other signs in quotes"


def _write(reading: Sequence[Condition], column: ColumnValues, text: str) -> str:
    """Return the cell of a reading, with the names in the text; nothing if cxroute reads another meaning in it."""
    typed = text.casefold()
    labels = {
        value: label
        for value, label in column.labels.items()
        if label.casefold() in typed or value.casefold() not in typed
    }
    groups = {group: values for group, values in column.groups.items() if _is_meant(group, values, column, typed)}
    cell = write_conditions(reading, replace(column, labels=labels, groups=groups))
    with suppress(CellError):
        if frozenset(read_conditions(cell, column)) == frozenset(reading):
            return cell
    return ""


def _is_meant(group: str, values: Iterable[str], column: ColumnValues, typed: str) -> bool:
    """Return whether a text names a group, or at least none of its values."""
    names = (*values, *(label for value in values if (label := column.labels.get(value))))
    return group.casefold() in typed or not any(name.casefold() in typed for name in names)


def _normalize(text: str) -> str:
    return _SPACES.sub(" ", text.translate(_CHARACTERS)).strip(" \n")


def _same_name(text: str, names: _Names) -> tuple[Scalar, ...]:
    """Return the value whose name or label is the text, or the values of the group with this name."""
    return names.get(text, ())


def _similar_name(text: str, names: _Names) -> tuple[Scalar, ...]:
    """Return the values of the name that is the text in any case, or is most like it."""
    alike = {values for name, values in names.items() if name.casefold() == text.casefold()}
    return alike.pop() if len(alike) == 1 else names.get(find_nearest(text, names), ())


class _Interpreter:
    """Finds what people can mean by a text in a column."""

    def __init__(self, column: ColumnValues, find_name: _NameFinder) -> None:
        self.column, self._find_name = column, find_name
        self._is_exact = find_name is _same_name
        values = chain.from_iterable(column.spellings.values())
        self._names: dict[str, tuple[Scalar, ...]] = {str(value): (value,) for value in values} | column.spellings
        if column.kind == "boolean":
            self._names |= _YES_NO

    def interpret(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the meanings of a text, the likeliest first."""
        normal = self._without_attribute(_normalize(text))
        forms = (
            *((self._read_name,) if self._is_exact else (self._read_list, self._read_name)),
            self._read_bounds,
            self._read_range,
            self._read_chain,
            self._read_open_end,
            self._read_number,
            self._read_test,
            self._read_list,
        )
        readings = next(filter(None, (tuple(form(normal)) for form in forms)), ())
        yield from readings
        if self._can_be_text(normal, is_alone=not readings):
            unquoted = _unquote(normal)
            yield self._conditions(("equals", text.strip() if unquoted == normal else unquoted))

    def _conditions(self, *tests: tuple[str, Value]) -> tuple[Condition, ...]:
        return tuple(make_condition(self.column.attribute, operator, value) for operator, value in tests)

    def _without_attribute(self, text: str) -> str:
        """Return the text without the attribute's name before a comparison."""
        for name in filter(None, (self.column.heading, self.column.attribute)):
            rest = text[len(name) :].strip()
            if text.casefold().startswith(name.casefold()) and _TEST.match(rest):
                return rest
        return text

    def _can_be_text(self, text: str, *, is_alone: bool) -> bool:
        """Return whether a text can be one value of the column, in quotes."""
        if self.column.is_numeric or self.column.offered or self.column.kind == "boolean" or not text:
            return False
        if _SEMICOLON.search(text) or _ORDER_SIGN.search(text) or (is_alone and _SCIENTIFIC.search(text)):
            return False
        return not OPENINGS.match(text) if is_alone else text[0] not in "=!"

    def _read_name(self, text: str) -> Iterator[tuple[Condition, ...]]:
        if self._denies_name(text):
            return
        if self.column.kind != "confidence" and (values := self._find_name(_unquote(text), self._names)):
            yield self._one_of([values])

    def _denies_name(self, text: str) -> bool:
        """Return whether a text is `not` and a name in other case: the nearest name would mean the opposite."""
        match = _TEST.match(text)
        if match is None or self._is_exact:
            return False
        operator = SYNONYMS.get((match["sign"] or match["word"]).lower())
        rest = _unquote(text[match.end() :].strip()).casefold()
        return operator in ("notEquals", "notIn") and any(name.casefold() == rest for name in self._names)

    def _read_bounds(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `=> 0.6`, `at least 60%`, `> 0.6, < 0.9`."""
        position, operators, numbers = 0, list[str](), list[list[int | float]]()
        while match := _BOUND.match(text, position):
            operators.append(_ORDER_WORDS[match["word"].lower()])
            numbers.append(self._numbers(match["number"]))
            position = match.end() + text.startswith(" ", match.end())
        if numbers and position == len(text):
            for choice in product(*numbers):
                yield self._conditions(*zip(operators, choice, strict=True))

    def _read_range(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `0.6 - 0.9`, `from 60% to 90%`."""
        match = _RANGE.fullmatch(text)
        if match and (_RANGE_WORDS.match(text) or not match["list"]):
            for pair in product(self._numbers(match["low"]), self._numbers(match["high"])):
                yield self._conditions(("between", tuple(sorted(pair))))

    def _read_chain(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `0.6 <= x < 0.9`."""
        if match := _CHAIN.fullmatch(text):
            low = "greaterThanOrEqual" if match["first"] == "<=" else "greaterThan"
            high = "lessThanOrEqual" if match["second"] == "<=" else "lessThan"
            for first, second in product(self._numbers(match["low"]), self._numbers(match["high"])):
                yield self._conditions((low, first), (high, second))

    def _read_open_end(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `0.6 or more`, `60%+`."""
        if match := _OPEN_END.fullmatch(text):
            operator = "greaterThanOrEqual" if match["more"] else "lessThanOrEqual"
            yield from (self._conditions((operator, number)) for number in self._numbers(match["number"]))

    def _read_number(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `0,6`, `60%`, `= 0.6`: of a confidence, it is the lowest one."""
        match = _ALONE.fullmatch(_unquote(text) if self.column.kind == "confidence" else text)
        if match and self.column.kind in ("confidence", "number", "any"):
            operator = "greaterThanOrEqual" if self.column.kind == "confidence" else "equals"
            yield from (self._conditions((operator, number)) for number in self._numbers(match["number"]))

    def _read_test(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `is not gold`, `Missing`, `begins with a`."""
        match = _TEST.match(text)
        if match is None:
            return
        operator = SYNONYMS.get((match["sign"] or match["word"]).lower(), "in" if match["word"] else "")
        rest = text[match.end() :].strip()
        if operator in EXISTENCE:
            if not rest:
                yield self._conditions((operator, None))
        elif operator in PATTERNS:
            if rest and not self.column.is_numeric:
                yield self._conditions((operator, _unquote(rest)))
        elif operator in ORDERS:
            return
        elif operator in ("notEquals", "notIn"):
            yield from map(self._none_of, self._items(_NOT.sub(r"\1", rest)))
        elif self.column.kind != "confidence" and (match["word"] or _WORDS.fullmatch(rest)):
            yield from map(self._one_of, self._items(rest))

    def _read_list(self, text: str) -> Iterator[tuple[Condition, ...]]:
        """Yield the readings of `a, b`, `a / b`, `a or b`."""
        if self.column.kind != "confidence" and not _SIGN.search(text):
            yield from (self._one_of(items) for items in self._items(text) if len(items) > 1)

    def _one_of(self, items: Iterable[tuple[Scalar, ...]]) -> tuple[Condition, ...]:
        values = tuple(dict.fromkeys(chain.from_iterable(items)))
        return self._conditions(("equals", values[0]) if len(values) == 1 else ("in", values))

    def _none_of(self, items: Iterable[tuple[Scalar, ...]]) -> tuple[Condition, ...]:
        values = tuple(dict.fromkeys(chain.from_iterable(items)))
        return self._conditions(("notEquals", values[0]) if len(values) == 1 else ("notIn", values))

    def _items(self, text: str) -> Iterator[list[tuple[Scalar, ...]]]:
        """Yield what a text lists: the value of each item, or the values of a group."""
        text = text.strip("()[] ")
        is_closed = bool(self.column.offered) or self.column.kind == "boolean"
        if is_closed and self._is_exact:
            items = self._known_items(text)
        else:
            separator = _SEPARATOR if is_closed else _ANY_SEPARATOR
            parts = list(filter(None, map(str.strip, separator.split(text))))[:_MOST_ITEMS]
            items = [self._item(part) for part in parts]
        if items and all(items):
            yield list(dict.fromkeys(items))

    def _known_items(self, text: str) -> list[tuple[Scalar, ...]]:
        """Return the items of a list of known names, which may have separators in them."""
        name = re.compile(rf"[\"']?(?P<name>{any_of(self._names)})[\"']?(?P<end>(?:{_SEPARATOR.pattern}){{1,3}}|$)")
        items = list[tuple[Scalar, ...]]()
        position = 0
        while match := name.match(text, position):
            items.append(self._names[match["name"]])
            position = match.end()
            if position == len(text):
                return items
        return []

    def _item(self, text: str) -> tuple[Scalar, ...]:
        """Return one value of the column, or those of a group; nothing if the text is neither."""
        plain = _unquote(text)
        named = self._find_name(plain, self._names)
        if named or self.column.offered or self.column.kind == "boolean":
            return named
        is_number = self.column.kind == "any" and plain == text and JSON_NUMBER.fullmatch(text)
        if self.column.is_numeric or is_number:
            numbers = self._numbers(plain)
            return tuple(numbers) if len(numbers) == 1 else ()
        return () if _TEST.match(text) or not plain else (plain,)

    def _numbers(self, text: str) -> list[int | float]:
        """Return the numbers that a text can mean in the column."""
        if len(text) > _LONGEST_NUMBER or not _WHOLE_NUMBER.fullmatch(text):
            return []
        is_percentage = bool(_PERCENT.search(text))
        numbers = list[Decimal]()
        for decimal in _decimals(_PERCENT.sub("", text)):
            if self.column.kind != "confidence":
                numbers += [decimal, decimal / 100] if is_percentage else [decimal]
            elif is_percentage or decimal >= _LOWEST_PERCENTAGE:
                numbers.append(decimal / 100)
            else:
                numbers.append(decimal)
        shares = (number for number in numbers if self.column.kind != "confidence" or 0 <= number <= 1)
        return [parse_number(format(number, "f")) for number in shares]


def _unquote(text: str) -> str:
    """Return a text without the quotes around it."""
    is_quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "\"'"
    return text[1:-1].strip() if is_quoted else text


def _decimals(text: str) -> Iterable[Decimal]:
    """Yield the numbers that digits with separators can mean: `10.000` has two."""
    sign = "-" if text.startswith("-") else ""
    digits = text.lstrip("+- ")
    groups = None if digits.startswith("0") else _GROUPS.fullmatch(digits)
    if groups:
        yield Decimal(sign + re.sub("[.,' ]", "", digits))
        if groups[1] in "' " or digits.count(groups[1]) > 1:
            return
    digits = digits.replace(" ", "").replace("'", "")
    if digits.count(",") and digits.count("."):
        others = "," if digits.rindex(".") > digits.rindex(",") else "."
        digits = digits.replace(others, "")
    digits = digits.replace(",", ".")
    if digits.count(".") <= 1 and digits.strip("."):
        yield Decimal(f"{sign}{digits}")
