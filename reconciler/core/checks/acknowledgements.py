"""The checks of manifests that need no tenant, and the findings that manifests accept with a reason
(CXR212).
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Final, NamedTuple

from reconciler.core.checks.lint import is_complete, lint, plan_lint_work
from reconciler.core.checks.lint_dates import check_dates
from reconciler.core.checks.lint_names import intents_in_catch_all
from reconciler.core.checks.lint_phases import lint_phases
from reconciler.core.checks.lint_view import LintView
from reconciler.core.checks.route_tests import Checked
from reconciler.core.desired.desired import DesiredState, find_unaliased_queues
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.kinds.ruleset import RuleSet
from reconciler.core.manifest.load import Manifests
from reconciler.core.manifest.source_map import LoadedDocument
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.model.rule import Address, Source
from reconciler.core.plan.changes import is_selected
from reconciler.core.plan.findings import replace_findings
from reconciler.core.plan.stages import Plan

OFFLINE_CODES: Final = frozenset(
    f"CXR{each}"
    for each in (
        113,
        117,
        120,
        128,
        129,
        130,
        201,
        206,
        207,
        210,
        211,
        213,
        214,
        240,
        242,
    )
)
"""Findings that live rules cannot add: if an offline check does not have them, they do not
exist."""
RULE_CODES: Final = frozenset(
    f"CXR{number}"
    for number in (120, *range(127, 131), *range(201, 212), 213, 214, 242)
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
    # the rule that has the entry; None for an Environment's entry
    address: Address | None = None
    shared: bool = False  # other Environments also have the rule


def collect_acknowledgements(
    manifests: Manifests,
    environment: Environment,
    desired: DesiredState,
) -> list[Acknowledgement]:
    """Return the `accept` entries of the manifests for one environment."""
    addresses = {rule.source: rule.address for rule in desired.stated_rules}
    names = {*manifests.environments, environment.name}
    accepted: list[Acknowledgement] = []
    for ruleset in manifests.rulesets:
        accepted += _acknowledgements_of_rules(ruleset, addresses, names)

    loaded = manifests.environments.get(environment.name)
    if loaded:
        for index, entry in enumerate(environment.accept):
            source = loaded.source_of("accept", index)
            accepted.append(
                Acknowledgement(entry.code, entry.address or "", entry.reason, source)
            )
    return accepted


def _acknowledgements_of_rules(
    ruleset: LoadedDocument[RuleSet],
    addresses: Mapping[Source | None, Address],
    environments: Collection[str],
) -> Iterator[Acknowledgement]:
    """Yield the `accept` entries of the rules that have an address."""
    for index, entry in enumerate(ruleset.document.rules):
        if not entry.accept:
            continue
        address = addresses.get(ruleset.source_of("rules", index))
        if not address:
            continue
        scopes = (ruleset.document.environments, entry.environments)
        is_shared = _is_shared(scopes, environments)
        for code, reason in entry.accept.items():
            source = ruleset.source_of("rules", index, "accept", code)
            yield Acknowledgement(
                code,
                str(address),
                reason,
                source,
                address,
                is_shared,
            )


def _is_shared(
    scopes: Iterable[Collection[str] | None], environments: Iterable[str]
) -> bool:
    """Return whether several environments are in all scopes; None is the scope of all."""
    limits = [scope for scope in scopes if scope is not None]
    names = [name for name in environments if all(name in scope for scope in limits)]
    return len(names) > 1


def apply_acknowledgements(
    findings: Iterable[Finding], accepted: Iterable[Acknowledgement]
) -> tuple[list[Finding], list[Acknowledgement]]:
    """Return the findings, accepted ones with the reason, and the entries that match none.

    Errors are not accepted.
    """
    index = _AcknowledgementIndex(accepted)
    unused = {id(entry): entry for entry in index.all}
    results = []
    for finding in chain.from_iterable(grouped.occurrences for grouped in findings):
        matches = index.matching(finding)
        for entry in matches:
            unused.pop(id(entry), None)
        if matches:
            results.append(replace(finding, acknowledged=matches[0].reason))
        else:
            results.append(finding)
    return results, list(unused.values())


class _AcknowledgementIndex:
    """Acknowledgements by code and address; `all` are those of an address, then those of a
    pattern.
    """

    def __init__(self, entries: Iterable[Acknowledgement]) -> None:
        by_form = group_pairs(("*" in entry.addresses, entry) for entry in entries)
        self._exact = group_pairs(
            ((entry.code, entry.addresses), entry) for entry in by_form.get(False, ())
        )
        self._patterns = group_pairs(
            (entry.code, entry) for entry in by_form.get(True, ())
        )
        groups = (*self._exact.values(), *self._patterns.values())
        self.all = list(chain.from_iterable(groups))

    def matching(self, finding: Finding) -> list[Acknowledgement]:
        """Return the entries that accept a finding; none accepts an error."""
        if finding.severity == "error":
            return []
        address = finding.address
        matches = [*self._exact.get((finding.code, str(address or "")), ())]
        if address:
            matches += [
                entry
                for entry in self._patterns.get(finding.code, ())
                if is_selected(address, (entry.addresses,))
            ]
        return matches


def report_unused(unused: Iterable[Acknowledgement]) -> Iterator[Finding]:
    """Yield a finding for each entry that matches no finding."""
    for entry in unused:
        at = f" at {entry.addresses}" if entry.addresses and not entry.address else ""
        message = f"{entry.code}{at} is accepted, but no warning or note matches"
        hint = "remove the entry from `accept`"
        if entry.shared:
            hint += ", or move it to the Environment"
        yield Finding(
            code="CXR212",
            severity="info" if entry.shared else "warning",
            message=message,
            source=entry.source,
            address=entry.address,
            hint=hint,
        )


def acknowledge_findings(
    plan: Plan,
    manifests: Manifests,
    environment: Environment,
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
    if unused and not plan.options.is_partial and plan.options.undo is None:
        # Live rules can hide a finding that `validate` reports. The plan's own lint does the other
        # half of the work.
        work = plan_lint_work(len(plan.desired.rules), 0) // 2
        view = LintView(plan.desired, (), manifests, environment, plan.queue_names)
        offline = (*lint(view, work), *check_dates(view))
        _, unused = apply_acknowledgements(offline, unused)
        codes = LIVE_CODES
        if is_complete((*findings, *offline)):
            codes |= RULE_CODES
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
    shared_findings = [*manifests.warnings, *others]
    shared_findings += find_unaliased_queues(manifests, _addresses_by_source(checked))
    shared_findings += chain.from_iterable(
        result.findings for result in checked if result.desired is None
    )
    accepted = [
        (
            result,
            collect_acknowledgements(manifests, result.environment, result.desired),
        )
        for result in checked
        if result.desired is not None
    ]

    all_entries = [entry for _, entries in accepted for entry in entries]
    findings, unused = apply_acknowledgements(shared_findings, all_entries)
    used: set[Source] = set()
    for result, entries in accepted:
        own_findings, own_used = _apply_in_environment(
            result,
            _lint_offline(result, manifests),
            entries,
        )
        findings += own_findings
        used |= own_used
    if all(finding.severity != "error" for finding in findings):
        findings += report_unused(_surely_unused(unused, used, only))
    return _unique_findings(findings)


def _lint_offline(result: Checked, manifests: Manifests) -> Sequence[Finding]:
    if result.desired is None:
        return ()
    return lint_phases(result, manifests)


def _surely_unused(
    unused: Iterable[Acknowledgement],
    used: Collection[Source],
    only: str | None,
) -> Iterator[Acknowledgement]:
    """Yield each entry, once, that is used nowhere and that live rules cannot make used."""
    for entry in {entry.source: entry for entry in unused}.values():
        if entry.source in used or entry.code not in OFFLINE_CODES:
            continue
        if not (only and entry.shared):
            yield entry


def _apply_in_environment(
    result: Checked,
    advice: Sequence[Finding],
    entries: Sequence[Acknowledgement],
) -> tuple[list[Finding], set[Source]]:
    """Return the findings of one environment, and the positions of the entries that may match
    one.
    """
    findings, unused = apply_acknowledgements([*result.findings, *advice], entries)
    if not is_complete(advice):  # a finding of the unchecked rules may exist
        unused = [entry for entry in unused if entry.code not in RULE_CODES]
    used = {entry.source for entry in entries} - {entry.source for entry in unused}
    return findings, used


def _unique_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Return each finding once: it is accepted if all environments accept it."""
    unique: dict[object, Finding] = {}
    for finding in sorted(findings, key=lambda finding: bool(finding.acknowledged)):
        of_rules = finding.message if finding.code in RULE_CODES else ""
        unique.setdefault((finding.code, finding.source, of_rules), finding)
    return list(unique.values())


def _addresses_by_source(checked: Iterable[Checked]) -> dict[Source, Address]:
    """Return the addresses of the rules of several environments by their position."""
    addresses: dict[Source, Address] = {}
    for result in checked:
        rules = result.desired.stated_rules if result.desired else ()
        for rule in rules:
            if rule.source:
                addresses[rule.source] = rule.address
    return addresses


def left_to_catch_alls(manifests: Manifests, checked: Sequence[Checked]) -> list[str]:
    """Return the intents that in some environment only a catch-all takes."""
    intents: dict[str, None] = {}
    if not manifests.intents:
        return []
    for result in checked:
        if result.desired:
            view = LintView(result.desired, (), manifests, result.environment, {})
            intents |= dict.fromkeys(intents_in_catch_all(view))
    return list(intents)
