"""An interpreter of Studio's SNIPPET language, which shares no code with the product.

It knows what documents and third-party code show: statements, operators, texts with variables,
methods of texts, objects from JSON. What is not documented is a setting (`StudioFacts`); the
interpreter in snippet_interpreter.py has neither objects nor settings, and refuses such code.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any, Final, NamedTuple, cast

Variables = dict[str, Any]
"""Values by name in lower case: texts, Fractions, dicts and lists; None is undefined."""
Node = tuple[Any, ...]

_TOKEN: Final = re.compile(
    r"""
    (?P<skip>[ \t\r]+|//[^\n]*)
    |(?P<end>\n)
    |(?P<text>"[^"\n]*")
    |(?P<number>\d+(?:\.\d+)?)
    |(?P<name>[A-Za-z_]\w*\$?)
    |(?P<sign>!=|>=|<=|[][(){}=<>&|~+*/%^.,-])
    """,
    re.VERBOSE | re.ASCII,
)
_DIGITS: Final = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?", re.ASCII)
_HOLE: Final = re.compile(r"\{(\w+\$?)\}", re.ASCII)
_LEVELS: Final = (
    {"|", "~"},
    {"&"},
    {"=", "!=", "<", "<=", ">", ">="},
    {"+", "-"},
    {"*", "/", "%"},
)
_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_COMPUTE: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
}


class SnippetStoppedError(Exception):
    """The snippet stops, and its action takes the Error branch."""


class StudioFacts(NamedTuple):
    """One possible combination of what is not documented."""

    case_matters: bool = True
    trims: bool = False
    digits_are_number: bool = True  # a text of digits, without $
    mixed_is_zero: bool = False  # a text beside a number
    first_index: int = 0  # of an array
    json_keeps_numbers: bool = True


@dataclass
class _Token:
    kind: str
    text: str
    line: int


def run_machine(
    code: str, variables: Mapping[str, Any], facts: StudioFacts
) -> Variables:
    """Return the variables after a snippet.

    Where it stops, `_err` has the reason, and the variables have their values of that statement.
    Raises ValueError for a text that is not a snippet.
    """
    block = _read(code)
    values = {name.lower(): value for name, value in variables.items()}
    machine = _Machine(values, facts)
    try:
        machine.run(block)
    except SnippetStoppedError as error:
        values["_err"] = str(error)
    return values


@lru_cache(64)
def _read(code: str) -> list[Node]:
    return _Reader(code).block("")


class _Reader:
    """Reads a snippet into nested tuples, whose first part is the kind."""

    def __init__(self, code: str) -> None:
        self.tokens = [*_tokens(code), _Token("end", "\n", 0), _Token("", "", 0)]
        self.at = 0

    @property
    def token(self) -> _Token:
        return self.tokens[self.at]

    def take(self, *texts: str) -> str:
        """Return the next token's text, and step over it. Raises ValueError for another one."""
        token = self.token
        if texts and token.text.lower() not in texts:
            raise ValueError(f"line {token.line}: {token.text!r} instead of {texts}")
        self.at += 1
        return token.text

    def is_next(self, *texts: str) -> bool:
        return self.token.text.lower() in texts and self.token.kind != "text"

    def skip_lines(self) -> None:
        while self.token.kind == "end":
            self.at += 1

    def block(self, closing: str) -> list[Node]:
        """Return statements up to a closing brace, or up to the end of the snippet."""
        statements = []
        self.skip_lines()
        while not self.is_next(closing):
            statements.append(self.statement())
            self.skip_lines()
        self.take(closing)
        return statements

    def braces(self) -> list[Node]:
        self.skip_lines()
        self.take("{")
        return self.block("}")

    def statement(self) -> Node:
        word = self.token.text.lower()
        if word == "if":
            return self.decision()
        if word == "select":
            return self.selection()
        if word == "dynamic":
            return self.declaration()
        if word == "trace":
            self.take()
            return ("trace", self.expression())
        if word == "assign":
            self.take()
        name = self.take().lower()
        self.take("=")
        return ("assign", name, self.expression())

    def declaration(self) -> Node:
        self.take()
        name = self.take().lower()
        if not self.is_next("from"):
            return ("object", name)
        self.take()
        return ("parse", name, self.expression())

    def decision(self) -> Node:
        self.take()
        test = self.expression()
        body = self.braces()
        before = self.at
        self.skip_lines()
        if self.is_next("else"):
            self.take()
            return ("if", test, body, self.braces())
        self.at = before
        return ("if", test, body, [])

    def selection(self) -> Node:
        self.take()
        self.skip_lines()
        self.take("{")
        cases: list[Node] = []
        self.skip_lines()
        while not self.is_next("}"):
            tests: list[Node] = []
            kind = self.take("case", "default").lower()
            while kind == "case":
                tests.append(self.expression())
                self.skip_lines()
                if not self.is_next("case"):
                    break
                self.take()
            cases.append((tests, self.braces()))
            self.skip_lines()
        self.take("}")
        return ("select", cases)

    def expression(self, level: int = 0) -> Node:
        if level == len(_LEVELS):
            return self.operand()
        node = self.expression(level + 1)
        while self.token.kind == "sign" and self.token.text in _LEVELS[level]:
            sign = self.take()
            node = ("apply", sign, node, self.expression(level + 1))
        return node

    def operand(self) -> Node:
        token = self.token
        self.take()
        if token.text == "(":
            node = self.expression()
            self.take(")")
        elif token.text == "-":
            return ("apply", "-", ("value", Fraction(0)), self.operand())
        elif token.kind == "number":
            return ("value", Fraction(token.text))
        elif token.kind == "text":
            node = ("text", token.text[1:-1])
        elif token.kind == "name":
            node = ("variable", token.text.lower())
        else:
            raise ValueError(f"line {token.line}: {token.text!r} is no value")
        return self.members(node)

    def members(self, node: Node) -> Node:
        while self.is_next(".", "["):
            if self.take() == "[":
                node = ("item", node, self.expression())
                self.take("]")
                continue
            name = self.take()
            if not self.is_next("("):
                node = ("member", node, name)
                continue
            self.take()
            node = ("call", name.lower(), node, self.arguments())
        return node

    def arguments(self) -> list[Node]:
        found: list[Node] = []
        while not self.is_next(")"):
            found.append(self.expression())
            if self.is_next(","):
                self.take()
        self.take(")")
        return found


def _tokens(code: str) -> list[_Token]:
    found = []
    line, at = 1, 0
    while at < len(code):
        match = _TOKEN.match(code, at)
        if match is None:
            raise ValueError(f"line {line}: {code[at]!r}")
        at = match.end()
        kind = match.lastgroup or ""
        if kind != "skip":
            found.append(_Token(kind, match[0], line))
        line += kind == "end"
    return found


class _Machine:
    def __init__(self, values: Variables, facts: StudioFacts) -> None:
        self.values = values
        self.facts = facts

    def run(self, block: list[Node]) -> None:
        for kind, *parts in block:
            if kind == "assign":
                self.values[parts[0]] = self.value(parts[1])
            elif kind == "if":
                test, body, otherwise = parts
                self.run(body if self.is_true(test) else otherwise)
            elif kind == "select":
                self.select(parts[0])
            elif kind == "object":
                self.values[parts[0]] = {}
            elif kind == "parse":
                self.values[parts[0]] = self.parse(self.value(parts[1]))

    def select(self, cases: list[Node]) -> None:
        """Run the first true CASE, otherwise the DEFAULT."""
        chosen: list[Node] = []
        for tests, body in cases:
            if any(map(self.is_true, tests)):
                chosen = body
                break
            chosen = chosen if tests else body
        self.run(chosen)

    def parse(self, text: Any) -> Any:
        keep: Any = Fraction if self.facts.json_keeps_numbers else str
        try:
            return json.loads(self.text(text), parse_float=keep, parse_int=keep)
        except ValueError:
            raise SnippetStoppedError("the text is not JSON") from None

    def value(self, node: Node) -> Any:
        kind, *parts = node
        if kind == "text":
            return self.filled(parts[0])
        if kind == "variable":
            return self.values.get(parts[0])
        if kind == "member":
            return self.member(self.value(parts[0]), parts[1])
        if kind == "item":
            return self.item(self.value(parts[0]), self.value(parts[1]))
        if kind == "call":
            return self.call(parts[0], self.value(parts[1]), parts[2])
        return parts[0] if kind == "value" else self.apply(*parts)

    def filled(self, text: str) -> str:
        """Return a literal with the values of its variables."""
        return _HOLE.sub(lambda hole: self.text(self.values.get(hole[1].lower())), text)

    def member(self, held: Any, name: str) -> Any:
        if not isinstance(held, dict) or name not in held:
            raise SnippetStoppedError(f"no member {name}")
        return held[name]

    def item(self, held: Any, number: Any) -> Any:
        place = int(number) - self.facts.first_index
        if not isinstance(held, list) or not 0 <= place < len(held):
            raise SnippetStoppedError("the index is out of bounds")
        return held[place]

    def call(self, name: str, held: Any, arguments: list[Node]) -> Any:
        given = [self.value(each) for each in arguments]
        text = self.text(held)
        if name == "contains":
            return Fraction(self.key(given[0]) in self.key(text))
        if name == "beginswith":
            return Fraction(self.key(text).startswith(self.key(given[0])))
        if name == "left":
            return text[: int(given[0])]
        if name == "replace":
            return text.replace(self.text(given[0]), self.text(given[1]))
        if name == "length":
            return Fraction(len(text))
        raise SnippetStoppedError(f"no method {name}")

    def apply(self, sign: str, left: Node, right: Node) -> Fraction:
        if sign in "&|~":
            truths = self.is_true(left), self.is_true(right)
            joined = {"&": all(truths), "|": any(truths), "~": truths[0] != truths[1]}
            return Fraction(joined[sign])
        first, second = self.value(left), self.value(right)
        if sign in _COMPARE:
            is_text = any(
                side[0] == "variable" and side[1].endswith("$")
                for side in (left, right)
            )
            sides = (self.key(first), self.key(second))
            numbers = None if is_text else self.as_numbers(first, second)
            return Fraction(_COMPARE[sign](*(numbers or sides)))
        known = [
            number
            for number in (self.number(first), self.number(second))
            if number is not None
        ]
        if len(known) < len((first, second)):
            return sum(known, Fraction(0))
        if sign in "/%" and not known[1]:
            raise SnippetStoppedError("a division by zero")
        return Fraction(_COMPUTE[sign](*known))

    def as_numbers(self, first: Any, second: Any) -> tuple[Fraction, Fraction] | None:
        """Return both sides of a comparison as numbers; None if they compare as texts."""
        sides = self.number(first), self.number(second)
        if self.facts.mixed_is_zero and sides != (None, None):
            sides = sides[0] or Fraction(0), sides[1] or Fraction(0)
        return None if None in sides else cast("tuple[Fraction, Fraction]", sides)

    def is_true(self, node: Node) -> bool:
        return bool(self.number(self.value(node)))

    def number(self, value: Any) -> Fraction | None:
        if isinstance(value, Fraction | int):
            return Fraction(value)
        is_digits = isinstance(value, str) and _DIGITS.fullmatch(value)
        if is_digits and self.facts.digits_are_number:
            return Fraction(value)
        return None

    def text(self, value: Any) -> str:
        if value is None:
            return ""
        if isinstance(value, Fraction | int):
            exact = Decimal(value.numerator) / Decimal(value.denominator)
            return format(exact, "f")
        return value if isinstance(value, str) else json.dumps(value, default=str)

    def key(self, value: Any) -> str:
        """Return a value as comparisons of texts see it."""
        text = self.text(value)
        text = text.strip() if self.facts.trims else text
        return text if self.facts.case_matters else text.casefold()
