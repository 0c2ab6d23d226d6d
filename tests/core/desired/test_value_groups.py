"""The groups of values in Attributes and Intents documents: which ones people read, and which ones
are ambiguous.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from reconciler.core.desired.desired import labels_of
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.load import load_contents
from reconciler.core.manifest.yaml_writer import format_flow
from reconciler.core.text.phrases import Labels
from tests.support.written_manifests import ENVIRONMENT, loaded
from tests.tiers import size

INTENT = "cognigyDetectedIntent"
ATTRIBUTES = "---\napiVersion: routing/v1\nkind: Attributes\nname: bank\nattributes:\n"
INTENTS = "---\napiVersion: routing/v1\nkind: Intents\nname: {}\nintents: {}\n"


def labels(room: Path, text: str, *, labelled: bool = True) -> Labels:
    manifests = loaded(room, ENVIRONMENT + text)
    if not labelled:
        object.__setattr__(manifests, "labelled", False)
    return labels_of(manifests, manifests.environments["prod"].document)


BANK = (
    ATTRIBUTES
    + "  language: {values: {de: {label: German (Germany), group: German}, de-AT: {group: German}, en: English}}\n"
    + INTENTS.format(
        "one",
        "[{name: lost, label: Lost card, group: Cards}, {name: pin, group: Cards}, cash]",
    )
    + INTENTS.format("two", "[{name: arrival, group: Cards}, {name: pin, group: PIN}]")
)


def test_groups_have_the_values_of_all_documents(room: Path) -> None:
    """By attribute.

    Of two groups of an intent, the first document's counts. A value with fields may lack a label.
    """
    actual = labels(room, BANK)
    assert {
        "language": {"German": {"de", "de-AT"}},
        INTENT: {"Cards": {"lost", "pin", "arrival"}},
    } == actual.groups
    assert {
        ("language", "de"): "German (Germany)",
        ("language", "en"): "English",
        (INTENT, "lost"): "Lost card",
    } == actual.texts


def test_with_names_there_are_no_groups(room: Path) -> None:
    """With -v people read names."""
    actual = labels(room, BANK, labelled=False)
    assert {} == actual.groups
    assert {} == actual.texts


def test_a_group_that_is_a_name_elsewhere_is_not_used(room: Path) -> None:
    """An Attributes document may declare the attribute of the intent: which one that is, only an
    Environment knows.
    """
    candidate = (
        ATTRIBUTES
        + f"  {INTENT}: {{values: {{lost: Lost, pin: {{label: Cards, group: own}}, own: Own}}}}\n"
    )
    with pytest.raises(ManifestError) as caught:
        labels(room, candidate)
    assert ["CXR132"] == [finding.code for finding in caught.value.findings]
    candidate = candidate.replace("own: Own", "x: X")
    actual = labels(
        room,
        candidate + INTENTS.format("one", "[{name: lost, group: Cards}, {name: own}]"),
    )
    assert {} == actual.groups


def test_the_label_of_a_group_s_only_value_may_be_its_name(room: Path) -> None:
    """Both mean one value, so nothing is ambiguous."""
    actual = labels(
        room,
        ATTRIBUTES
        + "  language: {values: {en: {label: English, group: English}, fr: {group: fr}}}\n",
    )
    assert "English, fr or x" == actual.values_phrase("language", ["en", "fr", "x"], 3)


def test_a_value_that_looks_like_a_group_is_marked(room: Path) -> None:
    actual = labels(room, BANK)
    assert '"German" (undeclared)' == actual.value("language", "German")
    assert '"Cards" (undeclared)' == actual.value(INTENT, "Cards")
    assert '"German"' == actual.value("country", "German")


@pytest.mark.generated
def test_valid_groups_are_all_used_and_each_text_has_one_meaning() -> None:
    """For random names of values, labels and groups: either an error, or no text means two sets of
    values.
    """
    words = ["a", "b", "c", "A", "B", "C", "\u200ba", r"\u200ba"]
    invalid = used = 0
    for seed in range(size(fast=80, slow=400, full=4000)):
        random = Random(seed)
        names = random.sample(words, 4)
        values = {name: _described(random, words) for name in names}
        document = {"x": {"values": values}}
        head = ATTRIBUTES.removesuffix("attributes:\n")
        contents = [
            (
                "a.yaml",
                f"{ENVIRONMENT}{head}attributes: {format_flow(document)}\n".encode(),
            )
        ]
        if codes := _codes(contents):
            assert {"CXR132"} == codes
            invalid += 1
            continue
        manifests = load_contents(contents)
        actual = labels_of(manifests, manifests.environments["prod"].document)
        meanings = dict[str, set[frozenset[str]]]()
        for word in words:
            meanings.setdefault(actual.value("x", word), set()).add(frozenset({word}))
        for group, members in actual.groups.get("x", {}).items():
            phrase = Labels({}, {}, {}).value("x", group)
            meanings.setdefault(phrase, set()).add(members)
        assert all(len(each) == 1 for each in meanings.values()), meanings
        stated = {
            entry["group"]
            for entry in values.values()
            if isinstance(entry, dict) and "group" in entry
        }
        several = {
            group
            for group in stated
            if sum(_group_of(entry) == group for entry in values.values()) > 1
        }
        assert several <= {*actual.groups.get("x", {})}
        used += bool(several)
    assert invalid
    assert used


def _codes(contents: list[tuple[str, bytes]]) -> set[str]:
    """Return the codes of all errors in manifests."""
    try:
        load_contents(contents)
    except ManifestError as error:
        return {finding.code for finding in error.findings}
    return set()


def _described(random: Random, words: list[str]) -> object:
    if random.random() < 0.3:
        return random.choice(words)
    entry = {"group": random.choice(words)}
    return entry | ({"label": random.choice(words)} if random.random() < 0.5 else {})


def _group_of(entry: object) -> str | None:
    return entry.get("group") if isinstance(entry, dict) else None
