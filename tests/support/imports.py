"""The imports and classes of a file; the import cycles, rooms and floors of a package."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_BLOCKS: Final = ("body", "orelse", "finalbody", "handlers", "cases")
"""The fields of a statement that contain statements."""


class ClassFacts(NamedTuple):
    """The name of a class, its decorators as texts, and the number of its annotated fields.

    A class is nested if another definition or a block contains it.
    """

    name: str
    decorators: tuple[str, ...]
    fields: int
    is_nested: bool


class ModuleFacts(NamedTuple):
    """What the source of a module imports and defines.

    `imports` has modules and names (empty in `import module`), those for types too; `runtime` has
    the modules that are imported when the module runs.
    """

    imports: tuple[tuple[str, str], ...]
    runtime: tuple[str, ...]
    classes: tuple[ClassFacts, ...]


def module_facts(path: Path) -> ModuleFacts:
    """Return the facts of a file; a source is parsed once in a process."""
    return _read_facts(path.read_text("utf-8"))


@cache
def _read_facts(source: str) -> ModuleFacts:
    tree = ast.parse(source)
    nodes = list(_statements(tree))
    return ModuleFacts(
        imports=tuple(pair for node in nodes for pair in _imports(node)),
        runtime=tuple(_runtime_imports(tree)),
        classes=tuple(
            _class_facts(node, tree) for node in nodes if isinstance(node, ast.ClassDef)
        ),
    )


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the statements of a tree at every depth: a tenth of its nodes."""
    pending = [tree]
    while pending:
        nested = _nested(pending.pop())
        yield from nested
        pending += nested


def _nested(node: ast.AST) -> list[ast.AST]:
    return [child for name in _BLOCKS for child in getattr(node, name, ())]


def _imports(node: ast.AST) -> Iterator[tuple[str, str]]:
    if isinstance(node, ast.Import):
        yield from ((name.name, "") for name in node.names)
    elif isinstance(node, ast.ImportFrom) and node.module:
        yield from ((node.module, name.name) for name in node.names)


def _class_facts(node: ast.ClassDef, module: ast.Module) -> ClassFacts:
    fields = [
        item
        for item in node.body
        if isinstance(item, ast.AnnAssign)
        and "ClassVar" not in ast.unparse(item.annotation)
    ]
    decorators = tuple(map(ast.unparse, node.decorator_list))
    return ClassFacts(
        node.name, decorators, len(fields), is_nested=node not in module.body
    )


def imported(path: Path) -> Sequence[str]:
    """Return the full names of the modules that a file imports, in functions too; not imports for
    types only.
    """
    return module_facts(path).runtime


def import_graph(package: Path) -> dict[str, set[str]]:
    """Return the modules of a package, each with those that it imports; imports for types count."""
    files = {_name(path, package): path for path in package.rglob("*.py")}
    return {
        name: _modules(module_facts(path), files) - {name}
        for name, path in files.items()
    }


def import_cycles(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, directly or not."""
    while leaves := {
        name for name, actual in graph.items() if not actual & graph.keys()
    }:
        graph = {name: actual for name, actual in graph.items() if name not in leaves}
    return [
        sorted(_reached(name, graph) & graph.keys())
        for name in graph
        if name in _reached(name, graph)
    ]


def inside(graph: Mapping[str, set[str]], package: str) -> dict[str, set[str]]:
    """Return the part of a graph below a package, such as `reconciler.core`, as a graph of its own."""
    above = package.rpartition(".")[0]

    def name(module: str) -> str:
        return module.removeprefix(f"{above}.")

    return {
        name(module): {name(below) for below in imports if below.startswith(package)}
        for module, imports in graph.items()
        if module.startswith(package)
    }


def room_imports(graph: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the packages and modules at the top of a package, each with those that it imports.

    `__init__` and `__main__` are neither counted nor followed: they are entrances.
    """
    rooms = {name: _room(name) for name in graph if _room(name)}
    imports: dict[str, set[str]] = {room: set() for room in rooms.values()}
    for name, room in rooms.items():
        imports[room] |= {_room(module) for module in graph[name]} - {room, ""}
    return imports


def _room(module: str) -> str:
    """Return the part of a module's name below the package; nothing for an entrance."""
    room = module.partition(".")[2].partition(".")[0]
    return "" if room.startswith("__") else room


def floors(imports: Mapping[str, set[str]]) -> list[set[str]]:
    """Return the rooms by height: a floor imports from the floors before it alone.

    Rooms that import each other, and all that import them, are on one last floor.
    """
    levels: list[set[str]] = []
    above = dict(imports)
    while above:
        level = {room for room, below in above.items() if not below & above.keys()}
        levels.append(level or set(above))
        above = {room: above[room] for room in above.keys() - levels[-1]}
    return levels


def _name(path: Path, package: Path) -> str:
    return ".".join(
        path.relative_to(package.parent).with_suffix("").parts
    ).removesuffix(".__init__")


def _modules(facts: ModuleFacts, files: Mapping[str, Path]) -> set[str]:
    """Return the modules among `files` that a module imports: a name of a package may be a module
    of it.
    """
    names = {f"{module}.{name}" for module, name in facts.imports}
    packages = {
        module for module, name in facts.imports if f"{module}.{name}" not in files
    }
    return (names | packages) & files.keys()


def _reached(start: str, graph: Mapping[str, set[str]]) -> set[str]:
    """Return the modules that a module imports, directly or not; with itself if it is on a
    cycle.
    """
    reached: set[str] = set()
    following = [start]
    while following:
        new = graph.get(following.pop(), set()) - reached
        reached |= new
        following += new
    return reached


def _runtime_imports(tree: ast.AST) -> Iterator[str]:
    for node in _nested(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""
        elif not (
            isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        ):
            yield from _runtime_imports(node)
