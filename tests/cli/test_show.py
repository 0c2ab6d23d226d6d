"""`show` prints a saved plan in every form, as `plan` printed it; another file is refused, and its
texts are data.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest

from reconciler.cli.commands import plan as plan_command
from reconciler.cli.commands import show as show_command
from reconciler.core.plan.document import plan_to_json
from reconciler.core.text.redact import REDACTOR
from reconciler.render.colour import no_style
from reconciler.render.html import render_html
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.plan_forms import FORMS
from reconciler.render.plan_view import _digest, build_view, read_view, view_to_json
from reconciler.render.text.plan import TextLimits, plan_text, summary_text
from tests.support.plan_formats import as_html, as_markdown
from tests.support.plans import (
    FACTS,
    TENANT,
    empty_plan,
    hostile_plan,
    large_plan,
    plan_of_everything,
    plan_of_many,
)
from tests.support.program import write

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.core.plan.stages import Plan
    from tests.support.program import Program

PLANS: dict[str, Callable[[], Plan]] = {
    "empty": empty_plan,
    "everything": plan_of_everything,
    "many": plan_of_many,
    "hostile": lambda: hostile_plan("<b>x</b> | `y` [z](http://a.example)"),
    "large": lambda: large_plan(300),
}
TOKEN = "0123456789abcdef"


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize("name", PLANS)
def test_a_view_prints_what_its_plan_prints(name: str) -> None:
    """Text, Markdown and HTML of each fixture, after the view was written as JSON and read back."""
    plan = PLANS[name]()
    form = plan_to_json(plan)
    view = build_view(plan, TENANT, FACTS, "")
    stored = json.loads(
        json.dumps(
            {**form, "view": view_to_json(view, form["planId"], REDACTOR.redact_json)}
        )
    )
    again = read_view(stored, "plan.json")
    assert plan_text(plan, no_style, TENANT) == summary_text(
        again.summary, no_style, TextLimits()
    )
    assert as_markdown(plan) == render_markdown(
        again.summary, again.lanes, again.provenance
    )
    page = view.summary.__class__
    assert isinstance(again.summary, page)
    assert render_html(view.summary, FACTS) == render_html(
        again.summary, again.provenance
    )
    assert as_html(plan) == render_html(again.summary, again.provenance)


@pytest.fixture
def saved(cxroute: Program) -> Program:
    """A saved plan with changes, a lifted guard and findings."""
    assert 0 == cxroute("init")
    assert 0 == cxroute("apply", "--yes")
    write(
        "more.yaml",
        "{apiVersion: routing/v1, kind: RuleSet, name: more, rules: [{intent: z, queue: "
        "nowhere}]}\n",
    )
    return cxroute


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "options",
    [[], ["-v"], ["-q"], ["--color", "always"]],
    ids=["plain", "-v", "-q", "colours"],
)
@pytest.mark.parametrize("form", FORMS)
def test_show_prints_what_plan_printed(
    saved: Program, form: str, options: list[str]
) -> None:
    """Byte for byte, in each form, without reading manifests or a tenant."""
    with (
        patch.object(plan_command, "token_hex", lambda _size: TOKEN),
        patch.object(show_command, "token_hex", lambda _size: TOKEN),
    ):
        assert 0 == saved("plan", "--out", "saved.json", "--format", form, *options)
        printed = saved.out
        Path("manifests").rename("away")
        assert 0 == saved("show", "saved.json", "--format", form, *options), saved.err
        assert printed == saved.out


def test_a_plan_of_a_report_can_be_shown(saved: Program) -> None:
    """`plan.json` of `--report` too."""
    assert 0 == saved("plan", "--report", "out", "--format", "markdown")
    printed = Path("out/plan.md").read_text(encoding="utf-8")
    assert 0 == saved("show", "out/plan.json", "--format", "markdown")
    assert printed.replace(" and explore.html", "") == saved.out


def test_one_of_several_plans_is_shown(saved: Program) -> None:
    """A file of several environments needs `-e`."""
    write(
        "environments/prod.yaml",
        "{apiVersion: routing/v1, kind: Environment, name: prod, owner: acme, tenant: a}\n",
    )
    saved("plan", "-e", "sandbox,prod", "--out", "all.json")
    assert 64 == saved("show", "all.json")
    assert (
        "all.json has several plans: specify -e with one of sandbox, prod" in saved.err
    )
    assert 0 == saved("show", "all.json", "-e", "sandbox")
    assert "Plan for sandbox" in saved.out
    assert 64 == saved("show", "all.json", "-e", "prod")


def change(path: str, edit: Any) -> None:
    """Change a saved plan, with matching digests as an attacker would write them."""
    from reconciler.core.plan.document import digest_document  # noqa: PLC0415 - only here

    form = json.loads(Path(path).read_text(encoding="utf-8"))
    edit(form)
    form["planId"] = digest_document(form)
    if isinstance(form.get("view"), dict):
        form["view"]["digest"] = _digest(form["view"]["content"], form["planId"])
    Path(path).write_text(json.dumps(form), encoding="utf-8")


def test_a_newer_format_is_refused(saved: Program) -> None:
    """A plan of a later major version: exit 4, and what to do."""
    assert 0 == saved("plan", "--out", "saved.json")
    change("saved.json", lambda form: form.update(formatVersion="2.0"))
    assert 4 == saved("show", "saved.json")
    assert "created by another major version of cxroute" in saved.err


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "no",
        '{"environments": []}',
        '{"formatVersion": "1.0"}',
        "[" * 100_000,
    ],
)
def test_another_file_is_refused(saved: Program, text: str) -> None:
    """Exit 64, and no traceback."""
    Path("saved.json").write_text(text)
    assert 64 == saved("show", "saved.json")
    assert "bug in cxroute" not in saved.err


def test_an_edited_file_is_refused(saved: Program) -> None:
    """Texts that do not belong to the plan are not printed."""
    assert 0 == saved("plan", "--out", "saved.json")
    text = Path("saved.json").read_text(encoding="utf-8")
    Path("saved.json").write_text(
        text.replace('"totals_text": "Plan', '"totals_text": "No changes. Plan')
    )
    assert 64 == saved("show", "saved.json")
    assert "was changed after it was created" in saved.err


def test_a_file_without_texts_says_how_to_make_one(saved: Program) -> None:
    """A plan of an earlier version can be shown as JSON alone."""
    assert 0 == saved("plan", "--out", "saved.json")
    change("saved.json", lambda form: form.pop("view"))
    assert 64 == saved("show", "saved.json")
    assert (
        "holds no printable plan. Create it again with `cxroute plan --out saved.json`"
        in saved.err
    )
    assert 0 == saved("show", "saved.json", "--format", "json")


FINDING = {"code": "CXR221", "severity": "error", "message": 'promise "x" is broken'}
HOSTILE = (
    "\x1b[2J<script>alert(1)</script> ](http://evil) --> `x` ::error::y\n::set-output"
)


def hostile(value: Any) -> Any:
    """Return a document in which every free text is hostile."""
    if isinstance(value, dict):
        return {name: hostile(each) for name, each in value.items()}
    if isinstance(value, list):
        return [hostile(each) for each in value]
    return HOSTILE if isinstance(value, str) and " " in value else value


@pytest.mark.fast_cases(1)
@pytest.mark.parametrize("form", FORMS)
def test_hostile_texts_of_a_file_stay_texts(saved: Program, form: str) -> None:
    """No escape sequence, element, link, comment or workflow command of the file reaches the
    output.
    """
    assert 0 == saved("plan", "--out", "saved.json")

    def poison(document: dict[str, Any]) -> None:
        document["view"]["content"] = hostile(document["view"]["content"])

    change("saved.json", poison)
    saved("show", "saved.json", "--format", form)
    assert "\x1b[2J" not in saved.out
    assert "\n::set-output" not in saved.out
    assert "bug in cxroute" not in saved.err
    if form == "html":
        assert "<script>alert" not in saved.out
    if form == "markdown":
        outside = re.sub(r"(?s)(`{3,}).*?\1", "", saved.out)
        outside = re.sub(r"`[^`\n]*`", "", outside)
        assert "<script>" not in outside
        assert "](http://evil)" not in outside
        assert "-->" not in outside.partition("\n")[2]


@pytest.mark.fast_cases(2)
@pytest.mark.parametrize(
    "edit",
    [
        lambda content: content["summary"]["effects"]["effects"][0].update(sign="<b>"),
        lambda content: content["summary"].update(
            broken_promises=[{**FINDING, "code": "<b>"}]
        ),
        lambda content: content["summary"].update(environment="a --> b"),
        lambda content: content["provenance"]["links"].update(
            run="javascript:alert(1)"
        ),
        lambda content: content["summary"].update(counts={}),
        lambda content: content["summary"].update(changes=5),
        lambda content: content.pop("lanes"),
    ],
)
def test_words_that_only_cxroute_writes_are_checked(saved: Program, edit: Any) -> None:
    """They are printed as they are, so another text there is refused."""
    assert 0 == saved("plan", "--out", "saved.json")
    change("saved.json", lambda form: edit(form["view"]["content"]))
    assert 64 == saved("show", "saved.json", "--format", "markdown")
    assert "saved.json is not a saved plan" in saved.err
