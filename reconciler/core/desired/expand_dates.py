"""Expansion of the dates of one manifest rule: `from`, `until` and `steps` (docs/dates.md)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import Final, NamedTuple, cast
from zoneinfo import ZoneInfo

from reconciler.core.desired.calendar import Interval
from reconciler.core.desired.expand import (
    FieldPath,
    InvalidRuleError,
    RuleExpander,
    list_targets,
)
from reconciler.core.desired.substitution import WEIGHT
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import (
    Hold,
    StepCondition,
    StepEntry,
    has_dates,
)
from reconciler.core.model.rule import Queue, Rule, Target, sorted_targets
from reconciler.core.text.escape import join_first, quote
from reconciler.core.text.local_time import InvalidTimeError, shown_instant

_MAX_LISTED: Final = 4
_AMBIGUOUS: Final = ", and a step with `if` is between them: the live rule could not show which of the two is made"
Weight = int | float


class StepWeights(NamedTuple):
    """The weights of a rule's queues, by id, from a time on."""

    at: datetime | None
    weights: dict[str, Weight]
    condition: StepCondition | None


@dataclass(frozen=True, slots=True)
class RuleDates:
    """Reads the dates of one rule. Each method raises InvalidRuleError."""

    expander: RuleExpander

    def interval(self) -> Interval:
        """Return the time in which the rule exists."""
        entry = self.expander.entry
        start = self._optional_instant(entry.from_, "from")
        end = self._optional_instant(entry.until, "until")
        if start is None or end is None or start < end:
            return Interval(start, end)
        message = (
            f"the rule ends before it begins: from {self._shown(start)} until "
            f"{self._shown(end)}"
        )
        raise InvalidRuleError(
            "CXR104", message, "until", hint="write a time after `from`"
        )

    def steps(self) -> list[StepWeights]:
        """Return the weights in order of time: those of `targets`, then those of each step."""
        expander = self.expander
        entries = expander.entry.steps
        if not entries:
            return [StepWeights(None, {}, None)]
        targets = list_targets(expander.entry)
        queues: dict[str, str] = {}
        first: dict[str, Weight] = {}
        for (name, _, path), weight in zip(targets, expander.weights(), strict=True):
            queue = expander.queue(name, path)
            if queue.id in first:
                message = f"a rule with steps must name each queue once, and {quote(name)} is named twice"
                raise InvalidRuleError("CXR104", message, *path)
            queues[expander.fill_text(name, path)] = queue.id
            first[queue.id] = weight
        _require_weight(first, ("targets",))
        steps = [StepWeights(None, first, None)]
        steps += [
            self._step(number, entry, queues) for number, entry in enumerate(entries)
        ]
        self._check_order(steps)
        self._check_repeated(steps)
        return steps

    def hold(self) -> Hold | None:
        """Return the hold of the rule, whose end has its offset."""
        hold = self.expander.entry.hold
        if hold is None or hold.until.tzinfo is not None:
            return hold
        until = self._instant(hold.until, "hold", "until")
        zone = zone_of(self.expander.environment.timezone)
        return hold.model_copy(update={"until": until.astimezone(zone)})

    def rule(self, base: Rule, step: StepWeights) -> Rule:
        """Return the rule with the weights of a step, without the queues of weight 0."""
        if not self.expander.entry.steps:
            return base
        weights = {queue: weight for queue, weight in step.weights.items() if weight}
        targets = [Target(queue, weight) for queue, weight in weights.items()]
        queues = [queue for queue in self._queues() if queue.id in weights]
        return replace(
            base,
            description=self.expander.description(queues),
            targets=sorted_targets(targets),
        )

    def collect_errors(self) -> Iterator[InvalidRuleError]:
        """Yield the errors of the dates; each part is read by itself."""
        parts: list[Callable[[], object]] = [self.hold]
        if has_dates(self.expander.entry):
            parts += [self.interval, self.steps]
        for part in parts:
            try:
                part()
            except InvalidRuleError as error:
                yield error

    def _queues(self) -> list[Queue]:
        return [
            self.expander.queue(name, path)
            for name, _, path in list_targets(self.expander.entry)
        ]

    def _step(
        self, number: int, entry: StepEntry, queues: dict[str, str]
    ) -> StepWeights:
        path = ("steps", number, "weights")
        expander = self.expander
        named = {
            expander.fill_text(name, path): raw for name, raw in entry.weights.items()
        }
        if named.keys() != queues.keys() or len(named) < len(entry.weights):
            raise InvalidRuleError(
                "CXR104",
                _names_message(set(named), set(queues)),
                *path,
                hint="give each queue of `targets` a weight; 0 leaves it out",
            )
        weights: dict[str, Weight] = {}
        for name, raw in named.items():
            value = expander.typed_value(raw, WEIGHT, *path, "weight")
            weights[queues[name]] = cast("Weight", value)
        _require_weight(weights, path)
        at = self._instant(entry.at, "steps", number, "at")
        return StepWeights(at, weights, entry.condition)

    def _check_order(self, steps: Sequence[StepWeights]) -> None:
        times = [step.at for step in steps if step.at is not None]
        for number, (earlier, later) in enumerate(pairwise(times), 1):
            if earlier >= later:
                message = (
                    f"steps must ascend in time, and {self._shown(later)} does not follow "
                    f"{self._shown(earlier)}"
                )
                raise InvalidRuleError("CXR104", message, "steps", number, "at")

    def _check_repeated(self, steps: Sequence[StepWeights]) -> None:
        """Raise an error for equal weights of which a live rule could not say which step is made."""
        for later, step in enumerate(steps):
            for earlier in range(later):
                if steps[earlier].weights != step.weights:
                    continue
                between = steps[earlier + 1 : later + 1]
                is_neighbour = later == earlier + 1
                if is_neighbour or any(each.condition for each in between):
                    reason = _AMBIGUOUS
                    if is_neighbour:
                        reason = ", so it changes nothing"
                    raise _repeated(earlier, later, reason)

    def _optional_instant(
        self, time: datetime | None, *path: str | int
    ) -> datetime | None:
        return None if time is None else self._instant(time, *path)

    def _instant(self, time: datetime, *path: str | int) -> datetime:
        return read_instant(time, self.expander.environment, path)

    def _shown(self, instant: datetime) -> str:
        return shown_instant(instant, zone_of(self.expander.environment.timezone))


