"""Lists of values in words: whole groups by name, long lists cut, and each list read back to
exactly its values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from random import Random

import pytest

from reconciler.core.model.operators import Value
from reconciler.core.model.rule import Condition, make_condition
from reconciler.core.text.phrases import (
    ALL_VALUES,
    Labels,
    condition_phrase,
    merge_labels,
)
from reconciler.core.text.value_groups import ValueGroups
from tests.support.cases import each_case
from tests.support.hostile_names import (
    CONTROL_CHARACTERS,
    HOSTILE_NAMES,
    MARKDOWN_NAMES,
)
from tests.tiers import size

GERMAN = frozenset({"de", "de-AT"})
FRENCH = frozenset({"fr", "fr-BE", "fr-FR"})
LABELS = Labels(
    {},
    {("language", "de-AT"): "German (Austria)", ("language", "en"): "English"},
    {"language": {"German": GERMAN, "French": FRENCH, "Romansh": frozenset({"rm"})}},
)
TOPICS = Labels(
    {},
    {},
    {
        "intent": {
            f"topic {letter}": frozenset({f"{letter}1", f"{letter}2"})
            for letter in "abcde"
        }
    },
)


@each_case(
    "values, phrase",
    [
        ([], "nothing"),
        (["de"], "de"),
        (["de", "de-AT"], "German"),
        (["de-AT", "de", "en"], "German or English"),
        (["en", "de", "fr", "fr-BE", "fr-FR", "de-AT"], "German, French or English"),
        (["de", "fr"], "de or fr"),
        (["fr", "fr-BE", "de"], "fr, fr-BE or de"),
        (["fr", "fr-BE", "de", "en"], "fr, fr-BE and 2 more languages"),
        (["de", "de-AT", "en", "rm"], "German, English or rm"),
        # With a group, a number and three others the list would be cut: then each text in it is a
        # value.
        (
            ["de", "de-AT", "en", "rm", "it"],
            "de, German (Austria) and 3 more languages",
        ),
        (["German", "de"], '"German" (undeclared) or de'),
        ([1, True, "de", "de-AT"], "German, 1 or true"),
    ],
)
def test_a_list_of_values(values: Sequence[object], phrase: str) -> None:
    """A group is written only if all its values are there; a group of one value is this value."""
    assert phrase == LABELS.values_phrase("language", values, 3, "languages")


@pytest.mark.parametrize(
    ("letters", "phrase"),
    [
        ("ab", "topic a or topic b"),
        ("abc", "topic a, topic b or topic c"),
        ("abcd", "topic a, topic b and 2 more groups"),
        ("abcde", "topic a, topic b and 3 more groups"),
    ],
)
def test_several_whole_groups(letters: str, phrase: str) -> None:
    """A list of groups alone is cut like a list of values."""
    values = [f"{letter}{number}" for letter in letters for number in (1, 2)]
    assert phrase == TOPICS.values_phrase("intent", values, 3, "intents")


def test_the_full_list_has_each_value() -> None:
    """No group stands for its values, and nothing is cut."""
    values = [*sorted(GERMAN), *sorted(FRENCH)]
    expected = "de, German (Austria), fr, fr-BE or fr-FR"
    assert expected == LABELS.values_phrase("language", values, ALL_VALUES, "languages")


def test_the_groups_of_another_attribute_do_not_count() -> None:
    assert "de or de-AT" == LABELS.values_phrase("country", ["de", "de-AT"], 3)


def test_a_condition_names_whole_groups() -> None:
    """In a list alone: a single value, and a part of a text, are not groups."""
    phrases: dict[tuple[str, Value], str] = {
        ("in", ("de", "de-AT", "en")): 'language is one of "German", "English"',
        ("notIn", ("de", "de-AT")): 'language is none of "German"',
        ("in", ("de",)): 'language is one of "de"',
        ("equals", "German"): 'language is "German" (undeclared)',
        ("contains", "de"): 'language contains "de"',
    }
    text = [
        condition_phrase(Condition("language", name, value, value), LABELS)
        for name, value in phrases
    ]
    assert [*phrases.values()] == text


def test_a_long_condition_is_cut_after_eight_values() -> None:
    """The groups in it, too, because the reader could not know which of the texts are groups."""
    values = [*sorted(GERMAN), *(f"x{number}" for number in range(9))]
    text = condition_phrase(make_condition("language", "in", values), LABELS)
    assert text.startswith('language is one of "de", "German (Austria)", "x0", ')
    assert text.endswith('"x5" and 3 more')


def test_a_number_and_the_empty_text_are_in_no_group() -> None:
    groups = ValueGroups({"A": frozenset({"", "1"})})
    assert ([], ["1", 1, 2.5]) == groups.split(["1", 1, 2.5])


def parsed(phrase: str, labels: Labels, attribute: str) -> set[str]:
    """Return the values of a list that is not cut: each text is a label, the name of a group, or a
    value.
    """
    by_label = {label: name[-1] for name, label in labels.texts.items()}
    actual = set[str]()
    for text in re.split(", | or ", phrase) if phrase != "nothing" else ():
        assert re.fullmatch(r"[a-z]+ ?\d+", text), phrase
        group = labels.groups.get(attribute, {}).get(text)
        actual |= group or {by_label.get(text, text)}
    return actual


def random_labels(
    random: Random, values: Sequence[str], names: Sequence[str]
) -> Labels:
    """Return labels and groups of some values; all these names are different."""
    rest = random.sample(values, len(values))
    unused = random.sample(names, len(names))
    groups = dict[str, frozenset[str]]()
    while len(rest) > 3 and random.random() < 0.8:
        size = random.randint(1, 4)
        groups[unused.pop()] = frozenset(rest[:size])
        rest = rest[size:]
    labelled = [value for value in values if random.random() < 0.4]
    texts: Mapping[tuple[str, ...], str] = {
        ("x", value): unused.pop() for value in labelled
    }
    return Labels({}, texts, {"x": groups})


@pytest.mark.generated
@pytest.mark.parametrize("block", range(10))
def test_a_phrase_read_back_has_exactly_the_values(block: int) -> None:
    """For random groups and lists: all values of the list, no other one; in a cut list, as many as
    it says.
    """
    values = [f"v{number}" for number in range(14)]
    names = [f"name {number}" for number in range(40)]
    grouped = cut = 0
    for seed in range(size(fast=40, slow=200, full=2000)):
        random = Random(f"{block} {seed}")
        labels = random_labels(random, values, names)
        groups = list(labels.groups["x"].values())
        listed = {
            *random.sample(values, random.randint(0, 4)),
            *frozenset().union(*random.sample(groups, len(groups))),
        }
        if random.random() < 0.3:
            listed = {*random.sample(values, random.randint(0, 14))}
        limit = random.choice([3, 3, 5, 20, ALL_VALUES])
        phrase = labels.values_phrase("x", sorted(listed), limit, "values")
        if further := re.search(r" and (\d+) more (values|groups)$", phrase):
            printed = parsed(phrase[: further.start()], labels, "x")
            assert printed < listed
            assert limit - 1 == phrase[: further.start()].count(", ") + 1
            remaining_items = listed - printed
            complete = [
                members
                for members in groups
                if members <= remaining_items and len(members) > 1
            ]
            assert int(further[1]) == (
                len(remaining_items) if further[2] == "values" else len(complete)
            ), phrase
            assert (
                further[2] == "values"
                or frozenset().union(*complete) == remaining_items
            )
            cut += 1
        else:
            assert listed == parsed(phrase, labels, "x")
            texts = re.split(", | or ", phrase)
            assert limit == ALL_VALUES or len(texts) <= limit
            grouped += any(name in texts for name in labels.groups["x"])
    assert grouped
    assert cut


def test_two_sides_have_the_groups_that_mean_the_same_on_both() -> None:
    """A name that means other values on one side would be wrong for the rules of the other side."""
    candidate = Labels(
        {"i": "intent"},
        {("language", "en"): "Anglais"},
        {"language": {"German": GERMAN, "French": GERMAN}},
    )
    merged = merge_labels([LABELS, candidate])
    assert {"language": {"German": GERMAN}} == merged.groups
    assert {"i": "intent"} == merged.short
    assert "German or Anglais" == merged.values_phrase("language", ["en", *GERMAN], 3)
    assert LABELS == merge_labels([LABELS])


@pytest.mark.fast_cases(16)
@pytest.mark.parametrize(
    "name", list(filter(None, (HOSTILE_NAMES | MARKDOWN_NAMES).values())), ids=repr
)
def test_a_hostile_group_is_one_text(name: str) -> None:
    """It cannot end the list, add a value or a condition, or move the cursor."""
    labels = Labels({}, {}, {"tier": {name: frozenset({"a", "b"})}})
    phrase = labels.values_phrase("tier", ["a", "b", "c"], 3)
    assert CONTROL_CHARACTERS.search(phrase) is None
    assert re.fullmatch(r'("(?:[^"\\]|\\.)*"|\w+) or c', phrase), phrase
