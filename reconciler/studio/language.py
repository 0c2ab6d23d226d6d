"""The documented part of Studio's SNIPPET language as a tree, and the text of expressions.

A construct that is not documented becomes a node of the kind "unknown". Parentheses stay in the tree, because nobody
documents the precedence of operators.
"""

import re
from dataclasses import dataclass, field
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
_LEVELS: Final = (("|", "~"), ("&",), ("=", "!=", ">", ">=", "<", "<="), ("+", "-"), ("*", "/", "%"), ("^",))
_POWERS: Final = {symbol: power for power, symbols in enumerate(_LEVELS, 1) for symbol in symbols}
_EXPRESSION_COUNTS: Final = {"trace": 1, "if": 1, "select": 0, "switch": 1, "case": 1, "default": 0}
_NOT_CLOSED: Final = "a block is not closed; add the missing }"


class SnippetError(CxrouteError, kind="Snippet"):
    """A text is not a snippet: a block is not closed, or it is too large or too deep. `line` is from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(f"line {line}: {message}")
        self.line = line
        self.message = message


class _UnknownSyntaxError(Exception):
    pass


@dataclass(frozen=True, slots=True)
class Expression:
    """A node by its kind.

    text, escaped (`$"..."`), number: `text`. variable: the name in lower case is `text`. group (parentheses): one part.
    operation: the parts, with the symbols of `text` (separated by spaces, of one precedence) between them.
    call: `text` is the method, the first part the receiver. member: likewise. unknown: the tokens are `text`.
    """

    kind: str
    text: str
    parts: tuple["Expression", ...] = ()
    spelling: str = field(default="", compare=False)  # of a variable


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """A statement by its kind.

    assign: `text` is the variable in lower case. comment: `text` begins with `//`. unknown: the tokens are `text`.
    if, select, switch, case (several expressions: one is enough), default: `body`. trace: one expression.
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
        raise SnippetError(1, f"the snippet has more than {MAX_LENGTH:,} characters; specify a smaller one")
    return _Parser(text).parse_statements()


def parse_expression(text: str) -> Expression:
    """Return the tree of an expression. Raises SnippetError if it is nested too deeply."""
    return _Parser(text).parse_expression()


def format_expression(node: Expression) -> str:
    """Return the text of an expression, with one space between its parts."""
    parts = [format_expression(part) for part in node.parts]
    match node.kind:
        case "text" | "escaped":
            return f'{"" if node.kind == "text" else "$"}"{node.text}"'
        case "group":
            return f"( {parts[0]} )"
        case "operation":
            pairs = zip(node.text.split(), parts[1:], strict=True)
            return " ".join([parts[0], *(f"{symbol} {part}" for symbol, part in pairs)])
        case "call":
            return f"{parts[0]}.{node.text}({', '.join(parts[1:])})"
        case "member":
            return f"{parts[0]}.{node.text}"
    return node.spelling or node.text


def _leaf(symbol: str) -> Expression:
    first = symbol[:1]
    if first in ('"', "$") and len(symbol) > 1:
        return Expression("text", symbol[1:-1]) if first == '"' else Expression("escaped", symbol[2:-1])
    if "0" <= first <= "9":
        return Expression("number", symbol)
    if _NAME.fullmatch(symbol):
        return Expression("variable", symbol.lower(), (), symbol)
    raise _UnknownSyntaxError


