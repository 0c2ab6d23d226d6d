"""The bot's confidence: ranges that no rule for an intent takes (CXR208), and wrong comparisons
(CXR214).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Final, NamedTuple, cast

from reconciler.core.behaviour.diff.difference import compare_behaviour
from reconciler.core.behaviour.routing_entry import RoutingEntry
from reconciler.core.behaviour.space.clauses import bound_clauses, number_runs
from reconciler.core.behaviour.space.domain import Domain, intersect
from reconciler.core.behaviour.space.patterns import bits
from reconciler.core.behaviour.space.space import Conditions, Example
from reconciler.core.behaviour.space.value_type import Types
from reconciler.core.checks.lint_view import LintView, list_names
from reconciler.core.model.finding import Finding
from reconciler.core.model.operators import EXISTENCE, RANGES
from reconciler.core.model.rule import Condition, Opaque, Rule, Target
from reconciler.core.text.escape import pluralize, quote
from reconciler.core.text.phrases import (
    condition_phrase,
    conversation_phrase,
    range_phrase,
)

_COMPARISON: Final = (
    "write a comparison with a number from 0 to 1, such as greaterThanOrEqual: 0.7"
)
# of a range that is searched because further attributes matter, in comparisons
_SEARCH_COST: Final = 5_000


class ConfidenceRange(NamedTuple):
    """The conditions of one rule for an intent: atoms of the confidence, and the other
    conditions.
    """

    entry: RoutingEntry
    atoms: int
    other_conditions: Conditions


class ConfidenceGap(NamedTuple):
    """Atoms of the confidence from a first to a last, for conversations with the other
    conditions.
    """

    first: int
    last: int
    other_conditions: Conditions


class GapSearch:
    """The atoms of the confidence, and the results of earlier searches."""

    def __init__(self, view: LintView, domain: Domain) -> None:
        self.view = view
        self.domain = domain
        least = view.fallback.min_confidence if view.fallback.intent is not None else 0
        self.confidence_mask = sum(
            1 << at
            for at in bits(domain.number_mask)
            if _can_be_confidence(domain, at, least)
        )
        self._example = cache(
            lambda atom: cast("float", domain.example_value((1 << atom, 0, 0)))
        )
        self._open_by_gap: dict[
            tuple[ConfidenceGap, tuple[tuple[int, Conditions], ...]], bool
        ] = {}
        # a conversation in each gap, without the intent
        self.examples: dict[ConfidenceGap, Example] = {}

    def range_of(self, entry: RoutingEntry) -> ConfidenceRange:
        """Return the atoms of the confidence that a rule takes, and its other conditions."""
        names = self.view.attributes
        atoms = self.domain.all
        other_conditions = []
        for part in entry.rule.conditions:
            attribute = part.attribute if isinstance(part, Condition) else None
            if attribute not in (names.intent, names.confidence):
                other_conditions.append(part)
            elif isinstance(part, Condition) and attribute == names.confidence:
                atoms = intersect(atoms, self.domain.values_for(part))
        numbers = atoms[0] & self.domain.number_mask
        return ConfidenceRange(entry, numbers, tuple(other_conditions))

    def find_gaps(self, ranges: Sequence[ConfidenceRange]) -> Iterator[ConfidenceGap]:
        """Yield gaps between ranges of rules with the same other conditions, if a conversation in
        it has no rule.
        """
        self.view.space.budget.spend(len(ranges))
        unions: dict[Conditions, int] = {}
        for interval in ranges:
            conditions = interval.other_conditions
            unions[conditions] = unions.get(conditions, 0) | interval.atoms

        for conditions, union in unions.items():
            hull = (1 << union.bit_length()) - (union & -union)
            atoms = hull & ~union & self.confidence_mask
            if not atoms:
                continue
            for first, last in number_runs(self.domain, atoms):
                gap = ConfidenceGap(first, last, conditions)
                if self._is_open(gap, ranges):
                    yield gap

    def _is_open(self, gap: ConfidenceGap, ranges: Sequence[ConfidenceRange]) -> bool:
        self.view.space.budget.spend(len(ranges))
        mask = (1 << gap.last + 1) - (1 << gap.first)
        near = [interval for interval in ranges if interval.atoms & mask]
        facts = tuple((interval.atoms, interval.other_conditions) for interval in near)
        key = (gap, facts)
        if key not in self._open_by_gap:
            self.view.space.budget.spend(_SEARCH_COST)
            entries = [interval.entry for interval in near]
            example = self._find_conversation(gap, entries)
            self._open_by_gap[key] = example is not None
            if example is not None:
                self.examples.setdefault(gap, example)
        return self._open_by_gap[key]

    def _find_conversation(
        self,
        gap: ConfidenceGap,
        near: Sequence[RoutingEntry],
    ) -> Example | None:
        names = self.view.attributes
        budget = self.view.space.budget
        rules = []
        for priority, entry in enumerate(near):
            conditions = tuple(
                part
                for part in entry.rule.conditions
                if not isinstance(part, Condition) or part.attribute != names.intent
            )
            rule = replace(entry.rule, priority=priority, conditions=conditions)
            rules.append(RoutingEntry(name=str(priority), rule=rule))
        with_gap = [*rules, self._gap_entry(gap, len(rules))]
        work = max(0, budget.remaining)
        result = compare_behaviour(rules, with_gap, work=work, types=self._other_types)
        budget.spend(result.work)
        if not result.regions:
            return None
        examples = [region.example for region in result.regions]
        sent = [example for example in examples if not example.reason]
        return (sent or examples)[0]

    @property
    def _other_types(self) -> Types:
        """The types of the attributes that are not the bot's."""
        names = self.view.attributes
        return {
            name: value_type
            for name, value_type in self.view.types.items()
            if name not in (names.intent, names.confidence)
        }

    def _gap_entry(self, gap: ConfidenceGap, priority: int) -> RoutingEntry:
        """Return a rule that takes the conversations of a gap."""
        clauses = bound_clauses(self.domain, gap.first, gap.last)
        bounds = (clause.condition for clause in clauses)
        rule = Rule(
            name="gap",
            description="",
            priority=priority,
            enabled=True,
            conditions=(*gap.other_conditions, *bounds),
            targets=(Target("gap", 1),),
        )
        return RoutingEntry(name="gap", rule=rule)

    def find_unrouted_confidence(
        self,
        intent: str,
        ranges: Sequence[ConfidenceRange],
    ) -> float | None:
        """Return a confidence below all ranges of rules for the intent that only the default
        routing takes.
        """
        # Other attributes than the intent and the confidence are missing.
        general = (
            part.atoms for part in ranges if not part.other_conditions and part.atoms
        )
        lowest = min((atoms & -atoms for atoms in general), default=0)
        below = self.confidence_mask & (lowest - 1) if lowest else 0
        if not below:
            return None
        confidence = self._example(below.bit_length() - 1)
        self.view.space.budget.spend(len(ranges))
        names = self.view.attributes
        winner = self.view.find_winner(
            {names.intent: intent, names.confidence: confidence}
        )
        return confidence if winner is None else None


