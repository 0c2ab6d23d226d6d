"""What becomes of a pull request's comment: created, edited, or left."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.github.plan_comment import (
    MAX_COMMENT,
    Comment,
    CommentState,
    CreateComment,
    DesiredComment,
    EditComment,
    SkipComment,
    compose_comment,
    decide_header,
    decide_outdated,
    decide_plan,
    decide_refresh,
    parse_state,
)

BOT = "github-actions[bot]"
STATE = CommentState(run=100, attempt=1, sha="a" * 40, plan="0123456789ab")
PLAN = "<!-- cxroute:plan env=prod -->\n### Routing plan for `prod`\n\n**1 to create**\n"
WANTED = DesiredComment("prod", BOT, STATE, PLAN)
WRITTEN = (
    "<!-- cxroute:plan env=prod -->\n"
    f'<!-- cxroute:state {{"run":100,"attempt":1,"sha":"{"a" * 40}","plan":"0123456789ab","applied":false}} -->\n'
    "### Routing plan for `prod`\n\n**1 to create**\n"
)
OURS = Comment(5, BOT, WRITTEN)


def at(run: int, attempt: int = 1, **more: object) -> DesiredComment:
    return replace(WANTED, state=replace(STATE, run=run, attempt=attempt), **more)  # type: ignore[arg-type]


def test_a_first_plan_makes_a_comment_whose_second_line_says_which_run_wrote_it() -> None:
    """The first line is the plan's own; the text follows unchanged."""
    assert CreateComment(WRITTEN) == decide_plan([], WANTED)


def test_a_second_plan_edits_the_comment_in_place() -> None:
    """The comment of that environment, and no other."""
    others = [Comment(1, "anna", "hello"), Comment(2, BOT, WRITTEN.replace("env=prod", "env=staging"))]
    newer = at(101)
    assert EditComment(5, compose_comment(newer)) == decide_plan([*others, OURS], newer)


@pytest.mark.parametrize("body", [WRITTEN, WRITTEN.replace("\n", "\r\n")])
def test_what_it_says_already_is_not_written_again(body: str) -> None:
    """Also where a browser has sent the text back with its own line ends."""
    assert SkipComment("it says that already") == decide_plan([Comment(5, BOT, body)], WANTED)


@pytest.mark.parametrize(("run", "attempt"), [(99, 1), (99, 9), (100, 0)])
def test_a_run_that_is_late_leaves_what_a_newer_one_wrote(run: int, attempt: int) -> None:
    """An older run, however often it was run again, and an older attempt of the same run."""
    late = at(run, attempt, text="older")
    assert isinstance(decide_plan([OURS], late), SkipComment)
    assert isinstance(decide_outdated([OURS], late), SkipComment)


@pytest.mark.parametrize("author", ["anna", "dependabot[bot]", "GitHub-Actions[bot]", ""])
def test_a_comment_of_somebody_else_is_never_ours(author: str) -> None:
    """Whoever copies our comment does not have it edited, and hides nothing."""
    assert CreateComment(WRITTEN) == decide_plan([Comment(5, author, WRITTEN)], WANTED)


@pytest.mark.parametrize(
    "body",
    [
        f"See below:\n{WRITTEN}",
        "A rule is named `<!-- cxroute:plan env=prod -->`",
        f" {WRITTEN}",
        "<!-- cxroute:plan env=prod --> and more\n",
        "<!-- cxroute:plan env=production -->\n",
        "",
    ],
)
def test_a_comment_is_ours_only_where_the_whole_first_line_says_so(body: str) -> None:
    """A rule's name may hold that line, and other comments may quote it."""
    assert CreateComment(WRITTEN) == decide_plan([Comment(5, BOT, body)], WANTED)


def test_no_changes_edit_a_comment_that_is_there_and_create_none() -> None:
    """Nobody is told that nothing happens, unless they were told that something would."""
    assert isinstance(decide_refresh([], WANTED), SkipComment)
    assert EditComment(5, compose_comment(at(101))) == decide_refresh([OURS], at(101))


def test_a_head_stands_between_the_state_and_the_plan_and_is_replaced_by_the_next() -> None:
    """The plan below stays as it is, whatever the head says."""
    first = decide_header([OURS], replace(WANTED, text="**Out of date**"))
    assert isinstance(first, EditComment)
    lines = first.body.split("\n")
    assert WRITTEN.split("\n")[:2] == lines[:2]
    assert ["<!-- cxroute:head -->", "", "**Out of date**", "", "<!-- cxroute:head ends -->"] == lines[2:7]
    assert first.body.endswith("\n\n### Routing plan for `prod`\n\n**1 to create**\n")
    second = decide_header([Comment(5, BOT, first.body)], replace(WANTED, text="**Refused**"))
    assert isinstance(second, EditComment)
    assert first.body.replace("**Out of date**", "**Refused**") == second.body


