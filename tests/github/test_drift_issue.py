"""`cxroute github drift-issue`: one issue for each environment, over a real socket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.github.drift_issue import (
    CloseIssue,
    DriftObservation,
    EditIssue,
    Issue,
    OpenIssue,
    SkipIssue,
    decide_issues,
    difference_digest,
)
from tests.github.conftest import Stage, plan
from tests.github.fake import BOT, FakeGitHub, FakeReply

BODY = '<!-- cxroute:drift env=prod -->\n<!-- cxroute:state {{"difference":"{}"}} -->\n\ntext\n'
SEEN = DriftObservation(
    environment="prod",
    author=BOT,
    difference="0" * 16,
    text="`cards/a` differs",
    when="2026-11-24 at 10:31 UTC ([run](x))",
)


def look(stage: Stage, form: dict[str, Any], text: str = "`cards/a` differs") -> int:
    Path("drift.json").write_text(json.dumps(form), encoding="utf-8")
    Path("drift.md").write_text(text, encoding="utf-8")
    stage.on("schedule", 100, pull=None)
    return stage("drift-issue", "-e", "prod", "--plan", "drift.json", "--body", "drift.md")


def test_opened_left_changed_left_closed_and_opened_anew(hub: FakeGitHub, stage: Stage) -> None:
    """An issue while there is drift, a comment when it changes, none a day; the next drift has an issue of its own."""
    assert 0 == look(stage, plan(create=0))
    assert [] == hub.writes
    assert 0 == look(stage, plan())
    assert "opened issue 1\n" == stage.cxroute.out
    (issue,) = hub.issues
    assert ("open", [{"name": "cxroute-drift"}]) == (issue["state"], issue["labels"])
    assert "Routing of prod differs from the manifests" == issue["title"]
    assert "First seen 20" in issue["body"]
    writes = len(hub.writes)
    for _ in range(3):
        assert 0 == look(stage, plan(planId="ba9876543210", liveDigest="other"), "the same, told otherwise")
    assert writes == len(hub.writes)

    assert 0 == look(stage, plan(create=2), "`cards/b` differs too")
    assert "edited issue 1\n" == stage.cxroute.out
    assert "`cards/b` differs too" in issue["body"]
    assert 1 == len(hub.bodies(1))
    assert 0 == look(stage, plan(create=2))
    assert 1 == len(hub.bodies(1))

    assert 0 == look(stage, plan(create=0), "No drift.")
    assert "closed issue 1\n" == stage.cxroute.out
    assert ("closed", "completed") == (issue["state"], issue["state_reason"])
    assert hub.bodies(1)[1].startswith("No drift since 20")
    assert 0 == look(stage, plan(create=0))
    assert 2 == len(hub.bodies(1))
    assert 0 == look(stage, plan())
    assert ["closed", "open"] == [one["state"] for one in hub.issues]


def test_issues_of_others_are_left_alone(hub: FakeGitHub, stage: Stage) -> None:
    """A pull request, another environment, another author, a quotation: none of them is edited or closed."""
    hub.labels.add("cxroute-drift")
    ours = BODY.format("0" * 16)
    others = [("anna", ours), (BOT, ours.replace("prod", "staging")), (BOT, f"see\n{ours}"), (BOT, ours)]
    for number, (author, body) in enumerate(others, 1):
        made = {"number": number, "user": {"login": author}, "state": "open", "body": body}
        hub.issues.append({**made, "labels": [{"name": "cxroute-drift"}]})
    hub.issues[-1]["pull_request"] = {}
    assert 0 == look(stage, plan(create=0))
    assert [] == hub.writes
    assert 0 == look(stage, plan())
    assert 5 == len(hub.issues)


def test_an_issue_that_lost_its_label_is_nobodys(hub: FakeGitHub, stage: Stage) -> None:
    """Somebody took it out of our hands; whatever a server lists."""
    issue = {"number": 1, "user": {"login": BOT}, "body": BODY.format("0" * 16), "labels": [{"name": "bug"}]}
    hub.faults.append(("GET .*issues", FakeReply(200, [issue])))
    assert 0 == look(stage, plan(create=0))
    assert [] == hub.writes


def test_what_github_refuses_fails_the_step(hub: FakeGitHub, stage: Stage) -> None:
    """Drift that nobody is told of is not passed over."""
    hub.faults.append(("POST .*issues", FakeReply(403, {"message": "no"})))
    assert 1 == look(stage, plan())
    assert "cannot write the issue about drift: HTTP 403 no; the job needs `permissions: issues: write`" in (
        stage.cxroute.err
    )
    assert "`cards/a` differs" in stage.summary


@pytest.mark.parametrize("form", [{}, {"error": {}}, plan("staging"), {"environment": "prod"}])
def test_a_look_that_failed_closes_nothing(hub: FakeGitHub, stage: Stage, form: dict[str, Any]) -> None:
    """What is no plan of that environment is no absence of drift."""
    assert 64 == look(stage, form)
    assert "does not contain the drift of prod" in stage.cxroute.err
    assert [] == hub.asked


def test_a_difference_is_what_would_be_done() -> None:
    """Its order, and what else a plan holds, do not make another one."""
    one, two = {"action": "create", "address": "a/b", "after": {}}, {"action": "delete", "address": "c/d", "before": {}}
    assert difference_digest({"changes": [one, two]}) == difference_digest(
        {"changes": [{**two, "cause": "drift"}, one], "planId": "x"}
    )
    assert difference_digest({"changes": [one]}) != difference_digest({"changes": [two]})
    assert "" == difference_digest({"changes": [], "findings": [{"severity": "warning", "message": "x"}]})
    assert "" != difference_digest({"changes": [], "findings": [{"severity": "error", "message": "x"}]})


def test_of_several_issues_the_oldest_is_kept_up_and_all_are_closed() -> None:
    """Two runs at once may have opened two."""
    issues = [Issue(9, BOT, BODY.format("1" * 16)), Issue(4, BOT, BODY.format("0" * 16).replace("\n", "\r\n"))]
    assert [SkipIssue("issue 4 says that already")] == decide_issues(issues, SEEN)
    assert [4, 9] == [
        one.number
        for one in decide_issues(
            issues, DriftObservation(environment="prod", author=BOT, difference="", text="", when="now")
        )
        if isinstance(one, CloseIssue)
    ]


def test_a_state_that_somebody_broke_makes_one_edit() -> None:
    """And no new issue."""
    (found,) = decide_issues([Issue(4, BOT, "<!-- cxroute:drift env=prod -->\nbroken")], SEEN)
    assert isinstance(found, EditIssue)
    assert found.body.startswith(BODY.format("0" * 16).split("\n\n")[0])


def test_a_text_that_github_would_not_take_is_left_out() -> None:
    """Half of it would be no Markdown."""
    (found,) = decide_issues(
        [], DriftObservation(environment="prod", author=BOT, difference="0" * 16, text="x" * 70_000, when="now")
    )
    assert isinstance(found, OpenIssue)
    assert 500 > len(found.body)