def _can_be_confidence(domain: Domain, atom: int, least: float) -> bool:
    """Return whether rules read such a confidence beside an intent of the bot: from `least`, by the
    fallback.
    """
    low, high, named = domain.interval(atom)
    if named:
        return low is not None and least <= low <= 1
    return (high is None or high > least) and (low is None or low < 1)


def check_confidence(view: LintView) -> Iterator[Finding]:
    """Yield each gap with all its intents, and the intents that go to the default routing at a low
    confidence.
    """
    number = view.space.domain_index.get(view.attributes.confidence)
    if number is None or not view.space.domains[number].numbers:
        return
    search = GapSearch(view, view.space.domains[number])
    gaps: dict[ConfidenceGap, list[str]] = {}
    below: dict[str, float] = {}
    for intent, entries in view.rules_by_intent.items():
        if not any(entry.address for entry in entries):
            continue
        ranges = [search.range_of(entry) for entry in entries]
        if len(ranges) > 1:
            for gap in search.find_gaps(ranges):
                gaps.setdefault(gap, []).append(intent)
        confidence = search.find_unrouted_confidence(intent, ranges)
        if confidence is not None:
            below[intent] = confidence
    for gap, intents in gaps.items():
        yield _gap_finding(view, search, gap, intents)
    if below:
        yield _low_confidence_finding(view, below)


