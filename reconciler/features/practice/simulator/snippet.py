"""SNIPPET code of Studio scripts: checks and runs the part of the language that managed blocks and
the probe need.

It follows documents, not a tenant. Four facts about comparisons are in no document: they are
settings (`SimDialect`). Left out: SWITCH, objects, `$"..."`, other methods, and expressions between
braces in a text.
"""

import operator as op
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import (
    Context,
    Decimal,
    DivisionByZero,
    InvalidOperation,
    Overflow,
    localcontext,
)
from typing import Any, Final, NamedTuple

Value = str | Decimal | None  # None: undefined
# A value, and whether it is a variable whose name ends in $: comparisons with it are of text.
Operand = tuple[Value, bool]

_MAX_TEXT: Final = 32_768  # characters of a text
_NUMBERS: Final = Context(
    prec=150,
    Emin=-5000,
    Emax=5000,
    traps=[DivisionByZero, InvalidOperation, Overflow],
)
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TOKENS: Final = re.compile(
    r'[ \t\r\f\v]+|//[^\n]*|(?P<END>\n)|(?P<TEXT>"[^"\n]*")|(?P<NUMBER>[0-9]+(?:\.[0-9]+)?)|(?P<NAME>[a-z_][a-z0-9_$]*)'
    r"|(?P<SYMBOL>[!<>]=|[=<>&|~+*/%^(){}-]|\.(?:contains|beginswith)(?=\())|(?P<UNKNOWN>.)",
    re.ASCII | re.IGNORECASE,
)
_INSERTED: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*\$?)\}")  # a variable in a text
_AFTER_LINE_ENDS: Final = ("{", "}", "case", "default", "else")
_Functions = Mapping[str, Callable[..., Any]]  # by operator
_LOGIC: Final[_Functions] = {"|": op.or_, "~": op.xor, "&": op.and_}
_ORDER: Final[_Functions] = {
    "=": op.eq,
    "!=": op.ne,
    ">": op.gt,
    ">=": op.ge,
    "<": op.lt,
    "<=": op.le,
}
_ARITHMETIC: Final[_Functions] = dict(
    zip("+-*/%^", (op.add, op.sub, op.mul, op.truediv, op.mod, op.pow), strict=True)
)
# The argument is in parentheses.
_METHODS: Final[_Functions] = {".contains": op.contains, ".beginswith": str.startswith}
# The precedence is a guess.
_LEVELS: Final = ("|~", "&", _ORDER, "+-", "*/%", "^", _METHODS)
_LEVEL: Final = {
    symbol: level for level, symbols in enumerate(_LEVELS) for symbol in symbols
}


class SimDialect(NamedTuple):
    """How texts and numbers are compared. The defaults are guesses."""

    case_sensitive: bool = False
    trims_blanks: bool = False
    # Text of digits, in arithmetic and in a comparison without `$`.
    digit_text_is_number: bool = True
    mixed_is_zero: bool = False  # text that is not a number, compared with a number


