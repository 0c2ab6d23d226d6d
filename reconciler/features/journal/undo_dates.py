"""Changes of an undo that the next apply makes again because of a date of the manifests."""

from datetime import datetime, timedelta
from typing import NamedTuple

from reconciler.core.desired.calendar import Calendar, DatedRule
from reconciler.core.desired.desired import DesiredState
from reconciler.core.model.change import Change, Create, Delete
from reconciler.core.model.rule import Address, Rule
from reconciler.core.text.local_time import shown_instant

_MOMENT = timedelta(seconds=1)


class DueDate(NamedTuple):
    """Since when the manifests require a change that is undone."""

    since: str
    is_end: bool  # of the rule: a hold does not keep it

    @property
    def reason(self) -> str:
        """Return why the change is made again."""
        return f"due since {self.since} by a date of the manifests"

    @property
    def hint(self) -> str:
        """Return what to write in order to prevent that."""
        if self.is_end:
            return "to keep the rule, give it a later `until`"
        return "to leave the rule as it is after the undo, write `hold` in its manifest"


def due_date(manifests: DesiredState, change: Change) -> DueDate | None:
    """Return the date by which a change is made again; None if it is not one of a date.

    It is one of a date if the manifests required, before the date, what the undo restores.
    """
    calendar = manifests.calendar
    if calendar is None:
        return None
    restored = None if isinstance(change, Create) else change.live.rule
    rules = [
        entry
        for entry in calendar.entries
        if isinstance(entry, DatedRule) and entry.address == change.address
    ]
    boundaries = {boundary for rule in rules for boundary in rule.boundaries}
    due = [boundary for boundary in boundaries if boundary <= calendar.instant]
    for boundary in sorted(due, reverse=True):
        if _rule_at(calendar, change.address, boundary - _MOMENT) == restored:
            since = shown_instant(boundary, calendar.zone)
            return DueDate(since, isinstance(change, Delete))
    return None


def _rule_at(calendar: Calendar, address: Address, instant: datetime) -> Rule | None:
    """Return the rule of an address at an instant, as if each due step were made."""
    for entry in calendar.at(instant).active:
        if entry.address == address:
            return entry.due_steps(instant)[-1].rule.rule
    return None
