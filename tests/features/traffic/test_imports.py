"""Recorded conversations with other columns, as CSV and JSON lines: counted cells and constant
memory.

The rows themselves are read as for `replay` (tests/core/traffic/test_records.py).
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Mapping
from pathlib import Path
from random import Random

import pytest

from reconciler.core.errors import CxrouteError, ManifestError, UsageError
from reconciler.core.text.files import KIB
from reconciler.features.traffic.cells import Cell, CellCounts, count_conversations
from reconciler.render.colour import no_style
from reconciler.render.text.findings import findings_text
from tests.support.cases import each_case

BOT = {"intent": "Intent", "confidence": "Score"}


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def counted(text: str, columns: Mapping[str, str] | None = None) -> CellCounts:
    Path("r.csv").write_bytes(text.encode())
    return count_conversations("r.csv", columns or {})


def counts(
    text: str, columns: Mapping[str, str] | None = None
) -> dict[Cell, int | float]:
    return counted(text, columns).counts


def test_a_row_is_one_conversation_or_its_count() -> None:
    """Equal rows are added up; without a mapping each column is an attribute."""
    assert {("a", 0.9): 2, ("b", None): 1} == counts(
        "intent,confidence\na,0.9\nb,\na,0.9\n"
    )
    actual = counted("tier,count,intent\ngold,5,a\n7,2,b\n")
    assert (("tier", "intent"), {("gold", "a"): 5, (7, "b"): 2}) == (
        actual.attributes,
        actual.counts,
    )


def test_columns_are_mapped_to_attributes() -> None:
    """In the order of the mapping; values of other columns are not counted apart."""
    text = "x;Score;Intent;count;Level\nnot;0.5;404;3;gold\nread;0.5;404;1;gold\n"
    actual = counted(text, {**BOT, "tier": "Level"})
    assert (("intent", "confidence", "tier"), {("404", 0.5, "gold"): 4}) == (
        actual.attributes,
        actual.counts,
    )
    assert {("gold",): 4} == counts(text, {"tier": "Level"})


def test_confidences_are_rounded_down_to_hundredths() -> None:
    """So that the number of cells is bounded, and no share counts a caller as more certain."""
    assert {(0.87,): 2, (0.29,): 1, (1.0,): 1} == counts(
        "confidence\n0.8799\n0.87\n0.29\n1\n"
    )


def test_json_lines_have_the_same_cells_as_csv() -> None:
    """A missing member is a missing attribute; an intent is text."""
    lines = [
        {"Intent": "a", "Score": 0.875, "more": [1]},
        {"Intent": "a", "Score": 0.87, "Level": "x"},
        {"Score": None, "Intent": "404", "count": 3},
        {"Intent": None, "count": 2},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    csv_text = "Intent,Score,count\na,0.875,1\na,0.87,1\n404,,3\n,,2\n"
    assert (
        {("a", 0.87): 2, ("404", None): 3, (None, None): 2}
        == counts(text, BOT)
        == counts(csv_text, BOT)
    )


@pytest.mark.parametrize(
    ("text", "columns", "message"),
    [
        (
            "Intent\na\n",
            BOT,
            'r.csv: no column "Score"; name the columns with --columns',
        ),
        ("Intent,score\na,1\n", BOT, 'r.csv: no column "Score"; did you mean "score"?'),
        ('{"Intent": "a"}\n{"score": 1}\n', BOT, 'r.csv: no column "Score"'),
        ('{"Intent": "a", "Score": 1}\n', {}, 'r.csv: no column "intent"'),
    ],
)
def test_a_column_that_does_not_exist_is_an_error(
    text: str, columns: dict[str, str], message: str
) -> None:
    """Its values would count as missing attributes."""
    with pytest.raises(UsageError) as caught:
        counted(text, columns)
    assert str(caught.value).startswith(message)


@each_case(
    "text, message",
    [
        (
            "Intent,Score\na,1,2\n",
            "r.csv:2:5: error[CXR233]: this row has more cells than the header",
        ),
        (
            "Intent,Score\n\na,high\n",
            'r.csv:3:3: error[CXR233]: "Score" must be empty or a number from 0 to 1',
        ),
        (
            '{"Intent": "a"}\n{"Intent": "a", "count": -1}\n',
            'r.csv:2:17: error[CXR233]: "count" must be a number',
        ),
        ("", "r.csv:1:1: error[CXR234]: the file contains no conversations"),
        (
            "Intent,Score,count\na,1,0\n",
            "r.csv:1:1: error[CXR234]: the file contains no conversations",
        ),
    ],
)
def test_a_wrong_row_is_named_by_its_position(text: str, message: str) -> None:
    """And nothing is counted."""
    with pytest.raises(ManifestError) as caught:
        counted(text, BOT)
    assert findings_text(caught.value.findings, no_style).startswith(message)


@pytest.mark.slow
def test_too_many_different_rows_are_refused() -> None:
    """Such as those of a column with an id of each conversation."""
    with pytest.raises(
        CxrouteError,
        match=r"more than 100,000 different rows: select columns .*--columns",
    ):
        counted("intent,id\n" + "".join(f"a,{number}\n" for number in range(100_001)))


@pytest.mark.campaign
def test_memory_grows_with_the_cells_and_not_with_the_rows() -> None:
    """60,000 rows of a file take about as much as 6,000."""
    chance = Random(1)
    peaks = []
    for number in (6_000, 60_000):
        rows = (
            f"i{chance.randrange(9)},{chance.random():.9f}\n" for _ in range(number)
        )
        Path("r.csv").write_text(
            "intent,confidence\n" + "".join(rows), encoding="utf-8"
        )
        tracemalloc.start()
        assert number == count_conversations("r.csv", {}).total
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1000 * KIB
