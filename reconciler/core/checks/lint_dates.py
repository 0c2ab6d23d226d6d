"""Findings about the dates of rules: rules that are over, and times at which no run is due (CXR240,
CXR242).
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import Final

from reconciler.core.checks.lint_view import LintView
from reconciler.core.desired.calendar import Calendar, DatedRule
from reconciler.core.desired.expand_dates import zone_of
from reconciler.core.manifest.kinds.environment import SANDBOX
from reconciler.core.manifest.kinds.fields import parse_duration
from reconciler.core.model.finding import Finding
from reconciler.core.text.escape import join_first, sanitize
from reconciler.core.text.local_time import shown_instant

NEAR: Final = timedelta(minutes=15)
"""How long after its time a change may come, before a plan warns of it."""
_MAX_LISTED: Final = 3


def check_dates(view: LintView) -> Iterator[Finding]:
    """Yield the findings about the rules with dates of an environment."""
    calendar = view.desired.calendar
    if calendar is None:
        return
    for entry in calendar.entries:
        if isinstance(entry, DatedRule):
            yield from _check_rule(view, calendar, entry)
    yield from _check_schedule(view, calendar)


def _check_rule(
    view: LintView, calendar: Calendar, entry: DatedRule
) -> Iterator[Finding]:
    """Yield a finding about a rule that is over, or has steps that come after its end."""
    zone = zone_of(view.environment.timezone)
    end = entry.interval.end
    if end is None:
        return
    message = ""
    hint = "remove it"
    late = [step for step in entry.steps if step.at is not None and step.at >= end]
    if entry.interval.ended_by(calendar.instant):
        message = f"never active again: the rule ended at {shown_instant(end, zone)}"
    elif late and late[0].at is not None:
        at = shown_instant(late[0].at, zone)
        message = f"the step at {at} is never made: the rule ends at {shown_instant(end, zone)}"
        hint = "move the step, or write a later `until`"
    if message:
        rule = entry.steps[0].rule
        yield Finding(
            code="CXR242",
            severity="warning",
            message=message,
            source=rule.source,
            address=rule.address,
            hint=hint,
        )


def _check_schedule(view: LintView, calendar: Calendar) -> Iterator[Finding]:
    """Yield a finding if no run is near a boundary."""
    environment = view.environment
    loaded = view.manifests.environments.get(environment.name)
    later = calendar.boundaries_until()
    schedule = environment.schedule
    if not later or loaded is None or environment.name == SANDBOX:
        return
    if schedule is not None and parse_duration(schedule.every) <= NEAR:
        return

    zone = zone_of(environment.timezone)
    times = join_first([shown_instant(each, zone) for each in later], _MAX_LISTED)
    name = sanitize(environment.name)
    if schedule is None:
        message = (
            f"rules of {name} change at {times}, and the Environment has no `schedule`"
        )
        path: tuple[str, ...] = ("name",)
    else:
        message = f"rules of {name} change at {times}, and runs are up to {schedule.every} apart"
        path = ("schedule", "every")
    yield loaded.finding(
        "CXR240",
        message,
        *path,
        severity="warning",
        hint=(
            "run `cxroute apply` or `watch` every 15 minutes or more often, and write how often: "
            "`schedule: {every: 10m}`"
        ),
    )