class SimSnippet:
    """A snippet, which runs while it is parsed: where `is_active` is false, it is only parsed."""

    def __init__(
        self,
        code: str,
        variables: dict[str, Value],
        dialect: SimDialect,
        *,
        is_active: bool,
    ) -> None:
        """`variables` have names in lower case, and a run changes them."""
        tokens = ((match.lastgroup or "", match[0]) for match in _TOKENS.finditer(code))
        self._tokens = [*filter(op.itemgetter(0), tokens), ("EOF", "")]
        self._at = 0
        self._dialect = dialect
        self._is_active = is_active
        self._variables = variables
        self.traces: list[str] = []

    def run(self) -> str:
        """Run the code.

        If it fails, it stops: return the reason, which the variable _ERR holds too; otherwise "".
        """
        try:
            with localcontext(_NUMBERS):
                self._statements("EOF")
        except (ArithmeticError, RecursionError, ValueError) as error:
            reason = type(error).__name__
            if isinstance(error, ValueError):
                reason = str(error)
            self._variables["_err"] = reason
            return reason
        return ""

    def _statements(self, end: str) -> None:
        while self._take(end) is None:
            if not self._take("END"):
                self._statement(self._need("NAME").lower())

    def _statement(self, word: str) -> None:
        if word == "if":
            holds = self._condition()
            self._block(holds)
            if self._take("else"):
                self._block(not holds)
        elif word == "select":
            self._select()
        elif word == "trace":
            value, _ = self._expression()
            if self._is_active:
                self.traces.append(script_text(value))
        else:
            name = self._need("NAME").lower() if word == "assign" else word
            self._need("=")
            value, _ = self._expression()
            if self._is_active:
                self._variables[name] = value
            if self._tokens[self._at][1] not in ("", "}"):
                self._need("END")

    def _select(self) -> None:
        self._need("{")
        was_active = self._is_active
        while not self._take("}"):
            holds = self._take("default") is not None
            if not holds:
                self._need("case")
                holds = self._condition()
                while self._take("case"):
                    holds |= self._condition()
            self._block(holds)
            self._is_active &= not holds
        self._is_active = was_active

    def _block(self, holds: bool) -> None:  # noqa: FBT001 - the value of a condition
        self._need("{")
        was_active = self._is_active
        self._is_active = was_active and holds
        self._statements("}")
        self._is_active = was_active

    def _condition(self) -> bool:
        value, _ = self._expression()
        return bool(self._number(value))

    def _expression(self, least: int = 0) -> Operand:
        left = self._operand()
        while True:
            symbol = self._tokens[self._at][1].lower()
            level = _LEVEL.get(symbol, -1)
            if level < least:
                return left
            self._at += 1
            right = self._expression(level + 1)
            left = (self._apply(symbol, left, right), False)

    def _apply(self, symbol: str, *operands: Operand) -> Value:
        if not self._is_active:
            return None
        values = [value for value, _ in operands]
        numbers = [self._number(value) for value in values]
        if symbol in _LOGIC:
            return Decimal(_LOGIC[symbol](*map(bool, numbers)))
        if symbol in _ARITHMETIC:
            # An undefined variable, and text that is not a number, are ignored.
            terms = [number for number in numbers if number is not None]
            result = _ARITHMETIC[symbol](*terms) if len(terms) > 1 else sum(terms)
            return Decimal(result)
        if symbol in _METHODS or self._compares_texts(operands):
            keys = map(self._key, values)
            return Decimal({**_ORDER, **_METHODS}[symbol](*keys))
        terms = [number or Decimal(0) for number in numbers]
        return Decimal(_ORDER[symbol](*terms))

    def _compares_texts(self, operands: Sequence[Operand]) -> bool:
        """Return whether a comparison of these operands is one of texts."""
        if any(is_text for _, is_text in operands):
            return True
        values = [value for value, _ in operands]
        has_number = any(isinstance(value, Decimal) for value in values)
        is_zero = self._dialect.mixed_is_zero and has_number
        return not is_zero and None in map(self._number, values)

    def _operand(self) -> Operand:
        if self._take("("):
            operand = self._expression()
            self._need(")")
        elif number := self._take("NUMBER"):
            operand = (_NUMBERS.create_decimal(number), False)
        elif text := self._take("TEXT"):
            operand = (self._substitute(text[1:-1]), False)
        else:
            name = self._need("NAME").lower()
            operand = (self._variables.get(name), name.endswith("$"))
        return operand

    def _substitute(self, text: str) -> str:
        result = ""
        for index, part in enumerate(_INSERTED.split(text)):
            is_variable = index % 2 == 1
            if is_variable:
                result += script_text(self._variables.get(part.lower()))
            else:
                result += part
            if len(result) > _MAX_TEXT:
                raise ValueError(f"a text is longer than {_MAX_TEXT} characters")
        return result

    def _key(self, value: Value) -> str:
        # Returns a value as comparisons of text see it.
        text = script_text(value)
        if self._dialect.trims_blanks:
            text = text.strip()
        return text if self._dialect.case_sensitive else text.casefold()

    def _number(self, value: Value) -> Decimal | None:
        if not isinstance(value, str):
            return value
        if self._dialect.digit_text_is_number and _NUMBER.fullmatch(value):
            return _NUMBERS.create_decimal(value)
        return None

    def _take(self, word: str) -> str | None:
        # Returns the next token if it is this word or of this kind.
        at = self._at
        while word in _AFTER_LINE_ENDS and self._tokens[at][0] == "END":
            at += 1
        kind, text = self._tokens[at]
        if word not in (kind, text.lower()):
            return None
        self._at = at + 1
        return text

    def _need(self, word: str) -> str:
        text = self._take(word)
        if text is not None:
            return text
        kinds = [kind for kind, _ in self._tokens[: self._at]]
        line = 1 + kinds.count("END")
        raise ValueError(f"line {line}: expected {word}")


def script_value(value: object) -> Value:
    """Return a scalar of JSON as a script's variable."""
    if isinstance(value, bool):
        return str(value).lower()
    if value is None or isinstance(value, str):
        return value
    return _NUMBERS.create_decimal(str(value))


def script_text(value: Value) -> str:
    """Return a variable as a script inserts it into a text."""
    if isinstance(value, Decimal):
        return f"{value.normalize(_NUMBERS):f}" if value else "0"
    return value or ""
