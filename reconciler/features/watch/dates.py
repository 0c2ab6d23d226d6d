"""What `cxroute watch` shows of rules with dates: the next time, and the steps that wait."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from reconciler.core.desired.made_steps import StepKey, WaitingStep
from reconciler.core.plan.stages import Changes
from reconciler.core.text.escape import sanitize
from reconciler.core.text.local_time import shown_instant
from reconciler.core.text.prometheus import metric, metric_header, sample

_BOUNDARY_HELP = (
    "Seconds from the end of the last round until a rule changes by its dates; absent if no date "
    "is ahead."
)
_WAITING_HELP = "Rules with a step that is due and waits for its condition."


def boundaries_of(plan: Changes) -> tuple[datetime, ...]:
    """Return the times at which the rules of a plan change, in order."""
    calendar = plan.desired.calendar
    return calendar.boundaries if calendar is not None else ()


def next_boundary(boundaries: Iterable[datetime], now: datetime) -> datetime | None:
    """Return the first time after now; None if there is none."""
    return next((boundary for boundary in boundaries if boundary > now), None)


@dataclass(slots=True)
class WaitingNews:
    """Remembers the steps that wait and were told."""

    _told: frozenset[StepKey] = field(default=frozenset())

    def is_due(self, plan: Changes) -> bool:
        """Return whether a plan has a step that was not told since it began to wait."""
        waiting = frozenset(
            StepKey(each.address, each.step.at)
            for each in plan.waiting
            if each.step.at is not None
        )
        is_new = bool(waiting - self._told)
        self._told = waiting
        return is_new


def waiting_sentence(waiting: WaitingStep, plan: Changes) -> str:
    """Return `the step of cards/card at 2026-12-03T06:00:00+01:00 waits: REASON`."""
    calendar = plan.desired.calendar
    at = waiting.step.at
    when = f" at {shown_instant(at, calendar.zone)}" if at and calendar else ""
    return f"the step of {waiting.address}{when} waits: {sanitize(waiting.reason)}"


@dataclass(slots=True)
class DateGauges:
    """The figures of the last round; without dates, none."""

    seconds: float | None = None
    waiting: tuple[str, ...] = ()
    has_dates: bool = False

    def record(self, plan: Changes, remaining: Changes, end: datetime) -> None:
        """Take the figures of a round that ended at a time."""
        self.has_dates = plan.desired.calendar is not None
        boundary = next_boundary(boundaries_of(plan), end)
        self.seconds = (boundary - end).total_seconds() if boundary else None
        self.waiting = tuple(sorted(str(each.address) for each in remaining.waiting))

    def lines(self) -> Iterator[str]:
        """Yield the metrics in Prometheus' text format."""
        if not self.has_dates:
            return
        if self.seconds is not None:
            name = "cxroute_next_boundary_seconds"
            yield from metric(name, "gauge", _BOUNDARY_HELP, self.seconds)
        name = "cxroute_step_waiting"
        yield from metric_header(name, "gauge", _WAITING_HELP)
        yield from (sample(name, 1, rule=rule) for rule in self.waiting)
