"""Replacing single values in a manifest's text: only the intended bytes change, in the surrounding
style.
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.manifest.yaml_patch import (
    CannotPatchError,
    apply_edits,
    compute_edits,
    find_mapping,
)
from reconciler.core.manifest.yaml_reader import parse_file
from reconciler.core.manifest.yaml_writer import format_flow, format_quoted
from tests.support.cases import each_case


def patched(text: str, **changes: Any) -> str:
    """Return the text with fields of its only mapping changed; the value `...` removes a field."""
    old = only_document(text)
    new = {
        name: value for name, value in {**old, **changes}.items() if value is not ...
    }
    return replaced(text, old, new)


def replaced(text: str, old: dict[str, Any], new: dict[str, Any]) -> str:
    """Return the text with the value `new`, after reading it back."""
    start = parse_file(text.encode(), "m.yaml").documents[0].start
    actual = apply_edits(text, compute_edits(text, start, old, new))
    assert new == only_document(actual)
    return actual


def only_document(text: str) -> dict[str, Any]:
    """Return the value of the text's only document."""
    reading = parse_file(text.encode(), "m.yaml")
    assert [] == reading.collector.collected, text
    value = reading.documents[0].value
    assert isinstance(value, dict)
    return value


@each_case(
    "before, after, changes",
    [
        ("a: 1 # why\nb: 2\n", "a: 10 # why\nb: 2\n", {"a": 10}),
        ("a:   1\r\nb: 2\r\n", "a:   10\r\nb: 2\r\n", {"a": 10}),
        ("a: 'it''s'\n", "a: 'isn''t'\n", {"a": "isn't"}),
        ("a: 'x'\n", 'a: "x\\n"\n', {"a": "x\n"}),
        ("a: '\"x\"'\n", 'a: "y #z"\n', {"a": "y #z"}),
        ("a: '\"x\"'\n", "a: '\"y\"'\n", {"a": '"y"'}),
        ('a: "x"\n', 'a: "y"\n', {"a": "y"}),
        ("a: x\n", 'a: "y: z"\n', {"a": "y: z"}),
        ("a:\nb: 2", "a: 1\nb: 2", {"a": 1}),
        (
            "a: |\n  one\n  two\n\n# end\nb: 2\n",
            "a: three\n\n# end\nb: 2\n",
            {"a": "three"},
        ),
        ("a: >-\n  one\n  two\nb: 2\n", "a: three\nb: 2\n", {"a": "three"}),
        ("a: one\n  two # c\nb: 2\n", "a: three # c\nb: 2\n", {"a": "three"}),
        ("a:\n  b: 1\nc: 2\n", "a: 3\nc: 2\n", {"a": 3}),
        ("a: # why\n  b: 1\nc: 2\n", "a: 3 # why\nc: 2\n", {"a": 3}),
        ("a: x # why\nb: 2\n", 'a: [x, "y"] # why\nb: 2\n', {"a": ["x", "y"]}),
        (
            "a: x\nb: 2\n",
            "a: [{ k: 1 }, { k: 2 }]\nb: 2\n",
            {"a": [{"k": 1}, {"k": 2}]},
        ),
        ("a: x\nb: {c: 2}\n", "a: {k: 1}\nb: {c: 2}\n", {"a": {"k": 1}}),
        ("a: x\nb: { c: 2 }\n", "a: { k: 1 }\nb: { c: 2 }\n", {"a": {"k": 1}}),
        ("b: {c: 2}\n", 'b: {c: 2, d: "no"}\n', {"b": {"c": 2, "d": "no"}}),
        ("a: 1\n# last\n", "a: 1\nb: 2\n# last\n", {"b": 2}),
        ("a: 1 # why", "a: 1 # why\nb: 2", {"b": 2}),
        ("a: 1\r\n", "a: 1\r\nb: 2\r\n", {"b": 2}),
        ("{a: 1, b: 2} # c\n", "{a: 1, b: 3, c: x} # c\n", {"b": 3, "c": "x"}),
        ("{ a: 1,\n  b: 2 }\n", "{ a: 1 }\n", {"b": ...}),
        ("{a: 1, b: 2, c: 3}\n", "{c: 3}\n", {"a": ..., "b": ...}),
        ("a: 1\nb: 2 # gone\nc: 3\n", "a: 1\nc: 3\n", {"b": ...}),
        ("a: 1\nb: 2", "a: 1", {"b": ...}),
        (
            "a: 1\nb:\n  - x\n  - y # gone\n# stays\nc: 3\n",
            "a: 1\n# stays\nc: 3\n",
            {"b": ...},
        ),
        ("in: [a, b, c] # c\n", "in: [a, c] # c\n", {"in": ["a", "c"]}),
        ("in: [a, b, c]\n", "in: [a]\n", {"in": ["a"]}),
        ("in: [ a,\n  'b' ]\n", "in: [ a,\n  'b', c ]\n", {"in": ["a", "b", "c"]}),
        ("in: [a, b]\n", 'in: ["x, y", a, b]\n', {"in": ["x, y", "a", "b"]}),
        ("in: [a]\n", "in: []\n", {"in": []}),
        (
            "in:\n- a # one\n- b\n",
            "in:\n- a # one\n- c\n- b\n",
            {"in": ["a", "c", "b"]},
        ),
        # A comment directly above an item belongs to it; one above an empty line, or of the item
        # before, stays.
        (
            "in:\n  - a\n  # two\n  - b\n  - c\nz: 1\n",
            "in:\n  - a\n  - c\nz: 1\n",
            {"in": ["a", "c"]},
        ),
        (
            "in:\n  # all\n\n  # a\n  - a\n  - b\n",
            "in:\n  # all\n\n  - b\n",
            {"in": ["b"]},
        ),
        (
            "in:\n  - a\n    # of a\n  # b\n# c\n  - b",
            "in:\n  - a\n    # of a\n",
            {"in": ["a"]},
        ),
        ("in:\n  - a\nz: 1\n", "in:\n  - a\n  - b\nz: 1\n", {"in": ["a", "b"]}),
        ("in:\n  - 'a'\n", "in:\n  - 'b'\n  - 'c'\n", {"in": ["b", "c"]}),
        (
            "t: [{q: a, w: 80}, {q: b, w: 20}]\n",
            "t: [{q: a, w: 70}, {q: b, w: 20}]\n",
            {"t": [{"q": "a", "w": 70}, {"q": "b", "w": 20}]},
        ),
        (
            "t:\n  - q: a # keep\n    w: 1\n",
            "t:\n  - q: a # keep\n    w: 2\n  - q: b\n    w: 1\n",
            {"t": [{"q": "a", "w": 2}, {"q": "b", "w": 1}]},
        ),
        (
            "in:\n  - a\n  # apart\n\n  - b",
            "in:\n  - a\n  # apart\n",
            {"in": ["a"]},
        ),
        (
            "in:\r\n  - a\r\n  - b",
            "in:\r\n  - a",
            {"in": ["a"]},
        ),
        (
            "\u5ba2: \u670d # \U0001f384\nb: x\n",
            "\u5ba2: \u670d # \U0001f384\nb: \u670d\n",
            {"b": "\u670d"},
        ),
    ],
)
def test_only_the_intended_value_changes(
    before: str, after: str, changes: dict[str, Any]
) -> None:
    """Quotes, brackets, comments, indentation and line ends stay."""
    assert after == patched(before, **changes)


