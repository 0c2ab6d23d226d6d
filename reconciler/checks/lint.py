"""Desired rules, beside the unmanaged live ones -> findings about what is most likely wrong; none is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from reconciler.behaviour.budget import UndecidedError
from reconciler.behaviour.facts.rule_facts import analyze_slices
from reconciler.behaviour.routing_entry import RoutingEntry
from reconciler.checks.lint_confidence import check_confidence
from reconciler.checks.lint_names import check_attributes, check_field_idents, check_intents, check_queues
from reconciler.checks.lint_rules import check_rules
from reconciler.checks.lint_view import LintView
from reconciler.desired.desired import DesiredState
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.text.escape import pluralize

LINT_WORK_PER_RULE: Final = 1_500
"""How many comparisons may be made for each rule, by which `validate` takes two seconds for 1,000 rules at the most."""
PLAN_WORK_PER_RULE: Final = 1_000  # what reading, comparing and printing one rule costs in a plan, in comparisons
_MIN_RULES: Final = 1_000  # for how many rules there is work at the least: short lists are checked to the end


def lint(
    desired: DesiredState,
    unmanaged: Iterable[RoutingEntry],
    manifests: Manifests,
    environment: Environment,
    queues: Mapping[str, str],
    work: int | None = None,
) -> tuple[Finding, ...]:
    """Return the findings about the rules of one environment, by place; `queues` are the names by id."""
    # `unmanaged` are the unmanaged live rules, by their names and without an address. `work` bounds the search, in
    # comparisons; a finding says what was not checked within it.
    if not desired.rules:
        return ()
    view = LintView(desired, unmanaged, manifests, environment, queues)
    budget = view.space.budget
    work = lint_work(len(view.ordered)) if work is None else work
    # A fourth is reserved for questions about intents, attributes and ranges.
    budget.remaining = work - work // 4
    facts = analyze_slices(view.slices)
    budget.remaining = max(0, budget.remaining) + work // 4
    findings = [
        *check_rules(view, facts),
        *check_queues(manifests, environment),
        *check_field_idents(manifests, environment),
        *_check_within_budget(view, "intents without a rule", check_intents(view, facts)),
        *_check_within_budget(view, "attributes that nothing writes", check_attributes(view)),
        *_check_within_budget(view, "ranges of the confidence without a rule", check_confidence(view)),
    ]
    return tuple(sorted(findings, key=lambda finding: (finding.source or ("", 0, 0), finding.code)))


def lint_work(rules: int) -> int:
    """Return the bound of work for so many rules, in comparisons."""
    return LINT_WORK_PER_RULE * max(_MIN_RULES, rules)


def plan_lint_work(rules: int, work: int) -> int:
    """Return the work of the lint in a plan: a fifth of the plan's own, so that advice does not delay it."""
    # `rules` are those of the manifests and of the tenant; `work` is what the plan's analysis took.
    return (PLAN_WORK_PER_RULE * max(_MIN_RULES, rules) + work) // 5


def _check_within_budget(view: LintView, subject: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    try:
        yield from findings
    except UndecidedError:
        count = pluralize(len(view.ordered), "rule")
        message = f"not checked: {subject}; the analysis stopped at its bound of work ({count})"
        first = next(entry for entry in view.ordered if entry.address)
        yield replace(view.finding("CXR209", "warning", message, first), address=None)


def is_complete(findings: Iterable[Finding]) -> bool:
    """Return whether everything was checked: otherwise a finding that is not there may exist."""
    return all(finding.code != "CXR209" for finding in findings)
