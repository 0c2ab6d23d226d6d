"""Strict reading of YAML: types, refused features, positions, and hostile bytes."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.core.manifest.source_map import List, Map
from reconciler.core.manifest.yaml_reader import (
    MAX_ENTRIES,
    MAX_FILE_BYTES,
    MAX_KEYS,
    ParsedFile,
    parse_file,
)
from reconciler.core.model.rule import Source
from tests.support.cases import each_case
from tests.support.work_bounds import plain_rules, takes_at_most
from tests.tiers import size

RULES = b"""apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - intent: lost_card
    queue: "Fraud: now"
    targets: [{queue: a, weight: 1.5}, {queue: b}]
    when: []  # all
--- # second
kind: |
  text
"""


def said(reading: ParsedFile) -> list[tuple[str, int, int, str]]:
    return [
        (finding.code, finding.source.line, finding.source.column, finding.message)
        for finding in reading.collector.findings()
        if finding.source is not None
    ]


def value_of(text: str) -> Any:
    """Return the value of one scalar, read as a list item."""
    reading = parse_file(f"- {text}\n".encode(), "m.yaml")
    assert [] == said(reading)
    return reading.documents[0].value[0]


@each_case(
    "text",
    [
        "no",
        "yes",
        "on",
        "010",
        "0x1F",
        "0o17",
        "10:00",
        "1_000",
        "~",
        "True",
        "NULL",
        "Null",
        "FALSE",
        "+1",
        ".5",
        "5.",
        "NaN",
        ".nan",
        ".inf",
        "Infinity",
        "2026-12-01",
        "2026-12-01T00:00:00Z",
        "=",
        "1e",
        "-",
        "--1",
        "0.0.1",
        "١",
    ],
)
def test_only_json_numbers_true_false_and_null_are_not_text(text: str) -> None:
    """Other YAML readers' booleans, numbers and dates stay text."""
    if text == "-":
        text = "'-'"
    assert text.strip("'") == value_of(text)


@each_case(
    "text, expected",
    {
        "true": True,
        "false": False,
        "null": None,
        "": None,
        "0": 0,
        "-0": 0,
        "12": 12,
        "-7": -7,
        "1.50": 1.5,
        "1e3": 1000.0,
        "-2.5E-1": -0.25,
        "9" * 400: int("9" * 400),
        "1e-999": 0.0,
    }.items(),
)
def test_values_of_true_false_null_and_numbers(text: str, expected: object) -> None:
    """`true`, `false`, `null`, an empty value and JSON's numbers have exactly their JSON types."""
    got = value_of(text)
    assert (expected, type(expected)) == (got, type(got))


@each_case("text", ["true", "null", "12", "1e999", "", "<<", "*a", "&a", "!a"])
@each_case("quote", ["'", '"'])
def test_quoted_scalars_are_text(text: str, quote: str) -> None:
    """Every quoted value is text."""
    assert text == value_of(quote + text + quote)


def test_escapes_may_contain_forbidden_characters() -> None:
    """In double quotes, escapes write control characters and line separators."""
    assert "a\u2028b\x1bc\x85\u202e\U0001f600" == value_of(
        r'"a\u2028b\x1bc\N\u202e\U0001F600"'
    )


def test_keys_are_always_text() -> None:
    """Also keys that would be a number or null as a value."""
    reading = parse_file(b"1: a\ntrue: b\nnull: c\n'': d\n", "m.yaml")
    assert {"1": "a", "true": "b", "null": "c", "": "d"} == reading.documents[0].value


def test_values_and_positions() -> None:
    """Every key, value and item has its line and column, from 1, in each document."""
    reading = parse_file(RULES, "m.yaml")
    first, second = reading.documents
    rule: Map = first.value["rules"][0]
    targets: List = rule["targets"]
    places = [
        (first.start, 1, 1),
        (first.value.key_index("rules"), 4, 1),
        (first.value.value_index("rules"), 5, 3),
        (first.value["rules"].value_index(0), 5, 5),
        (rule.key_index("queue"), 6, 5),
        (rule.value_index("queue"), 6, 12),
        (targets.value_index(1), 7, 40),
        (targets[0].value_index("weight"), 7, 34),
        (rule.value_index("when"), 8, 11),
        (second.start, 10, 1),
        (second.value.value_index("kind"), 10, 7),
    ]
    assert [Source("m.yaml", line, column) for _, line, column in places] == [
        reading.text.source(index) for index, _, _ in places
    ]
    both = [{"queue": "a", "weight": 1.5}, {"queue": "b"}]
    assert {
        "intent": "lost_card",
        "queue": "Fraud: now",
        "targets": both,
        "when": [],
    } == rule
    assert ({"kind": "text\n"}, True, []) == (
        second.value,
        reading.is_complete,
        said(reading),
    )


