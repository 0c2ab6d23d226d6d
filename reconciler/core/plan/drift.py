"""Plan -> Drift, and its JSON: a plan, and the differences that apply cannot remove
(docs/watch.md).

These are unmanaged live rules that take conversations which the manifests route elsewhere, and
failed route tests.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, Final, cast

from reconciler.core.behaviour.diff.difference import (
    EVERYTHING,
    BehaviourChange,
    compare_behaviour,
)
from reconciler.core.behaviour.diff.effects import EditSet, Effect
from reconciler.core.behaviour.diff.regions import Region
from reconciler.core.behaviour.endpoint_stage import EndpointStage
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.change import Adopt, Change, Create
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.live import LiveRule, marker_digest
from reconciler.core.model.rule import Address, Source
from reconciler.core.plan.behaviour_json import impact_to_json
from reconciler.core.plan.changes import is_selected
from reconciler.core.plan.document import (
    DRIFT_REPORT,
    digest_document,
    live_rule_to_json,
    plan_to_json,
)
from reconciler.core.plan.due import DueChanges
from reconciler.core.plan.edits import EditedRule, edits_of_lists
from reconciler.core.plan.finding_json import finding_to_json
from reconciler.core.plan.headline import headline
from reconciler.core.plan.impact import NO_IMPACT, Impact
from reconciler.core.plan.ownership import LiveRulesByOwner
from reconciler.core.plan.routing_table import desired_entries, live_entries
from reconciler.core.plan.stages import Changes, Plan
from reconciler.core.plan.stored_texts import classify_live_rules
from reconciler.core.plan.traffic_shares import convert_sample, measure_traffic
from reconciler.core.plan.words import order_effects
from reconciler.core.text.local_time import shown_instant
from reconciler.core.traffic.sample import TrafficSample

if TYPE_CHECKING:
    from reconciler.core.plan.plan_json import ChangeJson, PlanJson, SummaryJson

FAILED_TEST: Final = "CXR220"
BROKEN_PROMISE: Final = "CXR221"
NOTHING_DUE: Final = DueChanges()
_UNFINISHED: Final = Finding(
    code="CXR331",
    severity="error",
    message="the rules overlap in too many ways, and the comparison of manifests and live rules stopped at its bound",
    hint="use conditions on fewer attributes, or accept the unmanaged live rules",
)


_READ_OTHERWISE: Final = replace(
    _UNFINISHED,
    message="the live rules read other attributes of the bot, or are tried in another order, than "
    "the manifests say: nothing about conversations is proven",
    hint="apply publishes the settings of the manifests",
)


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An entry of the Environment's `unmanaged.accept`, and its position."""

    name: str
    digest: str
    source: Source | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The changes of a plan, and all other differences between the tenant and the manifests."""

    plan: Changes
    # Live rules that are not managed, not accepted, and take conversations that the manifests send
    # elsewhere:
    in_the_way: tuple[LiveRule, ...] = ()
    # those that take these conversations only until the plan is applied
    temporary_ids: frozenset[str] = frozenset()
    # live rules that the Environment's `unmanaged.accept` names
    accepted: tuple[LiveRule, ...] = ()
    # entries of `unmanaged.accept`, those that match no live rule included
    acceptances: int = 0
    full_impact: Impact = NO_IMPACT  # from the manifests alone to all live rules
    # The same without conversations of rules that are accepted, or whose change is held:
    unaccepted_impact: Impact = NO_IMPACT
    # the journal's run that last wrote each rule
    last_runs: Mapping[Address, str] = field(default_factory=dict)
    # route tests that the manifests fail: apply refuses while there is one
    refusing_tests: tuple[Finding, ...] = ()
    # changes that are due by a date alone
    due: DueChanges = field(default_factory=DueChanges)
    # failed route tests and promises, and an analysis that stopped
    failed_checks: tuple[Finding, ...] = ()
    # stale entries of `unmanaged.accept`, and broken promises of severity warning
    notes: tuple[Finding, ...] = ()

    @property
    def failed_tests(self) -> int:
        """Return how many route tests fail on the live rules."""
        return sum(finding.code == FAILED_TEST for finding in self.failed_checks)

    @property
    def broken_promises(self) -> int:
        """Return how many promises of severity error the live rules do not keep."""
        return sum(finding.code == BROKEN_PROMISE for finding in self.failed_checks)

    @property
    def has_drift(self) -> bool:
        """Return whether drift exits with code 2."""
        return bool(
            any(not self.due.is_expected(change) for change in self.plan.changes)
            or self.plan.changes_settings
            or self.plan.conflicts
            or self.has_unfixable_drift
        )

    @property
    def due_changes(self) -> list[Change]:
        """Return the changes that are due by a date alone."""
        return [
            change
            for change in self.plan.changes
            if change.address in self.due.since and change.cause == "manifest"
        ]

    @property
    def missing(self) -> list[Create]:
        """Return the rules of the manifests that are not live, without those that a date begins."""
        return [
            change
            for change in missing_rules(self.plan)
            if change.address not in self.due.since
        ]

    @property
    def unapplied(self) -> list[Change]:
        """Return the other changes of the manifests, without those that are due by a date."""
        due = self.due_changes
        return [change for change in unapplied_changes(self.plan) if change not in due]

    @property
    def has_unfixable_drift(self) -> bool:
        """Return whether something differs that apply cannot change."""
        # With --only this includes an edit of another managed rule that takes conversations of the
        # selected rules.
        if self.in_the_way or self.failed_checks:
            return True
        if not self.plan.options.is_partial or self.plan.has_work:
            return False
        return bool(self.unaccepted_impact.behaviour.changed)


def find_drift(
    plan: Changes,
    accept: Sequence[Acceptance] = (),
    sample: TrafficSample | None = None,
    due: DueChanges = NOTHING_DUE,
) -> Drift:
    """Return the drift of a plan. The caller adds the runs of the journal and the route tests."""
    owned = classify_live_rules(plan.live.rules, plan.desired)
    unwritten = _unwritten_rules(plan, owned)
    accepted = _accepted_rules(accept, unwritten)
    waiting = _waiting_changes(plan, due)
    unchanged_ids = _unchanged_ids(waiting, accepted)

    manifest_rules = _manifest_entries(plan.desired, owned.managed)
    full_impact = _measure_impact(plan, manifest_rules, (), sample)
    reference = _with_unchanged(plan, manifest_rules, unchanged_ids, waiting)
    unaccepted_impact = full_impact
    only = plan.options.only
    if unchanged_ids or waiting or only:
        unaccepted_impact = _measure_impact(plan, reference, only, sample)

    drift = Drift(
        plan=plan,
        accepted=accepted,
        acceptances=len(accept),
        due=due,
        full_impact=full_impact,
        unaccepted_impact=unaccepted_impact,
    )
    unaccepted = _rules_by_id(unwritten, unchanged_ids)
    stale = _stale_findings(accept, unwritten)
    return _with_findings(_with_blocking(drift, unaccepted, reference), stale)


def _with_blocking(
    drift: Drift,
    rules: Mapping[str, LiveRule],
    reference: tuple[RoutingEntry, ...],
) -> Drift:
    """Return a drift with those of the rules that are in the way of the reference."""
    ids = rules.keys() & _winner_ids(drift.unaccepted_impact.behaviour)
    temporary_ids = ids - _lasting_ids(drift.plan, reference, rules)
    return replace(
        drift,
        in_the_way=_in_order(drift.plan, rules, ids),
        temporary_ids=frozenset(temporary_ids),
    )


def _with_findings(drift: Drift, notes: Iterable[Finding]) -> Drift:
    """Return a drift with notes, and what its analysis left open."""
    open_checks = _unfinished_checks(drift.plan, drift.unaccepted_impact.behaviour)
    return replace(drift, failed_checks=open_checks, notes=tuple(notes))


def _unfinished_checks(
    plan: Changes, behaviour: BehaviourChange
) -> tuple[Finding, ...]:
    if behaviour.complete:
        return ()
    return (_UNFINISHED,) if plan.is_comparable else (_READ_OTHERWISE,)


def _rules_by_id(
    rules: Iterable[LiveRule], without: Collection[str]
) -> dict[str, LiveRule]:
    return {live.id: live for live in rules if live.id not in without}


def _waiting_changes(plan: Changes, due: DueChanges) -> list[Change]:
    """Return the changes that are not made for now: held ones, and those that a date has just made
    due.
    """
    held = [hold.change for hold in plan.held]
    return held + [change for change in plan.changes if due.is_expected(change)]


def _unchanged_ids(waiting: Iterable[Change], accepted: Iterable[LiveRule]) -> set[str]:
    """Return the ids of the live rules that are accepted, or whose change waits."""
    ids = {live.id for live in accepted}
    ids.update(change.live.id for change in waiting if not isinstance(change, Create))
    return ids


def _with_unchanged(
    plan: Changes,
    manifest_rules: tuple[RoutingEntry, ...],
    unchanged_ids: Collection[str],
    waiting: Collection[Change],
) -> tuple[RoutingEntry, ...]:
    """Return the manifests' rules, with the rules that wait and accepted ones as they are: those
    route conversations for now.
    """
    if not waiting and not unchanged_ids:
        return manifest_rules
    held = {change.address for change in waiting}
    unheld = (entry for entry in manifest_rules if entry.address not in held)
    live = live_entries(plan.live.rules, plan.desired)
    unchanged = (entry for entry in live if entry.id in unchanged_ids)
    return (*unheld, *unchanged)


def _in_order(
    plan: Changes, rules: Mapping[str, LiveRule], ids: Collection[str]
) -> tuple[LiveRule, ...]:
    """Return the rules with these ids in the order of evaluation."""
    entries = live_entries(plan.live.rules, plan.desired)
    ordered = order_entries(entries, plan.desired.evaluation)
    return tuple(rules[entry.id] for entry in ordered if entry.id in ids)


def _unwritten_rules(plan: Changes, owned: LiveRulesByOwner) -> list[LiveRule]:
    """Return the rules that apply never writes: not a rule that it adopts, which becomes as the
    manifests say.
    """
    adopted = {change.live.id for change in plan.changes if isinstance(change, Adopt)}
    rules = (*owned.unmanaged, *owned.edited_copies)
    return [live for live in rules if live.id not in adopted]


def _accepted_rules(
    accept: Iterable[Acceptance], rules: Iterable[LiveRule]
) -> tuple[LiveRule, ...]:
    """Return the rules that are as an entry accepts them."""
    digests = {(acceptance.name, acceptance.digest) for acceptance in accept}
    return tuple(
        live for live in rules if (live.rule.name, marker_digest(live.rule)) in digests
    )


def _lasting_ids(
    plan: Changes, reference: tuple[RoutingEntry, ...], rules: Mapping[str, LiveRule]
) -> set[str]:
    """Return the ids of those of the rules that take conversations after the plan, too."""
    if not plan.changes:
        return set(rules)
    desired = plan.desired
    live = live_entries(plan.live.rules, desired)
    remaining = (entry for entry in live if entry.id in rules)
    before = desired.endpoint.pull_back(reference)
    after = desired.endpoint.pull_back((*reference, *remaining))
    types = desired.endpoint.types
    later = compare_behaviour(before, after, desired.evaluation, types=types)
    return _winner_ids(later) if later.complete else set(rules)


def edited_changes(plan: Changes) -> list[Change]:
    """Return the changes of managed rules that were edited in CXone."""
    return [change for change in plan.changes if change.cause in ("drift", "both")]


def missing_rules(plan: Changes) -> list[Create]:
    """Return the rules of the manifests that are not live."""
    return [change for change in plan.changes if isinstance(change, Create)]


def unapplied_changes(plan: Changes) -> list[Change]:
    """Return the other changes: the manifests changed, or an earlier run left a second copy of a
    rule.
    """
    changes = (change for change in plan.changes if not isinstance(change, Create))
    return [change for change in changes if change.cause in ("manifest", "duplicate")]


def _manifest_entries(
    desired: DesiredState, managed: Mapping[Address, LiveRule]
) -> tuple[RoutingEntry, ...]:
    # Each entry has the id of its live rule, which decides between equal names.
    entries = []
    for entry in desired_entries(desired):
        live = managed.get(entry.address) if entry.address else None
        entries.append(replace(entry, id=live.id if live else ""))
    return tuple(entries)


def _measure_impact(
    plan: Changes,
    reference: Sequence[RoutingEntry],
    only: Sequence[str],
    sample: TrafficSample | None,
) -> Impact:
    """Return the conversations that selected rules route, or routed, differently from the
    reference.
    """
    evaluation = plan.desired.evaluation
    endpoint, live_endpoint = _endpoints(plan)
    live = live_entries(plan.live.rules, plan.desired)
    edits = _edits(plan, reference, live)
    before = order_entries(endpoint.pull_back(reference), evaluation)
    after = order_entries(live_endpoint.pull_back(live), evaluation)
    middle = None
    if plan.changes_endpoint and live_endpoint is not endpoint:
        middle = live_endpoint.pull_back(reference)
    behaviour = compare_behaviour(
        before,
        after,
        evaluation,
        types=live_endpoint.sent_types,
        edited=EditSet([edited.edit for edited in edits], middle),
    )
    if not plan.is_comparable:
        behaviour = replace(behaviour, undecided=EVERYTHING)
    if only:
        behaviour = _about(behaviour, only)
    traffic = None
    if sample:
        converted = convert_sample(endpoint.types, sample)
        traffic = measure_traffic(behaviour, before, after, converted)
    return order_effects(Impact(behaviour, edits, traffic), plan.labels)


def _endpoints(plan: Changes) -> tuple[EndpointStage, EndpointStage]:
    """Return the endpoint of the reference, and the one before the live rules: that of the
    settings beside them, if there are any.
    """
    if plan.live.settings is None:
        return plan.desired.endpoint, plan.desired.endpoint
    live_endpoint, endpoint = plan.endpoints
    return endpoint, live_endpoint


def _edits(
    plan: Changes, reference: Iterable[RoutingEntry], live: Iterable[RoutingEntry]
) -> list[EditedRule]:
    """Return the edits that make the live rules of the reference."""
    unapplied = {change.address for change in unapplied_changes(plan)}
    edits = edits_of_lists(reference, live, plan.labels, words="drift")
    return [_with_cause(edited, unapplied) for edited in edits]


def _with_cause(edited: EditedRule, unapplied: Collection[Address]) -> EditedRule:
    """Return an edit, and whether the manifests changed and not the rule in CXone: such edits are
    not equal.
    """
    is_unapplied = edited.entry.address in unapplied
    edit = edited.edit._replace(group=(edited.edit.group, is_unapplied))
    return replace(edited, edit=edit, is_unapplied=is_unapplied)


def _about(behaviour: BehaviourChange, only: Sequence[str]) -> BehaviourChange:
    """Return the conversations that selected rules route before or afterwards."""
    regions = tuple(region for region in behaviour.regions if _is_about(region, only))
    effects = tuple(
        effect for effect in behaviour.effects if _names_selected(effect, only)
    )
    return replace(behaviour, regions=regions, effects=effects)


def _names_selected(effect: Effect, only: Sequence[str]) -> bool:
    winners = chain.from_iterable(row.winners for row in effect.rows)
    return _has_selected(winners, only)


def _winner_ids(behaviour: BehaviourChange) -> set[str]:
    winners = chain.from_iterable(region.after_rules for region in behaviour.regions)
    return {entry.id for entry in winners if entry is not None}


def _is_about(region: Region, only: Sequence[str]) -> bool:
    return _has_selected((*region.before_rules, *region.after_rules), only)


def _has_selected(entries: Iterable[RoutingEntry | None], only: Sequence[str]) -> bool:
    return any(
        entry and entry.address and is_selected(entry.address, only)
        for entry in entries
    )


def _stale_findings(
    accept: Sequence[Acceptance], unwritten: Sequence[LiveRule]
) -> Iterator[Finding]:
    digests = group_pairs(
        (live.rule.name, marker_digest(live.rule)) for live in unwritten
    )
    for entry in accept:
        now = digests.get(entry.name, [])
        if entry.digest in now:
            continue
        message = f'`unmanaged.accept` names "{entry.name}", but no unmanaged live rule has that name'
        hint = "remove the entry"
        if now:
            message = f'the accepted live rule "{entry.name}" was edited: its digest is {now[0]}, not {entry.digest}'
            hint = "check the rule in CXone, then update the digest or remove the entry"
        yield Finding(
            code="CXR330",
            severity="warning",
            message=message,
            source=entry.source,
            hint=hint,
        )


def drift_to_json(drift: Drift, plan: Plan) -> "PlanJson":
    """Return the document about a drift and its plan; the same drift gives the same document."""
    # promises are about other rules
    findings = tuple(
        finding for finding in plan.findings if finding.code != BROKEN_PROMISE
    )
    document = plan_to_json(replace(plan, findings=findings, consent=None))
    document["changes"] = _drift_changes(drift, document["changes"])
    document["report"] = DRIFT_REPORT
    save = plan.live.last_save
    if save:
        document["lastSave"] = {"by": save.by, "at": save.at}
    summary = {**document["summary"], **count_sections(drift)}
    document["summary"] = cast("SummaryJson", summary)
    sentence = headline(drift.full_impact, plan.queue_names, plan.labels)
    document["behaviour"] = impact_to_json(
        drift.full_impact, plan.queue_names, sentence
    )
    document["findings"] += map(finding_to_json, (*drift.failed_checks, *drift.notes))
    document["planId"] = digest_document(document)
    return document


def _drift_changes(drift: Drift, changes: list["ChangeJson"]) -> list["ChangeJson"]:
    """Return the changes of the plan as differences, and the rules in the way."""
    since = {str(address): run for address, run in drift.last_runs.items()}
    due = {str(address): start for address, start in drift.due.since.items()}
    for change in changes:
        start = due.get(str(change["address"]))
        if start is not None and change["cause"] == "manifest":
            change["cause"] = "date"
            change["dueSince"] = shown_instant(start)
        elif change["action"] == Create.action:
            change["cause"] = "missing"
            change["since"] = since.get(str(change["address"]))
    names = drift.plan.queue_names
    return changes + [_unwritten_to_json(live, names) for live in drift.in_the_way]


def _unwritten_to_json(live: LiveRule, queue_names: Mapping[str, str]) -> "ChangeJson":
    """Return a rule that apply does not write, with the entry that accepts it."""
    name = live.rule.name
    return {
        "action": "none",
        "address": None,
        "id": live.id,
        "name": name,
        "cause": "unmanaged",
        "accept": {"name": name, "digest": marker_digest(live.rule)},
        "steps": [],
        "before": live_rule_to_json(live, queue_names),
        "after": None,
        "fields": [],
        "source": None,
    }


def count_sections(drift: Drift) -> dict[str, int]:
    """Count the rules of each section, and those that are accepted."""
    due = drift.due_changes
    return {
        "changed": len(edited_changes(drift.plan)),
        "missing": len(drift.missing),
        "inTheWay": len(drift.in_the_way),
        "notApplied": len(drift.unapplied),
        "accepted": len(drift.accepted),
        **({"due": len(due)} if due else {}),
    }