def test_a_field_that_replaces_another_keeps_its_line() -> None:
    """Also with a comment at the end of the line."""
    assert "targets: [{ q: a }] # c\nz: 1\n" == replaced(
        "queue: a # c\nz: 1\n",
        {"queue": "a", "z": 1},
        {"targets": [{"q": "a"}], "z": 1},
    )


def test_a_change_that_would_remove_a_comment_is_refused() -> None:
    """Comments are never removed."""
    with pytest.raises(CannotPatchError):
        patched("in: [a, # why\n  b]\n", **{"in": ["b"]})


@pytest.mark.parametrize(
    ("text", "new"),
    [
        ("t:\n  - q: a # why\n    w: 1\n", [{"w": 1}]),
        ("t:\n  - q: a\n    # about w\n    w: 1\n", [{"w": 1}]),
        ("t:\n- q: a # why\n  w: 1\n  x: 2\n", [{"w": 1, "x": 2}]),
    ],
)
def test_removing_the_first_field_of_an_item_keeps_comments(
    text: str, new: list[Any]
) -> None:
    """The field shares its line with the dash, so the following lines cannot simply move up."""
    with pytest.raises(
        CannotPatchError, match=r"^removing the field would also remove a comment$"
    ):
        patched(text, t=new)


@pytest.mark.parametrize(
    ("text", "after", "new"),
    [
        ("t:\n  - q: a\n    w: 1 # one\n", "t:\n  - w: 1 # one\n", [{"w": 1}]),
        ("t:\n- q: a\n\n  w: 1\n  x: 2\n", "t:\n- w: 1\n  x: 2\n", [{"w": 1, "x": 2}]),
        ("t:\n- q: a\n  w: 1\n  x: 2 # two\n", "t:\n- x: 2 # two\n", [{"x": 2}]),
    ],
)
def test_the_first_fields_of_an_item_are_removed_after_the_dash(
    text: str, after: str, new: list[Any]
) -> None:
    """If there is no comment between them and the next field."""
    assert after == patched(text, t=new)


