"""Drift as text for a terminal: sections in two columns, the impact on conversations, and the next commands."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.model.change import Update
from reconciler.plan.drift import Drift, edited_changes, unapplied_changes
from reconciler.render import drift_summary as words
from reconciler.render.colour import Style
from reconciler.render.drift_summary import LIVE, MANIFESTS, DriftField, DriftRule, DriftSection
from reconciler.render.finding_subject import MAX_NAMED, source_location
from reconciler.render.impact import ALL_ROWS, MAX_SHOWN, UNKNOWN_NOTE, summarize_impact
from reconciler.render.summary import match_phrase
from reconciler.render.text.plan import finding_lines
from reconciler.text.escape import join_first, pluralize

BuildCommand = Callable[[Sequence[str]], str]

IMPACT_TITLE: Final = "Conversations that do not go where the manifests say"
_MAX_NAMED: Final = 5
_MAX_BRIEF_ROWS: Final = 5  # impact rows of the brief form, and failing tests of the usual form
_MAX_WIDTH: Final = 80


class DriftCommands(NamedTuple):
    """Build the commands that apply the manifests, and that export live rules, for some addresses or for all."""

    apply: BuildCommand
    export: BuildCommand


def drift_text(drift: Drift, style: Style, commands: DriftCommands, limit: int = MAX_SHOWN) -> str:
    """Return the differences between the manifests and the tenant, with up to `limit` rows and rules."""
    plan = drift.plan
    rules = [line for section in words.drift_sections(drift) for line in _section(section, style, limit)]
    if not drift.has_drift:
        lines = [_no_drift(drift), *(["", *rules] if rules else []), *_notes(drift, style)]
        return "\n".join(lines).rstrip() + "\n"
    lines = [*_head(drift), "", *rules]
    for conflict in plan.conflicts:
        lines += [*finding_lines(conflict, style), ""]
    lines += [*_failures(drift, style, limit), *_impact_lines(drift, style, limit), *_notes(drift, style)]
    if drift.in_the_way and plan.desired.layout is None:  # for a script, the conflicts say what to do
        lines += [*words.blocking_advice(drift), "", *words.acceptance_lines(drift), ""]
    lines += [style("red", f"{refusal}."), ""] if (refusal := words.refusal_text(drift)) else []
    verb = "apply it" if len(unapplied_changes(plan)) == len(plan.changes) else "fix it"
    edits = [change for change in edited_changes(plan) if isinstance(change, Update)]
    for title, changes, command in ((verb, plan.changes, commands.apply), ("keep it", edits, commands.export)):
        names = sorted({str(change.address) for change in changes})
        lines += [f"  {title:<7}   {command(names if len(names) <= _MAX_NAMED else ())}"] if names else []
    return "\n".join(lines).rstrip() + "\n"


def drift_brief(drift: Drift, style: Style) -> str:
    """Return the counts, the names of each section's rules, and the impact."""
    if not drift.has_drift:
        return f"{_no_drift(drift)}\n"
    lines = [f"{drift.plan.environment}: {words.counts_phrase(drift)}."]
    named = ((item.title, join_first(item.rules, 10, lambda rule: rule.name)) for item in words.drift_sections(drift))
    lines += [f"  {style('bold', title)}: {names}" for title, names in named]
    for finding in (*drift.plan.conflicts, *drift.failed_checks)[:_MAX_NAMED]:
        lines += finding_lines(finding, style)
    return "\n".join([*lines, *_impact_lines(drift, style, _MAX_BRIEF_ROWS)]).rstrip() + "\n"


def _head(drift: Drift) -> Iterator[str]:
    plan = drift.plan
    rules = pluralize(len(plan.changes) + plan.unchanged, "rule")
    differ = "differs" if len(plan.changes) == 1 else "differ"
    differences = f"{len(plan.changes):,} of {rules} {differ} from the manifests in {plan.environment}."
    yield differences if plan.changes else match_phrase(plan)
    if count := len(drift.in_the_way):
        yield f"{pluralize(count, 'unmanaged live rule')} {'is' if count == 1 else 'are'} in the way of the manifests."
    for phrase in filter(None, (words.accepted_phrase(drift), words.save_phrase(drift))):
        yield f"{phrase[:1].upper()}{phrase[1:]}."