def test_a_head_that_speaks_of_its_own_end_does_not_end_there() -> None:
    """A rule's name may hold it; the plan may, too."""
    end = "<!-- cxroute:head ends -->"
    there = OURS._replace(body=WRITTEN + end)
    first = decide_header([there], replace(WANTED, text=f"`{end}` failed"))
    assert isinstance(first, EditComment)
    second = decide_header([Comment(5, BOT, first.body)], replace(WANTED, text="**Applied**"))
    assert isinstance(second, EditComment)
    assert second.body.endswith(
        f"<!-- cxroute:head ends -->\n\n### Routing plan for `prod`\n\n**1 to create**\n{end}\n"
    )
    assert "failed" not in second.body


def test_a_newer_plan_replaces_the_head_too() -> None:
    """What was refused is planned again: the comment is about the new plan."""
    refused = decide_header([OURS], replace(WANTED, text="**Refused**"))
    assert isinstance(refused, EditComment)
    again = at(100, 2)
    assert EditComment(5, compose_comment(again)) == decide_plan([Comment(5, BOT, refused.body)], again)


def test_after_a_plan_was_applied_no_plan_and_no_refusal_writes_over_it() -> None:
    """A run that is started again after the merge does not make the comment say that nothing was changed."""
    done = decide_header([OURS], replace(WANTED, state=replace(STATE, applied=True), text="**Applied**"))
    assert isinstance(done, EditComment)
    assert replace(STATE, applied=True) == parse_state(done.body)
    there = [Comment(5, BOT, done.body)]
    assert isinstance(decide_plan(there, at(200)), SkipComment)
    assert isinstance(decide_outdated(there, at(200, text="no plan")), SkipComment)
    assert isinstance(decide_header(there, at(200, text="out of date")), SkipComment)


def test_a_head_makes_no_comment() -> None:
    """What becomes of a plan that nobody was shown stands in the job's summary alone."""
    assert isinstance(decide_header([], WANTED), SkipComment)
    assert isinstance(decide_outdated([], WANTED), SkipComment)


def test_a_commit_without_a_plan_takes_the_comment_over() -> None:
    """An older plan that comes late does not write over the note that a newer commit has none."""
    noted = decide_outdated([OURS], at(101, text="**No plan**"))
    assert isinstance(noted, EditComment)
    assert isinstance(decide_plan([Comment(5, BOT, noted.body)], at(100, 2)), SkipComment)
    assert EditComment(5, compose_comment(at(102))) == decide_plan([Comment(5, BOT, noted.body)], at(102))


def test_a_comment_under_a_head_stays_within_what_github_takes() -> None:
    """The end of the plan gives way."""
    long = decide_header([OURS._replace(body=WRITTEN + "x" * MAX_COMMENT)], replace(WANTED, text="**Applied**"))
    assert isinstance(long, EditComment)
    assert MAX_COMMENT >= len(long.body)
    assert "**Applied**" in long.body


@pytest.mark.parametrize(
    "line",
    [
        "<!-- cxroute:state {} -->",
        "<!-- cxroute:state [1] -->",
        '<!-- cxroute:state {"run":"100","attempt":1,"sha":"","plan":""} -->',
        '<!-- cxroute:state {"run":true,"attempt":1,"sha":"","plan":""} -->',
        '<!-- cxroute:state {"run":1e999,"attempt":1,"sha":"","plan":""} -->',
        '<!-- cxroute:state {"run":100,"attempt":1,"sha":"-->","plan":""} -->',
        f"<!-- cxroute:state {json.dumps({'run': 1, 'attempt': 1, 'sha': '', 'plan': '', 'more': 'x' * 500})} -->",
        "<!-- cxroute:state " + "{" * 300 + "} -->",
        "no state",
        "",
    ],
)
def test_a_state_that_somebody_broke_counts_as_none(line: str) -> None:
    """Then the comment is written anew; whoever can edit it can no more than make it be written."""
    body = f"<!-- cxroute:plan env=prod -->\n{line}\n"
    assert parse_state(body) is None
    assert EditComment(5, WRITTEN) == decide_plan([Comment(5, BOT, body)], WANTED)
