"""`cxroute github drift-issue`: one issue for each environment, over a real socket."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from reconciler.features.forge.drift_issue import (
    DriftObservation,
    difference_digest,
    drift_headline,
    update_issues,
)
from reconciler.features.forge.forge import Forge, Post
from tests.features.forge.github.conftest import Stage
from tests.features.forge.github.fake import BOT, FakeGitHub
from tests.features.forge.stage import plan
from tests.support.cases import each_case
from tests.support.threaded_server import HttpReply

BODY = '<!-- cxroute:drift env=prod -->\n<!-- cxroute:state {{"difference":"{}"}} -->\n\ntext\n'
SEEN = DriftObservation(
    environment="prod",
    author=BOT,
    headline="",
    difference="0" * 16,
    text="`cards/a` differs",
    when="2026-11-24 at 10:31 UTC ([run](x))",
)


class Issues:
    """A forge with these issues about drift.

    `writes` are the issues that were opened or changed, and how.
    """

    max_text = 65_536

    def __init__(self, *issues: Post) -> None:
        self.issues = list(issues)
        self.writes: list[tuple[int, str, str | None]] = []

    def list_drift_issues(self) -> list[Post]:
        """Return the issues."""
        return self.issues

    def open_drift_issue(self, title: str, body: str) -> int:
        """Record the new issue."""
        self.writes.append((0, title, body))
        return 1

    def change_drift_issue(self, issue: int, body: str | None, remark: str) -> None:
        """Record the change."""
        self.writes.append((issue, remark, body))

    def update(self, seen: DriftObservation) -> list[str]:
        """Return what was done."""
        return list(update_issues(cast("Forge", self), seen))


def look(stage: Stage, form: dict[str, Any], text: str = "`cards/a` differs") -> int:
    Path("drift.json").write_text(json.dumps(form), encoding="utf-8")
    Path("drift.md").write_text(text, encoding="utf-8")
    stage.on("schedule", 100, pull=None)
    return stage(
        "drift-issue", "-e", "prod", "--plan", "drift.json", "--body", "drift.md"
    )


def test_an_issue_is_opened_edited_closed_and_opened_again(
    hub: FakeGitHub, stage: Stage
) -> None:
    """An issue while there is drift, a comment on a change, none each day; the next drift gets a
    new issue.
    """
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
        assert 0 == look(
            stage,
            plan(planId="ba9876543210", liveDigest="other"),
            "the same, told otherwise",
        )
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
    assert ["closed", "open"] == [issue["state"] for issue in hub.issues]


def test_other_issues_are_not_changed(hub: FakeGitHub, stage: Stage) -> None:
    """A pull request, another environment, another author, a quotation: none of them is edited or
    closed.
    """
    hub.labels.add("cxroute-drift")
    own_side = BODY.format("0" * 16)
    remaining_items = [
        ("anna", own_side),
        (BOT, own_side.replace("prod", "staging")),
        (BOT, f"see\n{own_side}"),
        (BOT, own_side),
    ]
    for number, (author, body) in enumerate(remaining_items, 1):
        created = {
            "number": number,
            "user": {"login": author},
            "state": "open",
            "body": body,
        }
        hub.issues.append({**created, "labels": [{"name": "cxroute-drift"}]})
    hub.issues[-1]["pull_request"] = {}
    assert 0 == look(stage, plan(create=0))
    assert [] == hub.writes
    assert 0 == look(stage, plan())
    assert 5 == len(hub.issues)


def test_an_issue_without_the_label_is_not_managed(
    hub: FakeGitHub, stage: Stage
) -> None:
    """A user removed it from cxroute's control, even if the server lists it."""
    issue = {
        "number": 1,
        "user": {"login": BOT},
        "body": BODY.format("0" * 16),
        "labels": [{"name": "bug"}],
    }
    hub.faults.append(("GET .*issues", HttpReply(200, [issue])))
    assert 0 == look(stage, plan(create=0))
    assert [] == hub.writes


