"""Values written as YAML: they are read back equal, with quotes only where they are required."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.manifest.yaml_writer import (
    format_entry,
    format_flow,
    format_item,
    format_mapping,
    format_scalar,
)
from tests.support.cases import each_case
from tests.support.grown_tenants import LIKE_YAML
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.tiers import size

NAMES = sorted(
    {*HOSTILE_NAMES.values(), *MARKDOWN_NAMES.values(), *LIKE_YAML}
    - {"a\ud800b\udfff", "caf\udce9.yaml"}
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.sampled_from(
    NAMES
)
SCALAR = (
    TEXT
    | st.booleans()
    | st.none()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
)
VALUE: SearchStrategy[Any] = st.recursive(
    SCALAR,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(("queue", "weight", "in")), inner)
    ),
    max_leaves=8,
)


def back(lines: list[str]) -> object:
    """Return the values that `yaml_reader` reads from lines."""
    reading = parse_file("\n".join(lines).encode(), "m.yaml")
    assert [] == reading.collector.collected
    return reading.documents[0].value


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=100))
@given(value=VALUE, more=VALUE)
def test_every_value_is_read_back_equal(value: object, more: object) -> None:
    """At any depth, next to other values, on one line or on several."""
    text = {"first": value, "second": more}
    assert text == back(format_mapping(text, 0))
    assert {"all": [text]} == back([f"all: {format_flow([text])}"])


@pytest.mark.fast_cases(30)
@pytest.mark.parametrize("text", NAMES)
def test_every_unusual_name_is_read_back_equal(text: str) -> None:
    """As a value, in a list of any length, and as a key."""
    message = {
        "name": text,
        "in": [text, text],
        "many": [text] * 40,
        "queues": {text: "x"} if text else {},
    }
    assert message == back(format_mapping(message, 2))


@each_case(
    "written, text",
    [
        *(
            (item, item)
            for item in (
                "a:b",
                "10:75",
                "1.2.3",
                "a#b",
                "C:\\path",
                "cards (old)",
                "it's",
                "caf\u00e9",
                "a?",
            )
        ),
        *(
            (f'"{item}"', item)
            for item in (
                "010",
                "true",
                "True",
                "~",
                "1e3",
                "- x",
                "a: b",
                "#x",
                "a #x",
                "{",
                "",
                " x",
                "*a",
            )
        ),
        *(
            (f'"{item}"', item)
            for item in (
                "no",
                "on",
                "Y",
                "10:00",
                "2026-11-25",
                "1_0",
                "1,000",
                "+1",
                "1.",
                ".5",
                "0o7",
                "0x1F",
            )
        ),
        *(
            (f'"{item}"', item)
            for item in ("=", "<<", "---", "Null", ".inf", "2026-1-1 10:00:00")
        ),
        ("'\"no\" or'", '"no" or'),
        ("'\"it''s\": x'", '"it\'s": x'),
        ('"\\u200b\\x00\\n\\""', '\u200b\x00\n"'),
        ('"\\U000e0041"', "\U000e0041"),
        ("a, b", "a, b"),
    ],
)
def test_a_text_has_quotes_only_if_required(written: str, text: str) -> None:
    """If `yaml_reader` or an editor would misread it; invisible characters are escaped."""
    assert written == format_scalar(text, "in block")


def test_in_brackets_commas_and_brackets_need_quotes() -> None:
    """A text that is plain on its own line may need quotes in a list."""
    assert '["a, b", "c]", d]' == format_flow(["a, b", "c]", "d"])
    assert '["is it?", {"a?": b}]' == format_flow(["is it?", {"a?": "b"}])


def test_a_number_is_one_in_yaml_1_1_too() -> None:
    """There, 1e+22 is a text."""
    assert ["1.0e+22", "1.5e-07", "1.0e-07", "3"] == list(
        map(format_scalar, (1e22, 1.5e-7, 1e-7, 3.0))
    )


def test_a_text_of_several_lines_is_a_literal_block() -> None:
    """If all of its lines are visible; otherwise it is in quotes."""
    assert ["  description: |-", "    first", "", "    second"] == format_entry(
        "description", "first\n\nsecond", 2
    )
    assert ['description: "first \\nsecond"'] == format_entry(
        "description", "first \nsecond", 0
    )


def test_a_list_longer_than_a_line_has_one_line_per_item() -> None:
    """The limit is 80 columns, and a wide character has two."""
    assert ["  in: [" + ", ".join(["a" * 22] * 3) + "]"] == format_entry(
        "in", ["a" * 22] * 3, 2
    )
    assert ["  in:", *["    - " + "a" * 20] * 4] == format_entry(
        "in", ["a" * 20] * 4, 2
    )
    assert ["  in:", *["    - " + "\u5ba2" * 20] * 2] == format_entry(
        "in", ["\u5ba2" * 20] * 2, 2
    )


def test_an_item_longer_than_a_line_is_split_at_any_depth() -> None:
    """Mappings and lists in lists, too; empty ones stay on one line."""
    long = "a" * 50
    assert ["- first: " + long, "  second: " + long] == format_item(
        {"first": long, "second": long}, 0
    )
    assert ["- - " + long, "  - " + long] == format_item([long, long], 0)
    assert ["a: { b: [], c: {} }"] == format_entry("a", {"b": [], "c": {}}, 0)
