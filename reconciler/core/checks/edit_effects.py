"""Manifests before and after an edit -> the route tests and promises that the edit breaks, and the
new findings.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from reconciler.core.checks.acknowledgements import offline_findings
from reconciler.core.checks.route_tests import (
    Checked,
    CheckResult,
    RouteTestResult,
    check,
    with_promises,
)
from reconciler.core.errors import ManifestError
from reconciler.core.manifest.kinds.environment import Environment
from reconciler.core.manifest.load import Manifests
from reconciler.core.model.finding import Finding
from reconciler.core.model.grouping import group_pairs
from reconciler.core.text.escape import join_all, sanitize


class EditEffects(NamedTuple):
    """What an edit of manifests does to their checks.

    Each finding is about all environments that have it.
    """

    broken_tests: tuple[Finding, ...] = ()
    broken_promises: tuple[Finding, ...] = ()  # of severity error
    # warnings of the lint, and broken promises of severity warning
    new_findings: tuple[Finding, ...] = ()
    failed_before: int = 0  # tests and promises that fail with the edit and without it


def find_edit_effects(
    before: Manifests,
    after: Manifests,
    environments: Sequence[Environment],
) -> EditEffects:
    """Return the effects of an edit in some environments.

    Raises ManifestError if the edit makes one invalid.
    """
    pairs = list(_check_both(before, after, environments))
    broken, failed_before = _compare_results(pairs)

    named = len(environments) > 1
    tests = [result for result in broken if isinstance(result, RouteTestResult)]
    promises = [result for result in broken if not isinstance(result, RouteTestResult)]
    by_severity = group_pairs(
        (finding.severity == "error", finding)
        for finding in _failures(promises, named=named)
    )
    warnings = by_severity.get(False, ())
    return EditEffects(
        broken_tests=_failures(tests, named=named),
        broken_promises=tuple(by_severity.get(True, ())),
        new_findings=(*warnings, *_new_findings(before, after, pairs)),
        failed_before=_count_sources(failed_before),
    )


def _check_both(
    before: Manifests,
    after: Manifests,
    environments: Iterable[Environment],
) -> Iterator[tuple[Checked, Checked]]:
    """Yield the results of each environment whose rules are valid before an edit.

    Raises ManifestError if they are not valid after it.
    """
    for environment in environments:
        old = with_promises(check(before, environment))
        new = with_promises(check(after, environment))
        if old.desired is None:
            continue
        if new.desired is None:
            raise ManifestError(new.findings)
        yield old, new


def _compare_results(
    pairs: Iterable[tuple[Checked, Checked]],
) -> tuple[list[CheckResult], list[Finding | None]]:
    """Return the tests and promises that an edit breaks, and the earlier failures of all that fail
    after it.
    """
    # An edit of rules adds no test and no promise: the results are in one order.
    broken: list[CheckResult] = []
    failed_before: list[Finding | None] = []
    for before, after in pairs:
        for old, new in zip(before.tried, after.tried, strict=True):
            if not new.failure:
                continue
            failed_before.append(old.failure)
            if not old.failure:
                broken.append(new)
    return broken, failed_before


def _count_sources(failures: Iterable[Finding | None]) -> int:
    """Return the number of tests and promises with a failure, which may fail in several
    environments.
    """
    return len({failure.source for failure in failures if failure})


def _failures(results: Sequence[CheckResult], *, named: bool) -> tuple[Finding, ...]:
    """Return each failure once, with the environments that have it."""
    by_failure = group_pairs(
        (result.failure, result.environment) for result in results if result.failure
    )
    failures = []
    for failure, environments in by_failure.items():
        message = failure.message
        if named:
            message += f", in {join_all(environments, 'and', sanitize)}"
        failures.append(replace(failure, message=message, hint=""))
    return tuple(failures)


def _new_findings(
    before: Manifests,
    after: Manifests,
    pairs: Sequence[tuple[Checked, Checked]],
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
