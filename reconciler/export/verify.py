"""What an apply of exported manifests would do: take over just these rules, as they are, and move nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.export.export import ExportedManifests, TenantSnapshot, compute_export_impact
from reconciler.model.change import Adopt
from reconciler.plan.compare import compare_rules
from reconciler.plan.ownership import classify_by_owner

if TYPE_CHECKING:
    from collections.abc import Mapping

    from reconciler.behaviour.diff.difference import BehaviourChange
    from reconciler.desired.desired import DesiredState


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
    """Hold what the manifests say, once the exported ones are among them, against what is live.

    Raises ExportMismatchError.
    """
    found = compare_rules(merged, classify_by_owner(tenant.rules, merged.owner))
    changes = {change.address: change for change in found.changes}
    written = {one.address: one for one in exported.rules}
    for address, rule in written.items():
        desired = merged.rules.get(address)
        if desired is None or desired.rule != rule.rule:
            raise ExportMismatchError(f"{address} would not come back as it is written")
        change = changes.get(address)
        if rule.live.marker is None and not (isinstance(change, Adopt) and change.live.id == rule.live.id):
            raise ExportMismatchError(f"{address} could not be taken over as it is")
    adoptions = sum(1 for rule in written.values() if rule.live.marker is None)
    renamed = sum(1 for rule in written.values() if rule.live.rule.name != rule.rule.name)
    others = sum(1 for address in changes if address not in written)
    behaviour = compute_export_impact(exported, tenant, merged)
    if behaviour.changed:
        raise ExportMismatchError("conversations would go elsewhere")
    return ExportVerification(
        adoptions=adoptions, renamed=renamed, other_changes=others, behaviour=behaviour, labels=merged.labels
    )