class _Parser:
    def __init__(self, text: str) -> None:
        self.tokens: list[str] = _TOKEN.findall(f"{text}\n")
        self.tokens.append("")  # the end
        self.position = 0
        self.line = 1
        self.depth = 0
        self.leaves: dict[str, Expression] = {}  # most texts repeat few names and numbers

    def parse_statements(self) -> tuple[Statement, ...]:
        """Return the statements up to the end of the text, or of the block."""
        statements: list[Statement] = []
        while (symbol := self.tokens[self.position]) != "}":
            if not symbol:
                if self.depth:
                    raise SnippetError(self.line, _NOT_CLOSED)
                return tuple(statements)
            if symbol in _LINE_ENDS:
                self.line += 1
                self.position += 1
            elif symbol.startswith("//"):
                text = symbol.rstrip()
                statements.append(Statement(kind="comment", line=self.line, last_line=self.line, text=text))
                self.position += 1
            else:
                statements.append(self._parse_statement())
        if not self.depth:
            raise SnippetError(self.line, "a } closes no block; remove it")
        self.position += 1
        return tuple(statements)

    def parse_expression(self) -> Expression:
        """Return the expression up to the end of the line, a block or a comment."""
        start, depth = self.position, self.depth
        try:
            expression = self._parse_operation(1)
            if self._is_at_end():
                return expression
        except _UnknownSyntaxError:
            pass
        self.position, self.depth = start, depth
        return Expression("unknown", self._take_line())

    def _parse_statement(self) -> Statement:
        start, line, depth = self.position, self.line, self.depth
        try:
            return self._parse_known_statement()
        except _UnknownSyntaxError:
            self.position, self.line, self.depth = start, line, depth
        text = self._take_line()
        if self._skip_to("{"):
            text += self._take_block()
        return Statement(kind="unknown", line=line, last_line=self.line, text=text)

    def _parse_known_statement(self) -> Statement:
        line, tokens, start = self.line, self.tokens, self.position
        word = tokens[start].lower()
        if "=" in tokens[start + 1 : start + 2 + (word == "assign")]:
            self.position += tokens[start + 1] != "="
            name = tokens[self.position].lower()
            if not _NAME.fullmatch(name):
                raise _UnknownSyntaxError
            self.position += 2
            expressions = (self.parse_expression(),)
            return Statement(kind="assign", line=line, last_line=line, text=name, expressions=expressions)
        if word not in _EXPRESSION_COUNTS:
            raise _UnknownSyntaxError
        several: list[Expression] = []
        while self._skip_to(word):
            self.position += 1
            if _EXPRESSION_COUNTS[word]:
                several.append(self.parse_expression())
            if word != "case":
                break
        if word != "trace" and not self._skip_to("{"):
            text = " ".join(tokens[start : self.position])
            return Statement(kind="unknown", line=line, last_line=self.line, text=text)
        body = self._parse_block() if word != "trace" else ()
        otherwise = self._parse_else() if word == "if" else ()
        return Statement(
            kind=word, line=line, last_line=self.line, expressions=(*several,), body=body, otherwise=otherwise
        )

    def _parse_else(self) -> tuple[Statement, ...]:
        position, line = self.position, self.line
        if self._skip_to("else"):
            self.position += 1
            if self._skip_to("{"):
                return self._parse_block()
        self.position, self.line = position, line
        return ()

    def _parse_block(self) -> tuple[Statement, ...]:
        self.position += 1
        self._descend()
        statements = self.parse_statements()
        self.depth -= 1
        return statements

    def _skip_to(self, word: str) -> bool:
        """Step over line ends and comments, if the word follows them."""
        position, line = self.position, self.line
        while (symbol := self.tokens[position]) in _LINE_ENDS or symbol.startswith("//"):
            line += symbol in _LINE_ENDS
            position += 1
        if symbol.lower() != word:
            return False
        self.position, self.line = position, line
        return True

    def _is_at_end(self) -> bool:
        symbol = self.tokens[self.position]
        return symbol in _LINE_ENDS or symbol in ("{", "}", "") or symbol.startswith("//")

    def _take_line(self) -> str:
        start = self.position
        while not self._is_at_end():
            self.position += 1
        return " ".join(self.tokens[start : self.position])

    def _take_block(self) -> str:
        start, depth = self.position, 0
        while symbol := self.tokens[self.position]:
            self.line += symbol in _LINE_ENDS
            depth += (symbol == "{") - (symbol == "}")
            self.position += 1
            if not depth:
                return " " + " ".join(self.tokens[start : self.position])
        raise SnippetError(self.line, _NOT_CLOSED)

    def _descend(self) -> None:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise SnippetError(self.line, f"blocks and parentheses are nested more than {MAX_DEPTH} deep")

    def _parse_operation(self, power: int) -> Expression:
        left = self._parse_operand()
        tokens = self.tokens
        while (level := _POWERS.get(tokens[self.position], 0)) >= power:
            symbols, parts = [], [left]
            while _POWERS.get(symbol := tokens[self.position]) == level:
                self.position += 1
                symbols.append(symbol)
                parts.append(self._parse_operation(level + 1))
            left = Expression("operation", " ".join(symbols), tuple(parts))
        return left

    def _parse_operand(self) -> Expression:
        symbol = self.tokens[self.position]
        self.position += 1
        if symbol == "(":
            self._descend()
            node = Expression("group", "", (self._parse_operation(1),))
            self._expect(")")
            self.depth -= 1
        elif symbol == "-":
            self._descend()
            node = Expression("operation", "-", (Expression("number", "0"), self._parse_operand()))
            self.depth -= 1
        else:
            node = self.leaves.get(symbol) or self.leaves.setdefault(symbol, _leaf(symbol))
        return self._parse_members(node) if self.tokens[self.position] == "." else node

    def _parse_members(self, node: Expression) -> Expression:
        depth = self.depth
        while self.tokens[self.position] == ".":
            self._descend()
            name = self.tokens[self.position + 1]
            if not _NAME.fullmatch(name):
                raise _UnknownSyntaxError
            self.position += 2
            if self.tokens[self.position] == "(":
                node = Expression("call", name.lower(), (node, *self._parse_arguments()))
            else:
                node = Expression("member", name.lower(), (node,))
        self.depth = depth
        return node

    def _parse_arguments(self) -> list[Expression]:
        self.position += 1
        arguments = [] if self.tokens[self.position] == ")" else [self._parse_operation(1)]
        while self.tokens[self.position] == ",":
            self.position += 1
            arguments.append(self._parse_operation(1))
        self._expect(")")
        return arguments

    def _expect(self, symbol: str) -> None:
        if self.tokens[self.position] != symbol:
            raise _UnknownSyntaxError
        self.position += 1
