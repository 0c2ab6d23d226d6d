"""A plan in the forms that are read elsewhere than in a terminal: a comment, a page, annotations; and all at once."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Final

from reconciler.cli.ci import facts, rooted
from reconciler.cli.files import write_whole
from reconciler.render.colour import colourless
from reconciler.render.github_annotations import annotated, quoted
from reconciler.render.markdown.plan import markdown
from reconciler.render.routing_map import RoutingMap, routing_map
from reconciler.render.summary import telling
from reconciler.render.text.plan import plan_text
from reconciler.text.redact import DISCRETION

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from reconciler.cli.session import Session
    from reconciler.plan.plan import Plan
    from reconciler.render.provenance import Facts


_MOST_CASES: Final = 1_000
"""Of who is affected, in a page: it folds what nobody reads at once."""


def as_markdown(session: Session, made: Plan) -> str:
    """Return the plan as a pull-request comment."""
    return markdown(telling(made, session.tenant), routing_map(made), facts(made, session.banner))


def as_html(session: Session, made: Plan) -> str:
    """Return the plan as one page that needs nothing else."""
    return _page(session, made, routing_map(made), facts(made, session.banner))


def _page(session: Session, made: Plan, routing: RoutingMap, known: Facts) -> str:
    from reconciler.render.html import html  # noqa: PLC0415 - jinja2 is slow to import, and as good as never needed

    return html(telling(made, session.tenant, _MOST_CASES), routing, known)


def as_github(session: Session, made: Plan) -> str:
    """Return the plan for a workflow's log, where no name is taken for a command, and its findings as annotations."""
    text = plan_text(session.terminal.without_infos(made), colourless, session.tenant, session.terminal.max_cases)
    return (
        session.banner
        + quoted(text, token_hex(16))
        + annotated(rooted((*made.failed_tests, *made.findings)), "listed above")
    )


FORMS: Final[dict[str, Callable[[Session, Plan], str]]] = {
    "markdown": as_markdown,
    "html": as_html,
    "github": as_github,
}


def report(session: Session, made: Plan, folder: Path) -> None:
    """Write plan.md and plan.html into a folder."""
    routing, known = routing_map(made), facts(made, session.banner)
    comment = markdown(telling(made, session.tenant), routing, known)
    write_whole(folder / "plan.md", DISCRETION.hide(comment))
    write_whole(folder / "plan.html", DISCRETION.hide(_page(session, made, routing, known)))
