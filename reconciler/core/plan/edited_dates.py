"""Manifests before a change -> the dates that the change edits: when rules begin, change and end.

A plan shows what each date does ("Later"). This says which of the dates are those of the change.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import Final, NamedTuple

from reconciler.core.desired.calendar import Calendar, DatedRule
from reconciler.core.desired.desired import desire_offline
from reconciler.core.errors import ManifestError, UsageError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import has_dates
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Address, Rule
from reconciler.core.plan.changes import is_selected
from reconciler.core.plan.stages import Changes, DateEvent, EditedDate, EditedDates

_EVENTS: Final[Sequence[DateEvent]] = ("begins", "changes", "ends")


def find_edited_dates(
    plan: Changes, manifests: Manifests, environment: Environment
) -> EditedDates | None:
    """Return the dates that a change of manifests edits.

    None if no rule has a date, neither before the change nor afterwards; if the manifests before it
    are not known; and if the plan is not about all dates (`--undo`, `apply --due`).
    """
    base = manifests.base
    if base is None or base.manifests is None:
        return None
    if plan.options.undo is not None or plan.options.due:
        return None
    calendar = plan.desired.calendar
    if calendar is None and not _has_dates(base.manifests):
        return None
    try:
        earlier = _calendar_before(base.manifests, plan, environment)
    except ManifestError:
        return None

    zones = [each.zone for each in (calendar, earlier) if each is not None]
    if not zones:
        return None
    dates = [
        date
        for date in _edited(_rule_dates(earlier), _rule_dates(calendar))
        if is_selected(date.address, plan.options.only)
    ]
    return EditedDates(
        dates=tuple(dates),
        edits_rules=_rules_now(earlier) != _rules_now(calendar),
        compared_with=base.name,
        zone=zones[0],
    )


def _has_dates(manifests: Manifests) -> bool:
    return any(
        has_dates(rule)
        for loaded in manifests.rulesets
        for rule in loaded.document.rules
    )


def _calendar_before(
    before: Manifests, plan: Changes, environment: Environment
) -> Calendar | None:
    """Return the calendar before the change, with the ids of live queues.

    Raises ManifestError.
    """
    try:
        earlier = before.environment(environment.name)
    except UsageError:  # a new Environment
        return None
    desired, _ = desire_offline(before, earlier, plan.live.queues)
    return desired.calendar


def _rules_now(calendar: Calendar | None) -> dict[Address, Rule] | None:
    """Return the rules at the time of the run, as if each due step were made."""
    if calendar is None:
        return None
    return {address: each.rule for address, each in calendar.rules().items()}


class _RuleDate(NamedTuple):
    """What one rule is before a date and from it on; None if it is not there.

    `conditions` are those of the steps at the date.
    """

    address: Address
    event: DateEvent
    at: datetime
    earlier: Rule | None
    later: Rule | None
    conditions: tuple[str, ...] = ()


def _rule_dates(calendar: Calendar | None) -> set[_RuleDate]:
    """Return each change of each rule after now, as if each due step were made."""
    if calendar is None:
        return set()
    dated = [entry for entry in calendar.entries if isinstance(entry, DatedRule)]
    groups = group_pairs((entry.address, entry) for entry in dated)
    return {
        date
        for address, entries in groups.items()
        for date in _rule_dates_of(address, entries, calendar)
    }


def _rule_dates_of(
    address: Address, entries: Sequence[DatedRule], calendar: Calendar
) -> Iterator[_RuleDate]:
    """Yield the changes of the rules of one address, of which one at most exists at a time."""
    own = replace(
        calendar,
        entries=tuple(entries),
        boundaries=tuple(sorted({at for entry in entries for at in entry.boundaries})),
    )
    yield from _due_conditions(address, own)
    earlier = _rule_at(own, address, own.instant)
    for at in own.boundaries_until():
        later = _rule_at(own, address, at)
        if earlier != later:
            event = _event(earlier, later)
            conditions = tuple(_conditions_at(entries, at))
            yield _RuleDate(address, event, at, earlier, later, conditions)
        earlier = later


def _due_conditions(address: Address, calendar: Calendar) -> Iterator[_RuleDate]:
    """Yield the due steps with a condition: one may still wait."""
    for entry in calendar.active:
        for step in entry.due_steps(calendar.instant):
            if step.at is not None and step.condition is not None:
                conditions = (repr(step.condition),)
                yield _RuleDate(
                    address, "changes", step.at, None, step.rule.rule, conditions
                )


def _conditions_at(entries: Sequence[DatedRule], at: datetime) -> Iterator[str]:
    for entry in entries:
        for step in entry.steps:
            if step.at == at and step.condition is not None:
                yield repr(step.condition)


def _event(earlier: Rule | None, later: Rule | None) -> DateEvent:
    if earlier is None:
        return "begins"
    return "changes" if later is not None else "ends"


def _rule_at(calendar: Calendar, address: Address, instant: datetime) -> Rule | None:
    desired = calendar.at(instant).rules().get(address)
    return desired.rule if desired else None


def _edited(before: set[_RuleDate], after: set[_RuleDate]) -> Iterator[EditedDate]:
    """Yield the dates that only one side has, by address and time.

    A rule that does at another time what it did before is one date that moved.
    """
    removed = group_pairs((_key(date), date.at) for date in _sorted(before - after))
    added = group_pairs((_key(date), date.at) for date in _sorted(after - before))
    dates = [
        EditedDate(*key, *times)
        for key in {**removed, **added}
        for times in _pairs(removed.get(key, []), added.get(key, []))
    ]
    yield from sorted(
        dates, key=lambda each: (each.address, each.first, _EVENTS.index(each.event))
    )


def _pairs(
    removed: list[datetime], added: list[datetime]
) -> Iterator[tuple[datetime | None, datetime | None]]:
    """Yield the times that both sides have, then the others in pairs, as far as there are some."""
    common = [at for at in removed if at in added]
    yield from zip(common, common, strict=True)
    rest = ([at for at in side if at not in common] for side in (removed, added))
    yield from zip_longest(*rest)


def _key(date: _RuleDate) -> tuple[Address, DateEvent]:
    return date.address, date.event


def _sorted(dates: set[_RuleDate]) -> list[_RuleDate]:
    return sorted(dates, key=lambda date: (date.address, date.at))
