"""Single edits of one environment's rules that move callers, and which of them no route test and no promise notices.

An edit counts if a conversation proves that it moves callers. A test notices it if the test passes now, and fails on
the edited rules. Evaluation is incremental: an edit concerns only conversations that the old or the new rule matches.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.single_edit import RuleEdit, SingleEdits
from reconciler.behaviour.endpoint_stage import EndpointStage
from reconciler.behaviour.evaluate import Conversation, RuleIndex, canonical_attributes, first_failing_condition, holds
from reconciler.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of,
    evaluation_key,
    order_entries,
)
from reconciler.behaviour.space.patterns import bits
from reconciler.checks.route_tests import Checked, RouteTestResult
from reconciler.desired.desired import DesiredState
from reconciler.model.rule import RANGES, Condition, Opaque, Target, make_condition, normalized_conditions
from reconciler.plan.routing_table import desired_entries
from reconciler.plan.traffic_shares import convert_sample
from reconciler.traffic.sample import TrafficSample

CONFIDENCE_STEP: Final = 0.05
WORK_PER_RULE: Final = 20_000  # comparisons for each rule: 1,000 rules take at most ten seconds
_MIN_RULES: Final = 1_000  # the minimum number of rules for the bound
_DIGITS: Final = 6  # of a moved bound
_Part = Condition | Opaque


class UnnoticedEdit(NamedTuple):
    """An edit that moves the conversations of an event, which no test and no promise notices."""

    edit: RuleEdit
    event: Conversation
    before: Destination
    after: Destination
    traffic: float  # conversations of the traffic sample that the edit may move; 0 without a sample


# Whether a promise that holds now is broken by an edit. It is asked only about edits that no test notices.
Notices = Callable[[UnnoticedEdit], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Adequacy:
    """The edits of one environment's rules that move callers; `unnoticed` has the highest traffic first."""

    checked: Checked
    desired: DesiredState
    entries: tuple[RoutingEntry, ...]
    index: RuleIndex
    edits: int
    unnoticed: tuple[UnnoticedEdit, ...]
    undecided: int  # edits of which it is not known whether they move callers: not counted in `edits`

    @property
    def percent(self) -> float:
        """Return the share of edits that no test and no promise notices."""
        return 100 * len(self.unnoticed) / self.edits if self.edits else 0.0

    def edited_entries(self, edit: RuleEdit) -> list[RoutingEntry]:
        """Return the rules after an edit."""
        edited = (edit.after if entry is edit.before else entry for entry in self.entries)
        return [entry for entry in edited if entry is not None]

    def table(self, contexts: Sequence[Conversation]) -> "ConversationTable":
        """Return the rules that match each of the conversations that rules read."""
        return ConversationTable(self.index, contexts, self.checked.environment.api.evaluation)


class ConversationTable:
    """What rules read in some conversations, and all rules that match each: finds those that an edit moves."""

    def __init__(self, index: RuleIndex, contexts: Sequence[Conversation], evaluation: Evaluation) -> None:
        self.contexts, self.evaluation = contexts, evaluation
        self.matching = [tuple(index.matching_entries(context)) for context in contexts]
        self._masks: dict[Condition, int] = {}

    @cached_property
    def _won(self) -> Mapping[int, int]:
        """The conversations that each rule takes, as a mask."""
        masks: dict[int, int] = {}
        for number, entries in enumerate(self.matching):
            winner = id(entries[0]) if entries else 0
            masks[winner] = masks.get(winner, 0) | 1 << number
        return masks

    @cached_property
    def _by_value(self) -> Mapping[str, Mapping[str | int | float | None, int]]:
        """The conversations with each value of each attribute; None is a missing one."""
        names = dict.fromkeys(name for context in self.contexts for name in context)
        table: dict[str, dict[str | int | float | None, int]] = {name: {} for name in names}
        for number, context in enumerate(self.contexts):
            for name, masks in table.items():
                value = context.get(name)
                masks[value] = masks.get(value, 0) | 1 << number
        return table

    def matched(self, conditions: Iterable[_Part]) -> int:
        """Return the conversations that fulfil all conditions, as a mask; an unknown condition does not hold."""
        mask = (1 << len(self.contexts)) - 1
        for part in conditions:
            mask &= self._fulfilling(part) if isinstance(part, Condition) else 0
        return mask

    def _fulfilling(self, part: Condition) -> int:
        if part not in self._masks:
            masks = self._by_value.get(part.attribute, {None: (1 << len(self.contexts)) - 1})
            values = [value for value in masks if holds(part, {} if value is None else {part.attribute: value})]
            self._masks[part] = sum(masks[value] for value in values)
        return self._masks[part]

    def destinations(self, number: int, edit: RuleEdit) -> tuple[Destination, Destination]:
        """Return where a conversation goes before and after an edit."""
        entries, after = self.matching[number], edit.after
        old = destination_of(entries[0].rule.targets) if entries else None
        rest = next((entry for entry in entries if entry is not edit.before), None)
        if after is not None and first_failing_condition(after.rule, self.contexts[number], {}) is None:
            key = evaluation_key(after, self.evaluation)
            rest = after if rest is None or key < evaluation_key(rest, self.evaluation) else rest
        return old, None if rest is None else destination_of(rest.rule.targets)

    def moved(self, edit: RuleEdit) -> int:
        """Return the conversations that an edit moves, as a mask."""
        near = self._won.get(id(edit.before), 0)
        near |= self.matched(edit.after.rule.conditions) if edit.after is not None else 0
        moves = (number for number in bits(near) if len({*self.destinations(number, edit)}) > 1)
        return sum(1 << number for number in moves)


