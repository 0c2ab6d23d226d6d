"""The part of Studio's SNIPPET language that decisions use, as a tree, and the text of expressions.

Other constructs become nodes of the kind "unknown". Parentheses stay in the tree, because no
document states the precedence of operators.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from reconciler.core.errors import CxrouteError

MAX_LENGTH: Final = 5 * 1024 * 1024
MAX_DEPTH: Final = 64  # of parentheses
MAX_BLOCKS: Final = 100  # each further IF of a chain is one block deeper
_TOKEN: Final = re.compile(
    r'[ \t\f\v\xa0\ufeff]*(\r?\n|\r|//[^\r\n]*|\$"(?:[^"\\\r\n]|\\[^\r\n])*"|"[^"\r\n]*"|[0-9]+(?:\.[0-9]+)?'
    r"|[A-Za-z_][A-Za-z0-9_]*\$?|[!<>]=|[^ \t\f\v\xa0\ufeff])"
)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\$?", re.ASCII)
_LINE_ENDS: Final = frozenset({"\n", "\r\n", "\r"})
_LEVELS: Final = (
    ("|", "~"),
    ("&",),
    ("=", "!=", ">", ">=", "<", "<="),
    ("+", "-"),
    ("*", "/", "%"),
    ("^",),
)
_POWERS: Final = {
    symbol: power for power, symbols in enumerate(_LEVELS, 1) for symbol in symbols
}
_HAS_EXPRESSION: Final = {
    "if": True,
    "switch": True,
    "case": True,
    "select": False,
    "default": False,
}


class SnippetError(CxrouteError, kind="Snippet"):
    """A text is not a snippet: a block is not closed, or it is too large or too deep.

    `line` is from 1.
    """

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")


class _UnknownSyntaxError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Expression:
    """A node by its kind.

    text, number: `text`. variable: the name in lower case is `text`. group (parentheses): one part.
    operation: the parts, with the symbols of `text` (separated by spaces, of one precedence)
    between them. call: `text` is the method, the first part the receiver. unknown: the tokens are
    `text`.
    """

    kind: str
    text: str
    parts: tuple["Expression", ...] = ()
    spelling: str = field(default="", compare=False)  # of a variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement by its kind.

    assign: `text` is the variable in lower case. comment: `text` begins with `//`. if, select,
    switch, case (several expressions: one is enough), default: `body`. trace: one expression.
    unknown: `text` has its tokens before a block.
    """

    kind: str
    line: int = field(compare=False)
    last_line: int = field(compare=False)
    text: str = ""
    expressions: tuple[Expression, ...] = ()
    # of the expressions of a CASE
    expression_lines: tuple[int, ...] = field(default=(), compare=False)
    body: tuple["Statement", ...] = ()
    otherwise: tuple["Statement", ...] = ()


def parse_snippet(text: str) -> tuple[Statement, ...]:
    """Return the statements of a snippet. Raises SnippetError."""
    if len(text) > MAX_LENGTH:
        problem = f"the snippet has more than {MAX_LENGTH:,} characters"
        raise SnippetError(1, f"{problem}; specify a smaller one")
    return _StatementParser(text).parse(0)


def format_expression(node: Expression) -> str:
    """Return the text of an expression, with one space between its parts."""
    parts = [format_expression(part) for part in node.parts]
    match node.kind:
        case "text":
            return f'"{node.text}"'
        case "group":
            return f"( {parts[0]} )"
        case "operation":
            text = parts[0]
            for symbol, part in zip(node.text.split(), parts[1:], strict=True):
                text += f" {symbol} {part}"
            return text
        case "call":
            arguments = ", ".join(parts[1:])
            return f"{parts[0]}.{node.text}({arguments})"
    return node.spelling or node.text


def plain(node: Expression) -> Expression:
    """Return an expression without parentheses around it."""
    while node.kind == "group":
        node = node.parts[0]
    return node


def walk(statements: Sequence[Statement]) -> Iterator[Statement]:
    """Yield statements, and those in their blocks."""
    for statement in statements:
        yield statement
        yield from walk(statement.body)
        yield from walk(statement.otherwise)


def assignments(statements: Sequence[Statement]) -> list[Statement]:
    """Return all assignments in statements."""
    return [each for each in walk(statements) if each.kind == "assign"]


_HEAD_ENDS: Final = frozenset((*_LINE_ENDS, "{", "}", ""))


