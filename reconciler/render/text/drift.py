"""Drift as text for a terminal: the verdict, the effects, the rules that differ, and the next
commands.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Final, NamedTuple

from reconciler.core.model.change import Update
from reconciler.core.plan.clauses import FEW_VALUES
from reconciler.core.plan.drift import Drift, edited_changes, unapplied_changes
from reconciler.core.plan.words import ALL_VALUES
from reconciler.core.text.escape import join_first, pluralize
from reconciler.render import drift_summary as words
from reconciler.render.change_summary import FieldRow
from reconciler.render.colour import Style
from reconciler.render.drift_summary import LIVE, MANIFESTS, DriftRule, DriftSection
from reconciler.render.effects import EffectsSummary
from reconciler.render.finding_subject import source_location
from reconciler.render.limits import ALL_ROWS, MAX_SHOWN
from reconciler.render.summary import match_phrase
from reconciler.render.text.effects import effects_lines
from reconciler.render.text.plan import finding_lines

BuildCommand = Callable[[Sequence[str]], str]

_MAX_NAMED: Final = 5
_MAX_BRIEF_ROWS: Final = (
    5  # impact rows of the brief form, and failing tests of the usual form
)
_MAX_WIDTH: Final = 80


class DriftCommands(NamedTuple):
    """Build the commands that apply the manifests, and that export live rules, for some addresses
    or for all.
    """

    apply: BuildCommand
    export: BuildCommand


def drift_text(
    drift: Drift,
    style: Style,
    commands: DriftCommands,
    limit: int = MAX_SHOWN,
) -> str:
    """Return the differences between the manifests and the tenant; the limit `ALL_ROWS` shows every
    field of them.
    """
    is_verbose = limit == ALL_ROWS
    rules = _rule_lines(drift, style, is_verbose=is_verbose)
    notes = _notes(drift, style)
    if not drift.has_drift:
        lines = [_no_drift(drift), *(["", *rules] if rules else []), *notes]
        return "\n".join(lines).rstrip() + "\n"

    summary = words.effects_of(drift, ALL_VALUES if is_verbose else FEW_VALUES)
    conflicts = [finding_lines(conflict, style) for conflict in drift.plan.conflicts]
    parts: list[Iterable[str]] = [
        _head(drift, summary, style),
        chain.from_iterable(conflicts),
        _failures(drift, style, limit),
        effects_lines(summary, style, verbose=is_verbose),
        rules,
        notes,
        _acceptance(drift, style, is_verbose=is_verbose),
        _refusal(drift, style),
        _commands(drift, commands),
    ]
    blocks = ["\n".join(part).rstrip() for part in map(list, parts) if part]
    return "\n\n".join(blocks) + "\n"


def _refusal(drift: Drift, style: Style) -> list[str]:
    refusal = words.refusal_text(drift)
    return [style("red", f"{refusal}.")] if refusal else []


def _rule_lines(drift: Drift, style: Style, *, is_verbose: bool) -> list[str]:
    write_section = _section if is_verbose else _short_section
    rules: list[str] = []
    for section in words.drift_sections(drift):
        rules += write_section(section, style)
    return rules


def _acceptance(drift: Drift, style: Style, *, is_verbose: bool) -> list[str]:
    """Return how to accept the rules in the way, with the lines to paste if they are few."""
    # where such rules cannot stay, the conflicts say what to do
    if not drift.in_the_way or not drift.plan.desired.form.keeps_foreign_rules:
        return []
    lines = words.acceptance_lines(drift)
    count = len(drift.in_the_way)
    if is_verbose or count <= _MAX_NAMED:
        return [*words.blocking_advice(drift), "", *lines]
    *advice, _ = words.blocking_advice(drift)
    return [*advice, style("dim", f"The lines that accept all {count:,} rules: -v.")]


def _commands(drift: Drift, commands: DriftCommands) -> Iterator[str]:
    """Yield the commands that apply the manifests, or keep the edits."""
    plan = drift.plan
    is_unapplied = len(unapplied_changes(plan)) == len(plan.changes)
    verb = "apply it" if is_unapplied else "fix it"
    edits = [change for change in edited_changes(plan) if isinstance(change, Update)]
    for title, changes, command in (
        (verb, plan.changes, commands.apply),
        ("keep it", edits, commands.export),
    ):
        names = sorted({str(change.address) for change in changes})
        settings_alone = title == verb and plan.changes_settings
        if names or settings_alone:
            text = command(names if len(names) <= _MAX_NAMED else ())
            yield f"  {title:<7}   {text}"


def drift_brief(drift: Drift, style: Style) -> str:
    """Return the verdict, the counts, the names of each section's rules, and the effects."""
    if not drift.has_drift:
        return f"{_no_drift(drift)}\n"
    summary = words.effects_of(drift)
    lines = [f"{drift.plan.environment}: {words.counts_phrase(drift)}."]
    verdict = words.verdict(drift, summary)
    if verdict:
        lines.append(verdict)
    for section in words.drift_sections(drift):
        names = join_first(section.rules, 10, lambda rule: rule.name)
        lines.append(f"  {style('bold', section.title)}: {names}")
    findings = [*drift.plan.conflicts, *drift.failed_checks]
    for finding in findings[:_MAX_NAMED]:
        lines += finding_lines(finding, style)
    return "\n".join(lines).rstrip() + "\n"


