"""Single edits of an environment's rules that move callers, and which of them no route test and no
promise notices.

A test notices an edit if it passes now and fails on the edited rules. An edit concerns only
conversations that the old or the new rule matches, so the tests are not run again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice, product, starmap
from math import inf, lcm
from typing import Final, NamedTuple

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.diff.promises import RuleEdit, SingleEdits
from reconciler.behaviour.endpoint_stage import Conditions, EndpointStage
from reconciler.behaviour.evaluate import Conversation, RuleIndex, holds
from reconciler.behaviour.routing_entry import (
    Destination,
    Evaluation,
    RoutingEntry,
    destination_of,
    destination_of_rule,
    evaluation_key,
    order_entries,
)
from reconciler.behaviour.space.patterns import bits, union
from reconciler.checks.route_tests import Checked, CheckResult, RouteTestResult
from reconciler.desired.desired import DesiredState
from reconciler.desired.queues import OfflineQueueResolver, QueueError
from reconciler.desired.substitution import SHARE
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.model.change import is_copy_removal
from reconciler.model.operators import RANGES
from reconciler.model.rule import (
    Condition,
    Json,
    Target,
    make_condition,
    normalized_conditions,
)
from reconciler.plan.plan import Plan, WatchCounts
from reconciler.plan.promises import PromiseResult
from reconciler.plan.routing_table import desired_entries
from reconciler.plan.schedule import build_transition
from reconciler.plan.traffic_shares import convert_sample
from reconciler.traffic.sample import TrafficSample

CONFIDENCE_STEP: Final = 0.05
# comparisons for each rule, of 1,000 at least: 1,000 rules take at most ten seconds
WORK_PER_RULE: Final = 9_000
WATCH_WORK: Final = (
    3_000_000  # comparisons of all questions of a plan to promises: about two seconds
)
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
        self, index: RuleIndex, contexts: Sequence[Conversation], evaluation: Evaluation
    ) -> None:
        self._contexts = contexts
        self._evaluation = evaluation
        self._fulfilling: dict[
            object, int
        ] = {}  # by condition, the conversations that fulfil it
        self._won: dict[int, int] = {}  # by rule, the conversations that it takes
        self.winners: list[
            Sequence[_Winner]
        ] = []  # of each conversation, and the next rule
        for number, context in enumerate(contexts):
            entries = islice(index.matching_entries(context), 2)
            winners = [*map(self._winner, entries), _DEFAULT, _DEFAULT][:2]
            self._won[id(winners[0].entry)] = (
                self._won.get(id(winners[0].entry), 0) | 1 << number
            )
            self.winners.append(winners)

    def _winner(self, entry: RoutingEntry) -> _Winner:
        return _Winner(
            evaluation_key(entry, self._evaluation), destination_of_rule(entry), entry
        )

    def matched(self, conditions: Conditions) -> int:
        """Return the conversations that fulfil all conditions, as a mask; an unknown condition does
        not hold.
        """
        mask = (1 << len(self._contexts)) - 1
        for part in conditions:
            if part not in self._fulfilling:
                fulfils = [
                    isinstance(part, Condition) and holds(part, context)
                    for context in self._contexts
                ]
                self._fulfilling[part] = sum(
                    1 << number for number, fulfilled in enumerate(fulfils) if fulfilled
                )
            mask &= self._fulfilling[part]
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
        taken = self.matched(edit.after.rule.conditions) if edit.after else 0
        edited = self._winner(edit.after) if edit.after else _DEFAULT
        for number in bits(taken | self._won.get(id(edit.before), 0)):
            first, second = self.winners[number]
            winner = second if first.entry is edit.before else first
            winner = (
                edited if taken >> number & 1 and edited.key < winner.key else winner
            )
            moved |= (winner.destination != first.destination) << number
        return moved


def measure_adequacy(checked: Checked, sample: TrafficSample | None = None) -> Adequacy:
    """Return which edits of the valid rules of an environment move callers, and which of them are
    unnoticed.
    """
    assert checked.desired is not None  # noqa: S101 - invalid rules are an error of the command
    return _Measurement(checked, checked.desired, sample).run()


class _Measurement:
    def __init__(
        self, checked: Checked, desired: DesiredState, sample: TrafficSample | None
    ) -> None:
        self.checked = checked
        self.endpoint = desired.endpoint
        self.evaluation = desired.evaluation
        self.index = RuleIndex(
            order_entries(desired_entries(desired), desired.evaluation)
        )
        tests = (
            result
            for result in checked.tried
            if isinstance(result, RouteTestResult) and not result.failure
        )
        self.tests = ConversationTable(
            self.index, [result.context for result in tests], self.evaluation
        )
        self.traffic = _traffic_by_rule(
            RuleIndex(self.endpoint.pull_back(self.index.ordered)),
            self.endpoint,
            sample,
        )
        targets = (
            part for rule in desired.rules.values() for part in rule.rule.targets
        )
        queues = sorted({part.queue_id for part in targets if isinstance(part, Target)})
        self.edits = list(
            list_edits(
                self.index.ordered, queues, checked.environment.attributes.confidence
            )
        )
        results = (
            result for result in checked.tried if isinstance(result, PromiseResult)
        )
        promises = [result.promise for result in results if result.facts.holds]
        edited = (edit.after for edit in self.edits if edit.after)
        self.search = SingleEdits(
            self.index.ordered, edited, promises, self.endpoint, self.evaluation
        )
        self.search.space.budget.remaining = WORK_PER_RULE * max(
            1_000, len(self.index.ordered)
        )
        sign = 1 if self.evaluation == "lowest-first" else -1
        for entry in self.index.ordered:
            levels = (rival + sign * side for side, rival in self.search.rivals(entry))
            rules = (
                replace(entry.rule, priority=at)
                for at in levels
                if -(2**31) <= at < 2**31
            )
            self.edits += [RuleEdit(entry, replace(entry, rule=rule)) for rule in rules]

    def run(self) -> Adequacy:
        edits = undecided = 0
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
            edits += moved is not None
            unnoticed += [moved] if moved and is_unnoticed else []
        unnoticed.sort(key=lambda each: (-each.traffic, each.edit.before.name))
        return Adequacy(self.checked, self.index, edits, unnoticed, undecided)

    def _find_moved(self, edit: RuleEdit) -> UnnoticedEdit | None:
        """Return the edit with an event that it moves, or None if it moves none.

        Raises UndecidedError.
        """
        move = self.search.find_moved(edit)
        if move is None:
            return None
        example, (before, rule), (after, _) = move
        context = self.endpoint.context(example.attributes).attributes
        if ConversationTable(self.index, [context], self.evaluation).moved(edit):
            return UnnoticedEdit(
                edit, example.attributes, before, after, self.traffic[_name(rule)]
            )
        if example.assumed:  # depends on the text of a number, which is not decided
            raise UndecidedError
        raise AssertionError(f"the example {example} is not moved by {edit}")


def _traffic_by_rule(
    index: RuleIndex, endpoint: EndpointStage, sample: TrafficSample | None
) -> dict[str, float]:
    """Return the conversations of a sample that each rule may take, by its name; "" is the default
    routing.
    """
    counts = defaultdict[str, float](float)
    for row in convert_sample(endpoint.types, sample).rows if sample else ():
        for name in set(map(_name, index.possible_winners(row.attributes))):
            counts[name] += row.count
    return counts


def _name(entry: RoutingEntry | None) -> str:
    return entry.whole.name if entry else ""


def list_edits(
    ordered: Sequence[RoutingEntry], queues: Iterable[str], confidence: str
) -> Iterator[RuleEdit]:
    """Yield the single edits of each rule except those of its priority: no rule, another queue,
    other conditions.
    """
    places = [(Target(queue, 1),) for queue in queues]
    for entry in ordered:
        rule = entry.rule
        others = (
            each
            for each in places
            if destination_of(each) != destination_of(rule.targets)
        )
        edited = [replace(rule, targets=each) for each in islice(others, 1)]
        changed = _edit_conditions(rule.conditions, confidence)
        edited += (
            replace(rule, conditions=normalized_conditions(parts)) for parts in changed
        )
        yield RuleEdit(entry, None)
        yield from (
            RuleEdit(entry, replace(entry, rule=new))
            for new in dict.fromkeys(edited)
            if new != rule
        )


def _edit_conditions(conditions: Conditions, confidence: str) -> Iterator[Conditions]:
    """Yield the conditions without each, and with each bound of the confidence moved up and down,
    within 0 to 1.
    """
    for part in conditions:
        rest = [other for other in conditions if other is not part]
        yield rest
        if (
            not isinstance(part, Condition)
            or part.attribute != confidence
            or part.operator not in RANGES
        ):
            continue
        ends = part.values
        inside = [
            (at, end)
            for at, end in enumerate(ends)
            if isinstance(end, int | float) and 0 <= end <= 1
        ]
        for (at, end), step in product(inside, (CONFIDENCE_STEP, -CONFIDENCE_STEP)):
            moved = [
                *ends[:at],
                round(min(max(end + step, 0), 1), _DIGITS),
                *ends[at + 1 :],
            ]
            yield [
                *rest,
                make_condition(
                    part.attribute, part.operator, moved if len(moved) > 1 else moved[0]
                ),
            ]


def count_unwatched(plan: Plan, tests: Sequence[CheckResult]) -> WatchCounts | None:
    """Return how many changed rules no test and no promise watches; None without tests and
    promises.
    """
    # A test watches a rule that takes its conversation after the change, or that took it before:
    # the test may fail because of the change. A promise watches a rule that takes an event which
    # breaks the promise with it or without it, after the change or before.
    desired = plan.desired
    if not tests and not desired.promises:
        return None
    after = {
        entry.address: entry
        for entry in order_entries(desired_entries(desired), desired.evaluation)
    }
    moves = zip(plan.changes, build_transition(plan).moves, strict=True)
    changed = [
        _ChangedRule(
            move.before if move.before and move.before.rule.enabled else None,
            after.get(change.address),
        )
        for change, move in moves
        if not is_copy_removal(change)
    ]

    contexts = [
        result.context
        for result in tests
        if isinstance(result, RouteTestResult) and result.is_read
    ]
    table = ConversationTable(
        RuleIndex(list(after.values())), contexts, desired.evaluation
    )
    unwatched = [
        rule for rule in changed if not any(map(table.is_taken_by, rule.versions))
    ]

    promises = [stated.promise for stated in desired.promises if unwatched]
    entries = list(after.values()) if promises else []
    before = [rule.before for rule in unwatched if rule.before and promises]
    search = SingleEdits(
        entries, before, promises, desired.endpoint, desired.evaluation
    )
    counts = Counter[bool | None]()
    for rule in search.space.budget.share(unwatched, WATCH_WORK):
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
    fields: dict[str, Json] = {}
    if isinstance(event.get(names.intent), str):
        fields["intent"] = attributes.pop(_literal(names.intent))
    if SHARE.accepts(event.get(names.confidence)):
        fields["confidence"] = attributes.pop(_literal(names.confidence))
    return {**fields, **({"attributes": attributes} if attributes else {})}


def _literal(text: str) -> str:
    return text.replace("$", "$$")  # a dollar begins a variable


def _expect(destination: Destination, aliases: Mapping[str, str]) -> Json:
    if destination is None:
        return {"default": True}
    total = lcm(
        100, *(share.denominator for _, share in destination)
    )  # percent if they are exact
    split = {
        _literal(aliases.get(queue, queue)): int(share * total)
        for queue, share in destination
    }
    return {"split": split} if len(split) > 1 else {"queue": next(iter(split))}


def choose_tests(
    adequacies: Sequence[Adequacy], results: Sequence[Sequence[RouteTestResult]]
) -> list[int]:
    """Return the fewest tests that notice all edits that any test notices, by their numbers."""
    # `results` are of all tests, in the environments of `adequacies` and then in further ones: a
    # test must pass in all.
    passed = [
        at
        for at, alike in enumerate(zip(*results, strict=True))
        if not any(each.failure for each in alike)
    ]
    masks = dict.fromkeys(passed, 0)
    edits = 0
    for adequacy, tried in zip(adequacies, results, strict=False):
        evaluation = adequacy.checked.environment.api.evaluation
        table = ConversationTable(
            adequacy.rules, [result.context for result in tried], evaluation
        )
        for unnoticed in adequacy.unnoticed:
            for at in masks.keys() & bits(table.moved(unnoticed.edit)):
                masks[at] |= 1 << edits
            edits += 1
    return choose_masks(masks)


def choose_masks(masks: Mapping[int, int]) -> list[int]:
    """Return the keys of few masks that have the bits of all masks; each of them has a bit that no
    other has.
    """
    missing = union(masks.values())
    chosen = list[int]()
    while missing:
        chosen.append(max(masks, key=lambda at: (masks[at] & missing).bit_count()))
        missing &= ~masks[chosen[-1]]
    counts = Counter(bit for at in chosen for bit in bits(masks[at]))
    for at in list(chosen):
        if all(counts[bit] > 1 for bit in bits(masks[at])):
            chosen.remove(at)
            counts.subtract(bits(masks[at]))
    return sorted(chosen)
