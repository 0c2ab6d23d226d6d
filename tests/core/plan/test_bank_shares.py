"""Shares of plans are single figures: the samples of the bank and of generated projects leave
nothing open.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, Final

import pytest

from reconciler.cli.main import main
from tests.support.bank_traffic import TRAFFIC, remove_sample
from tests.support.generated_projects import write_project
from tests.support.program import Program
from tests.support.random_edits import edit_rule_set, edit_rules

BANK: Final = TRAFFIC.parent
GOLD: Final = """\
  - key: gold-accounts
    intents: [edit_personal_details, unable_to_verify_identity]
    when:
      - {attribute: customerTier, in: [gold, platinum]}
    queue: priority
"""
EDITS: Final = {
    "a raised confidence": (
        "cards.yaml",
        "minConfidence: 0.7 # the desk",
        "minConfidence: 0.75 # the desk",
    ),
    "a changed queue": (
        "transfers.yaml",
        "failed_transfer\n    queue: payments",
        "failed_transfer\n    queue: disputes",
    ),
    "a deleted rule": (
        "cards.yaml",
        "  - intent: card_linking\n    queue: card-services\n",
        "",
    ),
    "a new rule for gold customers": (
        "priority.yaml",
        "  - key: gold-payments\n",
        f"{GOLD}  - key: gold-payments\n",
    ),
}


def write_manifests(project: str, folder: Path) -> None:
    """Write a project's manifests into a folder."""
    if project == "bank":
        shutil.copytree(BANK, folder)
    else:
        write_project(project, 1, folder)


@pytest.fixture(scope="module")
def applied(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the folder of a project whose rules the simulated tenant has."""

    @cache
    def apply(project: str) -> Path:
        folder = tmp_path_factory.mktemp(project)
        write_manifests(project, folder / "manifests")
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            environment = Path("manifests/environments/sandbox.yaml")
            text = environment.read_text("utf-8")
            # An apply measures the sample three times.
            remove_sample(environment)
            assert 0 == main(["-e", "sandbox", "--no-input", "apply", "--yes", "-q"])
            environment.write_text(text, "utf-8")
        return folder

    return apply


def behaviour(cxroute: Program) -> Any:
    """Return what the plan of the manifests says about conversations."""
    code, planned = cxroute.json("-e", "sandbox", "plan", "--base", "none")
    assert 0 == code
    return planned["behaviour"]


def ranges(value: object) -> Iterator[object]:
    """Yield every share that is not a single figure."""
    if isinstance(value, dict):
        if {*value} == {"least", "most"} and value["least"] != value["most"]:
            yield value
        if any(name.endswith("Least") for name in value):
            yield value
        for item in value.values():
            yield from ranges(item)
    elif isinstance(value, list):
        for item in value:
            yield from ranges(item)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_of_the_bank_moves_a_known_share(
    edit: str, applied: Callable[[str], Path], cxroute: Program
) -> None:
    """Each region has one share, and the callers that move are more than none."""
    shutil.copytree(applied("bank"), Path(), dirs_exist_ok=True)
    shutil.rmtree("manifests/tests")
    name, before, after = EDITS[edit]
    path = Path("manifests") / name
    text = path.read_text("utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")
    actual = behaviour(cxroute)
    assert [] == list(ranges(actual))
    assert 0 < sum(region["trafficPercent"] for region in actual["regions"])


@pytest.mark.slow
@pytest.mark.parametrize("project", ["bank", "airline", "telecom"])
@pytest.mark.parametrize("seed", range(6))
def test_random_edits_move_known_shares(
    project: str, seed: int, applied: Callable[[str], Path], cxroute: Program
) -> None:
    """One edit, three edits, and one equal edit of a RuleSet: the sample determines every share."""
    shutil.copytree(applied(project), Path(), dirs_exist_ok=True)
    random = Random(f"shares {project} {seed}")
    if seed % 3 == 2:
        edit_rule_set(Path("manifests"), random)
    else:
        edit_rules(Path("manifests"), random, (1, 3)[seed % 3])
    assert [] == list(ranges(behaviour(cxroute)))


def test_a_share_that_the_sample_leaves_open_is_found(
    applied: Callable[[str], Path], cxroute: Program
) -> None:
    """Without the column of the language, the shares of the same plan are ranges."""
    shutil.copytree(applied("bank"), Path(), dirs_exist_ok=True)
    shutil.rmtree("manifests/tests")
    sample = Path("manifests/traffic/bank.csv")
    columns = "intent=intent,confidence=confidence"
    assert 0 == cxroute(
        "traffic", "import", str(sample), "--columns", columns, "--into", "less.csv"
    )
    shutil.move("less.csv", sample)
    name, before, after = EDITS["a raised confidence"]
    path = Path("manifests") / name
    path.write_text(path.read_text("utf-8").replace(before, after, 1), encoding="utf-8")
    assert [] != list(ranges(behaviour(cxroute)))


def test_plans_are_read_as_json() -> None:
    """What counts as a range."""
    plan = json.loads(
        '{"a": [{"trafficPercent": 2, "trafficPercentLeast": 1}, {"share": {"least": 1, "most": 2}}]}'
    )
    assert 2 == len(list(ranges(plan)))
    assert [] == list(ranges({"trafficPercent": 2, "share": {"least": 1, "most": 1}}))
