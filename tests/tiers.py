"""The three tiers of the tests: `make test` runs the fast one, `make test-rest` the slow one, `make
campaign` all tests.

A test says by its markers where it belongs; without one it is fast. `slow`: the slow tier runs it.
`fast_cases(3)`: its first three cases are fast, the others slow. `generated`: the fast tier runs it
with few examples, `make test-generated` with more (`size`). `campaign`: only the campaign runs it.
"""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

FULL: Final = os.environ.get("CXROUTE_CAMPAIGN") == "full"
"""Whether everything is to be tried, and not the sample that `make test-all` has time for."""
FAST: Final = "not slow and not root"
"""The fast tier, as `make test` chooses it."""
REST: Final = "slow and not root"
"""The slow tier, as `make test-rest` chooses it."""
SLOW_FOLDERS: Final = ("browser", "crash", "docs", "site")
"""Folders below tests/ whose tests are slow: real browsers, killed processes, pages whose commands
are all typed, the built documentation."""
TRIED: Final = 3
"""So many slow cases of a test are in the slow tier, spread evenly over all of them."""
DISTINCT: Final = frozenset({"deploy", "docs", "site"})
"""Folders of which the slow tier runs each case: a page, a command of a page, an alert."""
_MARKERS: Final = ("mark.slow", "mark.fast_cases")
_CHOSEN: Final = "CXROUTE_TESTS_TIER"


def choose_tier(markers: str) -> None:
    """Note what pytest chooses by, for `size`."""
    os.environ[_CHOSEN] = markers


def size(*, fast: int, slow: int, full: int | None = None) -> int:
    """Return a number of examples: that of the fast tier, of `make test-generated`, or of the
    campaign. A run of single files has the second one.
    """
    if FULL:
        return slow if full is None else full
    return fast if os.environ.get(_CHOSEN) == FAST else slow


def has_no_test(path: Path, markers: str) -> bool:
    """Return whether a tier has no test of a file or folder, by its text alone.

    `path` is relative to tests/, `markers` what pytest chooses by.
    """
    is_slow_folder = path.parts[:1] and path.parts[0] in SLOW_FOLDERS
    is_test = path.name.startswith("test_") and path.suffix == ".py"
    if markers == FAST and is_slow_folder:
        return True
    if markers not in (FAST, REST) or not is_test:
        return False

    text = (Path(__file__).parent / path).read_text("utf-8")
    if markers == FAST:
        return "\npytestmark = pytest.mark.slow\n" in text
    return not is_slow_folder and not any(marker in text for marker in _MARKERS)


def has_no_case(function: object, markers: str) -> bool:
    """Return whether the fast tier has no case of a test, by the markers of its function."""
    names = {mark.name for mark in getattr(function, "pytestmark", ())}
    return markers == FAST and not names.isdisjoint({"slow", "campaign"})


def drop_further_cases(metafunc: pytest.Metafunc, markers: str) -> None:
    """Leave a test the cases that are in the fast tier, if that is chosen.

    The others would be deselected later: to make an item of each takes seconds in each worker.
    """
    fast_cases = metafunc.definition.get_closest_marker("fast_cases")
    if markers == FAST and fast_cases is not None:
        del metafunc._calls[fast_cases.args[0] :]


def mark_slow(items: Iterable[tuple[Path, pytest.Item]]) -> list[pytest.Item]:
    """Mark the slow ones among tests, each with its file relative to tests/, in the order of their
    collection.

    Returns those that are left to `make campaign`.
    """
    cases: Counter[str] = Counter()
    slow: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    remaining: list[pytest.Item] = []
    for path, item in items:
        test = item.nodeid.partition("[")[0]
        cases[test] += 1
        marks = {mark.name: mark for mark in item.iter_markers()}
        if "campaign" in marks:
            item.add_marker(pytest.mark.slow)
            remaining.append(item)
            continue

        is_further = "fast_cases" in marks and cases[test] > marks["fast_cases"].args[0]
        is_moved = is_further or path.parts[0] in SLOW_FOLDERS
        if is_moved:
            item.add_marker(pytest.mark.slow)
        is_slow = is_moved or "slow" in marks
        if is_slow and DISTINCT.isdisjoint(path.parts):
            slow[test].append(item)

    if FULL:
        return []
    for case_items in slow.values():
        count = len(case_items)
        chosen = {number * count // TRIED for number in range(TRIED)}
        remaining += [
            item
            for position, item in enumerate(case_items)
            if count > TRIED and position not in chosen
        ]
    return remaining
