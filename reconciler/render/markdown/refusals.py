"""What apply will refuse, as one box: failed tests by the rule, broken promises, guards and
conflicts.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import join_first, pluralize, sanitize_message
from reconciler.render.escape_markdown import alert, escape_markdown
from reconciler.render.markdown.effects import source_link
from reconciler.render.markdown.findings import address_prefix, finding_text
from reconciler.render.provenance import SourceLinks
from reconciler.render.refusals import (
    MAX_GROUPS,
    FailedTests,
    group_failed_tests,
    is_refused,
    refused_guards,
)
from reconciler.render.summary import PlanSummary, failed_tests_title

_MAX_SHOWN: Final = 5


def refusal_blocks(summary: PlanSummary, links: SourceLinks) -> list[str]:
    """Return the box, with some promises and conflicts of many; empty if apply refuses nothing."""
    if not is_refused(summary):
        return []
    lines = [*_failed_tests(summary.failed_tests, links)]
    promises = [f"- {_promise(promise, links)}" for promise in summary.broken_promises]
    lines += _first(promises, "further promise")
    lines += [
        f"- {escape_markdown(guard.message)}" for guard in refused_guards(summary)
    ]
    conflicts = [
        f"- {address_prefix(finding)}{finding_text(finding)}"
        for finding in summary.conflicts
    ]
    lines += _first(conflicts, "further rule")
    return [alert("CAUTION", ["**Apply will refuse this plan:**", *lines])]


def _failed_tests(failed: Sequence[Finding], links: SourceLinks) -> Iterator[str]:
    if not failed:
        return
    title = failed_tests_title(failed).partition(":")[0]
    yield f"- {escape_markdown(title)}:"
    groups = group_failed_tests(failed)
    for group in groups[:MAX_GROUPS]:
        yield f"  - {_group(group, links)}"
    hidden = sum(len(group.tests) for group in groups[MAX_GROUPS:])
    if hidden:
        yield f"  - and {pluralize(hidden, 'further test')}"


def _group(group: FailedTests, links: SourceLinks) -> str:
    message = escape_markdown(sanitize_message(group.message))
    text = f"**{group.tests[0].code}** {message}"
    if group.hint:
        text += f"; {escape_markdown(sanitize_message(group.hint))}"
    sources = [test.source for test in group.tests if test.source]
    places = join_first([source_link(source, links) for source in sources], MAX_GROUPS)
    if places:
        text += f" ({places})"
    return text


def _promise(promise: Finding, links: SourceLinks) -> str:
    """Return a broken promise with its example.

    It is not cut where a finding is: the example is the reason.
    """
    where = f" ({source_link(promise.source, links)})" if promise.source else ""
    return f"{escape_markdown(sanitize_message(promise.message))}{where}"


def _first(lines: Sequence[str], noun: str) -> list[str]:
    hidden = len(lines) - _MAX_SHOWN
    return (
        [*lines[:_MAX_SHOWN], f"- and {pluralize(hidden, noun)}"]
        if hidden > 0
        else [*lines]
    )
