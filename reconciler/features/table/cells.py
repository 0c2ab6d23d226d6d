"""Conditions and targets as the text of a cell, and back: `card_arrival; card_linking`, `>= 0.6 and
< 0.9`.

A value is written plainly only if no program for spreadsheets changes or evaluates it. Any other
text is written as JSON, in quotes: a number's text, a date, a formula, a text with invisible
characters.
"""

import json
import math
import re
from collections.abc import Callable, Container, Iterable, Sequence
from itertools import chain
from typing import Final, NamedTuple, TypeVar

from reconciler.core.manifest.yaml_writer import format_scalar
from reconciler.core.model.operators import (
    EQUALITIES,
    EXISTENCE,
    INTERVALS,
    SETS,
    Scalar,
    Value,
)
from reconciler.core.model.rule import (
    JSON_NUMBER,
    Condition,
    canonical_scalar,
    make_condition,
    parse_number,
)
from reconciler.core.text.escape import is_visible, quote_name
from reconciler.features.table.column_values import ColumnValues
from reconciler.features.table.operator_words import (
    OPENINGS,
    OPERATORS,
    PLAIN_EQUALITY,
    SYNONYM_OPENINGS,
    WORDS,
)

ItemT = TypeVar("ItemT")

SYNTAX: Final = (
    ("gold", "the value is gold"),
    ("gold; platinum", "the value is one of these"),
    ("not gold", "there is a value, and it is another one"),
    (">= 0.6", "the number is at least 0.6; also >, <= and <"),
    ("between 10 and 20", "the number is from 10 to 20, both included"),
    (
        "contains abc",
        "also: starts with, ends with, does not contain, does not start with, does not end with",
    ),
    ("present", "there is a value"),
    ("missing", "there is no value"),
    (">= 0.6 and < 0.9", "both hold"),
    (
        "one of -1; 0; 2",
        "the value is one of these; exactly gold: the value is gold, also beside another condition",
    ),
    (
        '"10"',
        "the text 10, not the number; texts with ; or other signs are in quotes, too",
    ),
)
"""Examples of a condition's cell, each with its meaning."""

MOST_DIGITS: Final = 15
"""The digits of a number that programs for spreadsheets keep."""
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")
"""The first characters of a cell that programs take for a formula."""

# TRUE and FALSE of programs in English, German, French, Spanish, Italian, Portuguese, Dutch,
# Polish, and Nordic ones.
_BOOLEAN: Final = (
    "true|false|wahr|falsch|vrai|faux|verdadero|falso|vero|verdadeiro|waar|onwaar|prawda|fałsz"
    "|sant|falskt?|sand|u?sann|tosi|epätosi"
)
_RESERVED: Final = re.compile(
    rf"(?:{OPENINGS.pattern}|{SYNONYM_OPENINGS.pattern}|and\b|(?:{_BOOLEAN})$)",
    re.IGNORECASE,
)
_PLAIN: Final = re.compile(r"[^\W\d_](?:[\w./()-]| (?=[\w(]))*")
# What Excel and LibreOffice take for a date, or a boolean: "mar 1", "sept-2", "December 2026",
# "wahr".
_CHANGED: Final = re.compile(
    rf"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ ./-]?\d|(?:{_BOOLEAN})$",
    re.IGNORECASE,
)
# a workbook's form of a character: programs write that instead
_CHARACTER: Final = re.compile("_?x[0-9A-Fa-f]{4}_")
_UNQUOTED: Final = re.compile(r"[^\W\d][^\"“”„«»<>=]*")
_SEVERAL: Final = re.compile(r"[,|\n]|\b(?:and|or)\b| [/&+] ", re.IGNORECASE)
# "10,000" and "10.000" may be ten thousand; a program writes 1.23E+11 for digits that it does not
# show.
_ROUNDED: Final = re.compile(
    r"^-?[1-9][0-9]{0,2}(?:,[0-9]{3}|\.[0-9]{2}0)+$|\dE[+-]?\d", re.ASCII
)
_ITEM: Final = re.compile(r"(?:(?!;| and \S).)*", re.DOTALL)
_QUOTED: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_UP_TO_SEMICOLON: Final = re.compile("[^;]*")
_TRUE_OR_FALSE: Final = re.compile(
    r"(?:true|false)(?=\s*(?:;|$)|\s+and\s)", re.IGNORECASE
)
_AND: Final = re.compile(r"and(?!\w)")
_SEMICOLON: Final = re.compile(";")
_WITH_SEVERAL_VALUES: Final = {PLAIN_EQUALITY: "in", WORDS["notEquals"]: "notIn"}
"""The operator that a word denotes before several values."""
_EMPTY_LIST: Final = re.compile(r"\(\)")
_SPACE: Final = re.compile(r"\s*")
_NOTHING: Final = re.compile("")
_WEIGHT: Final = re.compile(
    r"(?:0|[1-9][0-9]{0,309})(?:\.[0-9]{1,309})?(?:e[+-]?[0-9]{1,3})?", re.ASCII
)


