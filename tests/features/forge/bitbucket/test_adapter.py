"""What is special about Bitbucket: hidden lines, signatures, short hashes, approvals by time, plans
in Downloads.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.core.errors import UsageError
from reconciler.features.forge.bitbucket import SELF, read_run, to_bitbucket
from reconciler.features.forge.forge import (
    BranchTip,
    CommitStatus,
    Forge,
    MergedRequest,
    PlanRun,
)
from reconciler.rest.client import RestError
from tests.features.forge.bitbucket.conftest import BitbucketStep, outputs
from tests.features.forge.bitbucket.fake import FakeBitbucket
from tests.features.forge.contract import BOT, HEAD, MERGE, FakeFault, FakeRun
from tests.features.forge.github.conftest import write_report
from tests.features.forge.stage import plan

OTHER = HEAD[:12] + "c" * 28  # another commit with the same first digits
TIP = BranchTip("main", MERGE)


def test_a_note_has_hidden_lines_and_no_html(stage: BitbucketStep) -> None:
    """Bitbucket shows comments of HTML as text, and hides link definitions that nothing uses."""
    text = (
        "> [!CAUTION]\n> It is `<br>`.\n\n<details><summary>More</summary>\n\na<br>b \\< "
        "c\n</details>\n\n<sub>x</sub>"
    )
    write_report(plan(), text)
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    (note,) = stage.hub.notes()
    lines = note.body.splitlines()
    assert "[//]: # (cxroute:plan env=prod)" == lines[0]
    assert lines[1].startswith("[//]: # (cxroute:key ")
    assert lines[2].startswith('[//]: # (cxroute:state {"run":100,"attempt":1,')
    printed = "\n".join(lines[3:])
    assert "> **Caution**\n>\n> It is `<br>`.\n\n**More** \n\na; b < c" in printed
    assert "<" not in printed.replace("`<br>`", "").replace("b < c", "")


def test_code_keeps_its_tags_in_a_note() -> None:
    """Names are code, which Bitbucket shows as it is."""
    assert "``a ` <br>`` b; c\n```\n<details>\n```\n" == to_bitbucket(
        "``a ` <br>`` b<br>c\n```\n<details>\n```\n"
    )


def test_a_copied_note_is_not_edited(stage: BitbucketStep) -> None:
    """A signature that is copied from the note, or is of another token, does not make a note our
    own.
    """
    stage.hub.add_note(
        "eve", "<!-- cxroute:plan env=prod -->\n[//]: # (cxroute:key 0)\nmine"
    )
    write_report(plan())
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    stage.hub.add_note("eve", stage.hub.notes()[1].body)
    write_report(plan(create=2), "**2 to create**")
    stage.on(FakeRun(id=101))
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    assert "edited the comment on pull request 7" in stage.cxroute.out
    assert [("eve", 0), (BOT, 1), ("eve", 0)] == [
        (note.author, note.body.count("2 to")) for note in stage.hub.notes()
    ]


def test_a_note_survives_its_conversion(forge: Forge) -> None:
    """The markers come back as they were written, also in a note that was read and written
    again.
    """
    body = '<!-- cxroute:plan env=prod -->\n<!-- cxroute:state {"run":1} -->\n<!-- cxroute:head -->\n> x\n'
    forge.write_note(7, body)
    (note,) = forge.list_notes(7)
    assert (SELF, body) == (note.author, note.body)
    forge.write_note(7, note.body, note.id)
    assert body == forge.list_notes(7)[0].body


def test_a_deleted_note_is_written_again(stage: BitbucketStep) -> None:
    """A deleted comment stays in the list, and cannot be edited."""
    write_report(plan())
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    stage.hub.comments[7][0]["deleted"] = True
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    assert 2 == len(stage.hub.notes())


def test_a_note_never_exceeds_the_limit(stage: BitbucketStep) -> None:
    """Markdown grows when it is converted."""
    write_report(plan(), "\n".join(["> [!NOTE]", "> x<br>y", ""] * 3000))
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    assert 31_000 < len(stage.hub.notes()[0].body) <= 32_768


def test_variables_are_checked() -> None:
    """Outside of a pipeline, and for an API without https."""
    declared = {
        "BITBUCKET_REPO_FULL_NAME": "a/b",
        "BITBUCKET_BUILD_NUMBER": "1",
        "BITBUCKET_COMMIT": HEAD,
    }
    assert (None, 1, False) == (
        read_run(declared).pull_request,
        read_run(declared).attempt,
        read_run(declared).is_manual,
    )
    for change in (
        {"BITBUCKET_BUILD_NUMBER": "x"},
        {"BITBUCKET_REPO_FULL_NAME": "a/b/c"},
        {"BITBUCKET_COMMIT": "?"},
    ):
        with pytest.raises(
            UsageError, match="run this in a step of a Bitbucket pipeline"
        ):
            read_run(declared | change)
    with pytest.raises(UsageError, match="the token is not sent there"):
        read_run(declared | {"CXROUTE_BITBUCKET_API": "http://api.example"})


def test_the_merged_request_is_found_by_its_full_hash(
    hub: FakeBitbucket, forge: Forge
) -> None:
    """The list has 12 digits; a pull request of another branch and an older one do not count."""
    assert forge.find_merged_request(MERGE, TIP) is None
    hub.merge(number=5, branch="release")
    hub.merge(number=7)
    hub.merge("d" * 40, number=8)
    hub.page_size = 1
    assert MergedRequest(7, HEAD, is_from_fork=False) == forge.find_merged_request(
        MERGE, TIP
    )
    hub.merged.clear()
    hub.merge(number=9, repository=None)
    merged = forge.find_merged_request(MERGE, TIP)
    assert merged is not None
    assert merged.is_from_fork


def test_a_push_without_a_pull_request_reads_few_pages(
    hub: FakeBitbucket, forge: Forge
) -> None:
    """Pull requests that were updated before the commit was made cannot be its source."""
    hub.page_size = 1
    for number in range(30):
        hub.merge("d" * 40, number=number + 10)
    hub.commits["e" * 40] = hub.clock
    assert forge.find_merged_request("e" * 40, TIP) is None
    assert 2 >= sum(item.endswith("/pullrequests") for item in hub.asked)


def test_two_commits_with_one_short_hash_are_an_error(
    hub: FakeBitbucket, forge: Forge
) -> None:
    """An author can make such a pair: approvals and plans of one must not count for the other."""
    hub.push(OTHER)
    hub.approve("bert")
    with pytest.raises(RestError):
        forge.fetch_approvals(7)


def test_approvals_are_of_the_last_update(hub: FakeBitbucket, forge: Forge) -> None:
    """Not before a push, not withdrawn, not by the author; an approval after the push counts."""
    for login in ("bert", "Carl", "dora", "anna"):
        hub.approve(login)
    hub.request_changes("dora")
    assert {"bert", "carl"} == forge.fetch_approvals(7).approvers
    hub.unapprove("bert")
    assert {"carl"} == forge.fetch_approvals(7).approvers
    hub.push("c" * 40)
    assert ("c" * 40, frozenset()) == forge.fetch_approvals(7)
    hub.approve("carl")
    hub.page_size = 1
    assert {"carl"} == forge.fetch_approvals(7).approvers


@pytest.mark.parametrize("fault", ["no updates", "no date", "another head"])
def test_an_unreadable_activity_is_an_error(
    hub: FakeBitbucket, forge: Forge, fault: str
) -> None:
    """What cannot be proved does not count."""
    hub.approve("bert")
    update = hub.activity[-1]["update"]
    if fault == "no updates":
        hub.activity.pop()
    elif fault == "no date":
        update["date"] = "yesterday"
    else:
        update["source"]["commit"]["hash"] = "d" * 12
    with pytest.raises(RestError):
        forge.fetch_approvals(7)


def test_owners_are_uuids(forge: Forge) -> None:
    """Nicknames are not unique, and no API shows the members of a group."""
    assert {"5a50dd52-5ab7-4225-831c-4db9451375a2"} == forge.fetch_members(
        "@5A50DD52-5ab7-4225-831c-4db9451375a2"
    )
    with pytest.raises(RestError, match="does not show the members of a group"):
        forge.fetch_members("@acme/fraud")


def test_a_status_has_an_address_and_a_short_key(
    hub: FakeBitbucket, forge: Forge
) -> None:
    """Bitbucket refuses a status without an address, and a key of more than 40 characters."""
    for name in ("cxroute/consent (prod)", f"cxroute/consent ({'e' * 60})"):
        forge.set_status(HEAD, CommitStatus(name, "pending", "waits"))
        forge.set_status(HEAD, CommitStatus(name, "failure", "missing"))
        assert ("failure", "missing") == hub.statuses(HEAD)[name]
    assert 2 == len(hub.statuses(HEAD))
    urls = {statuse["url"] for statuse in hub.set_statuses[HEAD].values()}
    assert {"https://bitbucket.org/acme/routing/pipelines/results/100"} == urls


def test_the_newest_finished_pipeline_counts(hub: FakeBitbucket, forge: Forge) -> None:
    """Not a stopped one, and not one of a branch."""
    assert forge.find_plan_run(HEAD, "x") is None
    hub.ran(11, "SUCCESSFUL")
    hub.ran(10, "FAILED")
    hub.ran(12, "STOPPED")
    hub.ran(13, "FAILED", kind="pipeline_ref_target")
    assert PlanRun(11, succeeded=True) == forge.find_plan_run(HEAD, "x")


def test_the_reviewed_plan_is_written(stage: BitbucketStep) -> None:
    """The plan comes from the repository's downloads, without the token on the way."""
    text = json.dumps(plan())
    stage.hub.store_plan("prod", text.encode())
    stage.hub.merge()
    stage.merged()
    assert 0 == stage("reviewed-plan", "-e", "prod", "--out", "plan.json")
    assert (text, {"pull-request": "7"}) == (
        Path("plan.json").read_text(encoding="utf-8"),
        outputs(),
    )
    assert not stage.hub.token_sent_elsewhere
    stage.hub.downloads.clear()
    assert 4 == stage("reviewed-plan", "-e", "prod", "--out", "plan.json")
    assert "is not stored, or no longer stored" in outputs()["reason"]


