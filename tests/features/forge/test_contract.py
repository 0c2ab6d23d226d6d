"""The contract of every forge adapter: the real commands, against each fake forge, over a real
socket.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest

from reconciler.cli.main import main
from reconciler.features.forge.command import FORGES
from reconciler.features.forge.forge import Approvals, CommitStatus
from reconciler.rest.client import RestError
from tests.features.forge.contract import (
    BOT,
    HEAD,
    MERGE,
    OWNER_OF_REQUEST,
    FakeFault,
    FakeForge,
    FakeRun,
)
from tests.features.forge.stage import ForgeStage, offering, plan
from tests.support.hostile_names import HOSTILE_NAMES, MARKDOWN_NAMES
from tests.support.parsed_html import Page, parse_as_github
from tests.support.plan_formats import as_markdown
from tests.support.plans import hostile_plan

HOME: Final = Path(__file__).parent
LATER: Final = "c" * 40
ENVIRONMENT_LINE: Final = "<!-- cxroute:plan env=prod -->"
CUT: Final = {"Content-Length": "1000"}
WRITES: Final = "^(POST|PUT|PATCH) "
NAMES: Final = {
    name: text
    for name, text in (HOSTILE_NAMES | MARKDOWN_NAMES).items()
    if text.strip()
}
MENTION: Final = re.compile(r"@\w")
ELEMENTS: Final = {
    *(
        "h3",
        "h4",
        "p",
        "strong",
        "em",
        "code",
        "pre",
        "blockquote",
        "ul",
        "ol",
        "li",
        "a",
        "hr",
    ),
    *("table", "thead", "tbody", "tr", "th", "td", "br", "details", "summary", "sub"),
}


# Notes


def test_the_first_note_is_written_and_then_updated_in_place(stage: ForgeStage) -> None:
    """One note in all; an equal plan writes nothing."""
    assert 0 == stage.note()
    (first,) = stage.forge.notes()
    assert BOT == first.author
    assert "1 to create" in first.body
    stage.enter(FakeRun(id=101))
    assert 0 == stage.note("**2 to create**")
    (second,) = stage.forge.notes()
    assert "2 to create" in second.body
    assert "1 to create" not in second.body
    requested = len([item for item in stage.forge.asked if re.match(WRITES, item)])
    assert 0 == stage.note("**2 to create**")
    assert requested == len(
        [item for item in stage.forge.asked if re.match(WRITES, item)]
    )
    assert "it is up to date" in stage.cxroute.out


def test_an_older_run_does_not_overwrite_a_newer_one(stage: ForgeStage) -> None:
    """Neither an older run nor an older attempt."""
    stage.enter(FakeRun(id=101, attempt=2))
    assert 0 == stage.note("**newer**")
    newer = stage.forge.notes()
    for run in (FakeRun(id=100, attempt=9), FakeRun(id=101, attempt=1)):
        stage.enter(run)
        assert 0 == stage.note("**older**")
        assert "a newer run wrote it" in stage.cxroute.out
    assert newer == stage.forge.notes()


def test_an_applied_plan_is_reported_above_it_and_stays(stage: ForgeStage) -> None:
    """The outcome is on top; a late plan does not remove it."""
    assert 0 == stage.note()
    Path("applied.json").write_text(
        json.dumps(
            {
                "outcomes": [{"address": "cards/r0", "status": "applied"}],
                "converged": True,
            }
        ),
        encoding="utf-8",
    )
    assert 0 == stage.run(
        stage.note_task,
        "-e",
        "prod",
        "--applied",
        "applied.json",
        "--pull-request",
        "7",
    )
    (note,) = stage.forge.notes()
    assert note.body.index("Applied") < note.body.index("1 to create")
    stage.enter(FakeRun(id=102))
    assert 0 == stage.note("**late**")
    assert [note] == stage.forge.notes()


def test_a_copy_by_another_author_is_not_edited(stage: ForgeStage) -> None:
    """Before our note or after it."""
    assert 0 == stage.note()
    (own_side,) = stage.forge.notes()
    stage.forge.add_note("eve", own_side.body)
    stage.enter(FakeRun(id=101))
    assert 0 == stage.note("**2 to create**")
    edited, copy = stage.forge.notes()
    assert ("eve", own_side.body) == copy
    assert "2 to create" in edited.body


def test_a_copy_by_another_author_is_not_taken_for_our_note(stage: ForgeStage) -> None:
    """A copy that was there first: our note is a separate one."""
    stage.forge.add_note("eve", f"{ENVIRONMENT_LINE}\nmine")
    assert 0 == stage.note()
    assert ["eve", BOT] == [note.author for note in stage.forge.notes()]


def test_our_note_is_found_on_a_later_page(stage: ForgeStage) -> None:
    """Among other notes, in pages of two."""
    stage.forge.page_size = 2
    for number in range(5):
        stage.forge.add_note("eve", f"before {number}")
    assert 0 == stage.note()
    for number in range(3):
        stage.forge.add_note("eve", f"after {number}")
    stage.enter(FakeRun(id=101))
    assert 0 == stage.note("**2 to create**")
    notes = stage.forge.notes()
    assert 9 == len(notes)
    assert ["2 to create" in note.body for note in notes] == [False] * 5 + [True] + [
        False
    ] * 3


def test_each_environment_has_a_note(stage: ForgeStage) -> None:
    """The note of one is not mistaken for that of another."""
    for environment in ("prod", "staging", "prod", "staging"):
        assert 0 == stage.note(f"**plan of {environment}**", environment)
    bodies = [note.body for note in stage.forge.notes()]
    assert 2 == len(bodies)
    assert "plan of prod" in bodies[0]
    assert "plan of staging" in bodies[1]


def test_a_note_fits_into_the_limit_of_the_forge(stage: ForgeStage) -> None:
    """A longer one is cut, and still updated in place."""
    with stage.adapter() as forge:
        limit = forge.max_text
    assert 0 == stage.note("word " * (limit // 5 + 100))
    (note,) = stage.forge.notes()
    assert limit // 2 < len(note.body) <= limit
    stage.enter(FakeRun(id=101))
    assert 0 == stage.note("> [!NOTE]\n> line\n\n" + "- | <x> `y`\n" * (limit // 12))
    (note,) = stage.forge.notes()
    assert "word" not in note.body
    assert len(note.body) <= limit


@cache
def hostile_markdown(name: str) -> str:
    return as_markdown(hostile_plan(NAMES[name]))


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("name", NAMES)
def test_hostile_names_stay_text(stage: ForgeStage, name: str) -> None:
    """No element, link, mention or marker comes from a name; the note is found again."""
    assert 0 == stage.note(hostile_markdown(name))
    (note,) = stage.forge.notes()
    page = parse_as_github(note.body)
    assert set() == {tag for tag, _ in page.tags} - ELEMENTS
    assert [] == [
        text for text in page.texts_outside("code", "pre") if MENTION.search(text)
    ]
    assert foreign_links(parse_as_github(hostile_markdown("end"))) == foreign_links(
        page
    )
    stage.enter(FakeRun(id=101))
    assert 0 == stage.note("**later**")
    assert ["later" in note.body for note in stage.forge.notes()] == [True]


def foreign_links(page: Page) -> set[str]:
    """Return the hosts and schemes of the links."""
    return {str(link["href"]).split("/acme", 1)[0] for link in page.all("a")}


# Commits without a plan


def fail_plan(text: str, *words: str) -> str:
    """Write a broken manifest and plan it; return the folder of the report."""
    path = Path("manifests/cards.yaml")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    assert 0 != main(["-e", "prod", "plan", "--report", "out/prod", *words])
    return "out/prod"


BROKEN = """\
apiVersion: routing/v1
kind: RuleSet
name: cards
rules:
  - {intent: a, queu: Cards}
  - {intent: b, queue: Cards, priority: high}
  - {intent: c, queue: Cards, wight: 2}
  - {intent: "<img src=x>", queue: Cards, "@eve": 1}
