"""The mutants of a module: its syntax tree, each time with one changed node.

Nodes without behaviour have none: annotations, decorators, docstrings, statements for type
checkers, and assertions of impossible cases.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from types import CodeType
from typing import Final

from tests.mutation.operators import Site, replacements

_SKIPPED_FIELDS: Final = {"annotation", "returns", "decorator_list"}
_TYPE_CALLS: Final = (
    "TypeVar",
    "cast",
    "Literal",
    "Callable",
    "AssertionError",
    "TYPE_CHECKING",
)
_BLOCKS: Final = {
    "body": [ast.Pass()],
    "orelse": [],
    "finalbody": [],
    "handlers": [],
    "cases": [],
    "decorator_list": [],
}


@dataclass(frozen=True, slots=True)
class Location:
    """The position of a node: a field of its parent, or an index in the list of this field."""

    parent: ast.AST
    field: str
    index: int | None

    def put(self, node: ast.AST) -> None:
        """Put a node at this position."""
        if self.index is None:
            setattr(self.parent, self.field, node)
        else:
            getattr(self.parent, self.field)[self.index] = node


@dataclass(frozen=True, slots=True)
class _Around:
    """The functions and classes around a node, and its statement."""

    names: tuple[str, ...] = ()
    returns: str = ""
    """The annotated return type of the function; "" outside of functions."""
    called: bool = False
    """Whether a call runs it; otherwise the import of the module does."""
    statement: ast.stmt = field(default_factory=ast.Pass)
    head: str = ""
    """The statement as one line of text; of a compound statement only its head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One changed node. Module, function and texts identify it, because line numbers change."""

    function: str
    """The qualified name of the function or class; "" at the top of the module."""
    old: str
    """The unchanged statement; of a compound statement only its head."""
    new: str
    operator: str
    lines: range
    called: bool
    place: Location = field(repr=False)
    node: ast.AST = field(repr=False)
    replacement: ast.AST = field(repr=False)


class Source:
    """A module's text, and its mutants."""

    def __init__(self, text: str, name: str) -> None:
        self.name = name
        self._tree = ast.parse(text)

    def mutants(self) -> list[Mutant]:
        """Return every mutant, in the order of the text."""
        return list(_of_children(self._tree, _Around()))

    def compiled(self, mutant: Mutant) -> CodeType:
        """Return the module's code with one changed node."""
        mutant.place.put(mutant.replacement)
        try:
            return compile(
                ast.fix_missing_locations(self._tree),
                self.name,
                "exec",
                dont_inherit=True,
            )
        finally:
            mutant.place.put(mutant.node)


def _of_children(parent: ast.AST, around: _Around) -> Iterator[Mutant]:
    for name, value in ast.iter_fields(parent):
        if name in _SKIPPED_FIELDS:
            continue
        inside = around
        if (
            isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            and name == "body"
        ):
            names = (*around.names, parent.name)
            called = around.called or not isinstance(parent, ast.ClassDef)
            returns = (
                ast.unparse(parent.returns)
                if not isinstance(parent, ast.ClassDef) and parent.returns
                else ""
            )
            inside = replace(around, names=names, called=called, returns=returns)
        for index, child in (
            enumerate(value) if isinstance(value, list) else [(None, value)]
        ):
            if isinstance(child, ast.AST) and not _is_for_checkers(child):
                yield from _of(child, Location(parent, name, index), inside)


def _of(node: ast.AST, place: Location, around: _Around) -> Iterator[Mutant]:
    if isinstance(node, ast.stmt):
        around = replace(around, statement=node, head=_head(node))
    for operator, replacement in replacements(
        Site(node, place.parent, place.field, around.returns)
    ):
        place.put(ast.copy_location(replacement, node))
        new = _head(replacement if node is around.statement else around.statement)
        place.put(node)
        if new == around.head:  # two equal arguments were swapped
            continue
        yield Mutant(
            function=".".join(around.names),
            old=around.head,
            new=new,
            operator=operator,
            lines=_lines(around.statement),
            called=around.called,
            place=place,
            node=node,
            replacement=replacement,
        )
    yield from _of_children(node, around)


def _is_for_checkers(node: ast.AST) -> bool:
    """Return whether a node does nothing at run time: a docstring, a type, an assertion of an
    impossible case.
    """
    match node:
        case ast.Expr(ast.Constant()) | ast.Assert() | ast.Import() | ast.ImportFrom():
            return True
        case ast.Assign([ast.Name("__all__")]):
            return True
        case (
            ast.If(test=ast.Name(name))
            | ast.Call(func=ast.Name(name))
            | ast.Subscript(value=ast.Name(name))
            | ast.Raise(exc=ast.Call(func=ast.Name(name)))
        ):
            return name in _TYPE_CALLS
    return False


def _head(node: ast.AST) -> str:
    """Return a statement as one line of text; of a compound statement only its head."""
    head = copy.copy(node)
    for name, empty in _BLOCKS.items():
        if isinstance(getattr(head, name, None), list):
            setattr(head, name, empty)
    return ast.unparse(head).removesuffix("\n    pass")


def _lines(statement: ast.stmt) -> range:
    """Return the lines of a statement; of a compound statement only those of its head."""
    body = getattr(statement, "body", None)
    last = body[0].lineno - 1 if isinstance(body, list) else statement.end_lineno or 0
    return range(statement.lineno, max(last, statement.lineno) + 1)
