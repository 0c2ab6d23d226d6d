"""Drift as text for a terminal: who is affected, each section in two columns, and the commands that end it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.model.change import Update
from reconciler.plan.drift import Drift, edited_changes, unapplied_changes
from reconciler.render.change_summary import source_location
from reconciler.render.drift_summary import (
    BLOCKING_ADVICE,
    FAILED,
    IN_THE_WAY,
    LIVE,
    MANIFESTS,
    DriftField,
    DriftRule,
    DriftSection,
    acceptance_lines,
    acceptance_title,
    accepted_phrase,
    counts_phrase,
    drift_sections,
    held_changes_phrase,
    noted_findings,
    refusal_text,
    rule_names,
    unaffected_text,
)
from reconciler.render.impact import ALL_ROWS, MAX_SHOWN, UNKNOWN_NOTE, ImpactCase, summarize_impact
from reconciler.render.summary import MAX_NAMED
from reconciler.render.text.plan import finding_lines
from reconciler.text.escape import join_first, pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.render.colour import Style

    BuildCommand = Callable[[Sequence[str]], str]

IMPACT_TITLE: Final = "Conversations that do not go where the manifests say"
_MAX_NAMED: Final = 5
_MAX_BRIEF_ROWS: Final = 5
"""Rows of who is affected that the brief form shows, and failing tests that the usual one does."""
_MAX_WIDTH: Final = 80


@dataclass(frozen=True, slots=True)
class DriftCommands:
    """The commands that make rules as the manifests say, and that write what is live into the manifests.

    Each is asked for some addresses, or for all.
    """

    apply: BuildCommand
    export: BuildCommand


def drift_text(drift: Drift, style: Style, commands: DriftCommands, limit: int = MAX_SHOWN) -> str:
    """Return what differs between the manifests and the tenant; `limit` is how many rows and rules it shows of many."""
    plan = drift.plan
    if not drift.has_drift:
        held = [line for section in drift_sections(drift) for line in _section(section, style, limit)]
        return "\n".join([_no_drift(drift), *(["", *held] if held else []), *_notes(drift, style)]).rstrip() + "\n"
    lines = [*_head(drift), ""]
    for section in drift_sections(drift):
        lines += _section(section, style, limit)
    for conflict in plan.conflicts:
        lines += [*finding_lines(conflict, style), ""]
    lines += _failures(drift, style, limit)
    lines += _impact_lines(drift, style, limit)
    lines += _notes(drift, style)
    lines += _acceptance(drift)
    lines += [style("red", f"{refusing}."), ""] if (refusing := refusal_text(drift)) else []
    way = "apply it" if len(unapplied_changes(plan)) == len(plan.changes) else "heal it"
    lines += _command_line(way, [str(change.address) for change in plan.changes], commands.apply)
    edits = [str(change.address) for change in edited_changes(plan) if isinstance(change, Update)]
    lines += _command_line("keep it", edits, commands.export)
    return "\n".join(lines).rstrip() + "\n"


def drift_brief(drift: Drift, style: Style) -> str:
    """Return the counts, the names of each section's rules, and who is affected."""
    if not drift.has_drift:
        return f"{_no_drift(drift)}\n"
    lines = [f"{drift.plan.environment}: {counts_phrase(drift)}."]
    lines += [f"  {style('bold', section.title)}: {rule_names(section.rules)}" for section in drift_sections(drift)]
    for finding in (*drift.plan.conflicts, *drift.failed_checks)[:_MAX_NAMED]:
        lines += finding_lines(finding, style)
    return "\n".join([*lines, *_impact_lines(drift, style, _MAX_BRIEF_ROWS)]).rstrip() + "\n"


def _head(drift: Drift) -> Iterator[str]:
    plan = drift.plan
    rules = pluralize(len(plan.changes) + plan.unchanged, "rule")
    differ = "differs" if len(plan.changes) == 1 else "differ"
    if plan.changes:
        yield f"{len(plan.changes):,} of {rules} {differ} from the manifests in {plan.environment}."
    else:
        yield f"{rules} in {plan.environment} {'matches' if plan.unchanged == 1 else 'match'} the manifests."
    count = len(drift.in_the_way)
    if count:
        are = "is not managed, and is" if count == 1 else "are not managed, and are"
        yield f"{pluralize(count, 'live rule')} {are} in the way of the manifests."
    if accepted := accepted_phrase(drift):
        yield f"{accepted}."


def _no_drift(drift: Drift) -> str:
    plan = drift.plan
    match = "matches" if plan.unchanged == 1 else "match"
    more = "".join(f"\n{said}." for said in (accepted_phrase(drift), held_changes_phrase(drift)) if said)
    return f"No drift. {pluralize(plan.unchanged, 'rule')} in {plan.environment} {match} the manifests.{more}"


