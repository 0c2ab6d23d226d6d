"""Every format of a plan, compared with tests/golden; `python -m tests.render.test_golden` writes
the files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest

from reconciler.core.plan import document as saved_plan
from reconciler.core.plan.stages import Plan
from reconciler.render.effects import OTHERS_UNCHANGED
from tests.support.cases import each_case
from tests.support.effect_tables import plain as squeezed
from tests.support.effect_tables import read_tables, told_tables
from tests.support.parsed_html import parse_as_github, parse_html
from tests.support.plan_formats import (
    FORMS,
    as_details,
    as_html,
    as_json,
    as_markdown,
    as_text,
)
from tests.support.plans import empty_plan, plan_of_everything, plan_of_many, summary_of

GOLDEN: Final = Path(__file__).parents[1] / "golden"
PLANS: Final[dict[str, Callable[[], Plan]]] = {
    "everything": plan_of_everything,
    "many": plan_of_many,
    "empty": empty_plan,
}


@cache
def written() -> dict[str, str]:
    """Return every file's name and content, without a version, so that a release changes no
    file.
    """
    with patch.object(saved_plan, "__version__", "0.0.0"):
        # copies, because a plan remembers its id, which contains the version
        created = {name: replace(build()) for name, build in PLANS.items()}
        return {
            f"{name}.{end}": form(item)
            for name, item in created.items()
            for end, form in FORMS.items()
        }


@each_case("name", [f"{name}.{end}" for name in PLANS for end in FORMS])
def test_every_format_reads_like_this(name: str) -> None:
    """Every format of a plan with all parts, of one with more rows than the limit, and of an empty
    one.
    """
    assert (GOLDEN / name).read_text(encoding="utf-8") == written()[name]


def test_no_other_file_is_kept() -> None:
    """A deleted format leaves no file."""
    assert set(written()) == {path.name for path in GOLDEN.iterdir()}


PLAN = pytest.mark.parametrize("build", PLANS.values(), ids=PLANS)


@PLAN
def test_every_format_has_the_same_counts(build: Callable[[], Plan]) -> None:
    """The text, the comment, the page and the JSON document have the same numbers."""
    created = build()
    expected = {
        kind: count
        for kind, count in saved_plan.plan_to_json(created)["summary"].items()
        if kind != "unmanaged"
    }
    printed = [
        as_text(created),
        parse_as_github(as_markdown(created)).text_inside("p"),
        parse_html(as_html(created)).text_inside("section"),
    ]
    assert [expected] * len(printed) == [counts(text) for text in printed]
    assert f'"create": {expected["create"]}' in as_json(created)


@PLAN
def test_every_format_has_the_effects_in_the_same_words(
    build: Callable[[], Plan],
) -> None:
    """Each edit, its rows and notes, in one order; the unknown cases; the proof for all others."""
    created = build()
    effects = summary_of(created)[0].effects
    comment = parse_as_github(as_markdown(created))
    report = parse_html(as_html(created))
    text = squeezed(as_text(created))
    assert told_tables(effects, short=True) == read_tables(comment)
    assert told_tables(effects, short=False) == read_tables(report)
    for row in effects.rows if effects and not effects.flows else ():
        assert squeezed(row.short_callers) in text
        assert squeezed(row.short_route) in text

    for message in [OTHERS_UNCHANGED, *(effects.unknown if effects else ())]:
        present = bool(effects and (message != OTHERS_UNCHANGED or effects.closing))
        for form in (
            squeezed(comment.text_inside("p") + comment.text_inside("li")),
            squeezed(report.text_inside("section")),
            text,
        ):
            assert present is (squeezed(message) in form)


@PLAN
def test_every_format_has_the_same_refusals_and_findings(
    build: Callable[[], Plan],
) -> None:
    """Refusals, lifted guards with their reasons, findings: the same sentences everywhere."""
    created = build()
    telling = summary_of(created)[0]
    message = [item.message for item in (*telling.conflicts, *telling.notes)]
    message += [refusal.message for refusal in telling.refusals]
    message += [
        text
        for guard in telling.lifted_guards
        for text in (guard.message, guard.reason)
    ]
    message += [
        change.note.removeprefix("not applied: ") for change in telling.held_changes
    ]
    comment = parse_as_github(as_markdown(created))
    report = parse_html(as_html(created))
    for form in (
        as_details(created),
        "".join(comment.texts_outside("pre")),
        report.text_inside("main"),
    ):
        assert [] == [item for item in message if plain(item) not in plain(form)]


def plain(text: str) -> str:
    """Return a text without quotes and line ends, and with drawn arrows."""
    for typed, drawn in (("->", "→"), (">=", "≥"), ("<=", "≤")):
        text = text.replace(typed, drawn)
    return " ".join(re.sub("[\"'`]", "", text).split())


def counts(text: str) -> dict[str, int]:
    """Return the number of changes of each kind and of unchanged rules in a text."""
    actual = dict.fromkeys(
        ("create", "update", "adopt", "delete", "unchanged", "held"), 0
    )
    message = re.findall(
        r"([\d,]+) to (create|update|adopt|delete)|([\d,]+) (unchanged|held)|([\d,]+) rules? in",
        text,
    )
    for changed, kind, stays, state, match in message:
        actual[kind or ("held" if state == "held" else "unchanged")] = int(
            (changed or stays or match).replace(",", "")
        )
    return actual


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for file, content in written().items():
        (GOLDEN / file).write_text(content, encoding="utf-8")
