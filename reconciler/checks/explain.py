"""One conversation x a list of rules -> which rule takes it, why each earlier one does not, what would come next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.evaluate import PassedRule, canonical_attributes, holds, route_conversation
from reconciler.behaviour.routing_entry import RoutingEntry, destination_of, order_entries
from reconciler.model.rule import EXISTENCE, Condition, Opaque
from reconciler.text.escape import quote_name
from reconciler.text.suggest import suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.behaviour.evaluate import Attributes
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.load import Manifests


@dataclass(frozen=True, slots=True)
class NonMatch:
    """A rule that was tried and does not take the conversation."""

    entry: RoutingEntry
    condition: Condition | Opaque
    """What does not hold: the intent where that is another, else the first condition that does not."""
    other_intent: bool  # the rule asks for certain intents, and this conversation's is none of them

    @property
    def undecided(self) -> bool:
        """Say whether the rule takes the conversation after all, should something that is not understood hold."""
        return isinstance(self.condition, Opaque)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a conversation goes and why."""

    # Conditions that are not understood are taken not to hold; `undecided` names the rules for which that matters.

    conversation: Mapping[str, str | int | float]
    winner: RoutingEntry | None  # None: the tenant's default routing
    non_matches: tuple[NonMatch, ...]  # every rule that is tried before the winner, in order
    next_match: RoutingEntry | None  # the rule that would take it, were there no winner
    tied_rules: tuple[RoutingEntry, ...]
    """Rules of the winner's priority that would take it too: which of them is first is the platform's own choice."""
    switched_off: tuple[RoutingEntry, ...]  # rules before the winner that are switched off, and would take it

    @property
    def undecided(self) -> tuple[NonMatch, ...]:
        """Return the rules that take the conversation should something that is not understood hold."""
        return tuple(miss for miss in self.non_matches if miss.undecided)


def explain(entries: Sequence[RoutingEntry], attributes: Attributes, environment: Environment) -> Explanation:
    """Explain one conversation. The attributes are by the names that rules use."""
    given = canonical_attributes(attributes)
    evaluation = environment.api.evaluation
    ordered = order_entries(entries, evaluation)
    parts = (part for entry in entries for part in entry.rule.conditions)
    unheld = {part.text: False for part in parts if isinstance(part, Opaque)}
    found = route_conversation(ordered, given, unheld)
    missed = tuple(_describe_non_match(passed, given, environment.attributes.intent) for passed in found.passed_rules)
    asleep = tuple(entry for entry in entries if not entry.rule.enabled and _matches(entry, given, unheld))
    first = found.winner
    if first is None:
        return Explanation(
            conversation=given, winner=None, non_matches=missed, next_match=None, tied_rules=(), switched_off=asleep
        )
    later = ordered[len(missed) + 1 :]
    tied = [entry for entry in later if entry.rule.priority == first.rule.priority and _matches(entry, given, unheld)]
    goes = destination_of(first.rule.targets)
    return Explanation(
        conversation=given,
        winner=first,
        non_matches=missed,
        next_match=route_conversation(later, given, unheld).winner,
        tied_rules=tuple(entry for entry in tied if destination_of(entry.rule.targets) != goes),
        switched_off=tuple(
            entry for entry in asleep if order_entries([_as_enabled(entry), first], evaluation)[0] is not first
        ),
    )


def _describe_non_match(passed: PassedRule, conversation: Mapping[str, str | int | float], intent: str) -> NonMatch:
    """Say that the intent is another, where it is: that tells more than whatever else does not hold."""
    for part in passed.entry.rule.conditions:
        if isinstance(part, Condition) and part.attribute == intent and not holds(part, conversation):
            return NonMatch(passed.entry, part, part.operator not in EXISTENCE)
    return NonMatch(passed.entry, passed.failed_condition, other_intent=False)


def _matches(entry: RoutingEntry, conversation: Mapping[str, str | int | float], assumed: Mapping[str, bool]) -> bool:
    return route_conversation((entry,), conversation, assumed).winner is not None


def _as_enabled(entry: RoutingEntry) -> RoutingEntry:
    return replace(entry, rule=replace(entry.rule, enabled=True))


def misspellings(
    entries: Iterable[RoutingEntry], manifests: Manifests, environment: Environment, given: Attributes
) -> Iterator[str]:
    """Yield what is most likely misspelt: an attribute that no rule asks about, an intent that the bot cannot say."""
    parts = (part for entry in entries for part in entry.rule.conditions if isinstance(part, Condition))
    known = dict.fromkeys(part.attribute for part in parts)
    for name in given:
        if name not in known:
            yield _hinted(f"no rule asks about {quote_name(name)}", suggest(name, known))
    intents = dict.fromkeys(intent for loaded in manifests.intents for intent in loaded.document.intents)
    intent = given.get(environment.attributes.intent)
    if intents and isinstance(intent, str) and intent not in intents:
        yield _hinted(f"intent {quote_name(intent)} is in no Intents document", suggest(intent, intents))


def _hinted(sentence: str, hint: str) -> str:
    return f"note: {sentence}; {hint}" if hint else f"note: {sentence}."
