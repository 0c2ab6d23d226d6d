"""The checks of manifests that need no tenant, in several environments at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from reconciler.checks.acknowledgements import (
    OFFLINE_CODES,
    RULE_CODES,
    apply_acknowledgements,
    collect_acknowledgements,
    report_unused,
)
from reconciler.checks.lint import is_complete, lint
from reconciler.checks.lint_names import intents_in_catch_all
from reconciler.checks.lint_view import LintView
from reconciler.checks.route_tests import Checked
from reconciler.desired.desired import find_unaliased_queues
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding


def offline_findings(
    manifests: Manifests, checked: Sequence[Checked], others: Iterable[Finding], only: str | None
) -> list[Finding]:
    """Return each finding of several environments, and the `others`, once, by place; accepted where all accept it."""
    # Where `only` names some environments, an acceptance that others share may match a finding in one of those.
    rules_of = (each.desired.rules.values() for each in checked if each.desired)
    addresses = {rule.source: rule.address for group in rules_of for rule in group if rule.source}
    everywhere = [*manifests.warnings, *others, *find_unaliased_queues(manifests, addresses)]
    accepted = [
        (each, collect_acknowledgements(manifests, each.environment, each.desired)) for each in checked if each.desired
    ]
    every = [entry for _, entries in accepted for entry in entries]
    wrong = (finding for each in checked if not each.desired for finding in each.findings)
    rules, idle = apply_acknowledgements([*everywhere, *wrong], every)
    vain = {entry.source: entry for entry in idle}
    for each, entries in accepted:
        advice = lint(each.desired, (), manifests, each.environment, each.queues) if each.desired else ()
        findings, unused = apply_acknowledgements([*each.findings, *advice], entries)
        if not is_complete(advice):  # an unchecked finding may exist
            unused = [entry for entry in unused if entry.code not in RULE_CODES]
        rules += findings
        used = {entry.source for entry in entries} - {entry.source for entry in unused}
        vain = {source: entry for source, entry in vain.items() if source not in used}
    if all(finding.severity != "error" for finding in rules):
        unused = [entry for entry in vain.values() if entry.code in OFFLINE_CODES and not (only and entry.shared)]
        rules += report_unused(unused)
    return _unique_findings(rules)


def left_to_catch_alls(manifests: Manifests, checked: Sequence[Checked]) -> list[str]:
    """Return the intents that in some environment no rule names, and a catch-all takes."""
    states = ((each.desired, each.environment) for each in checked if manifests.intents)
    views = (LintView(desired, (), manifests, environment, {}) for desired, environment in states if desired)
    return list(dict.fromkeys(intent for view in views for intent in intents_in_catch_all(view)))


def _unique_findings(findings: Sequence[Finding]) -> list[Finding]:
    """Return the findings without repetitions; a finding counts as accepted where all environments accept it."""
    unique: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda finding: bool(finding.acknowledged)):
        of_rules = finding.message if finding.code in RULE_CODES else ""
        unique.setdefault((finding.code, finding.source, of_rules), finding)
    return list(unique.values())
