"""`simplify` and `merge-check` on rules with dates, at every time from now on."""

from __future__ import annotations

from datetime import datetime
from random import Random
from typing import Any, Final

import pytest

from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.features.changes.merge_check import (
    MergedEnvironment,
    Version,
    report_merge,
)
from reconciler.features.changes.merge_document import environment_to_json
from reconciler.features.changes.merge_winners import VERSIONS
from reconciler.features.changes.simplify import BY_DEFAULT, prove_texts, simplify
from reconciler.features.changes.simplify_candidates import EditKind
from reconciler.features.changes.simplify_rules import read_environments
from tests.support.dated_projects import (
    INSTANTS,
    NOW,
    DatedProject,
    Document,
    a_dated_project,
    documents_at,
    text_of,
    with_dates,
)
from tests.support.random_projects import TriedList, tried_lists
from tests.tiers import size

FILE: Final = "rules.yaml"
BLOCKS: Final = 10
SIZE: Final = size(fast=3, slow=10, full=40)
"""Projects in each block."""


def manifests_of(text: str) -> Manifests:
    return load_contents([(FILE, text.encode())], instant=NOW)


def lists_at(text: str, project: DatedProject, at: datetime) -> dict[str, TriedList]:
    plain = text_of(documents_at(text, at))
    return tried_lists(manifests_of(plain), project.fallbacks)


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_simplify_moves_no_event_at_any_time(block: int) -> None:
    """Also among ties; rules with dates stay as they are."""
    kinds: frozenset[EditKind] = BY_DEFAULT | {"redundant", "join"}
    edits = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        project = a_dated_project(Random(f"dates {seed}"), 8)
        before = manifests_of(project.text)
        found = simplify(before, read_environments(before), (), kinds, NOW)
        edits += len(found.edits)
        text = found.texts.get(FILE, project.text)
        for at in INSTANTS:
            old = lists_at(project.text, project, at)
            new = lists_at(text, project, at)
            for name, rules in old.items():
                assert rules.destinations() == new[name].destinations(), (seed, at)
        prove_texts(before, manifests_of(text), found.environments)
    assert edits, "an edit is proposed in some project"


def test_a_rule_that_only_a_campaign_hides_is_used() -> None:
    """It takes conversations before and after; one that is hidden at all times can go."""
    head = "apiVersion: routing/v1\nkind: %s\nname: %s\n"
    text = (
        head % ("Environment", "prod")
        + "owner: acme\ntenant: acme\n---\n"
        + head % ("RuleSet", "cards")
        + "rules:\n"
        "  - {key: campaign, intent: fees, queue: B, priority: 10, until: 2026-12-10T00:00Z}\n"
        "  - {key: after, intent: fees, queue: B, priority: 20, from: 2026-12-10T00:00Z%s}\n"
        "  - {key: hidden, intent: fees, queue: A, priority: 30}\n"
    )
    for end, expected in (("", ["cards/hidden"]), (", until: 2027-01-07T00:00Z", [])):
        manifests = manifests_of(text % end)
        rules = read_environments(manifests)
        found = simplify(manifests, rules, (), BY_DEFAULT, NOW)
        names = [entry.name for edit in found.edits for entry in edit.entries]
        assert expected == names
        takers = [rule.name for edit in found.edits for rule in edit.takers]
        assert ["cards/campaign", "cards/after"][: 2 * len(expected)] == takers


def an_edit(random: Random, rules: list[Document]) -> list[Document]:
    """Return rules of which one has another priority or queue, or other dates."""
    number = random.randrange(len(rules))
    edited = dict(rules[number])
    kind = random.random()
    if kind < 0.4:
        edited["priority"] = random.choice((5, 10, 20, 30, 40))
    elif kind < 0.7 and "queue" in edited:
        edited["queue"] = random.choice("ABC")
    else:
        without = {
            name: value
            for name, value in edited.items()
            if name not in ("from", "until")
        }
        edited = without if "steps" in edited else with_dates(random, without)
    return [*rules[:number], edited, *rules[number + 1 :]]


def merged_rules(
    base: list[Document], ours: list[Document], theirs: list[Document]
) -> list[Document]:
    """Return the rules of both changes; those of the second one where both change a rule."""
    return [
        other if other != old else own
        for old, own, other in zip(base, ours, theirs, strict=True)
    ]


def report_of(texts: list[str]) -> tuple[MergedEnvironment, ...]:
    versions = [
        Version(name, manifests_of(text))
        for name, text in zip(VERSIONS, texts, strict=True)
    ]
    return report_merge(versions).environments


def rows_of(environment: MergedEnvironment, at: datetime) -> dict[str, Any]:
    """Return what a report says about a time, without the order of values; an example may be
    another one of the same row.
    """
    (time,) = [each for each in environment.times if each.interval.covers(at)]
    document: Any = environment_to_json(environment)
    forms = [document, *document.get("later", [])]
    form = forms[environment.times.index(time)]
    for row in (*form["surprises"], *form["conflicts"]):
        del row["example"]
        for clause in row["where"]:
            if isinstance(clause.get("value"), list):
                clause["value"].sort(key=str)
    names = ("complete", "unknown", "surprises", "conflicts")
    return {name: form[name] for name in names}


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_a_merge_is_compared_at_every_time(block: int) -> None:
    """Each interval has the rows of the four versions as they are then, written without dates."""
    unexpected = 0
    for seed in range(block * SIZE, (block + 1) * SIZE):
        random = Random(f"merges {seed}")
        project = a_dated_project(random, 6)
        base = project.rules
        ours, theirs = an_edit(random, base), an_edit(random, base)
        merged = merged_rules(base, ours, theirs)
        # a merge that loses a change, sometimes, so that something is unexpected
        lists = [
            base,
            ours,
            theirs,
            random.choice((merged, base, an_edit(random, ours))),
        ]
        texts = [project.with_rules(rules).text for rules in lists]
        environments = report_of(texts)
        for at in INSTANTS:
            plain = report_of([text_of(documents_at(text, at)) for text in texts])
            for each, expected in zip(environments, plain, strict=True):
                assert rows_of(expected, at) == rows_of(each, at), (seed, at)
        unexpected += sum(bool(each.unexpected_times) for each in environments)
    assert unexpected, "a merge does something unexpected in some project"
