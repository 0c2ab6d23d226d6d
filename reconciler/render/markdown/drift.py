"""Drift as Markdown, for an issue that operations reads: who is affected, and each section in two columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reconciler.render.change_summary import place
from reconciler.render.drift_summary import (
    FAILED,
    MANIFESTS,
    NOW,
    WAYS_OUT,
    Section,
    ToldRule,
    acceptance,
    acceptance_title,
    accepted_phrase,
    counts_phrase,
    nobody,
    noted,
    refusal,
    sections,
)
from reconciler.render.escape_markdown import cell, code, fenced, inline
from reconciler.render.impact import affected
from reconciler.render.markdown.plan import folded_names
from reconciler.render.text.drift import ELSEWHERE
from reconciler.text.escape import pluralize, sanitize

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.model.finding import Finding
    from reconciler.plan.drift import Drift
    from reconciler.render.provenance import Facts, Origin


_MOST: Final = 100
"""Rules of a section, and findings, that are shown: an issue has a bound."""


def drift_markdown(drift: Drift, tenant: str, facts: Facts, heal: str) -> str:
    """Return what differs, or nothing; `heal` is the command that makes the tenant as the manifests say."""
    if not drift.differs:
        return ""
    plan = drift.plan
    blocks = [f"**{code(plan.environment)} differs from the manifests: {counts_phrase(drift)}.**"]
    for section in sections(drift):
        blocks += _section(section, facts.origin)
    blocks += _findings(drift)
    blocks += _affected(drift)
    blocks += _acceptance(drift)
    if refusing := refusal(drift):
        blocks.append(f"**{refusing}.**")
    if plan.changes:
        blocks.append(f"To make the tenant as the manifests say:\n\n{fenced(heal, 'sh')}")
    foot = [inline(sanitize(tenant)), f"live rules read {inline(facts.read_at)}"]
    foot += [accepted_phrase(drift)] if drift.accepted else []
    foot += [f"[run log]({facts.origin.run})"] if facts.origin.run else []
    return "\n\n".join([*blocks, f"<sub>{' · '.join(foot)}</sub>"]) + "\n"


def _affected(drift: Drift) -> Iterator[str]:
    """Yield a table of the conversations that the manifests send to one place, and CXone to another."""
    impact, plan = drift.unwanted, drift.plan
    told = affected(impact.behaviour, plan.queue_names, plan.labels, impact.moved)
    if not told.cases:
        if not told.unknown and not plan.options.only:
            yield inline(f"{nobody(drift)} {told.premise}".rstrip())
        return
    lines = [f"| {ELSEWHERE} | {MANIFESTS} | {NOW} | |", "|---|---|---|---|"]
    for case in told.cases:
        who = "<br>".join(map(inline, (case.who, *case.excepts)))
        lines.append(f"| {cell(who)} | {_cell(case.before)} | {_cell(case.after)} | {case.share} |")
    yield "\n".join(lines)
    if told.more:
        yield f"{inline(told.rest())}: see drift.json."
    if told.premise:
        yield inline(told.premise)


def _section(section: Section, origin: Origin) -> Iterator[str]:
    shown = section.groups[:_MOST]
    yield f"#### {section.title}"
    lines = [f"| Rule | | {MANIFESTS} | {NOW} | Where |", "|---|---|---|---|---|"]
    lines += [line for group in shown for line in _rows(group, origin)]
    yield "\n".join(lines)
    more = len(section.rules) - sum(map(len, shown))
    if more > 0:
        yield f"and {pluralize(more, 'further rule')}: see drift.json."


def _acceptance(drift: Drift) -> Iterator[str]:
    if drift.in_the_way:
        lines = fenced("\n".join(acceptance(drift)), "yaml")
        yield f"{inline(' '.join((*WAYS_OUT, acceptance_title(drift))))}\n\n{lines}".rstrip()


def _findings(drift: Drift) -> Iterator[str]:
    """Yield conflicts, stale acceptances and ties, then what fails on the live rules."""
    first = (*drift.plan.conflicts, *noted(drift))
    if first:
        yield "\n".join(_finding(one) for one in first[:_MOST])
    if drift.failures:
        more = len(drift.failures) - _MOST
        rest = [f"- and {pluralize(more, 'further route test')}"] if more > 0 else []
        yield f"#### {FAILED}"
        yield "\n".join([*(_finding(one) for one in drift.failures[:_MOST]), *rest])


def _rows(group: Sequence[ToldRule], origin: Origin) -> Iterator[str]:
    """Yield the line of a rule, or of several with equal edits, then one for each field that differs."""
    rule, where = group[0], ""
    if rule.source:
        link, shown = origin.link(rule.source), code(place(rule.source).rpartition("/")[2])
        where = f"[{shown}]({link})" if link else shown
    said = "<br>".join(map(inline, rule.lines))
    name = code(rule.name) if rule.source or '"' not in rule.name else inline(rule.name)
    if len(group) > 1:
        name, where = folded_names(pluralize(len(group), "rule"), [one.name for one in group], _MOST), f"{where} ..."
    yield f"| {cell(name)} | {cell(said)} | | | {cell(where)} |"
    for pair in rule.pairs:
        yield f"| | {_cell(pair.name)} | {_cell(pair.manifests)} | {_cell(pair.now)} | |"


def _finding(finding: Finding) -> str:
    about = f"{code(str(finding.address))}: " if finding.address else ""
    hint = f"; {inline(sanitize(finding.hint))}" if finding.hint else ""
    return f"- **{finding.code}** {about}{inline(sanitize(finding.message))}{hint}"


def _cell(text: str) -> str:
    return cell(inline(text))
