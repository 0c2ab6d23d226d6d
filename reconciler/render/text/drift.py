"""Drift as text for a terminal: sections in two columns, the impact on conversations, and the next commands."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.model.change import Update
from reconciler.plan.clauses import FEW_VALUES
from reconciler.plan.drift import Drift, edited_changes, unapplied_changes
from reconciler.plan.words import ALL_VALUES
from reconciler.render import drift_summary as words
from reconciler.render.colour import Style
from reconciler.render.drift_summary import LIVE, MANIFESTS, DriftField, DriftRule, DriftSection
from reconciler.render.effects import EffectsSummary, summarize_effects
from reconciler.render.finding_subject import MAX_NAMED, source_location
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN
from reconciler.render.summary import match_phrase
from reconciler.render.text.effects import effects_lines
from reconciler.render.text.plan import finding_lines
from reconciler.text.escape import join_first, pluralize

BuildCommand = Callable[[Sequence[str]], str]

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
    lines += [*_failures(drift, style, limit), *_effects_lines(drift, style, limit), *_notes(drift, style)]
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
    return "\n".join([*lines, *_effects_lines(drift, style, _MAX_BRIEF_ROWS)]).rstrip() + "\n"


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


def effects_of(drift: Drift, values: int = FEW_VALUES) -> EffectsSummary:
    """Return the conversations that do not go where the manifests say, without accepted rules, in words."""
    plan = drift.plan
    return summarize_effects(drift.unaccepted_impact, plan.queue_names, plan.labels, values=values)


def _effects_lines(drift: Drift, style: Style, limit: int) -> list[str]:
    is_verbose = limit == ALL_ROWS
    summary = effects_of(drift, ALL_VALUES if is_verbose else FEW_VALUES)
    if summary.effects:
        return [*effects_lines(summary, style, verbose=is_verbose), ""]
    # Nothing is proven about rules that are not selected; a finding reports an analysis that stopped.
    if summary.unknown or drift.plan.options.only:
        return []
    return [style("bold", words.unaffected_text(drift)), ""]


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
