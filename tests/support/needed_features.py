"""The features that a module of tests imports, itself or by its helpers, and those whose commands
it runs.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from reconciler.cli.arguments import all_commands

ROOT: Final = Path(__file__).parents[2]
FEATURES: Final = tuple(
    sorted(path.parent.name for path in ROOT.glob("reconciler/features/*/__init__.py"))
)
_PREFIX: Final = "reconciler.features."
_CONNECTING: Final = {"plan", "apply", "drift"}
"""Commands that use the sandbox in tests."""
_FORK_SERVER: Final = "fork_server.py"
"""The program by which tests start the command; it imports features by their names."""


def needed_features(path: Path) -> set[str]:
    """Return the names of the features that a module imports, directly or indirectly, or whose
    commands it names.
    """
    modules: set[Path] = set()
    _collect_helpers(path, modules)
    return {feature for module in modules for feature in _features_of_module(module)}


def _features_of_module(path: Path) -> set[str]:
    imported = {
        name.removeprefix(_PREFIX).partition(".")[0]
        for name in _imported_names(path)
        if name.startswith(_PREFIX)
    }
    return imported | _named_features(path)


@cache
def _named_features(path: Path) -> frozenset[str]:
    """Return the features whose commands a module names, and the one of the sandbox for commands
    that connect to a tenant.
    """
    features = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if node.value in _CONNECTING:
            features.add("practice")
        command = all_commands().get(node.value)
        if command and command.module.startswith(_PREFIX):
            features.add(command.module.removeprefix(_PREFIX).partition(".")[0])
    return frozenset(features)


def _collect_helpers(path: Path, modules: set[Path]) -> None:
    """Add a module and the helpers of the tests that it imports."""
    if path in modules:
        return
    modules.add(path)
    for name in _imported_names(path):
        helper = ROOT / f"{name.replace('.', '/')}.py"
        if name.startswith("tests.") and helper.exists():
            _collect_helpers(helper, modules)


@cache
def _imported_names(path: Path) -> frozenset[str]:
    """Return the dotted names that a module imports, or names in a text."""
    return frozenset(_names(ast.parse(path.read_text(encoding="utf-8"))))


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if node.value.startswith(_PREFIX):
                yield node.value
            if node.value == _FORK_SERVER:
                yield "tests.support.fork_server"