def list_edits(entry: RoutingEntry, queues: Sequence[str], confidence: str) -> Iterator[RuleEdit]:
    """Yield all single edits of a rule except those of its priority: no rule, another queue, other conditions."""
    rule = entry.rule
    yield RuleEdit(entry, None)
    targets = ((Target(queue, 1),) for queue in queues)
    other = next((each for each in targets if destination_of(each) != destination_of(rule.targets)), None)
    if other:
        yield RuleEdit(entry, replace(entry, rule=replace(rule, targets=other)))
    edited = dict.fromkeys(normalized_conditions(parts) for parts in _edited_conditions(rule.conditions, confidence))
    for conditions in edited:
        if conditions != rule.conditions:
            yield RuleEdit(entry, replace(entry, rule=replace(rule, conditions=conditions)))


def _edited_conditions(conditions: Sequence[_Part], confidence: str) -> Iterator[list[_Part]]:
    """Yield the conditions without each, and with each bound of the confidence moved."""
    for part in conditions:
        rest = [other for other in conditions if other is not part]
        yield rest
        if isinstance(part, Condition) and part.attribute == confidence and part.operator in RANGES:
            yield from ([*rest, moved] for moved in _moved_bounds(part))


def _moved_bounds(part: Condition) -> Iterator[Condition]:
    """Yield a condition on the confidence with each of its bounds moved up and down, within 0 to 1."""
    ends = part.value if isinstance(part.value, tuple) else (part.value,)
    numbers = [(at, end) for at, end in enumerate(ends) if isinstance(end, int | float) and 0 <= end <= 1]
    for at, end in numbers:
        for step in (CONFIDENCE_STEP, -CONFIDENCE_STEP):
            bound = round(min(max(end + step, 0), 1), _DIGITS)
            value = [*ends[:at], bound, *ends[at + 1 :]]
            yield make_condition(part.attribute, part.operator, value if len(ends) > 1 else bound)


def _priority_edits(entry: RoutingEntry, edits: SingleEdits) -> Iterator[RuleEdit]:
    """Yield a rule with the priority just beyond its nearest rival in each direction."""
    sign = 1 if edits.evaluation == "lowest-first" else -1
    for rival, step in edits.rivals(entry):
        rule = replace(entry.rule, priority=rival.rule.priority + sign * step)
        yield RuleEdit(entry, replace(entry, rule=rule))


def _never(_edit: UnnoticedEdit) -> bool:
    return False


def measure_adequacy(checked: Checked, sample: TrafficSample | None = None, notices: Notices = _never) -> Adequacy:
    """Return which edits of the rules of an environment move callers unnoticed; its rules must be valid."""
    if checked.desired is None:
        raise ValueError(checked.environment.name)
    return _Measurement(checked, checked.desired).run(sample, notices)


