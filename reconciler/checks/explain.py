"""One conversation x a list of rules -> which rule takes it, why each earlier one does not, what would come next."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.behaviour.evaluate import Passed, canonical, holds, route
from reconciler.behaviour.routing_entry import Entry, destination, in_order
from reconciler.model.rule import EXISTENCE, Condition, Opaque

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from reconciler.behaviour.evaluate import Attributes
    from reconciler.manifest.kinds.environment import Environment


@dataclass(frozen=True, slots=True)
class Miss:
    """A rule that was tried and does not take the conversation."""

    entry: Entry
    condition: Condition | Opaque
    """What does not hold: the intent where that is another, else the first condition that does not."""
    other_intent: bool
    """The rule asks for certain intents, and this conversation's is none of them."""

    @property
    def undecided(self) -> bool:
        """Say whether the rule takes the conversation after all, should something that is not understood hold."""
        return isinstance(self.condition, Opaque)


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Where a conversation goes and why.

    Conditions that are not understood are taken not to hold; `undecided` names the rules for which that matters.
    """

    given: Mapping[str, str | int | float]
    winner: Entry | None
    """None: the tenant's default routing."""
    missed: tuple[Miss, ...]
    """Every rule that is tried before the winner, in order."""
    following: Entry | None
    """The rule that would take it, were there no winner."""
    rivals: tuple[Entry, ...]
    """Rules of the winner's priority that would take it too: which of them is first is the platform's own choice."""
    switched_off: tuple[Entry, ...]
    """Rules before the winner that are switched off, and would take it."""

    @property
    def undecided(self) -> tuple[Miss, ...]:
        """Return the rules that take the conversation should something that is not understood hold."""
        return tuple(miss for miss in self.missed if miss.undecided)


def explain(entries: Sequence[Entry], attributes: Attributes, environment: Environment) -> Explanation:
    """Explain one conversation. The attributes are by the names that rules use."""
    given = canonical(attributes)
    evaluation = environment.api.evaluation
    ordered = in_order(entries, evaluation)
    parts = (part for entry in entries for part in entry.rule.conditions)
    unheld = {part.text: False for part in parts if isinstance(part, Opaque)}
    found = route(ordered, given, unheld)
    missed = tuple(_miss(passed, given, environment.attributes.intent) for passed in found.passed)
    asleep = tuple(entry for entry in entries if not entry.rule.enabled and _takes(entry, given, unheld))
    first = found.winner
    if first is None:
        return Explanation(given=given, winner=None, missed=missed, following=None, rivals=(), switched_off=asleep)
    later = ordered[len(missed) + 1 :]
    tied = [entry for entry in later if entry.rule.priority == first.rule.priority and _takes(entry, given, unheld)]
    goes = destination(first.rule.targets)
    return Explanation(
        given=given,
        winner=first,
        missed=missed,
        following=route(later, given, unheld).winner,
        rivals=tuple(entry for entry in tied if destination(entry.rule.targets) != goes),
        switched_off=tuple(entry for entry in asleep if in_order([_awake(entry), first], evaluation)[0] is not first),
    )


def _miss(passed: Passed, given: Mapping[str, str | int | float], intent: str) -> Miss:
    """Say that the intent is another, where it is: that tells more than whatever else does not hold."""
    for part in passed.entry.rule.conditions:
        if isinstance(part, Condition) and part.attribute == intent and not holds(part, given):
            return Miss(passed.entry, part, part.operator not in EXISTENCE)
    return Miss(passed.entry, passed.failed, other_intent=False)


def _takes(entry: Entry, given: Mapping[str, str | int | float], unheld: Mapping[str, bool]) -> bool:
    return route((entry,), given, unheld).winner is not None


def _awake(entry: Entry) -> Entry:
    return replace(entry, rule=replace(entry.rule, enabled=True))