"""


def test_a_broken_first_push_has_a_note_with_its_errors(stage: ForgeStage) -> None:
    """The first three, each with its file and line; the next broken push replaces them, and a plan
    replaces all.
    """
    assert 0 == stage.run(stage.note_task, "-e", "prod", "--report", fail_plan(BROKEN))
    (note,) = stage.forge.notes()
    assert BOT == note.author
    assert 1 == note.body.count("**No plan for `")
    assert "the manifests have " in note.body
    for line in (5, 6):
        assert f"`manifests/cards.yaml:{line}`" in note.body
    assert "`manifests/cards.yaml:8`" not in note.body
    assert "more, which the log of the run lists" in note.body
    assert "earlier commit" not in note.body

    stage.enter(FakeRun(id=101))
    one_error = BROKEN.replace("queu:", "queue:").split("  - {intent: c")[0]
    assert 0 == stage.run(
        stage.note_task, "-e", "prod", "--report", fail_plan(one_error)
    )
    (note,) = stage.forge.notes()
    assert 1 == note.body.count("**No plan for `")
    assert "the manifests have 1 error (" in note.body
    assert "cards.yaml:5" not in note.body

    stage.enter(FakeRun(id=102))
    Path("out/prod/error.json").unlink()
    assert 0 == stage.note("**2 to create**")
    (note,) = stage.forge.notes()
    assert "No plan for" not in note.body
    assert "2 to create" in note.body


def test_a_later_broken_push_is_reported_above_the_earlier_plan(
    stage: ForgeStage,
) -> None:
    """In whole sentences; the plan of the earlier commit stays, and is named as such."""
    assert 0 == stage.note("**1 to create**")
    stage.enter(FakeRun(id=101))
    assert 0 == stage.run(stage.note_task, "-e", "prod", "--report", fail_plan(BROKEN))
    (note,) = stage.forge.notes()
    places = [
        note.body.index(text)
        for text in ("No plan for", "cards.yaml:5", "earlier commit", "1 to create")
    ]
    assert sorted(places) == places
    assert ". on 2" not in note.body


def test_another_failure_of_a_plan_is_named(stage: ForgeStage) -> None:
    """Its message as text; and without a report the note says where to look."""
    good = BROKEN.split("  - {intent: a", maxsplit=1)[0].replace("rules:", "rules: []")
    folder = fail_plan(
        f"{good}---\napiVersion: routing/v1\nkind: Environment\nname: prod\nowner: acme\ntenant: "
        f"acme\n"
    )
    assert 0 == stage.run(stage.note_task, "-e", "prod", "--report", folder)
    (note,) = stage.forge.notes()
    assert "it failed with this error" in note.body
    assert "CXONE" in note.body
    stage.enter(FakeRun(id=101))
    Path("out/prod/error.json").unlink()
    assert 0 == stage.run(stage.note_task, "-e", "prod", "--report", folder)
    (note,) = stage.forge.notes()
    assert "the log of the run shows why" in note.body


def test_errors_with_hostile_names_stay_text(stage: ForgeStage) -> None:
    """No element, link or mention comes from a manifest."""
    folder = Path("out/prod")
    folder.mkdir(parents=True)
    hostile = "@eve [x](https://evil.example) <img src=x> <!-- cxroute:head ends -->\n\n# `title`"
    finding = {
        "severity": "error",
        "message": hostile,
        "source": {"file": f"a`{hostile}.yaml", "line": 3},
    }
    for error in (
        {"message": "2 errors", "findings": [finding, {**finding, "source": None}]},
        {"message": hostile},
    ):
        (folder / "error.json").write_text(
            json.dumps({"error": error}), encoding="utf-8"
        )
        assert 0 == stage.run(stage.note_task, "-e", "prod", "--report", str(folder))
        (note,) = stage.forge.notes()
        page = parse_as_github(note.body)
        assert set() == {tag for tag, _ in page.tags} - ELEMENTS
        assert [] == [
            text for text in page.texts_outside("code", "pre") if "@eve" in text
        ]
        assert not any("evil" in link for link in foreign_links(page))


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize(
    "text",
    [
        "[]",
        "{}",
        '{"error": 1}',
        '{"error": {"message": " "}}',
        '{"error": {"message": "x", "findings": [1, {}]}}',
    ],
)
def test_a_note_is_written_for_an_unreadable_failure(
    stage: ForgeStage, text: str
) -> None:
    """Without its reason."""
    folder = Path("out/prod")
    folder.mkdir(parents=True)
    (folder / "error.json").write_text(text, encoding="utf-8")
    assert 0 == stage.run(stage.note_task, "-e", "prod", "--report", str(folder))
    assert "**No plan for `" in stage.forge.notes()[0].body


# Faults


def test_an_invalid_token_is_named(stage: ForgeStage) -> None:
    """By its variable, and never by its value; the plan's step does not fail for its note."""
    stage.patch.setenv(stage.forge.token_variable, "unknown-token-0123456789")
    assert 0 == stage.note()
    assert stage.forge.token_variable in stage.cxroute.err
    assert [] == stage.forge.notes()


