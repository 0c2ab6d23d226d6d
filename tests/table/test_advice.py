"""What a refused cell's message says to write: cxroute reads it, with the meaning that the person had."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from typing import Any

import pytest

from reconciler.model.rule import Condition, make_condition
from reconciler.table.advice import advise, advise_queues, read_cell
from reconciler.table.cells import CellError, read_conditions, read_queues
from reconciler.table.column_values import ColumnValues

CONFIDENCE = ColumnValues(attribute="cognigyConfidence", heading="confidence", kind="confidence")
AMOUNT = ColumnValues(attribute="transferAmount", heading="transfer amount", kind="number")
INTENTS = ("change_pin", "pin_blocked", "terms_and_fees", "cancel_transfer")
INTENT = ColumnValues(
    attribute="cognigyDetectedIntent",
    heading="intent",
    kind="text",
    offered=INTENTS,
    labels={"change_pin": "Change of PIN", "terms_and_fees": "Terms and fees", "cancel_transfer": "Stop, cancel"},
)
OPEN = ColumnValues(attribute="customerTier", heading="customer tier")

BOUNDS = {
    "greaterThanOrEqual": (
        *("=> {}", "=>{}", "≥ {}", "at least {}", "At least {}", "min {}", "minimum {}", "from {}", "not less than {}"),
        *("{} or more", "{} or higher", "{}+", "{} and above", "greater than or equal to {}", "no less than {}"),
    ),
    "greaterThan": ("> {}", ">{}", "more than {}", "greater than {}", "above {}", "over {}", "higher than {}"),
    "lessThanOrEqual": ("=< {}", "≤ {}", "at most {}", "max {}", "up to {}", "{} or less", "not more than {}"),
    "lessThan": ("< {}", "less than {}", "below {}", "under {}", "lower than {}"),
}
SHARES = {
    0.6: ("0.6", "0,6", "60%", "60 %", "60 percent", ".6", ",6", "0.60", "60", "60.0%"),
    0.05: ("0.05", "0,05", "5%", "5 %"),
    0.995: ("0.995", "0,995", "99.5%", "99,5 %", "99,5"),
    1: ("1", "100%", "100", "1.0"),
    0.75: ("0.75", "75%", "75", "0,75"),
}
RANGES = ("{} - {}", "{} to {}", "from {} to {}", "between {} and {}", "{}..{}", "[{}, {}]", "{} – {}")
PAIRS = (">= {}, <= {}", "=> {} and =< {}", ">= {} & <= {}", "≥{} ≤{}", "at least {} and at most {}", "{} <= x <= {}")


def meaning(column: ColumnValues, text: str) -> frozenset[Condition]:
    """Return what a person gets who writes the text, or else what the message says to write."""
    try:
        return frozenset(read_cell(text, column))
    except CellError as error:
        refusal = str(error)
    (cell,) = advise(text, column).cells
    assert cell in refusal, text
    return frozenset(read_conditions(cell, column))


def a_condition(column: ColumnValues, operator: str, value: Any) -> Condition:
    return make_condition(column.attribute, operator, value)


def bound_cases() -> Iterator[tuple[str, str, float]]:
    for operator, forms in BOUNDS.items():
        for number, texts in SHARES.items():
            if (operator, number) != ("greaterThan", 1):  # no confidence is higher
                yield from ((form.format(text), operator, number) for form in forms for text in texts)


@pytest.mark.parametrize(("text", "operator", "number"), list(bound_cases()))
def test_a_bound_of_the_confidence_in_other_words(text: str, operator: str, number: float) -> None:
    assert meaning(CONFIDENCE, text) == {a_condition(CONFIDENCE, operator, number)}


@pytest.mark.parametrize("prefix", ["", "= ", "=", "== ", "is ", "equals ", "confidence = ", "cognigyConfidence "])
@pytest.mark.parametrize(("number", "text"), [(number, text) for number, texts in SHARES.items() for text in texts])
def test_a_confidence_alone_is_the_lowest_one(prefix: str, number: float, text: str) -> None:
    """A bare number never becomes an equality."""
    if prefix == "cognigyConfidence ":
        text = f">= {text}"
    with pytest.raises(CellError):
        read_conditions(f"{prefix}{text}", CONFIDENCE)
    assert meaning(CONFIDENCE, f"{prefix}{text}") == {a_condition(CONFIDENCE, "greaterThanOrEqual", number)}


@pytest.mark.parametrize("form", RANGES)
@pytest.mark.parametrize(("low", "high"), [("0.6", "0.9"), ("60%", "90%"), ("0,6", "0,9"), ("60", "90")])
def test_a_range_of_the_confidence(form: str, low: str, high: str) -> None:
    assert meaning(CONFIDENCE, form.format(low, high)) == {a_condition(CONFIDENCE, "between", [0.6, 0.9])}


@pytest.mark.parametrize("form", PAIRS)
@pytest.mark.parametrize(("low", "high"), [("0.6", "0.9"), ("60%", "90%"), ("0,6", "0,9"), ("60", "90")])
def test_two_bounds_of_the_confidence(form: str, low: str, high: str) -> None:
    both = {
        a_condition(CONFIDENCE, "greaterThanOrEqual", 0.6),
        a_condition(CONFIDENCE, "lessThanOrEqual", 0.9),
    }
    assert meaning(CONFIDENCE, form.format(low, high)) == both


@pytest.mark.parametrize(
    "text",
    ["1.7", ">= 1.7", "7", "> 7", "-0.5", ">= -1", "170", "< 1.5", "between 0.5 and 1.5", "high", "0.6; 0.7", "120%"],
)
def test_a_text_that_is_not_a_confidence_gets_the_form_of_a_cell(text: str) -> None:
    """No number is invented: 1.7 can be 0.17 or 0.7."""
    with pytest.raises(CellError, match=r"write a comparison, such as >= 0\.6 or between 0\.6 and 0\.9"):
        read_cell(text, CONFIDENCE)


@pytest.mark.parametrize(
    "text",
    ["> 1", "> 100%", "< 0", "> 0.9 and < 0.1", ">= 0.9 and < 0.9", "between 0.8 and 0.9 and < 0.7", "above 100"],
)
def test_a_condition_that_no_confidence_meets_gets_the_form_of_a_cell(text: str) -> None:
    with pytest.raises(CellError, match=r"write a comparison, such as >= 0\.6 or between 0\.6 and 0\.9"):
        read_cell(text, CONFIDENCE)


@pytest.mark.parametrize("text", [">= 1", "<= 0", "between 0.5 and 0.5", ">= 0.7 and <= 0.7", "present", "missing"])
def test_a_condition_that_some_confidence_meets_is_read(text: str) -> None:
    assert read_cell(text, CONFIDENCE)


@pytest.mark.parametrize("text", ["between 0.9 and 0.6", "0.9 - 0.6", "between 90 and 60", "90%-60%"])
def test_a_reversed_range_of_the_confidence_is_refused_with_the_right_one(text: str) -> None:
    with pytest.raises(CellError, match=r"write between 0\.6 and 0\.9$"):
        read_cell(text, CONFIDENCE)


@pytest.mark.parametrize("text", ["between 0.9 and 0.6", ">= 70", "< 0", ">= 0.9 and < 0.2"])
def test_a_cell_that_a_rule_has_already_is_read_in_every_row(text: str) -> None:
    """A table shows each rule, and validate reports the rule: its cells can be copied."""
    any_value = ColumnValues(attribute=CONFIDENCE.attribute)
    own = frozenset(read_conditions(text, any_value))
    column = replace(CONFIDENCE, stated=frozenset({own}))
    assert frozenset(read_cell(text, column)) == own
    with pytest.raises(CellError):
        read_cell(text, CONFIDENCE)


def test_a_label_with_and_in_it_is_read_without_quotes() -> None:
    assert meaning(INTENT, "Terms and fees") == {a_condition(INTENT, "equals", "terms_and_fees")}
    both = {a_condition(INTENT, "in", ["terms_and_fees", "pin_blocked"])}
    for text in ("Terms and fees; pin_blocked", "pin_blocked;Terms and fees"):
        assert frozenset(read_conditions(text, INTENT)) == both


LANGUAGE = ColumnValues(
    attribute="language",
    heading="language",
    kind="text",
    offered=("de", "de-AT", "en", "fr", "fr-BE"),
    labels={"de": "German (Germany)", "de-AT": "German (Austria)", "en": "English", "fr": "French (France)"},
    groups={"German": frozenset({"de", "de-AT"}), "French": frozenset({"fr", "fr-BE"})},
)


@pytest.mark.parametrize(
    ("text", "operator", "values"),
    [
        ("German", "in", ["de", "de-AT"]),
        ("German; de", "in", ["de", "de-AT"]),
        ("not German", "notIn", ["de", "de-AT"]),
        ("none of German; en", "notIn", ["de", "de-AT", "en"]),
        ("exactly German", "in", ["de", "de-AT"]),
        ("German, French", "in", ["de", "de-AT", "fr", "fr-BE"]),
        ("German or en", "in", ["de", "de-AT", "en"]),
        ("is one of German, English", "in", ["de", "de-AT", "en"]),
        ("neither German nor French", "notIn", ["de", "de-AT", "fr", "fr-BE"]),
        ("german", "in", ["de", "de-AT"]),
        ("Germn", "in", ["de", "de-AT"]),
        ("GERMAN; english", "in", ["de", "de-AT", "en"]),
        ("language is not german", "notIn", ["de", "de-AT"]),
        ("not english", "notEquals", "en"),
        ("German (Austria), German (Germany)", "in", ["de", "de-AT"]),
    ],
)
def test_a_group_stands_for_its_values(text: str, operator: str, values: Any) -> None:
    """In a cell, and in what a refused cell's message says to write."""
    assert meaning(LANGUAGE, text) == {a_condition(LANGUAGE, operator, values)}


