"""Ranges of the confidence between those that rules for an intent take, and what is below all of them.

Ranges of the bot's confidence that no rule for an intent takes, though rules take more and less (CXR208).
"""

from __future__ import annotations

from dataclasses import replace
from itertools import chain
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from reconciler.behaviour.diff.difference import compare_behaviour
from reconciler.behaviour.evaluate import holds
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.behaviour.space.domain import Domain, ValueSet, intersect
from reconciler.behaviour.space.patterns import bits
from reconciler.checks.lint_view import LintView, list_names
from reconciler.model.rule import Condition, Opaque, Rule, Scalar, Target, make_condition
from reconciler.text.escape import pluralize, quote
from reconciler.text.phrases import condition_phrase, conversation_phrase, range_phrase

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from reconciler.model.finding import Finding

    Conditions = tuple[Condition | Opaque, ...]


_MAX_SEARCHES: Final = 300
"""How many ranges are looked at for which further attributes matter; each costs a millisecond."""


class ConfidenceRange(NamedTuple):
    """What one rule asks for an intent: atoms of the confidence, and what it asks besides."""

    entry: RoutingEntry
    atoms: int
    other_conditions: Conditions


class ConfidenceGap(NamedTuple):
    """Atoms of the confidence from a first to a last, among conversations of which this is asked besides."""

    first: int
    last: int
    other_conditions: Conditions