def test_a_missing_permission_is_named(stage: ForgeStage) -> None:
    """In the forge's own words."""
    stage.grant("code")
    assert 0 == stage.note()
    assert stage.says_permission(), stage.cxroute.err
    assert [] == stage.forge.notes()


@offering("issues")
def test_a_missing_permission_for_issues_fails_the_step(stage: ForgeStage) -> None:
    """Unreported drift is not ignored."""
    stage.grant("code")
    assert 1 == observe(stage, plan())
    assert stage.says_permission(), stage.cxroute.err
    assert [] == stage.forge.issues()


def test_a_conflict_is_reported(stage: ForgeStage) -> None:
    """With its status."""
    stage.forge.faults.append(FakeFault(WRITES, 409))
    assert 0 == stage.note()
    assert "HTTP 409" in stage.cxroute.err
    assert [] == stage.forge.notes()


def test_a_short_wait_is_waited(stage: ForgeStage) -> None:
    """As the forge asks, before a read and before a write."""
    stage.forge.faults.append(FakeFault("^GET ", 429, {"Retry-After": "3"}))
    stage.forge.faults.append(FakeFault(WRITES, 429, {"Retry-After": "5"}))
    assert 0 == stage.note()
    assert [3.0, 5.0] == stage.slept
    assert 1 == len(stage.forge.notes())


