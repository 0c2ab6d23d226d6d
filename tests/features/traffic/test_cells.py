"""Cells of a sample: no small group stays, none is lost, and the file has exactly the cells."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.errors import CxrouteError
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.traffic.records import CellValue
from reconciler.core.traffic.sample import MAX_ROWS, read_traffic
from reconciler.features.traffic import cells
from reconciler.features.traffic.cells import (
    HUNDREDTH,
    TENTH,
    Cell,
    CellCounts,
    format_sample,
    merge_small,
    round_down,
)
from tests.support.hostile_names import HOSTILE_NAMES
from tests.tiers import size

NAMES = ("intent", "confidence", "tier")
VALUES = st.tuples(
    st.sampled_from(["a", "b", "(other)", None]),
    st.sampled_from([0.0, 0.3, 0.35, 0.39, 0.4, 0.95, 1.0, None]),
    st.sampled_from(["gold", 7, None]),
)
COUNTS = st.dictionaries(VALUES, st.integers(0, 25), min_size=1, max_size=40)


def merged(
    counts: dict[Cell, int | float], names: tuple[str, ...] = NAMES
) -> dict[Cell, int | float]:
    return merge_small(CellCounts(names, dict(counts))).counts


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=200, full=400), deadline=None)
@given(COUNTS)
def test_no_small_group_stays_and_no_conversation_is_lost(
    counts: dict[Cell, int | float],
) -> None:
    """Each cell has ten or more, the total stays, and all but one large cell keep their
    conversations.
    """
    if sum(counts.values()) < 10:
        with pytest.raises(CxrouteError, match="fewer than 10"):
            merged(counts)
        return
    actual = merged(counts)
    assert sum(counts.values()) == sum(actual.values())
    assert min(actual.values()) >= 10
    reduced = [
        cell
        for cell, count in counts.items()
        if count >= 10 and actual.get(cell, 0) < count
    ]
    assert len(reduced) <= 1


@pytest.mark.generated
@settings(max_examples=size(fast=20, slow=100, full=200), deadline=None)
@given(COUNTS.filter(lambda counts: sum(counts.values()) >= 10))
def test_a_merged_conversation_loses_values_and_gets_no_other(
    counts: dict[Cell, int | float],
) -> None:
    """Each cell of the result is a cell of the input, or one without some of its values."""

    def is_wider(wide: CellValue, value: CellValue, name: str) -> bool:
        own = round_down(value, TENTH) if name == "confidence" else value
        return wide in (value, own, "(other)" if name == "intent" else None)

    for cell in merged(counts):
        matching = [each for each in counts if all(map(is_wider, cell, each, NAMES))]
        assert matching, cell


def test_values_are_lost_from_the_right_and_the_intent_last() -> None:
    """First the hundredths of the confidence; a group that is large enough loses no more."""
    counts: dict[Cell, int | float] = {
        ("a", 0.91, "gold"): 6,
        ("a", 0.93, "gold"): 6,
        ("a", 0.5, "gold"): 5,
        ("a", 0.5, "new"): 5,
        ("b", 0.1, None): 7,
        ("b", 0.2, "gold"): 7,
        ("c", 0.1, None): 9,
        ("d", 0.1, None): 9,
        ("e", 0.7, "new"): 50,
    }
    expected = {
        ("a", 0.9, "gold"): 12,
        ("a", 0.5, None): 10,
        ("b", None, None): 14,
        ("(other)", None, None): 18,
        ("e", 0.7, "new"): 50,
    }
    assert expected == merged(counts)


def test_the_smallest_cell_joins_a_small_rest() -> None:
    """Otherwise the rest would be a group of nine."""
    assert {("(other)",): 20, ("c",): 12} == merged(
        {("a",): 9, ("b",): 11, ("c",): 12}, ("intent",)
    )
    assert {(None,): 20, ("y",): 12} == merged(
        {("w",): 9, ("x",): 11, ("y",): 12}, ("tier",)
    )


def test_the_number_of_merged_cells_is_told() -> None:
    """With their conversations; the one that joined the rest counts."""
    cells_of: dict[Cell, int | float] = {("a",): 9, ("b",): 11, ("c",): 1200}
    assert (
        "2 cells of 20 conversations"
        == merge_small(CellCounts(("intent",), dict(cells_of))).merged
    )
    assert "" == merge_small(CellCounts(("intent",), {("c",): 1200})).merged


@given(st.floats(0, 1) | st.integers(0, 1))
def test_a_confidence_is_rounded_down(confidence: float) -> None:
    """To the highest multiple of the step that it reaches, by the digits that a person sees."""
    for step in (HUNDREDTH, TENTH):
        actual = round_down(confidence, step)
        assert isinstance(actual, float)
        multiple = Fraction(repr(actual)) / Fraction(str(step))
        assert 1 == multiple.denominator
        assert (
            0
            <= Fraction(str(confidence)) - Fraction(repr(actual))
            < Fraction(str(step))
        )


def is_text(text: str) -> bool:
    """Return whether a text can be in a file: unpaired surrogates are refused when records are
    read.
    """
    return not any("\ud800" <= char <= "\udfff" for char in text)


TEXT = st.text().filter(is_text) | st.sampled_from(
    sorted(filter(is_text, HOSTILE_NAMES.values()))
)


@pytest.mark.generated
@settings(max_examples=size(fast=20, slow=150, full=300), deadline=None)
@given(
    st.dictionaries(
        st.tuples(
            TEXT | st.none(),
            st.integers(0, 100).map(lambda number: number / 100) | st.none(),
            TEXT
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.none(),
        ),
        st.integers(10, 10**9),
        min_size=1,
        max_size=5,
    )
)
def test_a_file_has_exactly_the_cells(counts: dict[Cell, int | float]) -> None:
    """Any text, number and missing value comes back with its type."""
    text = format_sample(
        CellCounts(NAMES, dict(counts)),
        {"source": "a\nb", "period": "2026-10-01 to 2026-10-31"},
    )
    sample = read_traffic(
        text.encode(), "t.csv", BotAttributes(intent="intent", confidence="confidence")
    )
    actual: dict[Cell, int | float] = {}
    for row in sample.rows:
        cell = tuple(row.attributes[name] for name in NAMES)
        actual[cell] = row.count
    assert counts == actual
    assert {tuple(map(type, cell[::2])) for cell in counts} == {
        tuple(map(type, cell[::2])) for cell in actual
    }
    assert ("2026-10-01 to 2026-10-31", "2026-10-31") == (
        sample.period,
        str(sample.last_day),
    )


def test_too_many_different_cells_are_refused() -> None:
    """Memory is bounded by the cells; the message names the remedy."""
    counts = CellCounts(("tier",))
    for number in range(MAX_ROWS):
        counts.add((number,), 1)
    counts.add((5,), 1)
    with pytest.raises(
        CxrouteError,
        match=r"more than 100,000 different rows: select columns .*--columns",
    ):
        counts.add((-1,), 1)


def test_the_least_number_is_ten() -> None:
    """It is documented."""
    assert 10 == cells.MIN_CONVERSATIONS
