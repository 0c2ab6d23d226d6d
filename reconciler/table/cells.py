"""Conditions and targets as the text of a cell, and back: `card_arrival; card_linking`, `>= 0.6 and < 0.9`.

A value is written plainly only if no program for spreadsheets changes or evaluates it. Any other text is written as
JSON, in quotes: a number's text, a date, a formula, a text with invisible characters.
"""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple, TypeVar

from reconciler.model.rule import JSON_NUMBER, Condition, Scalar, Value, canonical_scalar, make_condition, parse_number
from reconciler.text.escape import is_visible, quote, quote_name

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

_LISTS: Final = {"one of": "in", "none of": "notIn"}
_TEXTS: Final = {
    "contains": "contains",
    "does not contain": "notContains",
    "starts with": "startsWith",
    "does not start with": "notStartsWith",
    "ends with": "endsWith",
    "does not end with": "notEndsWith",
}
_ORDERS: Final = {">=": "greaterThanOrEqual", "<=": "lessThanOrEqual", ">": "greaterThan", "<": "lessThan"}
_EXISTENCE: Final = {"present": "exists", "missing": "notExists"}
_NOTHING: Final = "()"  # an empty list
_WORDS: Final = {operator: word for words in (_LISTS, _TEXTS, _ORDERS, _EXISTENCE) for word, operator in words.items()}
_OPENINGS: Final = re.compile(
    rf"(?:{'|'.join((*_LISTS, *_TEXTS, *_EXISTENCE, 'between', 'not'))})(?![\w.-])|[<>]=?", re.ASCII
)
_RESERVED: Final = re.compile(rf"(?:{_OPENINGS.pattern}|and\b|true$|false$)", re.IGNORECASE)
_PLAIN: Final = re.compile(r"[^\W\d_](?:[\w./-]| (?=\w))*")
# What Excel and LibreOffice take for a date: "mar 1", "sept-2", "December 2026".
_DATE: Final = re.compile(r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[ ./-]?\d", re.IGNORECASE)
_UNQUOTED: Final = re.compile(r"[^\W\d][^\"“”„«»<>=]*")
_COMMA_NUMBER: Final = re.compile(r"-?\d+,\d+")
_END_OF_PLAIN: Final = re.compile(r";| and (?=\S)|$")
_WEIGHT: Final = re.compile(r"(.*?)\s+(\d+(?:\.\d+)?)")


class CellError(Exception):
    """A cell's text is no condition, or names no queue. The message begins after the name of the cell."""


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
    while not reader.at_end:
        operator, value = reader.read_test()
        try:
            conditions.append(make_condition(attribute, operator, value))
        except ValueError as error:
            raise CellError(f"{quote_name(text)}: {error}") from None
        if not reader.at_end:
            reader.expect("and")
    if sum(condition.operator in ("equals", "in") for condition in conditions) > 1:
        raise CellError(f"{quote_name(text)}: no value is both; a text with the word and must be in quotes")
    return tuple(conditions)


def write_queues(queues: Sequence[WeightedQueue]) -> str:
    """Return queues as a cell: `Cards`, `Cards 80; General 20`."""
    if len(queues) == 1 and queues[0].weight in (None, 1):
        return write_name(queues[0].name)
    return "; ".join(f"{write_name(queue.name)} {write_number(queue.weight or 0)}" for queue in queues)


def read_queues(text: str) -> tuple[WeightedQueue, ...]:
    """Return the queues of a cell. Raises CellError."""
    queues = _CellReader(text).read_list(_CellReader.read_queue)
    if not queues:
        raise CellError("a rule needs a queue")
    if len(queues) > 1 and None in (queue.weight for queue in queues):
        raise CellError(f"{quote_name(text)}: each of several queues needs a weight, such as Cards 80; General 20")
    return queues


def write_scalar(value: Scalar) -> str:
    """Return a value; a text that is not plain as JSON."""
    value = canonical_scalar(value)
    if not isinstance(value, str):
        return write_number(value)
    return _write_quoted(value) if _RESERVED.match(value) or " and " in value else write_name(value)


def write_name(name: str) -> str:
    """Return the name of a rule, queue or file; as JSON unless it is plain."""
    is_plain = _PLAIN.fullmatch(name) and is_visible(name) and not _DATE.match(name) and not _WEIGHT.fullmatch(name)
    return name if is_plain else _write_quoted(name)


def write_number(value: float) -> str:
    """Return a number as JSON."""
    return quote(value)


def _write_quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=not is_visible(text))


def _write_condition(condition: Condition) -> str:
    operator, value = condition.operator, condition.value
    if operator in _EXISTENCE.values():
        return _WORDS[operator]
    if operator == "between" and isinstance(value, tuple):
        return f"between {_bound(value[0])} and {_bound(value[1])}"
    if operator in _ORDERS.values():
        return f"{_WORDS[operator]} {_bound(value)}"
    if isinstance(value, tuple):
        items = "; ".join(map(write_scalar, value)) or _NOTHING
        is_short = operator == "in" and len(value) > 1
        return items if is_short else f"{_WORDS[operator]} {items}"
    if value is None:
        raise AssertionError(operator)
    words = {"equals": "", "notEquals": "not "}
    return f"{words[operator] if operator in words else f'{_WORDS[operator]} '}{write_scalar(value)}"