def test_a_long_wait_is_refused(stage: ForgeStage) -> None:
    """A step does not sleep for an hour."""
    stage.forge.faults.append(FakeFault("^GET ", 429, {"Retry-After": "3600"}))
    assert 0 == stage.note()
    assert "longer wait than a step may take" in stage.cxroute.err
    assert ([], []) == (stage.slept, stage.forge.notes())


@pytest.mark.parametrize(
    "fault",
    [FakeFault("^GET ", 500), FakeFault("^GET ", 200, CUT, b"[")],
    ids=["500", "cut"],
)
def test_a_failed_read_is_repeated_to_a_limit(
    stage: ForgeStage, fault: FakeFault
) -> None:
    """One fault is invisible; four end the task, and nothing is written."""
    stage.forge.faults.append(fault)
    assert 0 == stage.note()
    assert 1 == len(stage.forge.notes())
    stage.enter(FakeRun(id=101))
    for _ in range(4):
        stage.forge.faults.append(fault)
    assert 0 == stage.note("**2 to create**")
    assert "cannot " in stage.cxroute.err
    assert "2 to create" not in stage.forge.notes()[0].body


@pytest.mark.parametrize(
    "body",
    [b"<html>sign in</html>", b"[" * 100_000, b'"text"'],
    ids=["html", "deep", "text"],
)
def test_an_unreadable_response_writes_nothing(stage: ForgeStage, body: bytes) -> None:
    """Without the notes, a first note could be a second one."""
    stage.forge.faults.append(FakeFault("^GET ", 200, {}, body))
    assert 0 == stage.note()
    assert "cannot " in stage.cxroute.err
    assert [] == stage.forge.notes()


@pytest.mark.parametrize(
    "fault",
    [
        FakeFault("^POST ", 500),
        FakeFault("^POST ", 502),
        FakeFault("^POST ", 201, CUT, b"{"),
    ],
)
def test_a_note_with_an_unknown_outcome_is_not_repeated(
    stage: ForgeStage, fault: FakeFault
) -> None:
    """It may exist; a second one would stay."""
    stage.forge.faults.append(fault)
    assert 0 == stage.note()
    assert 1 == len([item for item in stage.forge.asked if item.startswith("POST ")])
    assert "cannot " in stage.cxroute.err


def test_a_token_that_the_forge_repeats_is_hidden(stage: ForgeStage) -> None:
    """In an error's message."""
    token = os.environ[stage.forge.token_variable]
    body = json.dumps(
        {"message": f"no {token}", "error": {"message": f"no {token}"}}
    ).encode()
    stage.forge.faults.append(FakeFault("^GET ", 400, {}, body))
    assert 0 == stage.note()
    assert "[secret]" in stage.cxroute.err


# The reviewed plan


def fetch(stage: ForgeStage, sha: str = MERGE) -> int:
    """Run the task that fetches the reviewed plan, in a run of the default branch."""
    Path("reviewed.json").unlink(missing_ok=True)
    stage.enter(FakeRun(id=5000, sha=sha, pull_request=None))
    return stage.run("reviewed-plan", "-e", "prod", "--out", "reviewed.json")


def stored(environment: str = "prod", **more: Any) -> bytes:
    """Return a plan's document as the plan pipeline stores it."""
    return json.dumps(plan(environment, **more)).encode()


def test_the_plan_of_the_merged_head_is_fetched(stage: ForgeStage) -> None:
    """Byte by byte; nothing is written on the forge."""
    stage.forge.store_plan("prod", stored())
    stage.forge.store_plan("staging", stored("staging"))
    stage.forge.merge()
    stage.forge.asked.clear()
    assert 0 == fetch(stage), stage.cxroute.err
    assert stored() == Path("reviewed.json").read_bytes()


def test_the_plan_of_the_newest_run_is_fetched(stage: ForgeStage) -> None:
    """The reviewer saw that one."""
    stage.forge.store_plan("prod", stored(create=5))
    stage.forge.store_plan("prod", stored(create=6), run=101)
    stage.forge.merge()
    assert 0 == fetch(stage), stage.cxroute.err
    assert stored(create=6) == Path("reviewed.json").read_bytes()


def missing(forge: FakeForge) -> None:
    forge.merge()


def of_another_commit(forge: FakeForge) -> None:
    forge.store_plan("prod", stored())
    forge.push(LATER)
    forge.merge()


def of_a_fork(forge: FakeForge) -> None:
    forge.move_to_fork()
    forge.store_plan("prod", stored())
    forge.merge()


