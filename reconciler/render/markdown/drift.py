"""Drift as Markdown for an issue: the verdict, the effects, and every field that differs in a
closed part.
"""

from collections.abc import Iterator
from typing import Final

from reconciler.model.finding import Finding
from reconciler.plan.drift import Drift
from reconciler.render import drift_summary as words
from reconciler.render.drift_summary import LIVE, MANIFESTS, DriftRule, DriftSection
from reconciler.render.escape_markdown import (
    code_block,
    code_span,
    details,
    escape_markdown,
    table_cell,
)
from reconciler.render.markdown.effects import (
    DRIFT_COLUMNS,
    moves_blocks,
    quiet_blocks,
    source_link,
)
from reconciler.render.markdown.findings import address_prefix, finding_text
from reconciler.render.provenance import Provenance, SourceLinks
from reconciler.text.escape import pluralize, sanitize

_MAX_OPEN: Final = 5  # lines of acceptance outside of a closed part
_MAX_ITEMS: Final = (
    100  # rules of a section, and findings: GitHub limits the length of an issue
)


def drift_markdown(
    drift: Drift, tenant: str, provenance: Provenance, apply_command: str
) -> str:
    """Return the drift, or an empty text without drift; `apply_command` applies the manifests to
    the tenant.
    """
    if not drift.has_drift:
        return ""
    plan = drift.plan
    summary = words.effects_of(drift)
    verdict = words.verdict(drift, summary)
    blocks = [f"**{escape_markdown(verdict)}**"] if verdict else []
    blocks.append(
        f"{code_span(plan.environment)} differs from the manifests: {words.counts_phrase(drift)}."
    )
    blocks += [*_findings(drift)]
    blocks += [
        *moves_blocks(summary, provenance.links, DRIFT_COLUMNS),
        *quiet_blocks(summary),
    ]
    sections = [escape_markdown(summary.premise)] if summary.premise else []
    sections += [
        block
        for section in words.drift_sections(drift)
        for block in _section(section, provenance.links)
    ]
    if sections:
        blocks.append(details("Every field that differs", "\n\n".join(sections) + "\n"))
    blocks += _acceptance(drift)
    blocks += [f"**{refusal}.**"] if (refusal := words.refusal_text(drift)) else []
    if plan.changes:
        blocks.append(
            f"To make the tenant match the manifests:\n\n{code_block(apply_command, 'sh')}"
        )
    foot = [
        escape_markdown(sanitize(tenant)),
        f"live rules read {escape_markdown(provenance.read_at)}",
    ]
    foot += [
        escape_markdown(phrase)
        for phrase in (words.accepted_phrase(drift), words.save_phrase(drift))
        if phrase
    ]
    foot += [f"[run log]({provenance.links.run})"] if provenance.links.run else []
    return "\n\n".join([*blocks, f"<sub>{' · '.join(foot)}</sub>"]) + "\n"


def _acceptance(drift: Drift) -> Iterator[str]:
    """Yield how to accept the rules in the way; many lines are in a closed part."""
    if (
        not drift.in_the_way or drift.plan.desired.layout is not None
    ):  # for a script, the conflicts say what to do
        return
    yield escape_markdown(" ".join(words.blocking_advice(drift)))
    lines = code_block("\n".join(words.acceptance_lines(drift)), "yaml").rstrip()
    count = len(drift.in_the_way)
    yield (
        lines
        if count <= _MAX_OPEN
        else details(f"The lines that accept all {count:,} rules", f"{lines}\n")
    )


def _section(section: DriftSection, links: SourceLinks) -> Iterator[str]:
    visible = section.rules[:_MAX_ITEMS]
    yield f"#### {section.title}"
    head = (f"| Rule | | {MANIFESTS} | {LIVE} | Where |", "|---|---|---|---|---|")
    yield "\n".join([*head, *(line for rule in visible for line in _rows(rule, links))])
    hidden = len(section.rules) - len(visible)
    if hidden:
        yield f"and {pluralize(hidden, 'further rule')}: see drift.json."


def _findings(drift: Drift) -> Iterator[str]:
    if first := (*drift.plan.conflicts, *words.noted_findings(drift)):
        yield "\n".join(_finding(finding) for finding in first[:_MAX_ITEMS])
    if drift.failed_checks:
        hidden = len(drift.failed_checks) - _MAX_ITEMS
        rest = [f"- and {pluralize(hidden, 'further check')}"] if hidden > 0 else []
        yield f"#### {words.FAILED}"
        yield "\n".join(
            [
                *(_finding(finding) for finding in drift.failed_checks[:_MAX_ITEMS]),
                *rest,
            ]
        )


def _rows(rule: DriftRule, links: SourceLinks) -> Iterator[str]:
    where = ""
    if rule.source:
        where = source_link(rule.source, links)
    sentences = "<br>".join(map(escape_markdown, rule.sentences))
    name = (
        code_span(rule.name)
        if rule.source or '"' not in rule.name
        else escape_markdown(rule.name)
    )
    yield f"| {table_cell(name)} | {table_cell(sentences)} | | | {table_cell(where)} |"
    for pair in rule.fields:
        yield f"| | {_cell(pair.name)} | {_cell(pair.after)} | {_cell(pair.before)} | |"


def _finding(finding: Finding) -> str:
    return f"- **{finding.code}** {address_prefix(finding)}{finding_text(finding)}"


def _cell(text: str) -> str:
    return table_cell(escape_markdown(text))