def _impact_lines(drift: Drift, paint: Style, most: int) -> list[str]:
    impact, plan = drift.unaccepted_impact, drift.plan
    told = summarize_impact(impact.behaviour, plan.queue_names, plan.labels, impact.traffic_impact, most)
    if not told.cases:
        # Of the rules that were not asked for, nothing is said; of an analysis that stopped, a finding says it.
        rests = [f"  {told.premise}"] if told.premise else []
        return [] if told.unknown or plan.options.only else [paint("bold", unaffected_text(drift)), *rests, ""]
    lines = [f"{paint('bold', IMPACT_TITLE)}   ({told.share})"]
    for case in told.cases:
        lines += _case(case, paint)
    lines += [f"  {told.rest_text()}; -v shows all of them."] if told.hidden_cases else []
    lines += [f"  {told.premise}"] if told.premise else []
    if told.unknown:
        lines += [paint("yellow", UNKNOWN_NOTE), *(f"  {one}" for one in told.unknown)]
    return [*lines, ""]


def _case(case: ImpactCase, paint: Style) -> Iterator[str]:
    yield f"  {case.callers}{f'   {case.share}' if case.share else ''}"
    yield from (f"      {one}" for one in case.exceptions)
    width = len(LIVE)
    yield f"      {MANIFESTS:<{width}}   {paint('yellow', case.origin)}"
    yield f"      {LIVE:<{width}}   {paint('yellow', case.destination)}"
    yield paint("dim", f"      example: {case.example}")


def _section(section: DriftSection, paint: Style, most: int) -> Iterator[str]:
    yield paint("bold", f"{section.title}:")
    yield ""
    groups = section.groups
    shown = groups[:most] if section.title == IN_THE_WAY else groups
    for group in shown:
        yield from _rules(group, paint, ALL_ROWS if most == ALL_ROWS else MAX_NAMED)
        yield ""
    more = len(section.rules) - sum(map(len, shown))
    if more > 0:
        yield f"  and {pluralize(more, 'further rule')}; -v shows all of them."
        yield ""


def _failures(drift: Drift, paint: Style, most: int) -> Iterator[str]:
    if not drift.failed_checks:
        return
    yield paint("bold", f"{FAILED}:")
    yield ""
    shown = drift.failed_checks[: _MAX_BRIEF_ROWS if most == MAX_SHOWN else most]
    for finding in shown:
        yield from finding_lines(finding, paint)
    more = len(drift.failed_checks) - len(shown)
    if more > 0:
        yield f"  and {pluralize(more, 'further route test')}; -v shows all of them."
    yield ""


def _acceptance(drift: Drift) -> list[str]:
    return [*BLOCKING_ADVICE, acceptance_title(drift), "", *acceptance_lines(drift), ""] if drift.in_the_way else []


def _rules(group: Sequence[DriftRule], paint: Style, most: int) -> Iterator[str]:
    rule = group[0]
    if len(group) > 1:
        yield f"  {paint('yellow', pluralize(len(group), 'rule'))}"
        yield f"      {paint('dim', join_first([one.name for one in group], most))}"
    else:
        where = f"   {paint('dim', source_location(rule.source))}" if rule.source else ""
        yield f"  {paint('yellow', rule.name)}{where}"
    yield from (f"      {line}" for line in rule.sentences)
    yield from _columns(rule.fields, paint)


def _columns(pairs: Sequence[DriftField], paint: Style) -> Iterator[str]:
    if not pairs:
        return
    rows = [DriftField("", MANIFESTS, LIVE), *pairs]
    first = max(len(row.name) for row in rows)
    second = max(len(row.desired) for row in rows)
    lines = [f"      {row.name:<{first}}  {row.desired:<{second}}  {row.live}" for row in rows]
    if max(map(len, lines)) <= _MAX_WIDTH:
        yield paint("dim", lines[0])
        yield from lines[1:]
        return
    for pair in pairs:
        yield f"      {pair.name}"
        yield f"        {MANIFESTS:<{len(LIVE)}}  {pair.desired}"
        yield f"        {LIVE:<{len(LIVE)}}  {pair.live}"


def _notes(drift: Drift, paint: Style) -> list[str]:
    lines = [line for finding in noted_findings(drift) for line in finding_lines(finding, paint)]
    return [*lines, ""] if lines else []


def _command_line(what: str, addresses: Sequence[str], command: BuildCommand) -> list[str]:
    found = sorted(set(addresses))
    return [f"  {what}   {command(found if len(found) <= _MAX_NAMED else ())}"] if found else []