class CellError(Exception):
    """A cell that cannot be read. The message begins after the name of the cell."""


class WeightedQueue(NamedTuple):
    """A queue's name and its weight; None if the cell has none."""

    name: str
    weight: int | float | None


def write_conditions(conditions: Iterable[Condition], column: ColumnValues) -> str:
    """Return all conditions on one attribute as a cell."""
    listed = tuple(conditions)
    if len(listed) == 1 and (text := _write_plain_equality(listed[0], column)):
        return text
    return " and ".join(_write_condition(condition, column) for condition in listed)


def read_conditions(text: str, column: ColumnValues) -> tuple[Condition, ...]:
    """Return the conditions of an attribute's cell; an empty cell has none. Raises CellError."""
    reader = _CellReader(text)
    conditions = list[Condition]()
    words = list[str]()
    while not reader.is_at_end:
        word, operator, value = reader.read_test(column)
        words.append(word)
        conditions.append(_make_condition(text, column.attribute, operator, value))
        if not reader.is_at_end:
            reader.take_and()
    if reason := column.refuse(conditions):
        raise CellError(
            reason if reason.startswith('"') else f"{quote_name(text)} {reason}"
        )
    if PLAIN_EQUALITY in words and column.kind == "confidence":
        raise CellError(f"{quote_name(text)} has no comparison")
    if PLAIN_EQUALITY in words and len(words) > 1:
        raise CellError(
            f"{quote_name(text)} is not clear, because a value needs no other condition"
        )
    return tuple(conditions)


def write_queues(queues: Sequence[WeightedQueue]) -> str:
    """Return queues as a cell: `Cards`, `Cards 80; General 20`."""
    if len(queues) == 1 and queues[0].weight in (None, 1):
        return write_name(queues[0].name)
    return "; ".join(
        f"{write_name(name)} {format_scalar(weight)}" for name, weight in queues
    )


def read_queues(text: str) -> tuple[WeightedQueue, ...]:
    """Return the queues of a cell. Raises CellError."""
    reader = _CellReader(text)
    queues = reader.read_list(reader.read_queue)
    if not queues:
        raise CellError("a rule needs a queue")
    if len(queues) > 1 and None in (queue.weight for queue in queues):
        raise CellError(
            f"{quote_name(text)}: each of several queues needs a weight, such as Cards 80; General "
            f"20"
        )
    return queues


def write_scalar(value: Scalar, known: Container[str] = ()) -> str:
    """Return a number, or a text that is in quotes unless it is plain; `known` ones are clear."""
    value = canonical_scalar(value)
    if not isinstance(value, str):
        return format_scalar(value)
    is_clear = _is_clear(value) or (value in known and _can_be_known(value))
    return write_name(value) if is_clear else write_quoted(value)


def write_name(name: str) -> str:
    """Return the name of a rule, queue or file; as JSON unless it is plain."""
    has_weight = _split_weight(name)[1] is not None
    is_changed = _CHANGED.match(name) or _CHARACTER.search(name)
    is_plain = (
        _PLAIN.fullmatch(name)
        and is_visible(name)
        and not is_changed
        and not has_weight
    )
    return name if is_plain else write_quoted(name)


