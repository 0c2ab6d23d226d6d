"""Measures of the package's structure and names, each with its limit.

`python -m tests.support.house` prints them.
"""

from __future__ import annotations

import ast
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from tests.support.imports import import_cycles

ROOT: Final = Path(__file__).parents[2]
_FILLERS: Final = (
    "one found made said told what whole left known shown asked wanted written held there ours "
    "theirs other more some"
    " gone came goes sent seen given taken kept"
)
FILLERS: Final = frozenset(_FILLERS.split())
"""Names that do not describe the value."""
_FUNCTIONS: Final = (ast.FunctionDef, ast.AsyncFunctionDef)


class Measure(NamedTuple):
    """A figure of the package, its limit, and the places that exceed it or are nearest to it."""

    name: str
    value: float
    limit: float
    worst: str = ""

    @property
    def holds(self) -> bool:
        """Return whether the figure is within its limit."""
        return self.value <= self.limit

    def __str__(self) -> str:
        number = (
            f"{self.value:,.1f}"
            if not float(self.value).is_integer()
            else f"{self.value:,}"
        )
        mark = "ok  " if self.holds else "OVER"
        return f"{mark}  {self.name:<34} {number:>8}  at most {self.limit:,}  {self.worst}".rstrip()


def measures() -> list[Measure]:
    """Return all measures of `reconciler/`."""
    sources = {
        path.relative_to(ROOT).as_posix(): path.read_text("utf-8")
        for path in sorted((ROOT / "reconciler").rglob("*.py"))
    }
    trees = {name: ast.parse(source) for name, source in sources.items()}
    functions = {
        f"{name}:{node.name}": sum(1 for _ in ast.walk(node))
        for name, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, _FUNCTIONS)
    }
    names = Counter(
        name.strip("_") for tree in trees.values() for name in bound_names(tree)
    )
    fillers = Counter({name: count for name, count in names.items() if name in FILLERS})
    classes = Counter(
        node.name
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
    )
    repeated = sorted(name for name, count in classes.items() if count > 1)
    largest_function = max(functions, key=functions.__getitem__)
    circles = import_cycles(ROOT / "reconciler")
    share = 100 * fillers.total() / names.total()
    return [
        Measure("packages and modules at the top", len(top_level()), 26),
        Measure("import layers", len(layers()), 10),
        Measure("import cycles", len(circles), 0, " ".join(map(str, circles[:1]))),
        Measure(
            "filler names, percent",
            share,
            2.0,
            ", ".join(f"{name} {n}" for name, n in fillers.most_common(6)),
        ),
        Measure("class names defined twice", len(repeated), 0, ", ".join(repeated[:6])),
        Measure(
            "largest function, AST nodes",
            functions[largest_function],
            600,
            largest_function,
        ),
    ]


def bound_names(tree: ast.Module) -> Iterator[str]:
    """Yield each name that an assignment or a parameter binds, as often as it is bound."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.arg):
            yield node.arg


def top_level() -> set[str]:
    """Return the packages and modules in `reconciler/`, without the special ones."""
    room = ROOT / "reconciler"
    packages = {path.parent.name for path in room.glob("*/__init__.py")}
    return packages | {
        path.stem for path in room.glob("*.py") if not path.stem.startswith("__")
    }


def layers() -> list[str]:
    """Return the import layers, as import-linter holds them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    found: list[str] = next(
        contract["layers"] for contract in contracts if contract["type"] == "layers"
    )
    return found


def main() -> int:
    """Print every measure; return 0 if all are within their limits."""
    results = measures()
    sys.stdout.write("\n".join(map(str, results)) + "\n")
    return int(not all(result.holds for result in results))


if __name__ == "__main__":
    sys.exit(main())
