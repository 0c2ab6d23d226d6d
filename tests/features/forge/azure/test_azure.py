"""What is special in Azure DevOps: votes that stay, sign-in pages, signed downloads, tasks in HTML,
note texts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from reconciler.core.errors import RefusedError, UsageError
from reconciler.features.forge import azure
from reconciler.features.forge.azure import read_run
from reconciler.features.forge.forge import (
    Approvals,
    CommitStatus,
    Forge,
    MergedRequest,
    PlanRun,
    Post,
)
from reconciler.rest.client import RestClient, RestError
from tests.features.forge.azure.fake import FakeAzure, identity
from tests.features.forge.contract import BOT, HEAD, MERGE, FakeFault, FakeRun
from tests.support.plain_http import PLAIN
from tests.support.program import Program

LATER = "c" * 40
PIPELINE_FILE = ".azure-pipelines/routing-plan.yml"


@pytest.fixture
def hub() -> Iterator[FakeAzure]:
    """The repository."""
    created = FakeAzure()
    with created.serving():
        yield created


@contextmanager
def adapter(hub: FakeAzure, run: FakeRun | None = None) -> Iterator[Forge]:
    """Connect to it, in a run of the pull request."""
    variables = hub.variables(run or FakeRun())
    step = read_run(variables)
    token = variables["SYSTEM_ACCESSTOKEN"]
    with httpx.Client(trust_env=False, timeout=10, verify=PLAIN) as http:
        yield azure.AzureDevOps(
            RestClient(dialect=azure.DIALECT, http=http, base=step.api, token=token),
            step,
        )


def approvals(hub: FakeAzure) -> Approvals:
    with adapter(hub) as forge:
        return forge.fetch_approvals(7)


# Votes


def test_an_approval_with_suggestions_counts_and_a_wait_does_not(
    hub: FakeAzure,
) -> None:
    """10 and 5 approve; 0, -5 and -10 do not."""
    for login, vote in {"ada": 10, "bob": 5, "cid": 0, "dora": -5, "emil": -10}.items():
        hub.vote(login, vote)
    assert {"ada", "bob"} == approvals(hub).approvers


def test_the_vote_of_a_group_does_not_count(hub: FakeAzure) -> None:
    """Azure DevOps records a member's vote for the group as well."""
    hub.vote("[acme]\\fraud", 10, isContainer=True)
    hub.vote("ada", 10, votedFor=[identity("[acme]\\fraud")])
    assert {"ada"} == approvals(hub).approvers


def test_a_vote_stays_after_a_push_and_does_not_count(hub: FakeAzure) -> None:
    """It is not of the head; also if only another person's record is younger than the push."""
    hub.approve("ada")
    hub.push(LATER)
    hub.approve("bob")
    assert 10 == hub.pull["reviewers"][0]["vote"]
    assert Approvals(LATER, frozenset({"bob"})) == approvals(hub)


@pytest.mark.parametrize(
    "edit",
    [
        lambda thread: thread["properties"].pop("CodeReviewThreadType"),
        lambda thread: thread["properties"].pop("CodeReviewVotedByIdentity"),
        lambda thread: thread["properties"]["CodeReviewVoteResult"].update(
            {"$value": "5"}
        ),
        lambda thread: thread.update(identities={}),
        lambda thread: thread.update(publishedDate="yesterday"),
        lambda thread: thread.update(publishedDate="2026-11-25T10:00:00"),
        lambda thread: thread.update(publishedDate=None),
    ],
)
def test_a_vote_without_a_readable_record_does_not_count(
    hub: FakeAzure, edit: object
) -> None:
    """Whatever is missing in it."""
    hub.approve("ada")
    assert callable(edit)
    edit(hub.threads[-1])
    assert frozenset() == approvals(hub).approvers


def test_a_record_does_not_count_for_a_reviewer_without_an_id(hub: FakeAzure) -> None:
    """Two unknown accounts are not the same one."""
    hub.approve("ada")
    hub.threads[-1]["identities"] = {"1": {}}
    del hub.pull["reviewers"][0]["id"]
    assert frozenset() == approvals(hub).approvers


