"""Drift in words: each rule of each section, with what the manifests say beside what is in CXone now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reconciler.manifest.yaml_writer import flow, quoted
from reconciler.model.change import Change, Create, Held, is_copy
from reconciler.model.live import LiveRule, digest
from reconciler.plan.drift import Drift, changed, missing, not_applied
from reconciler.render.change_summary import Row, in_reading_order, told_change
from reconciler.render.equal_edits import parts
from reconciler.render.impact import NOBODY, NOBODY_KNOWN
from reconciler.render.summary import tests_title
from reconciler.text.escape import escape_invisible, join_first, pluralize, quote, sanitize
from reconciler.text.phrases import failing, rule_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from reconciler.model.finding import Finding
    from reconciler.model.rule import Source


CHANGED: Final = "Changed in CXone"
MISSING: Final = "Missing in CXone"
IN_THE_WAY: Final = "In the way"
NOT_APPLIED: Final = "Not applied yet"
LEFT_ALONE: Final = "Left alone"
FAILED: Final = "Failed on the live rules"
MANIFESTS: Final = "manifests"
NOW: Final = "in CXone now"
NOTHING: Final = "(none)"
ONLY_WANTED: Final = "Only accepted rules and changes left alone send conversations elsewhere (proven)."
WAYS_OUT: Final = (
    "Apply does not write the rules in the way.",
    "Switch them off or delete them in CXone, take them over with `adopt:` in a manifest, or accept them.",
)


@dataclass(frozen=True, slots=True)
class Pair:
    """One field of a rule: its value by the manifests, and in CXone now."""

    name: str
    manifests: str
    now: str


@dataclass(frozen=True, slots=True)
class ToldRule:
    """One rule of a section: its address or live name, sentences about it, and the fields that differ."""

    name: str
    source: Source | None = None
    lines: tuple[str, ...] = ()
    pairs: tuple[Pair, ...] = ()


@dataclass(frozen=True, slots=True)
class Section:
    """A section with its rules."""

    title: str
    rules: tuple[ToldRule, ...]

    @property
    def groups(self) -> list[tuple[ToldRule, ...]]:
        """The rules in order; three or more with equal edits together, where the first of them stood."""
        groups: dict[object, list[ToldRule]] = {}
        for number, rule in enumerate(self.rules):
            groups.setdefault((rule.lines, rule.pairs) if rule.pairs else number, []).append(rule)
        return [part for group in groups.values() for part in parts(group)]


def sections(drift: Drift) -> list[Section]:
    """Return the sections that are not empty, in the order in which people read them."""
    plan = drift.plan
    found = [
        Section(CHANGED, _changes(drift, changed(plan))),
        Section(MISSING, _changes(drift, missing(plan))),
        Section(IN_THE_WAY, tuple(_in_the_way(drift, live) for live in drift.in_the_way)),
        Section(NOT_APPLIED, _changes(drift, not_applied(plan))),
        Section(LEFT_ALONE, tuple(_held(drift, held) for held in plan.held)),
    ]
    return [section for section in found if section.rules]


def counts_phrase(drift: Drift) -> str:
    """Return `1 rule changed in CXone, 1 rule missing in CXone, 1 rule in the way, 2 changes not applied`."""
    plan = drift.plan
    rules = ((changed(plan), "changed in CXone"), (missing(plan), "missing in CXone"))
    said = [f"{pluralize(len(changes), 'rule')} {what}" for changes, what in rules if changes]
    said += remaining_phrases(drift)
    rest = sum(not is_copy(change) for change in not_applied(plan))
    said += [f"{pluralize(rest, 'change')} not applied"] if rest else []
    said += [f"{pluralize(len(plan.conflicts), 'rule')} in conflict"] if plan.conflicts else []
    said += [failing(len(plan.failed_tests))] if plan.failed_tests else []
    return ", ".join(said) or "a clean-up left to do"


def remaining_phrases(drift: Drift) -> list[str]:
    """Say what differs that apply cannot change."""
    said = [f"{pluralize(len(drift.in_the_way), 'rule')} in the way"] if drift.in_the_way else []
    said += [f"{pluralize(count, 'route test')} failed on the live rules"] if (count := drift.failed_tests) else []
    said += ["the analysis stopped at its bound"] if count < len(drift.failures) else []
    return said or (["conversations go elsewhere by other rules"] if drift.remains else [])


def accepted_phrase(drift: Drift) -> str:
    """Return `3 accepted rules that are not managed`; nothing where there is none."""
    count = len(drift.accepted)
    return f"{pluralize(count, 'accepted rule')} that {'is' if count == 1 else 'are'} not managed" if count else ""


def left_alone_phrase(drift: Drift) -> str:
    """Return `2 changes are left alone`; nothing where there is none."""
    count = len(drift.plan.held)
    return f"{pluralize(count, 'change')} {'is' if count == 1 else 'are'} left alone" if count else ""


def refusal(drift: Drift) -> str:
    """Say that apply will not heal anything while the manifests fail route tests; nothing where they pass."""
    plan = drift.plan
    return tests_title(plan.failed_tests) if plan.failed_tests and plan.changes else ""


def noted(drift: Drift) -> tuple[Finding, ...]:
    """Return what is worth knowing: stale acceptances, and ties with live rules that are not managed.

    The platform does not say which rule of a tie it takes, so whether conversations stay is not known.
    """
    ties = (one for one in drift.plan.findings if one.code == "CXR204" and "(not managed)" in one.message)
    return (*drift.notes, *ties)


def nobody(drift: Drift) -> str:
    """Say that no conversation goes elsewhere, but by what is accepted or left alone."""
    unwanted, alone = drift.unwanted.behaviour, drift.alone.behaviour
    if not unwanted.complete or not (alone.complete or alone.changed):
        return NOBODY_KNOWN
    return ONLY_WANTED if alone.changed else NOBODY


def acceptance_title(drift: Drift) -> str:
    """Say what to do with the lines of `acceptance`."""
    where = f"the Environment {drift.plan.environment}"
    if not drift.acceptances:
        return f"To accept them, paste this into {where}, with a reason each:"
    return f"To accept them, add this to `unmanaged: accept:` of {where}:"


def acceptance(drift: Drift) -> list[str]:
    """Return the lines of YAML that accept every rule in the way; each name reads back as it is in CXone."""
    head = [] if drift.acceptances else ["unmanaged:", "  accept:"]
    accepted = dict.fromkeys((live.rule.name, digest(live.rule)) for live in drift.in_the_way)
    return [
        *head,
        *(f"    - {{name: {_text(name)}, digest: {flow(content)}, reason: why}}" for name, content in accepted),
    ]


def _text(name: str) -> str:
    """Return a name as YAML that a terminal shows whole: what would not be seen is an escape."""
    return flow(name) if escape_invisible(name) == name else escape_invisible(quoted(name))


def _changes(drift: Drift, changes: Iterable[Change]) -> tuple[ToldRule, ...]:
    return tuple(_change(drift, change) for change in in_reading_order(changes))


def _change(drift: Drift, change: Change, note: str = "") -> ToldRule:
    told = told_change(drift.plan, change, note)
    said = [_since(drift, change)] if isinstance(change, Create) and not note else []
    pairs = [_pair(row) for row in told.rows]
    lines = [*said, *told.lines, *(row.before for row, pair in zip(told.rows, pairs, strict=True) if pair is None)]
    return ToldRule(str(change.address), change.source, tuple(lines), tuple(pair for pair in pairs if pair is not None))


def _held(drift: Drift, held: Held) -> ToldRule:
    return _change(drift, held.change, f"left alone: {sanitize(held.reason)}")


def _since(drift: Drift, change: Change) -> str:
    """Say whether a missing rule was live before, as far as the journal knows."""
    run = drift.since.get(change.address)
    return "never applied, or deleted in CXone" if run is None else f"deleted in CXone since {sanitize(run)}"


def _in_the_way(drift: Drift, live: LiveRule) -> ToldRule:
    plan, marker = drift.plan, live.marker
    owner = "not managed"
    if marker is not None:
        ours = marker.owner == plan.owner
        owner = f"an edited copy of {marker.address}" if ours else f"managed by {marker.owner}"
    sentence = rule_phrase(live.rule, plan.queue_names, plan.labels)
    passing = ("in the way only until apply makes the rules as the manifests say",) if live.id in drift.passing else ()
    return ToldRule(quote(live.rule.name), None, (owner, sentence, *passing))


def _pair(row: Row) -> Pair | None:
    """Return the two columns of a row; None for a row that is a sentence.

    A row says what is live and what will be. A part that is in one of them alone has a name that says so.
    """
    what, _, way = row.name.rpartition(" ")
    if row.after:
        return Pair(row.name, row.after, row.before)
    if way == "added":
        return Pair(what, row.before, NOTHING)
    return Pair(what, NOTHING, row.before) if way == "removed" else None


def names(rules: Sequence[ToldRule]) -> str:
    """Return the names of rules, the first ones where there are many."""
    return join_first(rules, _MOST_NAMED, lambda rule: rule.name)


_MOST_NAMED: Final = 10
