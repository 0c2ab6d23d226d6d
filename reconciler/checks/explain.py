"""One conversation x a list of rules -> the rule that takes it, why each earlier rule does not, and
the next match.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile

from reconciler.behaviour.endpoint_stage import DIRECT, Doubt, EndpointStage
from reconciler.behaviour.evaluate import (
    Attributes,
    Conversation,
    canonical_attributes,
    first_failing_condition,
    holds,
    route_conversation,
)
from reconciler.behaviour.routing_entry import (
    RoutingEntry,
    destination_of_rule,
    evaluation_key,
)
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.operators import EXISTENCE
from reconciler.model.rule import Condition, Opaque
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest


@dataclass(frozen=True, slots=True)
class NonMatch:
    """A rule that was tried and does not take the conversation."""

    entry: RoutingEntry
    condition: (
        Condition | Opaque
    )  # the condition that does not hold: that on the intent, or the first one
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
    next_match: RoutingEntry | None  # the rule that would take it without the winner
    tied_rules: tuple[
        RoutingEntry, ...
    ]  # rules of the winner's priority that would take it too: the platform chooses
    switched_off: tuple[
        RoutingEntry, ...
    ]  # disabled rules before the winner that would take it

    @property
    def undecided(self) -> tuple[NonMatch, ...]:
        """Return the rules that take the conversation if a condition that is not understood
        holds.
        """
        return tuple(each for each in self.non_matches if each.undecided)


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
    in_order = sorted(
        entries, key=lambda entry: evaluation_key(entry, environment.api.evaluation)
    )
    result = route_conversation(
        (entry for entry in in_order if entry.rule.enabled), conversation, assumed
    )
    intent = environment.attributes.intent
    winner = result.winner
    matching = [
        entry
        for entry in in_order
        if first_failing_condition(entry.rule, conversation, assumed) is None
    ]
    others = [entry for entry in matching if entry.rule.enabled and entry is not winner]
    tied = (
        entry
        for entry in others
        if winner and entry.rule.priority == winner.rule.priority
    )
    return Explanation(
        event=canonical_attributes(event),
        endpoint=endpoint,
        fallback=doubt,
        conversation=conversation,
        winner=winner,
        non_matches=tuple(
            _describe_non_match(*passed, conversation, intent)
            for passed in result.passed_rules
        ),
        next_match=others[0] if others else None,
        tied_rules=tuple(
            entry
            for entry in tied
            if destination_of_rule(entry) != destination_of_rule(winner)
        ),
        switched_off=tuple(takewhile(lambda entry: not entry.rule.enabled, matching)),
    )


def _describe_non_match(
    entry: RoutingEntry,
    failed: Condition | Opaque,
    conversation: Conversation,
    intent: str,
) -> NonMatch:
    # A different intent is the most useful reason.
    for part in entry.rule.conditions:
        if (
            isinstance(part, Condition)
            and part.attribute == intent
            and not holds(part, conversation)
        ):
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
            yield _hinted(
                f"no rule has a condition on {quote_name(name)}", suggest(name, names)
            )
    intents = dict.fromkeys(
        intent for loaded in manifests.intents for intent in loaded.document.names
    )
    intent = attributes.get(environment.attributes.intent)
    if intents and isinstance(intent, str) and intent not in intents:
        yield _hinted(
            f"intent {quote_name(intent)} is in no Intents document",
            suggest(intent, intents),
        )


def _hinted(sentence: str, hint: str) -> str:
    return f"note: {sentence}; {hint}" if hint else f"note: {sentence}."
