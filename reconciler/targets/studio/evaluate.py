"""Evaluation of a snippet in one dialect: the variables that it assigns. Numbers are exact.

A dialect is a possible combination of the undocumented facts about comparisons in Studio.
"""

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from itertools import product
from typing import Any, Final, NamedTuple

from reconciler.core.model.rule import parse_number
from reconciler.targets.studio.conditions import TESTS
from reconciler.targets.studio.language import (
    Expression,
    SnippetError,
    Statement,
    plain,
)

FACTS: Final = ("caseSensitive", "trimsBlanks", "digitTextIsNumber", "mixedIsZero")
"""The names of the facts in manifests and in the probe's result, in the order of a Dialect's
fields."""
_Value = str | int | Fraction | None  # None: the variable is not defined
_MAX_TEXT: Final = 1024 * 1024
_MAX_FLOAT: Final = 10**300
_SUBSTITUTION: Final = re.compile(r"\{ *([A-Za-z_][A-Za-z0-9_]*\$?) *\}", re.ASCII)
_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    **TESTS,
    "!=": operator.ne,
}
# a snippet cannot make a number much longer with these
_ARITHMETIC: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "%": operator.mod,
}


class Dialect(NamedTuple):
    """One combination of the facts."""

    case_sensitive: bool  # of `=`, `contains` and `beginswith`
    trims_blanks: bool  # of both sides of a comparison
    digit_text_is_number: bool  # text of digits, compared without `$`
    # a text that is not a number counts as 0 beside a number; else both are compared as text
    mixed_is_zero: bool

    def text_key(self, text: str) -> str:
        """Return a key of a text: texts with one key are equal in the dialect."""
        text = text.strip() if self.trims_blanks else text
        return text if self.case_sensitive else text.casefold()

    def __str__(self) -> str:
        """Return the facts that differ from PLAIN, as in manifests."""
        facts = [
            (name, fact)
            for name, fact, usual in zip(FACTS, self, PLAIN, strict=True)
            if fact != usual
        ]
        return (
            ", ".join(f"{name}: {str(fact).lower()}" for name, fact in facts)
            or "any dialect"
        )


PLAIN: Final = Dialect(
    case_sensitive=True,
    trims_blanks=False,
    digit_text_is_number=False,
    mixed_is_zero=False,
)
"""The dialect that compares texts as rules do."""
BROAD: Final = PLAIN._replace(case_sensitive=False, trims_blanks=True)
"""The dialect in which all texts are equal that are equal in any dialect."""


def possible_dialects(facts: Mapping[str, bool]) -> tuple[Dialect, ...]:
    """Return the dialects that the facts do not rule out, PLAIN first; an absent fact is
    unknown.
    """
    choices = [
        (facts[name],) if name in facts else (each, not each)
        for name, each in zip(FACTS, PLAIN, strict=True)
    ]
    return tuple(Dialect(*choice) for choice in product(*choices))


def differing_on_texts(dialects: Iterable[Dialect]) -> tuple[Dialect, ...]:
    """Return one dialect of those that compare texts alike: a block compares numbers in the same
    way in all.
    """
    return tuple({each[:2]: each for each in reversed([*dialects])}.values())[::-1]


def run_snippet(
    statements: Sequence[Statement],
    variables: Mapping[str, str | float],
    dialect: Dialect,
    contact_id: int = 0,
) -> dict[str, str | int | float]:
    """Return the variables after a run, by their names in lower case.

    Raises SnippetError for a part that decisions do not use, and for a text without a bound.
    """
    values: dict[str, _Value] = {"contactid": contact_id}
    for name, value in variables.items():
        values.setdefault(
            name.lower(), value if isinstance(value, str) else Fraction(str(value))
        )
    _Run(values, dialect).run(statements)
    return {
        name: _to_python(value) for name, value in values.items() if value is not None
    }


