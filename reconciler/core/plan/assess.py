"""Scheduled -> Assessed: the conversations that the changes move, their shares of a sample, and the
promises on the rules after them.
"""

from collections.abc import Sequence
from dataclasses import replace

from reconciler.core.behaviour.diff.difference import EVERYTHING, compare_behaviour
from reconciler.core.behaviour.diff.effects import EditSet
from reconciler.core.behaviour.routing_entry import RoutingEntry, order_entries
from reconciler.core.model.finding import Finding
from reconciler.core.plan.edits import edits_of_changes
from reconciler.core.plan.impact import NO_IMPACT, Impact
from reconciler.core.plan.promises import PromiseResult, run_promises
from reconciler.core.plan.replay import ReplayResult, ReplaySide, replay
from reconciler.core.plan.schedule import Transition, build_transition
from reconciler.core.plan.stages import Assessed, Changes, Scheduled
from reconciler.core.plan.traffic_shares import convert_sample, measure_traffic
from reconciler.core.plan.words import order_effects
from reconciler.core.traffic.records import RecordReader
from reconciler.core.traffic.sample import TrafficSample


def assess(scheduled: Scheduled, sample: TrafficSample | None = None) -> Assessed:
    """Return the changes with their effects on conversations, and the findings about the sample."""
    findings: Sequence[Finding] = ()
    if sample is not None:
        findings = (*sample.warnings, *sample.age_findings(scheduled.instant))

    noted = replace(scheduled, findings=(*scheduled.findings, *findings))
    return Assessed(
        **Scheduled.parts_of(noted),
        impact=measure_impact(scheduled, sample),
        promises=check_plan_promises(scheduled),
    )


def check_plan_promises(plan: Changes) -> tuple[PromiseResult, ...]:
    """Return the result of each promise on the rules after the changes."""
    if not plan.desired.promises:
        return ()
    _, endpoint = plan.endpoints
    desired = replace(plan.desired, endpoint=endpoint)
    return run_promises(desired, build_transition(plan).after, plan.queue_names)


def measure_impact(plan: Changes, sample: TrafficSample | None = None) -> Impact:
    """Return the conversations that the changes move, and their share of a sample."""
    is_changed = plan.changes or plan.changes_endpoint or not plan.is_comparable
    if not is_changed and sample is None:
        return NO_IMPACT

    now = build_transition(plan)
    base, endpoint = plan.endpoints
    before = base.pull_back(now.before)
    after = endpoint.pull_back(now.after)
    impact = NO_IMPACT
    if is_changed:
        impact = _compare(plan, now, before, after)
    if sample is not None:
        evaluation = plan.desired.evaluation
        traffic = measure_traffic(
            impact.behaviour,
            order_entries(before, evaluation),
            order_entries(after, evaluation),
            convert_sample(endpoint.types, sample),
        )
        impact = replace(impact, traffic=traffic)
    return order_effects(impact, plan.labels)


def _compare(
    plan: Changes,
    transition: Transition,
    before: Sequence[RoutingEntry],
    after: Sequence[RoutingEntry],
) -> Impact:
    """Return the difference of the rules before and after, by the edits that make it."""
    _, endpoint = plan.endpoints
    moves = zip(plan.changes, transition.moves, strict=True)
    edits = edits_of_changes(moves, plan.labels)
    middle = None
    if plan.changes_endpoint:
        middle = endpoint.pull_back(transition.before)
    behaviour = compare_behaviour(
        before,
        after,
        plan.desired.evaluation,
        types=endpoint.sent_types,
        edited=EditSet([edited.edit for edited in edits], middle),
    )
    if not plan.is_comparable:
        behaviour = replace(behaviour, undecided=EVERYTHING)
    return Impact(behaviour, edits)


def replay_plan(plan: Changes, reader: RecordReader) -> ReplayResult:
    """Return the recorded conversations that the plan moves.

    Raises ManifestError for the first row that is wrong.
    """
    now = build_transition(plan)
    evaluation = plan.desired.evaluation
    base, endpoint = plan.endpoints
    before = order_entries(now.before, evaluation)
    after = order_entries(now.after, evaluation)
    return replay(reader, ReplaySide(before, base), ReplaySide(after, endpoint))