class _StatementParser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = [*_TOKEN.findall(f"{text}\n"), ""]
        self.position = 0
        self.line = 1

    def parse(self, depth: int) -> tuple[Statement, ...]:
        """Return the statements up to the end of the text, or of the block, and step over it."""
        if depth > MAX_BLOCKS:
            problem = f"blocks are nested more than {MAX_BLOCKS} deep"
            raise SnippetError(self.line, problem)
        statements: list[Statement] = []
        while (token := self.tokens[self.position]) not in ("}", ""):
            if token in _LINE_ENDS:
                self.line += 1
                self.position += 1
            elif token.startswith("//"):
                self.position += 1
                statements.append(
                    _simple_statement("comment", self.line, token.rstrip())
                )
            else:
                statements.append(self._parse_statement(depth))
        is_at_end = not token
        if is_at_end and depth > 0:
            raise SnippetError(self.line, "a block is not closed; add the missing }")
        if not is_at_end and depth == 0:
            raise SnippetError(self.line, "a } closes no block; remove it")
        self.position += 1
        return tuple(statements)

    def _parse_statement(self, depth: int) -> Statement:
        line = self.line
        head = self._take_head()
        word = head[0].lower() if head else ""
        rest = head[1:]

        assignment = head
        if word == "assign" and rest[:1] != ["="]:
            assignment = rest
        if assignment[1:2] == ["="] and _NAME.fullmatch(assignment[0]):
            value = _parse_tokens(assignment[2:])
            return _simple_statement("assign", line, assignment[0].lower(), value)
        if word == "trace":
            return _simple_statement("trace", line, "", _parse_tokens(rest))
        return self._parse_block(line, head, depth)

    def _parse_block(self, line: int, head: Sequence[str], depth: int) -> Statement:
        """Return the statement with a block that begins with these tokens, or an unknown one."""
        word = head[0].lower() if head else ""
        rest = head[1:]
        expressions: list[Expression] = []
        if _HAS_EXPRESSION.get(word):
            expressions.append(_parse_tokens(rest))
        expression_lines = [line]
        while word == "case" and self._skip_to("case"):
            expression_lines.append(self.line)
            expressions.append(_parse_tokens(self._take_head()[1:]))

        body = self._take_block(depth, "{")
        otherwise = self._take_block(depth, "else", "{") if word == "if" else None
        is_known = (
            word in _HAS_EXPRESSION
            and (bool(expressions) or not rest)
            and body is not None
        )
        return Statement(
            kind=word if is_known else "unknown",
            line=line,
            last_line=self.line,
            text="" if is_known else " ".join(head),
            expressions=tuple(expressions),
            expression_lines=tuple(expression_lines),
            body=body or (),
            otherwise=otherwise or (),
        )

    def _take_block(self, depth: int, *words: str) -> tuple[Statement, ...] | None:
        if not self._skip_to(*words):
            return None
        self.position += 1
        return self.parse(depth + 1)

    def _take_head(self) -> list[str]:
        """Return the tokens up to the end of the line, a comment, or a brace."""
        start = self.position
        token = self.tokens[start]
        while token not in _HEAD_ENDS and not token.startswith("//"):
            self.position += 1
            token = self.tokens[self.position]
        return self.tokens[start : self.position]

    def _skip_to(self, *words: str) -> bool:
        """Step over line ends and comments to the last of these words, which follow each other;
        otherwise stay.
        """
        start = self.position, self.line
        for index, word in enumerate(words):
            if index > 0:
                self.position += 1
            token = self.tokens[self.position]
            while token in _LINE_ENDS or token.startswith("//"):
                self.line += token in _LINE_ENDS
                self.position += 1
                token = self.tokens[self.position]
            if token.lower() != word:
                self.position, self.line = start
                return False
        return True


def _simple_statement(
    kind: str,
    line: int,
    text: str,
    *expressions: Expression,
) -> Statement:
    """Return a statement of one line, without a block."""
    return Statement(
        kind=kind,
        line=line,
        last_line=line,
        text=text,
        expressions=expressions,
    )


def _parse_tokens(tokens: Sequence[str]) -> Expression:
    parser = _ExpressionParser(tokens)
    with suppress(_UnknownSyntaxError):
        node = parser.parse_operation(1)
        if parser.position == len(tokens):
            return node
    return Expression("unknown", " ".join(tokens))


@lru_cache(4096)
def _leaf(symbol: str) -> Expression:
    if symbol[:1] == '"' and len(symbol) > 1:
        return Expression("text", symbol[1:-1])
    if "0" <= symbol[:1] <= "9":
        return Expression("number", symbol)
    if _NAME.fullmatch(symbol):
        return Expression("variable", symbol.lower(), (), symbol)
    raise _UnknownSyntaxError


class _ExpressionParser:
    def __init__(self, tokens: Sequence[str]) -> None:
        self.tokens = [*tokens, ""]
        self.position = self.depth = 0

    def parse_operation(self, power: int) -> Expression:
        """Return the expression whose operators bind at least with this power."""
        left = self._parse_operand()
        level = self._power()
        while level >= power:
            symbols: list[str] = []
            parts = [left]
            while self._power() == level:
                symbols.append(self._take())
                parts.append(self.parse_operation(level + 1))
            left = Expression("operation", " ".join(symbols), tuple(parts))
            level = self._power()
        return left

    def _power(self) -> int:
        """Return the power of the operator that follows, or 0 if none follows."""
        return _POWERS.get(self.tokens[self.position], 0)

    def _parse_operand(self) -> Expression:
        symbol = self._take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _UnknownSyntaxError
        if symbol == "(":
            node = Expression("group", "", (self.parse_operation(1),))
            self._take(")")
        elif symbol == "-":
            operand = self._parse_operand()
            node = Expression("operation", "-", (Expression("number", "0"), operand))
        else:
            node = _leaf(symbol)
        if self.tokens[self.position] == ".":
            self.position += 1
            name = self._take().lower()
            self._take("(")
            node = Expression("call", name, (node, self.parse_operation(1)))
            self._take(")")
        self.depth -= 1
        return node

    def _take(self, expected: str = "") -> str:
        symbol = self.tokens[self.position]
        if not symbol or (expected and symbol != expected):
            raise _UnknownSyntaxError
        self.position += 1
        return symbol
