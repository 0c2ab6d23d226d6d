"""`cxroute github outputs` and `comment`, over a real socket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tests.features.forge.github.conftest import Stage, write_report
from tests.features.forge.github.fake import BOT, HEAD, TOKEN, FakeGitHub
from tests.features.forge.stage import plan
from tests.support.threaded_server import HttpReply

APPLIED = {
    "outcomes": [{"address": "cards/r0", "status": "applied"}],
    "converged": True,
}


def applied(form: object = None) -> str:
    Path("applied.json").write_text(json.dumps(form or APPLIED), encoding="utf-8")
    return "applied.json"


def test_first_second_late_and_same(hub: FakeGitHub, stage: Stage) -> None:
    """One comment: written, edited in place, not changed by an older run, and not written without a
    difference.
    """
    report = write_report(plan())
    stage.on("pull_request", 100, sha=HEAD)
    assert 0 == stage("comment", "--report", report)
    assert "wrote a comment on pull request 7\n" == stage.cxroute.out
    (first,) = hub.bodies(7)
    assert first.startswith("<!-- cxroute:plan env=prod -->\n<!-- cxroute:state {")
    assert f'"run":100,"attempt":1,"sha":"{HEAD}","plan":"0123456789ab"' in first
    assert first.endswith(" -->\n**1 to create**\n")

    stage.on("pull_request", 101)
    write_report(plan(create=2), "**2 to create**")
    assert 0 == stage("comment", "--report", report)
    assert "edited the comment on pull request 7\n" == stage.cxroute.out
    (second,) = hub.bodies(7)
    assert "**2 to create**" in second

    writes = list(hub.writes)
    assert 0 == stage("comment", "--report", report)
    assert "it is up to date" in stage.cxroute.out
    stage.on("pull_request", 100, attempt=2)
    assert 0 == stage("comment", "--report", write_report(plan()))
    assert "a newer run wrote it" in stage.cxroute.out
    assert ([second], writes) == (hub.bodies(7), hub.writes)


def test_the_comment_is_found_on_a_later_page_among_others(
    hub: FakeGitHub, stage: Stage
) -> None:
    """Quotations by other authors, and other environments, are ignored."""
    hub.page = 3
    for number in range(10):
        hub.comment(7, f"<!-- cxroute:plan env=prod -->\nno {number}", author="anna")
    hub.comment(7, "<!-- cxroute:plan env=staging -->\nother")
    own_side = hub.comment(7, "<!-- cxroute:plan env=prod -->\nold")
    assert 0 == stage("comment", "--report", write_report(plan()))
    assert "**1 to create**" in own_side["body"]
    assert 12 == len(hub.comments[7])
    assert 4 == hub.asked.count("GET /repos/acme/routing/issues/7/comments")


def test_each_environment_has_a_separate_comment(hub: FakeGitHub, stage: Stage) -> None:
    """A plan with its environment's name is not mistaken for another one's."""
    assert 0 == stage("comment", "--report", write_report(plan()))
    assert 0 == stage(
        "comment", "--report", write_report(plan("staging"), into="out/staging")
    )
    assert ["prod", "staging"] == [
        body.split("env=")[1].split()[0] for body in hub.bodies(7)
    ]


def test_a_user_s_token_edits_that_user_s_comments(
    hub: FakeGitHub, stage: Stage
) -> None:
    """The author is read from GitHub and not guessed."""
    hub.me = "routing-robot"
    for create in (1, 2):
        assert 0 == stage("comment", "--report", write_report(plan(create=create)))
    assert ([], 1) == (hub.bodies(7, BOT), len(hub.bodies(7, "routing-robot")))


def test_an_app_s_token_needs_the_option_author(hub: FakeGitHub, stage: Stage) -> None:
    """GitHub does not tell an app's token its name."""
    own_side = hub.comment(7, "<!-- cxroute:plan env=prod -->\nold", "routing-app[bot]")
    assert 0 == stage(
        "comment", "--report", write_report(plan()), "--author", "routing-app[bot]"
    )
    assert "**1 to create**" in own_side["body"]
    assert "GET /user" not in hub.asked


