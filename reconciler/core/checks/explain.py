"""One conversation x a list of rules -> the rule that takes it, why each earlier rule does not, and
the next match.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

from reconciler.core.behaviour.endpoint_stage import DIRECT, Doubt, EndpointStage
from reconciler.core.behaviour.evaluate import (
    Attributes,
    Conversation,
    canonical_attributes,
    first_failing_condition,
    holds,
    route_conversation,
)
from reconciler.core.behaviour.routing_entry import (
    RoutingEntry,
    destination_of_rule,
    evaluation_key,
)
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.operators import EXISTENCE
from reconciler.core.model.rule import Condition, Opaque
from reconciler.core.text.escape import quote_name
from reconciler.core.text.suggest import suggest


@dataclass(frozen=True, slots=True)
class NonMatch:
    """A rule that was tried and does not take the conversation."""

    entry: RoutingEntry
    # the condition that does not hold: that on the intent, or the first one
    condition: Condition | Opaque
    other_intent: bool  # the rule asks for certain intents, and this conversation's is none of them

    @property
    def undecided(self) -> bool:
        """Return whether the rule takes the conversation if a condition that is not understood
        holds.
        """
        return isinstance(self.condition, Opaque)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The route of a conversation, and the reasons; `undecided` names rules with conditions that
    are not understood.
    """

    event: Conversation  # what the bot sent
    endpoint: EndpointStage
    fallback: Doubt | None  # why the endpoint replaced the intent; None if it did not
    conversation: Conversation  # the context: what the rules read
    winner: RoutingEntry | None  # None: the tenant's default routing
    non_matches: tuple[NonMatch, ...]  # every rule before the winner, in order
    # the rule that would take it without the winner
    next_match: RoutingEntry | None = None
    # rules of the winner's priority that would take it too: the platform chooses
    tied_rules: tuple[RoutingEntry, ...] = ()
    # disabled rules before the winner that would take it
    switched_off: tuple[RoutingEntry, ...] = ()

    @property
    def undecided(self) -> tuple[NonMatch, ...]:
        """Return the rules that take the conversation if a condition that is not understood
        holds.
        """
        return tuple(rule for rule in self.non_matches if rule.undecided)


def explain(
    entries: Sequence[RoutingEntry],
    event: Attributes,
    environment: Environment,
    endpoint: EndpointStage = DIRECT,
) -> Explanation:
    """Return the explanation of an event, or of a context without an endpoint; the names are those
    in rules.
    """
    conversation, doubt = endpoint.context(event)
    parts = (part for entry in entries for part in entry.rule.conditions)
    assumed = {part.text: False for part in parts if isinstance(part, Opaque)}
    evaluation = environment.api.evaluation
    in_order = sorted(entries, key=lambda entry: evaluation_key(entry, evaluation))
    enabled = (entry for entry in in_order if entry.rule.enabled)
    route = route_conversation(enabled, conversation, assumed)
    non_matches = [
        _describe_non_match(entry, failed, conversation, environment.attributes.intent)
        for entry, failed in route.passed_rules
    ]

    matching = [
        entry
        for entry in in_order
        if first_failing_condition(entry.rule, conversation, assumed) is None
    ]
    explanation = Explanation(
        event=canonical_attributes(event),
        endpoint=endpoint,
        fallback=doubt,
        conversation=conversation,
        winner=route.winner,
        non_matches=tuple(non_matches),
    )
    return _add_runners_up(explanation, matching)


def _add_runners_up(
    explanation: Explanation, matching: Sequence[RoutingEntry]
) -> Explanation:
    """Return the explanation with the other rules that match the conversation."""
    winner = explanation.winner
    runners_up = [
        entry for entry in matching if entry.rule.enabled and entry is not winner
    ]
    return replace(
        explanation,
        next_match=next(iter(runners_up), None),
        tied_rules=tuple(_tied_rules(winner, runners_up)),
        switched_off=tuple(takewhile(lambda entry: not entry.rule.enabled, matching)),
    )


def _tied_rules(
    winner: RoutingEntry | None, entries: Iterable[RoutingEntry]
) -> Iterator[RoutingEntry]:
    """Yield the rules of the winner's priority with another destination."""
    if winner is None:
        return
    destination = destination_of_rule(winner)
    for entry in entries:
        is_equal = entry.rule.priority == winner.rule.priority
        if is_equal and destination_of_rule(entry) != destination:
            yield entry


def _describe_non_match(
    entry: RoutingEntry,
    failed: Condition | Opaque,
    conversation: Conversation,
    intent: str,
) -> NonMatch:
    # A different intent is the most useful reason.
    for part in entry.rule.conditions:
        if not isinstance(part, Condition) or part.attribute != intent:
            continue
        if not holds(part, conversation):
            return NonMatch(entry, part, part.operator not in EXISTENCE)
    return NonMatch(entry, failed, other_intent=False)


def misspellings(
    entries: Iterable[RoutingEntry],
    manifests: Manifests,
    environment: Environment,
    attributes: Attributes,
) -> Iterator[str]:
    """Yield likely misspellings: attributes without a condition in any rule, intents that the bot
    does not have.
    """
    parts = (
        part
        for entry in entries
        for part in entry.rule.conditions
        if isinstance(part, Condition)
    )
    names = dict.fromkeys(part.attribute for part in parts)
    for name in attributes:
        if name not in names:
            note = f"no rule has a condition on {quote_name(name)}"
            yield _hinted(note, suggest(name, names))

    intents = dict.fromkeys(
        intent for loaded in manifests.intents for intent in loaded.document.names
    )
    intent = attributes.get(environment.attributes.intent)
    if intents and isinstance(intent, str) and intent not in intents:
        note = f"intent {quote_name(intent)} is in no Intents document"
        yield _hinted(note, suggest(intent, intents))


def _hinted(sentence: str, hint: str) -> str:
    if hint:
        return f"note: {sentence}; {hint}"
    return f"note: {sentence}."
