"""No pattern of the package takes much longer for a text of twice the length: a small file must not
stop a run.
"""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from time import process_time
from typing import Any

import pytest

import reconciler

pytestmark = pytest.mark.slow
PACKAGE = Path(reconciler.__file__).parent
SEARCHES = frozenset({"search", "sub", "subn", "findall", "finditer", "split"})
"""The methods that try each position of a text."""
LETTERS = tuple(" \t\n;:,.-_/<>()[]{}'\"`=#%@|!&*+~\\$^?aA0x1z\u00e9")
SIZE = 1_000

BOUNDED = {
    "reconciler.render.text.wrap._UNIT": "a line ends in no space",
    "reconciler.targets.studio.language._TOKEN": "a text ends in a line end: spaces always have a token after them",
}
"""Patterns with a longer time for texts that they do not get, and why they do not."""


def patterns() -> dict[str, tuple[re.Pattern[Any], frozenset[str]]]:
    """Return every pattern of a module, and the methods that the package calls on it."""
    actual = dict[str, tuple[re.Pattern[Any], frozenset[str]]]()
    calls: dict[tuple[str, str], set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                private = str(file) if node.value.id.startswith("_") else ""
                calls.setdefault((private, node.value.id), set()).add(node.attr)
    for module in pkgutil.walk_packages([str(PACKAGE)], "reconciler."):
        if module.name.endswith("__main__"):
            continue
        loaded = importlib.import_module(module.name)
        for name, value in vars(loaded).items():
            if isinstance(value, re.Pattern):
                private = str(loaded.__file__) if name.startswith("_") else ""
                actual[f"{module.name}.{name}"] = (
                    value,
                    frozenset(calls.get((private, name), ())),
                )
            for number, listed in enumerate(listed_patterns(value)):
                actual[f"{module.name}.{name}[{number}]"] = listed, frozenset()
    return actual


def listed_patterns(value: object) -> list[re.Pattern[Any]]:
    """Return the patterns in a list, or among the keys and values of a dictionary."""
    items = [*value, *value.values()] if isinstance(value, dict) else value
    return (
        [item for item in items if isinstance(item, re.Pattern)]
        if isinstance(items, list | tuple)
        else []
    )


def pumps(pattern: re.Pattern[Any]) -> Iterator[str]:
    """Yield texts that repeat one or two signs, after a start that the pattern may need."""
    literals = re.findall(
        r"[A-Za-z0-9<>\[\](){}:;#=/\"'`!@ -]{2,}", str(pattern.pattern)
    )[:6]
    starts = ("", "a", "1", '"', *literals)
    for letter in LETTERS:
        yield letter * SIZE
        yield "a" + letter * SIZE
    for start in starts:
        yield from (start + letter * SIZE for letter in (" ", "a", "1"))
    for literal in (
        *literals,
        'a"',
        "a ",
        " a",
        "1,",
        "1.",
        "a;",
        "a,",
        "a/",
        "-a",
        "\\\\",
        "`a",
        "[a",
        "<a",
        "a=",
        "a:",
    ):
        yield literal * (SIZE // len(literal))
        yield "a" + literal * (SIZE // len(literal))


def cost(pattern: re.Pattern[Any], method: str, text: str) -> float:
    source_values: Any = text.encode() if isinstance(pattern.pattern, bytes) else text
    start = process_time()
    if method == "search":
        for _ in pattern.finditer(source_values):
            pass
    else:
        pattern.fullmatch(source_values)
        pattern.match(source_values)
    return process_time() - start


def test_the_time_of_each_pattern_grows_with_the_text() -> None:
    """One test for all of them: a case for each would load the whole package in each worker that
    collects the tests.
    """
    listed = patterns()
    assert set(BOUNDED) <= set(listed)
    slow = [
        name
        for name, (pattern, methods) in listed.items()
        if name not in BOUNDED and is_slow(pattern, methods)
    ]
    assert not slow


def is_slow(pattern: re.Pattern[Any], methods: AbstractSet[str]) -> bool:
    """Return whether a pattern takes much longer for a text of twice the length."""
    method = "search" if methods & SEARCHES else "match"
    return any(
        grows_faster(pattern, method, pump, end)
        for pump in pumps(pattern)
        for end in ("", "\x00")
    )


def grows_faster(pattern: re.Pattern[Any], method: str, pump: str, end: str) -> bool:
    """Return whether the time grows faster than the text.

    A quadratic time grows by 16 where the text grows by 4, a linear one by 4. The shorter text is
    longer than any bound of a repetition, up to which a time may be quadratic.
    """
    if cost(pattern, method, pump + end) < 0.003:
        return False
    few = min(cost(pattern, method, pump * 4 + end) for _ in range(3))
    many = min(cost(pattern, method, pump * 16 + end) for _ in range(2))
    return many >= 9 * few
