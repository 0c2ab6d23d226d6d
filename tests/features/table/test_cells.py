"""Cells of the decision table: every condition and queue comes back, and no cell is a formula, date
or number.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any

import pytest

from reconciler.core.model.operators import (
    EQUALITIES,
    EXISTENCE,
    OPERATORS,
    PATTERNS,
    SETS,
)
from reconciler.core.model.rule import Condition, make_condition
from reconciler.features.table.advice import read_cell
from reconciler.features.table.cells import (
    SYNTAX,
    CellError,
    WeightedQueue,
    read_conditions,
    read_queues,
    write_conditions,
    write_queues,
)
from reconciler.features.table.column_values import ColumnValues
from tests.support.cases import each_case
from tests.support.hostile_names import HOSTILE_NAMES
from tests.tiers import FULL

ANY = ColumnValues(attribute="a")
GROUPED = ColumnValues(
    attribute="a",
    labels={"b": "Label of b"},
    groups={
        "One": frozenset({"a", "b"}),
        "Two; of": frozenset({"c", "d"}),
        "Alone": frozenset({"e"}),
    },
)
TEXTS = (
    *HOSTILE_NAMES.values(),
    *(
        "gold",
        "is",
        "not gold",
        "and",
        "a and b",
        "rock and roll",
        "true",
        "TRUE",
        "10",
        "0.5",
        "-1",
        "007",
        "1e5",
    ),
    *(
        "=1+1",
        "+a",
        "@x",
        "-x",
        "a;b",
        'q"q',
        "Mar 1",
        "MARCH1",
        "sept-2",
        "1-2",
        "card_arrival",
        "Service en français",
    ),
    *(
        "de-AT",
        "a  b",
        "a ",
        "between 1",
        "is 5",
        "present",
        "missing",
        "Queue 5",
        "中文",
        "é",
        "one of",
        "notable",
    ),
    *(
        "gold or silver",
        "a / b",
        "a | b",
        "a & b",
        "is one of a",
        "at least 5",
        "in 5",
        "exactly",
        "_x0041_",
        "x0041_",
    ),
    *(
        "island",
        "contains x",
        "> 5",
        "'x",
        "andy",
        "and y",
        "a.b",
        "_x",
        "()",
        "one of ()",
        "Payments and Top-ups",
    ),
)
NUMBERS = (0, 1, -1, 0.7, 1e20, 10**25, -0.5, 5e-7, 123456789012345)
FORMULA = re.compile(r"[=+@\t\r]|-(?!\d+(?:\.\d+)?(?:e-?\d+)?(?: |;|$))")
CHANGED = re.compile(
    r"(?i)(?:true|false|[\d.,]+(?:e\d+)?|[a-z]{3,9}[ ./-]?\d+|\d+[-/]\d+.*)"
)
"""What a program takes for a boolean, a number or a date. Numbers are meant to be numbers."""


def a_condition(random: Random) -> Condition:
    def scalar() -> Any:
        return random.choice(TEXTS) if random.random() < 0.7 else random.choice(NUMBERS)

    operator = random.choice(sorted(OPERATORS))
    if operator in EXISTENCE:
        return make_condition("a", operator, None)
    if operator in SETS:
        return make_condition(
            "a", operator, [scalar() for _ in range(random.randrange(4))]
        )
    if operator in EQUALITIES:
        return make_condition("a", operator, scalar())
    if operator in PATTERNS:
        return make_condition("a", operator, random.choice(TEXTS))
    value = (
        [random.choice(NUMBERS), random.choice(NUMBERS)]
        if operator == "between"
        else random.choice(NUMBERS)
    )
    return make_condition("a", operator, value)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("seed", range(200 if FULL else 10))
def test_conditions_come_back(seed: int) -> None:
    random = Random(seed)
    for _ in range(1_000):
        conditions = tuple(a_condition(random) for _ in range(random.randint(1, 3)))
        text = write_conditions(conditions, ANY)
        assert not FORMULA.match(text), text
        assert text.isprintable()
        assert read_conditions(text, ANY) == conditions, text


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("seed", range(100 if FULL else 5))
def test_queues_come_back(seed: int) -> None:
    random = Random(seed)
    for _ in range(1_000):
        names = [
            random.choice([text for text in TEXTS if text])
            for _ in range(random.randint(1, 3))
        ]
        queues = tuple(
            WeightedQueue(name, random.choice((1, 2, 0.5, 80, 0))) for name in names
        )
        text = write_queues(queues)
        assert not FORMULA.match(text), text
        back = [
            WeightedQueue(name, 1 if weight is None else weight)
            for name, weight in read_queues(text)
        ]
        assert back == list(queues)


@pytest.mark.fast_cases(30)
@pytest.mark.parametrize("text", TEXTS)
def test_a_text_does_not_look_like_a_number_or_date(text: str) -> None:
    assert not CHANGED.fullmatch(
        write_conditions([make_condition("a", "equals", text)], ANY)
    )


@each_case(
    "values, cell",
    [
        (["a", "b"], "One"),
        (["a", "b", "x"], "One; x"),
        (["a", "b", "c", "d", 7], 'One; "Two; of"; 7'),
        (["a", "x"], "a; x"),
        (["b", "c", "d"], '"Two; of"; Label of b'),
        (["e", "x"], "e; x"),
    ],
)
def test_whole_groups_are_written_by_their_names(values: list[Any], cell: str) -> None:
    """Before the other values; the group of one value is this value."""
    condition = make_condition("a", "in", values)
    assert cell == write_conditions([condition], GROUPED)
    assert (condition.value,) == tuple(
        part.value for part in read_conditions(cell, GROUPED)
    )


def test_the_name_of_a_group_of_one_value_is_read() -> None:
    assert [("equals", "e")] == [
        (part.operator, part.value) for part in read_conditions("Alone", GROUPED)
    ]


@each_case(
    "text",
    ["WAHR", "Falsch", "VRAI", "faux", "VERDADERO", "falso", "VERO", "ONWAAR", "FAŁSZ"],
)
def test_a_boolean_of_a_local_program_is_in_quotes(text: str) -> None:
    assert write_conditions([make_condition("a", "equals", text)], ANY) == f'"{text}"'
    assert write_queues([WeightedQueue(text, 1)]) == f'"{text}"'
    with pytest.raises(CellError, match="a text with other signs in quotes"):
        read_cell(text, ANY)


@each_case("example", [example for example, _ in SYNTAX])
def test_the_examples_of_the_explanation_are_conditions(
    example: str,
) -> None:
    assert write_conditions(read_conditions(example, ANY), ANY) == example


@pytest.mark.parametrize(("sign", "written"), [("≥", ">="), ("≤", "<=")])
def test_a_sign_of_comparison_is_read_as_pages_show_it(sign: str, written: str) -> None:
    assert read_conditions(f"{sign} 0.5 and {sign}0.9", ANY) == read_conditions(
        f"{written} 0.5 and {written} 0.9", ANY
    )


@each_case(
    "text, message",
    [
        (">= high", "has a value that must be a number"),
        ("gold;;silver", "a value is missing"),
        ("not", "there is no value after"),
        ("one of", "there is no value after"),
        ("between 1", "expected 'and'"),
        ("rock and roll", "a value needs no other condition"),
        ('"gold', "must be JSON"),
        ('"gold" silver', "expected 'and'"),
        ("1e999", "too many digits"),
        ("between 1 and 2 and 3", "a value needs no other condition"),
        ("not gold and platinum", "a value needs no other condition"),
        ("exactly gold; silver", "has one value after the word exactly"),
        ("<0.6 or >0.9", "is not clear"),
        ("1.23457E+11", "a number with all its digits"),
    ],
)
def test_unclear_cells_are_refused(text: str, message: str) -> None:
    with pytest.raises(CellError, match=re.escape(message)):
        read_cell(text, ANY)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a rule needs a queue"),
        ("Cards 80; General", "needs a weight"),
        ('"Cards" x', "expected a weight or a semicolon"),
        ("Cards 80;; General 20", "a queue's name is missing"),
    ],
)
def test_unclear_queues_are_refused(text: str, message: str) -> None:
    with pytest.raises(CellError, match=re.escape(message)):
        read_queues(text)


@each_case("value", [10**350, 10**16, 1e16, 1.5e300, -0.1])
def test_a_number_of_any_length_comes_back(value: float) -> None:
    condition = make_condition("a", "equals", value)
    assert read_conditions(write_conditions([condition], ANY), ANY) == (condition,)


@each_case(
    "text", ["Cards 007", "Cards ٣", f"Cards {'9' * 400}", "Cards 1.", "Cards -1"]
)
def test_a_number_that_cannot_be_a_weight_is_part_of_the_name(text: str) -> None:
    assert read_queues(text) == (WeightedQueue(text, None),)
