"""Negative controls: each deliberate bug is caught, and by the promise that it breaks."""

from __future__ import annotations

from typing import Final

import pytest

from tests.campaign.bug_search import BugRow, hunt, table
from tests.campaign.cases import Case, run_case
from tests.campaign.mutants import TWELVE
from tests.campaign.mutants_caught import CAUGHT
from tests.campaign.mutants_more import EXTRAS
from tests.campaign.report import reproductions

CASES: Final = sorted({line for lines in CAUGHT.values() for line in lines})


def test_each_bug_of_the_list_has_its_case() -> None:
    """The twelve, and the others."""
    assert {*TWELVE, *EXTRAS} == {*CAUGHT}
    assert 12 == len(TWELVE)


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    ("bug", "line"), [(bug, line) for bug, lines in CAUGHT.items() for line in lines]
)
def test_a_bug_is_caught(bug: str, line: str) -> None:
    """By the promise that it breaks; it may also break others."""
    actual = hunt(bug, [Case.parse(line)])
    assert actual is not None
    expected = {*CAUGHT[bug][line].split()}
    assert expected == expected & {*actual.invariants}, actual


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("line", CASES)
def test_the_tool_itself_passes_the_cases_that_catch_the_bugs(line: str) -> None:
    """Without a bug there is no violation."""
    assert [] == run_case(Case.parse(line)).violations


@pytest.mark.parametrize("bug", TWELVE)
def test_each_of_the_twelve_works_in_a_simple_case(bug: str) -> None:
    """It is a plausible mistake: one rule is changed, and there it does no harm."""
    with TWELVE[bug]():
        result = run_case(Case("queue-changed", "C"))
    assert ([], True) == (result.violations, result.same_run_converged)


@pytest.mark.slow
def test_the_table_names_the_catching_case_of_each_bug() -> None:
    """A row for each; a bug that is not caught is reported as clearly."""
    rows = list(
        table([Case.parse("as-it-is | A | 1"), Case.parse("key-renamed | C | 1")])
    )
    assert [*TWELVE, *EXTRAS] == [row.bug for row in rows]
    assert BugRow("PUT although equal", "R16", "as-it-is | A | 1", 1) in rows
    assert (
        BugRow("delete in the same round, unconfirmed", "R7", "key-renamed | C | 1", 2)
        in rows
    )
    assert "NOT CAUGHT" == next(
        row.caught for row in rows if row.bug == "blind POST retry"
    )


def test_the_output_names_the_case_that_caught_each_bug() -> None:
    """`make campaign` prints it, so that a developer can repeat the catch."""
    caught = [
        ("PUT although equal", "as-it-is | A | 1"),
        ("no lock", "studio drift | outside@#11 | binds"),
        ("blind POST retry", ""),
    ]
    printed = reproductions(caught).splitlines()
    assert "  PUT although equal: as-it-is | A | 1" in printed
    assert "  no lock: studio drift | outside@#11 | binds" in printed
    assert not any("blind POST retry" in line for line in printed)
