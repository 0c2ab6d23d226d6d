"""The steps of rules in a plan of a tenant: which is made, which waits, and the findings about it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

from reconciler.core.desired.calendar import Calendar, DatedRule
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.desired.made_steps import (
    Answers,
    StepKey,
    WaitingStep,
    choose_step,
)
from reconciler.core.manifest.kinds.ruleset import StepCondition
from reconciler.core.model.change import HeldChange, Update
from reconciler.core.model.finding import Finding
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address
from reconciler.core.plan.changes import is_planned
from reconciler.core.plan.compare import diff_fields
from reconciler.core.plan.ownership import LiveRulesByOwner, classify_by_owner
from reconciler.core.plan.stages import Changes, LiveState
from reconciler.core.text.local_time import shown_instant


class StepQuestion(NamedTuple):
    """A condition to ask, and its step."""

    key: StepKey
    condition: StepCondition


class SettledSteps(NamedTuple):
    """The desired state with the step of each rule that may be made, and the steps that wait."""

    desired: DesiredState
    waiting: tuple[WaitingStep, ...] = ()

    @property
    def questions(self) -> list[StepQuestion]:
        """Return the conditions that may let a step be made, and that were not asked yet."""
        return [
            StepQuestion(StepKey(each.address, each.step.at), each.step.condition)
            for each in self.waiting
            if not each.is_asked
            and each.step.condition is not None
            and each.step.at is not None
        ]


def settle_steps(
    desired: DesiredState, live: LiveState, answers: Answers
) -> SettledSteps:
    """Return the desired state for the live rules of a tenant: a step that waits is not in it."""
    calendar = desired.calendar
    if calendar is None:
        return SettledSteps(desired)
    ramps = _due_ramps(calendar)
    if not ramps:
        return SettledSteps(desired)

    owned = classify_by_owner(live.rules, desired.owner)
    rules = dict(desired.rules)
    waiting = []
    for ramp in ramps:
        made = _live_rule(ramp, owned, desired.rules)
        chosen = choose_step(
            ramp, made.rule if made else None, calendar.instant, answers
        )
        rules[ramp.address] = chosen.step.rule
        if chosen.waiting is not None:
            waiting.append(
                WaitingStep(
                    step=chosen.waiting,
                    reason=chosen.reason,
                    is_asked=chosen.is_asked,
                    live=made,
                )
            )
    return SettledSteps(replace(desired, rules=rules), tuple(waiting))


def _due_ramps(calendar: Calendar) -> list[DatedRule]:
    """Return the rules that exist now and of which a due step has a condition."""
    return [
        rule
        for rule in calendar.active
        if any(step.condition for step in rule.due_steps(calendar.instant))
    ]


def _live_rule(
    ramp: DatedRule, owned: LiveRulesByOwner, rules: Mapping[Address, DesiredRule]
) -> LiveRule | None:
    """Return the managed rule of an address: also one of several equal ones, or the only one with
    its name that moves there from an address without a rule.
    """
    managed = owned.managed.get(ramp.address)
    if managed is not None:
        return managed
    ambiguous = owned.ambiguous.get(ramp.address, ())
    if ambiguous:
        same = {live.rule.targets for live in ambiguous}
        return ambiguous[0] if len(same) == 1 else None
    name = ramp.steps[0].rule.rule.name
    moved = [
        live
        for address, live in owned.managed.items()
        if address not in rules and live.rule.name == name
    ]
    return moved[0] if len(moved) == 1 else None


def hold_waiting_steps(changes: Changes, waiting: tuple[WaitingStep, ...]) -> Changes:
    """Return the changes with a held one, and a finding (CXR241), for each step that waits.

    While another change of its rule is to be made first, the step has only its finding.
    """
    options = changes.options
    selected = tuple(step for step in waiting if is_planned(step.address, options))
    if not selected:
        return changes
    busy = {change.address for change in changes.changes}
    busy |= {held.change.address for held in changes.held}
    busy |= {finding.address for finding in changes.conflicts if finding.address}
    held = [
        _held(each, each.live)
        for each in selected
        if each.live and each.address not in busy
    ]
    findings = [_finding(each, changes) for each in selected]
    joined = sorted((*changes.held, *held), key=lambda hold: hold.change.address)
    return replace(
        changes,
        held=tuple(joined),
        findings=(*changes.findings, *findings),
        waiting=selected,
    )


def _held(waiting: WaitingStep, live: LiveRule) -> HeldChange:
    rule = waiting.step.rule
    update = Update(
        address=rule.address,
        live=live,
        after=rule.rule,
        fields=diff_fields(live.rule, rule.rule),
        source=rule.source,
        cause="manifest",
    )
    return HeldChange(update, f"the step waits: {waiting.reason}")


def _finding(waiting: WaitingStep, changes: Changes) -> Finding:
    calendar = changes.desired.calendar
    at = waiting.step.at
    when = f" at {shown_instant(at, calendar.zone)}" if at and calendar else ""
    rule = waiting.step.rule
    return Finding(
        code="CXR241",
        severity="warning",
        message=f"the step{when} waits: {waiting.reason}",
        source=rule.source,
        address=rule.address,
    )