def test_a_plan_without_changes_only_edits_a_comment(
    hub: FakeGitHub, stage: Stage
) -> None:
    """A plan with a refusal by a guard or with a conflict always gets one, and so does a plan that
    edits a date, or may.
    """
    known: dict[str, Any] = {"later": [{}], "editedDates": []}
    for dates in ({}, known):
        report = write_report(plan(create=0, **dates), "No changes.")
        assert 0 == stage("comment", "--report", report)
        assert [] == hub.writes
    hub.comment(7, "<!-- cxroute:plan env=prod -->\nold")
    assert 0 == stage("comment", "--report", report)
    assert "No changes." in hub.bodies(7)[0]
    reported: tuple[dict[str, Any], ...] = (
        {"guards": [{"ok": False}]},
        {"findings": [{"severity": "error"}]},
        {"later": [{}], "editedDates": [{}]},
        {"later": [{}]},
    )
    for further in reported:
        hub.comments.clear()
        assert 0 == stage(
            "comment", "--report", write_report(plan(create=0, **further), "Refused.")
        )
        assert 1 == len(hub.bodies(7))


@pytest.mark.parametrize("request_", ["GET .*comments", "POST .*comments"])
def test_without_the_permission_the_text_is_in_the_summary(
    hub: FakeGitHub, stage: Stage, request_: str
) -> None:
    """As for a fork's pull request: the check is about the plan, not about the comment."""
    hub.faults.append(
        (
            request_,
            HttpReply(403, {"message": "Resource not accessible by integration"}),
        )
    )
    assert 0 == stage("comment", "--report", write_report(plan()))
    assert "**1 to create**" in stage.summary
    assert "the job needs `permissions: pull-requests: write`" in stage.cxroute.err
    assert [] == hub.bodies(7)


def test_without_a_token_or_a_pull_request_it_is_in_the_summary(stage: Stage) -> None:
    """No request is sent."""
    report = write_report(plan())
    stage.patch.delenv("GITHUB_TOKEN")
    assert 0 == stage("comment", "--report", report)
    assert "GITHUB_TOKEN is not set" in stage.cxroute.err
    assert "**1 to create**" in stage.summary
    stage.on("push", 102, pull=None)
    assert 0 == stage("comment", "-e", "prod", "--applied", applied())
    assert "**Applied** on" in stage.summary


def test_the_outcome_of_a_plan_is_above_it(hub: FakeGitHub, stage: Stage) -> None:
    """Refused, then planned again, then applied; then no run overwrites it."""
    report = write_report(plan())
    stage("comment", "--report", report)
    stage.on("push", 110, pull=None)
    after = ("comment", "-e", "prod", "--pull-request", "7")
    error = {"error": {"message": "deletes 14 of 40", "exitCode": 4}}
    assert 0 == stage(*after, "--applied", applied(error))
    assert "> **Refused** on " in hub.bodies(7)[0]
    assert "> deletes 14 of 40\n" in hub.bodies(7)[0]
    assert "> **Refused** on " in stage.summary
    stage.on("pull_request", 100, attempt=2)
    assert 0 == stage("comment", "--report", report)
    assert "Refused" not in hub.bodies(7)[0]
    stage.on("push", 111, pull=None)
    assert 0 == stage(*after, "--applied", applied())
    assert "> **Applied** on " in hub.bodies(7)[0]
    assert hub.bodies(7)[0].endswith("\n\n**1 to create**\n")
    assert 0 == stage(*after, "--outdated", "main moved on")
    stage.on("pull_request", 100, attempt=3)
    assert 0 == stage("comment", "--report", report)
    assert "> **Applied** on " in hub.bodies(7)[0]


def test_an_outdated_plan_is_marked(hub: FakeGitHub, stage: Stage) -> None:
    """With the reason, above the plan."""
    stage("comment", "--report", write_report(plan()))
    assert 0 == stage("comment", "-e", "prod", "--outdated", "main moved on")
    assert "> **Not applied** on " in hub.bodies(7)[0]
    assert "> main moved on\n" in hub.bodies(7)[0]


def test_a_commit_whose_plan_failed_is_marked(hub: FakeGitHub, stage: Stage) -> None:
    """Otherwise the previous commit's plan would be mistaken for its plan."""
    stage("comment", "--report", write_report(plan()))
    stage.on("pull_request", 101, sha="c" * 40)
    assert 0 == stage("comment", "-e", "prod", "--report", "out/none")
    assert "**No plan for `cccccccc`**" in hub.bodies(7)[0]
    stage.on("pull_request", 100, attempt=2)
    stage("comment", "--report", "out/prod")
    assert "**No plan for `cccccccc`**" in hub.bodies(7)[0]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"planId": "x"}',
        '{"environment": "a\\nb", "planId": "0"}',
        "\udcff",
    ],
)
def test_an_incomplete_report_counts_as_none(
    hub: FakeGitHub, stage: Stage, text: str
) -> None:
    """As if the plan had failed; no part of it is shown."""
    Path(write_report(plan()), "plan.json").write_bytes(os.fsencode(text))
    assert 0 == stage("comment", "-e", "prod", "--report", "out/prod")
    assert 0 == stage("outputs", "--report", "out/prod")
    assert ({}, "") == (stage.outputs, stage.summary)
    (body,) = hub.bodies(7)
    assert "**No plan for `" in body
    assert "planId" not in body


