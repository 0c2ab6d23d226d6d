"""The checks of manifests that need no tenant, and the findings that manifests accept with a reason
(CXR212).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.checks.lint import is_complete, lint, plan_lint_work
from reconciler.checks.lint_names import intents_in_catch_all
from reconciler.checks.lint_view import LintView
from reconciler.checks.route_tests import Checked
from reconciler.desired.desired import DesiredState, find_unaliased_queues
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.model.grouping import group_pairs
from reconciler.model.rule import Address, Source
from reconciler.plan.plan import Plan, is_selected, replace_findings

OFFLINE_CODES: Final = frozenset(
    f"CXR{each}"
    for each in (113, 117, 120, 128, 129, 130, 201, 206, 207, 210, 211, 213, 214)
)
"""Findings that live rules cannot add: if an offline check does not have them, they do not
exist."""
RULE_CODES: Final = frozenset(
    f"CXR{number}" for number in (120, *range(127, 131), *range(201, 212), 213, 214)
)
"""Findings about the rules of the manifests, with or without live rules."""
LIVE_CODES: Final = frozenset(
    f"CXR{number}" for number in (*range(301, 307), 308, 309, 312, 340)
)
"""Findings of every comparison with the live rules."""


class Acknowledgement(NamedTuple):
    """One entry of an `accept:`."""

    code: str
    addresses: str  # an address, or a pattern of addresses; empty for findings without one rule
    reason: str
    source: Source
    address: Address | None = (
        None  # the rule that has the entry; None for an Environment's entry
    )
    shared: bool = False  # other Environments also have the rule


def collect_acknowledgements(
    manifests: Manifests, environment: Environment, desired: DesiredState
) -> list[Acknowledgement]:
    """Return the `accept` entries of the manifests for one environment."""
    accepted: list[Acknowledgement] = []
    addresses = {rule.source: address for address, rule in desired.rules.items()}
    names = {*manifests.environments, environment.name}
    rules = (
        (each, index, entry)
        for each in manifests.rulesets
        for index, entry in enumerate(each.document.rules)
    )
    for each, index, entry in rules:
        address = (
            addresses.get(each.source_of("rules", index)) if entry.accept else None
        )
        if address and entry.accept:
            scopes = [
                scope
                for scope in (each.document.environments, entry.environments)
                if scope is not None
            ]
            is_shared = (
                sum(all(name in scope for scope in scopes) for name in names) > 1
            )
            for code, reason in entry.accept.items():
                source = each.source_of("rules", index, "accept", code)
                accepted.append(
                    Acknowledgement(
                        code, str(address), reason, source, address, is_shared
                    )
                )
    if loaded := manifests.environments.get(environment.name):
        entries = [
            (entry, loaded.source_of("accept", index))
            for index, entry in enumerate(environment.accept)
        ]
        accepted += (
            Acknowledgement(entry.code, entry.address or "", entry.reason, at)
            for entry, at in entries
        )
    return accepted


def apply_acknowledgements(
    findings: Iterable[Finding], accepted: Iterable[Acknowledgement]
) -> tuple[list[Finding], list[Acknowledgement]]:
    """Return the findings, accepted ones with the reason, and the entries that match none.

    Errors are not accepted.
    """
    entries = list(accepted)
    exact = group_pairs(
        ((entry.code, entry.addresses), entry)
        for entry in entries
        if "*" not in entry.addresses
    )
    patterns = group_pairs(
        (entry.code, entry) for entry in entries if "*" in entry.addresses
    )
    unused = {
        id(entry): entry
        for group in (*exact.values(), *patterns.values())
        for entry in group
    }
    results = []
    for finding in (
        occurrence for grouped in findings for occurrence in grouped.occurrences
    ):
        address = finding.address
        matches = []
        if finding.severity != "error":
            matches = list(exact.get((finding.code, str(address or "")), ()))
            candidates = patterns.get(finding.code, ()) if address else ()
            matches += [
                entry
                for entry in candidates
                if address and is_selected(address, (entry.addresses,))
            ]
        for entry in matches:
            unused.pop(id(entry), None)
        results.append(
            replace(finding, acknowledged=matches[0].reason) if matches else finding
        )
    return results, list(unused.values())


def report_unused(unused: Iterable[Acknowledgement]) -> Iterator[Finding]:
    """Yield a finding for each entry that matches no finding."""
    for entry in unused:
        at = f" at {entry.addresses}" if entry.addresses and not entry.address else ""
        message = f"{entry.code}{at} is accepted, but no warning or note matches"
        hint = "remove the entry from `accept`" + (
            ", or move it to the Environment" if entry.shared else ""
        )
        yield Finding(
            code="CXR212",
            severity="info" if entry.shared else "warning",
            message=message,
            source=entry.source,
            address=entry.address,
            hint=hint,
        )


def acknowledge_findings(
    plan: Plan, manifests: Manifests, environment: Environment
) -> Plan:
    """Return the plan with the findings that the manifests accept set apart, and with those about
    unused entries.
    """
    accepted = collect_acknowledgements(manifests, environment, plan.desired)
    if not accepted:
        return plan
    findings, unused = apply_acknowledgements(plan.findings, accepted)
    # With --only or --undo the plan covers a part of the rules: an unused entry may match a finding
    # elsewhere.
    if unused and not plan.options.only and plan.options.undo is None:
        # Live rules can hide a finding that `validate` reports. The plan's own lint does the other
        # half of the work.
        work = plan_lint_work(len(plan.desired.rules), 0) // 2
        offline = lint(
            LintView(plan.desired, (), manifests, environment, plan.queue_names), work
        )
        unused = apply_acknowledgements(offline, unused)[1]
        codes = (
            RULE_CODES | LIVE_CODES
            if is_complete((*findings, *offline))
            else LIVE_CODES
        )
        findings += report_unused(entry for entry in unused if entry.code in codes)
    return replace_findings(plan, findings)


def offline_findings(
    manifests: Manifests,
    checked: Sequence[Checked],
    others: Iterable[Finding],
    only: str | None,
) -> list[Finding]:
    """Return each finding of several environments, and the `others`, once; accepted if all
    environments accept it.
    """
    # If `only` selects environments, an entry that others share may match a finding in one of the
    # others.
    rules_of = (each.desired.rules.values() for each in checked if each.desired)
    addresses = {
        rule.source: rule.address for group in rules_of for rule in group if rule.source
    }
    everywhere = [
        *manifests.warnings,
        *others,
        *find_unaliased_queues(manifests, addresses),
    ]
    accepted = [
        (each, collect_acknowledgements(manifests, each.environment, each.desired))
        for each in checked
        if each.desired
    ]
    every = [entry for _, entries in accepted for entry in entries]
    invalid = (
        finding for each in checked if not each.desired for finding in each.findings
    )
    findings, unused = apply_acknowledgements([*everywhere, *invalid], every)
    unused_by_source = {entry.source: entry for entry in unused}
    for each, entries in accepted:
        view = (
            LintView(each.desired, (), manifests, each.environment, each.queues)
            if each.desired
            else None
        )
        advice = lint(view) if view else ()
        own_findings, unused = apply_acknowledgements(
            [*each.findings, *advice], entries
        )
        if not is_complete(advice):  # a finding of the unchecked rules may exist
            unused = [entry for entry in unused if entry.code not in RULE_CODES]
        findings += own_findings
        used = {entry.source for entry in entries} - {entry.source for entry in unused}
        unused_by_source = {
            source: entry
            for source, entry in unused_by_source.items()
            if source not in used
        }
    if all(finding.severity != "error" for finding in findings):
        unused = [
            entry for entry in unused_by_source.values() if entry.code in OFFLINE_CODES
        ]
        findings += report_unused(
            entry for entry in unused if not (only and entry.shared)
        )
    # A finding is accepted if all environments accept it.
    unique: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda finding: bool(finding.acknowledged)):
        of_rules = finding.message if finding.code in RULE_CODES else ""
        unique.setdefault((finding.code, finding.source, of_rules), finding)
    return list(unique.values())


def left_to_catch_alls(manifests: Manifests, checked: Sequence[Checked]) -> list[str]:
    """Return the intents that in some environment only a catch-all takes."""
    states = ((each.desired, each.environment) for each in checked if manifests.intents)
    views = (
        LintView(desired, (), manifests, environment, {})
        for desired, environment in states
        if desired
    )
    return list(
        dict.fromkeys(intent for view in views for intent in intents_in_catch_all(view))
    )
