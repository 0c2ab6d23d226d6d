"""Negative controls: each deliberate bug is caught, and by the promise that it breaks."""

from __future__ import annotations

from typing import Final

import pytest

from tests.campaign.bug_search import Row, hunt, table
from tests.campaign.cases import Case, run_case
from tests.campaign.mutants import TWELVE
from tests.campaign.mutants_more import EXTRAS

CAUGHT: Final = {
    "delete before create": {
        "key-renamed | A | 1": "R3",
        "intents-swapped | C | 1": "R4",
    },
    "ownership by prefix": {
        "other-owners | C | 1": "R1",
    },
    "ownership by display name": {"as-it-is | A | 1 | human-unmark@#1": "R1"},
    "blind POST retry": {
        "first-rules | C | 1 | POST rules:500-applied@#1": "R5 R6",
        "first-rules | C | 1 | POST rules:late=2": "R6",
    },
    "first page only": {"page-and-one | C | 1": "R5 R11 R15"},
    "single unverified listing": {"key-renamed | C | 1": "R11"},
    "no count/unique check while paging": {
        "page-and-one | C | 1 | GET rules:missing@#3": "R11",
        "page-and-one | C | 1 | GET rules:missing": "R5 R11",
    },
    "trusts its own writes": {
        "key-renamed | A | 1": "R7",
        "first-rules | C | 1 | POST rules:reset-applied": "R5 R6",
    },
    "never heals duplicates": {
        "duplicates-left | C | 1": "R15 R18",
        "first-rules | C | 1 | POST rules:late=4": "R5 R15",
    },
    "PUT although equal": {"as-it-is | A | 1": "R16"},
    "deletes although a create failed": {"key-renamed | C | 1 | POST rules:422": "R3 R7"},
    "delete in the same round, unconfirmed": {"key-renamed | C | 1": "R7"},
    "no If-Match": {"key-renamed | A | 1": "R9"},
    "writes what the list showed": {"key-renamed | C | 1": "R9"},
    "blind PUT retry": {"queue-changed | C | 1 | PUT rule:500@#1": "R6"},
    "loses unknown fields": {
        "unknown-fields | C | 1": "R2",
        "unknown-fields-in-parts | C | 1": "R2",
    },
    "any marker is ours": {"other-owners | C | 1": "R1"},
    "retries what is wrong": {"key-renamed | C | 1 | POST rules:422": "R21"},
    "a token for each call": {"key-renamed | C | 1": "R20"},
    "always says that all is well": {"key-renamed | C | 1 | POST rules:422": "R18"},
    "age alone decides": {
        "clone-edited-as-old-as-ours | A | 1": "R1",
        "clone-edited-with-dates-in-milliseconds | C | 1": "R1",
        "original-edited-and-a-copy-kept | C | 1": "R1",
    },
    "any twin is a duplicate": {
        "copy-in-another-division | C | 1": "R1",
        "copy-with-another-hint-in-a-target | C | 1": "R1",
    },
    "no canary": {
        "first-rules | C | 1 | POST rules:altered=description": "R1",
        "first-rules | C | 1 | POST rules:altered=description@#1": "R1",
        "adopt-all-at-first | A | 1 | PUT rule:altered=description": "R1",
    },
    "canary not undone": {
        "first-rules | C | 1 | POST rules:altered=description": "R1",
        "adopt-all-at-first | A | 1 | PUT rule:altered=description": "R1",
    },
    "a person's text is the tenant's": {"drift | C | 1": "R18"},
    "no weight is routed": {"no-weight-refused | A | 1": "R8", "no-weight-refused | C | 1": "R8"},
    "a reviewed plan never stops": {
        "reviewed-hidden | A | 1 | human-foreign@#9": "R9",
        "reviewed-hidden | C | 1 | human-foreign@#9": "R9",
    },
    "the digest leaves out the switch": {"clone-switched-off | C | 1": "R1"},
    "every rule is read as switched on": {"clone-switched-off | C | 1": "R1"},
    "switching off is not counted": {"switched-off-refused | A | 1": "R8", "switched-off-refused | C | 1": "R8"},
}
"""Each bug, the cases that catch it, and the promises that each finds broken at the least."""

CASES: Final = sorted({line for lines in CAUGHT.values() for line in lines})


def test_each_bug_of_the_list_has_its_case() -> None:
    """The twelve, and the others."""
    assert {*TWELVE, *EXTRAS} == {*CAUGHT}
    assert 12 == len(TWELVE)


@pytest.mark.parametrize(("bug", "line"), [(bug, line) for bug, lines in CAUGHT.items() for line in lines])
def test_a_bug_is_caught(bug: str, line: str) -> None:
    """By the promise that it breaks, whatever else it breaks too."""
    found = hunt(bug, [Case.parse(line)])
    assert found is not None
    expected = {*CAUGHT[bug][line].split()}
    assert expected == expected & {*found.invariants}, found


@pytest.mark.parametrize("line", CASES)
def test_the_tool_itself_passes_what_catches_the_bugs(line: str) -> None:
    """Without a bug nothing is found."""
    assert [] == run_case(Case.parse(line)).violations


@pytest.mark.parametrize("bug", TWELVE)
def test_each_of_the_twelve_works_where_nothing_is_hard(bug: str) -> None:
    """It is a mistake that could be made: one rule is changed, and there it does no harm."""
    with TWELVE[bug]():
        result = run_case(Case("queue-changed", "C"))
    assert ([], True) == (result.violations, result.same_run_converged)


def test_the_table_says_what_caught_each_bug_and_after_how_many_cases() -> None:
    """A row for each; what nothing catches is said as loudly."""
    rows = list(table([Case.parse("as-it-is | A | 1"), Case.parse("key-renamed | C | 1")]))
    assert [*TWELVE, *EXTRAS] == [row.bug for row in rows]
    assert Row("PUT although equal", "R16", "as-it-is | A | 1", 1) in rows
    assert Row("delete in the same round, unconfirmed", "R7", "key-renamed | C | 1", 2) in rows
    assert "NOT CAUGHT" == next(row.caught for row in rows if row.bug == "blind POST retry")
