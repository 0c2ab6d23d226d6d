"""Every format of a plan, as the commands write it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Final, cast
from unittest.mock import patch

from reconciler.cli.commands import plan as plan_command
from reconciler.cli.session import Session
from reconciler.core.plan.document import plan_to_json
from reconciler.core.plan.drift import Drift, find_drift
from reconciler.core.plan.stages import Changes, Plan
from reconciler.render import plan_forms
from reconciler.render.colour import no_style
from reconciler.render.html import render_html
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN
from reconciler.render.markdown import plan as comment
from reconciler.render.markdown.drift import drift_markdown
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.text.drift import DriftCommands, drift_brief, drift_text
from reconciler.render.text.plan import TextLimits, plan_text
from tests.support.plans import FACTS, TENANT, summary_of

TOKEN: Final = "0123456789abcdef0123456789abcdef"


def as_text(made: Plan) -> str:
    """The plan for a terminal, without colours."""
    return plan_text(made, no_style, TENANT)


def as_details(made: Plan) -> str:
    """The plan for a terminal with every changed field, as -v prints it."""
    return plan_text(made, no_style, TENANT, TextLimits(verbose=True))


def printed(form: str, made: Plan) -> str:
    """The plan in a form of `plan`, as a process without a terminal prints it."""
    output = SimpleNamespace(paint=no_style, loudness="normal")
    session = SimpleNamespace(
        limits=TextLimits(), tenant=TENANT, banner="", output=output
    )
    with patch.object(plan_command, "token_hex", lambda _size: TOKEN):
        report = plan_command.plan_report(cast("Session", session), made)
        text = plan_forms.FORMS[form].write(report)
    return text if isinstance(text, str) else json.dumps(text, indent=2) + "\n"


def as_github(made: Plan) -> str:
    """The plan for a workflow's log."""
    return printed("github", made)


def as_markdown(made: Plan) -> str:
    """The plan as a pull request's comment."""
    return render_markdown(*summary_of(made))


def as_whole_markdown(made: Plan) -> str:
    """The comment with every part: one with long names would leave some out."""
    complete = replace(comment.DETAIL_LEVELS[0], wanted=comment.MAX_BYTES)
    with patch.object(comment, "DETAIL_LEVELS", (complete,)):
        return as_markdown(made)


def as_html(made: Plan) -> str:
    """The plan as a page."""
    summary, _, facts = summary_of(made)
    return render_html(summary, facts)


def as_json(made: Plan) -> str:
    """The plan as JSON."""
    return json.dumps(plan_to_json(made), indent=2) + "\n"


def as_drift(made: Changes) -> str:
    """The differences for a terminal."""
    return drift_as_text(find_drift(made))


def drift_as_text(drift: Drift, *, brief: bool = False, verbose: bool = False) -> str:
    """Drift for a terminal, without colours; brief, as `-q` prints it, or with all fields, as `-v`
    does.
    """
    if brief:
        return drift_brief(drift, no_style)
    limit = ALL_ROWS if verbose else MAX_SHOWN
    return drift_text(drift, no_style, DriftCommands(heal, keep), limit)


def as_drift_markdown(made: Changes) -> str:
    """The differences for an issue."""
    return drift_markdown(find_drift(made), TENANT, FACTS, heal(()))


def heal(only: Sequence[str]) -> str:
    """A command that corrects drift."""
    return " ".join(["cxroute apply -e prod", *(f"--only {item}" for item in only)])


def keep(addresses: Sequence[str]) -> str:
    """A command that keeps the live rules."""
    return " ".join(["cxroute export -e prod", *(addresses or ["--all"]), "--write"])


_TESTED: Final[dict[str, Callable[[Plan], str]]] = {
    "txt": as_text,
    "md": as_markdown,
    "html": as_html,
    "json": as_json,
    "drift.txt": as_drift,
    "drift.md": as_drift_markdown,
}


def _file_end(form: str) -> str:
    """Return the end of the golden file of a form of `plan`."""
    ends = {"text": "txt", "markdown": "md", "html": "html", "json": "json"}
    return ends.get(form, f"{form}.txt")


FORMS: Final[dict[str, Callable[[Plan], str]]] = {
    _file_end(name): partial(printed, name) for name in plan_forms.FORMS
} | _TESTED
"""The forms of a plan and those of drift, by the end of the golden file; a new form of a plan needs
no entry.
"""
FOR_PROGRAMS: Final = {"json"}
"""Values of `--format` with names in place of labels, and without sentences: a new one needs an
entry.
"""
FOR_PEOPLE: Final = [form for form in plan_forms.FORMS if form not in FOR_PROGRAMS]
PROGRAM_FILES: Final = {_file_end(form) for form in FOR_PROGRAMS}
"""The ends of the golden files of those for programs."""
