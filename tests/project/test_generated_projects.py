"""Generated projects and random edits: valid, realistic, the same for the same seed, and comments
stay.
"""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from random import Random
from typing import Final

import pytest

from reconciler.core.checks.route_tests import Checked, check, with_promises
from reconciler.core.manifest.load import load_manifests
from reconciler.core.traffic.sample import declared_traffic
from tests.support.bank_traffic import TRAFFIC
from tests.support.builders import NOW
from tests.support.generated_projects import write_project
from tests.support.random_edits import KINDS, edit_rule_set, edit_rules
from tests.support.rule_texts import read_texts

pytestmark = pytest.mark.slow


BANK: Final = TRAFFIC.parent
TRADES: Final = ("airline", "telecom")
PROJECTS: Final = ("bank", *TRADES)


def written(project: str, folder: Path) -> Path:
    """Write a project's manifests, and return their folder."""
    if project == "bank":
        shutil.copytree(BANK, folder)
    else:
        write_project(project, 1, folder)
    return folder


def checked(folder: Path) -> Checked:
    """Return the results of the manifests' route tests and promises."""
    manifests = load_manifests(folder, NOW)
    return with_promises(check(manifests, manifests.environments["sandbox"].document))


def texts(folder: Path) -> dict[str, str]:
    """Return the texts of all files."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_text("utf-8") for path in paths}


def comments(folder: Path) -> Counter[str]:
    """Return the comments of the RuleSets, each with the number of times."""
    files = {
        name: text for name, text in texts(folder).items() if "kind: RuleSet" in text
    }
    return Counter(
        line.partition("# ")[2]
        for text in files.values()
        for line in text.splitlines()
        if "# " in line
    )


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("trade", TRADES)
def test_a_generated_project_is_valid(trade: str, seed: int, tmp_path: Path) -> None:
    """It has 40 to 80 rules in several RuleSets, passing route tests and kept promises; no check
    finds anything.
    """
    write_project(trade, seed, tmp_path)
    actual = checked(tmp_path)
    assert () == actual.findings
    assert [] == [result.failure for result in actual.tried if result.failure]
    assert len(actual.tried) > 90
    rules = read_texts(tmp_path).rules
    assert 40 <= len(rules) <= 80
    assert len({rule.rule_set for rule in rules}) >= 9


@pytest.mark.parametrize("trade", TRADES)
def test_a_generated_sample_has_every_tested_attribute(
    trade: str, tmp_path: Path
) -> None:
    """As the bank's: plans show single figures."""
    write_project(trade, 3, tmp_path)
    manifests = load_manifests(tmp_path)
    sample = declared_traffic(manifests.environments["sandbox"], tmp_path)
    (declared,) = manifests.attributes
    assert sample is not None
    assert {
        *declared.document.attributes,
        "cognigyDetectedIntent",
        "cognigyConfidence",
    } == {*sample.rows[0].attributes}


@pytest.mark.parametrize("trade", TRADES)
def test_a_seed_determines_a_generated_project(trade: str, tmp_path: Path) -> None:
    """The same files for the same seed, and others for another one."""
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_project(trade, seed, tmp_path / name)
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
    assert texts(tmp_path / "a") != texts(tmp_path / "c")


@pytest.mark.parametrize("project", PROJECTS)
def test_random_edits_change_so_many_rules(project: str, tmp_path: Path) -> None:
    """The edited manifests are valid, their route tests pass, and each edit is of another rule."""
    folder = written(project, tmp_path / "manifests")
    before = {rule.address: rule.values for rule in read_texts(folder).rules}
    edits = edit_rules(folder, Random(f"edits {project}"), 2)
    after = {rule.address: rule.values for rule in read_texts(folder).rules}
    changed = {
        address
        for address in {*before, *after}
        if before.get(address) != after.get(address)
    }
    assert 2 == len({edit.address for edit in edits}) == len(changed)
    assert [] == [result.failure for result in checked(folder).tried if result.failure]


@pytest.mark.parametrize("project", PROJECTS)
def test_one_equal_edit_changes_a_whole_rule_set(project: str, tmp_path: Path) -> None:
    """Only rules of one RuleSet change, and at least four of them."""
    folder = written(project, tmp_path / "manifests")
    before = {
        rule.address: (rule.values, rule.confidence)
        for rule in read_texts(folder).rules
    }
    edit = edit_rule_set(folder, Random(f"set {project}"))
    after = {
        rule.address: (rule.values, rule.confidence)
        for rule in read_texts(folder).rules
    }
    changed = {
        address for address, values in before.items() if after[address] != values
    }
    assert before.keys() == after.keys()
    assert len(changed) >= 4
    assert {edit.address} == {f"{address.partition('/')[0]}/*" for address in changed}


@pytest.mark.slow
def test_an_edit_keeps_comments_and_the_other_lines(tmp_path: Path) -> None:
    """Only a deleted rule takes its comments with it."""
    for seed in range(6):
        folder = written("bank", tmp_path / str(seed))
        before = texts(folder)
        retained = comments(folder)
        (edit,) = edit_rules(folder, Random(f"comments {seed}"), 1)
        after = texts(folder)
        files = [
            name
            for name in before
            if not name.startswith("tests/") and before[name] != after[name]
        ]
        assert 1 == len(files), edit
        assert edit.kind == "delete" or comments(folder) == retained, edit


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_edit_is_possible(kind: str, tmp_path: Path) -> None:
    """In the bank, two rules after the other."""
    folder = written("bank", tmp_path / "manifests")
    assert [kind, kind] == [
        edit.kind
        for edit in edit_rules(folder, Random(f"kind {kind}"), 2, kinds=[kind])
    ]


@pytest.mark.slow
def test_a_seed_determines_the_edits(tmp_path: Path) -> None:
    """The same texts for the same seed."""
    for name in ("a", "b"):
        edit_rules(written("bank", tmp_path / name), Random("seed 5"), 3)
    assert texts(tmp_path / "a") == texts(tmp_path / "b")
