"""How much people read about equal edits, and about a few different ones: words of the plans of
random lists of rules.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from tests.support.counted_words import Goal, count_shown_words, first_part, measured
from tests.support.equal_edits import COUNTS, KINDS, RuleList, draw_list, edit_equally
from tests.support.program import Program
from tests.support.random_edits import NoEditError, edit_rules
from tests.tiers import size

MANIFESTS = Path("manifests")
LISTS = size(fast=1, slow=3, full=12)
DIFFERENT = 4
"""So many plans of three different edits of each list."""


@pytest.fixture
def _wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def apply(cxroute: Program, rules: RuleList) -> None:
    """Apply a list of rules in a repository of git, as people have it."""
    shutil.rmtree(MANIFESTS, ignore_errors=True)
    rules.write(MANIFESTS)
    identity = ("-c", "user.name=t", "-c", "user.email=t@example.invalid")
    for arguments in (
        ("init", "-q"),
        ("add", "."),
        (*identity, "commit", "-q", "-m", "Before an edit"),
        ("update-ref", "refs/remotes/origin/main", "HEAD"),
    ):
        subprocess.run(["git", *arguments], check=True)
    assert 0 == cxroute("apply", "-e", "sandbox", "--yes", "-q"), cxroute.err


def plan(cxroute: Program) -> tuple[int, int]:
    """Return the words of a plan in a terminal, and of a comment."""
    assert 0 == cxroute("plan", "-e", "sandbox"), cxroute.err
    terminal = len(cxroute.out.split())
    assert 0 == cxroute("plan", "-e", "sandbox", "--format", "markdown")
    return terminal, count_shown_words(first_part(cxroute.out))


def in_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, RuleList]]:
    """Yield lists of rules, each with a folder of its own as the working directory."""
    for seed in range(LISTS):
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        monkeypatch.chdir(folder)
        yield seed, draw_list(Random(seed))


@pytest.mark.usefixtures("_wide")
@pytest.mark.generated
@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("count", COUNTS)
def test_many_equal_edits_are_a_few_words(
    cxroute: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Of every kind, with other names or not: 140 in a terminal, 120 in a comment (median)."""
    words = []
    for seed, rules in in_folders(tmp_path, monkeypatch):
        apply(cxroute, rules)
        for kind in KINDS:
            shutil.rmtree(MANIFESTS)
            random = Random(f"{seed} {kind} {count}")
            edit_equally(rules, kind, count, random).write(MANIFESTS)
            words.append(plan(cxroute))
    for goal, actual in zip(
        (Goal(140, 210), Goal(120, 190)), zip(*words, strict=True), strict=True
    ):
        assert goal.is_met_by(measured(actual)), actual


@pytest.mark.usefixtures("_wide")
@pytest.mark.slow
def test_another_name_does_not_split_equal_edits(
    cxroute: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The plan has as many effects, and hardly more words, than that of the same edit alone."""
    for seed, rules in in_folders(tmp_path, monkeypatch):
        apply(cxroute, rules)
        for kind, named in (
            ("queue", "queue and name"),
            ("queue", "queue and some names"),
            ("confidence", "confidence and name"),
        ):
            words = []
            effects = []
            for drawn in (kind, named):
                shutil.rmtree(MANIFESTS)
                edit_equally(rules, drawn, 10, Random(seed)).write(MANIFESTS)
                words.append(plan(cxroute)[0])
                _, document = cxroute.json("plan", "-e", "sandbox")
                effects.append(len(document["behaviour"]["effects"]))
            assert effects[0] == effects[1], (named, effects)
            assert words[1] <= words[0] + 10, (named, words)


@pytest.mark.slow
@pytest.mark.usefixtures("_wide")
def test_three_different_edits_are_few_words(
    cxroute: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """210 in a terminal, 190 in a comment (median)."""
    words = []
    for seed, rules in in_folders(tmp_path, monkeypatch):
        apply(cxroute, rules)
        for number in range(DIFFERENT):
            shutil.rmtree(MANIFESTS)
            rules.write(MANIFESTS)
            try:
                edit_rules(MANIFESTS, Random(f"{seed} {number}"), 3)
            except NoEditError:
                continue
            words.append(plan(cxroute))
    assert len(words) > LISTS
    for goal, actual in zip(
        (Goal(210, 330), Goal(190, 300)), zip(*words, strict=True), strict=True
    ):
        assert goal.is_met_by(measured(actual)), actual