def check_confidence_conditions(view: LintView) -> Iterator[Finding]:
    """Yield a finding for each condition on the confidence with single values, or with a number
    outside 0 to 1.
    """
    name = view.attributes.confidence
    rules = [desired.rule for desired in view.desired.rules.values()]
    rules += [entry.rule for entry in view.promises]
    # The places of conditions are searched only if there is a wrong one.
    if not any(_is_wrong(part, name) for rule in rules for part in rule.conditions):
        return
    addresses = {entry.source: entry.address for entry in view.ordered}
    for source, stated in view.stated.items():
        for loaded, path, condition in stated:
            if not _is_wrong(condition, name):
                continue
            if condition.operator in RANGES:
                message = (
                    f"{quote(_outside(condition)[0])} is not a confidence, which is a number from "
                    f"0 to 1"
                )
            else:
                operator = condition.operator
                message = (
                    f"{operator} compares the confidence with single values, which a bot hardly "
                    f"ever sends"
                )
            address = addresses.get(source)
            yield loaded.finding(
                "CXR214",
                message,
                *path,
                severity="warning",
                hint=_COMPARISON,
                address=address,
            )


def _is_wrong(part: Condition | Opaque, confidence: str) -> bool:
    """Return whether a condition on the confidence has single values, or one outside 0 to 1."""
    if not isinstance(part, Condition) or part.attribute != confidence:
        return False
    if part.operator in EXISTENCE:
        return False
    return part.operator not in RANGES or bool(_outside(part))


def _outside(condition: Condition) -> list[int | float]:
    return [
        value
        for value in condition.values
        if not isinstance(value, str) and not 0 <= value <= 1
    ]


def _gap_finding(
    view: LintView,
    search: GapSearch,
    gap: ConfidenceGap,
    intents: Sequence[str],
) -> Finding:
    first = intents[0]
    low, _, has_low = search.domain.interval(gap.first)
    _, high, has_high = search.domain.interval(gap.last)
    limits = range_phrase(
        low,
        ">=" if has_low else ">",
        high,
        "<=" if has_high else "<",
    )
    where = f"exactly {quote(low)}" if low == high else limits
    besides = "".join(
        f", {condition_phrase(part, view.labels)}" for part in gap.other_conditions
    )
    message = (
        f"no rule for {list_names(intents, 'or')} takes a confidence of {where}{besides}, though "
        f"rules take"
        f" more and less{_example_of_gap(view, search.examples[gap], first)}"
    )
    hint = "start one range where the other ends, unless the gap is intended"
    finding = view.finding(
        "CXR208",
        "warning",
        message,
        _managed_rule(view, first),
        hint,
    )
    return finding if len(intents) == 1 else replace(finding, address=None)


def _example_of_gap(view: LintView, example: Example, intent: str) -> str:
    if example.reason:
        return f", though {example.reason}"
    conversation = {view.attributes.intent: intent, **example.attributes}
    return f": {view.example_phrase(conversation)}"


def _low_confidence_finding(view: LintView, below: Mapping[str, float]) -> Finding:
    first, confidence = next(iter(below.items()))
    example = {view.attributes.intent: first, view.attributes.confidence: confidence}
    verb, their = ("goes", "its") if len(below) == 1 else ("go", "their")
    count = pluralize(len(below), "intent")
    conversation = conversation_phrase(example, view.labels)
    message = (
        f"{count} {verb} to the tenant's default routing where the confidence is lower than {their} "
        f"rules require: {list_names(below)}; for example {conversation}"
    )
    hint = "a catch-all would take them"
    return view.finding("CXR208", "info", message, _managed_rule(view, first), hint)


def _managed_rule(view: LintView, intent: str) -> RoutingEntry:
    entries = view.rules_by_intent[intent]
    return next(entry for entry in entries if entry.address)