def test_positions_in_large_mappings() -> None:
    """Positions are correct in a mapping with very many keys."""
    reading = parse_file(
        "".join(f"k{number}: v\n" for number in range(5000)).encode(), "m.yaml"
    )
    value = reading.documents[0].value
    assert [Source("m.yaml", line, 1) for line in (1, 2501, 5000)] == [
        reading.text.source(value.key_index(key)) for key in ("k0", "k2500", "k4999")
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_line_ends_and_a_byte_order_mark_change_nothing(end: str) -> None:
    """Line ends and byte order marks of all editors give the same values at the same positions."""
    text = RULES.decode().split("--- ")[0].replace("\n", end)
    reading = parse_file(b"\xef\xbb\xbf" + text.encode(), "m.yaml")
    expected = parse_file(RULES, "m.yaml").documents[0].value
    value = reading.documents[0].value
    assert (expected, []) == (value, said(reading))
    assert Source("m.yaml", 7, 40) == reading.text.source(
        value["rules"][0]["targets"].value_index(1)
    )


@each_case(
    "data, expected",
    [
        (b"\xff\xfea\x00", ("CXR001", 1, 1, "the file is UTF-16, not UTF-8")),
        (b"a: b\nc: \xe4\n", ("CXR001", 2, 4, "byte 0xe4 is not UTF-8")),
        ("ä: ".encode() + b"\xed\xa0\x80", ("CXR001", 1, 4, "byte 0xed is not UTF-8")),
        (b"\xef\xbb\xbfa: \xc0\xaf", ("CXR001", 1, 4, "byte 0xc0 is not UTF-8")),
        (b"a: \xc3", ("CXR001", 1, 4, "byte 0xc3 is not UTF-8")),
        (
            b"a" * (MAX_FILE_BYTES + 1),
            ("CXR002", 1, 1, "the file is larger than 5 MiB"),
        ),
        (
            b"a: b\0",
            ("CXR015", 1, 5, "the character U+0000 is not allowed in a manifest"),
        ),
        (
            b"a: 'b\x1b[31m'",
            ("CXR015", 1, 6, "the character U+001B is not allowed in a manifest"),
        ),
        (
            b"a: b\x7f",
            ("CXR015", 1, 5, "the character U+007F is not allowed in a manifest"),
        ),
    ],
)
def test_bytes_that_are_not_text(
    data: bytes, expected: tuple[str, int, int, str]
) -> None:
    """Errors of encoding, size and characters have their position."""
    assert [expected] == said(parse_file(data, "m.yaml"))


def test_reading_stops_after_twenty_forbidden_characters() -> None:
    """A picture with the name of a manifest gives one further error, and reading stops."""
    reading = parse_file(b"a: \0\0\0\n" * 10, "m.yaml")
    assert 21 == len(said(reading))
    assert (
        "CXR015",
        7,
        6,
        "too many forbidden characters: is this a text file?",
    ) == said(reading)[-1]
    assert [] == reading.documents


def test_a_file_of_the_largest_size_is_read() -> None:
    """A file may have exactly 5 MiB."""
    reading = parse_file(b"a: b\n#" + b"x" * (MAX_FILE_BYTES - 6), "m.yaml")
    assert ([{"a": "b"}], []) == (
        [document.value for document in reading.documents],
        said(reading),
    )


def test_reading_continues_after_refused_features() -> None:
    """One pass reports every duplicate key, alias, tag and number, and keeps the rest of the
    document.
    """
    reading = parse_file(
        b"a: &x 1\na: 2\nb: *x\nc: !t 3\n<<: {d: 4}\n[e]: 5\nf: 1e999\ng: 6\n", "m.yaml"
    )
    assert [
        ("CXR006", 1, 4, "anchor &x is refused"),
        ("CXR011", 2, 1, "duplicate key 'a', first on line 1"),
        ("CXR006", 3, 4, "alias *x is refused"),
        ("CXR008", 4, 4, 'tag "!t" is refused'),
        ("CXR007", 5, 1, "the merge key << is refused"),
        ("CXR009", 6, 1, "a key must be text, not a list or mapping"),
        ("CXR012", 7, 4, "the number is out of range"),
    ] == said(reading)
    assert {"a": 1, "b": None, "c": 3, "f": "1e999", "g": 6} == reading.documents[
        0
    ].value


LIST = "a: 1\nrules:\n  - intent: x\n    queue: y\n"


@each_case(
    "text, place, message, hint",
    [
        (
            f"{LIST}<<<<<<< HEAD\n  - z\n=======\n  - w\n>>>>>>> other\n",
            (5, 1),
            "an unresolved merge conflict",
            "keep one",
        ),
        (
            f"{LIST}=======\r\n",
            (5, 1),
            "an unresolved merge conflict",
            "delete the lines that begin with <<<<<<<, =======",
        ),
        (
            f"{LIST}   - z: 1\n",
            (5, 4),
            "not part of the list that began on line 3",
            "begin its - in column 3",
        ),
        (
            f"{LIST} - z: 1\n",
            (5, 2),
            "not part of the mapping that began on line 1",
            "below the - of the other items",
        ),
        (
            f"{LIST}   z: 1\n",
            (5, 4),
            "not part of the list that began on line 3",
            "and its other fields in column 5",
        ),
        (
            f"{LIST} z: 1\n",
            (5, 2),
            "not part of the mapping that began on line 1",
            "begin it in column 1",
        ),
        (
            f"{LIST}      z: 1\n",
            (5, 8),
            "deeper than the line above, which already has a value",
            "field or item",
        ),
        (
            "a: b: c\n",
            (1, 5),
            'a text that contains ": " is not in quotes',
            "in quotes",
        ),
        (
            "a: 1\nrules\n  - b\n",
            (2, 1),
            'this line has no ": " after its name',
            "name: value",
        ),
        (
            "rules: - a\n",
            (1, 8),
            "a list item cannot begin in the line of the field's name",
            "[a, b]",
        ),
        ('a: "b\nc: d\n', (1, 4), "this quote is never closed", "where the text ends"),
        ("a: @b\n", (1, 4), 'a text cannot begin with "@"', "in quotes"),
        ("a: *\n", (1, 4), 'a text cannot begin with "*"', "in quotes"),
        (
            "a: {b: c\nd: e\n",
            (2, 2),
            'the { of line 1 is not closed before ":", or a comma is missing',
            "close the bracket",
        ),
        ("a: }\n", (1, 4), 'a value is missing before "}"', "brackets in quotes"),
        ('a: "\\q"\n', (1, 5), "an escape in this text is unknown", "for a backslash"),
    ],
)
def test_syntax_errors_have_a_message_and_a_hint(
    text: str, place: tuple[int, int], message: str, hint: str
) -> None:
    """At the position of the mistake, and not in the parser's words."""
    (actual,) = parse_file(text.encode(), "m.yaml").collector.findings()
    assert actual.source
    assert (("CXR004", *place), True) == (
        (actual.code, *actual.source[1:]),
        message in actual.message,
    ), actual.message
    assert hint in actual.hint
    assert not re.search(
        "not YAML|token|scalar|block|context|flow", f"{actual.message} {actual.hint}"
    )


def test_a_syntax_error_keeps_the_documents_before_it() -> None:
    """Documents before a syntax error are read, and the result is marked as incomplete."""
    reading = parse_file(b"a: 1\n---\nb: [2\n", "m.yaml")
    assert ([{"a": 1}], False) == (
        [document.value for document in reading.documents],
        reading.is_complete,
    )
    message = "the [ of line 3 is not closed before the end of the file, or a comma is missing"
    assert [("CXR004", 4, 1, message)] == said(reading)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "- a\n" * (MAX_ENTRIES + 1),
            f"the file holds more than {MAX_ENTRIES:,} entries",
        ),
        (
            "".join(f"{n}: a\n" for n in range(MAX_KEYS + 1)),
            f"one mapping holds more than {MAX_KEYS:,} keys",
        ),
        ("a: 1\n" * (MAX_KEYS + 2), f"one mapping holds more than {MAX_KEYS:,} keys"),
        ("--- a\n" * 2001, "the file holds more than 2,000 documents"),
    ],
)
def test_sizes_are_bounded(text: str, message: str) -> None:
    """Reading stops if a file is larger than any real manifest."""
    assert ("CXR010", message) in {
        (item.code, item.message)
        for item in parse_file(text.encode(), "m.yaml").collector.collected
    }


