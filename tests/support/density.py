"""How dense Python code is: sums over the files of a folder, and the ratios that have goals.

A code line is a line that is not blank, not a comment, and not part of a docstring. A token is a
name, an operator, a number or a string; an f-string is one string on every version of Python.
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Final

COLUMNS: Final = 100
"""The longest line that is not counted as long."""
_FILLERS: Final = """
    one found made said told what whole left known shown asked wanted written held there ours theirs
    other others more some gone came goes sent seen given taken kept alike lacking meant among
    beside behind
"""
FILLERS: Final = frozenset(_FILLERS.split())
"""Names that do not describe the value."""
# Python 3.12 and newer divide an f-string, and Python 3.14 a t-string, into tokens.
_STARTS: Final = {
    kind
    for kind, name in tokenize.tok_name.items()
    if name in {"FSTRING_START", "TSTRING_START"}
}
_ENDS: Final = {
    kind
    for kind, name in tokenize.tok_name.items()
    if name in {"FSTRING_END", "TSTRING_END"}
}
_COUNTED: Final = {
    *(tokenize.NAME, tokenize.OP, tokenize.NUMBER, tokenize.STRING),
    *_STARTS,
}


@dataclass(frozen=True)
class Function:
    """The size of a function: its AST nodes, and its lines without decorators."""

    place: str
    nodes: int
    lines: int

    @property
    def nodes_per_line(self) -> float:
        """Return how many AST nodes a line has on average."""
        return self.nodes / self.lines


@dataclass(frozen=True, kw_only=True)
class Density:
    """Sums over some files, with at least one code line, bound name and function."""

    code_lines: int
    long_lines: int
    tokens: int
    parallel_assignments: int
    names: Counter[str]
    functions: tuple[Function, ...]

    @property
    def tokens_per_line(self) -> float:
        """Return how many tokens a code line has on average."""
        return self.tokens / self.code_lines

    @property
    def long_line_percent(self) -> float:
        """Return the percentage of code lines that are longer than `COLUMNS`."""
        return 100 * self.long_lines / self.code_lines

    @property
    def parallel_per_thousand(self) -> float:
        """Return how many parallel assignments 1,000 code lines have."""
        return 1000 * self.parallel_assignments / self.code_lines

    @property
    def fillers(self) -> Counter[str]:
        """Return the bound names that do not describe their value."""
        return Counter(
            {name: count for name, count in self.names.items() if name in FILLERS}
        )

    @property
    def filler_percent(self) -> float:
        """Return the percentage of bound names that do not describe their value."""
        return 100 * self.fillers.total() / self.names.total()

    @property
    def largest_function(self) -> Function:
        """Return the function with the most AST nodes."""
        return max(self.functions, key=lambda function: function.nodes)

    @property
    def dense_function(self) -> Function:
        """Return the function that has more AST nodes per line than nine of ten functions."""
        by_rate = sorted(self.functions, key=lambda function: function.nodes_per_line)
        return by_rate[len(by_rate) * 9 // 10]


def python_sources(folder: Path) -> dict[str, str]:
    """Return the text of each Python file of a folder, by its path; not of Node's packages."""
    return {
        path.relative_to(folder.parent).as_posix(): path.read_text("utf-8")
        for path in sorted(folder.rglob("*.py"))
        if "node_modules" not in path.parts
    }


def measure_density(sources: Mapping[str, str]) -> Density:
    """Return the density of some texts of Python modules, by their paths."""
    modules = [_measure_module(path, source) for path, source in sources.items()]
    return Density(
        code_lines=sum(module.code_lines for module in modules),
        long_lines=sum(module.long_lines for module in modules),
        tokens=sum(module.tokens for module in modules),
        parallel_assignments=sum(module.parallel_assignments for module in modules),
        names=Counter(chain(*(module.names.elements() for module in modules))),
        functions=tuple(chain(*(module.functions for module in modules))),
    )


def _measure_module(path: str, source: str) -> Density:
    nodes = list(ast.walk(ast.parse(source)))
    docstrings = docstring_lines(nodes)
    lines = code_lines(source, docstrings)
    return Density(
        code_lines=len(lines),
        long_lines=sum(len(line) > COLUMNS for line in lines),
        tokens=count_tokens(source, docstrings),
        parallel_assignments=sum(map(is_parallel, nodes)),
        names=Counter(name.strip("_") for name in bound_names(nodes)),
        functions=tuple(measure_functions(path, nodes)),
    )


def docstring_lines(nodes: Iterable[ast.AST]) -> set[int]:
    """Return the numbers of the lines that docstrings and other texts without effect occupy."""
    return {
        number
        for node in nodes
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        for number in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def code_lines(source: str, docstrings: set[int]) -> list[str]:
    """Return the lines that are not blank, not a comment, and not part of a docstring."""
    return [
        line
        for number, line in enumerate(source.split("\n"), 1)
        if number not in docstrings and line.strip() and line.strip()[0] != "#"
    ]


def count_tokens(source: str, docstrings: set[int]) -> int:
    """Return the number of tokens outside docstrings."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    count = 0
    depth = 0
    for kind, _, (line, _), _, _ in tokens:
        depth -= kind in _ENDS
        is_docstring = kind == tokenize.STRING and line in docstrings
        count += depth == 0 and kind in _COUNTED and not is_docstring
        depth += kind in _STARTS
    return count


def is_parallel(node: ast.AST) -> bool:
    """Return whether a node is an assignment like `a, b = x, y`."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and any(isinstance(target, ast.Tuple) for target in node.targets)
    )


def bound_names(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """Yield each name that an assignment or a parameter binds, as often as it is bound."""
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def measure_functions(path: str, nodes: Iterable[ast.AST]) -> Iterator[Function]:
    """Yield the size of each function and method; a nested function is a part of both."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield Function(
                place=f"{path}:{node.lineno} {node.name}",
                nodes=sum(1 for _ in ast.walk(node)),
                lines=(node.end_lineno or node.lineno) - node.lineno + 1,
            )
