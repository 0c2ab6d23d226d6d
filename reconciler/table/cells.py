"""Conditions and targets as the text of a cell, and back: `card_arrival; card_linking`, `>= 0.6 and < 0.9`.

A value is written plainly only if no program for spreadsheets changes or evaluates it. Any other text is written as
JSON, in quotes: a number's text, a date, a formula, a text with invisible characters.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from reconciler.manifest.yaml_writer import format_scalar
from reconciler.model.rule import JSON_NUMBER, Condition, Scalar, Value, canonical_scalar, make_condition, parse_number
from reconciler.text.escape import is_visible, quote_name
from reconciler.text.phrases import VERBS

ItemT = TypeVar("ItemT")

SYNTAX: Final = (
    ("gold", "the value is gold"),
    ("gold; platinum", "the value is one of these"),
    ("not gold", "there is a value, and it is another one"),
    (">= 0.6", "the number is at least 0.6; also >, <= and <"),
    ("between 10 and 20", "the number is from 10 to 20, both included"),
    ("contains abc", "also: starts with, ends with, does not contain, does not start with, does not end with"),
    ("present", "there is a value"),
    ("missing", "there is no value"),
    (">= 0.6 and < 0.9", "both hold"),
    ('"10"', "the text 10, not the number; texts with ; or other signs are in quotes, too"),
)
"""Examples of a condition's cell, each with its meaning."""

# The words before a condition's value, by operator: those of phrases, or shorter ones.
_EQUALITIES: Final = {"equals": "", "notEquals": "not"}
_LISTS: Final = {"in": "one of", "notIn": "none of"}
_EXISTENCE: Final = {"exists": "present", "notExists": "missing"}
_WORDS: Final = VERBS | _EQUALITIES | _LISTS | _EXISTENCE | {"between": "between"}
_OPERATORS: Final = {word: operator for operator, word in _WORDS.items()}
_OPENINGS: Final = re.compile(
    rf"(?:{'|'.join(word for word in _OPERATORS if word[:1].isalpha())})(?![\w.-])|[<>]=?|[≥≤]", re.ASCII
)
# TRUE and FALSE of programs in English, German, French, Spanish, Italian, Portuguese, Dutch, Polish, and Nordic ones.
_BOOLEAN: Final = (
    "true|false|wahr|falsch|vrai|faux|verdadero|falso|vero|verdadeiro|waar|onwaar|prawda|fałsz"
    "|sant|falskt?|sand|u?sann|tosi|epätosi"
)
_RESERVED: Final = re.compile(rf"(?:{_OPENINGS.pattern}|and\b|(?:{_BOOLEAN})$)", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[^\W\d_](?:[\w./-]| (?=\w))*")
# What Excel and LibreOffice take for a date, or a boolean: "mar 1", "sept-2", "December 2026", "wahr".
_CHANGED: Final = re.compile(
    rf"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ ./-]?\d|(?:{_BOOLEAN})$", re.IGNORECASE
)
_UNQUOTED: Final = re.compile(r"[^\W\d][^\"“”„«»<>=]*")
_SEVERAL: Final = re.compile(r",|\b(?:and|or)\b", re.IGNORECASE)
# "10,000" and "10.000" may be ten thousand; a program writes 1.23E+11 for digits that it does not show.
_ROUNDED: Final = re.compile(r"^-?[1-9][0-9]{0,2}(?:,[0-9]{3}|\.[0-9]{2}0)+$|\dE[+-]?\d", re.ASCII)
_COMMA_NUMBER: Final = re.compile(r"-?\d+,\d+")
_WEIGHT: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})(?:\.[0-9]{1,15})?(?=\s*(?:;|$))")
_QUEUE: Final = re.compile(rf"[^;]+?(?=\s+{_WEIGHT.pattern}|\s*(?:;|$))")


class CellError(Exception):
    """A cell that cannot be read. The message begins after the name of the cell."""


class WeightedQueue(NamedTuple):
    """A queue's name and its weight; None if the cell has none."""

    name: str
    weight: int | float | None


def write_conditions(conditions: Iterable[Condition]) -> str:
    """Return all conditions on one attribute as a cell."""
    return " and ".join(map(_write_condition, conditions))


def read_conditions(attribute: str, text: str) -> tuple[Condition, ...]:
    """Return the conditions of an attribute's cell; an empty cell has none. Raises CellError."""
    reader, conditions = _CellReader(text), []
    while reader.rest:
        operator, value = reader.read_test()
        try:
            conditions.append(make_condition(attribute, operator, value))
        except ValueError as error:
            raise CellError(f"{quote_name(text)}: {error}") from None
        if reader.rest:
            reader.take_and()
    if len(conditions) > 1 and any(condition.operator in ("equals", "in") for condition in conditions):
        raise CellError(
            f"{quote_name(text)}: a value needs no other condition; a text with the word and must be in quotes"
        )
    return tuple(conditions)


def write_queues(queues: Sequence[WeightedQueue]) -> str:
    """Return queues as a cell: `Cards`, `Cards 80; General 20`."""
    if len(queues) == 1 and queues[0].weight in (None, 1):
        return write_name(queues[0].name)
    return "; ".join(f"{write_name(name)} {format_scalar(weight)}" for name, weight in queues)