def test_advice_has_the_names_in_the_text() -> None:
    """A person who wrote names of values reads these, and not their group."""
    assert ("de; de-AT",) == advise("de, de-AT", LANGUAGE).cells
    assert ("German",) == advise("german", LANGUAGE).cells


VIP = ColumnValues(attribute="vip", heading="VIP", kind="boolean")


@pytest.mark.parametrize(
    ("text", "operator", "value"),
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
    assert frozenset(read_conditions(text, VIP)) == {a_condition(VIP, operator, value)}


@pytest.mark.parametrize(
    ("text", "advice"), [("maybe", "write true or false"), ("trueish", 'did you mean "true"?'), ("true x", "true")]
)
def test_another_text_is_not_a_boolean(text: str, advice: str) -> None:
    with pytest.raises(CellError, match=re.escape(advice)):
        read_cell(text, VIP)


@pytest.mark.parametrize("text", ["and", "true", "@x", "2026-01-01"])
def test_advice_that_adds_only_quotes_says_so(text: str) -> None:
    with pytest.raises(CellError, match=f'write "{text}" with its quotes$'):
        read_cell(text, OPEN)


@pytest.mark.parametrize("text", ["60%", "=> 0.6", "0,6", "70", "0.6", "≥ 60 %", "high", "= 0.6", '"0.6"'])
def test_no_advice_for_a_confidence_is_a_text_in_quotes(text: str) -> None:
    with pytest.raises(CellError) as refused:
        read_cell(text, CONFIDENCE)
    assert "quotes" not in str(refused.value)
    assert not any('"' in cell for cell in advise(text, CONFIDENCE).cells)


LISTS = (
    *("{}, {}", "{},{}", "{} / {}", "{} or {}", "{} and {}", "{} | {}", "{} & {}", "{}\n{}", "{}; {}", "one of {}, {}"),
    *("in ({}, {})", "either {} or {}", "{}, or {}", "is one of {} or {}", '"{}", "{}"', "{};\n{}", "= {}, {}"),
)


@pytest.mark.parametrize("form", LISTS)
@pytest.mark.parametrize("names", [INTENTS[:2], ("Change of PIN", "pin_blocked"), ("Terms and fees", "Stop, cancel")])
def test_a_list_of_values_in_other_words(form: str, names: tuple[str, str]) -> None:
    values = [value for name in names for value in INTENT.values_of(name)]
    assert meaning(INTENT, form.format(*names)) == {a_condition(INTENT, "in", values)}


@pytest.mark.parametrize("form", ["{}, {}", "{} / {}", "{} or {}", "{}; {}", "{}/{}"])
def test_similar_names_in_a_list(form: str) -> None:
    expected = {a_condition(INTENT, "in", ["change_pin", "pin_blocked"])}
    assert meaning(INTENT, form.format("Change_Pin", "pin_bloked")) == expected


@pytest.mark.parametrize(
    ("text", "operator", "value"),
    [
        ("is not change_pin", "notEquals", "change_pin"),
        ("<> change_pin", "notEquals", "change_pin"),
        ("!= change_pin", "notEquals", "change_pin"),
        ("not change_pin, pin_blocked", "notIn", ["change_pin", "pin_blocked"]),
        ("neither change_pin nor pin_blocked", "notIn", ["change_pin", "pin_blocked"]),
        ("= change_pin", "equals", "change_pin"),
        ("CHANGE_PIN", "equals", "change_pin"),
        ("terms and fees", "equals", "terms_and_fees"),
        ("Terms and fees", "equals", "terms_and_fees"),
        ("Stop, cancel", "equals", "cancel_transfer"),
        ("Missing", "notExists", None),
        ("is present", "exists", None),
        ("not empty", "exists", None),
        ("Contains pin", "contains", "pin"),
        ("begins with pin", "startsWith", "pin"),
        ("not contains pin", "notContains", "pin"),
    ],
)
def test_other_conditions_in_other_words(text: str, operator: str, value: Any) -> None:
    assert meaning(INTENT, text) == {a_condition(INTENT, operator, value)}


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        (">= 10,000", (">= 10000", ">= 10")),
        (">= 10.000", (">= 10000", ">= 10")),
        ("1.234,56", ("1234.56",)),
        ("1,234,567", ("1234567",)),
        ("1 000 000", ("1000000",)),
        ("at least 5", (">= 5",)),
        ("60%", ("60", "0.6")),
        (">= 007", (">= 7",)),
        ("10, 20", ("10; 20",)),
        ("-5 to 5", ("between -5 and 5",)),
        ("transferAmount > 5,5", ("> 5.5",)),
        ("ten", ()),
        ("1.2E+11", ()),
    ],
)
def test_numbers_in_other_words(text: str, cells: tuple[str, ...]) -> None:
    """A text with two readings gets both."""
    assert advise(text, AMOUNT).cells == cells


