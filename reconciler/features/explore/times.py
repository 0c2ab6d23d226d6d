"""The sides of a page about rules with dates: the rules of each interval from now on."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from itertools import pairwise

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.calendar import Interval, interval_phrase
from reconciler.core.desired.desired import DesiredState, state_at
from reconciler.core.plan.routing_table import RuleList, desired_entries
from reconciler.core.traffic.sample import TrafficSample
from reconciler.features.explore.page import ExploreSide, build_side

_SECOND = timedelta(seconds=1)
_HOUR = timedelta(hours=1)
# a longer time than clocks ever go forward or back
_LONGEST_CHANGE = timedelta(hours=26)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageTimes:
    """When the sides of a page begin and end."""

    zone: str  # its name
    phrases: tuple[str, ...]  # when each side holds
    # of each side the least local time in it, `2026-12-27T06:00:00`; empty for that of now
    starts: tuple[str, ...]
    bounds: tuple[Interval, ...]
    display: tzinfo

    def phrase(self, numbers: Sequence[int]) -> str:
        """Return when the sides from the first to the last number hold; empty for all of them."""
        bounds = self.bounds
        whole = Interval(bounds[numbers[0]].start, bounds[numbers[-1]].end)
        return interval_phrase(whole, self.display)


def build_dated_sides(
    title: str,
    desired: DesiredState,
    queues: Mapping[str, str],
    sample: TrafficSample | None,
) -> tuple[PageTimes, list[ExploreSide]]:
    """Return a side for each interval from now on. Each rule is one object in all of them.

    Raises ValueError if no rule has a date.
    """
    calendar = desired.calendar
    if calendar is None:
        raise ValueError("no rule has a date")
    instants = (calendar.instant, *calendar.boundaries_until())
    bounds = _bounds(instants)
    phrases = [interval_phrase(each, calendar.zone) for each in bounds]
    known: dict[int, RoutingEntry] = {}
    sides = []
    for instant, phrase in zip(instants, phrases, strict=True):
        state = state_at(desired, instant)
        entries = tuple(_known_entries(state, known))
        name = f"{title} {phrase}".rstrip()
        sides.append(build_side(name, RuleList(entries, queues), state, sample))
    return _page_times(bounds, calendar.zone), sides


def _page_times(bounds: Sequence[Interval], zone: tzinfo) -> PageTimes:
    starts = [
        least_local(each.start, zone).isoformat() if each.start else ""
        for each in bounds
    ]
    return PageTimes(
        zone=str(zone),
        phrases=tuple(interval_phrase(each, zone) for each in bounds),
        starts=tuple(starts),
        bounds=tuple(bounds),
        display=zone,
    )


def least_local(instant: datetime, zone: tzinfo) -> datetime:
    """Return the least local time that the clocks have not shown before an instant.

    It may be one that they skip. While they show times for the second time, it is the end of these
    times.
    """
    before = instant - _SECOND
    shown = [before.astimezone(zone), *_shown_before_changes(before, zone)]
    latest = max(time.replace(tzinfo=None) for time in shown)
    return latest + _SECOND


def _shown_before_changes(instant: datetime, zone: tzinfo) -> Iterator[datetime]:
    """Yield what the clocks showed last before each change of them that can still count."""
    early = instant - _LONGEST_CHANGE
    hours = _LONGEST_CHANGE // _HOUR
    steps = [early + _HOUR * number for number in range(hours + 1)]
    for first, last in pairwise(steps):
        offset = first.astimezone(zone).utcoffset()
        if last.astimezone(zone).utcoffset() != offset:
            yield _last_with_offset(first, last, zone).astimezone(zone)


def _last_with_offset(early: datetime, late: datetime, zone: tzinfo) -> datetime:
    """Return the last whole second before `late` with the offset of `early`."""
    offset = early.astimezone(zone).utcoffset()
    while late - early > _SECOND:
        middle = early + _SECOND * ((late - early) // _SECOND // 2)
        if middle.astimezone(zone).utcoffset() == offset:
            early = middle
        else:
            late = middle
    return early


def _bounds(instants: Sequence[datetime]) -> list[Interval]:
    """Return the intervals that begin at instants; the first one has begun."""
    bounds = [Interval(start, end) for start, end in pairwise((*instants, None))]
    bounds[0] = replace(bounds[0], start=None)
    return bounds


def _known_entries(
    state: DesiredState, known: dict[int, RoutingEntry]
) -> list[RoutingEntry]:
    """Return the rules of a state; `known` has those of other states, by their desired rule."""
    rules = zip(state.rules.values(), desired_entries(state), strict=True)
    return [known.setdefault(id(rule), entry) for rule, entry in rules]
