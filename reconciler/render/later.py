"""What changes at a later time, in words, for all forms of a plan."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from reconciler.core.desired.calendar import DatedRule
from reconciler.core.plan.clauses import FEW_VALUES
from reconciler.core.plan.later import HORIZON
from reconciler.core.plan.stages import LaterChange, Plan
from reconciler.core.text.escape import join_all, pluralize, sanitize
from reconciler.render.effects import (
    OTHERS_UNCHANGED,
    EffectsSummary,
    summarize_effects,
)

MAX_LATER: Final = 50
"""Times that a form shows; the JSON has all."""
LATER_TITLE: Final = "Later, if nothing else changes"
_OTHERS_UNCHANGED_THEN: Final = (
    "Everyone else, at each of these times: no change (proven)."
)
_WAITING: Final = "When the conditions of due steps hold"
TIME_PATTERN: Final = (
    r"[0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,4}, [0-9:]{5,8} \((UTC|[+-][0-9]{2}:[0-9]{2})\)"
)
"""Matches a time of `readable_time`."""
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)


class LaterText(NamedTuple):
    """What changes at a time. All text is safe for a terminal.

    `delay` says why it is not made at its date, or may not be; empty without a reason. `refusals` are the guards
    that will refuse it.
    """

    when: str  # `27 Dec 2027, 06:00 (+01:00)`
    effects: EffectsSummary
    delay: str
    refusals: tuple[str, ...]


class LaterSummary(NamedTuple):
    """The first later changes, what is proven about all of them, and the number of the others in
    words.
    """

    changes: tuple[LaterText, ...]
    closing: str
    more: str


def summarize_later(plan: Plan, values: int = FEW_VALUES) -> LaterSummary | None:
    """Return the later changes in words; None without any."""
    later = plan.later or ()
    if not later:
        return None
    shown = tuple(_later_text(change, values) for change in later[:MAX_LATER])
    hidden = len(later) - len(shown)
    more = _beyond_horizon(plan)
    if hidden:
        unseen = f"and {pluralize(hidden, 'later time')}: see the plan as JSON."
        more = f"{unseen} {more}".rstrip()
    if any(each.effects.closing != OTHERS_UNCHANGED for each in shown):
        return LaterSummary(shown, "", more)
    alike = tuple(
        each._replace(effects=replace(each.effects, closing="")) for each in shown
    )
    return LaterSummary(alike, _OTHERS_UNCHANGED_THEN, more)


def _beyond_horizon(plan: Plan) -> str:
    """Return the next time after those that a plan looks at; empty without one."""
    calendar = plan.desired.calendar
    if calendar is None:
        return ""
    horizon = calendar.instant + HORIZON
    beyond = [date for date in calendar.boundaries_until() if date > horizon]
    if not beyond:
        return ""
    first = readable_time(beyond[0], calendar.zone)
    days = HORIZON.days
    return f"Not shown: what changes more than {days} days from now, next on {first}."


def _later_text(change: LaterChange, values: int) -> LaterText:
    plan = change.plan
    effects = summarize_effects(
        plan.impact,
        plan.queue_names,
        plan.labels,
        plan.promises,
        values,
        "flows",
    )
    return LaterText(
        when=_WAITING if change.is_waiting else readable_time(change.at, change.zone),
        effects=effects,
        delay=_delay(change),
        refusals=tuple(_refusals(change)),
    )


def _delay(change: LaterChange) -> str:
    """Return which dates a freeze delays, and which steps may wait; empty without any."""
    if change.is_waiting:
        return ""
    return "; ".join(note for note in (_frozen(change), _waiting(change)) if note)


def _frozen(change: LaterChange) -> str:
    delayed = [due for due in change.due if due != change.at]
    if not delayed:
        return ""
    dates = join_all([readable_time(due, change.zone) for due in delayed], "and", str)
    return f"due {dates}, and made at the end of the freeze"


def _waiting(change: LaterChange) -> str:
    calendar = change.plan.desired.calendar
    if calendar is None:
        return ""
    changed = {each.address for each in change.plan.changes}
    waiting = [
        str(entry.address)
        for entry in calendar.entries
        if isinstance(entry, DatedRule)
        and entry.address in changed
        and entry.interval.covers(change.at)
        and len(entry.reachable_steps(change.at)) > 1
    ]
    if not waiting:
        return ""
    return f"unless a step of {join_all(waiting, 'or', str)} waits for its condition"


def _refusals(change: LaterChange) -> Iterator[str]:
    for guard in change.refusals:
        yield sanitize(guard.message)


def is_readable_time(text: str) -> bool:
    """Return whether a text can be the `when` of a later change."""
    return text == _WAITING or re.fullmatch(TIME_PATTERN, text) is not None


def readable_time(instant: datetime, zone: tzinfo) -> str:
    """Return `27 Dec 2027, 06:00 (+01:00)`; seconds only if there are some."""
    local = instant.astimezone(zone)
    clock = local.strftime("%H:%M:%S" if local.second else "%H:%M")
    offset = local.strftime("%z")
    hours = f"{offset[:3]}:{offset[3:5]}" if local.utcoffset() else "UTC"
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}, {clock} ({hours})"