class _Measurement:
    def __init__(self, checked: Checked, desired: DesiredState) -> None:
        self.checked, self.desired, self.endpoint = checked, desired, desired.endpoint
        self.entries = entries = desired_entries(desired)
        self.evaluation: Evaluation = checked.environment.api.evaluation
        self.index = RuleIndex(order_entries(entries, self.evaluation))
        passed = [result for result in checked.tried if result.failure is None]
        self.tests = self._table([result.context for result in passed])
        self.possible_tests = sum(1 << at for at, result in enumerate(passed) if self._is_possible(result))
        targets = (target for entry in entries for target in entry.rule.targets if isinstance(target, Target))
        ids = {target.queue_id for target in targets}
        queues = sorted(ids, key=lambda queue: (checked.queues.get(queue, ""), queue))
        confidence = checked.environment.attributes.confidence
        self.listed = {entry.name: list(list_edits(entry, queues, confidence)) for entry in self.index.ordered}
        edits = [edit for each in self.listed.values() for edit in each]
        work = WORK_PER_RULE * max(_MIN_RULES, len(entries))
        self.edits = SingleEdits(entries, edits, self.endpoint, self.evaluation, work)

    def run(self, sample: TrafficSample | None, notices: Notices) -> Adequacy:
        noticed = undecided = 0
        unnoticed: list[UnnoticedEdit] = []
        traffic = _SampleTraffic(sample, self.endpoint)
        for entry in self.index.ordered:
            for edit in (*self.listed[entry.name], *_priority_edits(entry, self.edits)):
                moved_tests = self.tests.moved(edit)
                if moved_tests & self.possible_tests:
                    noticed += 1
                    continue
                try:
                    unnoticed_edit = self._prove(edit, traffic)
                except UndecidedError:
                    undecided += 1
                    continue
                if unnoticed_edit is not None and (moved_tests or notices(unnoticed_edit)):
                    noticed += 1
                elif unnoticed_edit is not None:
                    unnoticed.append(unnoticed_edit)
        unnoticed.sort(key=lambda each: (-each.traffic, each.edit.before.name))
        return Adequacy(
            checked=self.checked,
            desired=self.desired,
            entries=self.entries,
            index=self.index,
            edits=noticed + len(unnoticed),
            unnoticed=tuple(unnoticed),
            undecided=undecided,
        )

    def _prove(self, edit: RuleEdit, traffic: "_SampleTraffic") -> UnnoticedEdit | None:
        """Return the edit with a conversation that it moves, or None if it moves none. Raises UndecidedError."""
        example = self.edits.find_moved(edit)
        if example is None:
            return None
        context = self._table([self.endpoint.context(example.attributes).attributes])
        before, after = context.destinations(0, edit)
        if before == after and example.assumed:  # depends on the text of a number, which is not decided
            raise UndecidedError
        if before == after:
            raise AssertionError(f"the example {example} is not moved by {edit}")
        winner = next(iter(context.matching[0]), None)
        return UnnoticedEdit(edit, example.attributes, before, after, traffic.count(edit, winner))

    def _table(self, contexts: Sequence[Conversation]) -> ConversationTable:
        return ConversationTable(self.index, contexts, self.evaluation)

    def _is_possible(self, result: RouteTestResult) -> bool:
        """Return whether an event of the bot leads to what the rules read in a test."""
        event = result.conversation if self.endpoint.analyses_events else result.context
        types = self.endpoint.types
        is_typed = all(types[name].contains(value) for name, value in event.items() if name in types)
        return is_typed and self.endpoint.context(event).attributes == result.context


class _SampleTraffic:
    """Counts the conversations of a sample that an edit may move; attributes that the sample lacks do not count."""

    def __init__(self, sample: TrafficSample | None, endpoint: EndpointStage) -> None:
        rows = convert_sample(endpoint.types, sample).rows if sample else ()
        self._rows = ConversationTable(
            RuleIndex(()), [canonical_attributes(row.attributes) for row in rows], "lowest-first"
        )
        self._counts = [row.count for row in rows]
        self._names = {name for row in rows[:1] for name in row.attributes}
        self._sums: dict[int, float] = {}

    def count(self, edit: RuleEdit, winner: RoutingEntry | None) -> float:
        """Return the conversations that the edited rule may match, and that the winner may take today."""
        mask = self._matched(edit.before) | (self._matched(edit.after) if edit.after else 0)
        mask &= self._matched(winner) if winner else mask
        if mask not in self._sums:
            self._sums[mask] = sum(self._counts[number] for number in bits(mask))
        return self._sums[mask]

    def _matched(self, entry: RoutingEntry) -> int:
        parts = (part for part in entry.rule.conditions if isinstance(part, Condition))
        return self._rows.matched(part for part in parts if part.attribute in self._names)
