"""Single edits of an environment's rules that move callers, and which of them no route test and no promise notices.

A test notices an edit if it passes now and fails on the edited rules. An edit concerns only conversations that the old
or the new rule matches, so the tests are not run again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import reduce
from itertools import chain, count, islice, product
from math import inf, lcm
from operator import or_
from typing import Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.single_edit import RuleEdit, SingleEdits
from reconciler.behaviour.evaluate import Conversation, RuleIndex, canonical_attributes, holds
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
from reconciler.desired.queues import OfflineQueueResolver, QueueError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.model.change import Change, Create, is_copy_removal
from reconciler.model.rule import (
    RANGES,
    Address,
    Condition,
    Json,
    Opaque,
    Scalar,
    Target,
    make_condition,
    normalized_conditions,
)
from reconciler.plan.plan import Plan
from reconciler.plan.routing_table import desired_entries
from reconciler.plan.traffic_shares import convert_sample
from reconciler.traffic.sample import TrafficSample

CONFIDENCE_STEP: Final = 0.05
WORK_PER_RULE: Final = 9_000  # comparisons for each rule, of 1,000 at least: 1,000 rules take at most ten seconds
WATCH_WORK: Final = 4_000_000  # comparisons of all questions of a plan to promises: about a second
_DIGITS: Final = 6  # of a moved bound

_Conditions = Sequence[Condition | Opaque]


class UnnoticedEdit(NamedTuple):
    """An edit that moves an event, which no test and no promise notices."""

    edit: RuleEdit
    event: Conversation
    before: Destination
    after: Destination
    traffic: float  # conversations of the traffic sample that the rule may take that takes the event today


@dataclass(frozen=True, slots=True, kw_only=True)
class Adequacy:
    """The number of edits that move callers, and the unnoticed ones of them, the highest traffic first."""

    checked: Checked
    index: RuleIndex
    edits: int
    unnoticed: tuple[UnnoticedEdit, ...]
    undecided: int  # edits of which it is not known whether they move callers: `edits` does not count them


class _Winner(NamedTuple):
    key: tuple[float, str, str]
    destination: Destination
    entry: RoutingEntry | None = None


_DEFAULT: Final = _Winner((inf, "", ""), None)


class ConversationTable:
    """What rules read in some conversations, and the first two rules of a list that match each."""

    def __init__(self, index: RuleIndex, contexts: Sequence[Conversation], evaluation: Evaluation) -> None:
        self._evaluation, self._all = evaluation, (1 << len(contexts)) - 1
        self.winners: list[list[_Winner]] = []  # of each conversation: two, the last one is the default routing
        self._won: dict[int, int] = {}
        self._by_value: dict[str, dict[Scalar | None, int]] = {name: {} for each in contexts for name in each}
        for number, context in enumerate(contexts):
            entries = islice(index.matching_entries(context), 2)
            self.winners.append([*map(self._winner, entries), _DEFAULT, _DEFAULT][:2])
            first = id(self.winners[-1][0].entry)
            self._won[first] = self._won.get(first, 0) | 1 << number
            for name, masks in self._by_value.items():
                masks[context.get(name)] = masks.get(context.get(name), 0) | 1 << number
        self._masks: dict[Condition | Opaque, int] = {}

    def _winner(self, entry: RoutingEntry) -> _Winner:
        return _Winner(evaluation_key(entry, self._evaluation), destination_of(entry.rule.targets), entry)

    def matched(self, conditions: Iterable[Condition | Opaque]) -> int:
        """Return the conversations that fulfil all conditions, as a mask; an unknown condition does not hold."""
        mask = self._all
        for part in conditions:
            if part not in self._masks:
                self._masks[part] = self._fulfilling(part) if isinstance(part, Condition) else 0
            mask &= self._masks[part]
        return mask

    def _fulfilling(self, part: Condition) -> int:
        masks = self._by_value.get(part.attribute, {None: self._all})
        if part.operator == "equals" and isinstance(part.value, Scalar):  # most conditions
            return masks.get(part.value, 0)
        return sum(mask for value, mask in masks.items() if holds(part, canonical_attributes({part.attribute: value})))

    def moved(self, edit: RuleEdit) -> int:
        """Return the conversations that an edit moves, as a mask."""
        return sum(1 << number for number, before, after in self.destinations(edit) if before != after)

    def destinations(self, edit: RuleEdit) -> Iterator[tuple[int, Destination, Destination]]:
        """Yield where the conversations go, before and after, of which the old or the new rule may take some."""
        taken = self.matched(edit.after.rule.conditions) if edit.after else 0
        edited = self._winner(edit.after) if edit.after else _DEFAULT
        for number in bits(taken | self._won.get(id(edit.before), 0)):
            first, second = self.winners[number]
            winner = second if first.entry is edit.before else first
            winner = edited if taken >> number & 1 and edited.key < winner.key else winner
            yield number, first.destination, winner.destination


def measure_adequacy(checked: Checked, sample: TrafficSample | None = None) -> Adequacy:
    """Return which edits of the valid rules of an environment move callers, and which of them are unnoticed."""
    assert checked.desired is not None  # noqa: S101 - invalid rules are an error of the command
    return _Measurement(checked, checked.desired).run(sample)


class _Measurement:
    def __init__(self, checked: Checked, desired: DesiredState) -> None:
        self.checked, self.endpoint, self.evaluation = checked, desired.endpoint, desired.evaluation
        self.index = RuleIndex(order_entries(desired_entries(desired), desired.evaluation))
        self.tests = self._table(result.context for result in checked.tried if result.failure is None)
        self.promises = [result.promise for result in checked.promises if result.facts.holds]
        ordered, confidence = self.index.ordered, checked.environment.attributes.confidence
        targets = [part for entry in ordered for part in entry.rule.targets]
        queues = sorted({part.queue_id for part in targets if isinstance(part, Target)})
        self.edits = [edit for entry in ordered for edit in list_edits(entry, queues, confidence)]
        edited = (edit.after for edit in self.edits if edit.after)
        self.search = SingleEdits(ordered, edited, self.promises, self.endpoint, self.evaluation)
        self.search.space.budget.remaining = WORK_PER_RULE * max(1_000, len(ordered))

    def run(self, sample: TrafficSample | None) -> Adequacy:
        edits = undecided = 0
        unnoticed, traffic = list[UnnoticedEdit](), self._traffic_by_rule(sample)
        for edit in chain(self.edits, self._edits_of_priorities()):
            try:
                moved = self._find_moved(edit, traffic)
                is_noticed = moved and (self.tests.moved(edit) or self._breaks_promise(edit))
            except UndecidedError:
                undecided += 1
                continue
            edits += moved is not None
            unnoticed += [moved] if moved and not is_noticed else []
        return Adequacy(
            checked=self.checked,
            index=self.index,
            edits=edits,
            unnoticed=tuple(sorted(unnoticed, key=lambda each: (-each.traffic, each.edit.before.name))),
            undecided=undecided,
        )

    def _edits_of_priorities(self) -> Iterator[RuleEdit]:
        sign = 1 if self.evaluation == "lowest-first" else -1
        for entry in self.index.ordered:
            for rival, step in zip(self.search.rivals(entry), (-sign, sign), strict=True):
                if rival is not None:
                    yield RuleEdit(entry, replace(entry, rule=replace(entry.rule, priority=rival.rule.priority + step)))

    def _find_moved(self, edit: RuleEdit, traffic: Mapping[str, float]) -> UnnoticedEdit | None:
        """Return the edit with an event that it moves, or None if it moves none. Raises UndecidedError."""
        example = self.search.find_moved(edit)
        if example is None:
            return None
        table = self._table([self.endpoint.context(example.attributes).attributes])
        for _, before, after in table.destinations(edit):
            if before != after:
                name = _name(table.winners[0][0].entry)
                return UnnoticedEdit(edit, example.attributes, before, after, traffic[name])
        if example.assumed:  # depends on the text of a number, which is not decided
            raise UndecidedError
        raise AssertionError(f"the example {example} is not moved by {edit}")

    def _breaks_promise(self, edit: RuleEdit) -> bool:
        return any(self.search.breaks(edit, promise) for promise in self.promises)

    def _traffic_by_rule(self, sample: TrafficSample | None) -> Mapping[str, float]:
        """Return the conversations of a sample that each rule may take; "" is the default routing."""
        counts, rules = defaultdict[str, float](float), RuleIndex(self.endpoint.pull_back(self.index.ordered))
        for row in convert_sample(self.endpoint.types, sample).rows if sample else ():
            for name in {_name(entry) for entry in rules.possible_winners(row.attributes)}:
                counts[name] += row.count
        return counts

    def _table(self, contexts: Iterable[Conversation]) -> ConversationTable:
        return ConversationTable(self.index, list(contexts), self.evaluation)


def _name(entry: RoutingEntry | None) -> str:
    return entry.whole.name if entry else ""


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


def count_unwatched(plan: Plan, tests: Sequence[RouteTestResult]) -> int | None:
    """Return the number of changed rules that no test and no promise watches; None without tests and promises."""
    # A test watches the rule that takes its conversation: it fails if the rule is removed or has another queue. It
    # watches a rule that takes no part any more if that rule, as it is live, matches its conversation. A promise
    # watches a rule if an event would break it without the rule.
    if not tests and not plan.desired.promises:
        return None
    passed = [result for result in tests if result.failure is None]
    table = ConversationTable(RuleIndex(()), [result.context for result in passed], plan.desired.evaluation)
    watched = {result.winner.address for result in passed if result.winner}

    def matches_test(change: Change) -> bool:
        after = plan.desired.rules.get(change.address)
        if isinstance(change, Create) or (after and after.rule.enabled) or not change.live.rule.enabled:
            return False
        return table.matched(change.live.rule.conditions) > 0

    changes = [change for change in plan.changes if not is_copy_removal(change) and change.address not in watched]
    unwatched = [change.address for change in changes if not matches_test(change)]
    return len(unwatched) - sum(map(unwatched.count, _watched_by_promises(plan.desired, set(unwatched))))


def _watched_by_promises(desired: DesiredState, addresses: Set[Address]) -> Iterator[Address]:
    """Yield the addresses of rules without which a promise would be broken, as far as the bound of work allows."""
    ordered = order_entries(desired_entries(desired), desired.evaluation)
    entries = [entry for entry in ordered if entry.address in addresses]
    promises = [stated.promise for stated in desired.promises if entries]
    search = SingleEdits(ordered if promises else (), (), promises, desired.endpoint, desired.evaluation)
    search.space.budget.remaining = WATCH_WORK
    for entry in entries if promises else ():
        with suppress(UndecidedError):
            if entry.address and any(search.breaks(RuleEdit(entry, None), promise) for promise in promises):
                yield entry.address


def candidate_tests(adequacy: Adequacy, resolver: OfflineQueueResolver) -> Iterator[Json]:
    """Yield a route test of each unnoticed edit, as in a manifest: an event of the bot, and its destination today."""
    aliases: dict[str, str] = {}
    for alias in resolver.aliases:
        with suppress(QueueError):  # the alias has no queue in this environment
            aliases.setdefault(resolver.resolve(alias).id, alias)
    names = adequacy.checked.environment.attributes
    for unnoticed in adequacy.unnoticed:
        yield {"given": _given(unnoticed.event, names), "expect": _expect(unnoticed.before, aliases)}


def _given(event: Conversation, names: BotAttributes) -> Json:
    fields: dict[str, Json] = {}
    attributes: dict[str, Json] = {}
    for name, value in event.items():
        if name == names.intent and isinstance(value, str):
            fields["intent"] = _literal(value)
        elif name == names.confidence and not isinstance(value, str) and 0 <= value <= 1:
            fields["confidence"] = value
        else:
            attributes[_literal(name)] = _literal(value) if isinstance(value, str) else value
    return {**dict(sorted(fields.items(), reverse=True)), **({"attributes": attributes} if attributes else {})}


def _literal(text: str) -> str:
    return text.replace("$", "$$")  # a dollar begins a variable


def _expect(destination: Destination, aliases: Mapping[str, str]) -> Json:
    if destination is None:
        return {"default": True}
    total = lcm(100, *(share.denominator for _, share in destination))  # percent if they are exact
    split = {_literal(aliases.get(queue, queue)): int(share * total) for queue, share in destination}
    return {"split": split} if len(split) > 1 else {"queue": next(iter(split))}


def find_noticed(adequacies: Sequence[Adequacy], results: Sequence[Sequence[RouteTestResult]]) -> dict[int, int]:
    """Return the edits, as a mask, that each test notices, by its number, if it passes in all environments."""
    # `results` are of all tests, in the environments of `adequacies` and then in further ones.
    passed = [at for at, alike in enumerate(zip(*results, strict=True)) if not any(each.failure for each in alike)]
    masks, edits = dict.fromkeys(passed, 0), 0
    for adequacy, tried in zip(adequacies, results, strict=False):
        evaluation = adequacy.checked.environment.api.evaluation
        table = ConversationTable(adequacy.index, [result.context for result in tried], evaluation)
        for unnoticed in adequacy.unnoticed:
            for at in masks.keys() & bits(table.moved(unnoticed.edit)):
                masks[at] |= 1 << edits
            edits += 1
    return masks


def without_noticed(adequacies: Sequence[Adequacy], mask: int) -> list[Adequacy]:
    """Return the adequacies without the edits of a mask from `find_noticed`."""
    edits = count()
    return [
        replace(each, unnoticed=tuple(unnoticed for unnoticed in each.unnoticed if not mask >> next(edits) & 1))
        for each in adequacies
    ]


def choose_tests(noticed: Mapping[int, int], sizes: Sequence[int]) -> list[int]:
    """Return the fewest tests that notice all edits that any test notices; `sizes` are their numbers of attributes."""
    # Each time the test that notices most further edits, and of these the shortest, which readers understand first.
    missing, chosen = union(noticed.values()), list[int]()
    while missing:
        chosen.append(max(noticed, key=lambda at: ((noticed[at] & missing).bit_count(), -sizes[at], -at)))
        missing &= ~noticed[chosen[-1]]
    counts = Counter(edit for at in chosen for edit in bits(noticed[at]))
    for at in list(chosen):
        if all(counts[edit] > 1 for edit in bits(noticed[at])):
            chosen.remove(at)
            counts.subtract(bits(noticed[at]))
    return sorted(chosen)


def union(masks: Iterable[int]) -> int:
    """Return the edits of all masks."""
    return reduce(or_, masks, 0)
