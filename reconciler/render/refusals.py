"""What apply will refuse, and how to go on, in words for the comment and the page.

Failed route tests are grouped by the rule that takes their conversations.
"""

import re
from collections import Counter
from collections.abc import Iterable
from typing import Final, NamedTuple

from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.text.escape import join_all, pluralize, quote
from reconciler.render.summary import GuardSummary, PlanSummary

MAX_GROUPS: Final = 3
"""The groups of failed tests, and the places of one group, that a comment shows."""
PROMISES: Final = "promises"
"""The name of the guard of promises."""
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_FAILURE: Final = re.compile(
    rf"expected (?P<expected>(?:{_QUOTED}|[^\"])*?), but (?P<route>.+)", re.DOTALL
)


class FailedTests(NamedTuple):
    """Failed route tests whose conversations the same rule takes."""

    # `3 route tests: expected "Fraud Desk", but goes to "Card Services" by rule fraud/lost`
    message: str
    hint: str  # of the first test
    tests: tuple[Finding, ...]


def group_failed_tests(failed: Iterable[Finding]) -> list[FailedTests]:
    """Return the failed tests by the rule that takes their conversations, in order."""
    groups = group_pairs(
        (_route(finding) or number, finding) for number, finding in enumerate(failed)
    )
    return [_group(tests) for tests in groups.values()]


def _route(finding: Finding) -> str:
    """Return `goes to "General" by rule cards/help`; empty for a message of another form."""
    match = _FAILURE.fullmatch(finding.message)
    return match["route"] if match else ""


def _group(tests: list[Finding]) -> FailedTests:
    first = tests[0]
    if len(tests) == 1:
        return FailedTests(first.message, first.hint, (first,))
    matches = [_FAILURE.fullmatch(test.message) for test in tests]
    expected = Counter(match["expected"] for match in matches if match)
    counted = len(expected) > 1
    wanted = [
        f"{text} ({pluralize(count, 'test')})" if counted else text
        for text, count in expected.items()
    ]
    message = (
        f"{pluralize(len(tests), 'route test')}: expected {join_all(wanted, 'or')}, but "
        f"{_route(first)}"
    )
    return FailedTests(message, first.hint, tuple(tests))


def refused_guards(summary: PlanSummary) -> list[GuardSummary]:
    """Return the guards that refuse, without that of the promises, where each promise is told by
    itself.
    """
    has_promises = bool(summary.broken_promises)
    return [
        guard
        for guard in summary.refusals
        if guard.name != PROMISES or not has_promises
    ]


def is_refused(summary: PlanSummary) -> bool:
    """Return whether apply will refuse the plan."""
    return bool(summary.failed_tests or summary.refusals or summary.conflicts)


def count_refusals(summary: PlanSummary) -> int:
    """Return the number of causes for which apply will refuse."""
    parts = (
        summary.failed_tests,
        summary.broken_promises,
        refused_guards(summary),
        summary.conflicts,
    )
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
            f"If this is intended, allow it where it is reviewed: `guard.allow` of the Environment "
            f"({names})."
        )
    changes_something = bool(summary.changes or summary.endpoint_text)
    if changes_something and not sentences:
        return "Merge, then apply."
    if summary.edited_dates and not sentences:
        return "Merge: the first run after each date makes its changes."
    return " ".join(sentences)
