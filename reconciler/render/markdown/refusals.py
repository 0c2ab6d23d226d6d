"""What apply will refuse, as one box: failed tests by the rule, broken promises, guards and conflicts."""

from collections.abc import Iterator, Sequence

from reconciler.model.finding import Finding
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
from reconciler.text.escape import join_first, pluralize, sanitize


def refusal_blocks(summary: PlanSummary, links: SourceLinks, limit: int) -> list[str]:
    """Return the box, with up to `limit` promises and conflicts; empty if apply refuses nothing."""
    if not is_refused(summary):
        return []
    lines = [*_failed_tests(summary.failed_tests, links)]
    lines += _findings(summary.broken_promises, limit, "further promise")
    lines += [f"- {escape_markdown(guard.message)}" for guard in refused_guards(summary)]
    lines += _findings(summary.conflicts, limit, "further rule")
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
    hint = f"; {escape_markdown(sanitize(group.hint))}" if group.hint else ""
    sources = [test.source for test in group.tests if test.source]
    places = join_first([source_link(source, links) for source in sources], MAX_GROUPS)
    where = f" ({places})" if places else ""
    return f"**{group.tests[0].code}** {escape_markdown(sanitize(group.message))}{hint}{where}"


def _findings(findings: Sequence[Finding], limit: int, noun: str) -> list[str]:
    lines = [f"- {address_prefix(finding)}{finding_text(finding)}" for finding in findings[:limit]]
    hidden = len(findings) - limit
    return [*lines, f"- and {pluralize(hidden, noun)}"] if hidden > 0 else lines
