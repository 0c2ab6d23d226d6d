"""The rules of all times as rows of a table: each with its dates as they are written, and its steps."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple

from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.desired.calendar import ALWAYS, DatedRule, Interval
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.desired_rule import DesiredRule
from reconciler.core.export.update_manifest import find_rule
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Address, Rule
from reconciler.core.plan.routing_table import desired_entries

DATE_FIELDS: Final = {"From": "from", "Until": "until"}
"""The headings of the columns of dates, each with the field of a rule."""
Weights = Sequence[tuple[Any, ...]]


class StatedStep(NamedTuple):
    """A later step: its time as it is written, and the rule from then on."""

    time: str
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedRule:
    """A rule of some time, with the weights that `targets` say.

    The entry's name is its address; of a further rule with the same address, also a number.
    """

    entry: RoutingEntry
    desired: DesiredRule
    interval: Interval = ALWAYS
    dates: tuple[str, ...] = ("", "")  # as they are written: `from`, `until`
    steps: tuple[StatedStep, ...] = ()
    later: Weights = ()  # time, condition and targets of each step
    is_active: bool = True

    @property
    def meaning(self) -> "Meaning":
        """Return what the rule says."""
        routing = self.entry.rule.routing_fields
        return Meaning(self.desired.address, routing, self.interval, self.later)

    def date(self, heading: str) -> str:
        """Return the date of a column as it is written; empty without one."""
        return self.dates[list(DATE_FIELDS).index(heading)]


class Meaning(NamedTuple):
    """What a rule says in a table. Equal rules have equal meanings."""

    address: Address
    routing: tuple[object, ...]
    interval: Interval = ALWAYS
    later: Weights = ()


def stated_rules(desired: DesiredState, manifests: Manifests) -> list[StatedRule]:
    """Return the rules of all times, in the order of the manifests."""
    calendar = desired.calendar
    if calendar is None:
        return [
            StatedRule(entry=entry, desired=rule)
            for entry, rule in zip(
                desired_entries(desired), desired.rules.values(), strict=True
            )
        ]
    numbers = Counter[Address]()
    rules = list[StatedRule]()
    for stated in calendar.entries:
        numbers[stated.address] += 1
        name = _row_name(stated.address, numbers[stated.address])
        if isinstance(stated, DatedRule):
            rule = _dated(stated, name, manifests)
            is_active = stated.interval.covers(calendar.instant)
            rules.append(replace(rule, is_active=is_active))
        else:
            rules.append(StatedRule(entry=_entry(stated, name), desired=stated))
    return rules


def meanings(desired: DesiredState) -> Iterator[Meaning]:
    """Yield the meaning of each rule of all times."""
    if desired.calendar is None:
        for address, rule in desired.rules.items():
            yield Meaning(address, rule.rule.routing_fields)
        return
    for entry in desired.calendar.entries:
        if isinstance(entry, DatedRule):
            first = entry.steps[0].rule.rule
            yield Meaning(
                entry.address, first.routing_fields, entry.interval, _later(entry)
            )
        else:
            yield Meaning(entry.address, entry.rule.routing_fields)


def find_other_meaning(
    expected: Sequence[Meaning], actual: Sequence[Meaning]
) -> Address | None:
    """Return the first address whose rules have other meanings; None if there is none."""
    sides = [
        group_pairs((each.address, each) for each in side)
        for side in (expected, actual)
    ]
    for address in sorted({*sides[0], *sides[1]}):
        first, second = (list(side.get(address, ())) for side in sides)
        for each in first:
            if each in second:
                second.remove(each)
            else:
                return address
        if second:
            return address
    return None


def _row_name(address: Address, number: int) -> str:
    return str(address) if number == 1 else f"{address} ({number})"


def _entry(rule: DesiredRule, name: str) -> RoutingEntry:
    return RoutingEntry(
        name=name, rule=rule.rule, address=rule.address, source=rule.source
    )


def _dated(stated: DatedRule, name: str, manifests: Manifests) -> StatedRule:
    first = stated.steps[0].rule
    loaded, index = find_rule(first, manifests)
    fields = loaded.source_map.value(("rules", index))
    times = [str(step["at"]) for step in fields.get("steps") or ()]
    steps = [
        StatedStep(time, step.rule.rule)
        for time, step in zip(times, stated.steps[1:], strict=True)
    ]
    return StatedRule(
        entry=_entry(first, name),
        desired=first,
        interval=stated.interval,
        dates=tuple(str(fields.get(name) or "") for name in DATE_FIELDS.values()),
        steps=tuple(steps),
        later=_later(stated),
    )


def _later(stated: DatedRule) -> Weights:
    return tuple(
        (step.at, step.condition, step.rule.rule.targets) for step in stated.steps[1:]
    )