def _example(text: str) -> str:
    return text.replace(",", ".") if _COMMA_NUMBER.fullmatch(text) else _write_quoted(text)


def _bound(value: Value) -> str:
    if isinstance(value, tuple | str) or value is None:
        raise AssertionError(value)
    return write_number(value)


class _CellReader:
    """Reads a cell from left to right."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self._skip_space()

    @property
    def at_end(self) -> bool:
        return self.at == len(self.text)

    def read_test(self) -> tuple[str, Value]:
        """Return an operator and its value."""
        opening = _OPENINGS.match(self.text, self.at)
        word = opening[0] if opening else ""
        self._advance(len(word))
        if word in _EXISTENCE:
            return _EXISTENCE[word], None
        if operator := _TEXTS.get(word) or _ORDERS.get(word):
            return operator, self.read_scalar()
        if word == "between":
            low = self.read_scalar()
            self.expect("and")
            return "between", (low, self.read_scalar())
        values = self._read_values(word)
        if word in _LISTS or len(values) > 1:
            return _LISTS.get(word) or ("notIn" if word == "not" else "in"), values
        return "notEquals" if word == "not" else "equals", values[0]

    def _read_values(self, word: str) -> tuple[Scalar, ...]:
        if word in _LISTS and self.text.startswith(_NOTHING, self.at):
            self._advance(len(_NOTHING))
            return ()
        values = self.read_list(_CellReader.read_scalar)
        if not values:
            raise CellError(f"{quote_name(self.text)}: there is no value after {quote_name(word)}")
        return values

    def read_list(self, read_item: "Callable[[_CellReader], ItemT]") -> tuple[ItemT, ...]:
        """Return items between semicolons; none at the end of the text."""
        items = []
        while not self.at_end:
            items.append(read_item(self))
            if self.text[self.at : self.at + 1] != ";":
                break
            self._advance(1)
        return tuple(items)

    def read_scalar(self) -> Scalar:
        """Return a text in quotes, a number, or a plain text up to a semicolon or `and`."""
        if self.text[self.at : self.at + 1] == '"':
            return self._read_quoted()
        text = self._read_plain()
        if JSON_NUMBER.fullmatch(text):
            try:
                return parse_number(text)
            except ValueError:
                raise CellError(f"{quote_name(text)} has too many digits for a number") from None
        return text

    def read_queue(self) -> WeightedQueue:
        """Return a queue's name and its weight."""
        is_quoted = self.text[self.at : self.at + 1] == '"'
        name = self._read_quoted() if is_quoted else ""
        end = self.text.find(";", self.at)
        rest = self.text[self.at : end if end >= 0 else len(self.text)]
        self._advance(len(rest))
        weighted = _WEIGHT.fullmatch(f" {rest.strip()}" if is_quoted else rest.strip())
        if is_quoted and rest.strip() and not (weighted and not weighted[1]):
            raise CellError(f"{quote_name(self.text)}: after the name expected a weight or a semicolon")
        if weighted:
            return WeightedQueue(name or weighted[1], parse_number(weighted[2]))
        if not (name or rest.strip()):
            raise CellError(f"{quote_name(self.text)}: a queue's name is missing")
        return WeightedQueue(name or rest.strip(), None)

    def expect(self, word: str) -> None:
        """Pass a word. Raises CellError."""
        if not re.compile(rf"{word}(?!\w)").match(self.text, self.at):
            raise CellError(f"{quote_name(self.text)}: expected {word!r} before {quote_name(self.text[self.at :])}")
        self._advance(len(word))

    def _read_quoted(self) -> str:
        try:
            value, end = json.JSONDecoder().raw_decode(self.text, self.at)
        except ValueError:
            raise CellError(f'{quote_name(self.text)}: a text in quotes must be JSON, such as "10"') from None
        self._advance(end - self.at)
        return str(value)

    def _read_plain(self) -> str:
        end = _END_OF_PLAIN.search(self.text, self.at)
        text = self.text[self.at : end.start() if end else len(self.text)]
        self._advance(len(text))
        if not text.strip():
            raise CellError(f"{quote_name(self.text)}: a value is missing")
        text = text.strip()
        if not (JSON_NUMBER.fullmatch(text) or (_UNQUOTED.fullmatch(text) and is_visible(text))):
            remedy = "a number has a decimal point" if _COMMA_NUMBER.fullmatch(text) else "write a text in quotes"
            raise CellError(f"{quote_name(text)} is not clear: {remedy}, such as {_example(text)}")
        return text

    def _advance(self, count: int) -> None:
        self.at += count
        self._skip_space()

    def _skip_space(self) -> None:
        self.at += len(self.text) - self.at - len(self.text[self.at :].lstrip())
