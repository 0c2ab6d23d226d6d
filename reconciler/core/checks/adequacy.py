"""Single edits of an environment's rules that move callers, and which of them no route test and no
promise notices.

A test notices an edit if it passes now and fails on the edited rules. An edit concerns only
conversations that the old or the new rule matches, so the tests are not run again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice, starmap
from math import inf, lcm
from typing import Final, NamedTuple

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.diff.promises import RuleEdit, SingleEdits
from reconciler.core.behaviour.endpoint_stage import Conditions, EndpointStage
from reconciler.core.behaviour.evaluate import Conversation, RuleIndex, holds
from reconciler.core.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of,
    destination_of_rule,
    evaluation_key,
    order_entries,
)
from reconciler.core.behaviour.space.patterns import bits, union
from reconciler.core.behaviour.space.space import NOT_SENT
from reconciler.core.checks.route_tests import Checked, CheckResult, RouteTestResult
from reconciler.core.desired.desired import DesiredState
from reconciler.core.desired.queues import OfflineQueueResolver, QueueError
from reconciler.core.desired.substitution import SHARE
from reconciler.core.manifest.kinds.environment import BotAttributes
from reconciler.core.model.change import is_copy_removal
from reconciler.core.model.operators import RANGES
from reconciler.core.model.rule import (
    Condition,
    Json,
    Opaque,
    Target,
    make_condition,
    normalized_conditions,
)
from reconciler.core.plan.promises import PromiseResult
from reconciler.core.plan.routing_table import desired_entries
from reconciler.core.plan.schedule import build_transition
from reconciler.core.plan.stages import Changes, WatchCounts
from reconciler.core.plan.traffic_shares import convert_sample
from reconciler.core.traffic.sample import TrafficSample

CONFIDENCE_STEP: Final = 0.05
# comparisons for each rule, of 1,000 at least: 1,000 rules take at most ten seconds
WORK_PER_RULE: Final = 9_000
# comparisons of all questions of a plan to promises: about two seconds
WATCH_WORK: Final = 3_000_000
_DIGITS: Final = 6  # of a moved bound


class UnnoticedEdit(NamedTuple):
    """An edit that moves an event, which no test and no promise notices."""

    edit: RuleEdit
    event: Conversation
    before: Destination
    after: Destination
    # conversations of the traffic sample that the rule may take that takes the event today
    traffic: float


class Adequacy(NamedTuple):
    """The number of edits that move callers, and the unnoticed ones of them, the highest traffic
    first.
    """

    checked: Checked
    rules: RuleIndex
    edits: int
    unnoticed: Sequence[UnnoticedEdit]
    # edits of which it is not known whether they move callers unnoticed: `edits` does not count
    # them
    undecided: int


class _Winner(NamedTuple):
    key: tuple[float, str, str]
    destination: Destination
    entry: RoutingEntry | None


_DEFAULT: Final = _Winner((inf, "", ""), None, None)


class ConversationTable:
    """What rules read in some conversations, and the first two rules of a list that match each."""

    def __init__(
        self,
        index: RuleIndex,
        contexts: Sequence[Conversation],
        evaluation: Evaluation,
    ) -> None:
        self._contexts = contexts
        self._evaluation = evaluation
        # by condition, the conversations that fulfil it
        self._fulfilling: dict[object, int] = {}
        self._won: dict[int, int] = {}  # by rule, the conversations that it takes
        # of each conversation, and the next rule
        self.winners: list[Sequence[_Winner]] = []
        for number, context in enumerate(contexts):
            entries = islice(index.matching_entries(context), 2)
            winners = [*map(self._winner, entries), _DEFAULT, _DEFAULT][:2]
            first = id(winners[0].entry)
            self._won[first] = self._won.get(first, 0) | 1 << number
            self.winners.append(winners)

    def _winner(self, entry: RoutingEntry) -> _Winner:
        key = evaluation_key(entry, self._evaluation)
        return _Winner(key, destination_of_rule(entry), entry)

    def matched(self, conditions: Conditions) -> int:
        """Return the conversations that fulfil all conditions, as a mask; an unknown condition does
        not hold.
        """
        mask = (1 << len(self._contexts)) - 1
        for part in conditions:
            if part not in self._fulfilling:
                self._fulfilling[part] = self._fulfilling_contexts(part)
            mask &= self._fulfilling[part]
        return mask

    def _fulfilling_contexts(self, part: Condition | Opaque) -> int:
        """Return the conversations that fulfil a condition, as a mask."""
        if not isinstance(part, Condition):
            return 0
        mask = 0
        for number, context in enumerate(self._contexts):
            if holds(part, context):
                mask |= 1 << number
        return mask

    def is_taken_by(self, rule: tuple[RoutingEntry, RoutingEntry]) -> bool:
        """Return whether a version of a rule takes one of the conversations; the first is the rule
        of the list.
        """
        entry, version = rule
        key = evaluation_key(version, self._evaluation)
        for number in bits(self.matched(version.rule.conditions)):
            first, second = self.winners[number]
            rival = second if first.entry is entry else first
            if key < rival.key:
                return True
        return False

    def moved(self, edit: RuleEdit) -> int:
        """Return the conversations that an edit moves, as a mask."""
        moved = 0
        matched = 0
        edited = _DEFAULT
        if edit.after:
            matched = self.matched(edit.after.rule.conditions)
            edited = self._winner(edit.after)
        for number in bits(matched | self._won.get(id(edit.before), 0)):
            first, second = self.winners[number]
            winner = second if first.entry is edit.before else first
            if matched >> number & 1 and edited.key < winner.key:
                winner = edited
            if winner.destination != first.destination:
                moved |= 1 << number
        return moved


def measure_adequacy(checked: Checked, sample: TrafficSample | None = None) -> Adequacy:
    """Return which edits of the valid rules of an environment move callers, and which of them are
    unnoticed.
    """
    assert checked.desired is not None  # noqa: S101 - invalid rules are an error of the command
    return _Measurement(checked, checked.desired, sample).run()


class _Measurement:
    def __init__(
        self,
        checked: Checked,
        desired: DesiredState,
        sample: TrafficSample | None,
    ) -> None:
        self.checked = checked
        self.endpoint = desired.endpoint
        self.evaluation = desired.evaluation
        ordered = order_entries(desired_entries(desired), desired.evaluation)
        self.index = RuleIndex(ordered)
        contexts = [
            result.context
            for result in checked.tried
            if isinstance(result, RouteTestResult)
            and not (result.failure or result.is_of_another_time)
        ]
        self.tests = ConversationTable(self.index, contexts, self.evaluation)
        events = RuleIndex(self.endpoint.pull_back(ordered))
        self.traffic = _traffic_by_rule(events, self.endpoint, sample)

        confidence = checked.environment.attributes.confidence
        self.edits = list(list_edits(ordered, _list_queues(desired), confidence))
        self.search = self._search_edits()
        self.edits += self._list_priority_edits()

    def _search_edits(self) -> SingleEdits:
        """Return the search for conversations that the edits move, with its work bounded."""
        ordered = self.index.ordered
        promises = [
            result.promise
            for result in self.checked.tried
            if isinstance(result, PromiseResult) and result.facts.holds
        ]
        edited = (edit.after for edit in self.edits if edit.after)
        search = SingleEdits(ordered, edited, promises, self.endpoint, self.evaluation)
        search.space.budget.remaining = WORK_PER_RULE * max(1_000, len(ordered))
        return search

    def _list_priority_edits(self) -> Iterator[RuleEdit]:
        """Yield edits that move each rule to the other side of a rival."""
        sign = 1 if self.evaluation == "lowest-first" else -1
        for entry in self.index.ordered:
            for side, rival in self.search.rivals(entry):
                priority = rival + sign * side
                if -(2**31) <= priority < 2**31:
                    rule = replace(entry.rule, priority=priority)
                    yield RuleEdit(entry, replace(entry, rule=rule))

    def run(self) -> Adequacy:
        edits = 0
        undecided = 0
        unnoticed: list[UnnoticedEdit] = []
        for edit in self.edits:
            try:
                moved = self._find_moved(edit)
                is_unnoticed = (
                    moved
                    and not self.tests.moved(edit)
                    and not self.search.breaks_promise(edit)
                )
            except UndecidedError:
                undecided += 1
                continue
            if moved is not None:
                edits += 1
                if is_unnoticed:
                    unnoticed.append(moved)
        unnoticed.sort(key=lambda edit: (-edit.traffic, edit.edit.before.name))
        return Adequacy(self.checked, self.index, edits, unnoticed, undecided)

    def _find_moved(self, edit: RuleEdit) -> UnnoticedEdit | None:
        """Return the edit with an event that it moves, or None if it moves none.

        Raises UndecidedError.
        """
        move = self.search.find_moved(edit)
        if move is None:
            return None
        example, (before, rule), (after, _) = move
        if example.reason == NOT_SENT:
            return None
        if example.reason:
            raise UndecidedError
        context = self.endpoint.context(example.attributes).attributes
        if ConversationTable(self.index, [context], self.evaluation).moved(edit):
            traffic = self.traffic[_name(rule)]
            return UnnoticedEdit(edit, example.attributes, before, after, traffic)
        if example.assumed:  # depends on the text of a number, which is not decided
            raise UndecidedError
        raise AssertionError(f"the example {example} is not moved by {edit}")


def _list_queues(desired: DesiredState) -> list[str]:
    """Return the queues of all rules, sorted."""
    rules = desired.rules.values()
    targets = chain.from_iterable(rule.rule.targets for rule in rules)
    return sorted({part.queue_id for part in targets if isinstance(part, Target)})


def _traffic_by_rule(
    index: RuleIndex,
    endpoint: EndpointStage,
    sample: TrafficSample | None,
) -> dict[str, float]:
    """Return the conversations of a sample that each rule may take, by its name; "" is the default
    routing.
    """
    counts = defaultdict[str, float](float)
    if sample is None:
        return counts
    for row in convert_sample(endpoint.types, sample).rows:
        for name in set(map(_name, index.possible_winners(row.attributes))):
            counts[name] += row.count
    return counts


def _name(entry: RoutingEntry | None) -> str:
    return entry.whole.name if entry else ""


def list_edits(
    ordered: Sequence[RoutingEntry],
    queues: Iterable[str],
    confidence: str,
) -> Iterator[RuleEdit]:
    """Yield the single edits of each rule except those of its priority: no rule, another queue,
    other conditions.
    """
    single_targets = [(Target(queue, 1),) for queue in queues]
    for entry in ordered:
        rule = entry.rule
        edited = []
        destination = destination_of(rule.targets)
        for targets in single_targets:
            if destination_of(targets) != destination:
                edited.append(replace(rule, targets=targets))
                break
        edited += [
            replace(rule, conditions=normalized_conditions(parts))
            for parts in _edit_conditions(rule.conditions, confidence)
        ]
        yield RuleEdit(entry, None)
        for version in dict.fromkeys(edited):
            if version != rule:
                yield RuleEdit(entry, replace(entry, rule=version))


def _edit_conditions(conditions: Conditions, confidence: str) -> Iterator[Conditions]:
    """Yield the conditions without each, and with each bound of the confidence moved up and down,
    within 0 to 1.
    """
    for part in conditions:
        rest = [condition for condition in conditions if condition is not part]
        yield rest
        if isinstance(part, Condition) and part.attribute == confidence:
            for moved in _move_bounds(part):
                yield [*rest, moved]


def _move_bounds(condition: Condition) -> Iterator[Condition]:
    """Yield a condition with each bound from 0 to 1 moved up and down."""
    if condition.operator not in RANGES:
        return
    ends = condition.values
    for index, end in enumerate(ends):
        if not isinstance(end, int | float) or not 0 <= end <= 1:
            continue
        for step in (CONFIDENCE_STEP, -CONFIDENCE_STEP):
            bound = round(min(max(end + step, 0), 1), _DIGITS)
            moved = [*ends[:index], bound, *ends[index + 1 :]]
            value = moved if len(moved) > 1 else bound
            yield make_condition(condition.attribute, condition.operator, value)


def count_unwatched(plan: Changes, tests: Sequence[CheckResult]) -> WatchCounts | None:
    """Return how many changed rules no test and no promise watches; None without tests and
    promises.
    """
    # A test watches a rule that takes its conversation after the change, or that took it before:
    # the test may fail because of the change. A promise watches a rule that takes an event which
    # breaks the promise with it or without it, after the change or before.
    desired = plan.desired
    if not tests and not desired.promises:
        return None
    entries = order_entries(desired_entries(desired), desired.evaluation)
    contexts = [
        result.context
        for result in tests
        if isinstance(result, RouteTestResult)
        and result.is_read
        and not result.is_of_another_time
    ]
    table = ConversationTable(RuleIndex(list(entries)), contexts, desired.evaluation)
    unwatched = [
        rule
        for rule in _changed_rules(plan, entries)
        if not any(map(table.is_taken_by, rule.versions))
    ]
    if not unwatched or not desired.promises:
        return WatchCounts(len(unwatched), 0)
    return _count_unpromised(desired, entries, unwatched)


def _count_unpromised(
    desired: DesiredState,
    entries: Sequence[RoutingEntry],
    changed: Sequence["_ChangedRule"],
) -> WatchCounts:
    """Return how many of the changed rules no promise watches."""
    promises = [stated.promise for stated in desired.promises]
    before = [rule.before for rule in changed if rule.before]
    search = SingleEdits(
        entries,
        before,
        promises,
        desired.endpoint,
        desired.evaluation,
    )
    counts = Counter[bool | None]()
    for rule in search.space.budget.share(changed, WATCH_WORK):
        counts[_is_promised(search, rule)] += 1
    return WatchCounts(counts[False], counts[None])


class _ChangedRule(NamedTuple):
    """A rule before and after its change; None where it takes no part in routing."""

    before: RoutingEntry | None
    after: RoutingEntry | None

    @property
    def versions(self) -> Iterator[tuple[RoutingEntry, RoutingEntry]]:
        """Yield the rule of the list, and the version in its place: each version that takes part in
        routing.
        """
        for version in filter(None, self):
            yield self.after or version, version


def _changed_rules(
    plan: Changes, entries: Iterable[RoutingEntry]
) -> list[_ChangedRule]:
    """Return the rules that a plan changes, with their versions among the entries after it."""
    after = {entry.address: entry for entry in entries}
    rules = []
    moves = build_transition(plan).moves
    for change, move in zip(plan.changes, moves, strict=True):
        if is_copy_removal(change):
            continue
        before = move.before
        if before and not before.rule.enabled:
            before = None
        rules.append(_ChangedRule(before, after.get(change.address)))
    return rules


def _is_promised(search: SingleEdits, rule: _ChangedRule) -> bool | None:
    """Return whether a promise watches a rule; None if the bound of work leaves that open."""
    try:
        return any(starmap(search.concerns_promise, rule.versions))
    except UndecidedError:
        return None


def candidate_tests(
    adequacy: Adequacy, resolver: OfflineQueueResolver
) -> Iterator[Json]:
    """Yield a route test of each unnoticed edit, as in a manifest: an event of the bot, and its
    destination today.
    """
    aliases: dict[str, str] = {}
    for alias in resolver.aliases:
        with suppress(QueueError):  # the alias has no queue in this environment
            aliases.setdefault(resolver.resolve(alias).id, alias)
    names = adequacy.checked.environment.attributes
    for unnoticed in adequacy.unnoticed:
        yield {
            "given": _given(unnoticed.event, names),
            "expect": _expect(unnoticed.before, aliases),
        }


def _given(event: Conversation, names: BotAttributes) -> Json:
    attributes = {
        _literal(name): _literal(value) if isinstance(value, str) else value
        for name, value in event.items()
    }
    given: dict[str, Json] = {}
    if isinstance(event.get(names.intent), str):
        given["intent"] = attributes.pop(_literal(names.intent))
    if SHARE.accepts(event.get(names.confidence)):
        given["confidence"] = attributes.pop(_literal(names.confidence))
    if attributes:
        given["attributes"] = attributes
    return given


def _literal(text: str) -> str:
    return text.replace("$", "$$")  # a dollar begins a variable


def _expect(destination: Destination, aliases: Mapping[str, str]) -> Json:
    if destination is None:
        return {"default": True}
    # percent if they are exact
    total = lcm(100, *(share.denominator for _, share in destination))
    split = {
        _literal(aliases.get(queue, queue)): int(share * total)
        for queue, share in destination
    }
    if len(split) > 1:
        return {"split": split}
    (queue,) = split
    return {"queue": queue}


def choose_tests(
    adequacies: Sequence[Adequacy], results: Sequence[Sequence[RouteTestResult]]
) -> list[int]:
    """Return the fewest tests that notice all edits that any test notices, by their numbers."""
    # `results` are of all tests, in the environments of `adequacies` and then in further ones: a
    # test must pass in all.
    masks: dict[int, int] = {}  # the edits that each test notices
    for number, of_test in enumerate(zip(*results, strict=True)):
        if not any(result.failure for result in of_test):
            masks[number] = 0
    edits = 0
    for adequacy, tried in zip(adequacies, results, strict=False):
        evaluation = adequacy.checked.environment.api.evaluation
        contexts = [result.context for result in tried]
        table = ConversationTable(adequacy.rules, contexts, evaluation)
        for unnoticed in adequacy.unnoticed:
            for number in masks.keys() & bits(table.moved(unnoticed.edit)):
                masks[number] |= 1 << edits
            edits += 1
    return choose_masks(masks)


def choose_masks(masks: Mapping[int, int]) -> list[int]:
    """Return the keys of few masks that have the bits of all masks; each of them has a bit that no
    other has.
    """
    missing = union(masks.values())
    chosen = list[int]()
    while missing:
        best = max(masks, key=lambda key: (masks[key] & missing).bit_count())
        chosen.append(best)
        missing &= ~masks[best]

    counts = Counter[int]()
    for key in chosen:
        counts.update(bits(masks[key]))
    for key in list(chosen):
        if all(counts[bit] > 1 for bit in bits(masks[key])):
            chosen.remove(key)
            counts.subtract(bits(masks[key]))
    return sorted(chosen)