@pytest.mark.parametrize(
    ("text", "cells"),
    [
        ("gold, silver", ("gold; silver", '"gold, silver"')),
        ("gold or silver", ("gold; silver", '"gold or silver"')),
        ("a / b", ("a; b", '"a / b"')),
        ("60%", ("60", "0.6", '"60%"')),
        ("=> 0.6", (">= 0.6",)),
        ("12:30", ('"12:30"',)),
        ("=1+1", ('"=1+1"',)),
        ("“gold”", ("gold",)),
        ("is gold", ("gold", '"is gold"')),
        ("Missing", ("missing", '"Missing"')),
        ("a\u202eb", (r'"a\u202eb"',)),
        ("gold; not silver", ()),
        ("between 1", ()),
        ("<0.6 or >0.9", ()),
    ],
)
def test_a_column_of_any_value_gets_each_reading(text: str, cells: tuple[str, ...]) -> None:
    with pytest.raises(CellError):
        read_conditions(text, OPEN)
    assert advise(text, OPEN).cells == cells


TYPED = (*chain(*BOUNDS.values()), *RANGES, *PAIRS, *LISTS, "{}", "not {}", "contains {}")
OPERANDS = ("0.6", "60%", "70", "1.7", "a", "gold", "change_pin", "Change of PIN", "10,000", "=1", '"', "", "x y", "-1")


@pytest.mark.parametrize("column", [CONFIDENCE, AMOUNT, INTENT, OPEN], ids=lambda column: column.heading)
@pytest.mark.parametrize("form", TYPED)
def test_every_advice_is_a_cell_that_cxroute_reads(form: str, column: ColumnValues) -> None:
    for first in OPERANDS:
        text = form.format(first, "b")
        for cell in advise(text, column).cells:
            assert read_conditions(cell, column), (text, cell)


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("Cards 80, General 20", "Cards 80; General 20"),
        ("Cards 80% ; General 20%", "Cards 80; General 20"),
        ("Cards: 80, General: 20", "Cards 80; General 20"),
        ("cards", "Cards"),
        ("Cards (80) / General (20)", "Cards 80; General 20"),
        ("“Cards”", "Cards"),
    ],
)
def test_queues_in_other_words(text: str, cell: str) -> None:
    assert advise_queues(text, ["Cards", "General"]).cells == (cell,)
    assert read_queues(cell)


def test_queues_without_weights_get_no_invented_weights() -> None:
    assert advise_queues("Cards, General", ["Cards", "General"]).cells == ()


def test_a_long_text_gets_no_interpretation() -> None:
    assert advise("a, " * 1_000, OPEN).cells == ()