def failed_since(forge: FakeForge) -> None:
    forge.store_plan("prod", stored())
    forge.store_plan("prod", stored(), run=101, succeeded=False)
    forge.merge()


def of_another_environment(forge: FakeForge) -> None:
    forge.store_plan("prod", stored("staging"))
    forge.merge()


def stored_for_another_environment(forge: FakeForge) -> None:
    forge.store_plan("staging", stored("staging"))
    forge.merge()


def of_noise(forge: FakeForge) -> None:
    forge.store_plan("prod", b"noise")
    forge.merge()


def with_an_undo(forge: FakeForge) -> None:
    forge.store_plan("prod", stored(options={"undo": "2026-11-24T101600-prod-1a2b"}))
    forge.merge()


def not_merged(forge: FakeForge) -> None:
    forge.store_plan("prod", stored())


REFUSED: Final = (
    missing,
    of_another_commit,
    of_a_fork,
    failed_since,
    of_another_environment,
    stored_for_another_environment,
    of_noise,
    with_an_undo,
    not_merged,
)


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.__name__)
def test_another_plan_is_refused(stage: ForgeStage, case: Any) -> None:
    """With exit 4, and no file."""
    case(stage.forge)
    assert 4 == fetch(stage), stage.cxroute.err
    assert not Path("reviewed.json").exists()


def test_a_commit_behind_the_default_branch_is_refused(stage: ForgeStage) -> None:
    """Its plan would undo what was applied since."""
    stage.forge.store_plan("prod", stored())
    stage.forge.merge()
    stage.forge.merge("d" * 40)
    assert 4 == fetch(stage)
    assert "is not the tip of" in stage.cxroute.err


def test_an_unreadable_response_gives_no_plan(stage: ForgeStage) -> None:
    """At each request on the way to the plan."""
    stage.forge.store_plan("prod", stored())
    stage.forge.merge()
    assert 0 == fetch(stage)
    paths = {item for item in stage.forge.asked if item.startswith("GET ")}
    for path in sorted(paths):
        stage.forge.faults.append(FakeFault(f"^{re.escape(path)}$", 200, {}, b"null"))
        assert fetch(stage) in (1, 4), path
        assert not Path("reviewed.json").exists()


# The issue about drift


def observe(
    stage: ForgeStage, form: dict[str, Any], text: str = "`cards/a` differs"
) -> int:
    """Run the drift task in a scheduled run."""
    Path("drift.json").write_text(json.dumps(form), encoding="utf-8")
    Path("drift.md").write_text(text, encoding="utf-8")
    token = os.environ[stage.forge.token_variable]
    stage.enter(FakeRun(id=900, sha=MERGE, pull_request=None))
    stage.patch.setenv(stage.forge.token_variable, token)
    return stage.run(
        "drift-issue", "-e", "prod", "--plan", "drift.json", "--body", "drift.md"
    )


@offering("issues")
def test_an_issue_about_drift_is_opened_edited_and_closed(stage: ForgeStage) -> None:
    """One issue while there is drift, a remark on each change, and a new issue for the next
    drift.
    """
    assert 0 == observe(stage, plan(create=0))
    assert [] == stage.forge.issues()
    assert 0 == observe(stage, plan())
    (issue,) = stage.forge.issues()
    assert issue.is_open
    assert "Routing of prod differs from the manifests" == issue.title
    assert "differs" in issue.body
    for _ in range(2):
        assert 0 == observe(
            stage, plan(planId="ba9876543210"), "the same in other words"
        )
    assert [issue] == stage.forge.issues()
    assert 0 == observe(stage, plan(create=2), "`cards/b` differs too")
    (issue,) = stage.forge.issues()
    assert "cards/b" in issue.body
    assert 1 == len(issue.remarks)
    assert 0 == observe(stage, plan(create=0))
    (issue,) = stage.forge.issues()
    assert not issue.is_open
    assert 2 == len(issue.remarks)
    assert 0 == observe(stage, plan(create=0))
    assert [issue] == stage.forge.issues()
    assert 0 == observe(stage, plan())
    assert [False, True] == [issue.is_open for issue in stage.forge.issues()]


@offering("issues")
def test_each_environment_has_an_issue(stage: ForgeStage) -> None:
    """Found on a later page too."""
    stage.forge.page_size = 1
    for number in range(3):
        assert 0 == observe(stage, plan())
        environment = f"test{number}"
        Path("drift.json").write_text(json.dumps(plan(environment)), encoding="utf-8")
        arguments = (
            "drift-issue",
            "-e",
            environment,
            "--plan",
            "drift.json",
            "--body",
            "drift.md",
        )
        assert 0 == stage.run(*arguments)
    assert 4 == len(stage.forge.issues())


