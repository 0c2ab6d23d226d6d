"""An interpreter of SNIPPET code, to judge what an import of a snippet means.

It shares no code with the product, and follows documents alone. Where they do not say what happens,
it raises UndocumentedError: a text beside a number, the order of texts, `&` beside `|`. A variable
without a value is 0 beside a number, and the empty text elsewhere. Texts compare exactly.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final, NamedTuple

Values = dict[str, Any]
_TOKEN: Final = re.compile(
    r'\s*?(?:(?P<end>\n)|//[^\n]*|(?P<text>"[^"\n]*")|(?P<number>\d+(?:\.\d+)?)'
    r"|(?P<word>[A-Za-z_]\w*\$?)|(?P<sign>[<>!]=|[^\s]))",
    re.ASCII,
)
_NUMBER: Final = re.compile(r"-?\d+(?:\.\d+)?", re.ASCII)


class UndocumentedError(Exception):
    """No document says what this code does."""


class _Token(NamedTuple):
    kind: str
    text: str


def run_code(code: str, variables: Mapping[str, Any]) -> Values:
    """Return the variables after a run, by their names in lower case.

    Raises UndocumentedError, and ValueError for code that is not a snippet.
    """
    interpreter = _Interpreter(code, variables)
    interpreter.block("")
    return interpreter.values


class _Interpreter:
    """Reads the code from left to right; what is not to run is read without an effect."""

    def __init__(self, code: str, variables: Mapping[str, Any]) -> None:
        found = _TOKEN.finditer(code.replace("\r\n", "\n"))
        self.tokens = [
            _Token(match.lastgroup, match[match.lastgroup])
            for match in found
            if match.lastgroup
        ]
        self.place = 0
        self.runs = True
        self.values: Values = {name.lower(): each for name, each in variables.items()}

    # Statements

    def block(self, end: str) -> None:
        """Run the statements up to a brace, or up to the end of the code."""
        while self.peek() != end:
            if not self.peek() and self.place >= len(self.tokens):
                raise ValueError("a block has no end")
            if self.tokens[self.place].kind == "end":
                self.place += 1
            else:
                self.statement()
        self.place += 1

    def statement(self) -> None:
        word = self.take()
        if word == "if":
            self.decide(holds=self.test())
        elif word in ("select", "switch"):
            self.select([self.expression()] if word == "switch" else [])
        elif word == "trace":
            self.expression()
        else:
            name = self.take() if word == "assign" else word
            self.expect("=")
            value = self.expression()
            if self.runs:
                self.values[name] = value

    def decide(self, *, holds: bool) -> None:
        self.branch(holds=holds)
        place = self.place
        self.skip_lines()
        if self.peek() == "else":
            self.place += 1
            self.branch(holds=not holds)
        else:
            self.place = place

    def select(self, subject: list[Any]) -> None:
        """Run the first CASE that is true, otherwise DEFAULT; `subject` has the value of a SWITCH."""
        self.skip_lines()
        self.expect("{")
        is_done = False
        default = -1
        self.skip_lines()
        while self.peek() != "}":
            if self.peek() == "default":
                self.place += 1
                default = self.place
                self.branch(holds=False)
            else:
                holds = False
                while self.peek() == "case":
                    self.place += 1
                    holds = self.case(subject) or holds
                    self.skip_lines()
                self.branch(holds=holds and not is_done)
                is_done = is_done or holds
            self.skip_lines()
        self.place += 1
        after = self.place
        if default >= 0 and not is_done:
            self.place = default
            self.branch(holds=True)
            self.place = after

    def case(self, subject: list[Any]) -> bool:
        if not subject:
            return self.test()
        value = self.expression()
        return self.runs and _compare("=", subject[0], value, is_text=False)

    def branch(self, *, holds: bool) -> None:
        """Read the block that follows, and run it if the condition holds."""
        self.skip_lines()
        self.expect("{")
        before = self.runs
        self.runs = before and holds
        self.block("}")
        self.runs = before

    def test(self) -> bool:
        """Return whether the condition that follows is true; it is false where nothing runs."""
        value = self.expression()
        return bool(value) and value != Decimal(0)

    # Expressions

    def expression(self) -> Any:
        """Return the value of operands with one of `&` and `|` between them."""
        value = self.comparison()
        signs = set()
        while self.peek() in ("&", "|"):
            sign = self.take()
            signs.add(sign)
            other = self.comparison()
            if len(signs) > 1:
                raise UndocumentedError("`&` beside `|`")
            both = [bool(each) for each in (value, other)]
            value = Decimal(all(both) if sign == "&" else any(both))
        return value

    def comparison(self) -> Any:
        left_is_text = self.is_text_variable()
        left = self.sum()
        if self.peek() not in ("=", "!=", "<", "<=", ">", ">="):
            return left
        sign = self.take()
        right_is_text = self.is_text_variable()
        right = self.sum()
        if not self.runs:
            return Decimal(0)
        is_text = left_is_text or right_is_text
        return Decimal(_compare(sign, left, right, is_text=is_text))

    def sum(self) -> Any:
        value = self.operand()
        while self.peek() in ("+", "-", "%"):
            sign = self.take()
            other = self.operand()
            if not self.runs:
                continue
            first = _need_number(value)
            second = _need_number(other)
            results = {"+": first + second, "-": first - second}
            value = first % second if sign == "%" else results[sign]
        return value

    def operand(self) -> Any:
        token = self.tokens[self.place]
        self.place += 1
        value: Any = None
        if token.text == "(":
            value = self.expression()
            self.expect(")")
        elif token.kind == "number":
            value = Decimal(token.text)
        elif token.kind == "text":
            value = self.fill(token.text[1:-1])
        elif token.kind == "word":
            value = self.values.get(token.text.lower())
        else:
            raise ValueError(f"no operand: {token.text}")
        return self.method(value) if self.peek() == "." else value

    def method(self, value: Any) -> Any:
        self.place += 1
        name = self.take()
        self.expect("(")
        argument = self.expression()
        self.expect(")")
        text = _as_text(value)
        if name == "contains":
            return Decimal(_as_text(argument) in text)
        if name == "beginswith":
            return Decimal(text.startswith(_as_text(argument)))
        if name == "left":
            return text[: int(argument)]
        raise UndocumentedError(name)

    def fill(self, text: str) -> str:
        """Return a text with the variables that it names in braces."""
        return re.sub(
            r"\{(\w+\$?)\}",
            lambda match: _as_text(self.values.get(match[1].lower())),
            text,
        )

    def is_text_variable(self) -> bool:
        token = self.tokens[self.place]
        return token.kind == "word" and token.text.endswith("$")

    # Tokens

    def peek(self) -> str:
        """Return the next token in lower case; empty at the end."""
        if self.place >= len(self.tokens):
            return ""
        return self.tokens[self.place].text.lower()

    def take(self) -> str:
        token = self.peek()
        self.place += 1
        return token

    def expect(self, text: str) -> None:
        token = self.take()
        if token != text:
            raise ValueError(f"{token!r} in place of {text!r}")

    def skip_lines(self) -> None:
        while self.peek() == "\n":
            self.place += 1


def _compare(sign: str, left: Any, right: Any, *, is_text: bool) -> bool:
    has_number = isinstance(left, Decimal) or isinstance(right, Decimal)
    if not is_text:
        first = _as_number(left)
        second = _as_number(right)
        if has_number:
            first = Decimal(0) if left is None else first
            second = Decimal(0) if right is None else second
            if first is None or second is None:
                raise UndocumentedError("a text beside a number")
        if first is not None and second is not None:
            return _ordered(sign, first, second)
    texts = _as_text(left), _as_text(right)
    # only the empty text has a known order
    if sign not in ("=", "!=") and "" not in texts:
        raise UndocumentedError("the order of texts")
    return _ordered(sign, *texts)


def _ordered(sign: str, first: Any, second: Any) -> bool:
    results = {
        "=": first == second,
        "!=": first != second,
        "<": first < second,
        "<=": first <= second,
        ">": first > second,
        ">=": first >= second,
    }
    return bool(results[sign])


def _as_number(value: Any) -> Decimal | None:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int | float):
        return Decimal(str(value))
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            return Decimal(value)
        except InvalidOperation:
            return None
    return None


def _need_number(value: Any) -> Decimal:
    return _as_number(value) or Decimal(0)


def _as_text(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else format(Decimal(str(value)), "f")
