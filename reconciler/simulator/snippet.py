"""SNIPPET code of Studio scripts: checks and runs the publicly known part of the language.

It follows documents, not a tenant. Four facts about comparisons are in no document: they are settings (`SimDialect`).
"""

import operator as op
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from typing import Any, Final, NamedTuple, NoReturn

Value = str | Decimal | None  # None: undefined

_MAX_TEXT: Final = 32_768  # characters of a variable
_NUMBERS: Final = Context(prec=60, Emin=-4299, Emax=4299, traps=[DivisionByZero, InvalidOperation, Overflow])
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}
_TOKENS: Final = re.compile(
    r'[ \t\r\f\v]+|//[^\n]*|(?P<END>\n)|(?P<TEXT>"[^"\n]*"|\$"(?:[^"\\\n]|\\[^\n])*")|(?P<NUMBER>[0-9]+(?:\.[0-9]+)?)'
    r"|(?P<NAME>[A-Za-z_][A-Za-z0-9_$]*)|(?P<SYMBOL>[!<>]=|[=<>&|~+*/%^(){}.,-])|(?P<UNKNOWN>.)"
)
_AFTER_LINE_ENDS: Final = ("{", "}", "case", "default", "else")
_LEVELS: Final = ("|", "~", "&", "= != > >= < <=", "+ -", "* / %", "^")  # the precedence is a guess
_LEVEL: Final = {symbol: level for level, symbols in enumerate(_LEVELS) for symbol in symbols.split()}
_SYMBOLS: Final = tuple(_LEVEL)
_LOGIC: Final = dict(zip(_SYMBOLS[:3], (op.or_, op.xor, op.and_), strict=True))
_ORDER: Final = dict(zip(_SYMBOLS[3:9], (op.eq, op.ne, op.gt, op.ge, op.lt, op.le), strict=True))
_ARITHMETIC: Final[Mapping[str, Callable[[Decimal, Decimal], Decimal]]] = {
    **dict(zip("+-*", (_NUMBERS.add, _NUMBERS.subtract, _NUMBERS.multiply), strict=True)),
    **dict(zip("/%^", (_NUMBERS.divide, _NUMBERS.remainder, _NUMBERS.power), strict=True)),
}
_METHODS: Final[Mapping[str, tuple[int, Callable[..., Value]]]] = {
    "contains": (1, lambda run, *texts: Decimal(op.contains(*map(run.text_key, texts)))),
    "beginswith": (1, lambda run, *texts: Decimal(str.startswith(*map(run.text_key, texts)))),
    "left": (1, lambda _, text, count: _text(text)[: max(int(min(_number(count) or 0, _MAX_TEXT)), 0)]),
    "length": (0, lambda _, text: Decimal(len(_text(text)))),
    "replace": (2, lambda _, *texts: _replace(*map(_text, texts))),
}  # by name: the number of arguments, and the function


class SimDialect(NamedTuple):
    """How texts and numbers are compared. The defaults are guesses."""

    case_sensitive: bool = False
    trims_blanks: bool = False
    digit_text_is_number: bool = True  # text of digits, in a comparison without `$`
    mixed_is_zero: bool = False  # text that is not a number, compared with a number


DEFAULT_DIALECT: Final = SimDialect()


class SimSnippetError(Exception):
    """The code is not valid, or stops. `str(error)` names the reason and, for code that is not valid, the line."""


