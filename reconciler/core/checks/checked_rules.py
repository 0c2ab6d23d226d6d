"""The desired rules with what their target says about them."""

from dataclasses import replace

from reconciler.core.desired.desired import DesiredState, expand_manifests
from reconciler.core.desired.queues import QueueResolver
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.plan.routing_table import ordered_rules


def expand_checked(
    manifests: Manifests,
    environment: Environment,
    resolver: QueueResolver,
) -> DesiredState:
    """Return the desired rules with the findings of their form. Raises ManifestError."""
    desired = expand_manifests(manifests, environment, resolver)
    rules = ordered_rules(desired)
    found = tuple(desired.form.findings(rules, manifests, resolver.names))
    if not found:
        return desired
    findings = (*desired.findings, *found)
    if any(finding.severity == "error" for finding in findings):
        raise ManifestError(findings)
    return replace(desired, findings=findings)
