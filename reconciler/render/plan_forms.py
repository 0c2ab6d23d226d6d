"""The forms of a plan, by the value of `--format` of `plan` and `show`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from reconciler.core.model.finding import Document
from reconciler.render.colour import no_style
from reconciler.render.environment_list import (
    JoinEnvironments,
    join_as_json,
    join_for_comment,
    join_for_log,
    join_for_terminal,
)
from reconciler.render.github_annotations import (
    annotate_findings,
    annotate_headline,
    quote_for_runner,
)
from reconciler.render.limits import ALL_ROWS
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.printed_plan import PrintedPlan
from reconciler.render.text.plan import brief_summary_text, summary_text


@dataclass(frozen=True, slots=True)
class PlanForm:
    """A form of a plan: its text, its place in the report of several environments, its help."""

    write: Callable[[PrintedPlan], str | Document]
    """Returns a text, or a document that is printed as JSON."""
    join: JoinEnvironments | None  # None: it shows a single environment
    purpose: str = ""  # for the help; empty if the name of the form says it


def as_text(report: PrintedPlan) -> str:
    """Return the plan for a terminal."""
    limits = report.limits
    summary = report.summary(limits.values, limits.extent)
    if report.length == "brief":
        text = brief_summary_text(summary, report.style)
    else:
        text = summary_text(summary, report.style, limits)
    return f"{report.banner()}{text}"


def as_json(report: PrintedPlan) -> Document:
    """Return the plan as a document."""
    return report.document()


def as_markdown(report: PrintedPlan) -> str:
    """Return the comment of a pull request."""
    view = report.view()
    return render_markdown(view.summary, view.lanes, view.provenance)


def as_html(report: PrintedPlan) -> str:
    """Return the page."""
    from reconciler.render.html import render_html  # noqa: PLC0415 - needed for a page alone

    view = report.view()
    return render_html(view.summary, view.provenance)


def as_github(report: PrintedPlan) -> str:
    """Return the plan for a workflow's log, its headline, and its findings as annotations.

    The text of the plan contains no workflow command.
    """
    limits = report.limits
    summary = report.summary(limits.values, "all")
    text = summary_text(summary, no_style, replace(limits, warnings=ALL_ROWS))
    quoted = quote_for_runner(text, report.token)

    headline = summary.effects.headline if summary.effects else ""
    notice = ""
    if headline:
        notice = annotate_headline(f"Plan for {summary.environment}", headline)
    annotations = annotate_findings(report.findings(), "listed above")
    return f"{report.banner()}{quoted}{notice}{annotations}"


FORMS: Final[Mapping[str, PlanForm]] = {
    "text": PlanForm(as_text, join_for_terminal),
    "json": PlanForm(as_json, join_as_json),
    "markdown": PlanForm(as_markdown, join_for_comment, "a pull request's comment"),
    "html": PlanForm(as_html, None, "one page"),
    "github": PlanForm(as_github, join_for_log, "annotations"),
}
"""The forms by the value of `--format`, in the order of the help."""