def test_the_last_pusher_does_not_count(hub: FakeAzure) -> None:
    """They would approve their own change to the pull request of another author."""
    hub.push(LATER)
    hub.iterations[-1]["author"] = identity("ada")
    hub.approve("ada")
    assert frozenset() == approvals(hub).approvers


def test_a_push_without_a_date_is_an_error(hub: FakeAzure) -> None:
    """Then no vote can be compared with it."""
    hub.approve("ada")
    hub.iterations[-1]["createdDate"] = "soon"
    with pytest.raises(RestError, match="no last push"):
        approvals(hub)


# Requests


@pytest.mark.parametrize("status", [203, 302, 401])
def test_a_sign_in_page_is_an_invalid_token(hub: FakeAzure, status: int) -> None:
    """Azure DevOps sends one in place of 401."""
    hub.sign_in_status = status
    with adapter(hub) as forge:
        hub.tokens.clear()
        with pytest.raises(
            RestError, match="SYSTEM_ACCESSTOKEN is not valid"
        ) as raised:
            forge.list_notes(7)
    assert 401 == raised.value.status


def test_a_plan_is_downloaded_without_the_token(hub: FakeAzure) -> None:
    """From the signed address, on another server; the folder in the archive is optional."""
    for run, with_folder in ((100, True), (101, False)):
        hub.with_folder = with_folder
        hub.store_plan("prod", b"{}", run=run)
        with adapter(hub) as forge:
            assert b"{}" == forge.fetch_plan(run, "prod")
    assert not hub.token_sent_elsewhere


def test_an_address_without_a_signature_is_not_used(hub: FakeAzure) -> None:
    """An answer without signed content is an error; the unsigned address would need the token."""
    hub.store_plan("prod", b"{}")
    hub.blobs = "http://elsewhere.example"
    with (
        adapter(hub) as forge,
        pytest.raises(RestError, match="not an https:// address"),
    ):
        forge.fetch_plan(100, "prod")


def test_the_plan_of_the_last_attempt_is_fetched(hub: FakeAzure) -> None:
    """As a number; the environments `prod` and `prod-1` are not mistaken for each other."""
    hub.build(100, "succeeded")
    for attempt in (2, 10, 9):
        hub.publish(
            100, f"routing-plan-prod-{attempt}", {"plan.json": str(attempt).encode()}
        )
    hub.publish(100, "routing-plan-prod-1-11", {"plan.json": b"other"})
    with adapter(hub) as forge:
        assert b"10" == forge.fetch_plan(100, "prod")
        assert b"other" == forge.fetch_plan(100, "prod-1")
        assert forge.fetch_plan(100, "staging") is None


def test_two_plans_in_an_archive_are_refused(hub: FakeAzure) -> None:
    """One at the top and one in the folder: neither is the reviewed one."""
    hub.build(100, "succeeded")
    hub.with_folder = False
    name = "routing-plan-prod-1"
    hub.publish(100, name, {"plan.json": b"{}", f"{name}/plan.json": b"{}"})
    with adapter(hub) as forge, pytest.raises(RefusedError, match="exactly one"):
        forge.fetch_plan(100, "prod")


def test_only_finished_builds_of_this_head_count(hub: FakeAzure) -> None:
    """On a later page too; a manual build, another pipeline, a cancelled and a running build do
    not.
    """
    hub.page_size = 1
    hub.build(100, "failed", parameters="", triggerInfo={"pr.sourceSha": HEAD})
    hub.build(101, "succeeded", reason="manual")
    hub.build(102, "succeeded", definition={"id": 11})
    hub.build(103, "canceled")
    hub.build(104, None)
    hub.build(105, "succeeded", parameters="[", triggerInfo={"pr.sourceSha": LATER})
    with adapter(hub) as forge:
        assert PlanRun(100, succeeded=False) == forge.find_plan_run(HEAD, PIPELINE_FILE)
        assert forge.find_plan_run(HEAD, "unknown.yml") is None
        hub.build(106, "partiallySucceeded")
        assert PlanRun(106, succeeded=False) == forge.find_plan_run(HEAD, PIPELINE_FILE)


