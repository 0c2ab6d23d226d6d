"""Plan -> its part "Later": what each boundary of rules with dates changes, after this plan.

A boundary is a time at which the desired rules change. Each one is compared with the rules after
the boundary before it, as if nothing else changed and each due step were made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from reconciler.core.behaviour.evaluate import required_values
from reconciler.core.desired.calendar import Calendar, DatedRule, DatedStep
from reconciler.core.desired.desired import DesiredState, state_at
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.model.change import Change, Create, Delete
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address, Rule
from reconciler.core.plan.assess import check_plan_promises, measure_impact
from reconciler.core.plan.changes import find_changes, rule_id_after, rules_after
from reconciler.core.plan.guards import check_guards
from reconciler.core.plan.later_times import times_of_changes
from reconciler.core.plan.schedule import schedule_steps
from reconciler.core.plan.stages import (
    Assessed,
    Changes,
    GuardResult,
    LaterChange,
    LiveState,
    Plan,
    PlanOptions,
    Scheduled,
)
from reconciler.core.text.local_time import shown_instant

HORIZON: Final = timedelta(days=90)


def plan_later(plan: Plan, environment: Environment) -> tuple[LaterChange, ...] | None:
    """Return what the boundaries of the next 90 days change; None if no rule has a date."""
    calendar = plan.desired.calendar
    if calendar is None or plan.options.undo is not None:
        return None
    return tuple(_each_change(plan, environment, calendar))


def later_refusals(plan: Plan) -> tuple[GuardResult, ...]:
    """Return the guards that will refuse a later change."""
    return tuple(refusal for change in plan.later or () for refusal in change.refusals)


def later_findings(plan: Plan) -> Iterator[Finding]:
    """Yield a finding for each rule that a boundary would change, and that stays as it is."""
    for change in plan.later or ():
        when = shown_instant(change.at, change.zone)
        for held in change.plan.held:
            address = held.change.address
            yield Finding(
                code="CXR243",
                severity="warning",
                message=f"{held.change.action} at {when} will not be made: {held.reason}",
                source=held.change.source,
                address=address,
            )
        for conflict in change.plan.conflicts:
            yield replace(
                conflict,
                code="CXR243",
                severity="warning",
                message=f"the change at {when} cannot be made: {conflict.message}",
            )


def _each_change(
    plan: Plan, environment: Environment, calendar: Calendar
) -> Iterator[LaterChange]:
    before = plan.desired
    live = _live_after(plan)
    created = _created_ids(plan.changes)
    for moment in _moments(plan, calendar, environment):
        changes = _changes_at(plan, before, moment.desired, live, moment.at)
        if changes is None:
            continue
        stage = check_guards(_assess(changes), environment)
        yield LaterChange(
            at=moment.at,
            due=moment.due,
            plan=stage,
            created=created,
            zone=calendar.zone,
            is_waiting=moment.is_waiting,
        )
        before = moment.desired
        live = _live_after(stage)
        created |= _created_ids(stage.changes)


class _Moment(NamedTuple):
    """A time of changes, and the desired state from then on."""

    at: datetime
    due: tuple[datetime, ...]
    desired: DesiredState
    is_waiting: bool = False


def _moments(
    plan: Plan, calendar: Calendar, environment: Environment
) -> Iterator[_Moment]:
    """Yield first the steps that wait, because a later time counts them as made."""
    now = calendar.instant
    for due, desired in _waiting_states(plan, calendar):
        yield _Moment(now, due, desired, is_waiting=True)
    last = now + HORIZON
    for at, due in times_of_changes(calendar, environment, last):
        yield _Moment(at, due, state_at(plan.desired, at))


def _waiting_states(
    plan: Plan, calendar: Calendar
) -> Iterator[tuple[tuple[datetime, ...], DesiredState]]:
    """Yield the state after the next due step of each rule that waits, after the one behind it, and
    so on; each with the times of its steps.
    """
    made = plan.desired.rules
    waiting = [_steps_after(rule, made, calendar.instant) for rule in calendar.active]
    rules = dict(made)
    for number in range(max(map(len, waiting), default=0)):
        steps = [steps[number] for steps in waiting if number < len(steps)]
        rules |= {step.rule.address: step.rule for step in steps}
        times = {step.at for step in steps if step.at is not None}
        yield tuple(sorted(times)), replace(plan.desired, rules=dict(rules))


def _steps_after(
    rule: DatedRule, made: Mapping[Address, DesiredRule], now: datetime
) -> Sequence[DatedStep]:
    """Return the due steps behind the one that is made."""
    due = rule.due_steps(now)
    positions = [
        number for number, step in enumerate(due) if step.rule is made.get(rule.address)
    ]
    return due[positions[-1] + 1 :] if positions else ()


def _assess(changes: Changes) -> Assessed:
    """Return changes with their order and their effects, from the rules that they can meet.

    All other rules take the same conversations before and after: a campaign of one intent costs
    little among thousands of rules.
    """
    near = replace(
        changes, live=replace(changes.live, rules=tuple(_rules_near(changes)))
    )
    scheduled = schedule_steps(near)
    impact = measure_impact(near)
    whole = replace(scheduled, live=changes.live)
    return Assessed(
        **Scheduled.parts_of(whole), impact=impact, promises=check_plan_promises(whole)
    )


def _rules_near(changes: Changes) -> Iterator[LiveRule]:
    """Yield the live rules that can match a conversation which a changed rule matches."""
    changed = [rule for change in changes.changes for rule in _sides(change)]
    required = [dict(required_values(rule)) for rule in changed]
    shared = set(required[0]).intersection(*required) if required else set[str]()
    values = {
        name: {value for each in required for value in each[name]} for name in shared
    }
    # A rule whose conditions contradict each other could be far from itself.
    own = {
        change.live.id for change in changes.changes if not isinstance(change, Create)
    }
    for live in changes.live.rules:
        is_far = any(
            name in values and values[name].isdisjoint(wanted)
            for name, wanted in required_values(live.rule)
        )
        if live.id in own or not is_far:
            yield live


def _sides(change: Change) -> Iterator[Rule]:
    """Yield the rule before a change and after it."""
    if not isinstance(change, Create):
        yield change.live.rule
    if not isinstance(change, Delete):
        yield change.after


def _changes_at(
    plan: Plan,
    before: DesiredState,
    desired: DesiredState,
    live: LiveState,
    at: datetime,
) -> Changes | None:
    """Return the changes of the rules that differ from an earlier desired state; None without
    any.
    """
    differing = _differing(before.rules, desired.rules)
    if not differing:
        return None
    rules = {
        address: rule for address, rule in desired.rules.items() if address in differing
    }
    narrowed = replace(desired, rules=rules, scope=differing, findings=())
    found = find_changes(narrowed, live, _options_at(plan, at), plan.generated_at)
    return replace(found, desired=replace(desired, findings=()))


def _options_at(plan: Plan, at: datetime) -> PlanOptions:
    """Return the options of a plan at a later time; the endpoint does not change then."""
    return replace(plan.options, at=at, base=None, base_fallback=None)


def _differing(
    before: Mapping[Address, object], after: Mapping[Address, object]
) -> frozenset[Address]:
    """Return the addresses whose rule is not the same object."""
    return frozenset(
        address
        for address in {**before, **after}
        if before.get(address) is not after.get(address)
    )


def _live_after(plan: Changes) -> LiveState:
    """Return the live rules, and what is kept beside them, after the changes of a plan."""
    settings = plan.live.settings and plan.desired.settings
    return replace(plan.live, rules=rules_after(plan, plan.changes), settings=settings)


def _created_ids(changes: tuple[Change, ...]) -> frozenset[str]:
    return frozenset(
        rule_id_after(change) for change in changes if isinstance(change, Create)
    )