def write_quoted(text: str) -> str:
    """Return a text as JSON."""
    quoted = json.dumps(text, ensure_ascii=not is_visible(text))
    return _CHARACTER.sub(lambda match: match[0].replace("x", r"\u0078"), quoted)


def _write_plain_equality(condition: Condition, column: ColumnValues) -> str:
    """Return the values alone, where that is a cell that a program keeps and cxroute reads;
    otherwise nothing.
    """
    is_list = condition.operator == "in" and len(condition.values) > 1
    if column.kind == "confidence" or not (is_list or condition.operator == "equals"):
        return ""
    text = _write_values(condition, column)
    is_number = JSON_NUMBER.fullmatch(text)
    if is_number:
        return (
            text
            if sum(map(str.isdigit, text)) <= MOST_DIGITS and "e" not in text
            else ""
        )
    return "" if text.startswith(FORMULA_STARTS) else text


def _write_condition(condition: Condition, column: ColumnValues) -> str:
    operator = condition.operator
    if operator in INTERVALS:
        text = " and ".join(map(write_scalar, condition.values))
    else:
        text = _write_values(condition, column) or ("()" if operator in SETS else "")
    return f"{WORDS[operator]} {text}".strip()


def _write_values(condition: Condition, column: ColumnValues) -> str:
    if condition.operator not in EQUALITIES | SETS:
        return "; ".join(map(write_scalar, condition.values))
    shown = column.shown_values(condition.values)
    return "; ".join(write_scalar(value, column.spellings) for value in shown)


def _make_condition(
    text: str,
    attribute: str,
    operator: str,
    value: Value,
) -> Condition:
    try:
        return make_condition(attribute, operator, value)
    except ValueError as error:
        raise CellError(f"{quote_name(text)} has a value that {error}") from None


def _is_clear(text: str) -> bool:
    """Return whether a text without quotes can only be one value."""
    is_one = not _RESERVED.match(text) and not _SEVERAL.search(text)
    return is_one and bool(_UNQUOTED.fullmatch(text)) and is_visible(text)


def _can_be_known(text: str) -> bool:
    """Return whether a text without quotes is one value if the column has it."""
    return (
        not _RESERVED.match(text)
        and bool(_UNQUOTED.fullmatch(text))
        and _ITEM.fullmatch(text) is not None
    )


def _split_weight(text: str) -> tuple[str, str | None]:
    """Return the name and the weight after it; None if the text ends in none."""
    parts = text.rsplit(maxsplit=1)
    if len(parts) == 2 and _is_weight(parts[1]):  # noqa: PLR2004 - name and weight
        return parts[0], parts[1]
    return text, None


def _is_weight(text: str) -> bool:
    return bool(_WEIGHT.fullmatch(text)) and math.isfinite(float(text))


