"""The endpoint before the rules: a bot's event is routed by rules(endpoint(event)) (semantics "The
endpoint").

Rules read the context of a conversation. The endpoint writes the bot's intent there, or that of its
fallback, by the definition here. The analysis compares lists of rules on events: each rule is
replaced by its parts, which are rules on events, and match exactly the events whose context the
rule matches.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any, Final, Literal, NamedTuple

from reconciler.core.behaviour.evaluate import canonical_attributes, holds
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.value_type import (
    ANY_TEXT,
    ANY_VALUE,
    SHARE,
    SentValues,
    Types,
    number_as_text,
)
from reconciler.core.model.operators import EXISTENCE, RANGES, Scalar
from reconciler.core.model.rule import (
    CANONICAL_JSON,
    Condition,
    Opaque,
    Rule,
    make_condition,
    make_opaque,
    normalized_conditions,
    to_api_json,
)

Conditions = Sequence[Condition | Opaque]
Doubt = Literal["unknown", "unsure"]
ENDPOINT: Final = "the endpoint's fallback"
# in examples, where neither rules nor documents name an intent
_ANY_INTENT: Final = "any"
_LOWER: Final = frozenset({"greaterThanOrEqual", "greaterThan"})
_UPPER: Final = frozenset({"lessThanOrEqual", "lessThan"})
_STRICT: Final = frozenset({"greaterThan", "lessThan"})
_TWO_SIDED: Final = frozenset({"between", "equals"})


@dataclass(frozen=True, slots=True)
class FallbackPolicy:
    """The fallback: `intent` replaces an unknown or uncertain one.

    None: every intent is written unchanged.
    """

    intent: str | None = None
    min_confidence: float = 0.0
    known_intents: AbstractSet[str] = frozenset()  # empty: every intent is known

    def doubt(self, intent: object, confidence: object) -> Doubt | None:
        """Return why an event is doubtful: its intent is unknown, or its confidence is missing or
        too low.
        """
        if self.known_intents and intent not in self.known_intents:
            return "unknown"
        if self.intent is None or (
            isinstance(confidence, int | float) and confidence >= self.min_confidence
        ):
            return None
        return "unsure"

    @property
    def settings(self) -> dict[str, Any]:
        """Return as JSON what decides what the endpoint writes.

        Without a fallback, the rest has no effect.
        """
        if self.intent is None:
            return {"intent": None, "minConfidence": 0, "knownIntents": []}
        least = float(self.min_confidence)
        known = sorted(self.known_intents)
        return {"intent": self.intent, "minConfidence": least, "knownIntents": known}

    @property
    def digest(self) -> str:
        """Return 12 hex digits. Fallbacks with one digest write the same for every event."""
        return sha256(CANONICAL_JSON.encode(self.settings).encode()).hexdigest()[:12]


NO_FALLBACK: Final = FallbackPolicy()


class TableSettings(NamedTuple):
    """What a target keeps beside the rules and applies before them, in the same save."""

    fallback: FallbackPolicy  # that of the endpoint, before the rules
    content: str  # all settings as canonical JSON: equal texts mean equal settings
    # the bot's attributes and the order of rules: where these differ, two lists of rules cannot be
    # compared
    reading: str = ""


class EndpointContext(NamedTuple):
    """What the rules read after an event, and why the endpoint replaced the intent; None if it did
    not.
    """

    attributes: dict[str, str | int | float]
    fallback: Doubt | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointStage:
    """How the endpoint turns an event into a context.

    `context_types` are the known types of what it writes.
    """

    intent: str = "cognigyDetectedIntent"  # the name of the attribute, here and below
    confidence: str = "cognigyConfidence"
    fallback: FallbackPolicy = NO_FALLBACK
    context_types: Types = field(default_factory=dict)
    # the fallback of the endpoint with which this one is compared
    compared: FallbackPolicy = NO_FALLBACK
    # intents that the bot sends, for examples of events
    sent_intents: tuple[str, ...] = ()
    # the values of declared attributes, for examples
    declared: Mapping[str, SentValues] = field(default_factory=dict)

    @property
    def analyses_events(self) -> bool:
        """Return whether the analysis is about events, whose confidence is a number, and not about
        contexts.
        """
        return {self.fallback.intent, self.compared.intent} != {None}

    @property
    def types(self) -> Types:
        """Return the known types of the attributes in the analysis."""
        if not self.analyses_events:
            confidence = self.context_types.get(self.confidence, ANY_VALUE)
            return {
                **self.context_types,
                self.confidence: replace(confidence, usual_share=True),
            }
        return {**self.context_types, self.intent: ANY_TEXT, self.confidence: SHARE}

    @property
    def sent_types(self) -> Types:
        """Return the known types, with the values that are sent, as far as they are declared."""
        types = dict(self.types)
        if self.analyses_events:
            intents = self.sent_intents or (_ANY_INTENT,)
            types[self.intent] = replace(ANY_TEXT, usual=intents)
        return with_sent_values(types, self.sent_values)

    @property
    def sent_context_types(self) -> Types:
        """Return the same of the context, which may have the intent of the fallback."""
        sent = dict(self.sent_values)
        known = sent.get(self.intent)
        if known is not None and self.fallback.intent is not None:
            sent[self.intent] = replace(known, further_texts=(self.fallback.intent,))
        return with_sent_values(self.context_types, sent)

    @property
    def sent_values(self) -> Mapping[str, SentValues]:
        """The values of attributes that are declared: the intents first."""
        intents = self._sent_intents([self.fallback, self.compared])
        return (
            self.declared
            if intents is None
            else {self.intent: intents, **self.declared}
        )

    def sent_values_with(
        self, stages: Sequence["EndpointStage"]
    ) -> Mapping[str, SentValues]:
        """Return the values that are declared for this endpoint, or for another one of some."""
        sent: dict[str, SentValues] = {}
        intents = self._sent_intents(
            [self.fallback, *(each.fallback for each in stages)]
        )
        if intents is not None:
            sent[self.intent] = intents
        for stage in (*stages, self):
            sent.update(stage.declared)
        return sent

    def _sent_intents(self, policies: Sequence[FallbackPolicy]) -> SentValues | None:
        """Return the known intents, those of the first fallback first; None: each is known."""
        known = policies[0].known_intents
        every = frozenset[str]().union(*(each.known_intents for each in policies))
        first = known or every
        if not every:
            return None
        listed = [intent for intent in self.sent_intents if intent in first]
        knows_all = not all(each.known_intents for each in policies)
        return SentValues(
            texts=tuple(dict.fromkeys([*listed, *sorted(first)])),
            further_texts=None if knows_all else tuple(sorted(every - first)),
            is_expected=True,
        )

    def may_depend_on_context(self, examples: Sequence[Mapping[str, Any]]) -> bool:
        """Return whether no example has a confidence as the endpoint writes it, though its type is
        not known.
        """
        if not examples or self.types[self.confidence] != ANY_VALUE:
            return False
        return not any(map(self._has_possible_confidence, examples))

    def _has_possible_confidence(self, example: Mapping[str, Any]) -> bool:
        confidence = example.get(self.confidence)
        return confidence is None or (
            not isinstance(confidence, str) and 0 <= confidence <= 1
        )

    def compared_with(self, other: "EndpointStage") -> "EndpointStage":
        """Return this endpoint for a comparison with another one."""
        return replace(self, compared=other.fallback)

    def context(self, event: Mapping[str, Scalar | None]) -> EndpointContext:
        """Return what the rules read after an event.

        A conversation without an intent had none: it stays unchanged.
        """
        attributes: dict[str, str | int | float] = canonical_attributes(event)
        doubt = None
        if self.fallback.intent is not None and self.intent in attributes:
            doubt = self.fallback.doubt(
                attributes[self.intent], attributes.get(self.confidence)
            )
            attributes |= {self.intent: self.fallback.intent} if doubt else {}
        return EndpointContext(store_values(self.context_types, attributes), doubt)

    def pull_back(self, entries: Iterable[RoutingEntry]) -> tuple[RoutingEntry, ...]:
        """Return rules on events that match an event exactly if these rules match its context."""
        if not self.analyses_events:
            return (*entries,)
        return tuple(
            _part(entry, part)
            for entry in entries
            for part in self._parts(entry.rule.conditions)
        )

    def unreachable(self) -> tuple[RoutingEntry, ...]:
        """Return rules that come first and match the contexts that the endpoint never writes."""
        if self.fallback.intent is None:
            return ()
        doubtful = self._doubtful
        if self.context_types.get(self.confidence) == ANY_TEXT:
            # no bound holds for a text
            doubtful = [parts[:1] for parts in doubtful[2:]]
        other = make_condition(self.intent, "notIn", [self.fallback.intent])
        first = Rule(
            name="",
            description="",
            priority=float("-inf"),
            enabled=True,
            conditions=(),
            targets=(),
        )
        rules = (
            replace(first, conditions=normalized_conditions([other, *parts]))
            for parts in doubtful
        )
        return tuple(RoutingEntry(name=ENDPOINT, rule=rule) for rule in rules)

    @property
    def _doubtful(self) -> list[list[Condition]]:
        """The conditions of doubtful events: the lists exclude each other."""
        known = self.fallback.known_intents
        least = self.fallback.min_confidence
        operators = ("notExists", "lessThan", "greaterThanOrEqual")
        missing, low, high = (
            make_condition(self.confidence, operator, least) for operator in operators
        )
        present = make_condition(self.intent, "exists", None)
        unknown = make_condition(self.intent, "notIn", [*known])
        parts = [[present, missing], [present, low]]
        if known:
            parts.append([unknown, high])
        return parts

    def _parts(self, conditions: Conditions) -> Iterator[Conditions]:
        """Yield the conditions of each part on events of a rule with these conditions on
        contexts.
        """
        fallback = self.fallback.intent
        conditions = list(map(self._on_event, conditions))
        on_intent = [
            part
            for part in conditions
            if isinstance(part, Condition) and part.attribute == self.intent
        ]
        remaining = [part for part in conditions if part not in on_intent]
        operators = {part.operator for part in on_intent}
        # A condition on the presence of an intent holds for an event exactly if it holds for its
        # context.
        if fallback is None or "notExists" in operators or operators <= {"exists"}:
            yield conditions
            return
        if self._fulfils(on_intent, fallback):
            for intent, confidence in self._doubtful:
                yield [intent, *self._with_bound(remaining, confidence)]

        least = self.fallback.min_confidence
        sure = make_condition(self.confidence, "greaterThanOrEqual", least)
        remaining = self._with_bound(remaining, sure)
        if not self.fallback.known_intents:
            yield [*on_intent, *remaining]
            return
        known = self._known_intent(on_intent)
        if known is not None:
            yield [known, *remaining]

    def _known_intent(self, on_intent: Sequence[Condition]) -> Condition | None:
        """Return the condition on the known intents that fulfil some conditions; None without
        one.
        """
        intents: AbstractSet[object] = self.fallback.known_intents
        named = {part.value for part in on_intent if part.operator == "equals"}
        if named:
            intents = intents & named
        fulfilling = sorted(
            intent
            for intent in intents
            if isinstance(intent, str) and self._fulfils(on_intent, intent)
        )
        if not fulfilling:
            return None
        if named:
            return make_condition(self.intent, "equals", fulfilling[0])
        return make_condition(self.intent, "in", fulfilling)

    def _fulfils(self, conditions: Iterable[Condition], intent: str) -> bool:
        return all(holds(condition, {self.intent: intent}) for condition in conditions)

    def _with_bound(
        self, conditions: list[Condition | Opaque], bound: Condition
    ) -> list[Condition | Opaque]:
        """Return conditions and one of the confidence, without those that another one implies."""
        own = [
            part
            for part in conditions
            if isinstance(part, Condition) and part.attribute == self.confidence
        ]
        if any(_implies(part, bound) for part in own):
            return conditions
        implied = [part for part in own if _implies(bound, part)]
        return [*(part for part in conditions if part not in implied), bound]

    def _on_event(self, part: Condition | Opaque) -> Condition | Opaque:
        """Return a condition that an event fulfils if its confidence, as it is stored, fulfils this
        one.
        """
        if isinstance(part, Opaque):
            # one on the intent may differ behind the other endpoint
            form = to_api_json(part)
            is_same = self.compared.digest == self.fallback.digest
            if form.get("attributeName") != self.intent or is_same:
                return part
            return make_opaque({**form, "fallback": self.fallback.digest})

        if self.context_types.get(self.confidence) != ANY_TEXT:
            return part
        if part.attribute != self.confidence or part.operator in EXISTENCE:
            return part
        if part.operator in RANGES:  # no text fulfils it
            return make_condition(self.confidence, "in", [])
        # which numbers have such a text is not decided: results depend on it
        return make_opaque(to_api_json(part))


DIRECT: Final = EndpointStage()  # the endpoint writes each event unchanged


def with_sent_values(types: Types, sent: Mapping[str, SentValues]) -> Types:
    """Return types of attributes, with the values that are sent."""
    typed = dict(types)
    for name, values in sent.items():
        usual: tuple[str, ...] = ()
        if values.is_expected:
            usual = (*(values.texts or ()), *(values.further_texts or ()))
        known = typed.get(name, ANY_VALUE)
        typed[name] = replace(known, usual=usual or known.usual, sent=values)
    return typed


def common_types(stages: Sequence[EndpointStage]) -> Types:
    """Return the types of attributes that are known and equal in all of some stages, with the
    values that are sent by the last one that declares them.
    """
    first, *others = [stage.sent_types for stage in stages]
    common = {
        name: value_type
        for name, value_type in first.items()
        if all(types.get(name) == value_type for types in others)
    }
    sent = stages[-1].sent_values_with(stages)
    return with_sent_values(common, sent)


def store_values(types: Types, attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a conversation as the endpoint stores it: numbers as text in text attributes."""
    stored = dict(attributes)
    for name, value in attributes.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and types.get(name) == ANY_TEXT:
            stored[name] = number_as_text(value)
    return stored


def _implies(first: Condition, second: Condition) -> bool:
    """Return whether the second condition is a bound that holds wherever the first one does."""
    is_lower = second.operator in _LOWER
    one_sided = _LOWER if is_lower else _UPPER
    if second.operator not in one_sided or first.operator not in one_sided | _TWO_SIDED:
        return False
    end = first.values[0 if is_lower else -1]
    bound = second.values[0]
    if isinstance(end, str) or isinstance(bound, str):
        return False
    if end == bound:
        return first.operator in _STRICT or second.operator not in _STRICT
    return (end > bound) is is_lower


def _part(entry: RoutingEntry, conditions: Conditions) -> RoutingEntry:
    ordered = normalized_conditions(conditions)
    if ordered == entry.rule.conditions:
        return entry
    return replace(entry, rule=replace(entry.rule, conditions=ordered), part_of=entry)
