"""Rules that are never reached, change nothing, or are tied with others (CXR201 to CXR204, CXR209)."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from reconciler.behaviour.facts.ties import MAX_TIES_PER_RULE, Tie
from reconciler.behaviour.routing_entry import RoutingEntry, destination_of
from reconciler.checks.lint_view import LintView, list_items, list_rules
from reconciler.text.escape import quote
from reconciler.text.phrases import condition_phrase, conversation_phrase

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from reconciler.behaviour.facts.rule_facts import ContradictoryRule, RedundantRule, RuleFacts, ShadowedRule
    from reconciler.model.finding import Finding


def check_rules(view: LintView, facts: RuleFacts) -> Iterator[Finding]:
    """Yield what is known of each rule of ours."""
    yield from (_contradictory_finding(view, one) for one in facts.contradictory if one.entry.address)
    yield from (
        _shadowed_finding(view, one) for one in facts.shadowed if one.entry.address and not _is_tied_with_shadowing(one)
    )
    needless = (one for one in facts.redundant if one.entry.address and not _is_intended(view, one))
    yield from (_redundant_finding(view, one) for one in needless)
    yield from _tie_findings(view, facts.ties)
    yield from (_undecided_finding(view, entry) for entry in facts.undecided if entry.address)


def _contradictory_finding(view: LintView, contradictory: ContradictoryRule) -> Finding:
    said = [condition_phrase(one, view.labels) for one in contradictory.conditions]
    why = f"{list_items(said, str)} contradict each other" if len(said) > 1 else f"nothing satisfies {said[0]}"
    rests = view.known_types_phrase(contradictory.conditions)
    return view.finding("CXR201", "warning", f"no conversation can match: {why}{rests}", contradictory.entry)


def _is_tied_with_shadowing(shadowed: ShadowedRule) -> bool:
    """Say whether a rule that would be needed to shadow one is tied with it: neither surely comes first."""
    # Then the tie is what is wrong, whether it is among the few that are told or not.
    rule = shadowed.entry.rule
    same = (other.rule for other in shadowed.shadowing if other.rule.priority == rule.priority)
    return any(destination_of(other.targets) != destination_of(rule.targets) for other in same)


def _shadowed_finding(view: LintView, shadowed: ShadowedRule) -> Finding:
    does = "takes" if len(shadowed.shadowing) == 1 else "together take"
    if all(entry.address for entry in shadowed.shadowing):
        hint = "improve the priority, narrow the earlier rule, or remove this one"
    else:
        hint = "improve the priority, or take the live rule over with `adopt:` and change it"
    rests = view.known_types_phrase(
        chain.from_iterable(entry.rule.conditions for entry in (shadowed.entry, *shadowed.shadowing))
    )
    message = f"never reached: {list_rules(shadowed.shadowing)} {does} all the same conversations first{rests}"
    return view.finding("CXR202", "warning", message, shadowed.entry, hint)


def _is_intended(view: LintView, redundant: RedundantRule) -> bool:
    """Say whether a rule says explicitly of one intent that it goes where the catch-all sends it."""
    return view.names_one_intent(redundant.entry) and all(map(view.catches_all, redundant.replacements))


def _redundant_finding(view: LintView, redundant: RedundantRule) -> Finding:
    goes = view.destination_phrase(redundant.entry)
    by = list_rules(redundant.replacements)
    message = f"no effect: {by} would send the same conversations to {goes}, too{view.known_types_phrase()}"
    hint = "remove it, one such rule at a time, since two may need each other; or `accept: {CXR203: why it stays}`"
    return view.finding("CXR203", "warning", message, redundant.entry, hint)


def _tie_findings(view: LintView, ties: Sequence[Tie]) -> Iterator[Finding]:
    of: dict[int, list[tuple[RoutingEntry, RoutingEntry, Tie]]] = {}
    for tie in ties:
        ours, other = (tie.first, tie.second) if tie.first.address else (tie.second, tie.first)
        if ours.address:
            of.setdefault(id(ours), []).append((ours, other, tie))
    for group in of.values():
        ours, other, tie = group[0]
        others = list_rules([entry for _, entry, _ in group])
        if len(group) >= MAX_TIES_PER_RULE:  # more were not looked for
            others = " and at least ".join(others.rsplit(" and ", 1))
        elsewhere = "which sends" if len(group) == 1 else "which send"
        message = (
            f"same priority ({quote(ours.rule.priority)}) as {others}, {elsewhere} elsewhere:"
            f" {conversation_phrase(tie.example.attributes, view.labels)} goes to {view.destination_phrase(ours)} or to"
            f" {view.destination_phrase(other)}"
        )
        yield view.finding("CXR204", "warning", message, ours, "give one of them another priority")


def _undecided_finding(view: LintView, entry: RoutingEntry) -> Finding:
    message = (
        "not checked: too many overlaps with other rules; the analysis stopped before it was known which rules are"
        " reached"
    )
    hint = "let rules ask for fewer attributes, or for the same ones"
    return view.finding("CXR209", "warning", message, entry, hint)
