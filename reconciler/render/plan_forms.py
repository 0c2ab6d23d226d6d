"""The forms of a plan, by the value of `--format` of `plan` and `show`: one function for each."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

from reconciler.core.model.finding import Document, Finding
from reconciler.render.colour import Style, no_style
from reconciler.render.effects import Extent
from reconciler.render.github_annotations import (
    annotate_findings,
    annotate_headline,
    quote_for_runner,
)
from reconciler.render.limits import ALL_ROWS
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.plan_view import PlanView
from reconciler.render.summary import PlanSummary
from reconciler.render.text.plan import TextLimits, brief_summary_text, summary_text


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedPlan:
    """What a form prints of a plan: one that was just made, or one that a file contains."""

    banner: str  # the line above it if no tenant was contacted; otherwise empty
    style: Style  # the colours of the terminal
    limits: TextLimits  # how much a screen shows
    length: Literal["brief", "usual"]  # brief: the results alone (-q)
    token: str  # a random text, which no name from outside can contain
    document: Callable[[], Document]
    """Returns the plan as JSON."""
    summary: Callable[[int, Extent], PlanSummary]
    """Returns the plan in words, with so many values of each list."""
    view: Callable[[], PlanView]
    """Returns the plan in words, with its findings and its origin."""
    findings: Callable[[], Sequence[Finding]]
    """Returns its findings, with paths from the top of the repository."""


def as_text(report: PrintedPlan) -> str:
    """Return the plan for a terminal."""
    limits = report.limits
    summary = report.summary(limits.values, limits.extent)
    if report.length == "brief":
        text = brief_summary_text(summary, report.style)
    else:
        text = summary_text(summary, report.style, limits)
    return f"{report.banner}{text}"


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
    return f"{report.banner}{quoted}{notice}{annotations}"


PlanForm = Callable[[PrintedPlan], "str | Document"]
"""Returns a text, or a document that is printed as JSON."""
FORMS: Final[Mapping[str, PlanForm]] = {
    "text": as_text,
    "json": as_json,
    "markdown": as_markdown,
    "html": as_html,
    "github": as_github,
}
"""The forms by the value of `--format`, in the order of the help."""
