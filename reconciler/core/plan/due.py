"""Which changes of a plan are due by a date alone: the live rule is as the manifests said before it."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from reconciler.core.desired.calendar import Calendar, DatedRule
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.fields import parse_duration
from reconciler.core.model.change import Change, Create, is_copy_removal
from reconciler.core.model.rule import Address, Rule
from reconciler.core.plan.compare import diff_fields
from reconciler.core.plan.guards import freeze_reason
from reconciler.core.plan.stages import Changes

GRACE: Final = timedelta(minutes=15)
"""How long after the run that follows a date its change may come, before it is drift."""


@dataclass(frozen=True, slots=True)
class DueChanges:
    """The changes that are due since a date, and those of them that the next run may still make."""

    since: Mapping[Address, datetime] = field(default_factory=dict)
    expected: frozenset[Address] = frozenset()

    def is_expected(self, change: Change) -> bool:
        """Return whether a change does not count as drift yet."""
        return change.address in self.expected and change.cause == "manifest"


class _StatedPart(NamedTuple):
    """What the manifests say of an address from a time on, None from the beginning; without a rule,
    it is not there.
    """

    start: datetime | None
    rule: Rule | None


def find_due(
    plan: Changes, environment: Environment, written: Collection[Address]
) -> DueChanges:
    """Return the changes that are due by a date alone.

    `written` are the addresses whose rule is live by the journal: if it is missing, it was deleted.
    """
    calendar = plan.desired.calendar
    if calendar is None or plan.options.undo is not None:
        return DueChanges()
    since: dict[Address, datetime] = {}
    for change in plan.changes:
        start = _due_since(change, calendar, written)
        if start is not None:
            since[change.address] = start
    now = plan.instant
    grace = _grace(environment)
    # after a freeze, the next run makes the change
    is_frozen = any(freeze_reason(environment, at) for at in (now, now - grace))
    expected = frozenset(
        address for address, start in since.items() if is_frozen or now - start < grace
    )
    return DueChanges(since, expected)


def find_due_work(
    plan: Changes, environment: Environment, written: Collection[Address]
) -> tuple[str, ...]:
    """Return the addresses of what a run at a date has to do, sorted: the changes that are due by a
    date alone, and the removal of temporary copies that an interrupted run left.
    """
    due = find_due(plan, environment, written).since
    copies = {change.address for change in plan.changes if is_copy_removal(change)}
    return tuple(sorted(str(address) for address in due.keys() | copies))


def _grace(environment: Environment) -> timedelta:
    schedule = environment.schedule
    if schedule is None:
        return GRACE
    return GRACE + parse_duration(schedule.every)


def _due_since(
    change: Change, calendar: Calendar, written: Collection[Address]
) -> datetime | None:
    """Return the date since which a change is due; None if something else caused it."""
    if change.cause != "manifest" or is_copy_removal(change):
        return None
    if isinstance(change, Create) and change.address in written:
        return None
    parts = list(_parts_of(change.address, calendar))
    live = None if isinstance(change, Create) else change.live.rule
    for before, after in zip(parts[-2::-1], parts[:0:-1], strict=True):
        if _is_same(before.rule, live):
            return after.start
    return None


def _is_same(stated: Rule | None, live: Rule | None) -> bool:
    if stated is None or live is None:
        return stated is live
    return not diff_fields(live, stated)


def _parts_of(address: Address, calendar: Calendar) -> Iterator[_StatedPart]:
    """Yield what the manifests say of an address up to now, as if each step were made at its time."""
    entries = [
        entry
        for entry in calendar.entries
        if isinstance(entry, DatedRule) and entry.address == address
    ]
    dates = sorted({date for entry in entries for date in entry.boundaries})
    if not dates:
        return
    yield _StatedPart(None, _rule_at(entries, dates[0] - timedelta.resolution))
    for date in dates:
        if date <= calendar.instant:
            yield _StatedPart(date, _rule_at(entries, date))


def _rule_at(entries: list[DatedRule], instant: datetime) -> Rule | None:
    for entry in entries:
        if entry.interval.covers(instant):
            return entry.due_steps(instant)[-1].rule.rule
    return None