def test_a_comment_between_dash_and_item_prevents_the_removal() -> None:
    """Removing the item would remove the comment."""
    with pytest.raises(
        CannotPatchError, match=r"^there is a comment between a dash and its item$"
    ):
        patched("t:\n  - # why\n    q: a\n  - q: b\n", t=[{"q": "b"}])


def test_a_position_without_a_mapping_is_an_error() -> None:
    """No document, a list, and another position of a mapping."""
    for text, place in (("- a\n", 0), ("a: 1\n---\nb: {c: 2}\n", 2)):
        with pytest.raises(KeyError):
            find_mapping(text, place)
    assert 9 == find_mapping("a: 1\n---\nb: {c: 2}\n", 9).start


def test_a_list_in_the_line_of_another_list_is_not_changed() -> None:
    """Removing its first item would remove the dash of the other list."""
    with pytest.raises(
        CannotPatchError, match=r"^a list begins in the line of another list$"
    ):
        patched("t:\n- - a\n  - b\n- c\n", t=[["b"], "c"])


KEYS = ("a", "b", "c", "d")
SCALARS = st.sampled_from(
    ("x", "y: z", "010", "#", "", "it's", "two words", 1, 0.5, True, None, "caf\u00e9")
)
ITEMS = st.lists(st.fixed_dictionaries({"q": SCALARS, "w": SCALARS}), max_size=3)
MAPS = st.dictionaries(
    st.sampled_from(KEYS), SCALARS | st.lists(SCALARS, max_size=4) | ITEMS, min_size=1
)
COMMENTS = st.sampled_from(("", "", " # c", "   # it's {a: 1}, [b]"))


@st.composite
def chunks(draw: st.DrawFn, key: str, value: Any) -> str:
    """Return the lines of one entry, in one of the common styles."""
    comment = draw(COMMENTS)
    if not isinstance(value, list):
        return f"{key}:{draw(st.sampled_from((' ', '  ')))}{draw(written(value))}{comment}\n"
    if not value or draw(st.booleans()):
        gap = draw(st.sampled_from(("", " ")))
        return f"{key}: [{gap}{', '.join(draw(written(item)) for item in value)}{gap}]{comment}\n"
    indent = " " * draw(st.sampled_from((0, 2, 3)))
    lines = [f"{key}:{comment}\n"]
    for element in value:
        above = draw(st.sampled_from(("", "", f"{indent}# above\n", "\n")))
        lines.append(f"{above}{indent}- {draw(written(element))}{draw(COMMENTS)}\n")
    return "".join(lines)


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """Return a value on one line, in any valid quotes."""
    if isinstance(value, dict):
        return (
            "{"
            + ", ".join(f"{key}: {draw(written(item))}" for key, item in value.items())
            + "}"
        )
    plain = format_flow(value)
    if not isinstance(value, str):
        return plain
    return draw(
        st.sampled_from(
            (plain, format_quoted(value), "'" + value.replace("'", "''") + "'")
        )
    )


@pytest.mark.slow
@given(
    data=st.data(),
    old=MAPS,
    new=MAPS,
    line_end=st.sampled_from(("\n", "\r\n")),
    head=st.sampled_from(("", "# head\n\n")),
)
def test_in_every_style_only_the_intended_value_changes(
    data: st.DataObject,
    old: dict[str, Any],
    new: dict[str, Any],
    line_end: str,
    head: str,
) -> None:
    """The text has the new values, and every unchanged entry is kept byte for byte."""
    retained = {key: value for key, value in old.items() if data.draw(st.booleans())}
    expected = {
        key: retained.get(key, new.get(key))
        for key in [*old, *new]
        if key in retained or key in new
    }
    lines = {key: data.draw(chunks(key, value)) for key, value in old.items()}
    text = (head + "".join(lines.values())).replace("\n", line_end)
    if not expected or not old:
        return
    actual = replaced(text, old, expected)
    assert actual.startswith(head.replace("\n", line_end))
    assert [] == [
        key for key in retained if lines[key].replace("\n", line_end) not in actual
    ]
    assert actual.count("\r") == (actual.count("\n") if line_end == "\r\n" else 0)
