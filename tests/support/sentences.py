"""The sentences in a module's source, to find those that no golden text contains."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[2] / "reconciler"


def sentences(*modules: str) -> set[str]:
    """Return the texts of several words in these modules, without docstrings; parts of an f-string
    are texts.
    """
    return {
        text
        for module in modules
        for text in _texts(ast.parse((PACKAGE / module).read_text("utf-8")))
    }


def missing_sentences(modules: Iterable[str], told: Iterable[str]) -> list[str]:
    """Return the sentences of the modules that are in none of the texts."""
    complete = "\n".join(told)
    return sorted(text for text in sentences(*modules) if text not in complete)


def _texts(tree: ast.Module) -> Iterable[str]:
    docstrings = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and id(node) not in docstrings
        ):
            text = node.value.strip()
            if " " in text:
                yield text
