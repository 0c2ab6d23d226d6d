"""The limits of the comment: with any number of changes and any names it fits, and the main parts
come first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from unittest.mock import patch

import pytest

from reconciler.core.behaviour.space.clauses import Clause
from reconciler.core.model.finding import Finding
from reconciler.core.model.rule import Condition, make_condition
from reconciler.render.markdown import plan as comment
from reconciler.render.markdown.plan import (
    DETAIL_LEVELS,
    MAX_BYTES,
    MAX_CHARACTERS,
    DetailLevel,
    render_markdown,
)
from reconciler.render.provenance import Provenance
from reconciler.render.routing_map import Lane
from reconciler.render.summary import PlanSummary
from tests.support.builders import address, rule
from tests.support.parsed_html import parse_as_github
from tests.support.plan_formats import as_markdown
from tests.support.plans import large_plan, summary_of, with_unproven_regions
from tests.support.work_bounds import takes_at_most

HEADS = (
    ["Callers", "Today", "Afterwards"],
    ["Today", "Afterwards", "Intents", "Rules"],
)
WIDE = "\U0001f600" * 40
LADEN = pytest.mark.parametrize(
    "name", ["", "| `a` [b] ", WIDE], ids=["plain", "hostile", "wide"]
)


@pytest.mark.fast_cases(1)
@LADEN
@pytest.mark.parametrize("count", [5, 60, 200, 1_000])
def test_a_comment_of_any_plan_fits(count: int, name: str) -> None:
    """60,000 characters and 200,000 bytes hold the counts, the refusals and the effects of any
    plan.
    """
    text = as_markdown(large_plan(count, name))
    assert len(text) <= MAX_CHARACTERS
    assert len(text.encode()) <= MAX_BYTES
    says_the_main_things(text, count)


@pytest.mark.campaign
def test_ten_thousand_changes_fit() -> None:
    """A comment has the number of all changes and the names of some."""
    text = as_markdown(large_plan(10_000))
    assert len(text) <= MAX_CHARACTERS
    says_the_main_things(text, 10_000)
    assert re.search(r"and [0-9,]+ more rows: see the report.", text)


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("level", range(len(DETAIL_LEVELS)))
@LADEN
def test_each_level_has_the_main_parts(level: int, name: str) -> None:
    """With room for exactly one level of detail, the comment is that level, or a more detailed one
    of that length.
    """
    created = summary_of(large_plan(200, name))
    expected = written(created, DETAIL_LEVELS[level])
    unhurried = tuple(replace(level, wanted=MAX_BYTES) for level in DETAIL_LEVELS)
    with patch.object(comment, "DETAIL_LEVELS", unhurried):
        text = render_markdown(
            *created, characters=len(expected), size=len(expected.encode())
        )
    assert len(text) <= len(expected)
    assert text in [written(created, item) for item in DETAIL_LEVELS[: level + 1]]
    says_the_main_things(text, 200)


def test_bytes_are_limited_too() -> None:
    """A text of wide characters has room for fewer of them."""
    created = summary_of(large_plan(200, WIDE))
    text = render_markdown(*created)
    less = render_markdown(*created, size=len(text.encode()) - 1)
    assert len(less.encode()) < len(text.encode())
    assert [] == parse_as_github(less).unclosed


@pytest.mark.slow
def test_a_thousand_changes_are_written_quickly() -> None:
    """A fifth of the allowed two seconds; asserted: the time of 80,000 plain rules, about two
    seconds.
    """
    created = summary_of(large_plan(1_000, WIDE))
    with takes_at_most(rules=80_000):
        render_markdown(*created)


@pytest.mark.slow
def test_less_detail_is_shorter() -> None:
    """Each level of detail omits more than the level before, or accepts a longer comment."""
    created = summary_of(large_plan(1_000))
    sizes = [len(written(created, level)) for level in DETAIL_LEVELS]
    assert sorted(sizes, reverse=True) == sizes
    assert len(DETAIL_LEVELS) - 1 == len(set(sizes))


@pytest.mark.slow
@pytest.mark.parametrize("sign", ["|", "`", "[", "@", "\U0001f600", "a b "])
def test_the_longest_names_fit(sign: str) -> None:
    """Rows that are too long are counted, and findings and guards cut, before a comment exceeds
    GitHub's limit.
    """
    name = sign * 2_000
    created = large_plan(40, name)
    broad = rule(
        "broad",
        conditions=[make_condition(f"{name}{n}", "equals", name) for n in range(30)],
    )
    clauses = tuple(
        Clause(condition)
        for condition in broad.conditions
        if isinstance(condition, Condition)
    )
    finding = Finding(
        code="CXR301",
        severity="error",
        message=name,
        hint=name,
        address=address("cards/r1"),
    )
    worst = replace(
        with_unproven_regions(created, *[clauses] * 9), findings=(finding,) * 99
    )
    text = as_markdown(worst)
    assert len(text) <= MAX_CHARACTERS
    assert len(text.encode()) <= MAX_BYTES
    says_the_main_things(text, 40)


def says_the_main_things(text: str, count: int) -> None:
    """Assert that the refusals are before the effects, and these before the number of changed
    rules.
    """
    page = parse_as_github(text)
    assert [] == page.unclosed
    assert page.rows()[0][0] in HEADS
    created, deleted = (
        sum(1 for n in range(count) if n % 6 == rest) for rest in (1, 0)
    )
    head = f"| {page.rows()[0][0][0]} | "
    message = [
        "Apply will refuse this plan",
        f"deletes {deleted} of",
        head,
        f"{created:,} to create",
        "guard.allow",
    ]
    assert sorted(map(text.index, message)) == [text.index(item) for item in message]
    assert (
        f"{count - created - deleted:,} to update, {deleted:,} to delete"
        in page.text_inside("strong")
    )


def written(
    made: tuple[PlanSummary, Sequence[Lane], Provenance], level: DetailLevel
) -> str:
    """Return the comment at one level of detail, without other limits."""
    with patch.object(comment, "DETAIL_LEVELS", (level,)):
        return render_markdown(*made, characters=0)
