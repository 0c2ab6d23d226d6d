"""Decisions on a pull request's comment: create, edit, or skip."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from reconciler.features.forge.comment import (
    CommentDecision,
    CommentState,
    Skip,
    WriteComment,
    parse_state,
)
from reconciler.features.forge.forge import Post
from reconciler.features.forge.note import (
    CommentKind,
    DesiredComment,
    compose_comment,
    decide,
)
from tests.support.cases import each_case

BOT = "github-actions[bot]"
STATE = CommentState(run=100, attempt=1, sha="a" * 40, plan="0123456789ab")
PLAN = (
    "<!-- cxroute:plan env=prod -->\n### Routing plan for `prod`\n\n**1 to create**\n"
)
WANTED = DesiredComment(environment="prod", author=BOT, state=STATE, text=PLAN)
WRITTEN = (
    "<!-- cxroute:plan env=prod -->\n"
    f'<!-- cxroute:state {{"run":100,"attempt":1,"sha":"{"a" * 40}","plan":"0123456789ab","applied":false}} -->\n'
    "### Routing plan for `prod`\n\n**1 to create**\n"
)
OURS = Post(5, BOT, WRITTEN)


def deciding(
    kind: CommentKind,
) -> Callable[[Iterable[Post], DesiredComment], CommentDecision]:
    """Return the decision on comments of a kind."""
    return lambda comments, desired: decide(comments, replace(desired, kind=kind))


decide_plan = deciding("plan")
decide_refresh = deciding("refresh")
decide_planless = deciding("planless")
decide_header = deciding("header")


def at(run: int, attempt: int = 1, **more: object) -> DesiredComment:
    return replace(WANTED, state=replace(STATE, run=run, attempt=attempt), **more)  # type: ignore[arg-type]


def test_a_first_plan_creates_a_comment_that_names_its_run() -> None:
    """The first line is the plan's own; the text follows unchanged."""
    assert WriteComment(WRITTEN) == decide_plan([], WANTED)


def test_a_second_plan_edits_the_comment_in_place() -> None:
    """Only the comment of that environment."""
    remaining_items = [
        Post(1, "anna", "hello"),
        Post(2, BOT, WRITTEN.replace("env=prod", "env=staging")),
    ]
    newer = at(101)
    assert WriteComment(compose_comment(newer), 5) == decide_plan(
        [*remaining_items, OURS], newer
    )


@pytest.mark.parametrize("body", [WRITTEN, WRITTEN.replace("\n", "\r\n")])
def test_an_unchanged_comment_is_not_written_again(body: str) -> None:
    """Also if a browser returned the text with other line ends."""
    assert Skip("it is up to date") == decide_plan([Post(5, BOT, body)], WANTED)


@pytest.mark.parametrize(("run", "attempt"), [(99, 1), (99, 9), (100, 0)])
def test_a_late_run_does_not_overwrite_a_newer_one(run: int, attempt: int) -> None:
    """An older run, even after many attempts, and an older attempt of the same run."""
    late = at(run, attempt, text="older")
    assert isinstance(decide_plan([OURS], late), Skip)
    assert isinstance(decide_planless([OURS], late), Skip)


@pytest.mark.parametrize(
    "author", ["anna", "dependabot[bot]", "GitHub-Actions[bot]", ""]
)
def test_a_comment_by_another_author_is_never_edited(author: str) -> None:
    """A copy of the comment is not edited, and hides nothing."""
    assert WriteComment(WRITTEN) == decide_plan([Post(5, author, WRITTEN)], WANTED)


