"""The endpoint before the rules: a bot's event is routed by rules(endpoint(event)) (semantics "The endpoint").

Rules read the context of a conversation. The endpoint writes the bot's intent there, or that of its fallback. The
analysis compares lists of rules on events, so each rule is replaced by rules on events that match the same: its parts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from reconciler.behaviour.evaluate import canonical_attributes, holds
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.behaviour.space.value_type import ANY_TEXT, SHARE, Types, number_as_text
from reconciler.model.fallback import NO_FALLBACK, Doubt, FallbackPolicy
from reconciler.model.rule import (
    EXISTENCE,
    RANGES,
    Condition,
    Opaque,
    Rule,
    Scalar,
    make_condition,
    make_opaque,
    normalized_conditions,
    to_api_json,
)

Conditions = Sequence[Condition | Opaque]
ENDPOINT: Final = "the endpoint's fallback"


class EndpointContext(NamedTuple):
    """What the rules read after an event, and why the endpoint replaced the intent; None if it did not."""

    attributes: dict[str, str | int | float]
    fallback: Doubt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStage:
    """How the endpoint turns an event into a context. `context_types` are the known types of what it writes."""

    intent: str = "cognigyDetectedIntent"  # the name of the attribute, here and below
    confidence: str = "cognigyConfidence"
    fallback: FallbackPolicy = NO_FALLBACK
    context_types: Types = field(default_factory=dict)
    compared: FallbackPolicy = NO_FALLBACK  # the fallback of the endpoint with which this one is compared

    @property
    def analyses_events(self) -> bool:
        """Return whether the analysis is about events, whose confidence is a number, and not about contexts."""
        return {self.fallback.intent, self.compared.intent} != {None}

    @property
    def types(self) -> Types:
        """Return the known types of the attributes in the analysis."""
        events: Types = {self.intent: ANY_TEXT, self.confidence: SHARE} if self.analyses_events else {}
        return {**self.context_types, **events}

    def context(self, event: Mapping[str, Scalar | None]) -> EndpointContext:
        """Return what the rules read after an event. A conversation without an intent had none: it stays unchanged."""
        attributes: dict[str, str | int | float] = canonical_attributes(event)
        doubt = None
        if self.fallback.intent is not None and self.intent in attributes:
            doubt = self.fallback.doubt(attributes[self.intent], attributes.get(self.confidence))
            attributes |= {self.intent: self.fallback.intent} if doubt else {}
        return EndpointContext(store_values(self.context_types, attributes), doubt)

    def pull_back(self, entries: Iterable[RoutingEntry]) -> tuple[RoutingEntry, ...]:
        """Return rules on events that match an event exactly if these rules match its context."""
        return tuple(part for entry in entries for part in self._parts(entry)) if self.analyses_events else (*entries,)

    def unreachable(self) -> tuple[RoutingEntry, ...]:
        """Return rules that come first and match the contexts that the endpoint never writes."""
        if self.fallback.intent is None:
            return ()
        replacement, known = self.fallback.intent, self.fallback.known_intents
        contexts: list[Conditions] = [(make_condition(self.intent, "notIn", [*known, replacement]),)] if known else []
        if not self._stores_text:
            others = make_condition(self.intent, "notIn", [replacement])
            contexts += [(others, part) for part in self._unsure]
        rule = Rule(name="", description="", priority=float("-inf"), enabled=True, conditions=(), targets=())
        rules = (replace(rule, conditions=normalized_conditions(parts)) for parts in contexts)
        return tuple(RoutingEntry(name=ENDPOINT, rule=each) for each in rules)

    @property
    def _stores_text(self) -> bool:
        return self.context_types.get(self.confidence) == ANY_TEXT

    @property
    def _sure(self) -> Condition:
        return make_condition(self.confidence, "greaterThanOrEqual", self.fallback.min_confidence)

    @property
    def _unsure(self) -> tuple[Condition, ...]:
        """The conditions on the confidence of doubtful events: they exclude each other."""
        too_low = make_condition(self.confidence, "lessThan", self.fallback.min_confidence)
        return make_condition(self.confidence, "notExists", None), too_low

    def _parts(self, entry: RoutingEntry) -> Iterator[RoutingEntry]:
        conditions, fallback = self._on_events(entry.rule.conditions), self.fallback.intent
        if conditions is None:
            return
        on_intent = [part for part in conditions if isinstance(part, Condition) and part.attribute == self.intent]
        # A condition on the presence of an intent holds for an event exactly if it holds for its context.
        is_about_presence = any(part.operator == "notExists" for part in on_intent) or all(
            part.operator == "exists" for part in on_intent
        )
        if fallback is None or is_about_presence:
            yield _part(entry, conditions)
            return
        others = [part for part in conditions if not isinstance(part, Condition) or part.attribute != self.intent]
        sure = others if any(map(self._implies_sure, others)) else [*others, self._sure]
        known_intent = self._known(on_intent)
        if known_intent is not None:
            yield _part(entry, [*known_intent, *sure])
        if _all_hold(on_intent, self.intent, fallback):
            any_intent = make_condition(self.intent, "exists", None)
            for unsure in self._unsure:
                yield _part(entry, [any_intent, *others, unsure])
            if self.fallback.known_intents:
                yield _part(entry, [make_condition(self.intent, "notIn", [*self.fallback.known_intents]), *sure])

    def _known(self, on_intent: Sequence[Condition]) -> Sequence[Condition] | None:
        """Return the conditions on the intent, for known intents; None if no known intent fulfils them."""
        known = self.fallback.known_intents
        first = on_intent[0]
        if not known or (len(on_intent) == 1 and first.operator == "equals" and first.value in known):
            return on_intent
        intents = sorted(name for name in known if _all_hold(on_intent, self.intent, name))
        return (make_condition(self.intent, "in", intents),) if intents else None

    def _implies_sure(self, part: Condition | Opaque) -> bool:
        """Return whether a condition holds only for confidences that are high enough."""
        if not isinstance(part, Condition) or part.attribute != self.confidence:
            return False
        least = part.value[0] if part.operator == "between" and isinstance(part.value, tuple) else part.value
        is_bound = part.operator in ("greaterThanOrEqual", "greaterThan", "between", "equals")
        return is_bound and isinstance(least, int | float) and least >= self.fallback.min_confidence

    def _on_events(self, conditions: Conditions) -> Conditions | None:
        """Return conditions on an event's confidence, which is a number; None if its stored text never fulfils them."""
        parts: list[Condition | Opaque] = []
        for part in conditions:
            if isinstance(part, Opaque):
                parts.append(self._on_its_own_context(part))
            elif not self._stores_text or part.attribute != self.confidence or part.operator in EXISTENCE:
                parts.append(part)
            elif part.operator in RANGES:
                return None
            else:  # which numbers have such a text is not decided: the result depends on it, and says so
                parts.append(make_opaque(to_api_json(part)))
        return parts

    def _on_its_own_context(self, part: Opaque) -> Opaque:
        """Return a condition of an unknown kind; one on the intent may differ behind the endpoint compared."""
        form = to_api_json(part)
        if form.get("attributeName") != self.intent or self.compared.digest == self.fallback.digest:
            return part
        return make_opaque({**form, "fallback": self.fallback.digest})


DIRECT: Final = EndpointStage()  # the endpoint writes each event unchanged


def store_values(types: Types, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conversation as the endpoint stores it: numbers as text in text attributes."""
    return {
        name: number_as_text(value)
        if types.get(name) == ANY_TEXT and isinstance(value, int | float) and not isinstance(value, bool)
        else value
        for name, value in attributes.items()
    }


def _all_hold(conditions: Iterable[Condition], attribute: str, value: str) -> bool:
    return all(holds(condition, {attribute: value}) for condition in conditions)


def _part(entry: RoutingEntry, conditions: Conditions) -> RoutingEntry:
    ordered = normalized_conditions(conditions)
    if ordered == entry.rule.conditions:
        return entry
    return replace(entry, rule=replace(entry.rule, conditions=ordered), part_of=entry)
