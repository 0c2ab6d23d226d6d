"""What a refused cell's message says to write: the nearest known value, or the form of a cell."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.model.rule import Condition, make_condition
from reconciler.features.table.advice import read_cell
from reconciler.features.table.cells import CellError, read_conditions
from reconciler.features.table.column_values import ColumnValues
from tests.support.cases import each_case

CONFIDENCE = ColumnValues(
    attribute="cognigyConfidence", heading="confidence", kind="confidence"
)
AMOUNT = ColumnValues(
    attribute="transferAmount", heading="transfer amount", kind="number"
)
INTENT = ColumnValues(
    attribute="cognigyDetectedIntent",
    heading="intent",
    kind="text",
    offered=("change_pin", "pin_blocked", "terms_and_fees", "cancel_transfer"),
    labels={
        "change_pin": "Change of PIN",
        "terms_and_fees": "Terms and fees",
        "cancel_transfer": "Stop, cancel",
    },
)
LANGUAGE = ColumnValues(
    attribute="language",
    heading="language",
    kind="text",
    offered=("de", "de-AT", "en", "fr", "fr-BE"),
    labels={
        "de": "German (Germany)",
        "de-AT": "German (Austria)",
        "en": "English",
        "fr": "French (France)",
    },
    groups={"German": frozenset({"de", "de-AT"}), "French": frozenset({"fr", "fr-BE"})},
)
VIP = ColumnValues(attribute="vip", heading="VIP", kind="boolean")
OPEN = ColumnValues(attribute="customerTier", heading="customer tier")

A_COMPARISON = "; write a comparison, such as >= 0.6 or between 0.6 and 0.9"
A_NUMBER = "; write a number with all its digits, such as >= 10 or between 0.5 and 2"
A_KNOWN_INTENT = (
    '; write a value of the column, such as Change of PIN, pin_blocked or "Terms and fees",'
    " and several with semicolons"
)
ANY_VALUE = (
    "; write one value, a number with all its digits, several with semicolons (a; b),"
    " or a text with other signs in quotes"
)


def a_condition(column: ColumnValues, operator: str, value: Any) -> Condition:
    return make_condition(column.attribute, operator, value)


@each_case(
    "number",
    ["0.6", "0,6", "60%", "60 %", "60 percent", "70", "1.7", "100", "-0.5", "10,000"],
)
@each_case(
    "form",
    ["{}", "= {}", "is {}", ">= {}%", "=> {}", "at least {}", "{} or more", "{} - 0,9"],
)
def test_an_unclear_number_is_refused_as_a_confidence(form: str, number: str) -> None:
    """1.7 can be 0.17 or 0.7, and a number without a comparison does not mean "equals"."""
    with pytest.raises(CellError, match=re.escape(A_COMPARISON)):
        read_cell(form.format(number), CONFIDENCE)


@each_case(
    "text",
    [
        "> 1",
        "< 0",
        ">= 70",
        "> 0.9 and < 0.1",
        ">= 0.9 and < 0.9",
        "between 0.9 and 0.6",
        "high",
        "0.6; 0.7",
        '"0.6"',
    ],
)
def test_a_condition_that_no_confidence_meets_is_refused(text: str) -> None:
    with pytest.raises(CellError, match=re.escape(A_COMPARISON)):
        read_cell(text, CONFIDENCE)


@each_case(
    "text",
    [">= 1", "<= 0", "between 0.5 and 0.5", ">= 0.7 and <= 0.7", "present", "missing"],
)
def test_a_condition_that_some_confidence_meets_is_read(text: str) -> None:
    assert read_cell(text, CONFIDENCE)


@pytest.mark.parametrize(
    "text", ["between 0.9 and 0.6", ">= 70", "< 0", ">= 0.9 and < 0.2"]
)
def test_a_cell_that_a_rule_has_already_is_read_in_every_row(text: str) -> None:
    """A table shows each rule, and validate reports the rule: its cells can be copied."""
    any_value = ColumnValues(attribute=CONFIDENCE.attribute)
    own = frozenset(read_conditions(text, any_value))
    column = replace(CONFIDENCE, stated=frozenset({own}))
    assert frozenset(read_cell(text, column)) == own
    with pytest.raises(CellError):
        read_cell(text, CONFIDENCE)


@each_case(
    "text", [">= 10,000", "1.2E+11", "ten", "60%", "> 5,5", "more than 5", "-5 to 5"]
)
def test_a_text_that_is_not_a_number_is_refused(text: str) -> None:
    with pytest.raises(CellError, match=re.escape(A_NUMBER)):
        read_cell(text, AMOUNT)


def test_a_label_with_and_in_it_is_read_without_quotes() -> None:
    assert read_cell("Terms and fees", INTENT) == (
        a_condition(INTENT, "equals", "terms_and_fees"),
    )
    both = a_condition(INTENT, "in", ["terms_and_fees", "pin_blocked"])
    for text in ("Terms and fees; pin_blocked", "pin_blocked;Terms and fees"):
        assert read_conditions(text, INTENT) == (both,)


@pytest.mark.parametrize(
    ("text", "operator", "values"),
    [
        ("German", "in", ["de", "de-AT"]),
        ("German; de", "in", ["de", "de-AT"]),
        ("not German", "notIn", ["de", "de-AT"]),
        ("none of German; en", "notIn", ["de", "de-AT", "en"]),
    ],
)
def test_a_group_stands_for_its_values(text: str, operator: str, values: Any) -> None:
    assert read_cell(text, LANGUAGE) == (a_condition(LANGUAGE, operator, values),)


@each_case(
    "column, text, near",
    [
        (LANGUAGE, "german", "German"),
        (LANGUAGE, "Germn", "German"),
        (LANGUAGE, "not german", "German"),
        (LANGUAGE, "de; englsh", "English"),
        (INTENT, "Change_Pin", "change_pin"),
        (INTENT, "pin_bloked; change_pin", "pin_blocked"),
    ],
)
def test_an_unknown_value_gets_the_nearest_one(
    column: ColumnValues, text: str, near: str
) -> None:
    with pytest.raises(CellError, match=f'; did you mean "{near}"\\?$'):
        read_cell(text, column)


@pytest.mark.parametrize(
    "text",
    [
        "change_pin, pin_blocked",
        "neither change_pin nor pin_blocked",
        "zzz",
        "is present",
    ],
)
def test_another_text_gets_values_of_the_column(text: str) -> None:
    with pytest.raises(CellError, match=f"{re.escape(A_KNOWN_INTENT)}$"):
        read_cell(text, INTENT)


@each_case(
    "text, operator, value",
    [
        ("true", "equals", "true"),
        ("FALSE", "equals", "false"),
        ("not True", "notEquals", "true"),
        ("true; false", "in", ["true", "false"]),
        ('"true"', "equals", "true"),
    ],
)
def test_a_boolean_is_read_without_quotes(text: str, operator: str, value: Any) -> None:
    """A program writes TRUE for true."""
    assert read_conditions(text, VIP) == (a_condition(VIP, operator, value),)


@pytest.mark.parametrize("text", ["maybe", "trueish", "true x", "1"])
def test_another_text_is_not_a_boolean(text: str) -> None:
    with pytest.raises(CellError, match=r"; write true or false$"):
        read_cell(text, VIP)


REFUSED = (
    *(
        "gold, silver",
        "gold or silver",
        "a / b",
        "60%",
        "=> 0.6",
        "12:30",
        "=1+1",
        "“gold”",
        "Missing",
        "a\u202eb",
    ),
    *(
        "gold; not silver",
        "between 1",
        "<0.6 or >0.9",
        "and",
        "true",
        "@x",
        "2026-01-01",
        "10,000",
        "1.2E+11",
    ),
    *(
        "is gold",
        "is not gold",
        "isn't gold",
        "not one of a",
        "neither a nor b",
        "other than gold",
        "equals gold",
    ),
    *(
        "does not equal gold",
        "Contains pin",
        "begins with pin",
        "start with pin",
        "includes pin",
        "not empty",
    ),
    *(
        "is present",
        "blank",
        "Empty",
        "in 5",
        "at least 5",
        "more than 5",
        "greater than or equal to 5",
        "less 5",
    ),
    *(
        "no less than 5",
        "less or equal 5",
        "over 5",
        "UP TO 5",
        "Between 5",
        "max. 5",
        "from 5 to 6",
        "exceeds 5",
    ),
)


@each_case("text", REFUSED)
def test_a_condition_in_other_words_is_not_taken_for_a_value(text: str) -> None:
    """In a column that may have any value, too."""
    with pytest.raises(CellError, match=f"{re.escape(ANY_VALUE)}$"):
        read_cell(text, OPEN)


@each_case(
    "text",
    [
        "gold",
        "over the counter",
        "in transit",
        "from Berlin",
        "lower case",
        "absent man",
    ],
)
def test_a_value_that_begins_like_a_condition_is_read(text: str) -> None:
    assert read_cell(text, OPEN) == (a_condition(OPEN, "equals", text),)
