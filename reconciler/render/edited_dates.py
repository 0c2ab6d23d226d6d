"""The dates that a change of manifests edits, in words, for all forms of a plan."""

import re
from datetime import tzinfo
from typing import Final, NamedTuple, get_args

from reconciler.core.plan.stages import DateEvent, EditedDate, Plan
from reconciler.core.plan.words import MANY_ROWS
from reconciler.core.text.escape import pluralize, sanitize
from reconciler.render.later import MAX_LATER, TIME_PATTERN, readable_time

DATES_TITLE: Final = "Dates that this change edits"
MAX_DATES: Final = MAX_LATER
"""Dates that a form shows at most; the JSON has all."""
FEW_DATES: Final = MANY_ROWS
"""Dates that a short form shows."""
_TIMES: Final = re.compile(
    f"{TIME_PATTERN}(, new|, removed|, edited| -> {TIME_PATTERN})"
)


class DateText(NamedTuple):
    """One date. All text is safe for a terminal."""

    rule: str  # `cards/xmas`
    event: str  # `begins`, `changes` or `ends`
    times: str  # `27 Dec 2027, 06:00 (UTC) -> 28 Dec 2027, 06:00 (UTC)`


class EditedDatesSummary(NamedTuple):
    """The first edited dates, the number of all, and what they are compared with."""

    dates: tuple[DateText, ...]
    total: int
    compared_with: str

    def hidden_phrase(self, shown: int) -> str:
        """Return how many dates are not among the shown ones; empty if all are."""
        hidden = self.total - min(shown, len(self.dates))
        return (
            f"and {pluralize(hidden, 'more date')}: see the plan as JSON"
            if hidden
            else ""
        )


def summarize_edited_dates(plan: Plan) -> EditedDatesSummary | None:
    """Return the edited dates in words; None without any."""
    edited = plan.edited_dates
    if edited is None or not edited.dates:
        return None
    shown = [_date_text(each, edited.zone) for each in edited.dates[:MAX_DATES]]
    name = sanitize(edited.compared_with)
    return EditedDatesSummary(tuple(shown), len(edited.dates), name)


def is_date_text(date: DateText) -> bool:
    """Return whether the words of a date can be those of this module; the rule may be any."""
    is_event = date.event in get_args(DateEvent)
    return is_event and _TIMES.fullmatch(date.times) is not None


def _date_text(date: EditedDate, zone: tzinfo) -> DateText:
    return DateText(str(date.address), date.event, _times(date, zone))


def _times(date: EditedDate, zone: tzinfo) -> str:
    """Return the time before and afterwards, or what is special about the only one."""
    before = readable_time(date.before, zone) if date.before else ""
    after = readable_time(date.after, zone) if date.after else ""
    if not before:
        return f"{after}, new"
    if not after:
        return f"{before}, removed"
    if date.before == date.after:
        return f"{after}, edited"
    return f"{before} -> {after}"
