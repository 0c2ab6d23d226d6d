"""What apply will refuse, as one box: failed tests, broken promises, guards and conflicts."""

from collections.abc import Sequence
from typing import Final

from reconciler.model.finding import Finding
from reconciler.render.escape_markdown import alert, escape_markdown
from reconciler.render.markdown.effects import source_link
from reconciler.render.markdown.findings import address_prefix, finding_items, finding_text
from reconciler.render.provenance import SourceLinks
from reconciler.render.refusals import is_refused, refused_guards
from reconciler.render.summary import PlanSummary
from reconciler.text.escape import pluralize, sanitize
from reconciler.text.phrases import failing_tests_phrase

_MAX_SHOWN: Final = 5
_MAX_MESSAGE: Final = 1_000


def refusal_blocks(summary: PlanSummary, links: SourceLinks) -> list[str]:
    """Return the box, with some promises and conflicts of many; empty if apply refuses nothing."""
    if not is_refused(summary):
        return []
    lines = _failed_tests(summary, links)
    promises = [f"- {_promise(promise, links)}" for promise in summary.broken_promises]
    lines += _first(promises, "further promise")
    lines += [f"- {escape_markdown(guard.message)}" for guard in refused_guards(summary)]
    conflicts = [f"- {address_prefix(finding)}{finding_text(finding)}" for finding in summary.conflicts]
    lines += _first(conflicts, "further rule")
    return [alert("CAUTION", ["**Apply will refuse this plan:**", *lines])]


def _failed_tests(summary: PlanSummary, links: SourceLinks) -> list[str]:
    failed = summary.failed_tests
    if not failed:
        return []
    title = f"- {failing_tests_phrase(len(failed))}:"
    items = list(finding_items(failed, links, _MAX_SHOWN))
    lines = _first(items, "further test")
    return [title, *(f"  {line}" for line in lines)]


def _promise(promise: Finding, links: SourceLinks) -> str:
    """Return a broken promise with its example. It is not cut where a finding is: the example is the reason."""
    where = f" ({source_link(promise.source, links)})" if promise.source else ""
    return f"{escape_markdown(sanitize(promise.message, _MAX_MESSAGE))}{where}"


def _first(lines: Sequence[str], noun: str) -> list[str]:
    shown = list(lines[:_MAX_SHOWN])
    hidden = len(lines) - len(shown)
    if hidden:
        shown.append(f"- and {pluralize(hidden, noun)}")
    return shown
