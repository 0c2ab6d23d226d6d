"""Findings that manifests accept with a reason: `accept:` of a rule or of an Environment (CXR212)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final, NamedTuple

from reconciler.desired.desired import DesiredState
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.model.rule import Address, Source
from reconciler.plan.options import is_selected

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
    accepted: list[Acknowledgement] = []
    if loaded := manifests.environments.get(environment.name):
        for index, entry in enumerate(environment.accept):
            source = loaded.source_of("accept", index)
            accepted.append(Acknowledgement(entry.code, entry.address or "", entry.reason, source))
    return [*accepted, *_from_rules(manifests, environment, desired)]


def apply_acknowledgements(
    findings: Iterable[Finding], accepted: Iterable[Acknowledgement]
) -> tuple[list[Finding], list[Acknowledgement]]:
    """Return the findings, accepted ones with the reason, and the acknowledgements that match none; no error is."""
    exact: dict[tuple[str, str], list[Acknowledgement]] = defaultdict(list)
    patterns: dict[str, list[Acknowledgement]] = defaultdict(list)
    for entry in accepted:
        (patterns[entry.code] if "*" in entry.addresses else exact[entry.code, entry.addresses]).append(entry)
    idle = {id(entry): entry for group in (*exact.values(), *patterns.values()) for entry in group}
    results = []
    for finding in (occurrence for grouped in findings for occurrence in grouped.occurrences):
        address, matches = finding.address, []
        if finding.severity != "error":
            matches = list(exact.get((finding.code, str(address or "")), ()))
            candidates = patterns.get(finding.code, ()) if address else ()
            matches += [entry for entry in candidates if address and is_selected(address, (entry.addresses,))]
        for entry in matches:
            idle.pop(id(entry), None)
        results.append(replace(finding, acknowledged=matches[0].reason) if matches else finding)
    return results, list(idle.values())


def report_unused(unused: Iterable[Acknowledgement]) -> Iterator[Finding]:
    """Yield a finding for each acknowledgement of a finding that does not exist."""
    for entry in unused:
        at = f" at {entry.addresses}" if entry.addresses and not entry.address else ""
        message = f"{entry.code}{at} is acknowledged, but there is no such warning or note"
        hint = "remove the entry from `accept`" + (", or write it into the Environment" if entry.shared else "")
        finding = Finding(code="CXR212", severity="warning", message=message, source=entry.source, hint=hint)
        yield replace(finding, severity="info" if entry.shared else "warning", address=entry.address)


def _from_rules(manifests: Manifests, environment: Environment, desired: DesiredState) -> Iterator[Acknowledgement]:
    addresses = {rule.source: address for address, rule in desired.rules.items()}
    names = {*manifests.environments, environment.name}
    for loaded in manifests.rulesets:
        for index, entry in enumerate(loaded.document.rules):
            address = addresses.get(loaded.source_of("rules", index)) if entry.accept else None
            if address and entry.accept:
                scopes = [scope for scope in (loaded.document.environments, entry.environments) if scope is not None]
                is_shared = sum(all(name in scope for scope in scopes) for name in names) > 1
                for code, reason in entry.accept.items():
                    source = loaded.source_of("rules", index, "accept", code)
                    yield Acknowledgement(code, str(address), reason, source, address, is_shared)