class _Run:
    def __init__(self, values: dict[str, _Value], dialect: Dialect) -> None:
        self.values, self.dialect = values, dialect
        self.line = 0

    def run(self, statements: Sequence[Statement]) -> None:
        """Execute statements."""
        for statement in statements:
            self.line = statement.line
            match statement.kind:
                case "comment" | "trace":
                    pass
                case "assign":
                    self.values[statement.text] = self._evaluate(
                        statement.expressions[0]
                    )
                case "if":
                    is_true = self._is_true(statement.expressions[0])
                    self.run(statement.body if is_true else statement.otherwise)
                case "select" | "switch":
                    self.run(self._chosen(statement))
                case _:
                    raise self._error("cxroute does not understand this statement")

    def _chosen(self, selection: Statement) -> Sequence[Statement]:
        default: Sequence[Statement] = ()
        value = selection.expressions  # of a SWITCH
        for branch in selection.body:
            self.line = branch.line
            tests = [
                Expression("operation", "=", (*value, each)) if value else each
                for each in branch.expressions
            ]
            if branch.kind == "default":
                default = branch.body
            elif branch.kind != "case":
                self.run([branch])
            elif any(map(self._is_true, tests)):
                return branch.body
        return default

    def _is_true(self, node: Expression) -> bool:
        return bool(self._as_number(self._evaluate(node)))

    def _evaluate(self, node: Expression) -> _Value:
        match node.kind:
            case "group":
                return self._evaluate(node.parts[0])
            case "operation":
                return self._operate(node.text.split(), node.parts)
            case "variable":
                return self.values.get(node.text)
            case "text":
                return self._substitute(node.text)
            case "number":
                return _number_of(node.text)
            case "call":
                return self._call(node.text, *node.parts)
        raise self._error("cxroute does not understand this expression")

    def _call(self, method: str, receiver: Expression, argument: Expression) -> _Value:
        text = _text(self._evaluate(receiver))
        value = self._evaluate(argument)
        if method == "left" and isinstance(value, int):
            return text[: max(value, 0)]
        key = self.dialect.text_key(text)
        part = self.dialect.text_key(_text(value))
        if method == "contains":
            return int(part in key)
        if method == "beginswith":
            return int(key.startswith(part))
        raise self._error("cxroute does not understand this expression")

    def _operate(self, symbols: Sequence[str], parts: Sequence[Expression]) -> _Value:
        if {*symbols} in ({"&"}, {"|"}):
            truths = map(self._is_true, parts)
            return int(all(truths) if symbols[0] == "&" else any(truths))
        if symbols == ["~"]:
            return int(self._is_true(parts[0]) != self._is_true(parts[1]))
        if len(symbols) == 1 and symbols[0] in _COMPARISONS:
            return int(self._compare(symbols[0], *parts))
        value = self._evaluate(parts[0])
        for symbol, part in zip(symbols, parts[1:], strict=True):
            value = self._calculate(
                symbol,
                self._as_number(value),
                self._as_number(self._evaluate(part)),
            )
        return value

    def _calculate(
        self,
        symbol: str,
        left: int | Fraction | None,
        right: int | Fraction | None,
    ) -> int | Fraction:
        if symbol not in _ARITHMETIC:
            raise self._error(f"cxroute does not understand `{symbol}` here")
        # a text and an undefined variable are ignored
        if left is None or right is None:
            return left or right or 0
        if symbol == "%" and not right:
            raise self._error("a division by zero")
        result: int | Fraction = _ARITHMETIC[symbol](left, right)
        return result

    def _compare(self, symbol: str, left: Expression, right: Expression) -> bool:
        first = self._evaluate(left)
        second = self._evaluate(right)
        if not any(
            side.kind == "variable" and side.text.endswith("$")
            for side in map(plain, (left, right))
        ):
            numbers = self._as_number(first), self._as_number(second)
            if self.dialect.mixed_is_zero and numbers != (None, None):
                numbers = numbers[0] or 0, numbers[1] or 0
            if None not in numbers:
                return _COMPARISONS[symbol](*numbers)
        return _COMPARISONS[symbol](
            self.dialect.text_key(_text(first)), self.dialect.text_key(_text(second))
        )

    def _as_number(self, value: _Value) -> int | Fraction | None:
        if isinstance(value, str):
            return _number_of(value) if self.dialect.digit_text_is_number else None
        return value

    def _substitute(self, text: str) -> str:
        filled = _SUBSTITUTION.sub(
            lambda match: _text(self.values.get(match[1].lower())), text
        )
        if len(filled) > _MAX_TEXT:
            raise self._error("a text is too large")
        return filled

    def _error(self, message: str) -> SnippetError:
        return SnippetError(self.line, message)


@lru_cache(4096)
def _number_of(text: str) -> int | Fraction | None:
    try:
        parse_number(text)
    except ValueError:
        return None
    number = Fraction(text)
    return number.numerator if number.denominator == 1 else number


@lru_cache(4096)
def _text(value: _Value) -> str:
    if isinstance(value, Fraction):
        return format(
            Decimal(value.numerator) / Decimal(value.denominator), "f"
        ).removesuffix(".0")
    return "" if value is None else str(value)


def _to_python(value: str | int | Fraction) -> str | int | float:
    if isinstance(value, Fraction):
        return (
            float(value)
            if value.denominator > 1 and abs(value) < _MAX_FLOAT
            else int(value)
        )
    return value
