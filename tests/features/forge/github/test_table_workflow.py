"""The example workflow of tables, step by step: an uploaded table becomes a commit and a pull
request.
"""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.features.forge.github.actions import ACTION
from tests.features.forge.github.runs import Ran, WorkflowEvent
from tests.features.forge.github.scene import RepositoryDriver, rules

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[4] / "deploy/github/routing-table.yml"
CARDS = "manifests/cards.yaml"


def upload(scene: RepositoryDriver, queue: str, name: str = "edits.csv") -> Ran:
    """Upload a table with another queue for `pin` to a new branch, and run the workflow there."""
    scene.settle(rules(pin="Billing", theft="Fraud"))
    example = EXAMPLE.read_text(encoding="utf-8").replace(
        f"OWNER/cxroute@{'0' * 40}", ACTION
    )
    scene.write(".github/workflows/routing-table.yml", example)
    scene.commit("workflow")
    remote = scene.path.parent / "remote.git"
    scene.git("clone", "-q", "--bare", str(scene.path), str(remote))
    scene.git("remote", "add", "origin", str(remote))
    scene.git("checkout", "-q", "-b", "edits")
    code, text = scene.machine.cxroute(scene.path, {}, "-e", "prod", "table")
    assert 0 == code, text
    rows = list(csv.reader(text.splitlines()))
    row = next(row for row in rows if row[0] == "cards/pin")
    row[rows[0].index("Queue")] = queue
    (scene.path / "tables").mkdir()
    with (scene.path / "tables" / name).open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    event = WorkflowEvent("push", scene.commit("upload"), branch="edits")
    return scene.actions.run("routing-table.yml", event)


def test_an_uploaded_table_becomes_a_pull_request(scene: RepositoryDriver) -> None:
    ran = upload(scene, "Fraud")
    assert "success" == ran.result, ran.text
    (pull,) = scene.hub.created_pulls
    assert ("edits", "main") == (pull["head"], pull["base"])
    assert "    ~ cards/pin" in pull["body"]
    assert "Queue: Billing -> Fraud" in pull["body"]
    scene.git("fetch", "-q", "origin", "edits")
    assert (
        scene.git("show", f"FETCH_HEAD:{CARDS}")
        == rules(pin="Fraud", theft="Fraud").strip()
    )
    assert "tables" not in scene.git("ls-tree", "--name-only", "FETCH_HEAD").split()


def test_a_branch_that_has_a_pull_request_gets_the_commit_alone(
    scene: RepositoryDriver,
) -> None:
    scene.hub.created_pulls.append({"head": "edits", "base": "main", "body": ""})
    ran = upload(scene, "Fraud", "$(touch x) table.csv")
    assert "success" == ran.result, ran.text
    assert 1 == len(scene.hub.created_pulls)
    assert not (scene.path / "x").exists()
    scene.git("fetch", "-q", "origin", "edits")
    assert "queue: Fraud}\n  - {intent: theft" in scene.git(
        "show", f"FETCH_HEAD:{CARDS}"
    )


def test_a_refused_cell_fails_the_run_and_nothing_is_pushed(
    scene: RepositoryDriver,
) -> None:
    ran = upload(scene, "Fraude")
    assert "failure" == ran.result
    assert 'is not a queue of this Environment; did you mean "Fraud"?' in ran.text
    assert [] == scene.hub.created_pulls
    assert "edits" not in scene.git("ls-remote", "--heads", "origin")
