"""Drift as Markdown for an issue: the verdict, the effects, and every field that differs in a
closed part.
"""

from collections.abc import Iterator
from typing import Final

from reconciler.core.model.finding import Finding
from reconciler.core.plan.drift import Drift
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.render import drift_summary as words
from reconciler.render.drift_summary import LIVE, MANIFESTS, DriftRule, DriftSection
from reconciler.render.effects import EffectsSummary
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

_MAX_OPEN: Final = 5  # lines of acceptance outside of a closed part
# rules of a section, and findings: GitHub limits the length of an issue
_MAX_ITEMS: Final = 100


def drift_markdown(
    drift: Drift,
    tenant: str,
    provenance: Provenance,
    apply_command: str,
) -> str:
    """Return the drift, or an empty text without drift; `apply_command` applies the manifests to
    the tenant.
    """
    if not drift.has_drift:
        return ""
    summary = words.effects_of(drift)
    blocks = list(_head(drift, summary))
    blocks += _findings(drift)
    blocks += moves_blocks(summary, provenance.links, DRIFT_COLUMNS)
    blocks += quiet_blocks(summary)
    fields = _field_blocks(drift, summary, provenance.links)
    if fields:
        blocks.append(details("Every field that differs", "\n\n".join(fields) + "\n"))
    blocks += _acceptance(drift)
    refusal = words.refusal_text(drift)
    if refusal:
        blocks.append(f"**{refusal}.**")
    if drift.plan.has_work:
        blocks.append(
            f"To make the tenant match the manifests:\n\n{code_block(apply_command, 'sh')}"
        )
    foot = _foot(drift, tenant, provenance)
    return "\n\n".join([*blocks, f"<sub>{foot}</sub>"]) + "\n"


def _head(drift: Drift, summary: EffectsSummary) -> Iterator[str]:
    verdict = words.verdict(drift, summary)
    if verdict:
        yield f"**{escape_markdown(verdict)}**"
    environment = code_span(drift.plan.environment)
    yield f"{environment} differs from the manifests: {words.counts_phrase(drift)}."


def _field_blocks(
    drift: Drift,
    summary: EffectsSummary,
    links: SourceLinks,
) -> list[str]:
    blocks = []
    if summary.premise:
        blocks.append(escape_markdown(summary.premise))
    for section in words.drift_sections(drift):
        blocks += _section(section, links)
    return blocks


def _foot(drift: Drift, tenant: str, provenance: Provenance) -> str:
    phrases = [
        escape_markdown(sanitize(tenant)),
        f"live rules read {escape_markdown(provenance.read_at)}",
    ]
    optional = (words.accepted_phrase(drift), words.save_phrase(drift))
    phrases += [escape_markdown(phrase) for phrase in optional if phrase]
    if provenance.links.run:
        phrases.append(f"[run log]({provenance.links.run})")
    return " · ".join(phrases)


def _acceptance(drift: Drift) -> Iterator[str]:
    """Yield how to accept the rules in the way; many lines are in a closed part."""
    # where such rules cannot stay, the conflicts say what to do
    if not drift.in_the_way or not drift.plan.desired.form.keeps_foreign_rules:
        return
    yield escape_markdown(" ".join(words.blocking_advice(drift)))
    lines = code_block("\n".join(words.acceptance_lines(drift)), "yaml").rstrip()
    count = len(drift.in_the_way)
    if count <= _MAX_OPEN:
        yield lines
    else:
        yield details(f"The lines that accept all {count:,} rules", f"{lines}\n")


def _section(section: DriftSection, links: SourceLinks) -> Iterator[str]:
    yield f"#### {section.title}"
    table = [f"| Rule | | {MANIFESTS} | {LIVE} | Where |", "|---|---|---|---|---|"]
    for rule in section.rules[:_MAX_ITEMS]:
        table += _rows(rule, links)
    yield "\n".join(table)
    hidden = len(section.rules) - _MAX_ITEMS
    if hidden > 0:
        yield f"and {pluralize(hidden, 'further rule')}: see drift.json."


def _findings(drift: Drift) -> Iterator[str]:
    findings = [*drift.plan.conflicts, *words.noted_findings(drift)]
    if findings:
        yield "\n".join(map(_finding, findings[:_MAX_ITEMS]))
    if drift.failed_checks:
        yield f"#### {words.FAILED}"
        lines = list(map(_finding, drift.failed_checks[:_MAX_ITEMS]))
        hidden = len(drift.failed_checks) - _MAX_ITEMS
        if hidden > 0:
            lines.append(f"- and {pluralize(hidden, 'further check')}")
        yield "\n".join(lines)


def _rows(rule: DriftRule, links: SourceLinks) -> Iterator[str]:
    where = ""
    if rule.source:
        where = source_link(rule.source, links)
    sentences = "<br>".join(map(escape_markdown, rule.sentences))
    is_code = rule.source or '"' not in rule.name
    name = code_span(rule.name) if is_code else escape_markdown(rule.name)
    yield f"| {table_cell(name)} | {table_cell(sentences)} | | | {table_cell(where)} |"
    for pair in rule.fields:
        field = _cell(pair.name)
        yield f"| | {field} | {_cell(pair.after)} | {_cell(pair.before)} | |"


def _finding(finding: Finding) -> str:
    text = f"{address_prefix(finding)}{finding_text(finding)}"
    return f"- **{finding.code}** {text}"


def _cell(text: str) -> str:
    return table_cell(escape_markdown(text))
