"""docs/internals/architecture.md: its modules and functions exist."""

from __future__ import annotations

import ast
import re

import pytest

from tests.docs.page import ROOT

ROWS = re.findall(
    r"^\| [^|]+ \| `([\w/]+\.py)` \| ([^|]+) \|",
    (ROOT / "docs/internals/architecture.md").read_text("utf-8"),
    re.MULTILINE,
)


@pytest.mark.parametrize(("module", "functions"), ROWS)
def test_each_stage_names_a_function_that_exists(module: str, functions: str) -> None:
    """A function or class of the module, or a method of such a class."""
    defined = set(names(ast.parse((ROOT / "reconciler" / module).read_text("utf-8"))))
    assert set(re.findall(r"`([\w.]+)`", functions)) <= defined


def test_both_tables_are_on_the_page() -> None:
    """The pattern finds the rows of both tables."""
    assert {
        "core/manifest/load.py",
        "core/apply/loop.py",
        "features/endpoint/event.py",
        "targets/platform/context_client.py",
    } <= {row[0] for row in ROWS}


def names(tree: ast.Module | ast.ClassDef, prefix: str = "") -> list[str]:
    """Return the names of functions, classes and methods, as `Class.method`."""
    actual = []
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            actual.append(f"{prefix}{node.name}")
        if isinstance(node, ast.ClassDef):
            actual += names(node, f"{node.name}.")
    return actual
