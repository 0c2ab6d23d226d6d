"""`cxroute show PLAN`: a saved plan in every form, as `cxroute plan` printed it, without a tenant
and manifests.
"""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from reconciler.cli.advice import environment_hint
from reconciler.cli.ci import relative_to_root
from reconciler.cli.commands.plan import print_form
from reconciler.cli.options import CommonOptions
from reconciler.cli.output import Output
from reconciler.cli.plan_files import read_plan_file
from reconciler.core.errors import UsageError
from reconciler.core.model.finding import Document
from reconciler.core.plan.review import read_saved_plan
from reconciler.core.text.escape import sanitize
from reconciler.render.limits import ALL_ROWS
from reconciler.render.plan_forms import FORMS
from reconciler.render.plan_view import VIEW, PlanView, read_view
from reconciler.render.printed_plan import PrintedPlan
from reconciler.render.text.plan import TextLimits

_ALL: Final = TextLimits(names=ALL_ROWS, verbose=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShowOptions(CommonOptions):
    """The options of `cxroute show`."""

    plan: str


def options(parser: argparse.ArgumentParser) -> type[ShowOptions]:
    add = parser.add_argument
    add(
        "plan",
        metavar="PLAN",
        help="a file that `cxroute plan --out` or `--report` wrote",
    )
    add(
        "--format",
        choices=FORMS,
        default="text",
        help="output format, as of `cxroute plan` (default: text)",
    )
    return ShowOptions


def run(options: ShowOptions, output: Output) -> int:
    """Print the plan.

    Raises UsageError for another file, and RefusedError for a plan of another version.
    """
    name = sanitize(Path(options.plan).name)
    try:
        form = _read(Path(options.plan), name, options.environment)
    except UsageError as error:
        hint = environment_hint(options.plan, options.manifests)
        raise UsageError(f"{error}{hint}") if hint else error from None
    view = cache(lambda: read_view(form, name))
    print_form(_saved_report(form, view, output), output)
    if output.form == "text" and view().next_step:
        output.result(f"{view().next_step}\n")
    return 0


def _saved_report(
    form: Document, view: Callable[[], PlanView], output: Output
) -> PrintedPlan:
    """Return the plan of a file for its forms. Its JSON needs no view."""

    def banner() -> str:
        line = view().provenance.banner
        return f"{line}\n" if line else ""

    return PrintedPlan(
        banner=banner,
        style=output.paint,
        limits=_ALL if output.loudness == "verbose" else TextLimits(),
        length="brief" if output.loudness == "quiet" else "usual",
        token=token_hex(16),
        document=lambda: {
            field: value for field, value in form.items() if field != VIEW
        },
        summary=lambda _values, _extent: view().summary,
        view=view,
        findings=lambda: relative_to_root(view().findings),
    )


def _read(path: Path, name: str, environment: str | None) -> Document:
    """Return the form of the plan in a file, or of the environment's plan in a file of several."""
    form: Any = read_plan_file(path, name)
    if isinstance(form, dict) and isinstance(form.get("environments"), list):
        form = _one_of_several(form["environments"], name, environment)
    read_saved_plan(json.dumps(form), name)
    if environment and form["environment"] != environment:
        raise UsageError(
            f"{name} is a plan for {sanitize(form['environment'])}, not for {environment}"
        )
    return dict(form)


def _one_of_several(
    forms: list[object], name: str, environment: str | None
) -> Document:
    plans = {
        str(each["environment"]): each
        for each in forms
        if isinstance(each, dict) and "environment" in each
    }
    if environment is None or environment not in plans:
        names = ", ".join(map(sanitize, plans))
        raise UsageError(f"{name} has several plans: specify -e with one of {names}")
    plan = plans[environment]
    if "error" in plan:
        raise UsageError(
            f"{name} has no plan for {environment}, because planning failed there"
        )
    return plan
