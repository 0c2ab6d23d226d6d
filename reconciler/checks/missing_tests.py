"""Unnoticed edits -> the fewest route tests that notice them: one of each example, and then a greedy choice."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import reduce
from heapq import heapify, heapreplace
from math import lcm
from operator import or_

from reconciler.behaviour.evaluate import Conversation
from reconciler.behaviour.routing_entry import Destination
from reconciler.behaviour.space.patterns import bits
from reconciler.checks.adequacy import Adequacy, ConversationTable
from reconciler.checks.route_tests import RouteTestResult
from reconciler.desired.queues import OfflineQueueResolver, QueueError
from reconciler.manifest.kinds.environment import BotAttributes
from reconciler.model.rule import Json


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
    others: dict[str, Json] = {}
    for name, value in event.items():
        if name == names.intent and isinstance(value, str):
            fields["intent"] = _literal(value)
        elif name == names.confidence and not isinstance(value, str) and 0 <= value <= 1:
            fields["confidence"] = value
        else:
            others[_literal(name)] = _literal(value) if isinstance(value, str) else value
    given = {name: fields[name] for name in ("intent", "confidence") if name in fields}
    return {**given, "attributes": others} if others else given


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
        table = ConversationTable(adequacy.index, [result.context for result in tried], adequacy.desired.evaluation)
        for unnoticed in adequacy.unnoticed:
            for at in masks.keys() & bits(table.moved(unnoticed.edit)):
                masks[at] |= 1 << edits
            edits += 1
    return masks


def union(masks: Iterable[int]) -> int:
    """Return the edits of all masks."""
    return reduce(or_, masks, 0)


def choose_tests(noticed: Mapping[int, int], sizes: Sequence[int]) -> list[int]:
    """Return the fewest tests that notice all edits that any test notices; `sizes` are their numbers of attributes."""
    # Each time the test that notices most further edits, and of these the shortest, which readers understand first.
    missing, chosen = union(noticed.values()), list[int]()
    heap = [(-mask.bit_count(), sizes[at], at) for at, mask in noticed.items()]
    heapify(heap)
    while missing:
        gain, size, at = heap[0]
        heapreplace(heap, (-(noticed[at] & missing).bit_count(), size, at))
        if heap[0] == (gain, size, at):  # no other test notices more
            chosen.append(at)
            missing &= ~noticed[at]
    counts = Counter(edit for at in chosen for edit in bits(noticed[at]))
    for at in list(chosen):
        if all(counts[edit] > 1 for edit in bits(noticed[at])):
            chosen.remove(at)
            counts.subtract(bits(noticed[at]))
    return sorted(chosen)