def test_a_refusal_by_github_fails_the_step(hub: FakeGitHub, stage: Stage) -> None:
    """Unreported drift is not ignored."""
    hub.faults.append(("POST .*issues", HttpReply(403, {"message": "no"})))
    assert 1 == look(stage, plan())
    assert (
        "cannot write the issue about drift: HTTP 403 no; the job needs `permissions: issues: "
        "write`" in (stage.cxroute.err)
    )
    assert "`cards/a` differs" in stage.summary


@pytest.mark.parametrize(
    "form", [{}, {"error": {}}, plan("staging"), {"environment": "prod"}]
)
def test_a_failed_check_closes_no_issue(
    hub: FakeGitHub, stage: Stage, form: dict[str, Any]
) -> None:
    """A file that is not a plan of that environment does not prove the absence of drift."""
    assert 64 == look(stage, form)
    assert "does not contain the drift of prod" in stage.cxroute.err
    assert [] == hub.asked


def test_the_difference_is_the_planned_changes() -> None:
    """Their order, and other parts of a plan, do not change it."""
    item = {"action": "create", "address": "a/b", "after": {}}
    two = {"action": "delete", "address": "c/d", "before": {}}
    assert difference_digest({"changes": [item, two]}) == difference_digest(
        {"changes": [{**two, "cause": "drift"}, item], "planId": "x"}
    )
    assert difference_digest({"changes": [item]}) != difference_digest(
        {"changes": [two]}
    )
    assert "" == difference_digest(
        {"changes": [], "findings": [{"severity": "warning", "message": "x"}]}
    )
    assert "" != difference_digest(
        {"changes": [], "findings": [{"severity": "error", "message": "x"}]}
    )


@each_case(
    "behaviour, title",
    [
        (
            {"effects": [{}], "headline": "PIN blocked moves."},
            "prod: PIN blocked moves",
        ),
        ({"effects": [{}], "headline": "x" * 300}, f"prod: {'x' * 191}..."),
        ({"effects": [], "headline": "No conversation goes elsewhere (proven)."}, None),
        ({"effects": [{}], "headline": 7}, None),
        (None, None),
    ],
)
def test_the_title_is_the_headline(behaviour: Any, title: str | None) -> None:
    """If conversations go elsewhere; a long one is cut, because forges refuse it."""
    observed = replace(SEEN, headline=drift_headline({"behaviour": behaviour}))
    forge = Issues()
    assert ["opened issue 1"] == forge.update(observed)
    assert (title or "Routing of prod differs from the manifests") == forge.writes[0][1]


def test_of_several_issues_the_oldest_is_edited_and_all_are_closed() -> None:
    """Two parallel runs may have opened two."""
    issues = [
        Post(9, BOT, BODY.format("1" * 16)),
        Post(4, BOT, BODY.format("0" * 16).replace("\n", "\r\n")),
    ]
    forge = Issues(*issues)
    assert ["did not change the issues: issue 4 is up to date"] == forge.update(SEEN)
    assert ["closed issue 4", "closed issue 9"] == forge.update(
        replace(SEEN, difference="", text="")
    )
    assert [(4, None), (9, None)] == [(issue, body) for issue, _, body in forge.writes]


def test_an_invalid_state_causes_one_edit() -> None:
    """And no new issue."""
    forge = Issues(Post(4, BOT, "<!-- cxroute:drift env=prod -->\nbroken"))
    assert ["edited issue 4"] == forge.update(SEEN)
    assert str(forge.writes[0][2]).startswith(BODY.format("0" * 16).split("\n\n")[0])


def test_a_text_that_is_too_long_for_github_is_left_out() -> None:
    """A part of it would not be valid Markdown."""
    forge = Issues()
    forge.update(replace(SEEN, text="x" * 70_000))
    assert 500 > len(str(forge.writes[0][2]))
