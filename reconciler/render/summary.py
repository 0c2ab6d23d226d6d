"""A plan in words for all report formats."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from reconciler.core.model.change import Change
from reconciler.core.model.finding import Finding
from reconciler.core.plan.clauses import FEW_VALUES
from reconciler.core.plan.consent import CONSENT_PLACE, Consent, describe_consent
from reconciler.core.plan.document import COUNTED_ACTIONS, count_changes
from reconciler.core.plan.stages import Assessed, Changes, Plan, Scheduled
from reconciler.core.text.escape import join_first, pluralize, quote, sanitize
from reconciler.core.text.json_values import as_object, parse_object
from reconciler.core.text.phrases import acknowledged_phrase, failing_tests_phrase
from reconciler.render.change_summary import (
    ChangeSummary,
    sort_for_reading,
    summarize_change,
)
from reconciler.render.edited_dates import EditedDatesSummary, summarize_edited_dates
from reconciler.render.effects import EffectsSummary, Extent, summarize_effects
from reconciler.render.later import LaterSummary, summarize_later
from reconciler.render.replay import ReplaySummary, summarize_replay

_MAX_INTENTS: Final = 5
_MAX_MESSAGE: Final = 2_000
_ABOUT_UNDO: Final = frozenset({"CXR310", "CXR311"})
"""Codes of findings about what an undo leaves undone."""
SIMULATED_TENANT: Final = "simulated"
"""The description of a tenant that the sandbox simulates."""
SAFE_ORDER_NOTE: Final = (
    "After every single write, each conversation goes to its old or its new queue."
)
_STEP_NOTES: Final = {
    "copy": "in three steps: a temporary copy takes its conversations first, and is deleted after the rule is changed",
    "aside": "in two steps: another rule still has its new name, so it gets the name last",
}


class GuardSummary(NamedTuple):
    """A guard that makes apply refuse: its name, for `--allow`, and its message; if it is lifted,
    the reason.
    """

    name: str
    message: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanSummary:
    """A plan in words, in reading order. All text is safe for a terminal."""

    environment: str
    tenant_text: str  # `tenant acme`
    rules_text: str  # `40 rules managed, 4 unmanaged`
    failed_tests: tuple[Finding, ...]
    lifted_guards: tuple[GuardSummary, ...]
    refusals: tuple[GuardSummary, ...]
    conflicts: tuple[Finding, ...]
    effects: EffectsSummary | None  # None if nothing changes
    replay: ReplaySummary | None  # of `plan --replay`
    endpoint_text: (
        str  # the changes of the endpoint's fallback; empty if it is unchanged
    )
    changes: tuple[ChangeSummary, ...]
    held_changes: tuple[ChangeSummary, ...]
    notes: tuple[Finding, ...]  # warnings and infos
    # the number of findings that the manifests accept, as a sentence; empty without one
    acknowledged: str
    counts: dict[str, int]
    totals_text: str
    changes_text: str  # `1 to create, 2 to update (1 untested)`
    # the number of steps, and what is proven about them; empty if nothing is proven
    schedule_text: str
    consent: tuple[Consent, ...] = ()
    # each with an example, if the guard of promises refuses
    broken_promises: tuple[Finding, ...] = ()
    later: LaterSummary | None = None
    edited_dates: EditedDatesSummary | None = None

    @property
    def consent_text(self) -> str:
        """Return whose consent is needed, and where it is checked, in one line; empty without
        any.
        """
        if not self.consent:
            return ""
        return f"Consent needed: {describe_consent(self.consent)}. {CONSENT_PLACE}"


def summarize_plan(
    plan: Plan,
    tenant: str,
    values: int = FEW_VALUES,
    extent: Extent = "all",
) -> PlanSummary:
    """Return the plan in words, with up to `values` of each list.

    With the extent `flows`, the flows of a large plan stand in place of its effects and of the
    changes without a note.
    """
    effects = _summarize_impact(plan, values, extent)
    replayed = None
    if plan.replay:
        replayed = summarize_replay(plan.replay, plan.queue_names, plan.labels, values)
    counts = count_changes(plan)
    changes_text = _changes_text(plan, counts)
    return PlanSummary(
        environment=plan.environment,
        tenant_text=_tenant_text(plan, tenant),
        rules_text=_rules_text(plan),
        failed_tests=plan.failed_tests,
        lifted_guards=tuple(_lifted_guards(plan)),
        refusals=tuple(_refusals(plan)),
        conflicts=plan.conflicts,
        effects=effects,
        replay=replayed,
        endpoint_text=_endpoint_text(plan),
        changes=_change_summaries(plan, effects, extent),
        held_changes=tuple(_held_summaries(plan)),
        notes=tuple(note for note in plan.findings if note.severity != "error"),
        acknowledged=_accepted_text(plan),
        counts=counts,
        totals_text=_totals_text(plan, counts, changes_text),
        changes_text=changes_text,
        schedule_text=_schedule_text(plan),
        consent=plan.consent or (),
        broken_promises=_broken_promises(plan),
        later=summarize_later(plan, values),
        edited_dates=summarize_edited_dates(plan),
    )


def _accepted_text(plan: Plan) -> str:
    accepted = len(plan.acknowledged)
    return acknowledged_phrase(accepted) if accepted else ""


def _summarize_impact(
    plan: Assessed, values: int, extent: Extent
) -> EffectsSummary | None:
    """Return the effects in words; None if no change moves conversations."""
    if not plan.changes and not plan.changes_endpoint and plan.is_comparable:
        return None
    return summarize_effects(
        plan.impact,
        plan.queue_names,
        plan.labels,
        plan.promises,
        values,
        extent,
    )


def _change_summaries(
    plan: Scheduled,
    effects: EffectsSummary | None,
    extent: Extent,
) -> tuple[ChangeSummary, ...]:
    """Return the changes; only those with a note if flows stand in place of the others."""
    noted = _note_changes(plan)
    if extent == "flows" and effects is not None and effects.flows:
        noted = [(change, note) for change, note in noted if note]
    return tuple(summarize_change(plan, change, note) for change, note in noted)


def _tenant_text(plan: Changes, tenant: str) -> str:
    text = sanitize(tenant)
    if plan.options.undo:
        text = f"undoes run {plan.options.undo}, {text}"
    return text


def _rules_text(plan: Changes) -> str:
    managed = pluralize(len(plan.managed), "rule")
    return f"{managed} managed, {plan.unmanaged:,} unmanaged"


def _schedule_text(plan: Scheduled) -> str:
    if not plan.changes or not plan.steps or plan.unproven:
        return ""
    return f"Safe order (proven): {pluralize(len(plan.steps), 'step')}."


def _lifted_guards(plan: Plan) -> Iterator[GuardSummary]:
    for guard in plan.guards:
        if guard.allowed is not None:
            yield GuardSummary(
                guard.name,
                sanitize(guard.message),
                sanitize(guard.allowed),
            )


def _refusals(plan: Plan) -> Iterator[GuardSummary]:
    for guard in plan.guards:
        if not guard.ok:
            yield GuardSummary(guard.name, sanitize(guard.message, _MAX_MESSAGE))


def _note_changes(plan: Scheduled) -> list[tuple[Change, str]]:
    """Return the changes, each with a note if it is made in several calls."""
    detours: dict[int, str] = {}
    for wave in plan.steps:
        for step in wave:
            if step.kind in _STEP_NOTES:
                detours[id(step.change)] = _STEP_NOTES[step.kind]
    return [
        (change, detours.get(id(change), ""))
        for change in sort_for_reading(plan.changes)
    ]


def _held_summaries(plan: Changes) -> Iterator[ChangeSummary]:
    for hold in plan.held:
        note = f"not applied: {sanitize(hold.reason)}"
        yield summarize_change(plan, hold.change, note)


def _broken_promises(plan: Plan) -> tuple[Finding, ...]:
    """Return the promises that make apply refuse."""
    if not any(guard.name == "promises" and not guard.ok for guard in plan.guards):
        return ()
    failures = (promise.failure for promise in plan.promises)
    return tuple(
        failure
        for failure in failures
        if failure is not None and failure.severity == "error"
    )


def _endpoint_text(plan: Changes) -> str:
    """Return the changes of the endpoint's fallback, or of other settings beside the rules, as a
    sentence; empty if they are unchanged.
    """
    if not plan.changes_endpoint:
        return _settings_text(plan) if plan.changes_settings else ""
    difference = fallback_difference(plan)
    if plan.changes_settings:
        return f"The fallback that is published with the rules changes: {difference}."
    change = f"The fallback of the context endpoint changes: {difference}."
    return f"{change} It takes effect when `cxroute serve` starts again."


def _settings_text(plan: Changes) -> str:
    names = ", ".join(changed_settings(plan))
    return (
        f"Settings beside the rules change: {names}. Whom that moves by the values that a script "
        f"sends is not analysed."
    )


def changed_settings(plan: Changes) -> list[str]:
    """Return the names of the settings beside the rules that differ, the fallback aside."""
    sides = [plan.live.settings, plan.desired.settings]
    before, after = (
        parse_object(side.content) if side is not None else {} for side in sides
    )
    before, after = (
        {**as_object(form.get("endpoint")), **form} for form in (before, after)
    )
    names = sorted({*before, *after} - {"endpoint", "fallback"})
    return [name for name in names if before.get(name) != after.get(name)]


def fallback_difference(plan: Changes) -> str:
    """Return `no fallback -> none below 0.4, now unknown: card_fee`: the fallback before the
    change and after it.
    """
    settings = [stage.fallback.settings for stage in plan.endpoints]
    below = [(each["intent"], each["minConfidence"]) for each in settings]
    intents = [
        "no fallback" if name is None else f"{quote(name)} below {quote(bound)}"
        for name, bound in below
    ]
    changes = [" -> ".join(intents)] if intents[0] != intents[1] else []
    # empty: every intent is known
    old, new = ({*each["knownIntents"]} for each in settings)
    listed = {"now known: ": old and new - old, "now unknown: ": new and old - new}
    listed |= {} if old else {"now unknown: every intent except ": new}
    changes += [
        f"{title}{join_first(sorted(names), _MAX_INTENTS, quote)}"
        for title, names in listed.items()
        if names
    ]
    changes += ["now known: every intent"] if old and not new else []
    return ", ".join(changes)


def failed_tests_title(failed: Sequence[Finding]) -> str:
    """Return the number of failing route tests and the consequence."""
    return f"{failing_tests_phrase(len(failed))}: apply will refuse this plan"


def split_notes(summary: PlanSummary) -> tuple[list[Finding], dict[str, list[Finding]]]:
    """Return the warnings about changed rules, an undo or no rule, and the other notes by their
    title.
    """
    changed = {change.address for change in (*summary.changes, *summary.held_changes)}
    near = list[Finding]()
    far = list[Finding]()
    infos = list[Finding]()
    for finding in summary.notes:
        is_near = (
            finding.address is None
            or changed.intersection(finding.addresses)
            or finding.code in _ABOUT_UNDO
        )
        (infos if finding.severity == "info" else near if is_near else far).append(
            finding
        )
    far_title = f"{pluralize(len(far), 'warning')} about unchanged rules"
    others = ((far_title, far), (pluralize(len(infos), "further note"), infos))
    return near, {title: findings for title, findings in others if findings}


def match_phrase(plan: Changes) -> str:
    """Return `40 rules in prod match the manifests.`."""
    match = "matches" if plan.unchanged == 1 else "match"
    return f"{pluralize(plan.unchanged, 'rule')} in {plan.environment} {match} the manifests."


def _undo_totals(plan: Changes, held: int) -> str:
    """Return the totals of an undo without changes of rules."""
    remaining = f" {pluralize(held, 'change')} held." if held else ""
    if plan.changes_settings:
        restored = "The undo restores the settings beside the rules."
        return f"No rule changes. {restored}{remaining}"
    return f"No changes. Nothing is left to undo of run {plan.options.undo}.{remaining}"


def _totals_text(plan: Plan, counts: Mapping[str, int], changes_text: str) -> str:
    if not plan.changes and plan.options.undo:
        return _undo_totals(plan, counts["held"])
    changes_other = plan.changes_endpoint or plan.changes_settings
    if not plan.changes and changes_other and not plan.conflicts and not plan.held:
        return f"No rule changes. {match_phrase(plan)}"
    if not plan.changes:
        blocked = (
            f" {pluralize(len(plan.conflicts), 'rule')} cannot be made live."
            if plan.conflicts
            else ""
        )
        suffix = f" {counts['held']} held." if plan.held else ""
        nothing = "Nothing else to change" if blocked else "No changes"
        if plan.edited_dates and plan.edited_dates.dates:
            nothing += " now"
        return f"{nothing}. {match_phrase(plan)}{blocked}{suffix}"
    suffix = f", {counts['held']} held" if counts["held"] else ""
    changes = changes_text or "a clean-up after an earlier run"
    return f"Plan: {changes}, {counts['unchanged']:,} unchanged{suffix}."


def _changes_text(plan: Plan, counts: Mapping[str, int]) -> str:
    """Return the number of changes of each kind, and how many changed rules no test and no promise
    watches.
    """
    words = ", ".join(
        f"{counts[kind]:,} to {kind}" for kind in COUNTED_ACTIONS if counts[kind]
    )
    if not words or not plan.watch:
        return words
    notes = []
    changed = sum(counts[kind] for kind in COUNTED_ACTIONS)
    if plan.watch.unwatched == changed:
        notes.append("untested")
    elif plan.watch.unwatched:
        notes.append(f"{plan.watch.unwatched:,} untested")
    if plan.watch.undecided:
        notes.append(f"{plan.watch.undecided:,} perhaps untested")
    return f"{words} ({', '.join(notes)})" if notes else words
