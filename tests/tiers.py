"""The two tiers of the tests: `make test` runs those that are not `slow`, `make test-all` runs all.

The fast tier takes at most 120 s on two quiet cores, runs in process mostly, and touches every package and promise.
A test is slow by its file or folder (SLOW), by its own mark, or as one more of many generated cases (`first_fast`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable

SLOW: Final = {
    "browser": "a real browser",
    "crash": "processes that are killed and interrupted",
}
"""Files and folders below tests/ -> what takes long there."""


def is_slow(path: str) -> bool:
    """Return whether a test file is in the slow tier as a whole. `path` is relative to tests/."""
    return any(path == name or path.startswith(f"{name}/") for name in SLOW)


def first_fast(cases: Iterable[Any], fast: int = 1) -> list[Any]:
    """Return the cases as parameters of a test: the first few are fast, the others slow."""
    return [case if at < fast else pytest.param(case, marks=pytest.mark.slow) for at, case in enumerate(cases)]
