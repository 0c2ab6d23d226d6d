"""Rules that are never reached, change nothing, or are tied with others (CXR201 to CXR204, CXR209)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from reconciler.behaviour.facts.rule_facts import (
    MAX_TIES_PER_RULE,
    ContradictoryRule,
    RedundantRule,
    RuleFacts,
    ShadowedRule,
    Tie,
)
from reconciler.behaviour.routing_entry import RoutingEntry, destination_of
from reconciler.checks.lint_view import LintView, list_items, list_rules
from reconciler.model.finding import Finding
from reconciler.text.escape import quote
from reconciler.text.phrases import condition_phrase, conversation_phrase


def check_rules(view: LintView, facts: RuleFacts) -> Iterator[Finding]:
    """Yield the findings about each managed rule."""
    yield from (_contradictory_finding(view, rule) for rule in facts.contradictory if rule.entry.address)
    hidden = (rule for rule in facts.shadowed if rule.entry.address and not _is_tied_with_shadowing(rule))
    yield from (_shadowed_finding(view, rule) for rule in hidden)
    for rule in facts.redundant:
        # A rule may say explicitly of one intent that it goes where the catch-all sends it.
        is_explicit = view.names_one_intent(rule.entry) and all(map(view.catches_all, rule.replacements))
        if rule.entry.address and not is_explicit:
            yield _redundant_finding(view, rule)
    yield from _tie_findings(view, facts.ties)
    message = (
        "not checked: too many overlaps with other rules; the analysis stopped before it was known which rules are"
        " reached"
    )
    hint = "let rules ask for fewer attributes, or for the same ones"
    undecided = (entry for entry in facts.undecided if entry.address)
    yield from (view.finding("CXR209", "warning", message, entry, hint) for entry in undecided)


def _contradictory_finding(view: LintView, contradictory: ContradictoryRule) -> Finding:
    phrases = [condition_phrase(part, view.labels) for part in contradictory.conditions]
    several = len(phrases) > 1
    reason = f"{list_items(phrases, str)} contradict each other" if several else f"nothing satisfies {phrases[0]}"
    types = view.known_types_phrase(contradictory.conditions)
    return view.finding("CXR201", "warning", f"no conversation can match: {reason}{types}", contradictory.entry)


def _is_tied_with_shadowing(shadowed: ShadowedRule) -> bool:
    """Say whether a rule that is needed to shadow another one is tied with it: then the tie is the problem."""
    rule = shadowed.entry.rule
    same = (entry.rule for entry in shadowed.shadowing if entry.rule.priority == rule.priority)
    return any(destination_of(tied.targets) != destination_of(rule.targets) for tied in same)


def _shadowed_finding(view: LintView, shadowed: ShadowedRule) -> Finding:
    verb = "takes" if len(shadowed.shadowing) == 1 else "together take"
    hint = "improve the priority, or take the live rule over with `adopt:` and change it"
    if all(entry.address for entry in shadowed.shadowing):
        hint = "improve the priority, narrow the earlier rule, or remove this one"
    entries = (shadowed.entry, *shadowed.shadowing)
    types = view.known_types_phrase(chain.from_iterable(entry.rule.conditions for entry in entries))
    message = f"never reached: {list_rules(shadowed.shadowing)} {verb} all the same conversations first{types}"
    return view.finding("CXR202", "warning", message, shadowed.entry, hint)


def _redundant_finding(view: LintView, redundant: RedundantRule) -> Finding:
    destination, rules = view.destination_phrase(redundant.entry), list_rules(redundant.replacements)
    message = f"no effect: {rules} would send the same conversations to {destination}, too{view.known_types_phrase()}"
    hint = "remove it, one such rule at a time, since two may need each other; or `accept: {CXR203: why it stays}`"
    return view.finding("CXR203", "warning", message, redundant.entry, hint)


def _tie_findings(view: LintView, ties: Sequence[Tie]) -> Iterator[Finding]:
    groups: dict[int, list[tuple[RoutingEntry, RoutingEntry, Tie]]] = {}
    for tie in ties:
        entry, partner = (tie.first, tie.second) if tie.first.address else (tie.second, tie.first)
        if entry.address:
            groups.setdefault(id(entry), []).append((entry, partner, tie))
    for group in groups.values():
        entry, partner, tie = group[0]
        names = list_rules([tied for _, tied, _ in group])
        if len(group) >= MAX_TIES_PER_RULE:  # the search stopped there
            names = " and at least ".join(names.rsplit(" and ", 1))
        verb = "sends" if len(group) == 1 else "send"
        message = (
            f"same priority ({quote(entry.rule.priority)}) as {names}, which {verb} elsewhere:"
            f" {conversation_phrase(tie.example.attributes, view.labels)} goes to {view.destination_phrase(entry)}"
            f" or to {view.destination_phrase(partner)}"
        )
        yield view.finding("CXR204", "warning", message, entry, "give one of them another priority")
