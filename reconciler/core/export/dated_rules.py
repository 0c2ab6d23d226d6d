"""Rules with dates beside live rules: the step that a live rule has, and what an edit may change."""

from collections.abc import Mapping
from typing import Any

from reconciler.core.desired.calendar import Calendar, DatedRule, DatedStep
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.model.live import LiveRule
from reconciler.core.model.rule import Address, Rule, Target

# by address: the rule in each of its intervals
Dated = dict[Address, list[DatedRule]]


def made_rule(desired: DesiredState, address: Address, live: LiveRule) -> DesiredRule:
    """Return the desired rule of an address now, with the step that is made.

    A step with a condition may wait. So the made step is the one that the live rule's marker names;
    otherwise the last due one with its queues; otherwise the last due one.

    Raises KeyError if the address has no rule now.
    """
    entry = _active(desired.calendar, address)
    if entry is None or desired.calendar is None:
        return desired.rules[address]
    steps = entry.reachable_steps(desired.calendar.instant)
    return _made_step(steps, live).rule


def step_number(desired: DesiredState, rule: DesiredRule) -> int:
    """Return the number of the step that a rule of now has; 0 for the first weights."""
    entry = _active(desired.calendar, rule.address)
    rules = [step.rule for step in entry.steps] if entry else []
    return rules.index(rule) if rule in rules else 0


def is_inactive(desired: DesiredState, address: Address) -> bool:
    """Return whether the manifests have a rule of an address, but not now."""
    if address in desired.rules:
        return False
    return any(rule.address == address for rule in desired.stated_rules)


def unintended_in_time(
    before: Calendar | None,
    after: Calendar | None,
    live: Mapping[Address, LiveRule],
) -> set[Address]:
    """Return the addresses whose dates, or whose rules of other times, an edit changes.

    The rule of now of an address in `live` may change: it must be able to have the live values, and
    one of its steps alone may get other targets.
    """
    old = _by_address(before)
    new = _by_address(after)
    return {
        address
        for address in {*old, *new}
        if not _is_intended(
            old.get(address, []), new.get(address, []), before, live.get(address)
        )
    }


def _is_intended(
    old: list[DatedRule],
    new: list[DatedRule],
    calendar: Calendar | None,
    live: LiveRule | None,
) -> bool:
    if len(old) != len(new):
        return False
    for earlier, later in zip(old, new, strict=True):
        is_edited = (
            live is not None
            and calendar is not None
            and earlier.interval.covers(calendar.instant)
        )
        if not is_edited and _content(earlier) != _content(later):
            return False
        if is_edited and not _keeps_dates(earlier, later):
            return False
        if live is not None and calendar is not None and is_edited:
            steps = later.reachable_steps(calendar.instant)
            if live.rule not in [step.rule.rule for step in steps]:
                return False
    return True


def _keeps_dates(old: DatedRule, new: DatedRule) -> bool:
    """Return whether a rule has its dates, and all its targets but those of one step."""
    dates = [_dates(each) for each in (old, new)]
    if dates[0] != dates[1]:
        return False
    pairs = zip(old.steps, new.steps, strict=True)
    moved = [later for earlier, later in pairs if _targets(earlier) != _targets(later)]
    return len(moved) <= 1


def _dates(rule: DatedRule) -> tuple[Any, ...]:
    times = [(step.at, step.condition) for step in rule.steps]
    return rule.interval, times


def _targets(step: DatedStep) -> object:
    return step.rule.rule.targets


def _content(rule: DatedRule) -> tuple[Any, ...]:
    """Return what a rule says, without its position."""
    steps = [(step.rule.rule, step.rule.hold, step.rule.adopt) for step in rule.steps]
    return _dates(rule), steps


def _by_address(calendar: Calendar | None) -> Dated:
    by_address: Dated = {}
    for entry in calendar.entries if calendar else ():
        if isinstance(entry, DatedRule):
            by_address.setdefault(entry.address, []).append(entry)
    return by_address


def _active(calendar: Calendar | None, address: Address) -> DatedRule | None:
    for rule in calendar.active if calendar else ():
        if rule.address == address:
            return rule
    return None


def _made_step(steps: tuple[DatedStep, ...], live: LiveRule) -> DatedStep:
    """Return the step that a live rule has, of those that it may have, the last due one first."""
    digest = live.marker.digest if live.marker else ""
    named = [step for step in steps if step.rule.marker_digest == digest]
    queues = _queues(live.rule)
    alike = [step for step in steps if _queues(step.rule.rule) == queues]
    return next(iter((*named, *alike, *steps)))


def _queues(rule: Rule) -> set[str]:
    return {part.queue_id for part in rule.targets if isinstance(part, Target)}