@offering("issues")
def test_an_unreadable_list_opens_no_issue(stage: ForgeStage) -> None:
    """It could be the second one."""
    stage.forge.faults.append(FakeFault("^GET ", 200, {}, b"<html>"))
    stage.forge.faults.append(FakeFault("^GET ", 200, {}, b"<html>"))
    assert 1 == observe(stage, plan())
    assert [] == stage.forge.issues()


# Approvals, members and statuses


def test_an_approval_of_the_head_counts(stage: ForgeStage) -> None:
    """Of several people, by their logins in lower case."""
    assert Approvals(HEAD, frozenset()) == stage.approvals()
    stage.forge.approve("Fiona")
    stage.forge.approve("carl")
    assert Approvals(HEAD, frozenset({"fiona", "carl"})) == stage.approvals()


def test_an_approval_of_an_outdated_commit_does_not_count(stage: ForgeStage) -> None:
    """Until it is given again."""
    stage.forge.approve("fiona")
    stage.forge.push(LATER)
    assert Approvals(LATER, frozenset()) == stage.approvals()
    stage.forge.approve("fiona")
    assert Approvals(LATER, frozenset({"fiona"})) == stage.approvals()


def test_the_author_of_the_request_does_not_count(stage: ForgeStage) -> None:
    """Whatever the forge allows."""
    stage.forge.approve(OWNER_OF_REQUEST)
    assert frozenset() == stage.approvals().approvers


def test_a_request_for_changes_withdraws_an_approval(stage: ForgeStage) -> None:
    """Of that reviewer alone; a later approval counts again."""
    stage.forge.approve("fiona")
    stage.forge.approve("carl")
    stage.forge.request_changes("fiona")
    assert frozenset({"carl"}) == stage.approvals().approvers
    stage.forge.approve("fiona")
    assert frozenset({"carl", "fiona"}) == stage.approvals().approvers


def test_approvals_are_read_from_all_pages(stage: ForgeStage) -> None:
    """A request for changes on the last page withdraws an approval on the first."""
    stage.forge.page_size = 2
    for login in ("fiona", "carl", "dora", "emil", "gina"):
        stage.forge.approve(login)
    stage.forge.request_changes("fiona")
    assert frozenset({"carl", "dora", "emil", "gina"}) == stage.approvals().approvers


UNREADABLE: Final = [
    FakeFault("", 200, {}, body)
    for body in (b"null", b'"x"', b"{}", b"<html>", b'{"values": 1, "value": 1}')
] + [FakeFault("", 403), FakeFault("", 404), FakeFault("", 400)]


@pytest.mark.fast_cases(4)
@pytest.mark.parametrize(
    "fault", UNREADABLE, ids=lambda fault: f"{fault.status}-{fault.body.decode()}"
)
def test_unreadable_approvals_are_an_error(stage: ForgeStage, fault: FakeFault) -> None:
    """At each request that the approvals are read with: never an empty list, and never one that is
    too long.
    """
    stage.forge.approve("fiona")
    stage.forge.asked.clear()
    assert {"fiona"} == stage.approvals().approvers
    for path in dict.fromkeys(stage.forge.asked):
        stage.forge.faults.append(fault._replace(pattern=f"^{re.escape(path)}$"))
        with pytest.raises(RestError):
            stage.approvals()


@offering("members")
def test_an_owner_is_a_user_or_the_members_of_a_group(stage: ForgeStage) -> None:
    """In lower case, from all pages."""
    stage.forge.page_size = 2
    stage.forge.set_members("@acme/fraud", "Fiona", "frank", "fred")
    assert frozenset({"fiona", "frank", "fred"}) == stage.members("@acme/fraud")
    assert frozenset({"alice"}) == stage.members("@Alice")


@offering("members")
def test_members_that_cannot_be_read_are_an_error(stage: ForgeStage) -> None:
    """A missing group, an unreadable response, a missing permission."""
    stage.forge.set_members("@acme/fraud", "fiona")
    with pytest.raises(RestError):
        stage.members("@acme/missing")
    stage.forge.asked.clear()
    stage.members("@acme/fraud")
    for path in dict.fromkeys(stage.forge.asked):
        for body in (b"null", b'"x"', b"{}", b"<html>"):
            stage.forge.faults.append(FakeFault(f"^{re.escape(path)}$", 200, {}, body))
            with pytest.raises(RestError):
                stage.members("@acme/fraud")
    stage.grant("code")
    with pytest.raises(RestError):
        stage.members("@acme/fraud")


def test_approvals_without_the_permission_are_an_error(stage: ForgeStage) -> None:
    """And not an empty list."""
    stage.forge.approve("fiona")
    stage.grant("statuses")
    with pytest.raises(RestError):
        stage.approvals()


