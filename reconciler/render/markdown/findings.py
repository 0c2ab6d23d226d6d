"""Findings as Markdown: items of a list, with the place or the names of their rules."""

from collections.abc import Iterator, Sequence

from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import join_first, sanitize_message
from reconciler.render.escape_markdown import code_span, escape_markdown
from reconciler.render.finding_subject import finding_members, finding_subject
from reconciler.render.markdown.effects import source_link
from reconciler.render.provenance import SourceLinks


def finding_items(
    findings: Sequence[Finding],
    links: SourceLinks,
    limit: int,
) -> Iterator[str]:
    """Yield findings as items of a list, each with its location, or with up to `limit` names of its
    rules.
    """
    for finding in findings:
        if finding.repeats:
            names = join_first(
                [code_span(name) for name in finding_members(finding)], limit
            )
            which = f"<details><summary>which</summary>{names}</details>"
            yield (
                f"- **{finding.code}** {finding_subject(finding)}: {finding_text(finding)} "
                f"{which}"
            )
        else:
            where = f" ({source_link(finding.source, links)})" if finding.source else ""
            yield f"- **{finding.code}** {address_prefix(finding)}{finding_text(finding)}{where}"


def finding_text(finding: Finding) -> str:
    """Return the message with the hint."""
    text = escape_markdown(sanitize_message(finding.message))
    if finding.hint:
        text += f"; {escape_markdown(sanitize_message(finding.hint))}"
    return text


def address_prefix(finding: Finding) -> str:
    """Return the address as the start of a sentence, or an empty text."""
    return f"{code_span(str(finding.address))}: " if finding.address else ""
