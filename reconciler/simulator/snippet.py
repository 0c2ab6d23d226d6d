"""SNIPPET code of Studio scripts: checks and runs the publicly known part of the language.

It follows documents, not a tenant. Four facts about comparisons are in no document: they are settings (`SimDialect`).
"""

import operator as op
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Context, Decimal, DivisionByZero, InvalidOperation, Overflow, localcontext
from typing import Any, Final, NamedTuple

Value = str | Decimal | None  # None: undefined
Operand = tuple[Value, bool]  # and whether it is a variable whose name ends in $: comparisons with it are of text

_MAX_TEXT: Final = 32_768  # characters of a variable
_NUMBERS: Final = Context(prec=150, Emin=-5000, Emax=5000, traps=[DivisionByZero, InvalidOperation, Overflow])
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_TOKENS: Final = re.compile(
    r'[ \t\r\f\v]+|//[^\n]*|(?P<END>\n)|(?P<TEXT>"[^"\n]*"|\$"(?:[^"\\\n]|\\[^\n])*")|(?P<NUMBER>[0-9]+(?:\.[0-9]+)?)'
    r"|(?P<NAME>[A-Za-z_][A-Za-z0-9_$]*)|(?P<SYMBOL>[!<>]=|[=<>&|~+*/%^(){}.,-])|(?P<UNKNOWN>.)"
)
_AFTER_LINE_ENDS: Final = ("{", "}", "case", "default", "else")
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t"}
_LEVELS: Final = ("|", "~", "&", "= != > >= < <=", "+ -", "* / %", "^")  # the precedence is a guess
_LEVEL: Final = {symbol: level for level, symbols in enumerate(_LEVELS) for symbol in symbols.split()}
_LOGIC: Final = (op.or_, op.xor, op.and_)
_ORDER: Final = (op.eq, op.ne, op.gt, op.ge, op.lt, op.le)
_ARITHMETIC: Final = (op.add, op.sub, op.mul, op.truediv, op.mod, op.pow)
_FUNCTIONS: Final[Mapping[str, Any]] = dict(zip(_LEVEL, (*_LOGIC, *_ORDER, *_ARITHMETIC), strict=True))
_METHODS: Final[Mapping[str, tuple[int, Callable[..., Value]]]] = {
    "contains": (1, lambda run, *texts: Decimal(op.contains(*map(run.text_key, texts)))),
    "beginswith": (1, lambda run, *texts: Decimal(str.startswith(*map(run.text_key, texts)))),
    "left": (1, lambda _, text, count: script_text(text)[: max(int(min(_number(count) or 0, _MAX_TEXT)), 0)]),
    "length": (0, lambda _, text: Decimal(len(script_text(text)))),
    "replace": (2, lambda _, text, old, new: script_text(text).replace(script_text(old), script_text(new), 1_000)),
}  # by name: the number of arguments, and the function


class SimDialect(NamedTuple):
    """How texts and numbers are compared. The defaults are guesses."""

    case_sensitive: bool = False
    trims_blanks: bool = False
    digit_text_is_number: bool = True  # text of digits, in a comparison without `$`
    mixed_is_zero: bool = False  # text that is not a number, compared with a number


