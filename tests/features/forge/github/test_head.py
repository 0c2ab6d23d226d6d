"""The header of a comment: the outcome of a plan."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.features.forge.github import read_run
from reconciler.features.forge.note import (
    CommentHeader,
    applied_header,
    request_applied,
    request_outdated,
    request_planless,
)
from tests.support.cases import each_case

NOW = datetime(2026, 11, 24, 10, 31, tzinfo=UTC)
RUN = read_run(
    {
        "GITHUB_REPOSITORY": "acme/routing",
        "GITHUB_RUN_ID": "42",
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_SHA": "b" * 40,
        "GITHUB_ACTOR": "anna",
    }
)
AGAIN = "\n>\n> The remaining changes are part of the reviewed plan: run it again to continue."
BY = "on 2026-11-24 at 10:31 UTC by @anna ([run](https://github.com/acme/routing/actions/runs/42/attempts/1))."
HOSTILE = (
    "a|b `x` ``y`` @everyone <img src=x onerror=alert(1)> [x](javascript:1) <!-- cxroute:head ends "
    "-->"
    "\n# z\u202e\x1b[31m"
)


def outcome(address: str, status: str, error: str | None = None) -> dict[str, Any]:
    return {
        "address": address,
        "action": "update",
        "status": status,
        "error": error,
        "attempts": 1,
    }


def test_all_applied() -> None:
    """With time, actor and run."""
    form = {"outcomes": [outcome("cards/a", "applied")], "converged": True}
    assert CommentHeader(
        f"> [!NOTE]\n> **Applied** {BY}", applied=True
    ) == applied_header(form, RUN, NOW)


def test_nothing_left() -> None:
    """Another run was first; the result is the same."""
    form: dict[str, Any] = {"outcomes": [], "converged": True}
    assert CommentHeader(
        f"> [!NOTE]\n> **Nothing was left to apply** {BY}", applied=True
    ) == applied_header(form, RUN, NOW)


def test_a_partial_apply_names_missing_changes_and_reasons() -> None:
    """With a caution, in the order of the attempts."""
    rest = [
        outcome("cards/b", "failed", "HTTP 409 taken"),
        outcome("cards/c", "skipped"),
        outcome("cards/d", "unknown"),
    ]
    form = {"outcomes": [outcome("cards/a", "applied"), *rest], "converged": False}
    expected = (
        f"> [!CAUTION]\n> **Applied 1 of 4** {BY}\n>\n> - `cards/b` failed: HTTP 409 taken\n> - "
        f"`cards/c` not tried\n"
        "> - `cards/d` unknown: the next run checks"
    )
    assert CommentHeader(expected + AGAIN) == applied_header(form, RUN, NOW)


def test_many_missing_changes_are_counted() -> None:
    """Ten are named."""
    form = {
        "outcomes": [outcome(f"cards/r{number}", "skipped") for number in range(12)],
        "converged": False,
    }
    head = applied_header(form, RUN, NOW).text
    assert head.endswith("> - and 2 more" + AGAIN)
    assert "Applied 0 of 12" in head


def test_applied_but_still_different() -> None:
    """Other rules changed during the apply: this is not a success."""
    head = applied_header(
        {"outcomes": [outcome("cards/a", "applied")], "converged": False}, RUN, NOW
    )
    text = "> After another read, the tenant still differs from the manifests."
    assert (
        CommentHeader(f"> [!CAUTION]\n> **Applied 1 of 1** {BY}\n>\n{text}{AGAIN}")
        == head
    )


@pytest.mark.parametrize(
    ("code", "word"), [(4, "Refused"), (1, "Failed"), (64, "Failed"), (None, "Failed")]
)
def test_a_run_that_wrote_nothing_says_why(code: int | None, word: str) -> None:
    """A refusal by its name."""
    form = {
        "error": {
            "kind": "Refused",
            "message": "deletes 14 of 40\nTry: cxroute plan",
            "exitCode": code,
        }
    }
    expected = (
        f"> [!CAUTION]\n> **{word}** {BY}\n>\n> deletes 14 of 40<br>Try: cxroute plan"
    )
    assert CommentHeader(expected) == applied_header(form, RUN, NOW)


def test_the_other_headers() -> None:
    """Out of date, without a plan, without a report."""
    assert (
        f"> [!WARNING]\n> **Not applied** {BY}\n>\n> main moved"
        == request_outdated("prod", "main moved", RUN, NOW).text
    )
    assert (
        f"> [!WARNING]\n> **Out of date, not applied** {BY}"
        == request_outdated("prod", "", RUN, NOW).text
    )
    assert "**No plan for `bbbbbbbb`**" in request_planless("prod", RUN, NOW).text
    assert (
        f"**Apply ended without a report** {BY}"
        in request_applied("prod", {}, RUN, NOW).text
    )


@each_case(
    "text", [HOSTILE, "`", "``", " ` ", "x" * 10_000, "\n\n", "\u2028", "```\n```"]
)
def test_text_from_outside_is_in_code_spans(text: str) -> None:
    """Without effect: no mention, no link, no HTML, no end of the header."""
    form = {"outcomes": [outcome(text, "failed", text)], "converged": False}
    for head in (
        applied_header(form, RUN, NOW).text,
        request_outdated("prod", text, RUN, NOW).text,
    ):
        for line in head.split("\n"):
            assert line.startswith(">")
            outside = without_code(line.replace("<br>", " "))
            assert not {"<", "|"} & set(outside.removeprefix(">").replace("[!", "")), (
                outside
            )
            assert "everyone" not in outside
            assert "javascript" not in outside
        assert "\x1b" not in head
        assert "\u202e" not in head


def without_code(line: str) -> str:
    """Return a line without its code spans, found as CommonMark finds them."""
    outside = ""
    at = 0
    while at < len(line):
        if line[at] != "`":
            outside = outside + line[at]
            at = at + 1
            continue
        fence = len(line[at:]) - len(line[at:].lstrip("`"))
        end = at + fence
        while end < len(line):
            start = line.find("`" * fence, end)
            assert start >= 0, f"a code span without an end: {line[at:]}"
            run = len(line[start:]) - len(line[start:].lstrip("`"))
            if run == fence:
                break
            end = start + run
        at = start + fence
    return outside


@pytest.mark.parametrize(
    "answer",
    [
        {"outcomes": "x"},
        {"outcomes": [1, None]},
        {"outcomes": [{}], "converged": 1},
        {"error": "no"},
    ],
)
def test_a_report_of_another_shape_is_not_a_success(answer: dict[str, Any]) -> None:
    """A change counts as applied only if the report says so."""
    assert applied_header(answer, RUN, NOW).applied is False
    assert "[!CAUTION]" in applied_header(answer, RUN, NOW).text
