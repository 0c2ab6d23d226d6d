"""What is special on GitLab: subgroups, quick actions, kinds of merges and pipelines, times of
approvals.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core.errors import UsageError
from reconciler.features.forge.forge import (
    Approvals,
    BranchTip,
    CommitStatus,
    MergedRequest,
    PlanRun,
)
from reconciler.features.forge.gitlab import DIALECT, GitLab, read_run
from reconciler.rest.client import RestClient, RestError
from tests.features.forge.contract import HEAD, MERGE, FakeFault, FakeRun
from tests.features.forge.gitlab.fake import FORK_ID, NUMBER, TOKEN, FakeGitLab
from tests.support.plain_http import PLAIN
from tests.support.program import Program

SQUASH = "c" * 40
LATER = "d" * 40
TIP = BranchTip("main", MERGE)


@pytest.fixture
def hub() -> Iterator[FakeGitLab]:
    """The project."""
    with FakeGitLab().serving() as item:
        yield item


@pytest.fixture
def gitlab(hub: FakeGitLab) -> Iterator[GitLab]:
    """The adapter in a job of the merge request."""
    with httpx.Client(trust_env=False, verify=PLAIN) as http:
        run = read_run(hub.variables(FakeRun()))
        yield GitLab(
            RestClient(dialect=DIALECT, http=http, base=run.api, token=TOKEN), run
        )


def test_a_path_with_subgroups_is_one_part_of_the_address(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """Its slashes are encoded."""
    assert BranchTip("main", HEAD) == gitlab.fetch_branch_tip()
    assert "GET /api/v4/projects/acme%2Fplatform%2Frouting" in hub.asked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CI_PROJECT_PATH", "routing"),
        ("CI_PROJECT_PATH", "acme/a b"),
        ("CI_API_V4_URL", "http://gitlab.example/api/v4"),
    ],
)
def test_variables_of_another_form_are_refused(
    hub: FakeGitLab, name: str, value: str
) -> None:
    """The token is not sent without TLS, except on this machine."""
    with pytest.raises(UsageError, match=name):
        read_run({**hub.variables(FakeRun()), name: value})


def test_a_run_of_merged_results_is_one_of_the_head(hub: FakeGitLab) -> None:
    """The other commit is temporary; a repeated job is a later attempt."""
    variables = hub.variables(FakeRun(sha=MERGE)) | {
        "CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": HEAD
    }
    assert HEAD == read_run(variables).sha
    assert MERGE == read_run(variables | {"CI_MERGE_REQUEST_SOURCE_BRANCH_SHA": ""}).sha
    assert (
        read_run(variables).attempt
        < read_run(hub.variables(FakeRun(attempt=2))).attempt
    )


def test_a_line_that_is_a_quick_action_stays_text(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """GitLab would merge or close; the reader of the notes gets the text that was written."""
    body = "<!-- cxroute:plan env=prod -->\nrule\n/merge\n/close\na/b"
    gitlab.write_note(NUMBER, body)
    gitlab.open_drift_issue("title", body)
    assert "rule\n\\/merge\n\\/close\na/b" in hub.notes()[0].body
    assert "rule\n\\/merge" in hub.issues()[0].body
    assert [body, body] == [
        gitlab.list_notes(NUMBER)[0].body,
        gitlab.list_drift_issues()[0].body,
    ]


def test_the_notes_of_gitlab_itself_are_not_listed(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """They report approvals and pushes."""
    hub.add_note("cxroute-bot", "approved this merge request")["system"] = True
    assert [] == gitlab.list_notes(NUMBER)


@pytest.mark.parametrize("kind", ["merge_commit_sha", "squash_commit_sha", "sha"])
def test_each_kind_of_merge_is_found(
    hub: FakeGitLab, gitlab: GitLab, kind: str
) -> None:
    """A merge commit, a squashed commit, and a fast-forward merge, which has no new commit."""
    hub.merge()
    head = SQUASH if kind == "sha" else HEAD
    hub.requests[NUMBER] |= {"merge_commit_sha": None, "sha": head, kind: SQUASH}
    hub.commits[NUMBER].add(SQUASH)
    assert MergedRequest(
        NUMBER, head, is_from_fork=False
    ) == gitlab.find_merged_request(SQUASH, TIP)
    assert None is gitlab.find_merged_request(HEAD if head != HEAD else MERGE, TIP)


def test_other_merge_requests_of_the_commit_do_not_count(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """Into another branch or project, open, or earlier."""
    hub.merge()
    remaining_items: list[dict[str, Any]] = [
        {"target_branch": "old"},
        {"target_project_id": FORK_ID},
        {"state": "opened"},
    ]
    for number, candidate in enumerate(
        [*remaining_items, {"merged_at": "2026-01-01T00:00:00Z"}], 8
    ):
        hub.open(number, LATER)
        hub.merge(MERGE, number)
        hub.requests[number] |= {"merged_at": "2027-01-01T00:00:00Z", **candidate}
    assert MergedRequest(
        NUMBER, HEAD, is_from_fork=False
    ) == gitlab.find_merged_request(MERGE, TIP)


def test_the_plan_of_a_pipeline_for_merged_results_counts(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """Its commit is a temporary merge of the head."""
    hub.commits[NUMBER].add(LATER)
    hub.add_pipeline(200, LATER)
    hub.pipelines[0]["ref"] = "refs/merge-requests/7/merge"
    hub.add_job(200, "cxroute-plan: [prod]", "success", (MERGE, HEAD))
    assert PlanRun(200, succeeded=True) == gitlab.find_plan_run(HEAD, "cxroute-plan")
    hub.pipelines[0]["ref"] = (
        "refs/merge-requests/7/head"  # a child of the head is another commit
    )
    assert None is gitlab.find_plan_run(HEAD, "cxroute-plan")


def test_only_ended_plan_jobs_of_merge_requests_count(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """Other jobs of the pipeline do not matter, and neither do pipelines of branches or running
    ones.
    """
    hub.store_plan("prod", b"{}")
    hub.add_job(100, "lint", "failed")
    hub.add_pipeline(201, HEAD, source="push")
    hub.add_job(201, "cxroute-plan: [prod]", "failed")
    hub.add_pipeline(202, HEAD)
    hub.add_job(202, "cxroute-plan: [prod]", "running")
    hub.add_pipeline(203, HEAD)
    hub.add_job(203, "lint", "failed")
    assert PlanRun(100, succeeded=True) == gitlab.find_plan_run(HEAD, "cxroute-plan")
    hub.add_job(100, "cxroute-plan: [staging]", "failed")
    assert PlanRun(100, succeeded=False) == gitlab.find_plan_run(HEAD, "cxroute-plan")


@pytest.mark.parametrize(
    "time", [None, "", "yesterday", "2027-01-01T00:00:00", "2026-01-01T00:00:00Z"]
)
def test_an_approval_that_cannot_be_dated_does_not_count(
    hub: FakeGitLab, gitlab: GitLab, time: str | None
) -> None:
    """Versions of GitLab without `approved_at` do not tell which commit was approved."""
    hub.approve("fiona")
    hub.approve("carl")
    hub.approvals[0]["approved_at"] = time
    assert Approvals(HEAD, frozenset({"carl"})) == gitlab.fetch_approvals(NUMBER)


def test_a_version_of_another_commit_is_an_error(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """A push that GitLab is still working on."""
    hub.approve("fiona")
    hub.requests[NUMBER]["sha"] = LATER
    with pytest.raises(RestError, match="no version of the head commit"):
        gitlab.fetch_approvals(NUMBER)


def test_a_name_without_a_slash_is_a_group_or_a_user(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """They share their names; only a missing group is a user, and members who are not active do not
    count.
    """
    hub.set_members("@acme", "fiona")
    assert frozenset({"fiona"}) == gitlab.fetch_members("@acme")
    assert frozenset({"alice"}) == gitlab.fetch_members("@alice")
    hub.faults.append(FakeFault("groups/alice", 403))
    with pytest.raises(RestError, match="make it a token of the group"):
        gitlab.fetch_members("@alice")


@pytest.mark.parametrize("owner", ["alice", "@", "@a b", "@acme/", "@-x", "@../x"])
def test_another_form_of_an_owner_is_an_error(gitlab: GitLab, owner: str) -> None:
    """And no request."""
    with pytest.raises(RestError, match="is not an owner as GitLab names them"):
        gitlab.fetch_members(owner)


def test_a_repeated_pending_status_is_not_an_error(
    hub: FakeGitLab, gitlab: GitLab
) -> None:
    """GitLab refuses it; another refusal with that status code is an error."""
    for _ in range(2):
        gitlab.set_status(HEAD, CommitStatus("cxroute", "pending", "waits"))
    assert {"cxroute": ("pending", "waits")} == hub.statuses(HEAD)
    hub.faults.append(
        FakeFault("statuses", 400, {}, b'{"message": "name is too long"}')
    )
    with pytest.raises(RestError, match="name is too long"):
        gitlab.set_status(HEAD, CommitStatus("cxroute", "pending", "waits"))


def test_the_widget_counts_an_adoption_as_an_update(cxroute: Program) -> None:
    """An incomplete report has no widget."""
    folder = Path("out")
    folder.mkdir()
    summary = {"create": 1, "update": 2, "adopt": 3, "delete": 4}
    form = {"environment": "prod", "planId": "0123456789ab", "summary": summary}
    (folder / "plan.json").write_text(json.dumps(form), encoding="utf-8")
    assert 0 == cxroute("gitlab", "widget", "--report", "out")
    assert not (folder / "tfplan.json").exists()
    (folder / "plan.md").write_text("text", encoding="utf-8")
    assert 0 == cxroute("gitlab", "widget", "--report", "out")
    assert {"create": 1, "update": 5, "delete": 4} == json.loads(
        (folder / "tfplan.json").read_text(encoding="utf-8")
    )


@pytest.mark.slow
def test_init_writes_a_file_to_include_and_keeps_an_own_pipeline(
    cxroute: Program,
) -> None:
    """A file with another pipeline is not changed; each environment of the manifests is planned."""
    Path(".gitlab-ci.yml").write_text("test: {script: [make]}\n", encoding="utf-8")
    assert 0 == cxroute("init", "--gitlab")
    assert "kept .gitlab-ci.yml" in cxroute.out
    assert "add `include: [{local: .gitlab/cxroute.yml}]` to it" in cxroute.out
    file = Path(".gitlab/cxroute.yml")
    environment = Path("manifests/environments/prod.yaml")
    assert 4 == file.read_text(encoding="utf-8").count('ENVIRONMENT: ["prod"]')
    another = (
        environment.read_text(encoding="utf-8")
        .replace("name: prod", "name: emea")
        .replace("owner: ", "owner: e")
    )
    environment.with_name("emea.yaml").write_text(another, encoding="utf-8")
    assert 0 == cxroute("init", "--gitlab")
    assert "rewrote .gitlab/cxroute.yml" in cxroute.out
    assert 4 == file.read_text(encoding="utf-8").count('ENVIRONMENT: ["emea", "prod"]')
    file.write_text(
        file.read_text(encoding="utf-8").replace("15m", "30m"), encoding="utf-8"
    )
    assert 0 == cxroute("init", "--gitlab")
    assert "kept .gitlab/cxroute.yml, which was edited" in cxroute.out
