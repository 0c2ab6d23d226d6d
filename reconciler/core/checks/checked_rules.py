"""The desired rules with what their target says about them."""

from dataclasses import replace

from reconciler.core.desired.desired import (
    DesiredState,
    expand_manifests,
    phases_from_now,
)
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.plan.routing_table import ordered_rules


def expand_checked(
    manifests: Manifests,
    environment: Environment,
    resolver: QueueResolver,
) -> DesiredState:
    """Return the desired rules with the findings of their form, now and later.

    Raises ManifestError.
    """
    desired = expand_manifests(manifests, environment, resolver)
    found: dict[Finding, None] = {}
    for phase in phases_from_now(desired):
        rules = ordered_rules(phase.state)
        findings = desired.form.findings(rules, manifests, resolver.names)
        found.update(dict.fromkeys(findings))
    if not found:
        return desired
    all_findings = (*desired.findings, *found)
    if any(finding.severity == "error" for finding in all_findings):
        raise ManifestError(all_findings)
    return replace(desired, findings=all_findings)
