"""Unnoticed edits -> the fewest route tests that notice them: one for each example, then a greedy choice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from heapq import heapify, heappop, heappush
from operator import or_
from typing import NamedTuple

from reconciler.behaviour.evaluate import Conversation
from reconciler.behaviour.routing_entry import destination_of
from reconciler.behaviour.space.patterns import bits
from reconciler.checks.adequacy import Adequacy, UnnoticedEdit
from reconciler.checks.route_tests import RouteTestResult
from reconciler.desired.queues import OfflineQueueResolver, QueueError
from reconciler.manifest.kinds.environment import Attributes
from reconciler.model.rule import CANONICAL_JSON, Json, Target


class ChosenTests(NamedTuple):
    """The numbers of chosen tests, and how many edits they notice."""

    numbers: list[int]
    noticed: int


def candidate_tests(adequacy: Adequacy, resolver: OfflineQueueResolver) -> Iterator[Json]:
    """Yield a route test of each unnoticed edit, as in a manifest: the bot's event, and its destination today."""
    aliases: dict[str, str] = {}
    for alias in resolver.aliases:
        with suppress(QueueError):  # the alias has no queue in this environment
            aliases.setdefault(resolver.resolve(alias).id, alias)
    for unnoticed in adequacy.unnoticed:
        expect = _expectation(adequacy, unnoticed, aliases)
        if expect is not None:
            yield {"given": _given(unnoticed.event, adequacy.checked.environment.attributes), "expect": expect}


def distinct_tests(tests: Sequence[Json]) -> list[Json]:
    """Return each test once."""
    return list({CANONICAL_JSON.encode(test): test for test in tests}.values())


def _given(event: Conversation, names: Attributes) -> Json:
    given: dict[str, Json] = {}
    attributes: dict[str, Json] = {}
    for name, value in event.items():
        if name == names.intent and isinstance(value, str):
            given["intent"] = _literal(value)
        elif name == names.confidence and not isinstance(value, str) and 0 <= value <= 1:
            given["confidence"] = value
        else:
            attributes[_literal(name)] = _literal(value) if isinstance(value, str) else value
    ordered = {name: given[name] for name in ("intent", "confidence") if name in given}
    return {**ordered, "attributes": attributes} if attributes else ordered


def _literal(text: str) -> str:
    return text.replace("$", "$$")  # a dollar begins a variable


def _expectation(adequacy: Adequacy, unnoticed: UnnoticedEdit, aliases: Mapping[str, str]) -> Json | None:
    """Return today's destination by aliases of queues; None if a route test cannot express it."""
    if unnoticed.before is None:
        return {"default": True}
    winner = adequacy.index.find_winner(adequacy.desired.endpoint.context(unnoticed.event).attributes)
    weights: dict[str, int | float] = {}
    for target in winner.rule.targets if winner else ():
        if not isinstance(target, Target) or target.queue_id in weights:
            return None
        weights[target.queue_id] = target.weight
    if len(unnoticed.before) == 1:
        return {"queue": _literal(aliases.get(unnoticed.before[0][0], unnoticed.before[0][0]))}
    names = {_literal(aliases.get(queue, queue)): weight for queue, weight in weights.items()}
    same = destination_of([Target(queue, weight) for queue, weight in weights.items()]) == unnoticed.before
    return {"split": names} if names and same else None


def choose_tests(adequacies: Sequence[Adequacy], results: Sequence[Sequence[RouteTestResult]]) -> ChosenTests:
    """Return the tests to add, none of which the others make redundant."""
    # `results` are of all tests, in the environments of `adequacies` and then in further ones. A test is added only if
    # it passes in all of them.
    passed = [at for at, alike in enumerate(zip(*results, strict=True)) if not any(each.failure for each in alike)]
    masks = dict.fromkeys(passed, 0)  # the edits that each test notices
    number = 0
    for adequacy, tried in zip(adequacies, results, strict=False):
        table = adequacy.table([result.context for result in tried])
        for unnoticed in adequacy.unnoticed:
            for at in bits(table.moved(unnoticed.edit)):
                if at in masks:
                    masks[at] |= 1 << number
            number += 1
    sizes = [len(result.conversation) for result in (results[0] if results else ())]
    chosen = _drop_redundant(_choose_greedily(masks, sizes), masks)
    return ChosenTests(chosen, _union(masks[at] for at in chosen).bit_count())


def _union(masks: Iterable[int]) -> int:
    return reduce(or_, masks, 0)


def _choose_greedily(masks: Mapping[int, int], sizes: Sequence[int]) -> list[int]:
    """Return tests that notice all edits that any test notices, each time the test that notices most further ones."""
    # Of equally good tests, the one with fewest attributes: a reader understands it first.
    missing = _union(masks.values())
    heap = [(-mask.bit_count(), sizes[at], at) for at, mask in masks.items()]
    heapify(heap)
    chosen = []
    while missing:
        _, size, at = heappop(heap)
        item = (-(masks[at] & missing).bit_count(), size, at)
        if heap and item > heap[0]:  # the test notices fewer further edits than before
            heappush(heap, item)
            continue
        chosen.append(at)
        missing &= ~masks[at]
    return chosen


def _drop_redundant(chosen: Sequence[int], masks: Mapping[int, int]) -> list[int]:
    counts = Counter(edit for at in chosen for edit in bits(masks[at]))
    needed = []
    for at in chosen:
        edits = list(bits(masks[at]))
        if any(counts[edit] == 1 for edit in edits):
            needed.append(at)
        else:
            counts.subtract(edits)
    return sorted(needed)
