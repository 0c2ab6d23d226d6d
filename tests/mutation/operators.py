"""The changes of a mutant: each operator takes a node of a syntax tree and yields nodes to replace
it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Final

Operator = Callable[["Site"], Iterator[ast.AST]]

_COMPARISONS: Final[dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLED_INSTEAD: Final = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sorted": "list",
    "reversed": "list",
    "startswith": "endswith",
    "endswith": "startswith",
}
_EMPTY: Final = {
    "str": "''",
    "int": "0",
    "float": "0.0",
    "list": "[]",
    "tuple": "()",
    "frozenset": "frozenset()",
}
_EMPTY_MAPPING: Final = ("dict", "Mapping")
_MARK: Final = "XX"
_SMALL: Final = 16
"""Larger numbers are limits of work and of size, where a difference of one has no effect."""


class Site:
    """A node, its position, and the annotated return type of the function around it."""

    def __init__(
        self, node: ast.AST, parent: ast.AST, field: str, returns: str
    ) -> None:
        self.node, self.parent, self.field, self.returns = node, parent, field, returns


def replacements(site: Site) -> Iterator[tuple[str, ast.AST]]:
    """Yield the name of each operator that applies, and its replacement of the node."""
    for name, operator in OPERATORS.items():
        for node in operator(site):
            yield name, node


def _comparison(site: Site) -> Iterator[ast.AST]:
    if isinstance(node := site.node, ast.Compare):
        for index, op in enumerate(node.ops):
            for other_comparison in _COMPARISONS[type(op)]:
                yield ast.Compare(
                    node.left,
                    [*node.ops[:index], other_comparison(), *node.ops[index + 1 :]],
                    node.comparators,
                )


def _and_or(site: Site) -> Iterator[ast.AST]:
    if isinstance(node := site.node, ast.BoolOp):
        yield ast.BoolOp(
            ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values
        )


def _sign(site: Site) -> Iterator[ast.AST]:
    """Remove a `not`, and a minus."""
    if isinstance(node := site.node, ast.UnaryOp) and isinstance(
        node.op, ast.Not | ast.USub
    ):
        yield node.operand


def _arithmetic(site: Site) -> Iterator[ast.AST]:
    node = site.node
    if isinstance(node, ast.BinOp):
        yield ast.BinOp(node.left, _ARITHMETIC[type(node.op)](), node.right)
    elif isinstance(node, ast.AugAssign):
        yield ast.AugAssign(node.target, _ARITHMETIC[type(node.op)](), node.value)


def _constant(site: Site) -> Iterator[ast.AST]:
    if not isinstance(site.node, ast.Constant):
        return
    match site.node.value:
        case bool() as value:
            yield ast.Constant(not value)
        case int() | float() as value if abs(value) <= _SMALL:
            yield ast.Constant(value + 1)
            yield (
                ast.Constant(value - 1)
                if value
                else ast.UnaryOp(ast.USub(), ast.Constant(1))
            )
        case None if not isinstance(site.parent, ast.Compare | ast.Return):
            yield ast.Constant(0)


def _text(site: Site) -> Iterator[ast.AST]:
    if not isinstance(site.node, ast.Constant) or isinstance(site.parent, ast.Expr):
        return
    match site.node.value:
        case str() as value:
            yield ast.Constant(_MARK + value)
        case bytes() as value:
            yield ast.Constant(_MARK.encode() + value)


def _loop_exit(site: Site) -> Iterator[ast.AST]:
    if isinstance(site.node, ast.Continue):
        yield ast.Break()
    elif isinstance(site.node, ast.Break):
        yield ast.Continue()


def _returned(site: Site) -> Iterator[ast.AST]:
    """Return the opposite of a truth value, an empty value of another type, or None."""
    if not isinstance(node := site.node, ast.Return) or node.value is None:
        return
    if site.returns == "bool":
        yield ast.Return(ast.UnaryOp(ast.Not(), node.value))
        return
    kind = site.returns.split("[")[0]
    empty = ast.parse(
        "{}" if kind in _EMPTY_MAPPING else _EMPTY.get(kind, "None"), mode="eval"
    ).body
    if ast.dump(empty) != ast.dump(node.value):
        yield ast.Return(empty)


def _deleted(site: Site) -> Iterator[ast.AST]:
    """Delete a statement with an effect: a call, a yield, an assignment to an attribute or item, a
    raise.
    """
    match site.node:
        case (
            ast.Expr(ast.Call() | ast.Yield() | ast.YieldFrom() | ast.Await())
            | ast.Assign([ast.Attribute() | ast.Subscript(), *_])
            | ast.AugAssign()
            | ast.Delete()
            | ast.Raise(ast.AST())
        ):
            yield ast.Pass()


def _condition(site: Site) -> Iterator[ast.AST]:
    """Replace a condition by true and by false, but not in `while True`, which would only never
    end.
    """
    parent = site.parent
    if isinstance(parent, ast.If | ast.IfExp | ast.While) and site.field == "test":
        yield ast.Constant(value=False)
        if not isinstance(parent, ast.While):
            yield ast.Constant(value=True)
    elif isinstance(parent, ast.comprehension) and site.field == "ifs":
        yield ast.Constant(value=False)
        yield ast.Constant(value=True)


def _arguments(site: Site) -> Iterator[ast.AST]:
    """Swap the first two arguments of a call; drop a named argument, which may have a default."""
    if not isinstance(node := site.node, ast.Call):
        return
    match node.args:
        case [ast.Starred(), *_] | [_, ast.Starred(), *_]:
            pass
        case _ if isinstance(node.func, ast.Name) and node.func.id in ("min", "max"):
            pass
        case [first, second, *others]:
            yield ast.Call(node.func, [second, first, *others], node.keywords)
    # only a reader of a traceback sees it
    for index in (
        index for index, keyword in enumerate(node.keywords) if keyword.arg != "repr"
    ):
        yield ast.Call(
            node.func, node.args, [*node.keywords[:index], *node.keywords[index + 1 :]]
        )


def _called(site: Site) -> Iterator[ast.AST]:
    """Replace `max` by `min` and similar functions; replace `sorted` and `reversed` by `list`."""
    match site.node:
        case ast.Call(ast.Name(name), args, keywords) if name in _CALLED_INSTEAD:
            retained = [] if name in ("sorted", "reversed") else keywords
            yield ast.Call(ast.Name(_CALLED_INSTEAD[name], ast.Load()), args, retained)
        case ast.Call(ast.Attribute(value, name), args, keywords) if (
            name in _CALLED_INSTEAD
        ):
            yield ast.Call(
                ast.Attribute(value, _CALLED_INSTEAD[name], ast.Load()), args, keywords
            )


def _slice(site: Site) -> Iterator[ast.AST]:
    """Drop the start of a slice, its end, and its step."""
    if isinstance(node := site.node, ast.Slice):
        for bounds in (
            (None, node.upper, node.step),
            (node.lower, None, node.step),
            (node.lower, node.upper, None),
        ):
            if bounds != (node.lower, node.upper, node.step):
                yield ast.Slice(*bounds)


OPERATORS: Final[dict[str, Operator]] = {
    "comparison": _comparison,
    "and, or": _and_or,
    "not, minus": _sign,
    "arithmetic": _arithmetic,
    "constant": _constant,
    "text": _text,
    "break, continue": _loop_exit,
    "returned value": _returned,
    "deleted statement": _deleted,
    "forced condition": _condition,
    "arguments": _arguments,
    "called function": _called,
    "slice": _slice,
}
