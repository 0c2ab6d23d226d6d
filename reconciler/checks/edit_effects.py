"""Manifests before and after an edit -> the route tests and promises that the edit breaks, and the
new findings.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from reconciler.checks.acknowledgements import offline_findings
from reconciler.checks.route_tests import (
    Checked,
    CheckResult,
    RouteTestResult,
    check,
    with_promises,
)
from reconciler.errors import ManifestError
from reconciler.manifest.kinds.environment import Environment
from reconciler.manifest.load import Manifests
from reconciler.model.finding import Finding
from reconciler.model.grouping import group_pairs
from reconciler.text.escape import join_all, sanitize


class EditEffects(NamedTuple):
    """What an edit of manifests does to their checks.

    Each finding is about all environments that have it.
    """

    broken_tests: tuple[Finding, ...] = ()
    broken_promises: tuple[Finding, ...] = ()  # of severity error
    new_findings: tuple[
        Finding, ...
    ] = ()  # warnings of the lint, and broken promises of severity warning
    failed_before: int = 0  # tests and promises that fail with the edit and without it


def find_edit_effects(
    before: Manifests, after: Manifests, environments: Sequence[Environment]
) -> EditEffects:
    """Return the effects of an edit in some environments.

    Raises ManifestError if the edit makes one invalid.
    """
    old = [with_promises(check(before, environment)) for environment in environments]
    new = [with_promises(check(after, environment)) for environment in environments]
    pairs = [pair for pair in zip(old, new, strict=True) if pair[0].desired]
    for _, changed in pairs:
        if changed.desired is None:
            raise ManifestError(changed.findings)
    # An edit of rules adds no test and no promise: the results are in one order.
    results = [
        pair
        for old_one, new_one in pairs
        for pair in zip(old_one.tried, new_one.tried, strict=True)
    ]
    broken = [
        changed for first, changed in results if changed.failure and not first.failure
    ]
    named = len(environments) > 1
    tests = _failures(
        [each for each in broken if isinstance(each, RouteTestResult)], named=named
    )
    promises = _failures(
        [each for each in broken if not isinstance(each, RouteTestResult)], named=named
    )
    return EditEffects(
        broken_tests=tests,
        broken_promises=tuple(each for each in promises if each.severity == "error"),
        new_findings=(
            *(each for each in promises if each.severity != "error"),
            *_new_findings(before, after, pairs),
        ),
        failed_before=_count_sources(
            first.failure for first, changed in results if changed.failure
        ),
    )


def _count_sources(failures: Iterable[Finding | None]) -> int:
    """Return the number of tests and promises with a failure, which may fail in several
    environments.
    """
    return len({failure.source for failure in failures if failure})


def _failures(results: Sequence[CheckResult], *, named: bool) -> tuple[Finding, ...]:
    """Return each failure once, with the environments that have it."""
    alike = group_pairs(
        (result.failure, result.environment) for result in results if result.failure
    )
    failures = []
    for failure, environments in alike.items():
        where = f", in {join_all(environments, 'and', sanitize)}" if named else ""
        failures.append(replace(failure, message=f"{failure.message}{where}", hint=""))
    return tuple(failures)


def _new_findings(
    before: Manifests, after: Manifests, pairs: Sequence[tuple[Checked, Checked]]
) -> tuple[Finding, ...]:
    """Return the warnings of the edited manifests that they do not have without the edit."""
    only = pairs[0][0].environment.name if len(pairs) == 1 else None
    known = {
        _identity(finding)
        for finding in offline_findings(before, [old for old, _ in pairs], (), only)
    }
    found = offline_findings(after, [new for _, new in pairs], (), only)
    warnings = (
        finding
        for finding in found
        if finding.severity == "warning" and not finding.acknowledged
    )
    return tuple(finding for finding in warnings if _identity(finding) not in known)


def _identity(finding: Finding) -> object:
    """Return what a finding is about: an edit moves its line."""
    return finding.code, finding.address, finding.message
