"""Evaluation of a snippet in one dialect: the variables that it assigns. Numbers are exact."""

import operator
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final

from reconciler.model.rule import parse_number
from reconciler.studio.dialect import Dialect, text_key
from reconciler.studio.language import Expression, SnippetError, Statement, parse_expression

_Value = str | int | Fraction | None  # None: the variable is not defined
_MAX_BITS: Final = 8192  # of a number: a snippet may square one on each line
_MAX_TEXT: Final = 1024 * 1024
_MAX_EXPONENT: Final = 64
_MAX_FLOAT: Final = 10**300
_OPERATORS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "^": operator.pow,
}


def run_snippet(
    statements: Sequence[Statement],
    variables: Mapping[str, str | float],
    dialect: Dialect,
    contact_id: int = 0,
    traces: list[str] | None = None,
) -> dict[str, str | int | float]:
    """Return the variables after a run, by their names in lower case; `traces` receives the texts of TRACE.

    Raises SnippetError for a part that is not documented, and for a result that is not a number.
    """
    values: dict[str, _Value] = {name.lower(): _from_python(value) for name, value in variables.items()}
    values["contactid"] = contact_id
    _Run(values, dialect, [] if traces is None else traces).run(statements)
    return {name: _to_python(value) for name, value in values.items() if value is not None}


