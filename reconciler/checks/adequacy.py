"""Single edits of an environment's rules that move callers, and which of them no route test and no promise notices.

A test, or a promise, notices an edit if it passes now and fails on the edited rules. An edit concerns only
conversations that the old or the new rule matches, so the tests are not run again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.single_edit import RuleEdit, SingleEdits
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
from reconciler.model.change import Change, Create, is_copy_removal
from reconciler.model.rule import RANGES, Condition, Opaque, Scalar, Target, make_condition, normalized_conditions
from reconciler.plan.plan import Plan
from reconciler.plan.routing_table import desired_entries
from reconciler.plan.traffic_shares import convert_sample
from reconciler.traffic.sample import TrafficSample

CONFIDENCE_STEP: Final = 0.05
WORK_PER_RULE: Final = 20_000  # comparisons for each rule, of 1,000 at least: 1,000 rules take at most ten seconds
_DIGITS: Final = 6  # of a moved bound

_Conditions = Sequence[Condition | Opaque]


class UnnoticedEdit(NamedTuple):
    """An edit that moves an event, which no test and no promise notices."""

    edit: RuleEdit
    event: Conversation
    before: Destination
    after: Destination
    traffic: float  # conversations of the traffic sample that the edit may move; 0 without a sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Adequacy:
    """The number of edits that move callers, and the unnoticed ones of them, the highest traffic first."""

    checked: Checked
    desired: DesiredState
    index: RuleIndex
    edits: int
    unnoticed: tuple[UnnoticedEdit, ...]
    undecided: int  # edits of which it is not known whether they move callers: `edits` does not count them


class ConversationTable:
    """What rules read in some conversations, and the first two rules of a list that match each."""

    def __init__(self, index: RuleIndex, contexts: Sequence[Conversation], evaluation: Evaluation) -> None:
        self._contexts, self._evaluation = contexts, evaluation
        self.winners = [tuple(islice(index.matching_entries(context), 2)) for context in contexts]  # and the next rule
        self._by_value: dict[str, dict[Scalar | None, int]] = {name: {} for each in contexts for name in each}
        for name, masks in self._by_value.items():
            for number, context in enumerate(contexts):
                masks[context.get(name)] = masks.get(context.get(name), 0) | 1 << number
        self._masks: dict[Condition | Opaque, int] = {}

    def matched(self, conditions: Iterable[Condition | Opaque]) -> int:
        """Return the conversations that fulfil all conditions, as a mask; an unknown condition does not hold."""
        mask = (1 << len(self._contexts)) - 1
        for part in conditions:
            if part not in self._masks:
                self._masks[part] = self._fulfilling(part) if isinstance(part, Condition) else 0
            mask &= self._masks[part]
        return mask

    def _fulfilling(self, part: Condition) -> int:
        masks = self._by_value.get(part.attribute, {None: (1 << len(self._contexts)) - 1})
        if part.operator == "equals" and isinstance(part.value, Scalar):  # most conditions
            return masks.get(part.value, 0)
        return sum(mask for value, mask in masks.items() if holds(part, canonical_attributes({part.attribute: value})))

    def moved(self, edit: RuleEdit) -> int:
        """Return the conversations that an edit moves, as a mask."""
        near = self.matched(edit.before.rule.conditions)
        near |= self.matched(edit.after.rule.conditions) if edit.after else 0
        return sum(1 << number for number in bits(near) if len({*self.destinations(number, edit)}) > 1)

    def destinations(self, number: int, edit: RuleEdit) -> tuple[Destination, Destination]:
        """Return where a conversation goes before and after an edit."""
        entries, after = self.winners[number], edit.after
        winner = next((entry for entry in entries if entry is not edit.before), None)
        if after is not None and first_failing_condition(after.rule, self._contexts[number], {}) is None:
            key = evaluation_key(after, self._evaluation)
            winner = after if winner is None or key < evaluation_key(winner, self._evaluation) else winner
        first = destination_of(entries[0].rule.targets) if entries else None
        return first, destination_of(winner.rule.targets) if winner else None


def measure_adequacy(checked: Checked, sample: TrafficSample | None = None) -> Adequacy:
    """Return which edits of the valid rules of an environment move callers, and which of them are unnoticed."""
    assert checked.desired is not None  # noqa: S101 - invalid rules are an error of the command
    return _Measurement(checked, checked.desired, sample).run()


class _Measurement:
    def __init__(self, checked: Checked, desired: DesiredState, sample: TrafficSample | None) -> None:
        self.checked, self.desired, self.endpoint = checked, desired, desired.endpoint
        self.index = RuleIndex(order_entries(desired_entries(desired), desired.evaluation))
        passed = [result for result in checked.tried if result.failure is None]
        self.tests = self._table([result.context for result in passed], self.index)
        self.possible_tests = sum(1 << number for number, result in enumerate(passed) if self._is_possible(result))
        rows = convert_sample(self.endpoint.types, sample).rows if sample else ()
        self.sample = self._table([canonical_attributes(row.attributes) for row in rows], RuleIndex(()))
        self.counts, self.columns = [row.count for row in rows], {name for row in rows[:1] for name in row.attributes}
        self.traffic: dict[int, float] = {}  # the sum of the counts of rows, by their mask
        entries, confidence = self.index.ordered, checked.environment.attributes.confidence
        targets = [part for rule in desired.rules.values() for part in rule.rule.targets]
        queues = sorted({part.queue_id for part in targets if isinstance(part, Target)})
        self.listed = {entry.name: list(list_edits(entry, queues, confidence)) for entry in entries}
        edits = [edit for each in self.listed.values() for edit in each]
        kept = [result.promise for result in checked.promises if result.facts.holds]
        self.search = SingleEdits(entries, edits, self.endpoint, desired.evaluation, kept)
        self.search.space.budget.remaining = WORK_PER_RULE * max(1_000, len(entries))

    def run(self) -> Adequacy:
        noticed = undecided = 0
        unnoticed: list[UnnoticedEdit] = []
        for edit in self._edits():
            moved_tests = self.tests.moved(edit)
            try:
                moved = None if moved_tests & self.possible_tests else self._prove(edit)
                is_noticed = moved_tests or (moved and self.search.breaks_promise(edit))
            except UndecidedError:
                undecided += 1
                continue
            if moved and not is_noticed:
                unnoticed.append(moved)
            elif moved or moved_tests & self.possible_tests:
                noticed += 1
        return Adequacy(
            checked=self.checked,
            desired=self.desired,
            index=self.index,
            edits=noticed + len(unnoticed),
            unnoticed=tuple(sorted(unnoticed, key=lambda each: (-each.traffic, each.edit.before.name))),
            undecided=undecided,
        )

    def _edits(self) -> Iterator[RuleEdit]:
        sign = 1 if self.desired.evaluation == "lowest-first" else -1
        for entry in self.index.ordered:
            yield from self.listed[entry.name]
            for rival, step in zip(self.search.rivals(entry), (-sign, sign), strict=True):
                if rival is not None:
                    yield RuleEdit(entry, replace(entry, rule=replace(entry.rule, priority=rival.rule.priority + step)))

    def _prove(self, edit: RuleEdit) -> UnnoticedEdit | None:
        """Return the edit with an event that it moves, or None if it moves none. Raises UndecidedError."""
        example = self.search.find_moved(edit)
        if example is None:
            return None
        table = self._table([self.endpoint.context(example.attributes).attributes], self.index)
        before, after = table.destinations(0, edit)
        if before == after and example.assumed:  # depends on the text of a number, which is not decided
            raise UndecidedError
        if before == after:
            raise AssertionError(f"the example {example} is not moved by {edit}")
        near = self._possible_rows(edit.before) | (self._possible_rows(edit.after) if edit.after else 0)
        near &= self._possible_rows(table.winners[0][0]) if table.winners[0] else near
        if near not in self.traffic:
            self.traffic[near] = sum(self.counts[number] for number in bits(near))
        return UnnoticedEdit(edit, example.attributes, before, after, self.traffic[near])

    def _possible_rows(self, entry: RoutingEntry) -> int:
        """Return the rows of the sample that a rule may match, as a mask."""
        parts = (part for part in entry.rule.conditions if isinstance(part, Condition))
        return self.sample.matched(part for part in parts if part.attribute in self.columns)

    def _table(self, contexts: Sequence[Conversation], index: RuleIndex) -> ConversationTable:
        return ConversationTable(index, contexts, self.desired.evaluation)

    def _is_possible(self, result: RouteTestResult) -> bool:
        """Return whether an event of the bot leads to what the rules read in a test."""
        event, types = result.conversation if self.endpoint.analyses_events else result.context, self.endpoint.types
        is_typed = all(types[name].contains(value) for name, value in event.items() if name in types)
        return is_typed and self.endpoint.context(event).attributes == result.context


def list_edits(entry: RoutingEntry, queues: Iterable[str], confidence: str) -> Iterator[RuleEdit]:
    """Yield the single edits of a rule except those of its priority: no rule, another queue, other conditions."""
    rule = entry.rule
    yield RuleEdit(entry, None)
    choices = ((Target(queue, 1),) for queue in queues)
    other = next((each for each in choices if destination_of(each) != destination_of(rule.targets)), rule.targets)
    edited = [replace(rule, targets=other)]
    edited += (
        replace(rule, conditions=normalized_conditions(parts))
        for parts in _edit_conditions(rule.conditions, confidence)
    )
    yield from (RuleEdit(entry, replace(entry, rule=new)) for new in dict.fromkeys(edited) if new != rule)


def _edit_conditions(conditions: _Conditions, confidence: str) -> Iterator[_Conditions]:
    """Yield the conditions without each, and with each bound of the confidence moved up and down, within 0 to 1."""
    for part in conditions:
        rest = [other for other in conditions if other is not part]
        yield rest
        if not isinstance(part, Condition) or part.attribute != confidence or part.operator not in RANGES:
            continue
        ends = part.value if isinstance(part.value, tuple) else (part.value,)
        inside = [(at, end) for at, end in enumerate(ends) if isinstance(end, int | float) and 0 <= end <= 1]
        for (at, end), step in product(inside, (CONFIDENCE_STEP, -CONFIDENCE_STEP)):
            moved = [*ends[:at], round(min(max(end + step, 0), 1), _DIGITS), *ends[at + 1 :]]
            yield [*rest, make_condition(part.attribute, part.operator, moved if len(moved) > 1 else moved[0])]


def count_unwatched(
    plan: Plan, tests: Sequence[RouteTestResult], watches: Callable[[Change], bool] = lambda _change: False
) -> int | None:
    """Return the number of changed rules without a test or a promise (`watches`); None if there are no tests."""
    # A test watches the rule that takes its conversation: it fails if the rule is removed or has another queue. It
    # watches a rule that takes no part any more if that rule, as it is live, matches its conversation.
    passed = [result for result in tests if result.failure is None]
    table = ConversationTable(RuleIndex(()), [result.context for result in passed], plan.desired.evaluation)
    watched = {result.winner.address for result in passed if result.winner}

    def matches_test(change: Change) -> bool:
        after = plan.desired.rules.get(change.address)
        if isinstance(change, Create) or (after and after.rule.enabled) or not change.live.rule.enabled:
            return False
        return table.matched(change.live.rule.conditions) > 0

    changes = [change for change in plan.changes if not is_copy_removal(change) and change.address not in watched]
    return sum(not matches_test(change) and not watches(change) for change in changes) if tests else None
