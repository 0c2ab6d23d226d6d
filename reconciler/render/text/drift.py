"""Drift as text for a terminal: who is affected, each section in two columns, and the commands that end it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.model.change import Update
from reconciler.plan.drift import Drift, changed, not_applied
from reconciler.render.change_summary import place
from reconciler.render.drift_summary import (
    FAILED,
    IN_THE_WAY,
    MANIFESTS,
    NOW,
    WAYS_OUT,
    Pair,
    Section,
    ToldRule,
    acceptance,
    acceptance_title,
    accepted_phrase,
    counts_phrase,
    left_alone_phrase,
    names,
    nobody,
    noted,
    refusal,
    sections,
)
from reconciler.render.impact import EVERYTHING, MOST_SHOWN, NOT_KNOWN, Case, affected
from reconciler.render.summary import FOLDED
from reconciler.render.text.plan import finding_lines
from reconciler.text.escape import join_first, pluralize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from reconciler.render.colour import Paint

    Command = Callable[[Sequence[str]], str]


ELSEWHERE: Final = "Conversations that do not go where the manifests say"
_MOST_NAMED: Final = 5
_FEW: Final = 5
"""Rows of who is affected that the brief form shows, and failing tests that the usual one does."""
_WIDEST: Final = 80


@dataclass(frozen=True, slots=True)
class Commands:
    """The commands that make rules as the manifests say, and that write what is live into the manifests.

    Each is asked for some addresses, or for all.
    """

    heal: Command
    keep: Command


def drift_text(drift: Drift, paint: Paint, commands: Commands, most: int = MOST_SHOWN) -> str:
    """Return what differs between the manifests and the tenant; `most` is how many rows and rules it shows of many."""
    plan = drift.plan
    if not drift.differs:
        held = [line for section in sections(drift) for line in _section(section, paint, most)]
        return "\n".join([_no_drift(drift), *(["", *held] if held else []), *_notes(drift, paint)]).rstrip() + "\n"
    lines = [*_head(drift), ""]
    for section in sections(drift):
        lines += _section(section, paint, most)
    for conflict in plan.conflicts:
        lines += [*finding_lines(conflict, paint), ""]
    lines += _failures(drift, paint, most)
    lines += _affected(drift, paint, most)
    lines += _notes(drift, paint)
    lines += _acceptance(drift)
    lines += [paint("red", f"{refusing}."), ""] if (refusing := refusal(drift)) else []
    way = "apply it" if len(not_applied(plan)) == len(plan.changes) else "heal it"
    lines += _ways_out(way, [str(change.address) for change in plan.changes], commands.heal)
    edits = [str(change.address) for change in changed(plan) if isinstance(change, Update)]
    lines += _ways_out("keep it", edits, commands.keep)
    return "\n".join(lines).rstrip() + "\n"


def drift_brief(drift: Drift, paint: Paint) -> str:
    """Return the counts, the names of each section's rules, and who is affected."""
    if not drift.differs:
        return f"{_no_drift(drift)}\n"
    lines = [f"{drift.plan.environment}: {counts_phrase(drift)}."]
    lines += [f"  {paint('bold', section.title)}: {names(section.rules)}" for section in sections(drift)]
    for finding in (*drift.plan.conflicts, *drift.failures)[:_MOST_NAMED]:
        lines += finding_lines(finding, paint)
    return "\n".join([*lines, *_affected(drift, paint, _FEW)]).rstrip() + "\n"


def _head(drift: Drift) -> Iterator[str]:
    """Yield how many rules differ, then what apply cannot change."""
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
    more = "".join(f"\n{said}." for said in (accepted_phrase(drift), left_alone_phrase(drift)) if said)
    return f"No drift. {pluralize(plan.unchanged, 'rule')} in {plan.environment} {match} the manifests.{more}"


