"""Every format of a plan, compared with tests/golden; `python -m tests.render.test_golden` writes the files."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final
from unittest.mock import patch

import pytest
from reconciler.render.impact import OTHERS_UNCHANGED

from reconciler.plan import document as saved_plan
from reconciler.plan.plan import Plan
from tests.support.parsed_html import Page, parse_as_github, parse_html
from tests.support.plan_formats import FORMS, as_html, as_json, as_markdown, as_text
from tests.support.plans import empty_plan, plan_of_everything, plan_of_many, summary_of

GOLDEN: Final = Path(__file__).parents[1] / "golden"
PLANS: Final[dict[str, Callable[[], Plan]]] = {
    "everything": plan_of_everything,
    "many": plan_of_many,
    "empty": empty_plan,
}


@cache
def written() -> dict[str, str]:
    """Return every file's name and content, without a version, so that a release changes no file."""
    with patch.object(saved_plan, "__version__", "0.0.0"):
        made = {name: build() for name, build in PLANS.items()}
        return {f"{name}.{end}": form(one) for name, one in made.items() for end, form in FORMS.items()}


@pytest.mark.parametrize("name", [f"{name}.{end}" for name in PLANS for end in FORMS])
def test_every_format_reads_like_this(name: str) -> None:
    """Every format of a plan with all parts, of one with more rows than the limit, and of an empty one."""
    assert (GOLDEN / name).read_text(encoding="utf-8") == written()[name]


def test_no_other_file_is_kept() -> None:
    """A deleted format leaves no file."""
    assert set(written()) == {path.name for path in GOLDEN.iterdir()}


PLAN = pytest.mark.parametrize("build", PLANS.values(), ids=PLANS)


@PLAN
def test_every_format_has_the_same_counts(build: Callable[[], Plan]) -> None:
    """The text, the comment, the page and the JSON document have the same numbers."""
    made = build()
    expected = {kind: count for kind, count in saved_plan.plan_to_json(made)["summary"].items() if kind != "unmanaged"}
    shown = [
        as_text(made),
        parse_as_github(as_markdown(made)).text_inside("p"),
        parse_html(as_html(made)).text_inside("section"),
    ]
    assert [expected] * len(shown) == [counts(text) for text in shown]
    assert f'"create": {expected["create"]}' in as_json(made)


@PLAN
def test_every_format_has_the_impact_in_the_same_words(build: Callable[[], Plan]) -> None:
    """Callers, origin, destination and share of each row, in one order; the unknown cases; the proof for all others."""
    made = build()
    who = summary_of(made)[0].impact
    cases = (
        [[plain(one) for one in (case.callers, case.origin, case.destination, case.share) if one] for case in who.cases]
        if who
        else []
    )
    comment, report, text = parse_as_github(as_markdown(made)), parse_html(as_html(made)), plain(as_text(made))
    assert cases == rows(comment)
    assert cases == rows(report)
    for case in cases:
        assert f"{case[0]}" in text
        assert f"{case[1]} → {case[2]}" in text
    for said in [OTHERS_UNCHANGED, *(who.unknown if who else ())]:
        present = bool(who and (said != OTHERS_UNCHANGED or (who.cases and not who.unknown)))
        for form in (
            plain(comment.text_inside("p") + comment.text_inside("li")),
            plain(report.text_inside("section")),
            text,
        ):
            assert present is (plain(said) in form)


@PLAN
def test_every_format_has_the_same_refusals_and_findings(build: Callable[[], Plan]) -> None:
    """Refusals, lifted guards with their reasons, findings: the same sentences everywhere."""
    made = build()
    telling = summary_of(made)[0]
    said = [one.message for one in (*telling.conflicts, *telling.notes)]
    said += [one.message for one in telling.refusals]
    said += [text for one in telling.lifted_guards for text in (one.message, one.reason)]
    said += [change.note.removeprefix("not applied: ") for change in telling.held_changes]
    comment, report = parse_as_github(as_markdown(made)), parse_html(as_html(made))
    for form in (as_text(made), "".join(comment.texts_outside("pre")), report.text_inside("main")):
        assert [] == [one for one in said if plain(one) not in plain(form)]


def rows(read: Page) -> list[list[str]]:
    """Return the rows of the impact table, if there is one, without the collapsed part of a cell."""
    tables = [table for table in read.rows() if table[0][0] == "Callers"]
    return [[plain(cell.split("\nexample")[0]) for cell in row] for row in tables[0][1:]] if tables else []


def plain(text: str) -> str:
    """Return a text without quotes and line ends, and with drawn arrows."""
    for typed, drawn in (("->", "→"), (">=", "≥"), ("<=", "≤")):
        text = text.replace(typed, drawn)
    return " ".join(re.sub("[\"'`]", "", text).split())


def counts(text: str) -> dict[str, int]:
    """Return the number of changes of each kind and of unchanged rules in a text."""
    found = dict.fromkeys(("create", "update", "adopt", "delete", "unchanged", "held"), 0)
    said = re.findall(r"([\d,]+) to (create|update|adopt|delete)|([\d,]+) (unchanged|held)|([\d,]+) rules? in", text)
    for changed, kind, stays, state, match in said:
        found[kind or ("held" if state == "held" else "unchanged")] = int((changed or stays or match).replace(",", ""))
    return found


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for path in GOLDEN.iterdir():
        path.unlink()
    for file, content in written().items():
        (GOLDEN / file).write_text(content, encoding="utf-8")