def test_a_status_is_set_and_replaced(stage: ForgeStage) -> None:
    """One for each name; its text is plain and may have the full length."""
    with stage.adapter() as forge:
        for state in ("pending", "failure", "success"):
            forge.set_status(
                HEAD,
                CommitStatus(
                    "cxroute/consent (prod)", state, f"{state} of @acme/fraud"
                ),
            )
            expected = (state, f"{state} of @acme/fraud")
            assert {"cxroute/consent (prod)": expected} == stage.forge.statuses(HEAD)
        forge.set_status(
            HEAD, CommitStatus("cxroute/consent (test)", "failure", "x" * 140)
        )
    assert ("failure", "x" * 140) == stage.forge.statuses(HEAD)[
        "cxroute/consent (test)"
    ]
    assert {} == stage.forge.statuses(MERGE)


def test_a_status_without_the_permission_is_an_error(stage: ForgeStage) -> None:
    """The step fails, and the branch waits for a status."""
    stage.grant("code")
    with stage.adapter() as forge, pytest.raises(RestError):
        forge.set_status(
            HEAD, CommitStatus("cxroute/consent (prod)", "success", "all agreed")
        )
    assert {} == stage.forge.statuses(HEAD)


# Consent

FRAUD: Final = {
    "queueId": "1",
    "queueName": "Fraud Desk",
    "owners": ["@acme/fraud", "@alice"],
    "change": "loses",
}
CARDS: Final = {
    "queueId": "2",
    "queueName": "Cards",
    "owners": ["@acme/cards"],
    "change": "gains",
}
STATUS: Final = "cxroute/consent (prod)"


@pytest.fixture
def voting(stage: ForgeStage) -> ForgeStage:
    """A step on a forge with two groups, and a plan that needs both."""
    if "consent" not in FORGES[stage.forge.name].tasks:
        pytest.skip("this forge has no task for consent")
    stage.forge.set_members("@acme/fraud", "Fiona", OWNER_OF_REQUEST)
    stage.forge.set_members("@acme/cards", "carl")
    return stage


def ask(stage: ForgeStage, *entries: Any, **more: Any) -> int:
    """Run the task on a plan with these entries."""
    folder = Path("out/prod")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(
        json.dumps(plan(consent=list(entries), **more)), encoding="utf-8"
    )
    return stage.run("consent", "-e", "prod", "--report", "out/prod")


@offering("members")
def test_consent_of_one_owner_of_each_queue_is_enough(voting: ForgeStage) -> None:
    """Who is missing is printed and in the status; then it succeeds."""
    assert 4 == ask(voting, FRAUD, CARDS)
    assert (
        "@acme/fraud or @alice (Fraud Desk loses callers), @acme/cards (Cards gains callers)"
        in (" ".join(voting.cxroute.err.split()))
    )
    state, text = voting.forge.statuses(HEAD)[STATUS]
    assert "failure" == state
    assert text.startswith(
        "Consent is missing: @acme/fraud or @alice (Fraud Desk loses callers)"
    )
    voting.forge.approve("fiona")
    assert 4 == ask(voting, FRAUD, CARDS)
    assert "@acme/fraud" not in voting.cxroute.err
    voting.forge.approve("carl")
    assert 0 == ask(voting, FRAUD, CARDS), voting.cxroute.err
    assert "success" == voting.forge.statuses(HEAD)[STATUS][0]
    assert "Consent is given" in voting.cxroute.out


def test_consent_that_is_not_needed_is_a_success(voting: ForgeStage) -> None:
    """With and without an approval; an unchanged folder of manifests needs no plan."""
    assert 0 == ask(voting)
    assert "success" == voting.forge.statuses(HEAD)[STATUS][0]
    assert 0 == voting.run("consent", "-e", "staging", "--unchanged")
    assert "success" == voting.forge.statuses(HEAD)["cxroute/consent (staging)"][0]


def approved_outdated(forge: FakeForge) -> None:
    forge.push(LATER)
    forge.approve("fiona")
    forge.push(HEAD)


def approved_by_author(forge: FakeForge) -> None:
    forge.approve(OWNER_OF_REQUEST)


def approved_and_refused(forge: FakeForge) -> None:
    forge.approve("fiona")
    forge.request_changes("fiona")


def approved_by_others(forge: FakeForge) -> None:
    forge.approve("carl")


NOT_GIVEN: Final = (
    approved_outdated,
    approved_by_author,
    approved_and_refused,
    approved_by_others,
)


@offering("members")
@pytest.mark.parametrize("case", NOT_GIVEN, ids=lambda case: case.__name__)
def test_an_approval_that_does_not_count_gives_no_consent(
    voting: ForgeStage, case: Any
) -> None:
    """Of another commit, of the author, withdrawn, or of a person outside of the group."""
    case(voting.forge)
    assert 4 == ask(voting, FRAUD)
    assert "failure" == voting.forge.statuses(HEAD)[STATUS][0]


