"""A plan in the forms that are read elsewhere than in a terminal: a comment, a page, annotations; and all at once."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Final

from reconciler.cli.ci import facts, rooted
from reconciler.cli.files import write_whole
from reconciler.render.colour import no_style
from reconciler.render.github_annotations import annotate_findings, quote_for_runner
from reconciler.render.markdown.plan import render_markdown
from reconciler.render.routing_map import RoutingMap, build_routing_map
from reconciler.render.summary import summarize_plan
from reconciler.render.text.plan import plan_text
from reconciler.text.redact import REDACTOR

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.cli.session import Session
    from reconciler.plan.plan import Plan
    from reconciler.render.provenance import Provenance


_MOST_CASES: Final = 1_000
"""Of who is affected, in a page: it folds what nobody reads at once."""


def as_markdown(session: Session, made: Plan) -> str:
    """Return the plan as a pull-request comment."""
    return render_markdown(summarize_plan(made, session.tenant), build_routing_map(made), facts(made, session.banner))


def as_html(session: Session, made: Plan) -> str:
    """Return the plan as one page that needs nothing else."""
    return _page(session, made, build_routing_map(made), facts(made, session.banner))


def _page(session: Session, made: Plan, routing: RoutingMap, known: Provenance) -> str:
    from reconciler.render.html import render_html  # noqa: PLC0415 - jinja2 is slow to import, and as good as never needed

    return render_html(summarize_plan(made, session.tenant, _MOST_CASES), routing, known)


def as_github(session: Session, made: Plan) -> str:
    """Return the plan for a workflow's log, where no name is taken for a command, and its findings as annotations."""
    text = plan_text(session.brief(made), no_style, session.tenant, session.most)
    return (
        session.banner
        + quote_for_runner(text, token_hex(16))
        + annotate_findings(rooted((*made.failed_tests, *made.findings)), "listed above")
    )


FORMS: Final[dict[str, Callable[[Session, Plan], str]]] = {
    "markdown": as_markdown,
    "html": as_html,
    "github": as_github,
}


def report(session: Session, made: Plan, folder: Path) -> None:
    """Write plan.md and plan.html into a folder."""
    routing, known = build_routing_map(made), facts(made, session.banner)
    comment = render_markdown(summarize_plan(made, session.tenant), routing, known)
    write_whole(folder / "plan.md", REDACTOR.redact(comment))
    write_whole(folder / "plan.html", REDACTOR.redact(_page(session, made, routing, known)))