def test_a_merge_into_another_branch_does_not_count(hub: FakeAzure) -> None:
    """Nor one that is not completed; a fork is marked."""
    hub.merge()
    with adapter(hub) as forge:
        tip = forge.fetch_branch_tip()
        assert ("main", MERGE) == tip
        assert MergedRequest(7, HEAD, is_from_fork=False) == forge.find_merged_request(
            MERGE, tip
        )
        hub.move_to_fork()
        actual = forge.find_merged_request(MERGE, tip)
        assert actual is not None
        assert actual.is_from_fork
        for name, value in {
            "targetRefName": "refs/heads/next",
            "status": "abandoned",
        }.items():
            retained = hub.pull[name]
            hub.pull[name] = value
            assert forge.find_merged_request(MERGE, tip) is None
            hub.pull[name] = retained


# Texts


def test_a_note_has_no_html_comment_and_comes_back_unchanged(hub: FakeAzure) -> None:
    """Its markers are definitions of links, which Markdown does not show; alerts are a word."""
    text = '<!-- cxroute:plan env=prod -->\n<!-- cxroute:state {"run":1} -->\n\n> [!CAUTION]\n> **Refused**\n'
    with adapter(hub) as forge:
        forge.write_note(7, text)
        (stored,) = hub.notes()
        assert (
            '[/]: # (cxroute:plan env=prod)\n[/]: # (cxroute:state {"run":1})\n\n> *Caution:*\n> **Re'
            in stored.body
        )
        assert len(text) == len(stored.body)
        login, (post,) = forge.fetch_login(), forge.list_notes(7)
        assert (Post(hub.threads[0]["id"], identity(BOT)["id"], text), login) == (
            post,
            post.author,
        )


def test_replies_and_deleted_threads_are_not_notes(hub: FakeAzure) -> None:
    """Only the first comment of a thread can be a note of cxroute."""
    comment = {"author": identity(BOT), "content": "one", "commentType": "text"}
    hub.add_thread([comment, {**comment, "content": "two"}])
    hub.add_thread([{**comment, "isDeleted": True}])
    hub.approve("ada")
    with adapter(hub) as forge:
        assert ["one"] == [post.body for post in forge.list_notes(7)]


def test_a_note_of_the_longest_characters_fits(hub: FakeAzure) -> None:
    """Azure DevOps counts units of UTF-16."""
    with adapter(hub) as forge:
        forge.write_note(7, "\U0001f600" * forge.max_text)
    assert 1 == len(hub.notes())


def test_a_task_keeps_every_character_and_links_its_remark(hub: FakeAzure) -> None:
    """Its text is HTML: what looks like an element is text."""
    body = "<!-- cxroute:drift env=prod -->\n<b>&amp; `x` <script>"
    with adapter(hub) as forge:
        number = forge.open_drift_issue("Routing differs", body)
        (post,) = forge.list_drift_issues()
        assert Post(number, identity(BOT)["id"], body) == post
        forge.change_drift_issue(
            number, "other", 'seen <now> ([run](https://dev.example/x?a=1&b="))'
        )
        (item,) = hub.items
        assert "<pre>other</pre>" == item["fields"]["System.Description"]
        assert [
            (
                "seen &lt;now&gt; ("
                '<a href="https://dev.example/x?a=1&amp;b=&quot;">run</a>)'
            )
        ] == item["history"]
        forge.change_drift_issue(number, None, "gone")
        assert "Done" == item["fields"]["System.State"]
        assert [] == forge.list_drift_issues()