class GapSearch:
    """The confidence's values, cut as rules cut them, and what is already known."""

    def __init__(self, view: LintView, domain: Domain) -> None:
        self.view, self.domain = view, domain
        self.confidence_mask = sum(1 << atom for atom in bits(domain.number_mask) if _can_be_confidence(domain, atom))
        self._values_by_condition: dict[Condition, ValueSet] = {}
        self._takers: dict[int, tuple[float, list[list[Condition]] | None]] = {}
        self._open_by_gap: dict[tuple[ConfidenceGap, tuple[tuple[int, Conditions], ...]], bool] = {}
        self.examples: dict[ConfidenceGap, dict[str, Scalar]] = {}
        """A conversation in each gap that was found, but for its intent."""
        self.skipped: list[RoutingEntry] = []  # rules that were not looked at, when the bound was reached

    def range_of(self, entry: RoutingEntry) -> ConfidenceRange:
        """Return what a rule asks of the confidence, and besides."""
        names = self.view.attributes
        atoms, besides = self.domain.all, []
        for one in entry.rule.conditions:
            if not isinstance(one, Condition) or one.attribute not in (names.intent, names.confidence):
                besides.append(one)
            elif one.attribute == names.confidence:
                part = self._values_by_condition.get(one)
                if part is None:
                    part = self._values_by_condition[one] = self.domain.values_for(one)
                atoms = intersect(atoms, part)
        return ConfidenceRange(entry, atoms[0] & self.domain.number_mask, tuple(besides))

    def find_gaps(self, ranges: Sequence[ConfidenceRange]) -> Iterator[ConfidenceGap]:
        """Yield ranges between what rules that ask the same besides take, in which some conversation has no rule."""
        self.view.space.budget.spend(len(ranges))
        unions: dict[Conditions, int] = {}
        for one in ranges:
            unions[one.other_conditions] = unions.get(one.other_conditions, 0) | one.atoms
        for besides, union in unions.items():
            hull = (1 << union.bit_length()) - (union & -union)
            for first, last in self._atom_runs(hull & ~union & self.confidence_mask):
                gap = ConfidenceGap(first, last, besides)
                if self._is_open(gap, ranges):
                    yield gap

    def _atom_runs(self, atoms: int) -> Iterator[tuple[int, int]]:
        """Yield the first and last of atoms that follow each other."""
        if not atoms:
            return
        run: list[int] = []
        for atom in bits(self.domain.number_mask):
            if atoms >> atom & 1:
                run.append(atom)
            elif run:
                yield run[0], run[-1]
                run = []
        if run:
            yield run[0], run[-1]

    def _is_open(self, gap: ConfidenceGap, ranges: Sequence[ConfidenceRange]) -> bool:
        self.view.space.budget.spend(len(ranges))
        mask = (1 << gap.last + 1) - (1 << gap.first)
        near = [one for one in ranges if one.atoms & mask]
        key = (gap, tuple((one.atoms, one.other_conditions) for one in near))
        if key not in self._open_by_gap:
            if len(self._open_by_gap) >= _MAX_SEARCHES and near:
                self.skipped.append(ranges[0].entry)
                return False
            found = self._find_conversation(gap, [one.entry for one in near])
            self._open_by_gap[key] = found is not None
            if found is not None:
                self.examples.setdefault(gap, found)
        return self._open_by_gap[key]

    def _find_conversation(self, gap: ConfidenceGap, near: Sequence[RoutingEntry]) -> dict[str, Scalar] | None:
        intent = self.view.attributes.intent
        rules = [
            RoutingEntry(
                name=str(place),
                rule=replace(entry.rule, priority=place, conditions=_drop_attribute(entry.rule.conditions, intent)),
            )
            for place, entry in enumerate(near)
        ]
        asked = (*gap.other_conditions, *self._bound_conditions(gap))
        probe = RoutingEntry(
            name="gap",
            rule=Rule(
                name="gap",
                description="",
                priority=len(rules),
                enabled=True,
                conditions=asked,
                targets=(Target("gap", 1),),
            ),
        )
        budget = self.view.space.budget
        found = compare_behaviour(rules, [*rules, probe], work=max(0, budget.remaining))
        budget.spend(found.work)
        return found.regions[0].example.attributes if found.regions else None

    def _bound_conditions(self, gap: ConfidenceGap) -> Iterator[Condition]:
        low, over, high, under = self.ends(gap)
        name = self.view.attributes.confidence
        if low is not None:
            yield make_condition(name, "greaterThanOrEqual" if over == ">=" else "greaterThan", low)
        if high is not None:
            yield make_condition(name, "lessThanOrEqual" if under == "<=" else "lessThan", high)

    def ends(self, gap: ConfidenceGap) -> tuple[float | None, str, float | None, str]:
        """Return a gap's lowest and highest confidence, None where there is no end, each with its operator."""
        low, _, at_low = self.domain.interval(gap.first)
        _, high, at_high = self.domain.interval(gap.last)
        return low, ">=" if at_low else ">", high, "<=" if at_high else "<"

    def find_unrouted_confidence(self, intent: str, ranges: Sequence[ConfidenceRange]) -> float | None:
        """Return a confidence below all that rules for the intent ask, where only the default takes it."""
        # Attributes but for the intent and the confidence are taken to be missing.
        lowest = min((one.atoms & -one.atoms for one in ranges if not one.other_conditions and one.atoms), default=0)
        below = self.confidence_mask & (lowest - 1) if lowest else 0
        if not below:
            return None
        top = below.bit_length() - 1
        if top not in self._takers:
            confidence = cast("float", self.domain.example_value((1 << top, 0, 0)))
            self._takers[top] = confidence, self._intent_conditions(confidence)
        confidence, takers = self._takers[top]
        if takers is None:
            return None
        self.view.space.budget.spend(len(ranges) + len(takers))
        names = self.view.attributes
        conversation: dict[str, str | int | float] = {names.intent: intent, names.confidence: confidence}
        special = (one.entry.rule.conditions for one in ranges if one.other_conditions)
        taken = any(_all_hold(rule, conversation) for rule in chain(special, takers))
        return None if taken else confidence

    def _intent_conditions(self, confidence: float) -> list[list[Condition]] | None:
        """Return what rules that name no intent, and take this confidence, ask of the intent all the same."""
        # None: one of them takes every intent.
        self.view.space.budget.spend(len(self.view.general_rules))
        names = self.view.attributes
        found: list[list[Condition]] = []
        for entry in self.view.general_rules:
            if _all_hold(_drop_attribute(entry.rule.conditions, names.intent), {names.confidence: confidence}):
                asked = [one for one in entry.rule.conditions if isinstance(one, Condition)]
                of_intent = [one for one in asked if one.attribute == names.intent and one.operator != "exists"]
                if not of_intent:
                    return None
                found.append(of_intent)
        return found