def read_instant(time: datetime, environment: Environment, path: FieldPath) -> datetime:
    """Return the instant of a time at a path. Raises InvalidRuleError."""
    try:
        return environment.instant_of(time)
    except InvalidTimeError as error:
        problem = error.problem
        raise InvalidRuleError("CXR104", problem, *path, hint=error.remedy) from None


def zone_of(name: str | None) -> ZoneInfo:
    """Return the zone in which an Environment's times are shown; UTC without one."""
    return ZoneInfo(name or "UTC")


def _require_weight(weights: Mapping[str, Weight], path: FieldPath) -> None:
    """Raise InvalidRuleError if all queues would be left out."""
    if not any(weights.values()):
        message = "no queue has a positive weight, so the conversations of this rule would reach no queue"
        hint = "set a weight above 0; to end the rule, write `until`"
        raise InvalidRuleError("CXR123", message, *path, hint=hint)


def _names_message(named: set[str], expected: set[str]) -> str:
    missing = join_first(sorted(expected - named), _MAX_LISTED, quote)
    unknown = join_first(sorted(named - expected), _MAX_LISTED, quote)
    parts = [
        f"{missing} is missing" if missing else "",
        f"{unknown} is not one of them" if unknown else "",
    ]
    reason = ", and ".join(part for part in parts if part) or "two names are equal"
    return f"a step must name exactly the queues of `targets`: {reason}"


def _repeated(earlier: int, later: int, reason: str) -> InvalidRuleError:
    first = "`targets`" if earlier == 0 else f"step {earlier}"
    message = f"step {later} has the weights of {first}{reason}"
    hint = "change a weight, or remove the step"
    return InvalidRuleError("CXR104", message, "steps", later - 1, "weights", hint=hint)