class SimSnippet:
    """A snippet, which runs while it is parsed: where `is_active` is false, it is only parsed."""

    def __init__(self, code: str, variables: dict[str, Value], dialect: SimDialect, *, is_active: bool) -> None:
        """`variables` have names in lower case, and a run changes them."""
        tokens = ((match.lastgroup or "", match[0]) for match in _TOKENS.finditer(code))
        self._tokens = [*filter(op.itemgetter(0), tokens), ("EOF", "")]
        self._at, self._dialect, self._is_active = 0, dialect, is_active
        self._variables, self.traces = variables, list[str]()

    def run(self) -> str:
        """Run the code. If it fails, it stops: return the reason, which the variable _ERR holds too; otherwise ""."""
        try:
            with localcontext(_NUMBERS):
                self._statements("EOF")
        except (ArithmeticError, RecursionError, ValueError) as error:
            self._variables["_err"] = reason = str(error) if isinstance(error, ValueError) else type(error).__name__
            return reason
        return ""

    def evaluate(self) -> str:
        """Return the value of the code, a single expression, as text. Raises ValueError."""
        return script_text(self._value()) + self._need("EOF")

    def text_key(self, value: Value) -> str:
        """Return a value as comparisons of text see it."""
        text = script_text(value).strip() if self._dialect.trims_blanks else script_text(value)
        return text if self._dialect.case_sensitive else text.casefold()

    def _statements(self, end: str) -> None:
        while self._take(end) is None:
            if not self._take("END"):
                self._statement(self._need("NAME").lower())

    def _statement(self, word: str) -> None:
        if word == "if":
            holds = _holds(self._value())
            self._block(holds)
            if self._take("else"):
                self._block(not holds)
        elif word in ("select", "switch"):
            self._cases(self._expression() if word == "switch" else None)
        elif word == "trace":
            self.traces += [script_text(self._value())] * self._is_active
        else:
            name = self._need("NAME").lower() if word == "assign" else word
            self._need("=")
            value = _bounded(self._value())
            self._variables |= {name: value} if self._is_active else {}
            if self._tokens[self._at][0] != "EOF" and self._tokens[self._at][1] != "}":
                self._need("END")

    def _cases(self, subject: Operand | None) -> None:
        self._need("{")
        was_active = self._is_active
        while not self._take("}"):
            hits = [self._take("default") is not None]
            while not hits[0] and self._take("case"):
                case = self._expression()
                hits.append(_holds(self._apply("=", subject, case) if subject else case[0]))
            if hits == [False]:
                self._need("case")
            self._block(any(hits))
            self._is_active &= not any(hits)
        self._is_active = was_active

    def _block(self, holds: bool) -> None:  # noqa: FBT001 - the value of a condition
        self._need("{")
        was_active, self._is_active = self._is_active, self._is_active and holds
        self._statements("}")
        self._is_active = was_active

    def _value(self) -> Value:
        return self._expression()[0]

    def _expression(self, least: int = 0) -> Operand:
        left = self._operand()
        while _LEVEL.get(symbol := self._tokens[self._at][1], -1) >= least:
            self._at += 1
            left = (self._apply(symbol, left, self._expression(_LEVEL[symbol] + 1)), False)
        return left

    def _apply(self, symbol: str, *operands: Operand) -> Value:
        apply, values = _FUNCTIONS[symbol], [value for value, _ in operands]
        if not self._is_active:
            return None
        if _LEVEL[symbol] < _LEVEL["="]:
            return Decimal(apply(*map(_holds, values)))
        if _LEVEL[symbol] == _LEVEL["="]:
            return Decimal(apply(*self._sides(values, is_text=any(is_text for _, is_text in operands))))
        # Text that is not a number, and an undefined variable, are ignored.
        numbers = [number for number in map(_number, values) if number is not None]
        return apply(*numbers) if len(numbers) > 1 else (numbers or [Decimal(0)])[0]

    def _sides(self, values: list[Value], *, is_text: bool) -> Iterable[Any]:
        # Returns both sides of a comparison as numbers or as texts.
        counts_digits = self._dialect.digit_text_is_number
        numbers = [_number(value) if counts_digits or isinstance(value, Decimal) else None for value in values]
        is_zero = self._dialect.mixed_is_zero and any(isinstance(value, Decimal) for value in values)
        is_text = is_text or (None in numbers and not is_zero)
        return map(self.text_key, values) if is_text else (number or Decimal(0) for number in numbers)

    def _operand(self) -> Operand:
        if self._take("("):
            operand = self._expression()
            self._need(")")
        elif self._take("-"):
            operand = (self._apply("-", (Decimal(0), False), self._operand()), False)
        elif number := self._take("NUMBER"):
            operand = (_NUMBERS.create_decimal(number), False)
        elif text := self._take("TEXT"):
            is_escaped, body = text[0] == "$", text.strip("$")[1:-1]
            body = re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), body) if is_escaped else body
            operand = (self._substitute(body), False)
        else:
            name = self._need("NAME").lower()
            operand = (self._variables.get(name), name.endswith("$"))
        while self._take("."):
            operand = (self._call(self._need("NAME").lower(), [operand[0]]), False)
        return operand

    def _substitute(self, text: str) -> str:
        result = ""
        for index, part in enumerate(re.split(r"\{([^{}\n]+)\}", text)):
            inner = SimSnippet(part, self._variables, self._dialect, is_active=self._is_active)
            result = str(_bounded(result + (inner.evaluate() if index % 2 else part)))
        return result

    def _call(self, name: str, values: list[Value]) -> Value:
        if not self._take("("):  # a member of an object: no variable of this simulator has members
            return None
        while not self._take(")"):
            values.append(self._value())
            self._take(",")
        count, method = _METHODS.get(name, (0, None))
        if method is None or count != len(values) - 1:
            self._need("a known method with its arguments")
        return method(self, *values) if method and self._is_active else None

    def _take(self, word: str) -> str | None:
        # Returns the next token if it is this word or of this kind.
        at = self._at
        while word in _AFTER_LINE_ENDS and self._tokens[at][0] == "END":
            at += 1
        if word not in (self._tokens[at][0], self._tokens[at][1].lower()):
            return None
        self._at = at + 1
        return self._tokens[at][1]

    def _need(self, word: str) -> str:
        text = self._take(word)
        if text is None:
            line = 1 + sum(kind == "END" for kind, _ in self._tokens[: self._at])
            raise ValueError(f"line {line}: expected {word}")
        return text


def script_value(value: object) -> Value:
    """Return a scalar of JSON as a script's variable."""
    if isinstance(value, (bool, str)) or value is None:
        return str(value).lower() if isinstance(value, bool) else value
    number = _NUMBERS.create_decimal(str(value))
    return number if number.is_finite() else None


def script_text(value: Value) -> str:
    """Return a variable as a script inserts it into a text."""
    if isinstance(value, Decimal):
        return f"{value.normalize(_NUMBERS):f}" if value else "0"
    return value or ""


def _holds(value: Value) -> bool:
    return isinstance(value, Decimal) and value != 0


def _number(value: Value) -> Decimal | None:
    if isinstance(value, str):
        return _NUMBERS.create_decimal(value) if _NUMBER.fullmatch(value) else None
    return value


def _bounded(value: Value) -> Value:
    if isinstance(value, str) and len(value) > _MAX_TEXT:
        raise ValueError(f"a text is longer than {_MAX_TEXT} characters")
    return value
