"""Findings that manifests accept with a reason: `accept:` of a rule or of an Environment (CXR212)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, NamedTuple

from reconciler.model.finding import Finding
from reconciler.plan.options import is_selected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from reconciler.desired.desired import DesiredState
    from reconciler.manifest.kinds.environment import Environment
    from reconciler.manifest.kinds.ruleset import RuleEntry, RuleSet
    from reconciler.manifest.load import Manifests
    from reconciler.model.rule import Address, Source


OFFLINE_CODES: Final = frozenset({"CXR113", "CXR117", "CXR120", "CXR201", "CXR206", "CXR207", "CXR210", "CXR211"})
"""Findings that no live rule can add: without a tenant it is known that they do not exist."""
RULE_CODES: Final = frozenset({"CXR120", *(f"CXR{number}" for number in range(201, 212))})
"""Findings about the rules of the manifests, beside the live rules or without them."""
LIVE_CODES: Final = frozenset(
    {"CXR301", "CXR302", "CXR303", "CXR304", "CXR305", "CXR306", "CXR308", "CXR309", "CXR312", "CXR340"}
)  # findings of every comparison with the live rules


class Acknowledgement(NamedTuple):
    """One entry of an `accept:`."""

    code: str
    addresses: str  # an address, or a pattern of addresses; empty for findings about no single rule
    reason: str
    source: Source
    address: Address | None = None  # the rule whose entry it is; None for an Environment's
    shared: bool = False  # other Environments have the rule, too


def collect_acknowledgements(
    manifests: Manifests, environment: Environment, desired: DesiredState
) -> list[Acknowledgement]:
    """Return what the manifests accept in one environment."""
    return [*_from_environment(manifests, environment), *_from_rules(manifests, environment, desired)]


def apply_acknowledgements(
    findings: Iterable[Finding], accepted: Iterable[Acknowledgement]
) -> tuple[list[Finding], list[Acknowledgement]]:
    """Return the findings, each accepted one with its reason, and the acknowledgements that match none of them."""
    # An error cannot be accepted.
    exact: dict[tuple[str, str], list[Acknowledgement]] = defaultdict(list)
    patterns: dict[str, list[Acknowledgement]] = defaultdict(list)
    for one in accepted:
        (patterns[one.code] if "*" in one.addresses else exact[one.code, one.addresses]).append(one)
    idle = {id(one): one for group in (*exact.values(), *patterns.values()) for one in group}
    told = []
    for finding in (place for grouped in findings for place in grouped.occurrences):
        about = finding.address
        by = list(exact.get((finding.code, str(about or "")), ())) if finding.severity != "error" else []
        if about and finding.severity != "error":
            by += [one for one in patterns.get(finding.code, ()) if is_selected(about, (one.addresses,))]
        for one in by:
            idle.pop(id(one), None)
        told.append(replace(finding, acknowledged=by[0].reason) if by else finding)
    return told, list(idle.values())


def report_unused(unused: Iterable[Acknowledgement]) -> list[Finding]:
    """Return a finding for each acknowledgement of a finding that does not exist."""
    return [_unused_finding(one) for one in unused]


def _unused_finding(unused: Acknowledgement) -> Finding:
    at = f" at {unused.addresses}" if unused.addresses and not unused.address else ""
    message = f"{unused.code}{at} is acknowledged, but there is no such warning or note"
    hint = "remove the entry from `accept`"
    if unused.shared:
        return Finding(
            code="CXR212",
            severity="info",
            message=message,
            source=unused.source,
            address=unused.address,
            hint=f"{hint}, or write it into the Environment",
        )
    return Finding(
        code="CXR212", severity="warning", message=message, source=unused.source, address=unused.address, hint=hint
    )


def _from_environment(manifests: Manifests, environment: Environment) -> Iterator[Acknowledgement]:
    loaded = manifests.environments.get(environment.name)
    for index, one in enumerate(environment.accept if loaded else ()):
        if loaded:
            yield Acknowledgement(one.code, one.address or "", one.reason, loaded.source_of("accept", index))


def _from_rules(manifests: Manifests, environment: Environment, desired: DesiredState) -> Iterator[Acknowledgement]:
    addresses = {rule.source: address for address, rule in desired.rules.items()}
    names = {*manifests.environments, environment.name}
    for loaded in manifests.rulesets:
        for index, entry in enumerate(loaded.document.rules):
            address = addresses.get(loaded.source_of("rules", index)) if entry.accept else None
            if address and entry.accept:
                shared = sum(_has_rule(loaded.document, entry, name) for name in names) > 1
                for code, reason in entry.accept.items():
                    source = loaded.source_of("rules", index, "accept", code)
                    yield Acknowledgement(code, str(address), reason, source, address, shared)


def _has_rule(ruleset: RuleSet, entry: RuleEntry, name: str) -> bool:
    return all(names is None or name in names for names in (ruleset.environments, entry.environments))