def _affected(drift: Drift, paint: Paint, most: int) -> list[str]:
    """Say which conversations the manifests send to one place, and CXone to another."""
    impact, plan = drift.unwanted, drift.plan
    told = affected(impact.behaviour, plan.queue_names, plan.labels, impact.moved, most)
    if not told.cases:
        # Of the rules that were not asked for, nothing is said; of an analysis that stopped, a finding says it.
        rests = [f"  {told.premise}"] if told.premise else []
        return [] if told.unknown or plan.options.only else [paint("bold", nobody(drift)), *rests, ""]
    lines = [f"{paint('bold', ELSEWHERE)}   ({told.share})"]
    for case in told.cases:
        lines += _case(case, paint)
    lines += [f"  {told.rest()}; -v shows all of them."] if told.more else []
    lines += [f"  {told.premise}"] if told.premise else []
    if told.unknown:
        lines += [paint("yellow", NOT_KNOWN), *(f"  {one}" for one in told.unknown)]
    return [*lines, ""]


def _case(case: Case, paint: Paint) -> Iterator[str]:
    yield f"  {case.who}{f'   {case.share}' if case.share else ''}"
    yield from (f"      {one}" for one in case.excepts)
    width = len(NOW)
    yield f"      {MANIFESTS:<{width}}   {paint('yellow', case.before)}"
    yield f"      {NOW:<{width}}   {paint('yellow', case.after)}"
    yield paint("dim", f"      example: {case.example}")


def _section(section: Section, paint: Paint, most: int) -> Iterator[str]:
    yield paint("bold", f"{section.title}:")
    yield ""
    groups = section.groups
    shown = groups[:most] if section.title == IN_THE_WAY else groups
    for group in shown:
        yield from _rules(group, paint, EVERYTHING if most == EVERYTHING else FOLDED)
        yield ""
    more = len(section.rules) - sum(map(len, shown))
    if more > 0:
        yield f"  and {pluralize(more, 'further rule')}; -v shows all of them."
        yield ""


def _failures(drift: Drift, paint: Paint, most: int) -> Iterator[str]:
    """Yield the route tests that fail on the live rules, the first ones of many."""
    if not drift.failures:
        return
    yield paint("bold", f"{FAILED}:")
    yield ""
    shown = drift.failures[: _FEW if most == MOST_SHOWN else most]
    for finding in shown:
        yield from finding_lines(finding, paint)
    more = len(drift.failures) - len(shown)
    if more > 0:
        yield f"  and {pluralize(more, 'further route test')}; -v shows all of them."
    yield ""


def _acceptance(drift: Drift) -> list[str]:
    """Say how the rules in the way can be accepted, with the lines to paste."""
    return [*WAYS_OUT, acceptance_title(drift), "", *acceptance(drift), ""] if drift.in_the_way else []


def _rules(group: Sequence[ToldRule], paint: Paint, most: int) -> Iterator[str]:
    """Yield one rule, or what several have in common, with up to `most` of their names."""
    rule = group[0]
    if len(group) > 1:
        yield f"  {paint('yellow', pluralize(len(group), 'rule'))}"
        yield f"      {paint('dim', join_first([one.name for one in group], most))}"
    else:
        where = f"   {paint('dim', place(rule.source))}" if rule.source else ""
        yield f"  {paint('yellow', rule.name)}{where}"
    yield from (f"      {line}" for line in rule.lines)
    yield from _columns(rule.pairs, paint)


def _columns(pairs: Sequence[Pair], paint: Paint) -> Iterator[str]:
    """Yield fields in two columns; those that are too wide for that, each value on a line of its own."""
    if not pairs:
        return
    rows = [Pair("", MANIFESTS, NOW), *pairs]
    first = max(len(row.name) for row in rows)
    second = max(len(row.manifests) for row in rows)
    lines = [f"      {row.name:<{first}}  {row.manifests:<{second}}  {row.now}" for row in rows]
    if max(map(len, lines)) <= _WIDEST:
        yield paint("dim", lines[0])
        yield from lines[1:]
        return
    for pair in pairs:
        yield f"      {pair.name}"
        yield f"        {MANIFESTS:<{len(NOW)}}  {pair.manifests}"
        yield f"        {NOW:<{len(NOW)}}  {pair.now}"


def _notes(drift: Drift, paint: Paint) -> list[str]:
    lines = [line for finding in noted(drift) for line in finding_lines(finding, paint)]
    return [*lines, ""] if lines else []


def _ways_out(what: str, addresses: Sequence[str], command: Command) -> list[str]:
    found = sorted(set(addresses))
    return [f"  {what}   {command(found if len(found) <= _MOST_NAMED else ())}"] if found else []