class SimSnippet:
    """A snippet, which runs while it is parsed: where `is_active` is false, it is only parsed."""

    def __init__(self, code: str, variables: dict[str, Value], dialect: SimDialect, is_active: bool) -> None:  # noqa: FBT001
        """`variables` have names in lower case; a run changes them. Without `is_active`, `run` only parses."""
        self.variables, self.traces, self.is_active = variables, list[str](), is_active
        tokens = ((match.lastgroup or "", match[0]) for match in _TOKENS.finditer(code))
        self._tokens = [*filter(op.itemgetter(0), tokens), ("EOF", "the end of the code")]
        self._at, self._dialect = 0, dialect

    def run(self) -> str:
        """Run the code. If it fails, it stops: return the reason, which the variable _ERR holds too; otherwise ""."""
        try:
            self._statements("EOF")
        except (ArithmeticError, RecursionError, SimSnippetError) as error:
            self.variables["_err"] = str(error) or type(error).__name__
            return str(self.variables["_err"])
        return ""

    def substitute(self, text: str) -> str:
        """Return the text with the values of the expressions in braces. Raises SimSnippetError."""
        result = ""
        for index, part in enumerate(re.split(r"\{([^{}\n]+)\}", text)):
            if index % 2:
                inner = SimSnippet(part, self.variables, self._dialect, self.is_active)
                result += _text(inner._expression()[0])
                inner._need("EOF")
            result = str(_bounded(result if index % 2 else result + part))
        return result

    def text_key(self, value: Value) -> str:
        """Return a value as comparisons of text see it."""
        text = _text(value).strip() if self._dialect.trims_blanks else _text(value)
        return text if self._dialect.case_sensitive else text.casefold()

    def _statements(self, end: str) -> None:
        while not self._take(end):
            if not self._take("END"):
                self._statement()

    def _statement(self) -> None:
        word = self._need("NAME").lower()
        if word == "if":
            holds = _holds(self._expression()[0])
            self._block(holds)
            if self._take("else"):
                self._block(not holds)
        elif word in ("select", "switch"):
            self._cases(self._expression() if word == "switch" else None)
        elif word == "trace":
            text = _text(self._expression()[0])
            self.traces += [text] * self.is_active
        else:
            name = self._need("NAME").lower() if word == "assign" else word
            self._need("=")
            value = self._expression()[0]
            if self._tokens[self._at][0] != "EOF" and self._tokens[self._at][1] not in "}\n":
                self._need("END")
            if self.is_active:
                self.variables[name] = _bounded(value)

    def _cases(self, subject: tuple[Value, bool] | None) -> None:
        self._need("{")
        was_active = self.is_active
        while not self._take("}"):
            hits = [self._take("default") != ""]
            while not hits[0] and self._take("case"):
                case = self._expression()
                hits.append(_holds(case[0] if subject is None else self._apply("=", subject, case)))
            if hits == [False]:
                self._need("case")
            self._block(any(hits))
            self.is_active = self.is_active and not any(hits)
        self.is_active = was_active

    def _block(self, holds: bool) -> None:  # noqa: FBT001 - the value of a condition
        self._need("{")
        was_active, self.is_active = self.is_active, self.is_active and holds
        self._statements("}")
        self.is_active = was_active

    def _expression(self, least: int = 0) -> tuple[Value, bool]:
        # Returns the value, and whether it is a variable whose name ends in $: comparisons with it are of text.
        left = self._operand()
        while _LEVEL.get(symbol := self._tokens[self._at][1], -1) >= least:
            self._at += 1
            left = (self._apply(symbol, left, self._expression(_LEVEL[symbol] + 1)), False)
        return left

    def _apply(self, symbol: str, left: tuple[Value, bool], right: tuple[Value, bool]) -> Value:
        if not self.is_active:
            return None
        values = (left[0], right[0])
        if symbol in _LOGIC:
            return Decimal(_LOGIC[symbol](*map(_holds, values)))
        if symbol in _ORDER:
            return Decimal(_ORDER[symbol](*self._sides(values, is_text=left[1] or right[1])))
        # Text that is not a number, and an undefined variable, are ignored.
        numbers = [number for number in map(_number, values) if number is not None]
        return _ARITHMETIC[symbol](*numbers) if len(numbers) > 1 else (numbers or [Decimal(0)])[0]

    def _sides(self, values: tuple[Value, Value], *, is_text: bool) -> Iterable[Any]:
        # Returns both sides of a comparison as numbers or as texts.
        counts_digits = self._dialect.digit_text_is_number
        numbers = [_number(value) if counts_digits or isinstance(value, Decimal) else None for value in values]
        is_mixed = len({isinstance(value, Decimal) for value in values}) > 1
        if is_text or (None in numbers and not (is_mixed and self._dialect.mixed_is_zero)):
            return map(self.text_key, values)
        return (number or Decimal(0) for number in numbers)

    def _operand(self) -> tuple[Value, bool]:
        operand: tuple[Value, bool]
        if self._take("("):
            operand = self._expression()
            self._need(")")
        elif number := self._take("NUMBER"):
            operand = (Decimal(number), False)
        elif text := self._take("TEXT"):
            body = text.removeprefix("$")[1:-1]
            body = re.sub(r"\\(.)", lambda escape: _ESCAPES.get(escape[1], escape[1]), body) if text[0] == "$" else body
            operand = (self.substitute(body), False)
        else:
            name = self._need("NAME").lower()
            operand = (self.variables.get(name), name.endswith("$"))
        while self._take("."):
            operand = (self._method(operand[0]), False)
        return operand

    def _method(self, subject: Value) -> Value:
        count, method = _METHODS.get(self._need("NAME").lower(), (-1, None))
        if not self._take("("):  # a member of an object: no variable of this simulator has members
            return None
        values = [subject]
        while not self._take(")"):
            values.append(self._expression()[0])
            self._take(",")
        if method is None or count != len(values) - 1:
            self._fail("a known method with its arguments")
        return method(self, *values) if self.is_active else None

    def _take(self, word: str) -> str:
        # Returns the next token if it is this word or of this kind; otherwise "".
        at = self._at
        while word in _AFTER_LINE_ENDS and self._tokens[at][0] == "END":
            at += 1
        kind, text = self._tokens[at]
        if word != kind and word != text.lower():
            return ""
        self._at = at + 1
        return text

    def _need(self, word: str) -> str:
        return self._take(word) or self._fail(word)

    def _fail(self, phrase: str) -> NoReturn:
        line = 1 + sum(kind == "END" for kind, _ in self._tokens[: self._at])
        raise SimSnippetError(f"line {line}: expected {phrase}")


def script_value(value: object) -> Value:
    """Return a scalar of JSON as a script's variable."""
    if value is None or isinstance(value, (bool, str)):
        return str(value).lower() if isinstance(value, bool) else value
    number = _NUMBERS.create_decimal(str(value))
    return number if number.is_finite() else None


def plain_value(value: str | Decimal) -> str | int | float:
    """Return a variable as a scalar of JSON."""
    return value if isinstance(value, str) else int(value) if value == int(value) else float(value)


def _holds(value: Value) -> bool:
    return isinstance(value, Decimal) and value != 0


def _number(value: Value) -> Decimal | None:
    if isinstance(value, str):
        return _NUMBERS.create_decimal(value) if _NUMBER.fullmatch(value) else None
    return value


def _text(value: Value) -> str:
    if isinstance(value, Decimal):
        return f"{value.normalize(_NUMBERS):f}" if value else "0"
    return value or ""


def _bounded(value: Value) -> Value:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise SimSnippetError(f"a text is longer than {_MAX_TEXT} characters")
    return value


def _replace(text: str, part: str, replacement: str) -> Value:
    # A text that needs more replacements than these is too long.
    return _bounded(text.replace(part, replacement, _MAX_TEXT // max(len(replacement), 1) + 1))