@each_case(
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
def test_only_the_full_first_line_identifies_the_comment(body: str) -> None:
    """A rule's name may contain that line, and other comments may quote it."""
    assert WriteComment(WRITTEN) == decide_plan([Post(5, BOT, body)], WANTED)


def test_a_plan_without_changes_edits_but_does_not_create() -> None:
    """A plan without changes matters only if a comment announced changes."""
    assert isinstance(decide_refresh([], WANTED), Skip)
    assert WriteComment(compose_comment(at(101)), 5) == decide_refresh([OURS], at(101))


def test_a_header_is_above_the_plan_and_replaces_the_previous_one() -> None:
    """The plan below stays unchanged under any header."""
    first = decide_header([OURS], replace(WANTED, text="**Out of date**"))
    assert isinstance(first, WriteComment)
    lines = first.body.split("\n")
    assert WRITTEN.split("\n")[:2] == lines[:2]
    assert [
        "<!-- cxroute:head -->",
        "",
        "**Out of date**",
        "",
        "<!-- cxroute:head ends -->",
    ] == lines[2:7]
    assert first.body.endswith("\n\n### Routing plan for `prod`\n\n**1 to create**\n")
    second = decide_header(
        [Post(5, BOT, first.body)], replace(WANTED, text="**Refused**")
    )
    assert isinstance(second, WriteComment)
    assert first.body.replace("**Out of date**", "**Refused**") == second.body


def test_an_end_marker_inside_a_header_does_not_end_it() -> None:
    """A rule's name may contain it; so may the plan."""
    end = "<!-- cxroute:head ends -->"
    present = OURS._replace(body=WRITTEN + end)
    first = decide_header([present], replace(WANTED, text=f"`{end}` failed"))
    assert isinstance(first, WriteComment)
    second = decide_header(
        [Post(5, BOT, first.body)], replace(WANTED, text="**Applied**")
    )
    assert isinstance(second, WriteComment)
    assert second.body.endswith(
        f"<!-- cxroute:head ends -->\n\n### Routing plan for `prod`\n\n**1 to create**\n{end}\n"
    )
    assert "failed" not in second.body


def test_a_newer_plan_replaces_the_header_too() -> None:
    """A refused plan is planned again: the comment is about the new plan."""
    refused = decide_header([OURS], replace(WANTED, text="**Refused**"))
    assert isinstance(refused, WriteComment)
    again = at(100, 2)
    assert WriteComment(compose_comment(again), 5) == decide_plan(
        [Post(5, BOT, refused.body)], again
    )


def test_the_comment_of_an_applied_plan_is_not_overwritten() -> None:
    """A run that is repeated after the merge does not claim that no change was made."""
    done = decide_header(
        [OURS], replace(WANTED, state=replace(STATE, applied=True), text="**Applied**")
    )
    assert isinstance(done, WriteComment)
    assert replace(STATE, applied=True) == parse_state(done.body)
    present = [Post(5, BOT, done.body)]
    assert isinstance(decide_plan(present, at(200)), Skip)
    assert isinstance(decide_planless(present, at(200, text="no plan")), Skip)
    assert isinstance(decide_header(present, at(200, text="out of date")), Skip)


def test_a_header_creates_no_comment() -> None:
    """The outcome of a plan without a comment is only in the job's summary."""
    assert isinstance(decide_header([], WANTED), Skip)


def test_a_commit_without_a_plan_updates_the_comment() -> None:
    """A late older plan does not overwrite the note that a newer commit has no plan."""
    noted = decide_planless([OURS], at(101, text="**No plan**"))
    assert isinstance(noted, WriteComment)
    assert isinstance(decide_plan([Post(5, BOT, noted.body)], at(100, 2)), Skip)
    assert WriteComment(compose_comment(at(102)), 5) == decide_plan(
        [Post(5, BOT, noted.body)], at(102)
    )


def test_a_comment_with_a_header_fits_into_github_s_limit() -> None:
    """The end of the plan is cut off."""
    long = decide_header(
        [OURS._replace(body=WRITTEN + "x" * WANTED.limit)],
        replace(WANTED, text="**Applied**"),
    )
    assert isinstance(long, WriteComment)
    assert WANTED.limit >= len(long.body)
    assert "**Applied**" in long.body


@each_case(
    "line",
    [
        "<!-- cxroute:state {} -->",
        "<!-- cxroute:state [1] -->",
        '<!-- cxroute:state {"run":"100","attempt":1,"sha":"","plan":""} -->',
        '<!-- cxroute:state {"run":true,"attempt":1,"sha":"","plan":""} -->',
        '<!-- cxroute:state {"run":1e999,"attempt":1,"sha":"","plan":""} -->',
        '<!-- cxroute:state {"run":100,"attempt":1,"sha":"-->","plan":""} -->',
        (
            f"<!-- cxroute:state "
            f"{json.dumps({'run': 1, 'attempt': 1, 'sha': '', 'plan': '', 'more': 'x' * 500})} -->"
        ),
        "<!-- cxroute:state " + "{" * 300 + "} -->",
        "no state",
        "",
    ],
)
def test_an_invalid_state_counts_as_none(line: str) -> None:
    """Then the comment is written again; an editor of it cannot cause more than that."""
    body = f"<!-- cxroute:plan env=prod -->\n{line}\n"
    assert parse_state(body) is None
    assert WriteComment(WRITTEN, 5) == decide_plan([Post(5, BOT, body)], WANTED)
