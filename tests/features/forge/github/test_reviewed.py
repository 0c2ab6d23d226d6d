"""`cxroute github reviewed-plan`: from a commit to its reviewed plan, over a real socket."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.features.forge.github.conftest import Stage
from tests.features.forge.github.fake import HEAD, MERGE, FakeGitHub, zipped
from tests.features.forge.stage import plan
from tests.support.threaded_server import HttpReply

PLAN = json.dumps(plan())
BY_HAND = "Start the apply workflow manually"


def kept(hub: FakeGitHub, text: str = PLAN, **more: Any) -> int:
    """Store the plan of a merged pull request."""
    hub.merge()
    run = hub.run()
    hub.keep(run, "routing-plan-prod", zipped(plan_json=text, plan_md="x"), **more)
    return run


def fetch(stage: Stage, sha: str = MERGE) -> int:
    stage.on("push", 5000, pull=None, sha=sha)
    return stage("reviewed-plan", "-e", "prod", "--out", "reviewed.json")


def test_the_plan_of_the_pull_requests_head_is_written(
    hub: FakeGitHub, stage: Stage
) -> None:
    """By the commit's pull request, the run of its head, and that run's artifact; only GitHub gets
    the token.
    """
    kept(hub)
    assert 0 == fetch(stage)
    assert PLAN == Path("reviewed.json").read_text("utf-8")
    assert (
        "wrote the reviewed plan of pull request 7: reviewed.json\n"
        == stage.cxroute.out
    )
    assert {"pull-request": "7"} == stage.outputs
    assert not hub.token_sent_elsewhere
    assert [] == hub.writes


def test_the_newest_run_and_artifact_count(hub: FakeGitHub, stage: Stage) -> None:
    """A repeated plan replaces the one before, also for the reviewer."""
    kept(hub, json.dumps(plan(create=5)))
    again = hub.run()
    hub.run(conclusion="cancelled")
    hub.run(conclusion=None)
    hub.keep(again, "routing-plan-prod", zipped(plan_json=json.dumps(plan(create=6))))
    hub.keep(again, "routing-plan-prod", zipped(plan_json=PLAN))
    hub.keep(again, "routing-plan-staging", zipped(plan_json="{}"))
    assert 0 == fetch(stage)
    assert PLAN == Path("reviewed.json").read_text("utf-8")


def main_moved(hub: FakeGitHub) -> None:
    kept(hub)
    hub.tip = "d" * 40


def no_pull(_hub: FakeGitHub) -> None:
    pass


def not_merged(hub: FakeGitHub) -> None:
    kept(hub)
    hub.pulls[MERGE][0]["merged_at"] = None


def merged_as_another_commit(hub: FakeGitHub) -> None:
    kept(hub)
    hub.pulls[MERGE][0]["merge_commit_sha"] = "e" * 40


def merged_elsewhere(hub: FakeGitHub) -> None:
    kept(hub)
    hub.pulls[MERGE][0]["base"]["ref"] = "feature"


def from_a_fork(hub: FakeGitHub) -> None:
    hub.merge(repository="eve/routing")
    hub.keep(
        hub.run(repository="eve/routing"), "routing-plan-prod", zipped(plan_json=PLAN)
    )


def run_of_a_fork(hub: FakeGitHub) -> None:
    hub.merge()
    hub.keep(
        hub.run(repository="eve/routing"), "routing-plan-prod", zipped(plan_json=PLAN)
    )


def run_of_another_workflow(hub: FakeGitHub) -> None:
    kept(hub)
    hub.runs[0]["path"] = ".github/workflows/evil.yml"


def run_of_another_event(hub: FakeGitHub) -> None:
    kept(hub)
    hub.runs[0]["event"] = "push"


def run_failed_since(hub: FakeGitHub) -> None:
    kept(hub)
    hub.run(conclusion="failure")


def run_of_another_head(hub: FakeGitHub) -> None:
    hub.merge(head="f" * 40)
    hub.keep(hub.run(), "routing-plan-prod", zipped(plan_json=PLAN))


def artifact_expired(hub: FakeGitHub) -> None:
    kept(hub, expired=True)


def artifact_of_another_environment(hub: FakeGitHub) -> None:
    kept(hub, json.dumps(plan("staging")))


def artifact_that_undoes_a_run(hub: FakeGitHub) -> None:
    kept(
        hub,
        json.dumps(
            {**plan("prod"), "options": {"undo": "2026-11-24T101600-prod-1a2b"}}
        ),
    )


def artifact_in_utf_16(hub: FakeGitHub) -> None:
    hub.merge()
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("plan.json", PLAN.encode("utf-16"))
    hub.keep(hub.run(), "routing-plan-prod", archive.getvalue())


def artifact_altered(hub: FakeGitHub) -> None:
    kept(hub, digest="sha256:" + "0" * 64)


def artifact_without_a_plan(hub: FakeGitHub) -> None:
    hub.merge()
    hub.keep(hub.run(), "routing-plan-prod", zipped(other_json=PLAN))


def artifact_of_noise(hub: FakeGitHub) -> None:
    hub.merge()
    hub.keep(hub.run(), "routing-plan-prod", b"noise")


REFUSED: dict[Callable[[FakeGitHub], None], str] = {
    main_moved: "commit bbbbbbbb is not the tip of main: the run of dddddddd applies",
    no_pull: f"has no pull request, so its plan was not reviewed. {BY_HAND}",
    not_merged: "has no pull request",
    merged_as_another_commit: "has no pull request",
    merged_elsewhere: "has no pull request",
    from_a_fork: "is from a fork",
    run_of_a_fork: "routing-plan.yml has no run for aaaaaaaa",
    run_of_another_workflow: "has no run for",
    run_of_another_event: "has no run for",
    run_failed_since: "did not succeed in its last run for aaaaaaaa, the head of pull request 7",
    run_of_another_head: "has no run for ffffffff",
    artifact_expired: "the plan for prod of pull request 7 is not stored, or no longer stored",
    artifact_of_another_environment: "the artifact contains no plan for prod",
    artifact_that_undoes_a_run: "the artifact contains an undo, which a pull request cannot request",
    artifact_in_utf_16: "the artifact contains no plan for prod",
    artifact_altered: "does not have the run's digest",
    artifact_without_a_plan: "must contain exactly one plan.json",
    artifact_of_noise: "is not a valid archive",
}


@pytest.mark.fast_cases(6)
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_other_plans_are_refused(
    hub: FakeGitHub, stage: Stage, case: Callable[[FakeGitHub], None]
) -> None:
    """Exit 4, the advice, and the reason for the later steps; no file is written."""
    case(hub)
    assert 4 == fetch(stage)
    assert REFUSED[case] in stage.cxroute.err
    assert REFUSED[case] in stage.outputs["reason"]
    assert not Path("reviewed.json").exists()


def test_a_pull_request_that_github_lists_late_is_found(
    hub: FakeGitHub, stage: Stage
) -> None:
    """A merge starts the run before all of GitHub knows it."""
    kept(hub)
    hub.faults += [("GET .*/pulls", HttpReply(200, []))] * 2
    assert 0 == fetch(stage)
    assert [2.0, 8.0] == stage.slept


def test_an_outdated_commit_still_names_its_pull_request(
    hub: FakeGitHub, stage: Stage
) -> None:
    """For the note in its comment."""
    main_moved(hub)
    assert 4 == fetch(stage)
    assert "7" == stage.outputs["pull-request"]


def test_a_manual_run_uses_its_own_plan(hub: FakeGitHub, stage: Stage) -> None:
    """The approver saw it; a commit that is not the tip is refused here too."""
    stage.on("workflow_dispatch", 600, pull=None, sha=HEAD)
    hub.tip = HEAD
    assert 4 == stage("reviewed-plan", "-e", "prod", "--out", "reviewed.json")
    assert "this run has no plan for prod" in stage.cxroute.err
    hub.keep(600, "routing-plan-prod", zipped(plan_json=PLAN))
    assert 0 == stage("reviewed-plan", "-e", "prod", "--out", "reviewed.json")
    assert PLAN == Path("reviewed.json").read_text("utf-8")
    hub.tip = MERGE
    assert 4 == stage("reviewed-plan", "-e", "prod", "--out", "reviewed.json")


def test_without_a_token_no_request_is_sent(hub: FakeGitHub, stage: Stage) -> None:
    """Exit 64, with the place of the token."""
    stage.patch.delenv("GITHUB_TOKEN")
    assert 64 == fetch(stage)
    assert (
        "GITHUB_TOKEN is not set or not valid. Set it for this step only"
        in stage.cxroute.err
    )
    assert [] == hub.asked