def test_thirty_two_levels_are_allowed() -> None:
    """The limit of nesting is exact."""
    allowed, refused = (
        parse_file(("[" * depth + "]" * depth).encode(), "m.yaml") for depth in (32, 33)
    )
    assert ([], [("CXR005", 1, 33, "nested more than 32 levels deep")]) == (
        said(allowed),
        said(refused),
    )


def same(ours: Any, theirs: Any) -> bool:
    """Return whether PyYAML's reader without types gives the same structure, keys and texts."""
    if isinstance(ours, dict):
        return (
            isinstance(theirs, dict)
            and list(ours) == list(theirs)
            and all(same(ours[k], theirs[k]) for k in ours)
        )
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(ours) == len(theirs)
            and all(map(same, ours, theirs))
        )
    if isinstance(ours, bool) or ours is None:
        return bool(theirs in {"true", "false", "null", ""})
    if isinstance(ours, (int, float)):
        return math.isclose(float(theirs), ours)
    return bool(ours == theirs)


PIECES = (
    ": ",
    "- ",
    "\n  ",
    " #",
    "&x ",
    "*x",
    "!t ",
    "<<",
    "? ",
    "---\n",
    "...\n",
    "%TAG ! x\n",
    "1e9",
    "true",
    "null",
)
YAML_PIECES = st.sampled_from(
    [*"ab:[]{},'\"|>#@`%1é\\\t\n\r\0\x85\u2028\ufeff\U0001f600", "\r\n", *PIECES]
)