def test_a_manual_run_uses_its_own_plan(stage: BitbucketStep) -> None:
    """The plan of a run has the run's number in its name."""
    stage.hub.downloads["cxroute-plan-prod-200.json"] = json.dumps(plan()).encode()
    stage.merged(is_manual=True)
    assert 0 == stage("reviewed-plan", "-e", "prod", "--out", "plan.json")
    stage.merged(run=201, is_manual=True)
    assert 4 == stage("reviewed-plan", "-e", "prod", "--out", "plan.json")


@pytest.mark.parametrize(
    ("permissions", "text"),
    [
        ((), "Pull requests: Write"),
        (("notes",), "Repositories: Read"),
        (("notes", "code"), "Pipelines: Read"),
    ],
)
def test_a_missing_permission_is_named(
    stage: BitbucketStep, permissions: tuple[str, ...], text: str
) -> None:
    """A refusal names the permission as the page of access tokens does."""
    stage.hub.store_plan("prod", json.dumps(plan()).encode())
    stage.hub.merge()
    stage.merged()
    stage.patch.setenv("CXROUTE_BITBUCKET_TOKEN", stage.hub.token(*permissions))  # type: ignore[arg-type]
    if permissions:
        assert 1 == stage("reviewed-plan", "-e", "prod", "--out", "plan.json")
    else:
        write_report(plan())
        assert 0 == stage(
            "note", "-e", "prod", "--report", "out/prod", "--pull-request", "7"
        )
    assert f"the access token needs the permission `{text}`" in stage.cxroute.err


def test_a_note_that_cannot_be_written_does_not_fail_the_step(
    stage: BitbucketStep,
) -> None:
    """The message has Bitbucket's own text."""
    write_report(plan())
    body = b'{"type": "error", "error": {"message": "Down for now"}}'
    stage.hub.faults += [FakeFault("GET .*/comments", 404, body=body)]
    assert 0 == stage("note", "-e", "prod", "--report", "out/prod")
    assert "Down for now" in stage.cxroute.err
    assert "summary" not in stage.cxroute.err
    assert [] == stage.hub.notes()


def test_drift_has_no_task(stage: BitbucketStep, forge: Forge) -> None:
    """Bitbucket has no issues: the adapter says so, and the command does not offer them."""
    with pytest.raises(RestError, match="Bitbucket has no issues"):
        forge.list_drift_issues()
    assert 64 == stage("drift-issue", "-e", "prod", "--plan", "p", "--body", "b")
