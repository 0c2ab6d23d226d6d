"""Words that avoid the subject of a sentence, or that no other tool of the field uses."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import ROOT

OLD = re.compile(
    r"\b(nobody|whoever|somebody|anybody|theirs|thereof|anew|likewise|ours|of others|for to|but for"
    r"|be it|no one|left alone|let alone|mend|mended|mends|foreseen|(?<!there )(?:is|are|was|were) "
    r"no(?! longer)\b)\b",
    re.IGNORECASE,
)
"""Each has a plain form: "not changed" for "left alone", "managed" for "ours", "is not a plan" for
"is no plan"."""
ABOUT_CHANGES = re.compile(
    r"\b(?:(?:keep|take) theirs\b|moves? nobody\b|in CXone, somebody\b|nobody \(proven\))",
    re.IGNORECASE,
)
"""Sentences about a change, which everybody who reads a plan learns once
(docs/reading-a-plan.md)."""
SIDES_OF_A_MERGE = re.compile(
    r"\b(?:OURS|THEIRS)\b|`(?:ours|theirs)`|^ +(?:ours|theirs)  |\bOurs \| Theirs\b"
)
"""Git's own names for them, where they stand as names."""
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "benchmarks").glob("*.md"),
    ROOT / "tests/README.md",
]
FILES = [
    *PAGES,
    *(ROOT / "reconciler").rglob("*.py"),
    *(ROOT / "reconciler").rglob("*.j2"),
    *(
        path
        for path in (ROOT / "tests").rglob("*.py")
        if "node_modules" not in path.parts
    ),
]


@pytest.mark.slow
def test_texts_use_plain_words() -> None:
    """In strings, docstrings, comments, names of tests, and pages; a quotation of the old form has
    its own place.
    """
    old = [
        f"{path.relative_to(ROOT)}:{line}: {text}"
        for path in FILES
        for line, text in sentences(path)
        if OLD.search(SIDES_OF_A_MERGE.sub("", ABOUT_CHANGES.sub("", text)))
    ]
    assert [] == old


def sentences(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the texts of a file that people read, with their lines."""
    source = path.read_text("utf-8")
    if path.suffix != ".py":
        yield from enumerate(source.splitlines(), 1)
        return
    in_tests = "tests" in path.relative_to(ROOT).parts  # whose other strings are data
    for node in ast.walk(ast.parse(source)):
        if (
            isinstance(node, ast.Constant)
            and isinstance(node.value, str)
            and " " in node.value.strip()
            and not in_tests
        ):
            yield node.lineno, " ".join(node.value.split())
        elif isinstance(node, _DOCUMENTED) and in_tests:
            name = getattr(node, "name", "").replace("_", " ")
            title = name if name.startswith("test ") else ""
            yield getattr(node, "lineno", 1), f"{title}: {ast.get_docstring(node)}"
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string
