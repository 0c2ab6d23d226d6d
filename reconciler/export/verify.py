"""What an apply of exported manifests would do: take over just these rules, as they are, and move nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.behaviour.diff.difference import BehaviourChange
from reconciler.desired.desired import DesiredState
from reconciler.export.export import ExportedManifests, TenantSnapshot, compute_export_impact
from reconciler.model.change import Adopt
from reconciler.plan.compare import compare_rules
from reconciler.plan.ownership import classify_by_owner


class ExportMismatchError(Exception):
    """An exported rule does not come back as it was: the message says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportVerification:
    """What the next plan shows: rules taken over, how many of them under another name; what else; and who is moved."""

    adoptions: int
    renamed: int
    other_changes: int
    behaviour: BehaviourChange
    labels: Mapping[str, str]  # what people call the attributes that the API knows by longer names


def verify_export(exported: ExportedManifests, tenant: TenantSnapshot, merged: DesiredState) -> ExportVerification:
    """Compare the manifests, the exported ones included, with the live rules. Raises ExportMismatchError."""
    comparison = compare_rules(merged, classify_by_owner(tenant.rules, merged.owner))
    changes = {change.address: change for change in comparison.changes}
    rules = {rule.address: rule for rule in exported.rules}
    for address, rule in rules.items():
        desired, change = merged.rules.get(address), changes.get(address)
        if desired is None or desired.rule != rule.rule:
            raise ExportMismatchError(f"{address} would not come back as it is written")
        if rule.live.marker is None and not (isinstance(change, Adopt) and change.live.id == rule.live.id):
            raise ExportMismatchError(f"{address} could not be taken over as it is")
    behaviour = compute_export_impact(exported, tenant, merged)
    if behaviour.changed:
        raise ExportMismatchError("conversations would go elsewhere")
    return ExportVerification(
        adoptions=sum(rule.live.marker is None for rule in rules.values()),
        renamed=sum(rule.live.rule.name != rule.rule.name for rule in rules.values()),
        other_changes=sum(address not in rules for address in changes),
        behaviour=behaviour,
        labels=merged.labels,
    )
