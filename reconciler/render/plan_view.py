"""A plan in words, stored in a saved plan, so that `cxroute show` prints it as `cxroute plan` did.

The file is untrusted: what it says is data. Every text is escaped when it is read, and each form
escapes it again.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from reconciler.core.errors import UsageError
from reconciler.core.manifest.kinds.fields import ENVIRONMENT
from reconciler.core.model.finding import Document, Finding
from reconciler.core.model.rule import CANONICAL_JSON
from reconciler.core.plan.document import COUNTED_ACTIONS
from reconciler.core.plan.stages import Plan
from reconciler.core.text.escape import escape_invisible
from reconciler.render.edited_dates import DateText, is_date_text
from reconciler.render.later import is_readable_time
from reconciler.render.provenance import Provenance
from reconciler.render.routing_map import Lane, build_routing_map
from reconciler.render.summary import PlanSummary, summarize_plan

VIEW: Final = "view"  # the field of a saved plan
_MAX_DEPTH: Final = 12
_CODE: Final = re.compile("CXR[0-9]{3}")
_ENVIRONMENT: Final = re.compile(ENVIRONMENT)
_PAGE: Final = re.compile(r"https?://[^\s<>\"'()]+|")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """Everything that the forms of a plan print."""

    summary: PlanSummary
    lanes: tuple[Lane, ...]
    findings: tuple[Finding, ...]  # for annotations: failed tests and all findings
    provenance: Provenance
    next_step: str = ""


def build_view(
    plan: Plan, tenant: str, provenance: Provenance, next_step: str
) -> PlanView:
    """Return the view of a plan."""
    return PlanView(
        summary=summarize_plan(plan, tenant),
        lanes=tuple(build_routing_map(plan)),
        findings=(*plan.failed_tests, *plan.findings),
        provenance=provenance,
        next_step=next_step,
    )


def view_to_json(
    view: PlanView, plan_id: str, redact: Callable[[Any], Any]
) -> Document:
    """Return the view as JSON without secrets, with a digest that binds it to the plan."""
    form = redact(_adapter().dump_python(view, mode="json"))
    if view.summary.later is None:
        del form["summary"]["later"]
    if view.summary.edited_dates is None:
        del form["summary"]["edited_dates"]
    return {"digest": _digest(form, plan_id), "content": form}


def read_view(form: Document, name: str) -> PlanView:
    """Return the view of a saved plan.

    Raises UsageError for a file without one, or with another one.
    """
    stored = form.get(VIEW)
    if not isinstance(stored, dict) or not isinstance(stored.get("content"), dict):
        raise UsageError(
            f"{name} holds no printable plan. Create it again with `cxroute plan --out {name}`"
        )
    if stored.get("digest") != _digest(stored["content"], form.get("planId")):
        raise UsageError(
            f"{name} was changed after it was created. Create it again with `cxroute plan --out "
            f"{name}`"
        )
    unread = f"{name} is not a saved plan. Create one with `cxroute plan --out {name}`"
    try:
        view = _adapter().validate_python(_escaped(stored["content"]))
    except (ValidationError, RecursionError):
        raise UsageError(unread) from None
    if not _has_known_words(view):
        raise UsageError(unread)
    return view


def _has_known_words(view: PlanView) -> bool:
    """Return whether the words that only cxroute writes, and that the forms print as they are, can
    be its own.
    """
    links = view.provenance.links
    pages = (links.repository, links.run)
    counted = {*COUNTED_ACTIONS, "unchanged", "held"}
    return (
        all(_PAGE.fullmatch(page) for page in pages)
        and all(_CODE.fullmatch(finding.code) for finding in _findings(view))
        and _ENVIRONMENT.fullmatch(view.summary.environment) is not None
        and counted <= view.summary.counts.keys()
        and not view.provenance.explore
        and (links.commit.isalnum() or not links.commit)
        and all(map(is_readable_time, _times(view.summary)))
        and all(map(is_date_text, _dates(view.summary)))
    )


def _times(summary: PlanSummary) -> list[str]:
    return [change.when for change in summary.later.changes] if summary.later else []


def _dates(summary: PlanSummary) -> tuple[DateText, ...]:
    return summary.edited_dates.dates if summary.edited_dates else ()


def _findings(view: PlanView) -> Iterator[Finding]:
    summary = view.summary
    refused = (*summary.failed_tests, *summary.broken_promises, *summary.conflicts)
    for finding in (*view.findings, *refused, *summary.notes):
        yield from finding.occurrences


def _escaped(value: Any, depth: int = 0) -> Any:  # noqa: ANN401 - any JSON
    if depth > _MAX_DEPTH:
        raise RecursionError
    if isinstance(value, str):
        return escape_invisible(value)
    if isinstance(value, dict):
        return {key: _escaped(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each, depth + 1) for each in value]
    return value


def _digest(content: Document, plan_id: object) -> str:
    """Return the digest that binds a view to its plan; neither it nor the id depends on the time."""
    provenance = content.get("provenance")
    untimed = None
    if isinstance(provenance, dict):
        untimed = {
            name: value for name, value in provenance.items() if name != "read_at"
        }
    lasting = [plan_id, {**content, "provenance": untimed}]
    return sha256(CANONICAL_JSON.encode(lasting).encode()).hexdigest()[:12]


@cache
def _adapter() -> TypeAdapter[PlanView]:
    return TypeAdapter(PlanView)
