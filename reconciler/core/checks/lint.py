"""Desired rules, with the unmanaged live ones -> findings about likely mistakes, none an error
(CXR201 to CXR214).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final

from reconciler.core.behaviour.budget import UndecidedError
from reconciler.core.behaviour.facts.rule_facts import (
    MAX_TIES_PER_RULE,
    ContradictoryRule,
    RedundantRule,
    RuleFacts,
    ShadowedRule,
    Tie,
    analyze_slices,
)
from reconciler.core.behaviour.ordering.graph import build_graph, group_reachable
from reconciler.core.behaviour.routing_entry import RoutingEntry, destination_of
from reconciler.core.checks import lint_names
from reconciler.core.checks.lint_confidence import (
    check_confidence,
    check_confidence_conditions,
)
from reconciler.core.checks.lint_view import (
    LintView,
    is_endpoint,
    list_items,
    list_rules,
    rule_name,
)
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.text.escape import pluralize, quote
from reconciler.core.text.phrases import condition_phrase, conversation_phrase

# comparisons for each rule: `validate` takes at most two seconds for 1,000 rules
LINT_WORK_PER_RULE: Final = 1_500
# the cost of reading, comparing and printing one rule in a plan, in comparisons
PLAN_WORK_PER_RULE: Final = 1_000
# the minimum number of rules for the bound: short lists are checked completely
_MIN_RULES: Final = 1_000


def lint(view: LintView, work: int | None = None) -> tuple[Finding, ...]:
    """Return the findings about the rules of one environment, by position."""
    # `work` bounds the search, in comparisons; a finding reports the questions that were not
    # checked.
    if not view.desired.rules:
        return ()
    budget = view.space.budget
    work = lint_work(len(view.ordered)) if work is None else work
    # A fourth is reserved for questions about intents, attributes and ranges.
    budget.remaining = work - work // 4
    facts = analyze_slices(view.slices)
    budget.remaining = max(0, budget.remaining) + work // 4

    findings = [
        *check_rules(view, facts),
        *_check_names(view),
        *check_confidence_conditions(view),
    ]
    within_budget = {
        "intents without a rule": lint_names.check_intents(view, facts),
        "attributes that nothing writes": lint_names.check_attributes(view),
        "ranges of the confidence without a rule": check_confidence(view),
    }
    for subject, subject_findings in within_budget.items():
        findings += _check_within_budget(view, subject, subject_findings)
    findings.sort(key=lambda finding: (finding.source or ("", 0, 0), finding.code))
    return tuple(findings)


def _check_names(view: LintView) -> Iterator[Finding]:
    """Yield the findings about single names, which cost no work."""
    yield from lint_names.check_queues(view)
    yield from lint_names.check_protected(view)
    yield from lint_names.check_field_idents(view)
    yield from lint_names.check_vocabulary(view)


def lint_work(rules: int) -> int:
    """Return the bound of work for a number of rules, in comparisons."""
    return LINT_WORK_PER_RULE * max(_MIN_RULES, rules)


def plan_lint_work(rules: int, work: int) -> int:
    """Return the bound of the lint in a plan: a fifth of the plan's own work, so that the lint does
    not delay it.
    """
    # `rules` counts those of the manifests and of the tenant; `work` is the work of the plan's
    # analysis.
    return (PLAN_WORK_PER_RULE * max(_MIN_RULES, rules) + work) // 5


def _check_within_budget(
    view: LintView,
    subject: str,
    findings: Iterable[Finding],
) -> Iterator[Finding]:
    try:
        yield from findings
    except UndecidedError:
        count = pluralize(len(view.ordered), "rule")
        message = f"not checked: {subject}; the analysis stopped at its bound of work ({count})"
        first = next(entry for entry in view.ordered if entry.address)
        yield replace(view.finding("CXR209", "warning", message, first), address=None)


def is_complete(findings: Iterable[Finding]) -> bool:
    """Return whether all questions were checked; if not, further findings may exist."""
    return all(finding.code != "CXR209" for finding in findings)


def check_rules(view: LintView, facts: RuleFacts) -> Iterator[Finding]:
    """Yield the findings about each managed rule."""
    for contradictory in facts.contradictory:
        if contradictory.entry.address:
            yield _contradiction_finding(view, contradictory)
    for shadowed in facts.shadowed:
        if shadowed.entry.address and not _is_tied_with_shadowing(shadowed):
            yield _shadowed_finding(view, shadowed)
    for redundant in facts.redundant:
        if redundant.entry.address and not _is_explicit(view, redundant):
            yield _redundant_finding(view, redundant)
    yield from _tie_findings(view, facts.ties)

    cause = "the analysis stopped before it was known which rules are reached"
    message = f"not checked: too many overlaps with other rules; {cause}"
    hint = "use conditions on fewer attributes, or on the same ones"
    for entry in facts.undecided:
        if entry.address:
            yield view.finding("CXR209", "warning", message, entry, hint)


def _contradiction_finding(view: LintView, rule: ContradictoryRule) -> Finding:
    phrases = [condition_phrase(part, view.labels) for part in rule.conditions]
    if len(phrases) > 1:
        reason = f"{list_items(phrases, str)} contradict each other"
    else:
        reason = f"nothing satisfies {phrases[0]}"
    types = view.known_types_phrase(rule.conditions)
    message = f"no conversation can match: {reason}{types}"
    return view.finding("CXR201", "warning", message, rule.entry)


def _is_explicit(view: LintView, rule: RedundantRule) -> bool:
    """Return whether a rule states that one intent has the destination of the catch-all."""
    if not view.names_one_intent(rule.entry):
        return False
    return all(map(view.catches_all, rule.replacements))


def _redundant_finding(view: LintView, rule: RedundantRule) -> Finding:
    destination = view.destination_phrase(rule.entry)
    rules = list_rules(rule.replacements)
    types = view.known_types_phrase()
    message = f"no effect: {rules} would send the same conversations to {destination}, too{types}"
    hint = (
        "remove one such rule at a time, because two may need each other; or `accept: {CXR203: "
        "why it stays}`"
    )
    return view.finding("CXR203", "warning", message, rule.entry, hint)


def _is_tied_with_shadowing(shadowed: ShadowedRule) -> bool:
    """Return whether a shadowing rule is tied with the shadowed one: then the tie is the
    problem.
    """
    rule = shadowed.entry.rule
    destination = destination_of(rule.targets)
    return any(
        entry.rule.priority == rule.priority
        and destination_of(entry.rule.targets) != destination
        for entry in shadowed.shadowing
    )


def _shadowed_finding(view: LintView, shadowed: ShadowedRule) -> Finding:
    shadowing = list({rule_name(entry): entry for entry in shadowed.shadowing}.values())
    verb = "takes" if len(shadowing) == 1 else "together take"
    hint = (
        "give it a better priority, or adopt the live rule with `adopt:` and change it"
    )
    if any(map(is_endpoint, shadowed.shadowing)):
        hint = (
            "lower `context.minConfidence`, add its intents to an Intents document, or remove this "
            "one"
        )
    elif all(entry.address for entry in shadowed.shadowing):
        hint = "give it a better priority, narrow the earlier rule, or remove this one"
    entries = (shadowed.entry, *shadowed.shadowing)
    types = view.known_types_phrase(
        chain.from_iterable(entry.rule.conditions for entry in entries)
    )
    message = f"never reached: {list_rules(shadowing)} {verb} all of its conversations first{types}"
    return view.finding("CXR202", "warning", message, shadowed.entry, hint)


def _tie_findings(view: LintView, ties: Sequence[Tie]) -> Iterator[Finding]:
    """Yield a finding for each rule that is tied; rules that are tied with each other have one
    message.
    """
    hint = "give one of them another priority"
    for component in _connected(ties):
        by_rule = group_pairs(
            (id(rivals[0]), rivals) for rivals in _managed_first(component)
        )
        groups = list(by_rule.values())
        if len(groups) > 1:
            message = _common_tie_message(view, list(chain.from_iterable(groups)))
        elif groups:
            message = _tie_message(view, groups[0])
        for group in groups:
            entry, _, _ = group[0]
            yield view.finding("CXR204", "warning", message, entry, hint)


# the rule that the finding is about, and the other one
_Rivals = tuple[RoutingEntry, RoutingEntry, Tie]


def _managed_first(ties: Iterable[Tie]) -> Iterator[_Rivals]:
    for tie in ties:
        if tie.first.address:
            yield tie.first, tie.second, tie
        elif tie.second.address:
            yield tie.second, tie.first, tie


def _connected(ties: Iterable[Tie]) -> list[list[Tie]]:
    """Return the ties in groups: two ties with a rule in common are in one group."""
    ties = list(ties)
    forward = [(id(tie.first), id(tie.second)) for tie in ties]
    backward = [(second, first) for first, second in forward]
    links = [*forward, *backward]
    rules = dict.fromkeys(first for first, _ in links)
    graph = build_graph(rules, links)

    group_of: dict[int, int] = {}
    for number, group in enumerate(group_reachable(graph, graph)):
        group_of.update(dict.fromkeys(group, number))
    groups = group_pairs((group_of[id(tie.first)], tie) for tie in ties)
    return list(groups.values())


def _tie_message(view: LintView, group: Sequence[_Rivals]) -> str:
    entry, partner, tie = group[0]
    names = list_rules([tied for _, tied, _ in group])
    if len(group) >= MAX_TIES_PER_RULE:  # the search stopped there
        names = " and at least ".join(names.rsplit(" and ", 1))
    verb = "sends" if len(group) == 1 else "send"
    priority = quote(entry.rule.priority)
    alike = f"same priority ({priority}) as {names}, which {verb} elsewhere"
    if tie.example.reason:
        return f"{alike}, though {tie.example.reason}"
    conversation = conversation_phrase(tie.example.attributes, view.labels)
    destination = view.destination_phrase(entry)
    alternative = view.destination_phrase(partner)
    return f"{alike}: {conversation} goes to {destination} or to {alternative}"


def _common_tie_message(view: LintView, rivals: Sequence[_Rivals]) -> str:
    """Return the message about several rules that are tied with each other, or with one that they
    have in common.
    """
    entry, partner, tie = rivals[0]
    members: dict[int, RoutingEntry] = {}
    for first, second, _ in rivals:
        members[id(first)] = first
        members[id(second)] = second
    names = list_rules(list(members.values()))

    priority = quote(entry.rule.priority)
    alike = f"same priority ({priority}): {names} send the same conversations to different queues"
    if tie.example.reason:
        return f"{alike}, though {tie.example.reason}"
    conversation = conversation_phrase(tie.example.attributes, view.labels)
    destination = view.destination_phrase(entry)
    alternative = view.destination_phrase(partner)
    return (
        f"{alike}; for example, {conversation} goes to {destination} by {rule_name(entry)}"
        f" or to {alternative} by {rule_name(partner)}"
    )
