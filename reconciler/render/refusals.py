"""What apply will refuse, and how to go on, in words for the comment and the page."""

from typing import Final

from reconciler.render.summary import GuardSummary, PlanSummary
from reconciler.text.escape import quote

PROMISES: Final = "promises"
"""The name of the guard of promises."""


def refused_guards(summary: PlanSummary) -> list[GuardSummary]:
    """Return the guards that refuse, without that of the promises, where each promise is told by itself."""
    has_promises = bool(summary.broken_promises)
    return [guard for guard in summary.refusals if guard.name != PROMISES or not has_promises]


def is_refused(summary: PlanSummary) -> bool:
    """Return whether apply will refuse the plan."""
    return bool(summary.failed_tests or summary.refusals or summary.conflicts)


def count_refusals(summary: PlanSummary) -> int:
    """Return the number of causes for which apply will refuse."""
    parts = (summary.failed_tests, summary.broken_promises, refused_guards(summary), summary.conflicts)
    return sum(map(len, parts))


def next_step(summary: PlanSummary) -> str:
    """Return how to go on, in one or two sentences; empty if there is nothing to do."""
    sentences = []
    if summary.failed_tests:
        sentences.append("Correct the rules or the route tests, then plan again.")
    elif summary.conflicts:
        sentences.append("Resolve the conflicts in the manifests, then plan again.")
    if summary.refusals:
        names = " ".join(quote(guard.name) for guard in summary.refusals)
        sentences.append(
            f"If this is intended, allow it where it is reviewed: `guard.allow` of the Environment ({names})."
        )
    changes_something = bool(summary.changes or summary.endpoint_text)
    if changes_something and not sentences:
        return "Merge, then apply."
    return " ".join(sentences)
