"""Drift as text for a terminal: the verdict, the effects, the rules that differ, and the next
commands.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from reconciler.model.change import Update
from reconciler.plan.clauses import FEW_VALUES
from reconciler.plan.drift import Drift, edited_changes, unapplied_changes
from reconciler.plan.words import ALL_VALUES
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
from reconciler.text.escape import join_first, pluralize

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
    drift: Drift, style: Style, commands: DriftCommands, limit: int = MAX_SHOWN
) -> str:
    """Return the differences between the manifests and the tenant; the limit `ALL_ROWS` shows every
    field of them.
    """
    plan = drift.plan
    is_verbose = limit == ALL_ROWS
    write_section = _section if is_verbose else _short_section
    rules = [
        line
        for section in words.drift_sections(drift)
        for line in write_section(section, style)
    ]
    if not drift.has_drift:
        lines = [
            _no_drift(drift),
            *(["", *rules] if rules else []),
            *_notes(drift, style),
        ]
        return "\n".join(lines).rstrip() + "\n"

    summary = words.effects_of(drift, ALL_VALUES if is_verbose else FEW_VALUES)
    effects = list(effects_lines(summary, style, verbose=is_verbose))
    parts = [
        [*_head(drift, summary, style)],
        [
            line
            for conflict in plan.conflicts
            for line in finding_lines(conflict, style)
        ],
        [*_failures(drift, style, limit)],
        effects,
        rules,
        _notes(drift, style),
        _acceptance(drift, style, is_verbose=is_verbose),
        [style("red", f"{refusal}.")] if (refusal := words.refusal_text(drift)) else [],
        [*_commands(drift, commands)],
    ]
    return "\n\n".join("\n".join(part).rstrip() for part in parts if part) + "\n"


def _acceptance(drift: Drift, style: Style, *, is_verbose: bool) -> list[str]:
    """Return how to accept the rules in the way, with the lines to paste if they are few."""
    if (
        not drift.in_the_way or drift.plan.desired.layout is not None
    ):  # for a script, the conflicts say what to do
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
    verb = "apply it" if len(unapplied_changes(plan)) == len(plan.changes) else "fix it"
    edits = [change for change in edited_changes(plan) if isinstance(change, Update)]
    for title, changes, command in (
        (verb, plan.changes, commands.apply),
        ("keep it", edits, commands.export),
    ):
        names = sorted({str(change.address) for change in changes})
        if names:
            yield f"  {title:<7}   {command(names if len(names) <= _MAX_NAMED else ())}"


def drift_brief(drift: Drift, style: Style) -> str:
    """Return the verdict, the counts, the names of each section's rules, and the effects."""
    if not drift.has_drift:
        return f"{_no_drift(drift)}\n"
    summary = words.effects_of(drift)
    lines = [f"{drift.plan.environment}: {words.counts_phrase(drift)}."]
    lines += filter(None, [words.verdict(drift, summary)])
    named = (
        (item.title, join_first(item.rules, 10, lambda rule: rule.name))
        for item in words.drift_sections(drift)
    )
    lines += [f"  {style('bold', title)}: {names}" for title, names in named]
    for finding in (*drift.plan.conflicts, *drift.failed_checks)[:_MAX_NAMED]:
        lines += finding_lines(finding, style)
    return "\n".join(lines).rstrip() + "\n"


def _head(drift: Drift, summary: EffectsSummary, style: Style) -> Iterator[str]:
    """Yield the verdict, and the number of rules that differ."""
    plan = drift.plan
    if verdict := words.verdict(drift, summary):
        yield style("bold", verdict)
    rules = pluralize(len(plan.changes) + plan.unchanged, "rule")
    differ = "differs" if len(plan.changes) == 1 else "differ"
    differences = (
        f"{len(plan.changes):,} of {rules} {differ} from the manifests in "
        f"{plan.environment}."
    )
    yield differences if plan.changes else match_phrase(plan)
    if count := len(drift.in_the_way):
        yield (
            f"{pluralize(count, 'unmanaged live rule')} {'is' if count == 1 else 'are'} in the way "
            f"of the manifests."
        )
    for phrase in filter(
        None, (words.accepted_phrase(drift), words.save_phrase(drift))
    ):
        yield f"{phrase[:1].upper()}{phrase[1:]}."


def _no_drift(drift: Drift) -> str:
    phrases = [words.accepted_phrase(drift)]
    count = len(drift.plan.held)
    phrases += (
        [f"{pluralize(count, 'change')} {'is' if count == 1 else 'are'} held"]
        if count
        else []
    )
    return f"No drift. {match_phrase(drift.plan)}" + "".join(
        f"\n{phrase}." for phrase in phrases if phrase
    )


def _short_section(section: DriftSection, style: Style) -> Iterator[str]:
    """Yield the names of a section's rules, and what no effect tells about each of a few."""
    title = style("bold", section.title)
    if len(section.rules) > _MAX_NAMED:
        yield f"{title}: {join_first([rule.name for rule in section.rules], _MAX_NAMED)}"
        return
    for rule in section.rules:
        remarks = f" ({'; '.join(rule.remarks)})" if rule.remarks else ""
        yield f"{title}: {rule.name}{remarks}"


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
    visible = drift.failed_checks[: _MAX_BRIEF_ROWS if limit == MAX_SHOWN else limit]
    yield from (line for finding in visible for line in finding_lines(finding, style))
    if hidden := len(drift.failed_checks) - len(visible):
        yield f"  and {pluralize(hidden, 'further check')}; -v shows all of them."


def _rule(rule: DriftRule, style: Style) -> Iterator[str]:
    where = f"   {style('dim', source_location(rule.source))}" if rule.source else ""
    yield f"  {style('yellow', rule.name)}{where}"
    yield from (f"      {line}" for line in rule.sentences)
    titles = FieldRow(name="", before=LIVE, after=MANIFESTS)
    rows = [titles, *rule.fields]
    first = max(len(row.name) for row in rows)
    second = max(len(row.after) for row in rows)
    head, *lines = (
        f"      {row.name:<{first}}  {row.after:<{second}}  {row.before}"
        for row in rows
    )
    if lines and max(map(len, (head, *lines))) <= _MAX_WIDTH:
        yield from (style("dim", head), *lines)
        return
    for pair in rule.fields:
        yield f"      {pair.name}"
        yield f"        {MANIFESTS:<{len(LIVE)}}  {pair.after}"
        yield f"        {LIVE:<{len(LIVE)}}  {pair.before}"


def _notes(drift: Drift, style: Style) -> list[str]:
    return [
        line
        for finding in words.noted_findings(drift)
        for line in finding_lines(finding, style)
    ]
