"""Drift in words: the rules of each section, with their values in the manifests and in CXone."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC
from typing import Final, NamedTuple

from reconciler.core.manifest.yaml_writer import format_flow, format_quoted
from reconciler.core.model.change import Change, Create, is_copy_removal
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule, marker_digest
from reconciler.core.model.rule import Source
from reconciler.core.plan.clauses import FEW_VALUES
from reconciler.core.plan.drift import (
    Drift,
    edited_changes,
)
from reconciler.core.plan.stages import Changes
from reconciler.core.plan.words import NO_IMPACT, NO_KNOWN_IMPACT
from reconciler.core.text.escape import escape_invisible, pluralize, quote, sanitize
from reconciler.core.text.local_time import shown_instant
from reconciler.core.text.phrases import failing_tests_phrase, rule_phrase
from reconciler.render.change_summary import (
    FieldRow,
    sort_for_reading,
    summarize_change,
)
from reconciler.render.effects import EffectsSummary, summarize_effects
from reconciler.render.summary import (
    changed_settings,
    failed_tests_title,
    fallback_difference,
)

IN_THE_WAY: Final = "In the way"
FAILED: Final = "Failed on the live rules"
MANIFESTS: Final = "manifests"
LIVE: Final = "in CXone now"


class DriftRule(NamedTuple):
    """One rule of a section: its address or live name, sentences about it, and the fields that
    differ.

    A field is as in CXone, and then as in the manifests. `remarks` are the sentences that no effect
    tells.
    """

    name: str
    source: Source | None = None
    sentences: tuple[str, ...] = ()
    fields: tuple[FieldRow, ...] = ()
    remarks: tuple[str, ...] = ()


class DriftSection(NamedTuple):
    """A section with its rules."""

    title: str
    rules: tuple[DriftRule, ...]


def drift_sections(drift: Drift) -> list[DriftSection]:
    """Return the sections that are not empty, in the order of reports."""
    plan = drift.plan

    def rules(changes: Iterable[Change]) -> Iterable[DriftRule]:
        return (_change_rule(drift, change) for change in sort_for_reading(changes))

    sections = {
        "Changed in CXone": rules(edited_changes(plan)),
        "Missing in CXone": rules(drift.missing),
        IN_THE_WAY: (_blocking_rule(drift, live) for live in drift.in_the_way),
        "Not applied yet": rules(drift.unapplied),
        "Due by a date": rules(drift.due_changes),
        "Held": (
            _change_rule(drift, held.change, f"not applied: {sanitize(held.reason)}")
            for held in plan.held
        ),
    }
    listed = [
        DriftSection(title, tuple(section)) for title, section in sections.items()
    ]
    return [section for section in listed if section.rules]


def counts_phrase(drift: Drift) -> str:
    """Return `1 rule changed in CXone, 1 rule missing in CXone, 1 rule in the way, 2 changes not
    applied`.
    """
    plan = drift.plan
    rules = (
        (edited_changes(plan), "changed in CXone"),
        (drift.missing, "missing in CXone"),
    )
    phrases = [
        f"{pluralize(len(changes), 'rule')} {verb}"
        for changes, verb in rules
        if changes
    ]
    phrases += [settings_phrase(plan)] if plan.changes_settings else []
    phrases += remaining_phrases(drift)
    rest = sum(not is_copy_removal(change) for change in drift.unapplied)
    phrases += [f"{pluralize(rest, 'change')} not applied"] if rest else []
    due = len(drift.due_changes)
    phrases += [f"{pluralize(due, 'change')} due by a date"] if due else []
    phrases += (
        [f"{pluralize(len(plan.conflicts), 'rule')} in conflict"]
        if plan.conflicts
        else []
    )
    phrases += (
        [failing_tests_phrase(len(drift.refusing_tests))]
        if drift.refusing_tests
        else []
    )
    return ", ".join(phrases) or "a clean-up left to do"


def settings_phrase(plan: Changes) -> str:
    """Return which settings beside the rules differ, as an object of `has`."""
    if plan.changes_endpoint:
        return f"another fallback ({fallback_difference(plan)})"
    return f"other settings beside the rules ({', '.join(changed_settings(plan))})"


def remaining_phrases(drift: Drift) -> list[str]:
    """Return the differences that apply cannot change."""
    phrases = (
        [f"{pluralize(len(drift.in_the_way), 'rule')} in the way"]
        if drift.in_the_way
        else []
    )
    phrases += (
        [f"{pluralize(count, 'route test')} failed on the live rules"]
        if (count := drift.failed_tests)
        else []
    )
    broken = drift.broken_promises
    phrases += (
        [f"{pluralize(broken, 'promise')} broken on the live rules"] if broken else []
    )
    phrases += (
        ["the analysis stopped at its bound"]
        if count + broken < len(drift.failed_checks)
        else []
    )
    return phrases or (
        ["conversations go elsewhere by other rules"]
        if drift.has_unfixable_drift
        else []
    )


def accepted_phrase(drift: Drift) -> str:
    """Return `3 unmanaged rules are accepted`, or an empty text."""
    count = len(drift.accepted)
    return (
        f"{pluralize(count, 'unmanaged rule')} {'is' if count == 1 else 'are'} accepted"
        if count
        else ""
    )


def save_phrase(drift: Drift) -> str:
    """Return who saved the document with the rules last, and when; empty if the rules are not in
    one.
    """
    save = drift.plan.live.last_save
    document = drift.plan.desired.form.document
    return (
        f"the {document} was last saved by {sanitize(save.by) or 'somebody'}, {sanitize(save.at)}"
        if save
        else ""
    )


def refusal_text(drift: Drift) -> str:
    """Return that apply refuses because route tests fail, or an empty text."""
    if not drift.refusing_tests or not drift.plan.has_work:
        return ""
    return failed_tests_title(drift.refusing_tests)


def noted_findings(drift: Drift) -> tuple[Finding, ...]:
    """Return stale acceptances, and ties with unmanaged live rules: the platform does not define
    which wins.
    """
    ties = [finding for finding in drift.plan.findings if finding.code == "CXR204"]
    return (
        *drift.notes,
        *(finding for finding in ties if "(not managed)" in finding.message),
    )


def unaffected_text(drift: Drift) -> str:
    """Return that no conversation goes elsewhere, except because of accepted rules and held
    changes.
    """
    unwanted = drift.unaccepted_impact.behaviour
    alone = drift.full_impact.behaviour
    if not unwanted.complete or not (alone.complete or alone.changed):
        return NO_KNOWN_IMPACT
    waiting = "held changes"
    if drift.due.expected:
        waiting = "changes that are held, or that a date has just made due,"
    accepted_only = (
        f"Only accepted rules and {waiting} send conversations elsewhere (proven)."
    )
    return accepted_only if alone.changed else NO_IMPACT


def blocking_advice(drift: Drift) -> tuple[str, str, str]:
    """Return sentences about the rules in the way; the last introduces the lines of
    `acceptance_lines`.
    """
    where = f"the Environment {drift.plan.environment}"
    paste = f"To accept them, paste this into {where}, with a reason for each:"
    return (
        "Apply does not change the rules in the way.",
        "Disable or delete them in CXone, adopt them with `adopt:` in a manifest, or accept them.",
        f"To accept them, add this to `unmanaged: accept:` of {where}:"
        if drift.acceptances
        else paste,
    )


def acceptance_lines(drift: Drift) -> list[str]:
    """Return the lines of YAML that accept every rule in the way, with its exact name in CXone."""
    head = [] if drift.acceptances else ["unmanaged:", "  accept:"]
    for name, content in dict.fromkeys(
        (live.rule.name, marker_digest(live.rule)) for live in drift.in_the_way
    ):
        # A character that a terminal does not show is written as an escape.
        text = (
            format_flow(name)
            if escape_invisible(name) == name
            else escape_invisible(format_quoted(name))
        )
        head.append(
            f"    - {{name: {text}, digest: {format_flow(content)}, reason: why}}"
        )
    return head


def effects_of(drift: Drift, values: int = FEW_VALUES) -> EffectsSummary:
    """Return the conversations that do not go where the manifests say, without accepted rules, in
    words.
    """
    plan = drift.plan
    impact = drift.unaccepted_impact
    missing = {change.address for change in drift.missing} - drift.last_runs.keys()
    edits = [
        replace(edited, is_missing=edited.entry.address in missing)
        for edited in impact.edits
    ]
    summary = summarize_effects(
        replace(impact, edits=edits),
        plan.queue_names,
        plan.labels,
        values=values,
    )
    # The report does not name edits of rules that are not selected.
    return replace(summary, quiet="") if plan.options.is_partial else summary


def verdict(drift: Drift, summary: EffectsSummary) -> str:
    """Return the first sentence about drift; empty if nothing is proven about the selected
    rules.
    """
    if summary.effects:
        return summary.headline
    # A finding reports an analysis that stopped.
    return (
        ""
        if summary.unknown or drift.plan.options.is_partial
        else unaffected_text(drift)
    )


def _change_rule(drift: Drift, change: Change, note: str = "") -> DriftRule:
    summary = summarize_change(drift.plan, change, note)
    reasons = []
    due = due_phrase(drift, change)
    if due:
        reasons = [due]
    elif isinstance(change, Create) and not note:
        run = drift.last_runs.get(change.address)
        reasons = [
            "never applied, or deleted in CXone"
            if run is None
            else f"deleted in CXone since {sanitize(run)}"
        ]
    lines = (*reasons, *summary.sentences)
    return DriftRule(
        str(change.address),
        change.source,
        lines,
        summary.rows,
        (*reasons, *filter(None, [note])),
    )


def due_phrase(drift: Drift, change: Change) -> str:
    """Return `due since 2026-12-27T06:00:00+01:00`, in the zone of the Environment; empty for a
    change that no date alone caused.
    """
    since = drift.due.since.get(change.address)
    if since is None or change.cause != "manifest":
        return ""
    calendar = drift.plan.desired.calendar
    return f"due since {shown_instant(since, calendar.zone if calendar else UTC)}"


def expected_text(drift: Drift) -> str:
    """Return that the next run makes changes which a date has just made due; empty without any."""
    count = sum(map(drift.due.is_expected, drift.plan.changes))
    if not count:
        return ""
    pronoun = "it" if count == 1 else "them"
    head = f"{pluralize(count, 'change')} due by a date"
    return f"{head}: the next apply or run of watch makes {pronoun}."


def _blocking_rule(drift: Drift, live: LiveRule) -> DriftRule:
    plan = drift.plan
    marker = live.marker
    owner = "not managed" if marker is None else f"managed by {marker.owner}"
    if marker is not None and marker.owner == plan.owner:
        owner = f"an edited copy of {marker.address}"
    sentences = [owner, rule_phrase(live.rule, plan.queue_names, plan.labels)]
    remarks = [owner]
    if live.id in drift.temporary_ids:
        note = "in the way only until apply changes the rules to match the manifests"
        sentences.append(note)
        remarks.append(note)
    name = quote(live.rule.name)
    return DriftRule(name, None, tuple(sentences), (), tuple(remarks))
