"""The part of a comment about merges: its text within limits, and its place in a comment."""

from __future__ import annotations

import pytest

from reconciler.cli.hooks import PairReport, PairResult
from reconciler.features.forge.forge import OpenRequest
from reconciler.features.forge.merge_pairs import ComparedRequest, MergeChecks
from reconciler.features.forge.merge_part import MergePart, join_part, split_part
from reconciler.features.forge.merge_text import has_news, merge_lines, merge_part

ROWS = "| Conversations |\n|---|\n| " + "x" * 900 + " |\n"
REST = '<!-- cxroute:plan env=prod -->\n<!-- cxroute:state {"run":1} -->\nThe plan\n'
PART = MergePart(100, 1, "a" * 40, "One line.")


def checks(*results: PairResult, left: int = 0, title: str = "Title") -> MergeChecks:
    """Return comparisons with these results."""
    compared = [
        ComparedRequest(
            OpenRequest(number, title, "main", "b" * 40, ""),
            PairReport(
                result, f"Sentence {number}.", ROWS if result[:2] == "un" else ""
            ),
        )
        for number, result in enumerate(results, 8)
    ]
    return MergeChecks(
        number=7,
        head="a" * 40,
        branch="main",
        tip="c" * 40,
        compared=tuple(compared),
        left=left,
    )


def test_what_is_not_decided_is_not_called_a_surprise() -> None:
    """It is counted by itself, with its rows."""
    some = checks("undecided", "expected", "not compared")
    assert has_news(some)
    text = merge_part(some, "pull request", 60_000)
    title = "3 other open pull requests: 1 not decided, 1 not compared, 1 as expected"
    assert title in text
    assert "not as expected" not in text
    assert ROWS.strip() in text
    assert "(proven)" not in text


@pytest.mark.parametrize("result", ["not compared", "undecided", "unexpected"])
def test_a_proof_needs_every_pair(result: PairResult) -> None:
    """One pair that is not proven removes the sentence."""
    proof = "each conversation goes where it went"
    assert proof in merge_part(checks("expected", "expected"), "pull request", 9_000)
    assert proof not in merge_part(checks("expected", result), "pull request", 9_000)
    assert proof not in " ".join(
        merge_lines(checks("expected", result), "pull request")
    )


def test_requests_that_were_not_looked_at_are_counted() -> None:
    """Nothing is said about their manifests."""
    text = merge_part(checks(left=1), "merge request", 9_000)
    first = "Merge check: none of the newest other open merge requests into `main` changes manifests."
    assert f"{first} 1 older merge request is not compared." == text
    assert merge_part(checks("expected", left=9), "pull request", 9_000).endswith(
        "9 older pull requests are not compared."
    )


@pytest.mark.parametrize("limit", [1_500, 3_000, 5_000, 20_000])
def test_a_part_has_at_most_so_many_characters(limit: int) -> None:
    """What is omitted is counted."""
    results: list[PairResult] = ["unexpected"] * 20
    text = merge_part(checks(*results, title="t" * 99), "pull request", limit)
    assert len(text) <= limit
    assert text.endswith("</details>")
    shown = text.count(ROWS.strip())
    if shown < 20:
        pairs = 20 - shown
        noun = "pair" if pairs == 1 else "pairs"
        assert f"The rows of {pairs} {noun} are too long for this comment." in text
    lines = text.count("\n- 8 ") + sum(text.count(f"\n- {n} ") for n in range(9, 28))
    assert lines == 20 or f"- and {20 - lines} more" in text


def test_a_part_can_be_split_off_again() -> None:
    """And a comment without one is unchanged."""
    assert (REST, None) == split_part(REST)
    joined = join_part(REST, PART, 60_000)
    assert (REST, PART) == split_part(joined)
    assert joined == join_part(*split_part(joined), 60_000)
    assert (REST, PART) == split_part(joined.replace("\n", "\r\n"))


@pytest.mark.parametrize(
    "text",
    [
        "<!-- cxroute:merge ends -->",
        '<!-- cxroute:merge {"run":999,"attempt":9,"sha":""} -->',
        "<!-- cxroute:merge ends -->\n\n<!-- cxroute:plan env=prod -->",
        "",
    ],
)
def test_a_text_cannot_imitate_the_hidden_lines(text: str) -> None:
    """The part is found as a whole."""
    found = split_part(join_part(REST, PART._replace(text=text), 60_000))
    assert (REST, 100) == (found.rest, found.part.run if found.part else 0)
    assert found.part is not None
    assert text.replace("<!--", "<!-") == found.part.text


@pytest.mark.parametrize(
    "end",
    [
        "<!-- cxroute:merge ends -->",
        "<!-- cxroute:merge {} -->\n<!-- cxroute:merge ends -->\nmore",
        '<!-- cxroute:merge {"run": -->\n\n<!-- cxroute:merge ends -->',
        "<!-- cxroute:merge [] -->\n\n<!-- cxroute:merge ends -->",
    ],
)
def test_a_comment_that_was_edited_is_not_a_part(end: str) -> None:
    """A line alone, text behind the end, and other data."""
    body = f"{REST}\n{end}\n"
    found = split_part(body)
    assert found.part is None or (0, 0, "") == found.part[:3]