class _Run:
    def __init__(self, values: dict[str, _Value], dialect: Dialect, traces: list[str]) -> None:
        self.values = values
        self.dialect = dialect
        self.traces = traces
        self.line = 0

    def run(self, statements: Sequence[Statement]) -> None:
        """Execute statements."""
        for statement in statements:
            self.line = statement.line
            match statement.kind:
                case "assign":
                    self.values[statement.text] = self._evaluate(statement.expressions[0])
                case "if":
                    is_true = self._is_true(self._evaluate(statement.expressions[0]))
                    self.run(statement.body if is_true else statement.otherwise)
                case "select" | "switch":
                    self._run_branch(statement)
                case "trace":
                    self.traces.append(_text(self._evaluate(statement.expressions[0])))
                case "comment":
                    pass
                case _:
                    raise self._error("cxroute does not understand this statement")

    def _run_branch(self, selection: Statement) -> None:
        default: Sequence[Statement] = ()
        for branch in selection.body:
            self.line = branch.line
            if branch.kind == "default":
                default = branch.body
            elif branch.kind != "case":
                self.run([branch])
            elif any(self._is_taken(selection, expression) for expression in branch.expressions):
                return self.run(branch.body)
        return self.run(default)

    def _is_taken(self, selection: Statement, expression: Expression) -> bool:
        if selection.kind == "switch":
            return self._compare("=", selection.expressions[0], expression)
        return self._is_true(self._evaluate(expression))

    def _evaluate(self, node: Expression) -> _Value:
        match node.kind:
            case "group":
                return self._evaluate(node.parts[0])
            case "operation":
                return self._operate(node.text.split(), node.parts)
            case "variable":
                return self.values.get(node.text)
            case "text":
                return self._substitute(node.text) if "{" in node.text else node.text
            case "number":
                return _number_of(node.text)
            case "call":
                return self._call(node.text, *map(_text, map(self._evaluate, node.parts)))
        raise self._error("cxroute does not understand this expression")

    def _is_true(self, value: _Value) -> bool:
        return bool(self._as_number(value))

    def _operate(self, symbols: Sequence[str], parts: Sequence[Expression]) -> _Value:
        first = symbols[0]
        if first in ("&", "|") and len({*symbols}) == 1:
            truths = (self._is_true(self._evaluate(part)) for part in parts)
            return int(all(truths) if first == "&" else any(truths))
        if first[0] in "=!<>":
            if len(symbols) > 1:
                raise self._error("a comparison of a comparison is not documented; add parentheses")
            return int(self._compare(first, *parts))
        value = self._evaluate(parts[0])
        for symbol, part in zip(symbols, parts[1:], strict=True):
            value = self._combine(symbol, value, self._evaluate(part))
        return value

    def _combine(self, symbol: str, left: _Value, right: _Value) -> _Value:
        if symbol in "|~":
            truths = self._is_true(left), self._is_true(right)
            return int(any(truths) if symbol == "|" else truths[0] != truths[1])
        first, second = self._as_number(left), self._as_number(right)
        if first is None or second is None:  # a text and an undefined variable are ignored
            return (first or 0) if second is None else second
        if symbol == "^" and not (isinstance(second, int) and abs(second) <= _MAX_EXPONENT):
            raise self._error(f"an exponent is not an integer up to {_MAX_EXPONENT}")
        try:
            result = Fraction(_OPERATORS[symbol](Fraction(first), second))
        except ZeroDivisionError:
            raise self._error("a division by zero") from None
        if result.numerator.bit_length() + result.denominator.bit_length() > _MAX_BITS:
            raise self._error("a number is too large")
        return _reduced(result)

    def _compare(self, symbol: str, left: Expression, right: Expression) -> bool:
        first, second = self._evaluate(left), self._evaluate(right)
        if not (_is_text_variable(left) or _is_text_variable(right)):
            numbers = self._as_number(first), self._as_number(second)
            if self.dialect.mixed_is_zero and numbers != (None, None):
                numbers = numbers[0] or 0, numbers[1] or 0
            if None not in numbers:
                return bool(_OPERATORS[symbol](*numbers))
        keys = text_key(self.dialect, _text(first)), text_key(self.dialect, _text(second))
        return bool(_OPERATORS[symbol](*keys))

    def _as_number(self, value: _Value) -> int | Fraction | None:
        if isinstance(value, str):
            return _number_of(value) if self.dialect.digit_text_is_number else None
        return value

    def _call(self, method: str, text: str, *arguments: str) -> _Value:
        match method, arguments:
            case "contains", [part]:
                return int(text_key(self.dialect, part) in text_key(self.dialect, text))
            case "beginswith", [part]:
                return int(text_key(self.dialect, text).startswith(text_key(self.dialect, part)))
            case "left", [count] if count.isdecimal():
                return text[: int(count[:9])]
            case "length", []:
                return len(text)
            case "replace", [old, new] if old and len(text) + text.count(old) * len(new) <= _MAX_TEXT:
                return text.replace(old, new)
        raise self._error(f"cxroute does not understand the method `{method}`")

    def _substitute(self, text: str) -> str:
        start, *pieces = text.split("{")
        for piece in pieces:
            expression, brace, rest = piece.partition("}")
            start += f"{_text(self._evaluate(_parsed(expression)))}{rest}" if brace else f"{{{piece}"
            if len(start) > _MAX_TEXT:
                raise self._error("a text is too large")
        return start

    def _error(self, message: str) -> SnippetError:
        return SnippetError(self.line, message)


def _is_text_variable(node: Expression) -> bool:
    while node.kind == "group":
        node = node.parts[0]
    return node.kind == "variable" and node.text.endswith("$")


_parsed = lru_cache(1024)(parse_expression)


@lru_cache(4096)
def _number_of(text: str) -> int | Fraction | None:
    try:
        parse_number(text)
    except ValueError:
        return None
    return _reduced(Fraction(text))


def _reduced(number: Fraction) -> int | Fraction:
    return number.numerator if number.denominator == 1 else number


def _text(value: _Value) -> str:
    if isinstance(value, Fraction):
        return format(Decimal(value.numerator) / Decimal(value.denominator), "f")
    return "" if value is None else str(value)


def _from_python(value: str | float) -> str | int | Fraction:
    if isinstance(value, float) and not value.is_integer():
        return Fraction(repr(value))
    return value if isinstance(value, str) else int(value)


def _to_python(value: str | int | Fraction) -> str | int | float:
    if isinstance(value, Fraction):
        return float(value) if abs(value) < _MAX_FLOAT else int(value)
    return value