def test_more_than_one_request_of_tasks_is_read(hub: FakeAzure) -> None:
    """Azure DevOps sends at most 200."""
    with adapter(hub) as forge:
        for number in range(201):
            forge.open_drift_issue("x", str(number))
        assert [str(number) for number in range(201)] == [
            post.body for post in forge.list_drift_issues()
        ]


def test_a_status_is_of_the_push_or_of_the_commit(hub: FakeAzure) -> None:
    """A branch policy can only require that of a pull request; a commit that it does not have is an
    error.
    """
    status = CommitStatus("cxroute/consent (prod)", "success", "fine")
    name = "cxroute/consent (prod)"
    with adapter(hub) as forge:
        forge.set_status(HEAD, status)
        hub.push(LATER)
        assert ("success", "fine") == hub.statuses(HEAD)[name]
        assert {} == hub.statuses(LATER)
        with pytest.raises(RestError, match="not a head of pull request 7"):
            forge.set_status("d" * 40, status)
    with adapter(hub, FakeRun(pull_request=None, sha=MERGE)) as forge:
        forge.set_status(MERGE, status)
    assert ("success", "fine") == hub.statuses(MERGE)[name]


def test_an_earlier_success_does_not_stay_if_the_push_is_unknown(
    hub: FakeAzure,
) -> None:
    """The status of the whole pull request fails, and so does the step."""
    hub.faults.append(FakeFault("iterations", 200, {}, b"null"))
    with adapter(hub) as forge, pytest.raises(RestError, match="not a list"):
        forge.set_status(
            HEAD, CommitStatus("cxroute/consent (prod)", "pending", "fine")
        )
    assert "failure" == hub.statuses(HEAD)["cxroute/consent (prod)"][0]


# The variables of a step


def test_a_run_has_the_head_of_its_pull_request(hub: FakeAzure) -> None:
    """Not the merge commit that it builds."""
    run = read_run(hub.variables(FakeRun(id=41, attempt=3)))
    assert (HEAD, 7, 41, 3, False) == (
        run.sha,
        run.pull_request,
        run.id,
        run.attempt,
        run.is_manual,
    )
    assert "Anna b" == run.actor
    assert re.fullmatch(
        r"\[run\]\(http://127\.0\.0\.1:\d+/acme/[0-9a-f-]{36}/_build/results\?buildId=41\)",
        run.link,
    )
    manual = read_run(
        hub.variables(FakeRun(sha=MERGE, pull_request=None, is_manual=True))
    )
    assert (MERGE, None, True) == (manual.sha, manual.pull_request, manual.is_manual)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BUILD_REPOSITORY_ID", "acme/routing"),  # a repository of GitHub
        ("SYSTEM_TEAMPROJECTID", "../x"),
        ("SYSTEM_COLLECTIONURI", "http://dev.example/acme/"),
        ("SYSTEM_COLLECTIONURI", ""),
        ("SYSTEM_PULLREQUEST_SOURCECOMMITID", ""),
        ("BUILD_BUILDID", "0"),
    ],
)
def test_other_variables_are_refused(hub: FakeAzure, name: str, value: str) -> None:
    """Before the token is sent anywhere."""
    with pytest.raises(UsageError, match=name):
        read_run({**hub.variables(FakeRun()), name: value})


def test_init_names_the_steps_of_the_setup(cxroute: Program) -> None:
    """And writes the pipelines for the environments of the manifests."""
    assert 0 == cxroute("init", "--azure")
    stored = re.findall(r"^wrote (\.azure\S+)$", cxroute.out, re.MULTILINE)
    assert sorted(stored) == [
        str(path) for path in sorted(Path(".azure-pipelines").iterdir())
    ]
    assert (
        "variable group cxone-prod-plan: secrets CXONE_CLIENT_ID and CXONE_CLIENT_SECRET"
        in cxroute.out
    )
    assert "- job: plan_prod\n" in Path(PIPELINE_FILE).read_text(encoding="utf-8")
    assert 0 == cxroute("init", "--azure")
    assert 4 == cxroute.out.count("unchanged .azure-pipelines/")