def read_queues(text: str) -> tuple[WeightedQueue, ...]:
    """Return the queues of a cell. Raises CellError."""
    reader = _CellReader(text)
    queues = reader.read_list(reader.read_queue)
    if not queues:
        raise CellError("a rule needs a queue")
    if len(queues) > 1 and None in (queue.weight for queue in queues):
        raise CellError(f"{quote_name(text)}: each of several queues needs a weight, such as Cards 80; General 20")
    return queues


def write_scalar(value: Scalar) -> str:
    """Return a number, or a text that is in quotes unless it is plain."""
    value = canonical_scalar(value)
    if not isinstance(value, str):
        return format_scalar(value)
    return write_quoted(value) if _RESERVED.match(value) or " and " in value else write_name(value)


def write_name(name: str) -> str:
    """Return the name of a rule, queue or file; as JSON unless it is plain."""
    has_weight = _CellReader(name).take(_QUEUE) != name
    is_plain = _PLAIN.fullmatch(name) and is_visible(name) and not _CHANGED.match(name) and not has_weight
    return name if is_plain else write_quoted(name)


def write_quoted(text: str) -> str:
    """Return a text as JSON."""
    return json.dumps(text, ensure_ascii=not is_visible(text))


def _write_condition(condition: Condition) -> str:
    operator = condition.operator
    items = (" and " if operator == "between" else "; ").join(map(write_scalar, condition.values))
    if operator == "in" and len(condition.values) > 1:
        return items
    return f"{_WORDS[operator]} {items or ('()' if operator in _LISTS else '')}".strip()


class _CellReader:
    """Reads a cell from left to right; `rest` is the text to read next."""

    def __init__(self, text: str) -> None:
        self.text, self.rest = text, text.lstrip()

    def take(self, pattern: str | re.Pattern[str]) -> str:
        """Pass and return what the pattern matches here, and the space after it."""
        match = re.match(pattern, self.rest)
        text = match[0] if match else ""
        self.rest = self.rest[len(text) :].lstrip()
        return text.rstrip()

    def take_and(self) -> None:
        """Pass the word `and`. Raises CellError."""
        if not self.take(r"and(?!\w)"):
            raise CellError(f"{quote_name(self.text)}: expected 'and' before {quote_name(self.rest)}")

    def read_test(self) -> tuple[str, Value]:
        """Return an operator and its value."""
        word = self.take(_OPENINGS).replace("≥", ">=").replace("≤", "<=")
        operator = _OPERATORS[word]
        if operator in _EXISTENCE or (operator in _LISTS and self.take(r"\(\)")):
            return operator, ()
        if operator == "between":
            low = self.read_scalar()
            self.take_and()
            return operator, (low, self.read_scalar())
        if operator not in (*_EQUALITIES, *_LISTS):
            return operator, self.read_scalar()
        values = self.read_list(self.read_scalar)
        if not values:
            raise CellError(f"{quote_name(self.text)}: there is no value after {quote_name(word)}")
        if operator in _EQUALITIES and len(values) == 1:
            return operator, values[0]
        return "notIn" if operator in ("notEquals", "notIn") else "in", values

    def read_list(self, read_item: Callable[[], ItemT]) -> tuple[ItemT, ...]:
        """Return items between semicolons; none at the end of the text."""
        items = []
        while self.rest:
            items.append(read_item())
            if not self.take(";"):
                break
        return tuple(items)

    def read_scalar(self) -> Scalar:
        """Return a text in quotes, a number, or a plain text up to a semicolon or `and`."""
        if self.rest.startswith('"'):
            return self._read_quoted()
        text = self.take(r"(?s:(?!;| and \S).)*")
        if not text:
            raise CellError(f"{quote_name(self.text)}: a value is missing")
        if JSON_NUMBER.fullmatch(text) and not _ROUNDED.search(text):
            try:
                return parse_number(text)
            except ValueError:
                raise CellError(f"{quote_name(text)} has too many digits for a number") from None
        if _UNQUOTED.fullmatch(text) and is_visible(text) and not _RESERVED.match(text) and not _SEVERAL.search(text):
            return text
        remedy = f"write a text in quotes, such as {write_quoted(text)}"
        if _ROUNDED.search(text):
            remedy = "write all digits of a number, without a separator, such as 10000"
        elif _COMMA_NUMBER.fullmatch(text):
            remedy = f"a number has a decimal point, such as {text.replace(',', '.')}"
        raise CellError(f"{quote_name(text)} is not clear: {remedy}")

    def read_queue(self) -> WeightedQueue:
        """Return a queue's name and its weight."""
        name = self._read_quoted() if self.rest.startswith('"') else self.take(_QUEUE)
        weight = self.take(_WEIGHT)
        if self.rest and not self.rest.startswith(";"):
            raise CellError(f"{quote_name(self.text)}: after the name expected a weight or a semicolon")
        if not name:
            raise CellError(f"{quote_name(self.text)}: a queue's name is missing")
        return WeightedQueue(name, parse_number(weight) if weight else None)

    def _read_quoted(self) -> str:
        try:
            return str(json.loads(self.take(r'"(?:[^"\\]|\\.)*"')))
        except ValueError:
            raise CellError(f'{quote_name(self.text)}: a text in quotes must be JSON, such as "10"') from None
