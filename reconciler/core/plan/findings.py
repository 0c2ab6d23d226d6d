"""The findings of a plan: of selected addresses, in order, and the acknowledged ones separate."""

from collections.abc import Iterable
from dataclasses import replace

from reconciler.core.model.finding import Finding, group_findings
from reconciler.core.plan.changes import is_relevant
from reconciler.core.plan.stages import Plan


def add_findings(plan: Plan, findings: Iterable[Finding]) -> Plan:
    """Return the plan with further findings, without those of unselected addresses."""
    relevant = (finding for finding in findings if is_relevant(finding, plan.options))
    return replace_findings(plan, (*plan.findings, *relevant))


def replace_findings(plan: Plan, findings: Iterable[Finding]) -> Plan:
    """Return the plan with these findings only: the acknowledged ones separate, and one for each
    cause.
    """

    def sort_key(finding: Finding) -> tuple[str, str, int, str]:
        source = finding.source
        return (
            finding.code,
            source.file if source else "",
            source.line if source else 0,
            finding.message,
        )

    ordered = sorted(findings, key=sort_key)
    open_findings = group_findings(
        finding for finding in ordered if not finding.acknowledged
    )
    accepted = group_findings(finding for finding in ordered if finding.acknowledged)
    return replace(
        plan,
        findings=tuple(open_findings),
        acknowledged=(*plan.acknowledged, *accepted),
    )