def _head(drift: Drift, summary: EffectsSummary, style: Style) -> Iterator[str]:
    """Yield the verdict, and the number of rules that differ."""
    plan = drift.plan
    verdict = words.verdict(drift, summary)
    if verdict:
        yield style("bold", verdict)
    changed = len(plan.changes)
    if changed:
        rules = pluralize(changed + plan.unchanged, "rule")
        verb = "differs" if changed == 1 else "differ"
        yield f"{changed:,} of {rules} {verb} from the manifests in {plan.environment}."
    else:
        yield match_phrase(plan)
    if plan.changes_settings:
        yield f"{plan.environment} has {words.settings_phrase(plan)}."
    count = len(drift.in_the_way)
    if count:
        verb = "is" if count == 1 else "are"
        rules = pluralize(count, "unmanaged live rule")
        yield f"{rules} {verb} in the way of the manifests."
    for phrase in (words.accepted_phrase(drift), words.save_phrase(drift)):
        if phrase:
            yield f"{phrase[:1].upper()}{phrase[1:]}."


def _no_drift(drift: Drift) -> str:
    lines = [f"No drift. {match_phrase(drift.plan)}"]
    expected = words.expected_text(drift)
    if expected:
        lines.append(expected)
    accepted = words.accepted_phrase(drift)
    if accepted:
        lines.append(f"{accepted}.")
    count = len(drift.plan.held)
    if count:
        verb = "is" if count == 1 else "are"
        lines.append(f"{pluralize(count, 'change')} {verb} held.")
    return "\n".join(lines)


def _short_section(section: DriftSection, style: Style) -> Iterator[str]:
    """Yield the names of a section's rules, and what no effect tells about each of a few."""
    title = style("bold", section.title)
    if len(section.rules) > _MAX_NAMED:
        names = [rule.name for rule in section.rules]
        yield f"{title}: {join_first(names, _MAX_NAMED)}"
        return
    for rule in section.rules:
        remarks = "; ".join(rule.remarks)
        yield (
            f"{title}: {rule.name} ({remarks})" if remarks else f"{title}: {rule.name}"
        )


def _section(section: DriftSection, style: Style) -> Iterator[str]:
    """Yield every field of a section's rules, in two columns."""
    yield from (style("bold", f"{section.title}:"), "")
    for rule in section.rules:
        yield from _rule(rule, style)
        yield ""


def _failures(drift: Drift, style: Style, limit: int) -> Iterator[str]:
    if not drift.failed_checks:
        return
    yield from (style("bold", f"{words.FAILED}:"), "")
    most = _MAX_BRIEF_ROWS if limit == MAX_SHOWN else limit
    visible = drift.failed_checks[:most]
    for finding in visible:
        yield from finding_lines(finding, style)
    hidden = len(drift.failed_checks) - len(visible)
    if hidden:
        yield f"  and {pluralize(hidden, 'further check')}; -v shows all of them."


def _rule(rule: DriftRule, style: Style) -> Iterator[str]:
    name = style("yellow", rule.name)
    if rule.source:
        place = style("dim", source_location(rule.source))
        yield f"  {name}   {place}"
    else:
        yield f"  {name}"
    for sentence in rule.sentences:
        yield f"      {sentence}"

    table = _field_table(rule.fields)
    if rule.fields and max(map(len, table)) <= _MAX_WIDTH:
        head, *lines = table
        yield style("dim", head)
        yield from lines
        return
    width = len(LIVE)
    for pair in rule.fields:
        yield f"      {pair.name}"
        yield f"        {MANIFESTS:<{width}}  {pair.after}"
        yield f"        {LIVE:<{width}}  {pair.before}"


def _field_table(fields: Sequence[FieldRow]) -> list[str]:
    """Return fields as lines of aligned columns, below a line with the titles."""
    titles = FieldRow(name="", before=LIVE, after=MANIFESTS)
    rows = [titles, *fields]
    name_width = max(len(row.name) for row in rows)
    after_width = max(len(row.after) for row in rows)
    return [
        f"      {row.name:<{name_width}}  {row.after:<{after_width}}  {row.before}"
        for row in rows
    ]


def _notes(drift: Drift, style: Style) -> list[str]:
    return [
        line
        for finding in words.noted_findings(drift)
        for line in finding_lines(finding, style)
    ]
