"""What the lint looks at: one environment's rules in order, which of them name an intent, what things are called."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Final, TypeVar

from reconciler.behaviour.evaluate import winner
from reconciler.behaviour.routing_entry import Entry, in_order
from reconciler.behaviour.space.domain import REST, meet
from reconciler.behaviour.space.patterns import bits
from reconciler.behaviour.space.slices import Slices
from reconciler.behaviour.space.space import Space
from reconciler.model.finding import Finding, Severity
from reconciler.model.rule import Condition, Opaque, Scalar, Source
from reconciler.plan.routing_table import desired_entries, types_phrase
from reconciler.text.escape import join_first, quote, sanitize
from reconciler.text.phrases import conversation_phrase, queues_phrase

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from reconciler.desired.desired import Desired
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.ruleset import RuleSet
    from reconciler.manifest.load import Manifests
    from reconciler.manifest.source_map import Loaded


T = TypeVar("T")

_NAMING: Final = frozenset({"equals", "in", "contains", "startsWith", "endsWith"})
MOST_NAMED: Final = 8
"""How many values one sentence lists."""
_MOST_RULES: Final = 3
"""How many rules one sentence lists: their names are longer."""


class View:
    """One environment's rules: `ordered` as they are tried, and filed in `slices` for every question at once."""

    def __init__(
        self,
        desired: Desired,
        unmanaged: Iterable[Entry],
        manifests: Manifests,
        environment: Environment,
        queues: Mapping[str, str],
    ) -> None:
        self.attributes: Final = environment.attributes
        self.evaluation: Final = environment.api.evaluation
        self.labels: Final = desired.labels
        self.types: Final = desired.types
        self.queues: Final = queues
        self.intents: Final = {
            intent: loaded.at("intents", place)
            for loaded in manifests.intents
            for place, intent in enumerate(loaded.document.intents)
        }
        """What the bot can say, and where that stands."""
        below = environment.context.below
        self.fallback: Final = below.intent if below else None
        self.ordered: Final = in_order((*desired_entries(desired), *unmanaged), self.evaluation)
        self.space: Final = Space((self.ordered,), {self.attributes.intent: self.intents}, desired.types)
        self.slices: Final = Slices(self.space, self.ordered)
        self._rank = {id(entry): rank for rank, entry in enumerate(self.ordered)}
        self._unheld = {
            part.text: False for entry in self.ordered for part in entry.rule.conditions if isinstance(part, Opaque)
        }
        self._rulesets = manifests.rulesets
        self._places: dict[Source, tuple[Loaded[RuleSet], int]] = {}

    @property
    def naming(self) -> Mapping[str, Sequence[Entry]]:
        """Rules that name an intent, by intent, in order. Raises UndecidedError where these are too many."""
        return self._filed[0]

    @property
    def general(self) -> Sequence[Entry]:
        """Rules that name none, in order: a catch-all is one of them. Raises UndecidedError as `naming` does."""
        return self._filed[1]

    @cached_property
    def _filed(self) -> tuple[dict[str, list[Entry]], list[Entry]]:
        naming: dict[str, list[Entry]] = {}
        general: list[Entry] = []
        intent = self.attributes.intent
        never = {id(entry) for entry in self.slices.never}
        for entry in self.ordered:
            asked = [one for one in entry.rule.conditions if isinstance(one, Condition) and one.attribute == intent]
            if not any(one.operator in _NAMING and one.value != "" for one in asked):
                general.append(entry)
            elif id(entry) not in never:
                for text in self._named(asked):
                    self.space.budget.spend()
                    naming.setdefault(text, []).append(entry)
        return naming, general

    def _named(self, asked: Sequence[Condition]) -> Iterator[str]:
        if len(asked) == 1 and asked[0].operator == "equals":
            if isinstance(asked[0].value, str):
                yield asked[0].value
            return
        domain = self.space.domain(self.space.number[self.attributes.intent])
        part = domain.all
        for one in asked:
            part = meet(part, domain.part(one))
        first = REST.bit_length()
        yield from (domain.texts[atom - first] for atom in bits(part[0] & domain.text_mask & ~REST))

    def taker(self, conversation: Mapping[str, Scalar]) -> Entry | None:
        """Return the rule that takes a conversation whose intent is known; None: the default routing."""
        intent = conversation.get(self.attributes.intent)
        self.space.budget.spend(len(self.general))
        near = [*self.naming.get(str(intent), ()), *self.general]
        return winner(sorted(near, key=lambda entry: self._rank[id(entry)]), conversation, self._unheld)

    def names_one_intent(self, entry: Entry) -> bool:
        """Say whether a rule asks for one intent, and for nothing else but the confidence."""
        others = [one for one in entry.rule.conditions if not self._of_confidence(one)]
        if len(others) != 1 or not isinstance(others[0], Condition) or others[0].attribute != self.attributes.intent:
            return False
        operator, value = others[0].operator, others[0].value
        return operator == "equals" or (operator == "in" and isinstance(value, tuple) and len(value) == 1)

    def catches_all(self, entry: Entry) -> bool:
        """Say whether a rule asks for nothing but the confidence."""
        return all(map(self._of_confidence, entry.rule.conditions))

    def _of_confidence(self, one: Condition | Opaque) -> bool:
        return isinstance(one, Condition) and one.attribute == self.attributes.confidence

    def example(self, conversation: Mapping[str, Scalar]) -> str:
        """Say a conversation and where it goes."""
        taker = self.taker(conversation)
        said = conversation_phrase(conversation, self.labels)
        if taker is None:
            return f"{said} goes to the tenant's default"
        return f"{said} goes to {self.goes(taker)} by {called(taker)}"

    def goes(self, entry: Entry) -> str:
        """Say where a rule sends conversations."""
        return queues_phrase(entry.rule.targets, self.queues)

    def resting(self, conditions: Iterable[Condition | Opaque] | None = None) -> str:
        """Say on which known types a statement rests, if on any; `conditions` are all that it is about, if not all."""
        asked = None if conditions is None else {one.attribute for one in conditions if isinstance(one, Condition)}
        known = {name: self.types[name] for name in self.space.rests_on if asked is None or name in asked}
        return f" ({types_phrase(known, self.labels)})" if known else ""

    def finding(self, code: str, severity: Severity, message: str, entry: Entry, hint: str = "") -> Finding:
        """Return a finding about one rule of ours."""
        return Finding(
            code=code, severity=severity, message=message, source=entry.source, address=entry.address, hint=hint
        )

    def finding_at(self, base: Finding, entry: Entry, wanted: str) -> Finding:
        """Return a finding with the place of a value of a rule, where it stands as such: an attribute, an intent."""
        loaded, place = self._place(entry)
        path = _path(loaded.document, place, wanted) if loaded else None
        if loaded is None or path is None:
            return base
        return loaded.finding(
            base.code, base.message, *path, severity=base.severity, hint=base.hint, address=base.address
        )

    def _place(self, entry: Entry) -> tuple[Loaded[RuleSet] | None, int]:
        """Find a rule in its manifest."""
        if not self._places:
            for loaded in self._rulesets:
                for place in range(len(loaded.document.rules)):
                    self._places[loaded.at("rules", place)] = loaded, place
        return self._places.get(entry.source, (None, 0)) if entry.source else (None, 0)