class _CellReader:
    """Reads a cell from left to right, from `position`.

    Each step costs no more than the characters that it passes.
    """

    def __init__(self, text: str) -> None:
        self.text, self.position = text, 0
        self.take(_NOTHING)

    @property
    def is_at_end(self) -> bool:
        """Return whether the whole cell is read."""
        return self.position >= len(self.text)

    @property
    def rest(self) -> str:
        """Return the text to read next, for a message."""
        return self.text[self.position :]

    def take(self, pattern: re.Pattern[str]) -> str:
        """Pass and return what the pattern matches here, and the space after it."""
        match = pattern.match(self.text, self.position)
        text = match[0] if match else ""
        space = _SPACE.match(self.text, self.position + len(text))
        self.position = space.end() if space else len(self.text)
        return text.rstrip()

    def take_and(self) -> None:
        """Pass the word `and`. Raises CellError."""
        if not self.take(_AND):
            raise CellError(
                f"{quote_name(self.text)}: expected 'and' before {quote_name(self.rest)}"
            )

    def read_test(self, column: ColumnValues) -> tuple[str, str, Value]:
        """Return the word of an operator, the operator, and its value."""
        word = self.take(OPENINGS).replace("≥", ">=").replace("≤", "<=")
        operator = OPERATORS[word]
        if operator in EXISTENCE or (operator in SETS and self.take(_EMPTY_LIST)):
            return word, operator, ()
        if operator in INTERVALS:
            low = self.read_scalar()
            self.take_and()
            return word, operator, (low, self.read_scalar())
        if operator not in EQUALITIES | SETS:
            return word, operator, self.read_scalar()

        values = self._read_listed_values(word, column)
        if operator in SETS:
            return word, operator, values
        if len(values) == 1:
            return word, operator, values[0]
        if word not in _WITH_SEVERAL_VALUES:
            raise CellError(
                f"{quote_name(self.text)} has one value after the word {word}, several after one of"
            )
        return word, _WITH_SEVERAL_VALUES[word], values

    def _read_listed_values(
        self,
        word: str,
        column: ColumnValues,
    ) -> tuple[Scalar, ...]:
        """Return the values after the word of an operator. Raises CellError without a value."""
        read_item = self.read_values
        if word == PLAIN_EQUALITY:
            read_item = self.read_plain_values
        items = self.read_list(lambda: read_item(column))
        # a group may have a value that stands beside it
        values = tuple(dict.fromkeys(chain.from_iterable(items)))
        if not values:
            raise CellError(
                f"{quote_name(self.text)}: there is no value after {quote_name(word)}"
            )
        return values

    def read_list(self, read_item: Callable[[], ItemT]) -> tuple[ItemT, ...]:
        """Return items between semicolons; none at the end of the text."""
        items = []
        while not self.is_at_end:
            items.append(read_item())
            if not self.take(_SEMICOLON):
                break
        return tuple(items)

    def read_plain_values(self, column: ColumnValues) -> tuple[Scalar, ...]:
        """Return a value or a group without a word before it: a known one may have the word `and`
        in it.
        """
        match = _UP_TO_SEMICOLON.match(self.text, self.position)
        text = match[0].rstrip() if match else ""
        is_known = (
            text in column.spellings
            and not _RESERVED.match(text)
            and _UNQUOTED.fullmatch(text)
        )
        if not is_known:
            return self.read_values(column)
        self.take(_UP_TO_SEMICOLON)
        return column.values_of(text)

    def read_values(self, column: ColumnValues) -> tuple[Scalar, ...]:
        """Return a value of the column, by its label or its name, or the values of a group."""
        if column.kind == "boolean" and (word := self.take(_TRUE_OR_FALSE)):
            return (word.lower(),)
        value = self.read_scalar(column.spellings)
        return column.values_of(value) if isinstance(value, str) else (value,)

    def read_scalar(self, known: Container[str] = ()) -> Scalar:
        """Return a text in quotes, a number, or a plain text up to a semicolon or `and`; `known`
        ones are clear.
        """
        if self.text.startswith('"', self.position):
            return self._read_quoted()
        text = self.take(_ITEM)
        if not text:
            raise CellError(f"{quote_name(self.text)}: a value is missing")
        if JSON_NUMBER.fullmatch(text) and not _ROUNDED.search(text):
            try:
                return parse_number(text)
            except ValueError:
                raise CellError(
                    f"{quote_name(text)} has too many digits for a number"
                ) from None
        if _is_clear(text) or (text in known and _can_be_known(text)):
            return text
        raise CellError(f"{quote_name(text)} is not clear")

    def read_queue(self) -> WeightedQueue:
        """Return a queue's name and its weight."""
        is_quoted = self.text.startswith('"', self.position)
        quoted = self._read_quoted() if is_quoted else ""
        name, weight = _split_weight(self.take(_UP_TO_SEMICOLON))
        if is_quoted:
            name, weight = quoted, name if weight is None else f"{name} {weight}"
        if weight and not _is_weight(weight):
            raise CellError(
                f"{quote_name(self.text)}: after the name expected a weight or a semicolon"
            )
        if not name:
            raise CellError(f"{quote_name(self.text)}: a queue's name is missing")
        return WeightedQueue(name, parse_number(weight) if weight else None)

    def _read_quoted(self) -> str:
        try:
            return str(json.loads(self.take(_QUOTED)))
        except ValueError:
            raise CellError(
                f'{quote_name(self.text)}: a text in quotes must be JSON, such as "10"'
            ) from None