def test_a_user_can_be_an_owner(voting: ForgeStage) -> None:
    """Without a token that reads members."""
    voting.forge.approve("Alice")
    assert 0 == ask(voting, {**FRAUD, "owners": ["@alice"]}), voting.cxroute.err


def test_a_plan_of_another_commit_than_the_head_is_refused(voting: ForgeStage) -> None:
    """Its approvals are not those of the head."""
    voting.forge.push(LATER)
    voting.forge.approve("fiona")
    assert 4 == ask(voting, FRAUD)
    assert "which is not the head of" in " ".join(voting.cxroute.err.split())
    assert "failure" == voting.forge.statuses(HEAD)[STATUS][0]
    assert {} == voting.forge.statuses(LATER)


@pytest.mark.fast_cases(8)
@pytest.mark.parametrize(
    "form",
    [
        {"consent": "x"},
        {"consent": [{}]},
        {"consent": [{**FRAUD, "change": "none"}]},
        {"consent": [{**FRAUD, "owners": 7}]},
        {"environment": "staging"},
        {"consent": None},
    ],
    ids=str,
)
def test_an_unreadable_plan_gives_no_consent(
    voting: ForgeStage, form: dict[str, Any]
) -> None:
    """Its status fails."""
    voting.forge.approve("fiona")
    Path("out/prod").mkdir(parents=True)
    Path("out/prod/plan.json").write_text(
        json.dumps({**plan(), **form}), encoding="utf-8"
    )
    assert 4 == voting.run("consent", "-e", "prod", "--report", "out/prod")
    assert "failure" == voting.forge.statuses(HEAD)[STATUS][0]


@offering("members")
def test_unreadable_approvals_give_no_consent(voting: ForgeStage) -> None:
    """At each request; an earlier success does not stay."""
    voting.forge.approve("fiona")
    voting.forge.asked.clear()
    assert 0 == ask(voting, FRAUD)
    for path in dict.fromkeys(
        item for item in voting.forge.asked if item.startswith("GET ")
    ):
        assert "success" == voting.forge.statuses(HEAD)[STATUS][0]
        voting.forge.faults.append(FakeFault(f"^{re.escape(path)}$", 200, {}, b"null"))
        assert 1 == ask(voting, FRAUD), path
        assert "failure" == voting.forge.statuses(HEAD)[STATUS][0]
        assert 0 == ask(voting, FRAUD)


@offering("members")
def test_members_are_read_by_a_second_token(voting: ForgeStage) -> None:
    """Without it the error names the variable; neither token is printed."""
    voting.forge.approve("fiona")
    voting.grant("notes", "code", "plans", "approvals", "statuses")
    second = voting.forge.token("members")
    assert 1 == ask(voting, {**FRAUD, "owners": ["@acme/fraud"]})
    assert "CXROUTE_MEMBERS_TOKEN" in voting.cxroute.err
    voting.patch.setenv("CXROUTE_MEMBERS_TOKEN", second)
    assert 0 == ask(voting, {**FRAUD, "owners": ["@acme/fraud"]}), voting.cxroute.err
    assert second not in voting.shown


@offering("members")
def test_consent_after_a_review_uses_the_stored_plan(voting: ForgeStage) -> None:
    """Without one yet, the run that plans sets the status."""
    assert 0 == voting.run("consent", "-e", "prod")
    assert {} == voting.forge.statuses(HEAD)
    voting.forge.store_plan("prod", stored(consent=[FRAUD]))
    assert 4 == voting.run("consent", "-e", "prod")
    voting.forge.approve("fiona")
    assert 0 == voting.run("consent", "-e", "prod"), voting.cxroute.err
    assert "success" == voting.forge.statuses(HEAD)[STATUS][0]


@offering("members")
def test_a_reviewed_plan_without_consent_is_refused(voting: ForgeStage) -> None:
    """Whatever the pipeline of the branch did: apply gets no plan."""
    voting.forge.store_plan("prod", stored(consent=[FRAUD, CARDS]))
    voting.forge.approve("carl")
    voting.forge.merge()
    assert 4 == fetch(voting)
    assert (
        "merged without the consent of its head commit: @acme/fraud or @alice"
        in " ".join(voting.cxroute.err.split())
    )
    assert not Path("reviewed.json").exists()


@offering("members")
def test_a_reviewed_plan_with_consent_is_fetched(voting: ForgeStage) -> None:
    """Of the merged head."""
    voting.forge.store_plan("prod", stored(consent=[FRAUD, CARDS]))
    voting.forge.approve("carl")
    voting.forge.approve("fiona")
    voting.forge.merge()
    assert 0 == fetch(voting), voting.cxroute.err