@pytest.mark.generated
@settings(
    max_examples=size(fast=40, slow=200, full=400),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(st.lists(YAML_PIECES, max_size=40).map("".join))
def test_a_file_without_errors_means_the_same_to_pyyaml(text: str) -> None:
    """No text has two readings: PyYAML's reader returns the same documents."""
    reading = parse_file(text.encode(), "m.yaml")
    if reading.collector.collected:
        return
    try:
        foreign_side = list(yaml.load_all(text.removeprefix("\ufeff"), yaml.BaseLoader))
    except yaml.YAMLError:
        return  # it refuses some tabs that libyaml takes for spaces
    own_side = [
        document.value
        for document in reading.documents
        if document.value not in ("", "null")
    ]
    foreign_side = [their for their in foreign_side if their not in ("", "null")]
    assert (len(own_side), True) == (
        len(foreign_side),
        all(map(same, own_side, foreign_side)),
    )


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=150, full=300), deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_end_in_values_or_errors(data: bytes) -> None:
    """Any bytes end in values or in errors, each with a position inside the file."""
    reading = parse_file(data, "m.yaml")
    lines = data.count(b"\n") + 1
    assert all(
        1 <= line <= lines and column >= 1 for _, line, column, _ in said(reading)
    )
    assert reading.is_complete or reading.collector.collected


@pytest.mark.generated
@settings(max_examples=size(fast=30, slow=150, full=300), deadline=None)
@given(st.data())
def test_mutated_manifests_end_in_values_or_errors(data: st.DataObject) -> None:
    """A manifest with bytes removed, doubled or changed ends in values or in errors."""
    garbled = bytearray(RULES)
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(garbled)))
        garbled[at : at + data.draw(st.integers(0, 5))] = data.draw(
            st.binary(max_size=5)
        )
    reading = parse_file(bytes(garbled), "m.yaml")
    assert reading.is_complete or reading.collector.collected


NESTED = st.recursive(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text("abc<é", max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.generated
@settings(max_examples=size(fast=20, slow=100, full=200), deadline=None)
@given(NESTED)
def test_positions_agree_with_pyyaml(value: Any) -> None:
    """A written value is read back equal, and its parts have the positions that PyYAML's parser
    reports.
    """
    text = yaml.dump({"root": value}, default_style='"', allow_unicode=False, width=20)
    reading = parse_file(text.encode(), "m.yaml")
    document = reading.documents[0]
    assert ([], {"root": value}) == (said(reading), document.value)
    node = yaml.compose(text, yaml.SafeLoader)
    assert list(marks_of(node)) == [
        index for index, _ in places_of(document.value, document.start)
    ]


def marks_of(node: yaml.Node | None) -> Any:
    assert node is not None
    yield node.start_mark.index
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield key.start_mark.index
            yield from marks_of(item)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from marks_of(item)


def places_of(value: Any, start: int) -> Any:
    yield start, value
    if isinstance(value, Map):
        for key, item in value.items():
            yield value.key_index(key), key
            yield from places_of(item, value.value_index(key))
    elif isinstance(value, List):
        for place, item in enumerate(value):
            yield from places_of(item, value.value_index(place))


@pytest.mark.slow
def test_ten_thousand_rules_are_read_quickly() -> None:
    """The time grows linearly with the number of rules."""
    with takes_at_most(rules=30_000):
        reading = parse_file(f"rules:\n{plain_rules(10_000)}".encode(), "m.yaml")
    assert 10_000 == len(reading.documents[0].value["rules"])
