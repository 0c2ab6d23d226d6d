"""`cxroute show PLAN`: a saved plan in every form, as `cxroute plan` printed it, without a tenant
and manifests.
"""

import argparse
import json
from pathlib import Path
from typing import Final

from reconciler.cli.advice import environment_hint
from reconciler.cli.commands.plan import FORMS, github_log
from reconciler.cli.output import Output
from reconciler.core.errors import UsageError
from reconciler.core.model.finding import Document
from reconciler.core.plan.review import read_saved_plan
from reconciler.core.text.escape import sanitize
from reconciler.core.text.files import MIB, read_text
from reconciler.render.html import render_html
from reconciler.render.limits import ALL_ROWS
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.plan_view import VIEW, PlanView, read_view
from reconciler.render.text.plan import TextLimits, brief_summary_text, summary_text

_LARGEST: Final = 128 * MIB
_ALL: Final = TextLimits(names=ALL_ROWS, verbose=True)


def options(parser: argparse.ArgumentParser) -> None:
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


def run(options: argparse.Namespace, output: Output) -> int:
    """Print the plan.

    Raises UsageError for another file, and RefusedError for a plan of another version.
    """
    name = sanitize(Path(options.plan).name)
    try:
        form = _read(Path(options.plan), name, options.environment)
    except UsageError as error:
        hint = environment_hint(options.plan, options.manifests)
        raise UsageError(f"{error}{hint}") if hint else error from None
    if output.form == "json":
        output.document(
            {field: value for field, value in form.items() if field != VIEW}
        )
        return 0
    view = read_view(form, name)
    if output.form == "html":
        output.result(render_html(view.summary, view.provenance))
    elif output.form == "markdown":
        output.result(render_markdown(view.summary, view.lanes, view.provenance))
    else:
        _print_text(view, output)
    return 0


def _print_text(view: PlanView, output: Output) -> None:
    banner = view.provenance.banner
    if banner:
        banner = f"{banner}\n"
    limits = _ALL if output.loudness == "verbose" else TextLimits()
    if output.form == "github":
        output.result(github_log(banner, view.summary, limits, view.findings))
        return
    if output.loudness == "quiet":
        text = brief_summary_text(view.summary, output.paint)
    else:
        text = summary_text(view.summary, output.paint, limits)
    output.result(f"{banner}{text}")
    output.result(f"{view.next_step}\n" if view.next_step else "")


def _read(path: Path, name: str, environment: str | None) -> Document:
    """Return the form of the plan in a file, or of the environment's plan in a file of several."""
    try:
        form = json.loads(read_text(path, _LARGEST))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise UsageError(
            f"cannot read {name}: {reason}. Create a plan with `cxroute plan --out FILE`"
        ) from None
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