def test_the_step_outputs(stage: Stage) -> None:
    """Counts, whether there are changes, the plan's file and id; and the plan in the summary."""
    assert 0 == stage("outputs", "--report", write_report(plan(create=2)))
    counts = {"create": "2", "update": "0", "adopt": "0", "delete": "0"}
    ends = {"plan-file": "out/prod/plan.json", "plan-id": "0123456789ab"}
    assert {"has-changes": "true", **counts, **ends} == stage.outputs
    assert "**1 to create**\n\n" == stage.summary
    assert 0 == stage("outputs", "--report", write_report(plan(create=0)))
    assert "false" == stage.outputs["has-changes"]


def test_a_summary_fits_into_github_s_limit(stage: Stage) -> None:
    """GitHub would drop a summary over 1 MiB."""
    assert 0 == stage("outputs", "--report", write_report(plan(), "\u2014" * 400_000))
    assert (
        "This is too long for a summary: see the run's artifact.\n\n" == stage.summary
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("comment", "--report", "out", "--outdated"), "specify exactly one of"),
        (("comment", "--outdated"), "-e ENV is required"),
        (
            ("comment", "-e", "prod", "--outdated", "--pull-request", "7/../8"),
            "not a number",
        ),
        (("outputs",), "--report DIR is required"),
        (("reviewed-plan", "-e", "prod"), "--out FILE is required"),
        (("drift-issue", "--plan", "x"), "-e ENV is required"),
        (("nonsense",), "invalid choice"),
    ],
)
def test_invalid_options_are_refused(
    hub: FakeGitHub, stage: Stage, arguments: tuple[str, ...], said: str
) -> None:
    """In one sentence, before any request."""
    assert 64 == stage(*arguments)
    assert said in stage.cxroute.err
    assert [] == hub.asked


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GITHUB_REPOSITORY", "acme/routing/../x"),
        ("GITHUB_RUN_ID", "0"),
        ("GITHUB_RUN_ATTEMPT", "x"),
        ("GITHUB_RUN_ID", "9" * 30),
        ("GITHUB_ACTOR", "anna](http://evil.example)"),
        ("GITHUB_API_URL", "http://evil.example"),
        ("GITHUB_API_URL", "https://a@evil.example"),
        ("GITHUB_API_URL", "https://["),
        ("GITHUB_SERVER_URL", "https://x.example/) [x"),
    ],
)
def test_outside_of_a_workflow_it_is_an_error(
    hub: FakeGitHub, stage: Stage, name: str, value: str
) -> None:
    """Variables in another form than GitHub's are not used; the token is not sent."""
    stage.patch.setenv(name, value)
    assert 64 == stage("comment", "--report", write_report(plan()))
    assert name in stage.cxroute.err
    assert [] == hub.asked


def test_the_ref_names_the_pull_request_if_the_event_does_not(
    hub: FakeGitHub, stage: Stage
) -> None:
    """In GitHub's form: refs/pull/9/merge."""
    stage.on("pull_request", 100, pull=None)
    stage.patch.setenv("GITHUB_REF", "refs/pull/9/merge")
    assert 0 == stage("comment", "--report", write_report(plan()))
    assert 1 == len(hub.bodies(9))


def test_a_token_that_the_server_repeats_is_hidden(
    hub: FakeGitHub, stage: Stage
) -> None:
    """In any response of GitHub, or of a server in its place."""
    echoed: Any = {"message": f"bad token {TOKEN}"}
    hub.faults.append(("GET .*comments", HttpReply(400, echoed)))
    assert 0 == stage("comment", "--report", write_report(plan()))
    assert "bad token [secret]" in stage.cxroute.err


def test_the_token_is_hidden_in_comment_and_summary(
    hub: FakeGitHub, stage: Stage
) -> None:
    """A report of another step contains it: the forge, and the file of the summary, get the
    placeholder.
    """
    report = write_report(plan(), f"**see {TOKEN}**")
    assert 0 == stage("comment", "--report", report)
    (body,) = hub.bodies(7)
    assert TOKEN not in body
    assert "**see [secret]**" in body
    assert 0 == stage("outputs", "--report", report)
    assert "**see [secret]**" in stage.summary
