"""Rules with dates: which rules exist at an instant, with which weights, and when that changes.

All times are instants in UTC. Nothing here reads a clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from typing import Final

from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.manifest.kinds.ruleset import StepCondition
from reconciler.core.model.rule import Address
from reconciler.core.text.local_time import shown_instant


@dataclass(frozen=True, slots=True)
class Interval:
    """The time from `start` to `end`, without `end`; None where it is open."""

    start: datetime | None = None
    end: datetime | None = None

    def covers(self, instant: datetime) -> bool:
        """Return whether an instant is in the interval."""
        has_begun = self.start is None or self.start <= instant
        return has_begun and not self.ended_by(instant)

    def ended_by(self, instant: datetime) -> bool:
        """Return whether the interval is over at an instant."""
        return self.end is not None and self.end <= instant

    def overlaps(self, other: "Interval") -> bool:
        """Return whether some instant is in both intervals."""
        starts = [each.start for each in (self, other) if each.start is not None]
        if not starts:
            return True
        latest = max(starts)
        return not self.ended_by(latest) and not other.ended_by(latest)


ALWAYS: Final = Interval()


def interval_phrase(interval: Interval, zone: tzinfo) -> str:
    """Return when an interval is, in words; empty if it is open at both ends."""
    parts = []
    if interval.start is not None:
        parts.append(f"from {shown_instant(interval.start, zone)}")
    if interval.end is not None:
        parts.append(f"until {shown_instant(interval.end, zone)}")
    return " ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedStep:
    """The rule from a time on; `at` is None for the first weights."""

    rule: DesiredRule
    at: datetime | None = None
    condition: StepCondition | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedRule:
    """A rule in one interval; its steps ascend, and the first one has no time."""

    interval: Interval
    steps: tuple[DatedStep, ...]

    @property
    def address(self) -> Address:
        """Return the address of the rule."""
        return self.steps[0].rule.address

    def due_steps(self, instant: datetime) -> tuple[DatedStep, ...]:
        """Return the steps that are due at an instant: never none."""
        return tuple(
            step for step in self.steps if step.at is None or step.at <= instant
        )

    def reachable_steps(self, instant: datetime) -> tuple[DatedStep, ...]:
        """Return the steps that may be made at an instant, the last due one first.

        A due step with a condition may wait, and each later one waits with it.
        """
        due = self.due_steps(instant)
        waiting = [number for number, step in enumerate(due) if step.condition]
        earliest = waiting[0] - 1 if waiting else len(due) - 1
        return due[: earliest - 1 if earliest else None : -1]

    @property
    def boundaries(self) -> Iterator[datetime]:
        """Yield the instants at which the rule changes, if each step is made at its time."""
        for end in (self.interval.start, self.interval.end):
            if end is not None:
                yield end
        for step in self.steps:
            if step.at is not None and self._begins_inside(step.at):
                yield step.at

    def _begins_inside(self, at: datetime) -> bool:
        return self.interval.covers(at) and at != self.interval.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """All rules of an environment in the order of the manifests, and the instant of a run."""

    entries: tuple[DesiredRule | DatedRule, ...]
    instant: datetime
    # sorted, each once
    boundaries: tuple[datetime, ...]
    # the types of attributes that do not depend on the rules
    declared_types: Types
    # in which times are shown
    zone: tzinfo

    @classmethod
    def of(
        cls,
        entries: Sequence[DesiredRule | DatedRule],
        instant: datetime,
        declared_types: Types,
        zone: tzinfo,
    ) -> "Calendar":
        """Return the calendar of rules."""
        boundaries = {
            boundary
            for entry in entries
            if isinstance(entry, DatedRule)
            for boundary in entry.boundaries
        }
        return cls(
            entries=tuple(entries),
            instant=instant,
            boundaries=tuple(sorted(boundaries)),
            declared_types=declared_types,
            zone=zone,
        )

    def at(self, instant: datetime) -> "Calendar":
        """Return the calendar at another instant."""
        return replace(self, instant=instant)

    @property
    def active(self) -> Iterator[DatedRule]:
        """Yield the rules with dates that exist at the instant."""
        for entry in self.entries:
            if isinstance(entry, DatedRule) and entry.interval.covers(self.instant):
                yield entry

    def rules(self, back: int = 0) -> Mapping[Address, DesiredRule]:
        """Return the rules at the instant, as if each due step were made.

        `back` counts steps back from there, as far as a rule's waiting steps allow.
        """
        rules: dict[Address, DesiredRule] = {}
        for entry in self.entries:
            if isinstance(entry, DesiredRule):
                rules[entry.address] = entry
            elif entry.interval.covers(self.instant):
                steps = entry.reachable_steps(self.instant)
                step = steps[min(back, len(steps) - 1)]
                rules[step.rule.address] = step.rule
        return rules

    @property
    def assumed(self) -> list[Address]:
        """Return the rules with a due step that may wait: `rules` has it as made."""
        return [
            rule.address
            for rule in self.active
            if any(step.condition for step in rule.due_steps(self.instant))
        ]

    @property
    def variants(self) -> int:
        """Return how many values of `back` give each reachable step of each rule."""
        counts = (len(rule.reachable_steps(self.instant)) for rule in self.active)
        return max(counts, default=1)

    @property
    def interval(self) -> Interval:
        """Return the time around the instant in which nothing changes."""
        earlier = [each for each in self.boundaries if each <= self.instant]
        later = [each for each in self.boundaries if each > self.instant]
        return Interval(earlier[-1] if earlier else None, later[0] if later else None)

    def boundaries_until(self, end: datetime | None = None) -> tuple[datetime, ...]:
        """Return the boundaries after the instant, up to an end."""
        return tuple(
            boundary
            for boundary in self.boundaries
            if self.instant < boundary and (end is None or boundary <= end)
        )