def _no_drift(drift: Drift) -> str:
    phrases, count = [words.accepted_phrase(drift)], len(drift.plan.held)
    phrases += [f"{pluralize(count, 'change')} {'is' if count == 1 else 'are'} held"] if count else []
    return f"No drift. {match_phrase(drift.plan)}" + "".join(f"\n{phrase}." for phrase in phrases if phrase)


def _impact_lines(drift: Drift, style: Style, limit: int) -> list[str]:
    impact, plan = drift.unaccepted_impact, drift.plan
    summary = summarize_impact(impact.behaviour, plan.queue_names, plan.labels, impact.traffic_impact, limit)
    if not summary.cases:
        # Nothing is proven about rules that are not selected; a finding reports an analysis that stopped.
        basis = [f"  {summary.premise}"] if summary.premise else []
        return [] if summary.unknown or plan.options.only else [style("bold", words.unaffected_text(drift)), *basis, ""]
    lines = [f"{style('bold', IMPACT_TITLE)}   ({summary.share})"]
    for case in summary.cases:
        lines.append(f"  {case.callers}{f'   {case.share}' if case.share else ''}")
        lines += (f"      {exception}" for exception in case.exceptions)
        for label, destination in ((MANIFESTS, case.origin), (LIVE, case.destination)):
            lines.append(f"      {label:<{len(LIVE)}}   {style('yellow', destination)}")
        lines.append(style("dim", f"      example: {case.example}"))
    lines += [f"  {summary.rest_text()}; -v shows all of them."] if summary.hidden_cases else []
    lines += [f"  {summary.premise}"] if summary.premise else []
    if summary.unknown:
        lines += [style("yellow", UNKNOWN_NOTE), *(f"  {phrase}" for phrase in summary.unknown)]
    return [*lines, ""]


def _section(section: DriftSection, style: Style, limit: int) -> Iterator[str]:
    yield from (style("bold", f"{section.title}:"), "")
    visible = section.groups[:limit] if section.title == words.IN_THE_WAY else section.groups
    for group in visible:
        yield from _rules(group, style, ALL_ROWS if limit == ALL_ROWS else MAX_NAMED)
        yield ""
    if hidden := len(section.rules) - sum(map(len, visible)):
        yield from (f"  and {pluralize(hidden, 'further rule')}; -v shows all of them.", "")


def _failures(drift: Drift, style: Style, limit: int) -> Iterator[str]:
    if not drift.failed_checks:
        return
    yield from (style("bold", f"{words.FAILED}:"), "")
    visible = drift.failed_checks[: _MAX_BRIEF_ROWS if limit == MAX_SHOWN else limit]
    yield from (line for finding in visible for line in finding_lines(finding, style))
    if hidden := len(drift.failed_checks) - len(visible):
        yield f"  and {pluralize(hidden, 'further check')}; -v shows all of them."
    yield ""


def _rules(group: Sequence[DriftRule], style: Style, limit: int) -> Iterator[str]:
    rule = group[0]
    if len(group) > 1:
        yield f"  {style('yellow', pluralize(len(group), 'rule'))}"
        yield f"      {style('dim', join_first([item.name for item in group], limit))}"
    else:
        where = f"   {style('dim', source_location(rule.source))}" if rule.source else ""
        yield f"  {style('yellow', rule.name)}{where}"
    yield from (f"      {line}" for line in rule.sentences)
    rows = [DriftField("", MANIFESTS, LIVE), *rule.fields]
    first, second = max(len(row.name) for row in rows), max(len(row.desired) for row in rows)
    head, *lines = (f"      {row.name:<{first}}  {row.desired:<{second}}  {row.live}" for row in rows)
    if lines and max(map(len, (head, *lines))) <= _MAX_WIDTH:
        yield from (style("dim", head), *lines)
        return
    for pair in rule.fields:
        yield f"      {pair.name}"
        yield f"        {MANIFESTS:<{len(LIVE)}}  {pair.desired}"
        yield f"        {LIVE:<{len(LIVE)}}  {pair.live}"


def _notes(drift: Drift, style: Style) -> list[str]:
    lines = [line for finding in words.noted_findings(drift) for line in finding_lines(finding, style)]
    return [*lines, ""] if lines else []
