"""Recorded conversations as CSV and JSON lines: counted cells, errors by line, and constant memory."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random

import pytest

from reconciler.errors import ManifestError
from reconciler.render.colour import no_style
from reconciler.render.text.findings import findings_text
from reconciler.text.files import KIB, read_lines
from reconciler.traffic.cells import Cell, CellCounts
from reconciler.traffic.records import count_conversations

BOT = {"intent": "Intent", "confidence": "Score"}


def counted(text: str, columns: Mapping[str, str] | None = None) -> CellCounts:
    return count_conversations(iter(text.splitlines(keepends=True)), "r.csv", columns or {})


def counts(text: str, columns: Mapping[str, str] | None = None) -> dict[Cell, int | float]:
    return counted(text, columns).counts


def said(text: str, columns: Mapping[str, str] | None = None) -> str:
    with pytest.raises(ManifestError) as caught:
        counted(text, columns)
    return findings_text(caught.value.findings, no_style).splitlines()[0]


def test_a_row_is_one_conversation_or_its_count() -> None:
    """Equal rows are added up; without a mapping each column is an attribute."""
    assert {("a", 0.9): 2, ("b", None): 1} == counts("intent,confidence\na,0.9\nb,\na,0.9\n")
    found = counted("tier,count,intent\ngold,5,a\n7,2,b\n")
    assert (("tier", "intent"), {("gold", "a"): 5, (7, "b"): 2}) == (found.attributes, found.counts)


def test_columns_are_mapped_to_attributes() -> None:
    """In the order of the mapping; other columns are not read."""
    text = "x;Score;Intent;N\nnot,read;0.5;a;3\n"
    found = counted(text, {**BOT, "count": "N"})
    assert (("intent", "confidence"), {("a", 0.5): 3}) == (found.attributes, found.counts)


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_separators_blank_lines_and_quoted_line_ends(separator: str) -> None:
    """As spreadsheets write them: line ends of Windows, empty rows, a quoted line end inside a cell."""
    rows = ["", "intent,tier", '"a","x\ny"', ",", "b,z", ""]
    assert {("a", "x\ny"): 1, ("b", "z"): 1} == counts("\r\n".join(rows).replace(",", separator))


def test_confidences_are_rounded_down_to_hundredths() -> None:
    """So that the number of cells is bounded, and no share counts a caller as more certain."""
    assert {(0.87,): 2, (0.29,): 1, (1.0,): 1} == counts("confidence\n0.8799\n0.87\n0.29\n1\n")


def test_json_lines_have_the_same_cells_as_csv() -> None:
    """A missing member is a missing attribute; numbers may be texts; an intent is text."""
    lines = [
        {"Intent": "a", "Score": 0.875, "more": [1]},
        {"Intent": "a", "Score": "0.87"},
        {"Score": None, "Intent": 404, "count": "3"},
        {"Intent": None, "count": 2},
    ]
    text = "".join(f"{json.dumps(line)}\n" for line in lines)
    csv_text = "Intent,Score,count\na,0.875,1\na,0.87,1\n404,,3\n,,2\n"
    assert {("a", 0.87): 2, ("404", None): 3, (None, None): 2} == counts(text, BOT) == counts(csv_text, BOT)


def test_texts_and_numbers_of_json_keep_their_types() -> None:
    """The text 7 is not the number 7; true is the text, as in a sample."""
    text = '{"tier": "7"}\n{"tier": 7}\n\n{"tier": true}\n{"tier": ""}\n{"tier": " x "}\n{"tier": "007"}\n'
    assert {("7",): 1, (7,): 1, ("true",): 1, ("",): 1, (" x ",): 1, ("007",): 1} == counts(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Intent\na\n", 'r.csv:1:1: error[CXR232]: no column "Score"'),
        ("Intent,score\na,1\n", 'r.csv:1:1: error[CXR232]: no column "Score"; did you mean "score"?'),
        ("Intent,Score\na,1,2\n", "r.csv:2:1: error[CXR233]: this row does not have 2 cells, as the header has"),
        ("Intent,Score\n\na\n", "r.csv:3:1: error[CXR233]: this row does not have 2 cells, as the header has"),
        ('Intent,Score\na,"1\n', "r.csv:2:1: error[CXR231]: this row is not CSV: a quote is never closed"),
        ("Intent,Intent\na,1\n", "r.csv:1:1: error[CXR232]: two columns have one name; keep one"),
        ("Intent,Score\na,high\n", 'r.csv:2:1: error[CXR233]: "Score" must be empty or a number from 0 to 1'),
        ("Intent,Score,count\na,1,-1\n", 'r.csv:2:1: error[CXR233]: "count" must be a number, 0 or more, not "-1"'),
        ('{"Intent": 1, "Score": 1}\n{"Intent": }\n', "r.csv:2:1: error[CXR231]: this line is not a JSON object"),
        ('{"Intent": 1, "Score": 1}\n[1]\n', "r.csv:2:1: error[CXR231]: this line is not a JSON object"),
        ('{"Intent": 1, "Score": NaN}\n', "r.csv:1:1: error[CXR231]: this line is not a JSON object"),
        (
            '{"Intent": ["a"], "Score": 1}\n',
            'r.csv:1:1: error[CXR233]: "Intent" must be a text, a number, true, false or null',
        ),
        ('{"Intent": "\\ud800", "Score": 1}\n', 'r.csv:1:1: error[CXR233]: "Intent" begins with a quote and must be'),
        ("[" * 100_000, "r.csv:1:1: error[CXR232]: no column"),
        ('{"Intent":' * 100_000, "r.csv:1:1: error[CXR231]: this line is not a JSON object"),
    ],
)
def test_a_wrong_row_is_named_by_its_line(text: str, message: str) -> None:
    """In one sentence, and nothing is counted."""
    assert said(text, BOT).startswith(message)


def test_memory_grows_with_the_cells_and_not_with_the_rows(tmp_path: Path) -> None:
    """200,000 rows of a file take about as much as 20,000."""
    chance, peaks = Random(1), []
    for number in (20_000, 200_000):
        path = tmp_path / f"{number}.csv"
        rows = (f"i{chance.randrange(9)},{chance.random():.9f}\n" for _ in range(number))
        path.write_text("intent,confidence\n" + "".join(rows), encoding="utf-8")
        tracemalloc.start()
        assert number == count_conversations(read_lines(path), "r.csv", {}).total
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1000 * KIB


@pytest.mark.parametrize("end", ["\n", ""])
def test_lines_of_a_file_are_those_of_its_text(tmp_path: Path, end: str) -> None:
    """Over the borders of blocks, with and without a mark at the start and a line end at the end."""
    text = "é" * 131_071 + "\nb\r\n\n" + "x\n" * 200_000 + f"last{end}"
    path = tmp_path / "t"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert text == "".join(read_lines(path))
    assert text.splitlines() == [line.rstrip("\r\n") for line in read_lines(path) if line]


def _open(path: Path, data: bytes) -> Iterator[str]:
    path.write_bytes(data)
    return read_lines(path)


def test_a_long_line_and_other_bytes_are_refused(tmp_path: Path) -> None:
    """A file without line ends must not fill the memory."""
    with pytest.raises(OSError, match="a line is longer than 1 MiB"):
        list(_open(tmp_path / "long", b"x" * (3 << 20)))
    with pytest.raises(OSError, match="not UTF-8"):
        list(_open(tmp_path / "latin", b"intent\n\xe9\n"))
    with pytest.raises(OSError, match="a device"):
        list(read_lines("/dev/zero"))
