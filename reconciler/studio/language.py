"""The part of Studio's SNIPPET language that decisions use, as a tree, and the text of expressions.

Other constructs become nodes of the kind "unknown". Parentheses stay in the tree, because no
document states the precedence of operators.
"""

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

from reconciler.errors import CxrouteError

MAX_LENGTH: Final = 5 * 1024 * 1024
MAX_DEPTH: Final = 64
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
    body: tuple["Statement", ...] = ()
    otherwise: tuple["Statement", ...] = ()


def parse_snippet(text: str) -> tuple[Statement, ...]:
    """Return the statements of a snippet. Raises SnippetError."""
    if len(text) > MAX_LENGTH:
        raise SnippetError(
            1,
            f"the snippet has more than {MAX_LENGTH:,} characters; specify a smaller one",
        )
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
            pairs = zip(node.text.split(), parts[1:], strict=True)
            return " ".join([parts[0], *(f"{symbol} {part}" for symbol, part in pairs)])
        case "call":
            return f"{parts[0]}.{node.text}({', '.join(parts[1:])})"
    return node.spelling or node.text


def plain(node: Expression) -> Expression:
    """Return an expression without parentheses around it."""
    while node.kind == "group":
        node = node.parts[0]
    return node


_HEAD_ENDS: Final = frozenset((*_LINE_ENDS, "{", "}", ""))


class _StatementParser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = [*_TOKEN.findall(f"{text}\n"), ""]
        self.position, self.line = 0, 1

    def parse(self, depth: int) -> tuple[Statement, ...]:
        """Return the statements up to the end of the text, or of the block, and step over it."""
        if depth > MAX_DEPTH:
            raise SnippetError(
                self.line, f"blocks are nested more than {MAX_DEPTH} deep"
            )
        statements: list[Statement] = []
        while (token := self.tokens[self.position]) not in ("}", ""):
            if token in _LINE_ENDS:
                self.line += 1
                self.position += 1
            elif token.startswith("//"):
                line, self.position = self.line, self.position + 1
                statements.append(
                    Statement(
                        kind="comment", line=line, last_line=line, text=token.rstrip()
                    )
                )
            else:
                statements.append(self._parse_statement(depth))
        if (token == "") != (depth == 0):
            problem = (
                "a block is not closed; add the missing }"
                if depth
                else "a } closes no block; remove it"
            )
            raise SnippetError(self.line, problem)
        self.position += 1
        return tuple(statements)

    def _parse_statement(self, depth: int) -> Statement:
        line, head = self.line, self._take_head()
        word, rest = head[0].lower() if head else "", head[1:]
        target = head[1:] if word == "assign" and rest[:1] != ["="] else head
        if target[1:2] == ["="] and _NAME.fullmatch(target[0]):
            value = _parse_tokens(target[2:])
            return Statement(
                kind="assign",
                line=line,
                last_line=line,
                text=target[0].lower(),
                expressions=(value,),
            )
        if word == "trace":
            return Statement(
                kind="trace",
                line=line,
                last_line=line,
                expressions=(_parse_tokens(rest),),
            )
        expressions = [_parse_tokens(rest)] if _HAS_EXPRESSION.get(word) else []
        while word == "case" and self._skip_to("case"):
            expressions.append(_parse_tokens(self._take_head()[1:]))
        is_known = word in _HAS_EXPRESSION and (bool(expressions) or not rest)
        body = self._take_block(depth, "{")
        otherwise = self._take_block(depth, "else", "{") if word == "if" else None
        return Statement(
            kind=word if is_known and body is not None else "unknown",
            line=line,
            last_line=self.line,
            text="" if is_known and body is not None else " ".join(head),
            expressions=tuple(expressions),
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
        while (token := self.tokens[self.position]) not in _HEAD_ENDS and token[
            :2
        ] != "//":
            self.position += 1
        return self.tokens[start : self.position]

    def _skip_to(self, *words: str) -> bool:
        """Step over line ends and comments to the last of these words, which follow each other;
        otherwise stay.
        """
        start = self.position, self.line
        for index, word in enumerate(words):
            self.position += bool(index)
            while (
                token := self.tokens[self.position]
            ) in _LINE_ENDS or token.startswith("//"):
                self.line += token in _LINE_ENDS
                self.position += 1
            if token.lower() != word:
                self.position, self.line = start
                return False
        return True


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
        while (level := _POWERS.get(self.tokens[self.position], 0)) >= power:
            symbols, parts = [], [left]
            while _POWERS.get(symbol := self.tokens[self.position]) == level:
                self.position += 1
                symbols.append(symbol)
                parts.append(self.parse_operation(level + 1))
            left = Expression("operation", " ".join(symbols), tuple(parts))
        return left

    def _parse_operand(self) -> Expression:
        symbol = self._take()
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _UnknownSyntaxError
        if symbol == "(":
            node = Expression("group", "", (self.parse_operation(1),))
            self._take(")")
        elif symbol == "-":
            node = Expression(
                "operation", "-", (Expression("number", "0"), self._parse_operand())
            )
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