def _all_hold(conditions: Iterable[Condition | Opaque], conversation: Mapping[str, str | int | float]) -> bool:
    return all(isinstance(one, Condition) and holds(one, conversation) for one in conditions)


def _can_be_confidence(domain: Domain, atom: int) -> bool:
    low, high, named = domain.interval(atom)
    if named:
        return low is not None and 0 <= low <= 1
    return (high is None or high > 0) and (low is None or low < 1)


def _drop_attribute(conditions: Conditions, attribute: str) -> Conditions:
    return tuple(one for one in conditions if not isinstance(one, Condition) or one.attribute != attribute)


def check_confidence(view: LintView) -> Iterator[Finding]:
    """Yield the gaps, each for all the intents that have it, and the intents that fall to the default below."""
    number = view.space.domain_index.get(view.attributes.confidence)
    if number is None or not view.space.domain(number).numbers:
        return
    search = GapSearch(view, view.space.domain(number))
    gaps: dict[ConfidenceGap, list[str]] = {}
    below: dict[str, float] = {}
    for intent, entries in view.rules_by_intent.items():
        if any(entry.address for entry in entries):
            asked = [search.range_of(entry) for entry in entries]
            for gap in search.find_gaps(asked) if len(asked) > 1 else ():
                gaps.setdefault(gap, []).append(intent)
            unsure = search.find_unrouted_confidence(intent, asked)
            if unsure is not None:
                below[intent] = unsure
    yield from (_gap_finding(view, search, gap, intents) for gap, intents in gaps.items())
    if search.skipped:
        message = "the rules have too many different ranges of confidence to look for gaps in all of them"
        yield view.finding("CXR209", "info", message, search.skipped[0])
    if below:
        yield _low_confidence_finding(view, below)


def _gap_finding(view: LintView, search: GapSearch, gap: ConfidenceGap, intents: Sequence[str]) -> Finding:
    first = intents[0]
    low, over, high, under = search.ends(gap)
    where = f"of exactly {quote(low)}" if low == high else range_phrase(low, over, high, under)
    besides = "".join(f", {condition_phrase(one, view.labels)}" for one in gap.other_conditions)
    message = (
        f"no rule for {list_names(intents, 'or')} takes a confidence {where}{besides}, though rules take"
        f" more and less: {view.example_phrase({view.attributes.intent: first, **search.examples[gap]})}"
    )
    ours = _managed_rule(view, first)
    hint = "let one range begin where the other ends, if that is not meant"
    found = view.finding("CXR208", "warning", message, ours, hint)
    return found if len(intents) == 1 else replace(found, address=None)


def _low_confidence_finding(view: LintView, below: Mapping[str, float]) -> Finding:
    """Say, merely to be known, that nothing takes callers of whose intent the bot is not sure."""
    first, unsure = next(iter(below.items()))
    example = {view.attributes.intent: first, view.attributes.confidence: unsure}
    message = (
        f"{pluralize(len(below), 'intent')} {'goes' if len(below) == 1 else 'go'} to the tenant's default where the bot"
        f" is less sure than {'its' if len(below) == 1 else 'their'} rules ask: {list_names(below)};"
        f" for example {conversation_phrase(example, view.labels)}"
    )
    return view.finding("CXR208", "info", message, _managed_rule(view, first), "a catch-all would take them")


def _managed_rule(view: LintView, intent: str) -> RoutingEntry:
    return next(entry for entry in view.rules_by_intent[intent] if entry.address)
