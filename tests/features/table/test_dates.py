"""No text of a cell is a date for a program of spreadsheets."""

from __future__ import annotations

from itertools import product

from reconciler.core.model.rule import make_condition
from reconciler.features.table.cells import (
    WeightedQueue,
    read_conditions,
    read_queues,
    write_conditions,
    write_queues,
)
from reconciler.features.table.column_values import ColumnValues
from tests.support.cases import each_case

COLUMN = ColumnValues(attribute="a")
MONTHS = (
    "jan",
    "feb",
    "mar",
    "apr",
    "may",
    "jun",
    "jul",
    "aug",
    "sep",
    "oct",
    "nov",
    "dec",
)
LONG = (
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
)
SHAPES = ("{} 1", "{}-2", "{}/3", "{}.4", "{}5", "{} 2026", "{}-12")


@each_case("month", [*MONTHS, *LONG, "december", "sept"])
def test_a_month_with_a_number_is_in_quotes(month: str) -> None:
    """An intent `dec 1` or a queue `May 2026` stays a text: a program would store the first day of
    the month.
    """
    for shape, case in product(SHAPES, (str.lower, str.upper, str.title)):
        text = case(shape.format(month))
        for operator, value in (
            ("equals", text),
            ("in", [text, "other"]),
            ("notEquals", text),
        ):
            condition = make_condition("a", operator, value)
            cell = write_conditions([condition], COLUMN)
            assert f'"{text}"' in cell, cell
            assert (condition,) == read_conditions(cell, COLUMN)
        queues = [WeightedQueue(text, 80), WeightedQueue("Cards", 20)]
        assert f'"{text}" 80; Cards 20' == write_queues(queues)
        (queue,) = read_queues(write_queues(queues[:1]))
        assert (f'"{text}"', text) == (
            write_queues([WeightedQueue(text, 1)]),
            queue.name,
        )


@each_case("text", ["decline card", "marble", "junior", "octopus", "may", "december"])
def test_a_word_that_only_begins_like_a_month_is_plain(text: str) -> None:
    """Without a number no program makes a date of it."""
    assert text == write_conditions([make_condition("a", "equals", text)], COLUMN)
