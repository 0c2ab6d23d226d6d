"""`cxroute simplify` on thousands of random manifests: no conversation moves, and nothing is missed."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from random import Random
from typing import Final

import pytest

from reconciler.core.manifest.load import Manifests, load_contents
from reconciler.features.changes.simplify import (
    BY_DEFAULT,
    Simplification,
    prove_texts,
    simplify,
)
from reconciler.features.changes.simplify_candidates import EditKind
from reconciler.features.changes.simplify_rules import (
    find_kept,
    read_environments,
)
from tests.support.random_projects import (
    Project,
    TriedList,
    a_project,
    tried_lists,
    unused_rules,
)
from tests.tiers import size

FILE: Final = "rules.yaml"
NOW: Final = datetime(2026, 12, 1, tzinfo=UTC)
BLOCKS: Final = 25
SIZE: Final = size(fast=4, slow=40, full=200)
"""Projects in each block."""
EVERY: Final[frozenset[EditKind]] = BY_DEFAULT | {"redundant", "join"}
KINDS: Final[tuple[frozenset[EditKind], ...]] = (
    BY_DEFAULT,
    BY_DEFAULT | {"redundant"},
    BY_DEFAULT | {"join"},
    EVERY,
)


def manifests_of(text: str) -> Manifests:
    return load_contents([(FILE, text.encode())])


def simplified(text: str, kinds: frozenset[EditKind]) -> Simplification:
    manifests = manifests_of(text)
    environments = read_environments(manifests)
    return simplify(manifests, environments, (), kinds, NOW)


def lists_of(text: str, project: Project) -> dict[str, TriedList]:
    return tried_lists(manifests_of(text), project.fallbacks)


def sizes(rules: TriedList) -> tuple[int, int]:
    return len(rules.rules), sum(len(rule["conditions"]) for rule in rules.rules)


def projects(block: int) -> list[tuple[int, Project]]:
    seeds = range(block * SIZE, (block + 1) * SIZE)
    return [
        (seed, a_project(Random(f"simplify {seed}"), 5 if seed % 3 else 9))
        for seed in seeds
    ]


@pytest.mark.generated
@pytest.mark.fast_cases(3)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_event_goes_elsewhere_and_nothing_grows(block: int) -> None:
    """In every Environment, also among ties; a second search of the new texts finds nothing."""
    for seed, project in projects(block):
        kinds = KINDS[seed % len(KINDS)]
        result = simplified(project.text, kinds)
        assert result.found.complete
        after = result.texts.get(FILE, project.text)
        before_lists = lists_of(project.text, project)
        after_lists = lists_of(after, project)
        for name, before in before_lists.items():
            assert before.destinations() == after_lists[name].destinations(), seed
            assert sizes(after_lists[name]) <= sizes(before), seed
            assert all(
                new <= old
                for new, old in zip(
                    sizes(after_lists[name]), sizes(before), strict=True
                )
            )
        assert () == simplified(after, kinds).edits, seed

        manifests = manifests_of(project.text)
        prove_texts(manifests, manifests_of(after), result.environments)
        for text in kept_texts(project.text):
            assert text in after, seed


def kept_texts(text: str) -> list[str]:
    """Return the texts of the rules that must stay: these begin a line of their own."""
    items = re.findall(r"(?m)^  - .*\n(?:    .*\n)*", text)
    return [
        item
        for item in items
        if re.search(r"cxroute: keep|\"?enabled\"?: false|\"?accept\"?:", item)
    ]


@pytest.mark.generated
@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("block", range(BLOCKS))
def test_no_rule_is_left_that_never_takes_an_event(block: int) -> None:
    """By trying all events, no rule and no condition is left that has no effect."""
    for seed, project in projects(block):
        after = simplified(project.text, BY_DEFAULT).texts.get(FILE, project.text)
        lists = lists_of(after, project)
        kept = kept_addresses(after)
        unused = set(unused_rules(lists.values())) - kept
        assert set() == unused, seed


def kept_addresses(text: str) -> set[str]:
    manifests = manifests_of(text)
    environments = read_environments(manifests)
    kept = find_kept(manifests, environments)
    return {
        entry.name
        for each in environments
        for place, entry in each.entries.items()
        if place in kept
    }
