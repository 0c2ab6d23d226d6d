"""Every live cell of the fault matrix (invariants "The fault matrix"), in each way, on every
profile that can show it.

`make test` runs one case of each fault; `make test-all` each way of each cell at one moment, on one
profile; `make campaign` runs all.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from pathlib import Path
from zlib import crc32

import pytest

from tests.campaign.matrix import ROWS
from tests.campaign.matrix_actions import ACTS
from tests.campaign.matrix_cases import MatrixCase, cases
from tests.campaign.matrix_checks import CODES
from tests.campaign.matrix_invariants import assert_healed, assert_promises, violations
from tests.campaign.matrix_run import MatrixRun
from tests.campaign.matrix_vocabulary import OPERATIONS
from tests.tiers import FULL

ROOT = Path(__file__).parents[2]
CASES = tuple(cases())
LIVE = {
    (name, operation)
    for name, row in ROWS.items()
    for operation in OPERATIONS
    if row.code(operation) != "-"
}


def _tried() -> list[MatrixCase]:
    """Return every case for the campaign; else one of each way of each cell, with a random moment
    and profile.
    """
    if FULL:
        return list(CASES)
    printed = defaultdict(list)
    for case in CASES:
        printed[case.number, case.operation, case.way.fault].append(case)
    return [
        cases[crc32(repr(place).encode()) % len(cases)]
        for place, cases in printed.items()
    ]


TRIED = _tried()
FIRST = {case.number: case for case in reversed(TRIED)}


def _expected(case: MatrixCase) -> list[pytest.MarkDecorator]:
    """Return the expected end of a case; none passes by accident."""
    return (
        [pytest.mark.xfail(reason=case.way.fails, strict=True)]
        if case.way.fails
        else []
    )


def _tier(case: MatrixCase) -> list[pytest.MarkDecorator]:
    """Return the mark of a further case of a fault: of another operation, at another moment, on
    another profile.
    """
    return [] if case is FIRST[case.number] else [pytest.mark.slow]


def test_the_table_is_complete() -> None:
    """45 faults by six operations, 229 of them live, in the order of the table."""
    assert [f"F{number}" for number in range(1, 46)] == [*ROWS]
    assert {6} == {len(row.codes.split()) for row in ROWS.values()}
    assert 229 == len(LIVE)


def test_every_live_cell_has_a_case() -> None:
    """Each is caused here, or by tests with real processes and sockets that name its row; no other
    cell is.
    """
    here = {(case.number, case.operation) for case in CASES}
    elsewhere = {(name, operation) for name, operation in LIVE if ROWS[name].elsewhere}
    assert LIVE == here | elsewhere
    assert here <= LIVE


@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row.elsewhere])
def test_a_row_that_is_tested_elsewhere_is_named_there(name: str) -> None:
    """The tests of that folder name the row."""
    texts = [
        path.read_text(encoding="utf-8")
        for path in (ROOT / ROWS[name].elsewhere).glob("test_*.py")
    ]
    assert any(re.search(rf"\b{name}\b", text) for text in texts)


def test_every_code_of_a_cell_has_a_case() -> None:
    """`R>S` has a case of each; a case with another end has a reason."""
    expected = {
        (*cell, code) for cell in LIVE for code in _parts(ROWS[cell[0]].code(cell[1]))
    }
    straight = {
        (case.number, case.operation, case.way.code)
        for case in CASES
        if not case.way.apart
    }
    apart = {(case.number, case.operation) for case in CASES if case.way.apart}
    assert {
        item
        for item in expected
        if not ROWS[item[0]].elsewhere and item[:2] not in apart
    } <= straight
    assert straight <= expected


def test_each_case_is_unique() -> None:
    """Names are unique, so that each can be run alone; actions and codes are all used."""
    assert {} == {
        name: count for name, count in Counter(map(str, CASES)).items() if count > 1
    }
    assert {*ACTS} == {case.parts[1] for case in CASES} - {""}
    assert {*CODES} == {case.way.code for case in CASES}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=[*_expected(case), *_tier(case)], id=str(case))
        for case in TRIED
    ],
)
@pytest.mark.fast_cases(8)
def test_a_cell_behaves_as_in_the_table(case: MatrixCase) -> None:
    """The code's behaviour, the rules of every case, and a further run that repairs everything."""
    trial = MatrixRun(case)
    trial.run()
    CODES[case.way.code](trial)
    assert_promises(trial)
    assert_healed(trial)
    trial.oracle.quiet()
    assert [] == violations(trial)


def _parts(code: str) -> list[str]:
    return [code] if code == "K>S" else code.split(">")
