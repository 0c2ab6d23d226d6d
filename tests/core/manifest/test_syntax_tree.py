"""Texts as an editor has them -> their values with extents, and the place of a cursor."""

from __future__ import annotations

from random import Random

import pytest
import yaml

from reconciler.core.manifest.syntax_cursor import find_cursor
from reconciler.core.manifest.syntax_tree import read_syntax
from tests.support.cases import each_case
from tests.tiers import size

TEXT = """\
# a comment
kind: RuleSet
rules:
  - {intent: a, "queue": 'b c'}   # behind
  - intent: "x\\ty"
    when:
      - {attribute: t, in: [1, "2", ~]}
    text: |
      two
      lines

  -
    - deep
---
kind: Other
"""


def test_the_values_are_those_of_pyyaml() -> None:
    """Every scalar as its text, in every style."""
    expected = list(yaml.load_all(TEXT, yaml.BaseLoader))
    assert expected == [document.root.content() for document in read_syntax(TEXT)]


def test_each_extent_is_the_text_of_its_value() -> None:
    """The characters of each scalar, read alone, are its value again."""
    for document in read_syntax(TEXT):
        for place in document.places:
            text = TEXT[place.node.start : place.node.end]
            if place.node.style != "|":
                assert place.node.text == yaml.load(text, yaml.BaseLoader)  # noqa: S506


@pytest.mark.generated
@pytest.mark.parametrize("seed", range(size(fast=10, slow=40, full=300)))
def test_a_broken_text_has_the_places_before_the_error(seed: int) -> None:
    """Whatever is deleted or inserted: no exception, extents inside the text, and the next document
    is read.
    """
    random = Random(seed)
    head, underlying = TEXT.split("---\n")
    at = random.randrange(len(head))
    insertion = random.choice(
        [
            "[",
            "{",
            '"',
            "'",
            "@",
            "\t",
            ": ",
            "- ",
            "\ud800",
            "\x00",
            "*a",
            "&a ",
            "!t ",
            "%TAG",
        ]
    )
    broken = head[:at] + insertion + head[at + random.randrange(3) :]
    text = f"{broken}\n---\n{underlying}"
    documents = read_syntax(text)
    for document in documents:
        for place in document.places:
            assert 0 <= place.node.start <= place.node.end <= len(text)
    if insertion != "%TAG" and (documents and documents[-1].root.text is None):
        assert "Other" == documents[-1].kind


@each_case(
    "text, expected",
    [
        ("rules:\n  - {intent: a, qu|", (("rules", 0, "qu"), None)),
        ("rules:\n  - intent: a\n    |", (("rules", 0, ""), None)),
        ("rules:\n  - queue: Fraud D|", (None, ("rules", 0, "queue"))),
        ('rules: [{queue: "Fr|', (None, ("rules", 0, "queue"))),
        ("a:\n  - b\n  - |", (("a", 1, ""), ("a", 1))),
        ("a: b # |", None),
        ("a: [}\n|", None),
        ("x: 1\n---\nrules: [|", (("rules", 0, ""), ("rules", 0))),
        ("'a|", (("'a",), ())),
    ],
)
def test_a_cursor_is_at_a_field_or_a_value(
    text: str, expected: tuple[object, object] | None
) -> None:
    """The text behind it has no effect, and a comment or a broken text before it has no place."""
    before, _, _ = text.partition("|")
    for underlying in ("", "\n[[[", "}]: x"):
        cursor = find_cursor(before + underlying, len(before))
        if expected is None:
            assert cursor is None
            continue
        assert cursor is not None
        field = (*cursor.field.path[:-1], cursor.typed) if cursor.field else None
        assert expected == (field, cursor.value.path if cursor.value else None)


@each_case(
    "text",
    [
        "[" * 20_000,
        "- " * 20_000,
        "%TAG ! x\n" * 1000 + "--- a",
        "--- @\n" * 3000,
        "a: " * 999,
    ],
)
def test_no_text_takes_long_or_raises(text: str) -> None:
    """Deep nesting, many directives, many broken documents."""
    assert len(read_syntax(text)) <= len(text)
    find_cursor(text, len(text))