def _path(document: RuleSet, place: int, wanted: str) -> tuple[str | int, ...] | None:
    rule = document.rules[place]
    if rule.intent == wanted:
        return ("rules", place, "intent")
    for at, intent in enumerate(rule.intents or ()):
        if intent == wanted:
            return ("rules", place, "intents", at)
    for at, one in enumerate(rule.when):
        if one.attribute == wanted:
            return ("rules", place, "when", at, "attribute")
        if one.value == wanted:
            return ("rules", place, "when", at, one.operator)
        if isinstance(one.value, tuple) and wanted in one.value:
            return ("rules", place, "when", at, one.operator, one.value.index(wanted))
    return None


def called(entry: Entry) -> str:
    """Return what a sentence calls a rule: its address, or the live name of one that is not managed."""
    return sanitize(entry.name) if entry.address else f"the live rule {quote(entry.name)} (not managed)"


def quoted(names: Iterable[str], joint: str = "and") -> str:
    """List names from outside in quotes: `"a", "b" and "c"`."""
    return listed(list(names), quote, joint)


def rules_listed(entries: Sequence[Entry]) -> str:
    """List rules: `cards/a, cards/b, cards/c and 4 more`."""
    return listed(entries, called, most=_MOST_RULES)


def listed(items: Sequence[T], shape: Callable[[T], str], joint: str = "and", most: int = MOST_NAMED) -> str:
    """List things: `a`, `a and b`, `a, b, c and 4 more`."""
    if len(items) > most:
        return join_first(items, most, shape)
    shown = [shape(one) for one in items]
    *first, last = shown
    return f"{', '.join(first)} {joint} {last}" if first else last
